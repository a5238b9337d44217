"""What Numba's language lacks: registers full of numbers, and calls by address.

Two intrinsics, functions whose LLVM code is emitted here: `multiply_tile`, the inner loop of all
matrix products, and `call`.  All other kernels are loops over numbers.  Both take arrays as the
addresses of their first numbers, ``array.ctypes.data``.
"""

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic

__all__ = ["TILE_ROWS", "VECTOR_BYTES", "call", "fma", "multiply_tile"]


def _has(feature):
    """Whether the code that Numba makes here may use a feature of the processor."""
    if config.CPU_FEATURES is not None:  # the variable NUMBA_CPU_FEATURES
        return f"+{feature}" in config.CPU_FEATURES.split(",")
    return binding.get_host_cpu_features().get(feature, False)


# LLVM splits a wider vector than the processor has: a wrong width would cost speed alone.
VECTOR_BYTES = 64 if _has("avx512f") else 32 if _has("avx") else 16

# 2 TILE_ROWS sums, 2 columns and 1 weight fill 16 registers (32 with AVX-512 and on ARM).
TILE_ROWS = 12 if VECTOR_BYTES == 64 or _has("neon") else 6


@intrinsic
def multiply_tile(typingctx, zero, rows, depth, a, b, c):
    """Add a tile of a matrix product, 1 to TILE_ROWS rows high and two registers wide::

        c[row, :] += sum over k < depth of a[row, k] b[k, :]

    whose sums are held in registers.  zero: of the dtype.  ``a = (address, row, step)``: a[row, k]
    is row * (row) + k * step bytes behind the address.  ``b = (address, row)``, c too: rows are
    contiguous.
    """

    def codegen(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")  # its code shall be there once
        zero, rows, depth, *operands = arguments
        operands = [cgutils.unpack_tuple(builder, operand) for operand in operands]
        switch = builder.switch(rows, done := builder.append_basic_block("done"))
        for height in range(1, TILE_ROWS + 1):
            switch.add_case(rows.type(height), block := builder.append_basic_block())
            builder.position_at_end(block)
            _emit_tile(builder, zero.type, height, depth, *operands)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(zero, rows, depth, a, b, c), codegen


def _emit_tile(builder, real, rows, depth, a, b, c):
    """The tile for a constant number of rows, so that its sums are registers."""
    size, n, i32 = 4 if real == ir.FloatType() else 8, depth.type, ir.IntType(32)
    vector = ir.VectorType(real, VECTOR_BYTES // size)
    zeros, lanes = ir.Constant(vector, [0.0] * vector.count), ir.VectorType(i32, vector.count)

    def pointer(kind, address, *products):
        for x, y in products:
            address = builder.add(address, builder.mul(x, y))
        return builder.inttoptr(address, ir.PointerType(kind))

    def load(p):
        return builder.load(p, align=size)

    def in_every_lane(x):
        one = builder.insert_element(ir.Constant(vector, ir.Undefined), x, i32(0))
        return builder.shuffle_vector(one, one, ir.Constant(lanes, [0] * vector.count))

    halves = [(n(half), n(VECTOR_BYTES)) for half in range(2)]
    places = [(i, half) for i in range(rows) for half in halves]
    sums = {place: cgutils.alloca_once_value(builder, zeros) for place in places}
    (a, a_row, a_step), (b, b_row), (c, c_row) = a, b, c
    with cgutils.for_range(builder, depth) as loop:
        # Nothing moves across this: LLVM would unroll the loop and run out of registers.
        builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)
        columns = {half: load(pointer(vector, b, (loop.index, b_row), half)) for half in halves}
        for (i, half), s in sums.items():
            weight = load(pointer(real, a, (loop.index, a_step), (n(i), a_row)))
            product = builder.fmul(in_every_lane(weight), columns[half], flags=("contract",))
            builder.store(builder.fadd(product, builder.load(s), flags=("contract",)), s)
    for (i, half), s in sums.items():
        p = pointer(vector, c, (n(i), c_row), half)
        builder.store(builder.fadd(load(p), builder.load(s)), p, align=size)


@intrinsic
def call(typingctx, address, arguments):
    """Call the C function at an address."""

    def codegen(context, builder, signature, values):
        given = cgutils.unpack_tuple(builder, values[1])
        kind = ir.FunctionType(ir.VoidType(), [value.type for value in given])
        builder.call(builder.inttoptr(values[0], ir.PointerType(kind)), given)
        return context.get_dummy_value()

    return types.void(address, arguments), codegen


@intrinsic
def fma(typingctx, x, y, z):
    """x y + z, rounded once."""
    return x(x, y, z), lambda context, builder, signature, values: builder.fma(*values)
