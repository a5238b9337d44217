"""What Numba's language lacks: pointers, registers full of numbers, and the register tile.

`_kernels_numba.py` is written with these as `_kernels.pyx` is written with `_cython/vector.h`.
There are two kinds of code here.

* **Intrinsics** are called in compiled functions.  ``pointer(array)`` is C's ``real *``,
  with ``p + 3``, ``p[3]`` and ``p[3] = x``; `dot_tile` and `transpose_block` are
  inner loops that keep their numbers in registers.
* A `Vector` is one register of LANES numbers **while an intrinsic is being made**: that
  happens once, in Python, and ``x * y + 1.0`` then emits LLVM's instructions for it.
  `elementwise` makes an intrinsic out of such formulas.

Products and sums are marked ``contract``: they may become one fused multiply-add where the
processor has it.  No other fast-math flag is used, so NaN, infinity, signed zeros and
subnormal numbers keep their meaning.

Numba's cache looks at the date of the file of the function that it keeps, which is
`_kernels_numba.py`: after a change here, touch that file too.
"""

import operator
from contextlib import contextmanager

import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic, lower_builtin, type_callable

__all__ = [
    "DOT_COLUMNS",
    "DOT_ROWS",
    "MOST_LANES",
    "TILE_ROWS",
    "copy_vectors",
    "dot_tile",
    "elementwise",
    "gather_vectors",
    "is_null",
    "lanes",
    "lanes_of",
    "magnitude",
    "null",
    "pointer",
    "power_of_two",
    "register_tile",
    "round_to_integer",
    "softmax_backward",
    "softmax_vectors",
    "split_exponent",
    "stack",
    "transpose_block",
    "where_less",
    "with_sign",
]


def _has(feature):
    """Whether the code that Numba makes here may use a feature of the processor."""
    if config.CPU_FEATURES is not None:  # the variable NUMBA_CPU_FEATURES
        return f"+{feature}" in config.CPU_FEATURES.split(",")
    return binding.get_host_cpu_features().get(feature, False)


# LLVM splits a wider vector than the processor has: a wrong width would cost speed alone.
VECTOR_BYTES = 64 if _has("avx512f") else 32 if _has("avx") else 16
MOST_LANES = VECTOR_BYTES // 4

# 2 TILE_ROWS sums, 2 columns and 1 weight fill 16 registers (32 with AVX-512 and on ARM).
TILE_ROWS = 12 if VECTOR_BYTES == 64 or _has("neon") else 6
DOT_ROWS, DOT_COLUMNS = 3, 4


def lanes_of(dtype):
    """Numbers of a NumPy dtype in one register."""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


# --- vectors, while code is emitted -------------------------------------------------------------


class Vector:
    """One register of float32 or float64 numbers; ``+ - * /`` emit instructions.

    The other operand may be a Python number, which then stands in every lane.
    """

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    @property
    def is_float32(self):
        return isinstance(self.value.type.element, ir.FloatType)

    def like(self, x):
        """The number x in every lane."""
        if isinstance(x, Vector):
            return x
        return Vector(self.builder, _all(self.value.type, x))

    def _emit(self, instruction, x, y):
        value = getattr(self.builder, instruction)(
            self.like(x).value, self.like(y).value, flags=("contract",)
        )
        return Vector(self.builder, value)

    def __add__(self, other):
        return self._emit("fadd", self, other)

    def __radd__(self, other):
        return self._emit("fadd", other, self)

    def __sub__(self, other):
        return self._emit("fsub", self, other)

    def __rsub__(self, other):
        return self._emit("fsub", other, self)

    def __mul__(self, other):
        return self._emit("fmul", self, other)

    def __rmul__(self, other):
        return self._emit("fmul", other, self)

    def __truediv__(self, other):
        return self._emit("fdiv", self, other)

    def __rtruediv__(self, other):
        return self._emit("fdiv", other, self)

    def __neg__(self):
        return Vector(self.builder, self.builder.fneg(self.value))


def where_less(x, y, a, b):
    """a where x < y, else b, lane by lane.  NaN is not less: the choice falls on b."""
    vector = next(v for v in (x, y, a, b) if isinstance(v, Vector))
    x, y, a, b = (vector.like(v).value for v in (x, y, a, b))
    builder = vector.builder
    return Vector(builder, builder.select(builder.fcmp_ordered("<", x, y), a, b))


def magnitude(x):
    """|x|."""
    return _call("fabs", x)


def with_sign(x, sign):
    """|x| with the sign of `sign`."""
    return _call("copysign", x, sign)


def _call(name, *vectors):
    """A function of LLVM on vectors, such as llvm.fabs.v8f32."""
    builder, vector = vectors[0].builder, vectors[0].value.type
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(vector, [vector] * len(vectors)),
        f"llvm.{name}.v{vector.count}f{8 * _size(vector.element)}",
    )
    return Vector(builder, builder.call(function, [x.value for x in vectors]))


# Bits of the mantissa, bias of the exponent, and 1.5 * 2^mantissa: adding that to x leaves
# the integer nearest to x in the low bits.
_FORMATS = {
    True: (np.float32, np.int32, 23, 127, 1.5 * 2.0**23),
    False: (np.float64, np.int64, 52, 1023, 1.5 * 2.0**52),
}


def round_to_integer(x):
    """(shifted, n): n is the integer nearest to x, and the low bits of `shifted` are n's."""
    magic = _FORMATS[x.is_float32][-1]
    shifted = x + magic
    return shifted, shifted - magic


def power_of_two(shifted, offset):
    """2^(n + offset) for `shifted` from `round_to_integer`."""
    builder = shifted.builder
    _, _, mantissa, bias, _ = _FORMATS[shifted.is_float32]
    bits = builder.bitcast(shifted.value, _integers(shifted))
    power = builder.shl(bits, _all(bits.type, mantissa))
    power = builder.add(power, _all(bits.type, (bias + offset) << mantissa))
    return Vector(builder, builder.bitcast(power, shifted.value.type))


def split_exponent(x):
    """(m, k): x = m 2^k with m in [sqrt(1/2), sqrt(2)), for normal x > 0."""
    builder = x.builder
    real, integer, mantissa, bias, magic = _FORMATS[x.is_float32]
    below_one = int(real(1).view(integer)) - int(real(0.5**0.5).view(integer))
    magic_bits = int(real(magic).view(integer))
    bits = builder.bitcast(x.value, _integers(x))
    shift = _all(bits.type, mantissa)
    biased = builder.lshr(builder.add(bits, _all(bits.type, below_one)), shift)
    k = builder.bitcast(builder.add(biased, _all(bits.type, magic_bits - bias)), x.value.type)
    exponent = builder.shl(builder.sub(biased, _all(bits.type, bias)), shift)
    m = builder.bitcast(builder.sub(bits, exponent), x.value.type)
    return Vector(builder, m), Vector(builder, k) - magic


def _integers(x):
    """The type of the bits of x as integers."""
    return ir.VectorType(ir.IntType(8 * _size(x.value.type.element)), x.value.type.count)


def _all(vector, x):
    """The constant of x in every lane."""
    return ir.Constant(vector, [x] * vector.count)


def _size(real):
    return 4 if isinstance(real, ir.FloatType) else 8


def _lane_numbers(numbers):
    """Which lanes a shuffle takes."""
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))


class _Code:
    """What an intrinsic emits, for pointers to one type of numbers."""

    def __init__(self, context, builder, p):
        real = context.get_value_type(p.dtype)
        self.builder = builder
        builder.function.attributes.add("optsize")
        self.lanes = VECTOR_BYTES // _size(real)
        self.vector = ir.VectorType(real, self.lanes)

    def at(self, p, *offsets):
        """p + the offsets, each a Python integer or emitted."""
        for offset in offsets:
            p = self.builder.gep(p, [ir.IntType(64)(offset) if type(offset) is int else offset])
        return p

    def load(self, p, *offsets):
        """The vector p[0], p[1], ...; any alignment."""
        p = self.builder.bitcast(self.at(p, *offsets), self.vector.as_pointer())
        value = self.builder.load(p, align=_size(self.vector.element))
        return Vector(self.builder, value)

    def store(self, v, p, *offsets):
        """p[0], p[1], ... = v."""
        p = self.builder.bitcast(self.at(p, *offsets), self.vector.as_pointer())
        self.builder.store(v.value, p, align=_size(self.vector.element))

    def splat(self, x):
        """The emitted number or Python number x in every lane."""
        if isinstance(x, float):
            return Vector(self.builder, _all(self.vector, x))
        one = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(one, x, ir.IntType(32)(0))
        value = self.builder.shuffle_vector(one, one, _lane_numbers([0] * self.lanes))
        return Vector(self.builder, value)

    def variable(self, v):
        """A variable that starts as v; read and written as ``variable[0]``."""
        return _Variables(self.builder, [v])

    @contextmanager
    def loop(self, count):
        """``for index in range(count)``."""
        with cgutils.for_range(self.builder, count) as loop:
            yield loop.index

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

    def sum_lanes(self, v):
        """The sum of the lanes, halves first: ((0+4)+(2+6)) + ((1+5)+(3+7)) for eight."""
        builder, value = self.builder, v.value
        while value.type.count > 1:
            half = value.type.count // 2
            low = builder.shuffle_vector(value, value, _lane_numbers(range(half)))
            high = builder.shuffle_vector(value, value, _lane_numbers(range(half, 2 * half)))
            value = builder.fadd(low, high)
        return builder.extract_element(value, ir.IntType(32)(0))


class _Variables:
    """Vectors that change while the emitted code runs; LLVM keeps them in registers."""

    def __init__(self, builder, vectors):
        self.builder = builder
        self.slots = [cgutils.alloca_once(builder, v.value.type) for v in vectors]
        for i, v in enumerate(vectors):
            self[i] = v

    def __getitem__(self, i):
        return Vector(self.builder, self.builder.load(self.slots[i]))

    def __setitem__(self, i, v):
        self.builder.store(v.value, self.slots[i])

    def add_product(self, i, x, y):
        """self[i] += x y, fused where the processor has that instruction."""
        self[i] = _call("fmuladd", x, y, self[i])


# --- pointers -----------------------------------------------------------------------------------


@type_callable(operator.add)
def _type_advance(context):
    def typer(p, n):
        return p if isinstance(p, types.CPointer) and isinstance(n, types.Integer) else None

    return typer


@lower_builtin(operator.add, types.CPointer, types.Integer)
def _advance(context, builder, signature, arguments):
    n = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.gep(arguments[0], [n])


@intrinsic
def pointer(typingctx, array):
    """Where the data of an array begin."""

    def codegen(context, builder, signature, arguments):
        builder.function.attributes.add("optsize")
        return context.make_array(array)(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), codegen


@intrinsic
def lanes(typingctx, p):
    """Numbers in one register, of the type that p points to: a constant."""

    def codegen(context, builder, signature, arguments):
        builder.function.attributes.add("optsize")
        return context.get_constant(types.intp, VECTOR_BYTES * 8 // p.dtype.bitwidth)

    return types.intp(p), codegen


def _pointer_type(like):
    """The type of the pointer `like`, or of a pointer to numbers of the NumPy type `like`."""
    return like if isinstance(like, types.CPointer) else types.CPointer(like.instance_type)


@intrinsic
def null(typingctx, like):
    """The pointer to nothing; `like` is another pointer, or a type such as np.uint32."""
    result = _pointer_type(like)

    def codegen(context, builder, signature, arguments):
        return ir.Constant(context.get_value_type(result), None)

    return result(like), codegen


@intrinsic
def is_null(typingctx, p):
    """Whether p points to nothing."""

    def codegen(context, builder, signature, arguments):
        return cgutils.is_null(builder, arguments[0])

    return types.boolean(p), codegen


@intrinsic(prefer_literal=True)
def stack(typingctx, like, count):
    """A pointer to room for `count` numbers, a constant, until the function returns.

    `like` is another pointer, or a type such as np.int64.
    """
    result = _pointer_type(like)

    def codegen(context, builder, signature, arguments):
        element = context.get_value_type(result.dtype)
        return cgutils.alloca_once(builder, element, size=count.literal_value)

    return result(like, count), codegen


# --- loops over vectors ---------------------------------------------------------------------------


@intrinsic
def copy_vectors(typingctx, target, source):
    """target[...] = source[...] for two vectors, one row of a panel."""

    def codegen(context, builder, signature, arguments):
        code = _Code(context, builder, target)
        for start in (0, code.lanes):
            code.store(code.load(arguments[1], start), arguments[0], start)
        return context.get_dummy_value()

    return types.void(target, source), codegen


@intrinsic
def gather_vectors(typingctx, target, source, order):
    """target[j] = source[order[j]] for two vectors, one row of a panel."""

    def codegen(context, builder, signature, arguments):
        target_p, source_p, order_p = arguments
        code = _Code(context, builder, target)
        for start in (0, code.lanes):
            value = ir.Constant(code.vector, ir.Undefined)
            for lane in range(code.lanes):
                j = builder.zext(builder.load(code.at(order_p, start + lane)), ir.IntType(64))
                number = builder.load(code.at(source_p, j))
                value = builder.insert_element(value, number, ir.IntType(32)(lane))
            code.store(Vector(builder, value), target_p, start)
        return context.get_dummy_value()

    return types.void(target, source, order), codegen


def elementwise(formulas, accumulate=False):
    """Make the intrinsic ``f(which, count, out, out_step, x, y, step, number)``.

    It works on `count` vectors, `step` apart in x and y and `out_step` in out::

        out = formulas[which](x, y, number)       or, with accumulate, out +=

    where a formula takes and returns a `Vector`.  A `which` that has no formula does nothing.
    """

    @intrinsic
    def apply(typingctx, which, count, out, out_step, x, y, step, number):
        n = types.intp
        signature = types.void(n, n, out, n, x, y, n, types.float64)

        def codegen(context, builder, signature, arguments):
            which, count, out, out_step, x, y, step, number = arguments
            code = _Code(context, builder, signature.args[2])
            number = code.splat(
                context.cast(builder, number, types.float64, signature.args[2].dtype)
            )

            def emit(formula):
                with code.loop(count) as i:
                    at, out_at = builder.mul(i, step), builder.mul(i, out_step)
                    result = formula(code.load(x, at), code.load(y, at), number)
                    if accumulate:
                        result = code.load(out, out_at) + result
                    code.store(result, out, out_at)

            code.switch(which, {k: lambda f=f: emit(f) for k, f in formulas.items()})
            return context.get_dummy_value()

        return signature, codegen

    return apply


def softmax_vectors(exp_negative):
    """Make the intrinsic ``f(z, count, step)``: softmax, in place, of each lane of `count`
    vectors, `step` apart.  The largest is subtracted first, so that exp cannot overflow."""

    @intrinsic
    def softmax(typingctx, z, count, step):
        def codegen(context, builder, signature, arguments):
            p, count, step = arguments
            code = _Code(context, builder, z)
            largest = code.variable(code.splat(float("-inf")))
            total = code.variable(code.splat(0.0))
            with code.loop(count) as k:
                v = code.load(p, builder.mul(k, step))
                largest[0] = where_less(largest[0], v, v, largest[0])
            with code.loop(count) as k:
                at = builder.mul(k, step)
                e = exp_negative(code.load(p, at) - largest[0])
                code.store(e, p, at)
                total[0] = total[0] + e
            with code.loop(count) as k:
                at = builder.mul(k, step)
                code.store(code.load(p, at) / total[0], p, at)
            return context.get_dummy_value()

        return types.void(z, types.intp, types.intp), codegen

    return softmax


@intrinsic
def softmax_backward(typingctx, da, a, count, step):
    """da = a (da - sum(da a)), in place, for each lane of `count` vectors, `step` apart."""

    def codegen(context, builder, signature, arguments):
        p, q, count, step = arguments
        code = _Code(context, builder, a)
        inner = code.variable(code.splat(0.0))
        with code.loop(count) as k:
            at = builder.mul(k, step)
            inner[0] = inner[0] + code.load(p, at) * code.load(q, at)
        with code.loop(count) as k:
            at = builder.mul(k, step)
            code.store(code.load(q, at) * (code.load(p, at) - inner[0]), p, at)
        return context.get_dummy_value()

    return types.void(da, a, types.intp, types.intp), codegen


# --- blocks of vectors ----------------------------------------------------------------------------


@intrinsic
def transpose_block(typingctx, source, offsets, target, stride):
    """target[j * stride + i] = source[offsets[i] + j] for i and j below lanes(source).

    The off-diagonal halves change places, at every scale.
    """

    def codegen(context, builder, signature, arguments):
        source_p, offsets_p, target_p, stride_n = arguments
        code = _Code(context, builder, source)
        count = code.lanes
        rows = [code.load(source_p, builder.load(code.at(offsets_p, i))) for i in range(count)]
        rows = [row.value for row in rows]
        step = 1
        while step < count:
            upper = [count + l - step if l & step else l for l in range(count)]
            lower = [count + l if l & step else l + step for l in range(count)]
            for i in range(count):
                if not i & step:
                    a, b = rows[i], rows[i + step]
                    rows[i] = builder.shuffle_vector(a, b, _lane_numbers(upper))
                    rows[i + step] = builder.shuffle_vector(a, b, _lane_numbers(lower))
            step *= 2
        for j, row in enumerate(rows):
            code.store(Vector(builder, row), target_p, builder.mul(stride_n, stride_n.type(j)))
        return context.get_dummy_value()

    return types.void(source, offsets, target, types.intp), codegen


def register_tile(stores):
    """Make the intrinsic `tiles`: products of a few rows, whose sums are held in registers.

    For each tile, 1 to TILE_ROWS rows high and a panel (two vectors) wide::

        c[row, :] = store(initial[row] + sum over k of a[row, k] b[k, :])

    ``a[row, k]`` lies at row * row_stride + k * k_stride, in `segments` runs of `depth`
    values of k each, the runs segment_stride apart; the rows of c are c_stride apart.
    `initial` may be null, for zeros; with `resume` the sum goes on from what c holds.
    `count` tiles follow each other, each step after step further: a_step, b_step,
    initial_step and c_step.

    ``stores[at_store](sum, c, A, number)`` makes what is stored out of a sum; c and A are
    functions that load what c held and, placed as in c but PANEL apart, what A holds.
    """

    @intrinsic
    def tiles(
        typingctx, rows, count, a, a_step, row_stride, k_stride, depth, segments, segment_stride,
        b, b_step, initial, initial_step, c, c_step, c_stride, resume, at_store, number, A,
    ):  # fmt: skip
        n = types.intp

        def codegen(context, builder, signature, arguments):
            builder.function.attributes.add("noinline")
            code = _Code(context, builder, a)
            rows, *operands, number, A = arguments
            number = code.splat(context.cast(builder, number, types.float64, a.dtype))

            def emit(r):
                return lambda: _emit_tiles(code, stores, r, *operands, number, A)

            code.switch(rows, {r: emit(r) for r in range(1, TILE_ROWS + 1)})
            return context.get_dummy_value()

        signature = types.void(
            n, n, a, n, n, n, n, n, n, b, n, initial, n, c, n, n, n, n, types.float64, A
        )
        return signature, codegen

    return tiles


def _emit_tiles(
    code, stores, rows, count, a, a_step, row_stride, k_stride, depth, segments, segment_stride,
    b, b_step, initial, initial_step, c, c_step, c_stride, resume, at_store, number, A,
):  # fmt: skip
    """The tiles for a constant number of rows, so that their sums are registers.

    With few rows there are too few sums to hide the latency of the multiply-add: the
    k are then dealt out to `sets` sets of sums, which are added up at the end.
    """
    builder, n = code.builder, depth.type
    sets = max(s for s in (1, 2, 4) if s == 1 or s * rows <= TILE_ROWS)
    zero = code.splat(0.0)
    sums = _Variables(builder, [zero] * (2 * rows * sets))
    row_starts = [builder.mul(row_stride, n(i)) for i in range(rows)]
    at_a, at_b = cgutils.alloca_once(builder, a.type), cgutils.alloca_once(builder, b.type)
    places = [(i, half) for i in range(rows) for half in (0, code.lanes)]

    def step(first_sum):
        p, q = builder.load(at_a), builder.load(at_b)
        left, right = code.load(q), code.load(q, code.lanes)
        for i in range(rows):
            weight = code.splat(builder.load(code.at(p, row_starts[i])))
            sums.add_product(first_sum + 2 * i, weight, left)
            sums.add_product(first_sum + 2 * i + 1, weight, right)
        builder.store(code.at(p, k_stride), at_a)
        builder.store(code.at(q, 2 * code.lanes), at_b)

    with code.loop(count) as t:
        out, A_out = (code.at(p, builder.mul(t, c_step)) for p in (c, A))
        outs = [code.at(out, builder.mul(c_stride, n(i)), half) for i, half in places]
        for i in range(2 * rows * sets):
            sums[i] = zero
        with builder.if_then(cgutils.is_not_null(builder, initial)):
            first = code.at(initial, builder.mul(t, initial_step))
            for i in range(rows):
                sums[2 * i] = sums[2 * i + 1] = code.splat(builder.load(code.at(first, i)))
        with builder.if_then(cgutils.is_true(builder, resume)):
            for i, p in enumerate(outs):
                sums[i] = code.load(p)
        first_a = code.at(a, builder.mul(t, a_step))
        builder.store(code.at(b, builder.mul(t, b_step)), at_b)
        with code.loop(segments) as segment:
            builder.store(code.at(first_a, builder.mul(segment, segment_stride)), at_a)
            with code.loop(builder.udiv(depth, n(sets))):
                for s in range(sets):
                    step(2 * rows * s)
            if sets > 1:
                with code.loop(builder.urem(depth, n(sets))):
                    step(0)
        for s in range(1, sets):
            for i in range(2 * rows):
                sums[i] = sums[i] + sums[2 * rows * s + i]

        def emit_store(store):
            for i, (row, half) in enumerate(places):
                at = row * 2 * code.lanes + half
                v = store(
                    sums[i],
                    lambda i=i: code.load(outs[i]),
                    lambda at=at: code.load(A_out, at),
                    number,
                )
                code.store(v, outs[i])

        code.switch(at_store, {k: lambda f=f: emit_store(f) for k, f in stores.items()})


@intrinsic
def dot_tile(
    typingctx, rows, columns, x, x_row, x_step, y, y_column, y_step, count, scale, out, out_row,
    out_column,
):  # fmt: skip
    """``out[i, j] += scale * sum over k of x[i, k] y[j, k]``: the lanes run along the sum.

    1 or DOT_ROWS rows i and 1, 2 or DOT_COLUMNS columns j.  The k come in `count` runs of two
    vectors, x_step apart in x and y_step in y.
    """
    n = types.intp

    def codegen(context, builder, signature, arguments):
        code = _Code(context, builder, x)
        rows, columns, *operands = arguments
        operands[7] = context.cast(builder, operands[7], types.float64, x.dtype)
        cases = {
            10 * r + c: lambda r=r, c=c: _emit_dots(code, r, c, *operands)
            for r in (1, DOT_ROWS)
            for c in (1, 2, DOT_COLUMNS)
        }
        code.switch(builder.add(builder.mul(rows, rows.type(10)), columns), cases)
        return context.get_dummy_value()

    return types.void(n, n, x, n, n, y, n, n, n, types.float64, out, n, n), codegen


def _emit_dots(
    code, rows, columns, x, x_row, x_step, y, y_column, y_step, count, scale, out, out_row,
    out_column,
):  # fmt: skip
    """The dot products for constant numbers of rows and columns."""
    builder, n = code.builder, count.type
    products = rows * columns
    sets = 2 if products <= 6 else 1  # the two vectors of a run get sums of their own
    sums = _Variables(builder, [code.splat(0.0)] * (products * sets))
    x_starts = [builder.mul(x_row, n(i)) for i in range(rows)]
    y_starts = [builder.mul(y_column, n(j)) for j in range(columns)]
    with code.loop(count) as run:
        x_run = code.at(x, builder.mul(run, x_step))
        y_run = code.at(y, builder.mul(run, y_step))
        for half in range(2):
            x_k = [code.load(x_run, start, half * code.lanes) for start in x_starts]
            for j, start in enumerate(y_starts):
                y_k = code.load(y_run, start, half * code.lanes)
                for i in range(rows):
                    sums.add_product(half % sets * products + i * columns + j, x_k[i], y_k)
    for i in range(rows):
        for j in range(columns):
            total = sums[i * columns + j]
            if sets == 2:
                total = total + sums[products + i * columns + j]
            total = builder.fmul(code.sum_lanes(total), scale)
            p = code.at(out, builder.mul(out_row, n(i)), builder.mul(out_column, n(j)))
            builder.store(builder.fadd(builder.load(p), total), p)
