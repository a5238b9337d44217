"""What Numba's language lacks: registers full of numbers, and calls by address.

Two intrinsics, functions whose LLVM code is emitted here: `multiply_tile`, the inner loop of all
matrix products, and `call`.  All other kernels are loops over numbers.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

__all__ = ["TILE_ROWS", "VECTOR_BYTES", "call", "multiply_tile"]


def _has(feature):
    """Whether the code that Numba makes here may use a feature of the processor."""
    if config.CPU_FEATURES is not None:  # the variable NUMBA_CPU_FEATURES
        return f"+{feature}" in config.CPU_FEATURES.split(",")
    return binding.get_host_cpu_features().get(feature, False)


# LLVM splits a wider vector than the processor has: a wrong width would cost speed alone.
VECTOR_BYTES = 64 if _has("avx512f") else 32 if _has("avx") else 16

# 2 TILE_ROWS sums, 2 columns and 1 weight fill 16 registers (32 with AVX-512 and on ARM).
TILE_ROWS = 12 if VECTOR_BYTES == 64 or _has("neon") else 6


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

    def splat(self, p):
        """The number p[0] in every lane."""
        one = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(
            one, self.builder.load(p, typ=self.real), ir.IntType(32)(0)
        )
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, one, lanes)

    def multiply_add(self, x, y, z):
        """x y + z, fused where the processor has that instruction."""
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.bytes}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [x, y, z])


def _data(context, builder, array, value):
    """Where the data of an array begin."""
    return context.make_array(array)(context, builder, value).data


@intrinsic
def multiply_tile(typingctx, rows, depth, a, b, c):
    """Add a tile of a matrix product, 1 to TILE_ROWS rows high and two registers wide::

        c[row, :] += sum over k < depth of a[row, k] b[k, :]

    whose sums are held in registers.  ``a = (array, start, row, step)``: a[row, k] is at
    start + row * (row) + k * step.  ``b = (array, start, row)``, c too: rows are contiguous.
    """

    def codegen(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")  # its code shall be there once
        code, operands = _Code(context, builder, b[0]), []
        rows, depth, *values = arguments
        for kind, value in zip((a, b, c), values, strict=True):
            array, start, *strides = cgutils.unpack_tuple(builder, value)
            operands += [code.at(_data(context, builder, kind[0], array), start), *strides]
        switch = builder.switch(rows, done := builder.append_basic_block("done"))
        for height in range(1, TILE_ROWS + 1):
            switch.add_case(rows.type(height), block := builder.append_basic_block())
            builder.position_at_end(block)
            _emit_tile(code, height, depth, *operands)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, a, b, c), codegen


def _emit_tile(code, rows, depth, a, a_row, a_step, b, b_row, c, c_row):
    """The tile for a constant number of rows, so that its sums are registers."""
    builder, n = code.builder, depth.type
    zero = ir.Constant(code.vector, [0.0] * code.lanes)
    places = [(i, half * code.lanes) for i in range(rows) for half in range(2)]
    sums = [cgutils.alloca_once_value(builder, zero) for _ in places]
    with cgutils.for_range(builder, depth) as loop:
        # Nothing moves across this: LLVM would unroll the loop and run out of registers.
        builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)
        a_k = code.at(a, builder.mul(loop.index, a_step))
        b_k = code.at(b, builder.mul(loop.index, b_row))
        columns = {lane: code.load(code.at(b_k, n(lane))) for lane in (0, code.lanes)}
        for (i, lane), s in zip(places, sums, strict=True):
            weight = code.splat(code.at(a_k, builder.mul(a_row, n(i))))
            total = builder.load(s, typ=code.vector)
            builder.store(code.multiply_add(weight, columns[lane], total), s)
    for (i, lane), s in zip(places, sums, strict=True):
        p = code.at(c, builder.mul(c_row, n(i)), n(lane))
        code.store(builder.fadd(code.load(p), builder.load(s, typ=code.vector)), p)


@intrinsic
def call(typingctx, address, arguments):
    """Call the C function at an address, with arrays as pointers to their first number."""

    def codegen(context, builder, signature, values):
        address, given = values
        given = zip(arguments, cgutils.unpack_tuple(builder, given), strict=True)
        given = [
            _data(context, builder, kind, value) if isinstance(kind, types.Array) else value
            for kind, value in given
        ]
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(builder.inttoptr(address, ir.PointerType(kind)), given)
        return context.get_dummy_value()

    return types.void(address, arguments), codegen
