"""What Numba's language lacks: registers full of numbers.

Two intrinsics, functions whose LLVM code is emitted here: `multiply_tile`, the inner loop of
all matrix products, and `transpose_block`.  All other kernels are loops over numbers.
"""

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

from fastnn._numba.compiling import formula

__all__ = [
    "ADD",
    "BIAS",
    "SET",
    "TILE_ROWS",
    "VECTOR_BYTES",
    "multiply_tile",
    "panel_of",
    "transpose_block",
]


def _has(feature):
    """Whether the code that Numba makes here may use a feature of the processor."""
    if config.CPU_FEATURES is not None:  # the variable NUMBA_CPU_FEATURES
        return f"+{feature}" in config.CPU_FEATURES.split(",")
    return binding.get_host_cpu_features().get(feature, False)


# LLVM splits a wider vector than the processor has: a wrong width would cost speed alone.
VECTOR_BYTES = 64 if _has("avx512f") else 32 if _has("avx") else 16

# 2 TILE_ROWS sums, 2 columns and 1 weight fill 16 registers (32 with AVX-512 and on ARM).
TILE_ROWS = 12 if VECTOR_BYTES == 64 or _has("neon") else 6


@formula
def panel_of(array):
    """Numbers of a row of a panel, two registers.

    Not a constant: LLVM would unroll the loops over a row before it could make vectors of them.
    """
    return 2 * VECTOR_BYTES // array.itemsize


# What a tile's sums are added to: nothing, the bias of each row, or what is there.
# np.int64: Numba would compile a caller again for each literal integer that it is given.
SET, BIAS, ADD = np.int64(0), np.int64(1), np.int64(2)


class _Code:
    """What an intrinsic emits: numbers of the type of an array, and registers of them."""

    def __init__(self, context, builder, array):
        self.builder = builder
        self.real = context.get_value_type(array.dtype)
        self.bytes = array.dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(self.real, self.lanes)

    def at(self, p, *offsets):
        """The address of p[offset + offset + ...]."""
        for offset in offsets:
            p = self.builder.gep(p, [offset], source_etype=self.real)
        return p

    def load(self, p):
        """The vector p[0], p[1], ...; any alignment."""
        return self.builder.load(self._whole(p), align=self.bytes, typ=self.vector)

    def store(self, v, p):
        """p[0], p[1], ... = v."""
        self.builder.store(v, self._whole(p), align=self.bytes)

    def _whole(self, p):
        """p as a pointer to a vector, where LLVM's pointers still have a type."""
        return p if p.type.is_opaque else self.builder.bitcast(p, ir.PointerType(self.vector))

    def number(self, p):
        """p[0]."""
        return self.builder.load(p, typ=self.real)

    def splat(self, x):
        """The number x in every lane."""
        one = ir.Constant(ir.VectorType(self.real, self.lanes), ir.Undefined)
        one = self.builder.insert_element(one, x, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, one, _lanes([0] * self.lanes))

    def multiply_add(self, x, y, z):
        """x y + z, fused where the processor has that instruction."""
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.bytes}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [x, y, z])

    def switch(self, value, cases):
        """Emit ``cases[n]()`` for each n, to run where `value` is n."""
        done = self.builder.append_basic_block("done")
        switch = self.builder.switch(value, done)
        for n, emit in cases.items():
            block = self.builder.append_basic_block(f"case{n}")
            switch.add_case(value.type(n), block)
            self.builder.position_at_end(block)
            emit()
            self.builder.branch(done)
        self.builder.position_at_end(done)


def _lanes(numbers):
    """Which lanes a shuffle takes."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


def _data(context, builder, array, value):
    """Where the data of an array begin."""
    return context.make_array(array)(context, builder, value).data


@intrinsic
def multiply_tile(
    typingctx, rows, a, a_start, lie, b, b_start, c, c_start, c_row, bias, bias_start, mode, scale
):  # fmt: skip
    """A tile of a matrix product, 1 to TILE_ROWS rows high and a panel wide::

        c[row, :] = (0, bias[row] or c[row, :]) + scale * sum over k of a[row, k] b[k, :]

    whose sums are held in registers.  `mode` is SET, BIAS or ADD.

    ``lie = (row_stride, step, depth, segment, segments)``: a[row, k] is at a_start +
    row * row_stride + k * step, in `segments` runs of `depth` values of k, each `segment` after
    the one before.  ``b[k, :]`` is the k-th row of a panel after b_start.
    """

    def codegen(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")  # its code shall be there once
        rows, a_array, a_start, strides, b_array, b_start, c_array, c_start, *rest = arguments
        c_row, bias_array, bias_start, mode, scale = rest
        code = _Code(context, builder, b)
        operands = (
            code.at(_data(context, builder, a, a_array), a_start),
            *cgutils.unpack_tuple(builder, strides),
            code.at(_data(context, builder, b, b_array), b_start),
            code.at(_data(context, builder, c, c_array), c_start),
            c_row,
            code.at(_data(context, builder, bias, bias_array), bias_start),
            mode,
            code.splat(scale),
        )
        cases = {r: lambda r=r: _emit_tile(code, r, *operands) for r in range(1, TILE_ROWS + 1)}
        code.switch(rows, cases)
        return context.get_dummy_value()

    n = types.intp
    return types.void(n, a, n, lie, b, n, c, n, n, bias, n, n, b.dtype), codegen


def _emit_tile(code, rows, a, row, step, depth, segment, segments, b, c, c_row, bias, mode, scale):
    """The tile for a constant number of rows, so that its sums are registers."""
    builder, n = code.builder, depth.type
    zero = ir.Constant(code.vector, [0.0] * code.lanes)
    places = [(i, half) for i in range(rows) for half in range(2)]
    sums = [cgutils.alloca_once(builder, code.vector) for _ in places]
    b_offset = cgutils.alloca_once(builder, n)
    starts = [builder.mul(row, n(i)) for i in range(rows)]
    for s in sums:
        builder.store(zero, s)
    builder.store(n(0), b_offset)
    with cgutils.for_range(builder, segments) as outer:
        a_run = code.at(a, builder.mul(outer.index, segment))
        with cgutils.for_range(builder, depth) as inner:
            a_k = code.at(a_run, builder.mul(inner.index, step))
            offset = builder.load(b_offset, typ=n)
            b_k = [code.load(code.at(b, offset, n(half * code.lanes))) for half in range(2)]
            for i in range(rows):
                weight = code.splat(code.number(code.at(a_k, starts[i])))
                for half in range(2):
                    s = sums[2 * i + half]
                    total = builder.load(s, typ=code.vector)
                    builder.store(code.multiply_add(weight, b_k[half], total), s)
            builder.store(builder.add(offset, n(2 * code.lanes)), b_offset)
    out = [code.at(c, builder.mul(c_row, n(i)), n(half * code.lanes)) for i, half in places]

    def store(base):
        for (i, _), s, p in zip(places, sums, out, strict=True):
            total = builder.load(s, typ=code.vector)
            code.store(code.multiply_add(scale, total, base(i, p)), p)

    bases = {
        SET: lambda i, p: zero,
        BIAS: lambda i, p: code.splat(code.number(code.at(bias, n(i)))),
        ADD: lambda i, p: code.load(p),
    }
    code.switch(mode, {kind: lambda base=base: store(base) for kind, base in bases.items()})


@intrinsic
def transpose_block(typingctx, source, start, row, last, target, target_start, target_row):
    """A square of one vector's lanes: target[j, i] = source[i, j].

    The rows of the source are `row` apart, those after row `last` being copies of it.  The
    off-diagonal halves change places, at every scale.
    """

    def codegen(context, builder, signature, arguments):
        source_array, start, row, last, target_array, target_start, target_row = arguments
        code = _Code(context, builder, source)
        n, count = row.type, code.lanes
        p = code.at(_data(context, builder, source, source_array), start)
        q = code.at(_data(context, builder, target, target_array), target_start)
        lines = []
        for i in range(count):
            near = builder.icmp_signed("<", n(i), last)
            line = builder.select(near, n(i), last)
            lines.append(code.load(code.at(p, builder.mul(line, row))))
        step = 1
        while step < count:
            upper = _lanes([count + l - step if l & step else l for l in range(count)])
            lower = _lanes([count + l if l & step else l + step for l in range(count)])
            for i in range(count):
                if not i & step:
                    x, y = lines[i], lines[i + step]
                    lines[i] = builder.shuffle_vector(x, y, upper)
                    lines[i + step] = builder.shuffle_vector(x, y, lower)
            step *= 2
        for j, line in enumerate(lines):
            code.store(line, code.at(q, builder.mul(target_row, n(j))))
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, n, n, target, n, n), codegen
