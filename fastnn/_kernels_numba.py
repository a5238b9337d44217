"""The Numba kernels: the equations of ``_kernels_numpy.py``, compiled when first called.

The contract, shapes and codes stand in ``_kernels_numpy.py``; this page is the twin of
``_kernels.pyx``, function by function, and works as described there: examples go through
the network in blocks of panels that stay in the cache, and one register tile serves the
three products ``W A_prev + b``, ``W^T dZ`` and ``dZ A_prev^T``.  Pointers and vectors are
those of `_numba/tile.py`.

Each function of the contract hands its arrays to one compiled function, which takes any
strides: it is compiled once for each dtype, and Numba keeps the result on disk.
"""

import functools
import itertools
import time

import numba
import numpy as np
from numba.core import types

from fastnn._numba.parts import part_compiler
from fastnn._numba.tile import (
    DOT_COLUMNS,
    DOT_ROWS,
    MOST_LANES,
    TILE_ROWS,
    copy_vectors,
    dot_tile,
    elementwise,
    gather_vectors,
    is_null,
    lanes,
    lanes_of,
    magnitude,
    null,
    pointer,
    power_of_two,
    register_tile,
    round_to_integer,
    softmax_backward,
    softmax_vectors,
    split_exponent,
    stack,
    transpose_block,
    where_less,
    with_sign,
)

__all__ = [
    "ACTIVATION_CODES",
    "LOSS_CODES",
    "Network",
    "activate",
    "activation_backward",
    "activation_derivative",
    "all_finite",
    "dense_backward",
    "dense_forward",
    "output_cost",
    "shuffle",
]

LINEAR, SIGMOID, TANH, RELU, LEAKY_RELU, SOFTMAX = range(6)
MSE, BINARY_CROSS_ENTROPY, CROSS_ENTROPY = range(3)

ACTIVATION_CODES = {
    "linear": LINEAR,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "leaky_relu": LEAKY_RELU,
    "softmax": SOFTMAX,
}
LOSS_CODES = {
    "mse": MSE,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "cross_entropy": CROSS_ENTROPY,
}

# Of a sum, what is taken at a time: its panel of 32 KB stays in the L1 cache.
DEPTH = 512
# Numbers of W^T that are copied side by side, which stay in the L2 cache; for a product of at
# least so many panels and weights.
SLAB, PACK_PANELS, PACK_SIZE = 1 << 16, 8, 4096
# Bytes of all panels of a block, and its examples: enough for the sums of dW.
BLOCK_BYTES = 1 << 22
BLOCK_COLUMNS = 256
# Bytes of packed examples that training keeps ahead: see `pack_blocks`.
CHUNK_BYTES = 1 << 22
# Seconds between two looks for Ctrl-C.
POLL_SECONDS = 0.05
# Multiplications between two looks elsewhere: some 20 ms.
POLL_WORK = 1e9
# Panels that are packed side by side.
GROUP = 4
# So few examples are computed one by one, as rows of a matrix-vector product.
FEW = 4

# Up to so many rows, a single layer is computed from X as it stands, so many columns at a time:
# each number of X is used so little that packing it would take longer than the product.
THIN, THIN_COLUMNS = 3, 4096
# Examples that are contiguous must have so many numbers for it.
THIN_DOT = 128

# Numbers that an elementwise kernel takes at a time, and of a row to go along.
RUN, LONG_ROW = 1024, 32

# As arguments these are numbers; the literals 0 and 1 would be types, and compiled for apart.
ZERO, ONE = np.int64(0), np.int64(1)

EIGHT_VECTORS = 8 * MOST_LANES
MOST_PANEL = 2 * MOST_LANES


# --- compilation -------------------------------------------------------------------------

# error_model: a division by zero is inf, as in NumPy, and no branch.  contract: a product
# and a sum may become one fused multiply-add.
OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}


# Inner functions are not called from Python and need no wrapper for it, which saves half a
# second of compilation in each.
jit = numba.njit(
    no_cpython_wrapper=True, no_cfunc_wrapper=True, pipeline_class=part_compiler(), **OPTIONS
)


class PerDtype(dict):
    """A function, compiled for a dtype when first asked for: ``function["f"](...)``.

    `parameters` has a letter for each parameter of the function: m and M a matrix of any
    strides that is read, that is written; v and V a flat vector; o and O a uint32 matrix;
    n integers, x float64 numbers; i, j and f one integer, uint64 and float64.  With these
    types given, arrays of any layout go to the same machine code, read-only ones too.
    """

    def __init__(self, parameters, function):
        super().__init__()
        self.parameters, self.function = parameters, function
        self.compiled = []

    def __missing__(self, char):
        signature = _signature(self.parameters, types.float32 if char == "f" else types.float64)
        try:
            compiled = numba.njit(signature, cache=True, **OPTIONS)(self.function)
        except RuntimeError:  # no folder to keep it in
            compiled = numba.njit(signature, **OPTIONS)(self.function)
        self.compiled.append(compiled)
        # The function itself: its types are known, Numba need not look at them in each call.
        return self.setdefault(char, compiled.overloads[signature].entry_point)


def _signature(parameters, real):
    kinds = {
        "m": types.Array(real, 2, "A", readonly=True),
        "M": types.Array(real, 2, "A"),
        "v": types.Array(real, 1, "C", readonly=True),
        "V": types.Array(real, 1, "C"),
        "o": types.Array(types.uint32, 2, "A", readonly=True),
        "O": types.Array(types.uint32, 2, "A"),
        "n": types.Array(types.int64, 1, "C"),
        "x": types.Array(types.float64, 1, "A"),
        "i": types.int64,
        "j": types.uint64,
        "f": types.float64,
    }
    return tuple(kinds[letter] for letter in parameters)


def per_dtype(parameters):
    """Decorator that makes a `PerDtype`."""
    return lambda function: PerDtype(parameters, function)


# --- formulas on vectors -----------------------------------------------------------------

# Minimax fits of our own, made by bench/fit_polynomials.py (Remez exchange in 60-digit
# arithmetic), lowest power first.  The fit's largest errors are 6.3e-8 r^2 and 1.0e-16 r^2
# in exp, 1.9e-7 s^3 and 3.1e-16 s^3 in log.
EXP_FLOAT32 = (0.500000003, 0.166665766, 0.0416663741, 0.00836323507, 0.00139412183)
EXP_FLOAT64 = (
    0.500000000000000103,
    0.166666666666666746,
    0.0416666666666238165,
    0.00833333333332212591,
    0.00138888889173687614,
    0.000198412698868390161,
    0.0000248015210556420949,
    2.7557242056713642e-6,
    2.76202025140020306e-7,
    2.51101552319433711e-8,
)
LOG_FLOAT32 = (0.666666854, 0.399886727, 0.295841297)
LOG_FLOAT64 = (
    0.666666666666666977,
    0.399999999998972606,
    0.285714286269342589,
    0.222222109857908482,
    0.181828995431081775,
    0.153313872670050652,
    0.14620458693301011,
)
# tanh(a / 2) = N / D for float32: (N - a) / a^3 and (D - 2) / a^2 in powers of a^2.
TANH_HALF_N = (0.0297783666, 0.000114353255)
TANH_HALF_D = (0.226223332, 0.00241405594, 2.4622294e-6)
# For float64: (tanh(a) - a) / a^3 in powers of z = a^2, a <= 0.625: relative error of tanh 4e-19.
TANH_FLOAT64 = (
    -0.333333333333333128,
    0.133333333333297429,
    -0.0539682539660589254,
    0.0218694884687155444,
    -0.00886323431257701873,
    0.00359211399984078900,
    -0.00145572594778540967,
    0.000589451797687173787,
    -0.000237011726682854028,
    0.0000915584058719720067,
    -0.0000301872147940714419,
    0.00000604246590980805124,
)
TINY_FLOAT32 = float(np.finfo(np.float32).tiny)
TINY_FLOAT64 = float(np.finfo(np.float64).tiny)
LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453


def maximum(x, y):
    """x if x > y, else y: a NaN in y comes through."""
    return where_less(y, x, x, y)


def minimum(x, y):
    """x if x < y, else y: a NaN in y comes through."""
    return where_less(x, y, x, y)


def polynomial(x, coefficients):
    """c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule."""
    *rest, value = coefficients
    for c in reversed(rest):
        value = value * x + c
    return value


def exp_reduce(x):
    """(shifted, r): x = n ln 2 + r with n = round(x / ln 2); `shifted` holds n.

    ln 2 is split in two so that n * (the first part) is exact (Cody and Waite, "Software
    manual for the elementary functions", 1980).
    """
    shifted, n = round_to_integer(x * LOG2_E)
    if x.is_float32:
        return shifted, (x - n * 0.693145751953125) - n * 1.4286068203094172e-6
    return shifted, (x - n * 0.6931471803691238) - n * 1.9082149292705878e-10


def expm1_reduced(r):
    """exp(r) - 1 for |r| <= ln(2) / 2: r + r^2 q(r)."""
    return r * r * polynomial(r, EXP_FLOAT32 if r.is_float32 else EXP_FLOAT64) + r


def exp_negative(x):
    """exp(x) for x <= 0 or NaN; subnormal results are rounded once, -inf gives 0."""
    # Below the clamp the result is 0 all the same, and n stays within the exponent's range.
    shifted, r = exp_reduce(maximum(-104.0 if x.is_float32 else -746.0, x))
    # 2^n may be subnormal: scale by 2^(n + 64) first, exactly, then by 2^-64.
    return (expm1_reduced(r) + 1.0) * power_of_two(shifted, 64) * 2.0**-64


def sigmoid(x):
    """1 / (1 + exp(-x)), as e / (1 + e) or 1 / (1 + e) with e = exp(-|x|): both tails exact."""
    e = exp_negative(-magnitude(x))
    numerator = where_less(x, 0.0, e, 1.0)
    denominator = e + 1.0
    if x.is_float32:
        return numerator / denominator
    # One correction of the quotient, with what rounding took from 1 + e.
    inverse = 1.0 / denominator
    a = numerator * inverse
    lost = e - (denominator - 1.0)
    residual = (numerator - a * denominator) - a * lost
    return a + residual * inverse


def tanh_by_half(x):
    """tanh |x| in float32: 2 N D / (2 N D + (D - N)^2), where N / D = tanh |x / 2|.

    Near 1, where N and D are nearly equal, an error of theirs hardly counts.
    """
    c = minimum(9.0, magnitude(x))  # beyond, the result is 1
    z = c * c
    n = c * z * polynomial(z, TANH_HALF_N) + c
    u = z * polynomial(z, TANH_HALF_D)  # D = 2 + u, whose last bits would be lost
    twice_nd = n * u + (n + n)
    twice_nd = twice_nd + twice_nd
    difference = u - n
    return twice_nd / ((difference * (difference + 4.0) + twice_nd) + 4.0)


def tanh_by_exp(x):
    """tanh |x| in float64: 1 - 2e / (1 + e) with e = exp(-2|x|), or a series."""
    a = magnitude(x)
    shifted, r = exp_reduce(maximum(-40.0, -2.0 * a))  # tanh(20) rounds to 1
    e = power_of_two(shifted, 0) * (expm1_reduced(r) + 1.0)
    large = 1.0 - (e + e) / (e + 1.0)
    z = a * a
    small = a + a * z * polynomial(z, TANH_FLOAT64)
    return where_less(a, 0.625, small, large)


def tanh(x):
    """tanh |x|, and the sign of x."""
    return with_sign(tanh_by_half(x) if x.is_float32 else tanh_by_exp(x), x)


def log(x):
    """ln x for normal x > 0: k ln 2 + 2 s + s^3 q(s^2), s = (m - 1) / (m + 1), x = m 2^k."""
    m, k = split_exponent(x)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    q = polynomial(z, LOG_FLOAT32 if x.is_float32 else LOG_FLOAT64)
    # 2 s = f - s f keeps the last bits of f; x - x is 0, or NaN where x is.
    return k * LN_2 + (f - s * (f - z * q)) + (x - x)


def log_of_one_minus(a):
    """ln(1 - a) for 0 <= a < 1, with the bits of a that 1 - a loses."""
    rest = 1.0 - a
    return log(rest) + ((1.0 - rest) - a) / rest


def log_of_probability(a):
    """ln a, with a no less than the smallest normal number."""
    return log(maximum(TINY_FLOAT32 if a.is_float32 else TINY_FLOAT64, a))


def cross_entropy(a, y):
    return -y * log_of_probability(a)


def binary_cross_entropy(a, y):
    below_one = 1 - (2.0**-24 if a.is_float32 else 2.0**-53)
    log_of_rest = log_of_one_minus(minimum(below_one, a))
    return -(y * log_of_probability(a) + (1.0 - y) * log_of_rest)


def relu(z):
    """z, or 0 where z < 0: that is false for NaN, which stays."""
    return where_less(z, 0.0, 0.0, z)


def leaky_relu(z, slope):
    return where_less(0.0, z, z, z * slope)


# dA g'(z), written from the output a.
BACKWARD = {
    LINEAR: lambda da, a, slope: da,
    SIGMOID: lambda da, a, slope: da * (a * (1.0 - a)),
    TANH: lambda da, a, slope: da * (1.0 - a * a),
    RELU: lambda da, a, slope: da * where_less(0.0, a, 1.0, 0.0),
    LEAKY_RELU: lambda da, a, slope: da * where_less(0.0, a, 1.0, slope),
}
# What becomes of the sums of a tile: g(sum) for the short ones, c + number * sum, or, for
# DERIVATIVE + an activation's code, sum * g'.
ADD, DERIVATIVE = 8, 16
tiles = register_tile(
    {
        LINEAR: lambda z, c, a, number: z,
        RELU: lambda z, c, a, number: relu(z),
        LEAKY_RELU: lambda z, c, a, number: leaky_relu(z, number),
        ADD: lambda z, c, a, number: c() + z * number,
    }
    | {
        DERIVATIVE + g: lambda z, c, a, number, f=f: f(z, a(), number)
        for g, f in BACKWARD.items()
        if g != LINEAR
    }
)
# out = g(z); out = dA g'(z); out += loss.
activate_vectors = elementwise(
    {
        LINEAR: lambda z, _, slope: z,
        SIGMOID: lambda z, _, slope: sigmoid(z),
        TANH: lambda z, _, slope: tanh(z),
        RELU: lambda z, _, slope: relu(z),
        LEAKY_RELU: lambda z, _, slope: leaky_relu(z, slope),
    }
)
derivative_vectors = elementwise(BACKWARD)
add_loss_vectors = elementwise(
    {
        MSE: lambda a, y, _: (a - y) * (a - y) * 0.5,
        BINARY_CROSS_ENTROPY: lambda a, y, _: binary_cross_entropy(a, y),
        CROSS_ENTROPY: lambda a, y, _: cross_entropy(a, y),
    },
    accumulate=True,
)
subtract_vectors = elementwise({0: lambda a, y, _: a - y})
SUM, DIFFERENCE, PRODUCT = range(3)
add_vectors = elementwise(
    {SUM: lambda x, y, _: x, DIFFERENCE: lambda x, y, _: x - y, PRODUCT: lambda x, y, _: x * y},
    accumulate=True,
)
SET, MORE = range(2)
multiple_vectors = elementwise(
    {SET: lambda x, y, number: x * number, MORE: lambda x, y, number: y + x * number}
)
softmax = softmax_vectors(exp_negative)


# --- packing -----------------------------------------------------------------------------


@jit
def pack_row(x, stride, order, first, count, out, step):
    """One feature of the examples first ... first + count, to its row of panels `step` apart.

    The examples are taken through `order`, unless it is null; what the last panel has
    beyond them becomes zero.
    """
    panel = 2 * lanes(x)
    for start in range(0, count, panel):
        width = min(count - start, panel)
        at = first + start
        if not is_null(order):
            if stride == 1 and width == panel:
                gather_vectors(out, x, order + at)
            else:
                for j in range(width):
                    out[j] = x[np.int64(order[at + j]) * stride]
        elif stride == 1 and width == panel:
            copy_vectors(out, x + at)
        else:
            for j in range(width):
                out[j] = x[(at + j) * stride]
        for j in range(width, panel):
            out[j] = 0.0
        out = out + step


@jit
def pack_columns(x, stride, n, order, first, count, out):
    """All n features, contiguous in memory, of the examples first ... first + count."""
    panel = 2 * lanes(x)
    whole = n - n % lanes(x)
    offsets = stack(np.int64, MOST_PANEL)
    for start in range(0, count, panel):
        width = min(count - start, panel)
        for j in range(panel):
            at = first + start + min(j, width - 1)
            offsets[j] = (at if is_null(order) else np.int64(order[at])) * stride
        for k in range(0, whole, lanes(x)):
            transpose(x + k, offsets, out + k * panel)
        for k in range(whole, n):
            for j in range(panel):
                out[k * panel + j] = x[offsets[j] + k]
        clear_padding(out, n, width)
        out = out + n * panel


@jit
def transpose(source, rows, target):
    """A panel's width of rows, source + rows[j], to columns of panels: two vectors of them."""
    step = lanes(source)
    transpose_block(source, rows, target, 2 * step)
    transpose_block(source, rows + step, target + step, 2 * step)


@jit
def unpack_row(panels, step, first, count, x, stride):
    """A row of panels, `step` apart, to x[first * stride], x[(first + 1) * stride], ..."""
    panel = 2 * lanes(x)
    for start in range(0, count, panel):
        width = min(count - start, panel)
        at = first + start
        if stride == 1 and width == panel:
            copy_vectors(x + at, panels)
        else:
            for j in range(width):
                x[(at + j) * stride] = panels[j]
        panels = panels + step


@jit
def pack(X, first, count, out):
    """Columns first ... first + count of X to panels; zeros behind the last."""
    x, n, panel = pointer(X), X.shape[0], 2 * lanes(out)
    row, column = X.strides[0] // X.itemsize, X.strides[1] // X.itemsize
    order = null(np.uint32)
    if row == 1 and column != 1:
        pack_columns(x, column, n, order, first, count, out)
        return
    done = pack_groups(x + first, row, n, count, out) if column == 1 else 0
    out = out + done * n
    for k in range(n):
        pack_row(x + k * row, column, order, first + done, count - done, out + k * panel, n * panel)


@jit
def pack_groups(x, stride, n, count, out):
    """The whole panels of `count` columns, a few side by side; return how many columns.

    A row of all of them at once would write to more places than the L1 cache can keep.
    """
    panel = 2 * lanes(x)
    whole = count // panel
    for start in range(0, whole, GROUP):
        group = min(GROUP, whole - start)
        for k in range(n):
            source, target = x + (k * stride + start * panel), out + (start * n + k) * panel
            for p in range(group):
                copy_vectors(target + p * n * panel, source + p * panel)
    return whole * panel


@jit
def unpack(panels, first, count, X):
    """Panels to columns first ... first + count of X."""
    x, n, panel = pointer(X), X.shape[0], 2 * lanes(panels)
    row, column = X.strides[0] // X.itemsize, X.strides[1] // X.itemsize
    for k in range(n):
        unpack_row(panels + k * panel, n * panel, first, count, x + k * row, column)


@jit
def clear_padding(panels, n, count):
    """Zero the columns behind the `count` true ones, so that they add nothing to a sum."""
    panel = 2 * lanes(panels)
    width = count % panel
    if width:
        last = panels + count // panel * n * panel
        for k in range(n):
            for j in range(width, panel):
                last[k * panel + j] = 0.0


# --- activations on panels ---------------------------------------------------------------


@jit
def activate_run(z, count, activation, slope):
    """A = g(Z) in place, for `count` numbers, a multiple of the lanes.  Not for softmax."""
    step = lanes(z)
    activate_vectors(activation, count // step, z, step, z, z, step, slope)


@jit
def derivative_run(da, a, count, activation, slope):
    """dZ = dA g'(Z) in place, with g' from the output a, for `count` numbers.  Not for softmax."""
    step = lanes(a)
    derivative_vectors(activation, count // step, da, step, da, a, step, slope)


@jit
def softmax_panels(z, n, panels):
    """A = softmax(Z) in place."""
    panel = 2 * lanes(z)
    for p in range(panels):
        for at in range(p * n * panel, p * n * panel + panel, lanes(z)):
            softmax(z + at, n, panel)


@jit
def derivative_panels(da, a, n, panels, activation, slope):
    """dZ = dA g'(Z) in place."""
    panel = 2 * lanes(a)
    if activation != SOFTMAX:
        derivative_run(da, a, panels * n * panel, activation, slope)
        return
    for p in range(panels):
        for at in range(p * n * panel, p * n * panel + panel, lanes(a)):
            softmax_backward(da + at, a + at, n, panel)


# --- dense layers on panels --------------------------------------------------------------


@jit
def multiply(
    rows, count, a, a_step, row_stride, k_stride, depth, segments, segment_stride, b, b_step,
    initial, initial_step, c, c_step, c_stride, resume, at_store, number, A,
):  # fmt: skip
    """`tiles` as a function, so that its code is there once."""
    tiles(
        rows, count, a, a_step, row_stride, k_stride, depth, segments, segment_stride, b, b_step,
        initial, initial_step, c, c_step, c_stride, resume, at_store, number, A,
    )  # fmt: skip


@jit
def tile_rows(n):
    """(tall, flat, rows): n rows are `tall` tiles of rows + 1, then `flat` tiles of `rows`.

    Even shares: 10 = 5 + 5 and not 6 + 4.
    """
    count = max((n + TILE_ROWS - 1) // TILE_ROWS, 1)
    return n % count, count - n % count, n // count


@jit
def multiply_tiles(
    rows, count, a, row_stride, k_stride, depth, segments, segment_stride, initial, B, b_panel,
    C, c_stride, c_panel, panels, resume, at_store, number, A,
):  # fmt: skip
    """`count` tiles of `rows` rows in every panel: one below the other, or one in each.

    A k_stride of 0 says that a is packed: tile by tile, in each k by k.
    """
    a_step = rows * row_stride
    if k_stride == 0:
        a_step, row_stride, k_stride = rows * depth, 1, rows
    if count == 1:
        multiply(
            rows, panels, a, ZERO, row_stride, k_stride, depth, segments, segment_stride, B,
            b_panel, initial, ZERO, C, c_panel, c_stride, resume, at_store, number, A,
        )  # fmt: skip
        return
    for p in range(panels):
        multiply(
            rows, count, a, a_step, row_stride, k_stride, depth, segments, segment_stride,
            B + p * b_panel, ZERO, initial, rows, C + p * c_panel, rows * c_stride, c_stride,
            resume, at_store, number, A + p * c_panel,
        )  # fmt: skip


@jit
def multiply_panels(
    W, row_stride, k_stride, n, depth, bias, B, C, c_stride, c_panel, panels, at_store, number,
    A, slab,
):  # fmt: skip
    """C = store(W B + bias) for every panel: W is (n, depth), B panels of `depth`.

    A panel of B, DEPTH rows of it, stays in the L1 cache for all rows of W; the rows of W, a
    slab of them, stay in the L2 cache for all panels.  The rows of C are c_stride apart and
    its panels c_panel.
    """
    b_panel = 2 * lanes(C) * depth
    tall, flat, rows = tile_rows(n)
    blocks = max((depth + DEPTH - 1) // DEPTH, 1)
    group = max(SLAB // (TILE_ROWS * (depth // blocks + 1)), 1)
    packed = k_stride > 1 and panels >= PACK_PANELS and n * depth >= PACK_SIZE
    for block in range(blocks):
        k = depth * block // blocks
        part = depth * (block + 1) // blocks - k
        b = B + 2 * lanes(C) * k
        store = at_store if block == blocks - 1 else LINEAR
        start, first = null(C) if block else bias, 0
        while first < tall + flat:
            height = rows + 1 if first < tall else rows
            count = min(tall - first if first < tall else tall + flat - first, group)
            row = first * rows + min(first, tall)
            w, step = W + (row * row_stride + k * k_stride), k_stride
            if packed:
                for i in range(count):
                    copy_columns(w + i * height, k_stride, part, height, slab + i * height * part)
                w, step = slab, ZERO
            multiply_tiles(
                height, count, w, row_stride, step, part, ONE, ZERO,
                start if is_null(start) else start + row, b, b_panel, C + row * c_stride, c_stride,
                c_panel, panels, block, store, number, A + row * c_stride,
            )  # fmt: skip
            first += count


@jit
def forward_panels(W, b, n_in, n_out, A_prev, A, a_stride, a_panel, panels, activation, slope):
    """A = g(W A_prev + b) for whole panels, whose places in A are as for `multiply_panels`."""
    panel = 2 * lanes(A)
    at_store = activation if activation == RELU or activation == LEAKY_RELU else LINEAR
    multiply_panels(
        W, n_in, ONE, n_out, n_in, b, A_prev, A, a_stride, a_panel, panels, at_store, slope,
        null(A), null(A),
    )  # fmt: skip
    if activation == SOFTMAX:
        softmax_panels(A, n_out, panels)
    elif at_store != activation and a_stride == panel:
        activate_run(A, panels * n_out * panel, activation, slope)
    elif at_store != activation:
        for i in range(n_out):
            activate_run(A + i * a_stride, panels * panel, activation, slope)


@jit
def backward_panels(
    W, n_in, n_out, dZ, A_prev, dZ_prev, stride, step, panels, activation, slope, slab
):
    """dZ_prev = (W^T dZ) * g', with g' from A_prev, in panels as well unless g is linear."""
    at_store = activation if activation == LINEAR else activation + DERIVATIVE
    multiply_panels(
        W, ONE, n_in, n_in, n_out, null(W), dZ, dZ_prev, stride, step, panels, at_store, slope,
        A_prev, slab,
    )  # fmt: skip


@jit
def copy_columns(W, stride, n, width, slab):
    """slab[k * width + i] = W[k * stride + i] for k < n and i < width.

    Where there is room, whole vectors are copied: what is too much of a row is overwritten
    by the next.
    """
    panel = 2 * lanes(W)
    whole = n - 1 if width <= panel <= stride else 0
    for k in range(whole):
        copy_vectors(slab + k * width, W + k * stride)
    for k in range(whole, n):
        for i in range(width):
            slab[k * width + i] = W[k * stride + i]


@jit
def transpose_features(A, n, start, panels, features):
    """features[example, j] = A[start + j, example], a panel of features side by side.

    Features past the last are copies of it: their sums are never stored.
    """
    panel = 2 * lanes(A)
    rows = stack(np.int64, MOST_PANEL)
    for j in range(panel):
        rows[j] = min(start + j, n - 1) * panel
    for _ in range(panels):
        for e in range(0, panel, lanes(A)):
            transpose(A + e, rows, features + e * panel)
        A = A + n * panel
        features = features + panel * panel


@jit
def add_dW(dZ, n_out, A_prev, n_in, panels, scale, features, dW):
    """dW += scale dZ A_prev^T: the lanes are features, the sum runs over the examples.

    A panel of features is transposed just before its turn.
    """
    panel = 2 * lanes(dZ)
    tall, flat, rows = tile_rows(n_out)
    part = features + panels * panel * panel
    for start in range(0, n_in, panel):
        transpose_features(A_prev, n_in, start, panels, features)
        width = min(n_in - start, panel)
        out, stride, store = dW + start, n_in, ADD
        if width < panel:
            out, stride, store = part, panel, LINEAR
        x = dZ
        for i in range(2):
            height, count = (rows, flat) if i else (rows + 1, tall)
            multiply(
                height, count, x, height * panel, panel, ONE, panel, panels, n_out * panel,
                features, ZERO, null(dZ), ZERO, out, height * stride, stride, ZERO, store, scale,
                null(dZ),
            )  # fmt: skip
            x, out = x + count * height * panel, out + count * height * stride
        if width < panel:
            for i in range(n_out):
                for j in range(width):
                    dW[i * n_in + start + j] += part[i * panel + j] * scale


@jit
def add_dots(
    x, rows, x_row, x_step, y, columns, y_column, y_step, count, scale, out, out_row, out_column
):
    """out[i, j] += scale * sum over k of x[i, k] y[j, k], as `dot_tile` has it, of any size."""
    i = 0
    while i < rows:
        r = DOT_ROWS if rows - i >= DOT_ROWS else 1
        j = 0
        while j < columns:
            c = DOT_COLUMNS if columns - j >= DOT_COLUMNS else min(columns - j, 2)
            dot_tile(
                r, c, x + i * x_row, x_row, x_step, y + j * y_column, y_column, y_step, count,
                scale, out + (i * out_row + j * out_column), out_row, out_column,
            )  # fmt: skip
            j += c
        i += r


@jit
def add_gradients(dZ, n_out, A_prev, n_in, panels, scale, features, dW, db):
    """dW += scale dZ A_prev^T and db += scale sum(dZ), by whichever way costs less.

    A transposed feature serves n_out rows; adding up lanes costs the same for any number
    of examples.
    """
    panel = 2 * lanes(dZ)
    if n_out * lanes(dZ) <= panels * panel:
        add_dots(
            dZ, n_out, panel, n_out * panel, A_prev, n_in, panel, n_in * panel, panels, scale,
            dW, n_in, ONE,
        )  # fmt: skip
    else:
        add_dW(dZ, n_out, A_prev, n_in, panels, scale, features, dW)
    add_db(dZ, n_out, panels, scale, db)


@jit
def add_db(dZ, n, panels, scale, db):
    """db += scale sum(dZ): what dW is for an input of 1."""
    panel = 2 * lanes(dZ)
    ones = stack(dZ, MOST_PANEL)
    for j in range(panel):
        ones[j] = 1.0
    add_dots(dZ, n, panel, n * panel, ones, ONE, ZERO, ZERO, panels, scale, db, ONE, ZERO)


# --- the output: cost and dZ -------------------------------------------------------------


@jit
def cost_of_panel(a, y, n, loss, count):
    """Sum of the loss over the first `count` examples of a panel."""
    step = lanes(a)
    sums = stack(a, MOST_PANEL)
    for j in range(2 * step):
        sums[j] = 0.0
    for at in range(0, 2 * step, step):
        add_loss_vectors(loss, n, sums + at, 0, a + at, y + at, 2 * step, 0.0)
    total = 0.0
    for j in range(count):
        total += sums[j]
    return total


@jit
def is_paired(loss, activation):
    """Whether dZ = A - Y."""
    return (
        (loss == MSE and activation == LINEAR)
        or (loss == BINARY_CROSS_ENTROPY and activation == SIGMOID)
        or (loss == CROSS_ENTROPY and activation == SOFTMAX)
    )


@jit
def output_panels(A, Y, n, count, loss, activation, slope, dZ):
    """Sum of the loss over `count` examples, and dZ (unless null) with its padding zero."""
    step = lanes(A)
    panel = 2 * step
    panels = (count + panel - 1) // panel
    total = 0.0
    for p in range(panels):
        at = p * n * panel
        total += cost_of_panel(A + at, Y + at, n, loss, min(count - p * panel, panel))
    if not is_null(dZ):
        subtract_vectors(0, 2 * panels * n, dZ, step, A, Y, step, 0.0)
        if not is_paired(loss, activation):
            derivative_panels(dZ, A, n, panels, activation, slope)
        clear_padding(dZ, n, count)
    return total


@jit
def output_row(a, y, count, loss, activation, slope, dz):
    """Sum of the loss over numbers side by side, and dZ, unless that is null."""
    step = lanes(a)
    whole = count - count % step
    total = 0.0
    for first in range(0, whole, RUN):
        total += loss_run(a + first, y + first, min(RUN, whole - first), loss)
    rest_a, rest_y = stack(a, MOST_LANES), stack(a, MOST_LANES)
    if whole < count:  # a loss of zeros is zero
        copy_rest(a + whole, count - whole, rest_a)
        copy_rest(y + whole, count - whole, rest_y)
        total += loss_run(rest_a, rest_y, step, loss)
    if not is_null(dz):
        subtract_vectors(0, whole // step, dz, step, a, y, step, 0.0)
        for j in range(whole, count):
            dz[j] = a[j] - y[j]
        if not is_paired(loss, activation):
            derivative_row(dz, a, count, activation, slope, dz)
    return total


@jit
def loss_run(a, y, count, loss):
    """Sum of the loss over `count` numbers, a multiple of the lanes."""
    step = lanes(a)
    sums = stack(a, EIGHT_VECTORS)
    for j in range(8 * step):
        sums[j] = 0.0
    for j in range(0, count, 8 * step):
        vectors = min(8, (count - j) // step)
        add_loss_vectors(loss, vectors, sums, step, a + j, y + j, step, 0.0)
    total = 0.0
    for j in range(8 * step):
        total += sums[j]
    return total


# --- few examples ------------------------------------------------------------------------


@jit
def dense_few(W, b, n_in, n_out, x, x_step, count, z, z_row, z_step):
    """z = W x + b for 1 to FEW examples, x contiguous: the lanes run along the sum."""
    panel = 2 * lanes(W)
    whole = n_in - n_in % panel
    for i in range(n_out):
        for e in range(count):
            rest = b[i]
            for k in range(whole, n_in):
                rest += W[i * n_in + k] * x[e * x_step + k]
            z[e * z_step + i * z_row] = rest
    if whole:
        runs = whole // panel
        add_dots(W, n_out, n_in, panel, x, count, x_step, panel, runs, 1.0, z, z_row, z_step)


@jit
def add_multiple(which, out, x, number, count):
    """out = number x (SET) or out += number x (MORE)."""
    step = lanes(x)
    whole = count // step
    multiple_vectors(which, whole, out, step, x, out, step, number)
    for k in range(whole * step, count):
        out[k] = x[k] * number if which == SET else out[k] + x[k] * number


@jit
def backward_few(dZ, W, A_prev, dW, db, dA_prev, memory):
    """The gradients of a layer for 1 to FEW examples: dW is a sum of outer products."""
    n_in, m, n_out = A_prev.shape[0], A_prev.shape[1], dZ.shape[0]
    x, w, s = pointer(memory), pointer(W), pointer(dW)
    for i in range(n_out):
        db[i, 0] = 0.0
    for e in range(m):
        dx = x + n_in
        for k in range(n_in):
            x[k], dx[k] = A_prev[k, e], 0.0
        for i in range(n_out):
            delta = dZ[i, e]
            db[i, 0] += delta
            add_multiple(MORE if e else SET, s + i * n_in, x, delta, n_in)
            if dA_prev.size:
                add_multiple(MORE, dx, w + i * n_in, delta, n_in)
        if dA_prev.size:
            for k in range(n_in):
                dA_prev[k, e] = dx[k]
    if m > 1:  # after the sums, which are exact on small integers
        add_multiple(SET, s, s, 1.0 / m, n_out * n_in)
        for i in range(n_out):
            db[i, 0] /= m


@jit
def forward_few(sizes, codes, slopes, w, b, X, A, memory, check):
    """A few examples in two buffers: a layer reads one and writes the other.

    Each example is contiguous there, but for the result of a softmax layer (which is the
    last), that is a panel.  Return False if `check` and X is not finite.
    """
    x, half = pointer(memory), memory.size // 2
    z, step = x + half, half // FEW
    panel = 2 * lanes(x)
    count = X.shape[1]
    for k in range(X.shape[0]):
        for e in range(count):
            x[e * step + k] = X[k, e]
    if check:
        for e in range(count):
            if sum_run(DIFFERENCE, x + e * step, x + e * step, ONE, X.shape[0]) != 0.0:
                return False
    row = ONE
    for l in range(codes.size):
        n_in, n_out = sizes[l], sizes[l + 1]
        z_step = step
        if codes[l] == SOFTMAX:
            row, z_step = panel, ONE
            for k in range(n_out * panel):
                z[k] = 0.0
        dense_few(w, b, n_in, n_out, x, step, count, z, row, z_step)
        if codes[l] == SOFTMAX:
            softmax_panels(z, n_out, ONE)
        else:
            for e in range(count):
                padded = (n_out + panel - 1) // panel * panel
                activate_run(z + e * step, padded, codes[l], slopes[l])
        step = z_step
        x, z = z, x
        w = w + n_out * (n_in + 1)
        b = w + sizes[l + 2] * n_out if l + 2 < sizes.size else b
    for k in range(A.shape[0]):
        for e in range(count):
            A[k, e] = x[k * row + e * step]
    return True


# --- compiled for each dtype: forward ----------------------------------------------------


@jit
def forward_blocks(sizes, codes, slopes, W, b, X, A, columns, memory, check):
    """Block by block; a layer's input and output take turns in the two halves of memory.

    Return False if `check` and X is not finite.
    """
    half = memory.size // 2
    panel = 2 * lanes(W)
    direct = A.strides[1] == A.itemsize and codes[codes.size - 1] != SOFTMAX
    for first in range(0, X.shape[1], columns):
        count = min(columns, X.shape[1] - first)
        panels = (count + panel - 1) // panel
        w, v = W, b
        x = pointer(memory)
        z = x + half
        pack(X, first, count, x)
        if check and sum_run(DIFFERENCE, x, x, ONE, panels * panel * sizes[0]) != 0.0:
            return False
        for l in range(codes.size):
            n_in, n_out = sizes[l], sizes[l + 1]
            if l < codes.size - 1 or not direct:
                forward_panels(
                    w, v, n_in, n_out, x, z, panel, n_out * panel, panels, codes[l], slopes[l]
                )
            else:
                forward_columns(w, v, n_in, n_out, x, z, A, first, count, codes[l], slopes[l])
            w = w + n_out * (n_in + 1)
            v = w + n_out * sizes[l + 2] if l + 2 < sizes.size else v
            x, z = z, x
        if not direct:
            unpack(x, first, count, A)
    return True


@jit
def forward_columns(W, b, n_in, n_out, x, z, A, first, count, activation, slope):
    """A layer's output to columns first ... first + count of A, whose rows are contiguous.

    The last columns, if they are less than a panel, go through a panel z.
    """
    panel = 2 * lanes(x)
    whole = count // panel
    stride = A.strides[0] // A.itemsize
    forward_panels(
        W, b, n_in, n_out, x, pointer(A) + first, stride, panel, whole, activation, slope
    )
    if whole * panel < count:
        forward_panels(
            W, b, n_in, n_out, x + whole * n_in * panel, z, panel, panel, ONE, activation, slope
        )
        unpack(z, first + whole * panel, count - whole * panel, A)


@jit
def sum_lines(W, n_in, n_out, x, stride, z, z_stride, count):
    """z += W x for `count` examples, where each feature is contiguous."""
    step = lanes(W)
    whole = count - count % step
    for k in range(n_in):
        line = x + k * stride
        for i in range(n_out):
            out, weight = z + i * z_stride, W[i * n_in + k]
            multiple_vectors(MORE, whole // step, out, step, line, out, step, weight)
            for j in range(whole, count):
                out[j] += weight * line[j]


@jit
def activate_line(z, count, activation, slope):
    """A = g(Z) in place, for any `count`.  Not for softmax."""
    step = lanes(z)
    whole = count - count % step
    activate_run(z, whole, activation, slope)
    rest = stack(z, MOST_LANES)
    for j in range(step):
        rest[j] = z[whole + j] if whole + j < count else ZERO
    activate_run(rest, step, activation, slope)
    for j in range(whole, count):
        z[j] = rest[j - whole]


@jit
def is_thin(sizes, codes, X, A):
    """Whether `forward_thin` does: one layer of few rows, and arrays that are contiguous."""
    if codes.size > 1 or sizes[1] > THIN or codes[0] == SOFTMAX or A.strides[1] != A.itemsize:
        return False
    return X.strides[1] == X.itemsize or (X.strides[0] == X.itemsize and sizes[0] >= THIN_DOT)


@jit
def forward_thin(n_in, n_out, activation, slope, W, b, X, A, check):
    """A = g(W X + b) from X as it stands, some columns at a time.

    Return False if `check` and X is not finite.  Z shows it: a NaN or an infinity of X goes
    through every sum that it enters, even times zero.
    """
    finite = True
    x_row, x_column = X.strides[0] // X.itemsize, X.strides[1] // X.itemsize
    a_row = A.strides[0] // A.itemsize
    for first in range(0, X.shape[1], THIN_COLUMNS):
        count = min(THIN_COLUMNS, X.shape[1] - first)
        x, z = pointer(X) + first * x_column, pointer(A) + first
        for i in range(n_out):
            for j in range(count):
                z[i * a_row + j] = b[i]
                if x_column != 1:
                    z[i * a_row + j] += sum_run(PRODUCT, W + i * n_in, x + j * x_column, ONE, n_in)
        if x_column == 1:
            sum_lines(W, n_in, n_out, x, x_row, z, a_row, count)
        for i in range(n_out):
            row = z + i * a_row
            finite = finite and sum_run(DIFFERENCE, row, row, ONE, count) == 0.0
            activate_line(row, count, activation, slope)
    return finite or not check or finite_matrix(X)


@per_dtype("nnxmmmMiVi")
def _forward(sizes, codes, slopes, W, b, X, A, columns, memory, check):
    """Return False if `check` and X is not finite; else A[L] is in A.

    W and b are those of the first layer; the next layer's W and b follow behind that b.
    """
    if X.shape[1] <= FEW:
        return forward_few(sizes, codes, slopes, pointer(W), pointer(b), X, A, memory, check)
    if is_thin(sizes, codes, X, A):
        return forward_thin(
            sizes[0], sizes[1], codes[0], slopes[0], pointer(W), pointer(b), X, A, check
        )
    return forward_blocks(
        sizes, codes, slopes, pointer(W), pointer(b), X, A, columns, memory, check
    )


@jit
def sum_run(which, x, y, stride, count):
    """The sum of `count` numbers x, of x - y or of x y.

    That of x - x is NaN if one is NaN or infinite, else 0.
    """
    step = lanes(x)
    sums = stack(x, EIGHT_VECTORS)  # eight vectors that do not wait for each other
    for j in range(8 * step):
        sums[j] = 0.0
    done = 0
    if stride == 1:
        done = count - count % step
        for j in range(0, done, 8 * step):
            vectors = min(8, (done - j) // step)
            add_vectors(which, vectors, sums, step, x + j, y + j, step, 0.0)
    for j in range(done, count):
        at = j * stride
        if which == PRODUCT:
            sums[0] += x[at] * y[at]
        else:
            sums[0] += x[at] - y[at] if which == DIFFERENCE else x[at]
    total = 0.0
    for j in range(8 * step):
        total += sums[j]
    return total


@jit
def finite_matrix(X):
    """Whether X holds no NaN and no infinity."""
    x, n, m = pointer(X), X.shape[0], X.shape[1]
    row, column = X.strides[0] // X.itemsize, X.strides[1] // X.itemsize
    if column != 1:  # walk along the columns, which may be the contiguous ones
        n, m, row, column = m, n, column, row
    total = 0.0
    for i in range(n):
        total += sum_run(DIFFERENCE, x + i * row, x + i * row, column, m)
    return total == 0.0


@per_dtype("m")
def _all_finite(X):
    return finite_matrix(X)


# --- compiled for each dtype: a network's cost, gradients and training -------------------


@jit
def forward_and_back(
    sizes, codes, slopes, loss, parameters, x, y, count, columns, widest, scale, sums, memory
):
    """Return the summed loss of one block; sums += scale * its gradients, unless null.

    `sums` is flat like the parameters, and may be the parameters themselves: each layer's
    are changed after their last use.
    """
    panel = 2 * lanes(x)
    panels = (count + panel - 1) // panel
    last = codes.size - 1
    back = not is_null(sums)
    w, s = parameters, sums
    A_prev, A = x, memory
    for l in range(codes.size):
        n_in, n_out = sizes[l], sizes[l + 1]
        b = w + n_in * n_out
        forward_panels(
            w, b, n_in, n_out, A_prev, A, panel, n_out * panel, panels, codes[l], slopes[l]
        )
        if back and l < last:
            clear_padding(A, n_out, count)
        w, s = b + n_out, s + n_out * (n_in + 1)
        A_prev, A = A, A + n_out * columns

    dZ, A = A, A_prev
    dZ_prev = dZ + widest * columns
    features = dZ_prev + widest * columns
    slab = features + panel * (columns + widest)
    delta = dZ if back else null(x)
    cost = output_panels(A, y, sizes[last + 1], count, loss, codes[last], slopes[last], delta)
    if not back:
        return cost
    for l in range(last, -1, -1):
        n_in, n_out = sizes[l], sizes[l + 1]
        w, s = w + -n_out * (n_in + 1), s + -n_out * (n_in + 1)
        A_prev = A + -n_in * columns if l else x
        if l:
            backward_panels(
                w, n_in, n_out, dZ, A_prev, dZ_prev, panel, n_in * panel, panels, codes[l - 1],
                slopes[l - 1], slab,
            )  # fmt: skip
            clear_padding(dZ_prev, n_in, count)
        add_gradients(dZ, n_out, A_prev, n_in, panels, scale, features, s, s + n_in * n_out)
        dZ, dZ_prev = dZ_prev, dZ
        A = A_prev
    return cost


@per_dtype("nnxivmmiiiiVV")
def _cost_and_gradients(
    sizes, codes, slopes, loss, parameters, X, Y, first, last, columns, widest, gradients, memory
):
    """Return what the examples first ... last add to the cost, and add to the gradients."""
    m = X.shape[1]
    x = pointer(memory)
    y = x + sizes[0] * columns
    work = y + sizes[codes.size] * columns
    sums = pointer(gradients) if gradients.size else null(x)
    cost = 0.0
    for start in range(first, last, columns):
        count = min(columns, last - start)
        pack(X, start, count, x)
        pack(Y, start, count, y)
        cost += forward_and_back(
            sizes, codes, slopes, loss, pointer(parameters), x, y, count, columns, widest,
            1.0 / m, sums, work,
        )  # fmt: skip
    return cost / m


@jit
def block_bounds(block, columns, batch_size, m):
    """(first example, count) of a block; blocks do not cross from one batch to the next."""
    per_batch = (batch_size + columns - 1) // columns
    batch = block // per_batch
    first = batch * batch_size + (block - batch * per_batch) * columns
    return first, min(columns, min((batch + 1) * batch_size, m) - first)


@jit
def pack_blocks(X, order, begin, end, columns, batch_size, out):
    """The blocks begin ... end of an epoch, one behind the other.

    Feature by feature for all of them: shuffled examples lie all over a row of X, which is
    so read once for many batches, and not once for each.
    """
    x, n, m, panel = pointer(X), X.shape[0], X.shape[1], 2 * lanes(out)
    row, column = X.strides[0] // X.itemsize, X.strides[1] // X.itemsize
    by_columns = row == 1 and column != 1
    start, _ = block_bounds(begin, columns, batch_size, m)
    start_batch_end = min((start // batch_size + 1) * batch_size, m)
    for k in range(1 if by_columns else n):
        first, batch_end, target = start, start_batch_end, out + k * panel
        for _ in range(begin, end):
            count = min(columns, batch_end - first)
            if by_columns:
                pack_columns(x, column, n, order, first, count, target)
            else:
                pack_row(x + k * row, column, order, first, count, target, n * panel)
            target = target + n * columns
            first += count
            if first == batch_end:
                batch_end = min(first + batch_size, m)


@per_dtype("nnxiVmmoifxiiiVVVni")
def _train(
    sizes, codes, slopes, loss, parameters, X, Y, order, batch_size, learning_rate, costs,
    columns, chunk, widest, sums, whole_epoch, memory, progress, blocks,
):  # fmt: skip
    """Go on with training for so many blocks, from where `progress` says.

    progress: the epoch, the block in the epoch, and the chunk that is packed in memory.
    """
    m = X.shape[1]
    batches = (m + batch_size - 1) // batch_size
    per_batch = (batch_size + columns - 1) // columns
    in_last_batch = m - (batches - 1) * batch_size
    per_epoch = (batches - 1) * per_batch + (in_last_batch + columns - 1) // columns
    n_x, n_y = sizes[0], sizes[codes.size]
    theta = pointer(parameters)
    target = pointer(sums) if sums.size else theta
    packed_x = pointer(memory)
    packed_y = packed_x + n_x * columns * chunk
    work = packed_y + n_y * columns * chunk
    epoch, block, packed = progress[0], progress[1], progress[2]
    for _ in range(blocks):
        if epoch == costs.size:
            break
        wanted = block // chunk
        columns_order = null(np.uint32)
        if order.size:
            columns_order = pointer(order) + epoch * m
            wanted += epoch * per_epoch
        if wanted != packed:
            begin = block - block % chunk
            end = min(begin + chunk, per_epoch)
            pack_blocks(X, columns_order, begin, end, columns, batch_size, packed_x)
            pack_blocks(Y, columns_order, begin, end, columns, batch_size, packed_y)
            packed = wanted
        first, count = block_bounds(block, columns, batch_size, m)
        batch_first = block // per_batch * batch_size
        size = min(batch_size, m - batch_first)
        at = block % chunk * columns
        cost = forward_and_back(
            sizes, codes, slopes, loss, theta, packed_x + n_x * at, packed_y + n_y * at, count,
            columns, widest, -learning_rate / size, target, work,
        )  # fmt: skip
        costs[epoch] += cost / size / batches
        if sums.size and first + count == batch_first + size:
            for i in range(sums.size):
                parameters[i] += sums[i]
                sums[i] = 0.0
        block += 1
        if block == per_epoch:
            for i in range(parameters.size):
                whole_epoch[i] = parameters[i]
            epoch, block = epoch + 1, 0
    progress[0], progress[1], progress[2] = epoch, block, packed


# --- compiled for each dtype: the other kernels ------------------------------------------


@jit
def activate_row(z, count, activation, slope, a):
    """A = g(Z) for numbers side by side.  Not for softmax."""
    step = lanes(z)
    whole = count // step
    activate_vectors(activation, whole, a, step, z, z, step, slope)
    rest = stack(z, MOST_LANES)
    if whole * step < count:
        copy_rest(z + whole * step, count - whole * step, rest)
        activate_vectors(activation, ONE, rest, step, rest, rest, step, slope)
        for j in range(whole * step, count):
            a[j] = rest[j - whole * step]


@jit
def copy_rest(x, count, rest):
    """Less than a vector to a place where there is room for one, with zeros behind."""
    for j in range(lanes(x)):
        rest[j] = 0.0
    for j in range(count):
        rest[j] = x[j]


@per_dtype("mifMiiV")
def _map(Z, activation, slope, A, derivative, columns, memory):
    """A = g(Z), or g'(Z) from the output Z.

    Numbers side by side stay where they are; others go through memory in runs of RUN, or,
    for softmax, in panels.
    """
    z, a, run = pointer(Z), pointer(A), pointer(memory)
    if activation == SOFTMAX:
        for first in range(0, Z.shape[1], columns):
            count = min(columns, Z.shape[1] - first)
            panel = 2 * lanes(z)
            pack(Z, first, count, run)
            softmax_panels(run, Z.shape[0], (count + panel - 1) // panel)
            unpack(run, first, count, A)
        return
    n, m = Z.shape
    z_row, z_column = Z.strides[0] // Z.itemsize, Z.strides[1] // Z.itemsize
    a_row, a_column = A.strides[0] // A.itemsize, A.strides[1] // A.itemsize
    if z_row == m * z_column and a_row == m * a_column:
        n, m = 1, n * m
    elif m < n:
        n, m, z_row, z_column, a_row, a_column = m, n, z_column, z_row, a_column, a_row
    panel = 2 * lanes(z)
    order = null(np.uint32)
    slopes = run + RUN
    for i in range(n):
        if z_column == 1 and a_column == 1 and not derivative:
            activate_row(z + i * z_row, m, activation, slope, a + i * a_row)
            continue
        for first in range(0, m, RUN):
            count = min(m - first, RUN)
            padded = (count + panel - 1) // panel * panel
            pack_row(z + i * z_row, z_column, order, first, count, run, panel)
            if derivative:
                for j in range(padded):
                    slopes[j] = 1.0
                derivative_run(slopes, run, padded, activation, slope)
                unpack_row(slopes, panel, first, count, a + i * a_row, a_column)
            else:
                activate_run(run, padded, activation, slope)
                unpack_row(run, panel, first, count, a + i * a_row, a_column)


@jit
def derivative_row(da, a, count, activation, slope, dz):
    """dZ = dA g'(Z) for numbers side by side.  Not for softmax."""
    step = lanes(a)
    whole = count // step
    derivative_vectors(activation, whole, dz, step, da, a, step, slope)
    rest, rest_a = stack(a, MOST_LANES), stack(a, MOST_LANES)
    if whole * step < count:
        copy_rest(da + whole * step, count - whole * step, rest)
        copy_rest(a + whole * step, count - whole * step, rest_a)
        derivative_vectors(activation, ONE, rest, step, rest, rest_a, step, slope)
        for j in range(whole * step, count):
            dz[j] = rest[j - whole * step]


@jit
def has_rows(X):
    """Whether the numbers of a row are side by side, and enough to go along it."""
    return X.strides[1] == X.itemsize and X.shape[1] >= LONG_ROW


@per_dtype("mmifMMiV")
def _activation_backward(dA, A, activation, slope, dZ, db, columns, memory):
    n, m = A.shape
    outputs, sums = pointer(memory), pointer(db)
    if has_rows(dA) and has_rows(A) and has_rows(dZ) and activation != SOFTMAX:
        for i in range(n):
            da = pointer(dA) + i * (dA.strides[0] // A.itemsize)
            a = pointer(A) + i * (A.strides[0] // A.itemsize)
            dz = pointer(dZ) + i * (dZ.strides[0] // A.itemsize)
            derivative_row(da, a, m, activation, slope, dz)
            sums[i] = sum_run(SUM, dz, dz, ONE, m) / m
        return
    delta = outputs + n * columns
    panel = 2 * lanes(outputs)
    for i in range(n):
        sums[i] = 0.0
    for first in range(0, m, columns):
        count = min(columns, m - first)
        panels = (count + panel - 1) // panel
        pack(A, first, count, outputs)
        pack(dA, first, count, delta)
        derivative_panels(delta, outputs, n, panels, activation, slope)
        clear_padding(delta, n, count)
        add_db(delta, n, panels, 1.0 / m, sums)
        unpack(delta, first, count, dZ)


@per_dtype("mmmMMMiV")
def _dense_backward(dZ, W, A_prev, dW, db, dA_prev, columns, memory):
    n_in, m, n_out = A_prev.shape[0], A_prev.shape[1], dZ.shape[0]
    if 1 <= m <= FEW:
        backward_few(dZ, W, A_prev, dW, db, dA_prev, memory)
        return
    x = pointer(memory)
    delta = x + n_in * columns
    delta_prev = delta + n_out * columns
    panel = 2 * lanes(x)
    features = delta_prev + n_in * columns
    slab = features + panel * (columns + n_out)
    s, t = pointer(dW), pointer(db)
    for i in range(n_out * n_in):
        s[i] = 0.0
    for i in range(n_out):
        t[i] = 0.0
    for first in range(0, m, columns):
        count = min(columns, m - first)
        panels = (count + panel - 1) // panel
        pack(A_prev, first, count, x)
        pack(dZ, first, count, delta)
        add_gradients(delta, n_out, x, n_in, panels, 1.0 / m, features, s, t)
        if dA_prev.size:
            whole = count // panel if dA_prev.strides[1] == dA_prev.itemsize else 0
            stride = dA_prev.strides[0] // dA_prev.itemsize
            w = pointer(W)
            backward_panels(
                w, n_in, n_out, delta, null(x), pointer(dA_prev) + first, stride, panel, whole,
                LINEAR, 0.0, slab,
            )  # fmt: skip
            if whole < panels:
                backward_panels(
                    w, n_in, n_out, delta + whole * n_out * panel, null(x), delta_prev, panel,
                    n_in * panel, panels - whole, LINEAR, 0.0, slab,
                )  # fmt: skip
                unpack(delta_prev, first + whole * panel, count - whole * panel, dA_prev)


@per_dtype("mmiifMiV")
def _output_cost(A, Y, loss, activation, slope, dZ, columns, memory):
    n, m = A.shape
    outputs = pointer(memory)
    rows = has_rows(A) and has_rows(Y) and (dZ.size == 0 or has_rows(dZ))
    if rows and (activation != SOFTMAX or is_paired(loss, activation)):
        total = 0.0
        for i in range(n):
            a = pointer(A) + i * (A.strides[0] // A.itemsize)
            y = pointer(Y) + i * (Y.strides[0] // A.itemsize)
            dz = pointer(dZ) + i * (dZ.strides[0] // A.itemsize) if dZ.size else null(a)
            total += output_row(a, y, m, loss, activation, slope, dz)
        return total / m
    targets = outputs + n * columns
    delta = targets + n * columns if dZ.size else null(outputs)
    total = 0.0
    for first in range(0, m, columns):
        count = min(columns, m - first)
        pack(A, first, count, outputs)
        pack(Y, first, count, targets)
        total += output_panels(outputs, targets, n, count, loss, activation, slope, delta)
        if dZ.size:
            unpack(delta, first, count, dZ)
    return total / max(m, 1)


@jit
def mix64(z):
    """The output function of SplitMix64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@per_dtype("Ojj")
def _shuffle(order, seed, epoch):
    golden, half = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
    m = order.shape[1]
    for r in range(order.shape[0]):
        stream = mix64(seed + epoch + np.uint64(r))
        for i in range(m):
            order[r, i] = i
        for i in range(m - 1, 0, -1):
            count = np.uint64(i + 1)
            j = np.int64((mix64(stream + count * golden) >> half) * count >> half)
            order[r, i], order[r, j] = order[r, j], order[r, i]


# --- the contract ------------------------------------------------------------------------


def activate(Z, activation, slope, A):
    """``A = g(Z)``.  OUT: A, (n, m), which may be Z itself."""
    n, m = Z.shape
    columns = block_columns(m, n, Z.dtype)
    memory = np.empty(n * columns if activation == SOFTMAX else RUN, Z.dtype)
    _map[Z.dtype.char](Z, activation, slope, A, 0, columns, memory)


def activation_derivative(A, activation, slope, derivative):
    """``g'(Z)`` from the output A, element by element.  OUT: derivative, (n, m).

    Not for softmax, whose derivative is a matrix for each example.
    """
    _map[A.dtype.char](A, activation, slope, derivative, 1, 0, np.empty(2 * RUN, A.dtype))


def activation_backward(dA, A, activation, slope, dZ, db):
    """``dZ = dA * g'(Z)`` and ``db = sum(dZ) / m``.  OUT: dZ, (n, m), and db, (n, 1)."""
    n, m = A.shape
    columns = block_columns(m, 2 * n, A.dtype)
    memory = np.empty(2 * n * columns, A.dtype)
    _activation_backward[A.dtype.char](dA, A, activation, slope, dZ, db, columns, memory)


def dense_forward(W, b, A_prev, activation, slope, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    layer_sizes = W.shape[::-1]
    plan = network_plan(layer_sizes, (activation,), (slope,))
    columns, size = forward_size(A_prev.shape[1], layer_sizes, A.dtype)
    _forward[A.dtype.char](*plan, W, b, A_prev, A, columns, np.empty(size, A.dtype), 0)


def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
    """Gradients of one layer from dZ, (n_out, m).

    ``dW = dZ A_prev^T / m``, ``db = sum(dZ) / m``, ``dA_prev = W^T dZ``.
    OUT: dW, (n_out, n_in); db, (n_out, 1); dA_prev, (n_in, m), or None to leave it out.
    """
    n_in, n_out = A_prev.shape[0], dZ.shape[0]
    columns = block_columns(dZ.shape[1], 2 * n_in + n_out, dZ.dtype)
    extra = backward_memory((n_in, n_out), columns, dZ.dtype)
    memory = np.empty((2 * n_in + n_out) * columns + extra, dZ.dtype)
    if dA_prev is None:
        dA_prev = np.empty((0, 0), dZ.dtype)
    _dense_backward[dZ.dtype.char](dZ, W, A_prev, dW, db, dA_prev, columns, memory)


def output_cost(A, Y, loss, activation, slope, dZ):
    """Return the cost ``J = sum(loss(A, Y)) / m``.  OUT: dZ, (n_L, m), or None for J alone.

    ``dZ = A - Y`` where the loss and the output activation pair, else
    ``dZ = (A - Y) * g'(Z)``, the derivative of mse through g.
    """
    n, m = A.shape
    columns = block_columns(m, 3 * n, A.dtype)
    memory = np.empty(3 * n * columns, A.dtype)
    if dZ is None:
        dZ = np.empty((0, 0), A.dtype)
    return _output_cost[A.dtype.char](A, Y, loss, activation, slope, dZ, columns, memory)


def all_finite(X):
    """Return whether X holds no NaN and no infinity, without a temporary of its size."""
    return _all_finite[X.dtype.char](X)


def shuffle(order, seed, epoch):
    """A random permutation of 0 ... m - 1 for each epoch.  OUT: order, uint32, (epochs, m).

    Row r is the permutation of epoch ``epoch + r``: Fisher and Yates' shuffle, driven by a
    SplitMix64 stream of its own (see ``_kernels_numpy.shuffle``).
    """
    _shuffle["I"](order, np.uint64(seed), np.uint64(epoch))


class Network:
    """A network of L layers on one flat parameter vector.

    Parameters
    ----------
    layer_sizes : tuple of int
        (n[0], ..., n[L]).
    activations, slopes : tuple
        L codes and L floats.
    loss : int
        Code of the loss.
    parameters : ndarray
        Flat: W[1] row by row, b[1], W[2], b[2], ...  Held, not copied: what the caller
        writes there is what the network computes with.
    """

    def __init__(self, layer_sizes, activations, slopes, loss, parameters):
        self.layer_sizes = tuple(layer_sizes)
        self.activations = activations
        self.slopes = slopes
        self.loss = loss
        self.parameters = parameters
        self._plan = network_plan(self.layer_sizes, tuple(activations), tuple(slopes))
        # W[1] and what follows, b[1] and what follows.
        n_weights = layer_sizes[0] * layer_sizes[1]
        self._from_W_and_b = parameters[None, :], parameters[None, n_weights:]
        # Numbers per example: the packed X and Y, and the panels of `forward_and_back`.
        self._widest = max(layer_sizes[1:])
        self._packed = layer_sizes[0] + layer_sizes[-1]
        self._working = sum(layer_sizes[1:]) + 2 * self._widest
        # Examples between two looks for Ctrl-C outside of `train`.
        self._span = max(int(POLL_WORK // parameters.size), 1)

    def try_forward(self, X, threads=1):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite.  Else None, and the caller converts X or says what is wrong with it."""
        if (
            type(X) is not np.ndarray
            or X.dtype != self.parameters.dtype
            or X.ndim != 2
            or X.shape[0] != self.layer_sizes[0]
            or X.shape[1] == 0
            or not X.flags.aligned
        ):
            return None
        A = np.empty((self.layer_sizes[-1], X.shape[1]), X.dtype)
        return A if self._forward(X, A, 1) else None

    def forward(self, X, A, threads=1):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m)."""
        self._forward(X, A, 0)

    def _forward(self, X, A, check):
        m, dtype = X.shape[1], X.dtype
        columns, size = forward_size(m, self.layer_sizes, dtype)
        arguments = columns, np.empty(size, dtype), check
        if m <= self._span:
            return _forward[dtype.char](*self._plan, *self._from_W_and_b, X, A, *arguments)
        for first in range(0, m, self._span):
            part = slice(first, first + self._span)
            if not _forward[dtype.char](
                *self._plan, *self._from_W_and_b, X[:, part], A[:, part], *arguments
            ):
                return False
        return True

    def cost_and_gradients(self, X, Y, gradients, threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        m, dtype = X.shape[1], X.dtype
        columns = block_columns(m, self._packed + self._working, dtype)
        extra = backward_memory(self.layer_sizes, columns, dtype)
        memory = np.empty((self._packed + self._working) * columns + extra, dtype)
        if gradients is None:
            gradients = np.empty(0, dtype)
        gradients[:] = 0
        cost = 0.0
        for first in range(0, m, self._span):
            cost += _cost_and_gradients[dtype.char](
                *self._plan, self.loss, self.parameters, X, Y, first,
                min(first + self._span, m), columns, self._widest, gradients, memory,
            )  # fmt: skip
        return cost

    def train(self, X, Y, order, batch_size, learning_rate, costs, threads=1):
        """Gradient descent in place: ``W <- W - alpha dW``, ``b <- b - alpha db``.

        One epoch for each element of `costs`, in batches of `batch_size` columns, the
        last one smaller where m is not a multiple.  ``order`` is None (the columns as
        they come) or uint32, (len(costs), m): the columns in each epoch's order.
        Ctrl-C raises KeyboardInterrupt within half a second and leaves the parameters
        of the last whole epoch.
        OUT: costs, float64: the mean of the batch costs as computed in each epoch.
        """
        dtype, m = X.dtype, X.shape[1]
        batch_size = max(1, min(batch_size, m))
        columns = block_columns(batch_size, self._packed + self._working, dtype)
        blocks = -(-batch_size // columns) * -(-m // batch_size)
        chunk = CHUNK_BYTES // (dtype.itemsize * self._packed * columns)
        chunk = max(1, min(chunk, blocks))
        extra = backward_memory(self.layer_sizes, columns, dtype)
        memory = np.empty((self._packed * chunk + self._working) * columns + extra, dtype)
        sums = np.zeros(self.parameters.size if batch_size > columns else 0, dtype)
        order = np.empty((0, 0), np.uint32) if order is None else np.ascontiguousarray(order)
        whole_epoch = self.parameters.copy()
        progress = np.array([0, 0, -1])
        costs[:] = 0
        kernel, blocks = _train[dtype.char], 1
        try:
            while progress[0] < len(costs):
                start = time.perf_counter()
                kernel(
                    *self._plan, self.loss, self.parameters, X, Y, order, batch_size,
                    learning_rate, costs, columns, chunk, self._widest, sums, whole_epoch,
                    memory, progress, blocks,
                )  # fmt: skip
                seconds = time.perf_counter() - start
                blocks = max(1, int(blocks * min(2, POLL_SECONDS / max(seconds, 1e-9))))
        except BaseException:
            self.parameters[:] = whole_epoch
            raise


@functools.lru_cache(1024)
def network_plan(layer_sizes, activations, slopes):
    """What the compiled functions read: sizes, codes and slopes as arrays."""
    return (
        np.array(layer_sizes, np.int64),
        np.array(activations, np.int64),
        np.array(slopes, np.float64),
    )


def block_columns(m, reals_per_column, dtype):
    """Columns of a block: a multiple of the panel, even shares of m, within the cache's size."""
    panel = 2 * lanes_of(dtype)
    most = BLOCK_BYTES // (dtype.itemsize * max(reals_per_column, 1))
    most = max(panel, min(BLOCK_COLUMNS, most // panel * panel))
    blocks = max(1, -(-m // most))
    return -(-max(m, 1) // (blocks * panel)) * panel


@functools.lru_cache(1024)
def forward_size(m, layer_sizes, dtype):
    """Columns of a block, and numbers of memory for the input and output of a layer.

    For a few examples there are no blocks; each has a place in both halves of the memory,
    that is wide enough for whole vectors, or a panel for the outputs.
    """
    widest = max(layer_sizes)
    if m <= FEW:
        return 0, 2 * max(FEW * (widest + MOST_PANEL), MOST_PANEL * layer_sizes[-1])
    columns = block_columns(m, 2 * widest, dtype)
    return columns, 2 * widest * columns


def backward_memory(layer_sizes, columns, dtype):
    """Numbers of memory for the features of `add_dW` and the slab of `multiply_panels`."""
    panel = 2 * lanes_of(dtype)
    largest = max(n_in * n_out for n_in, n_out in itertools.pairwise(layer_sizes))
    return panel * (columns + max(layer_sizes[1:]) + 1) + min(SLAB, largest)
