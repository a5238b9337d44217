"""exp, log, sigmoid, tanh of one number, without a branch.

LLVM makes vector instructions of them where they stand in a loop.  The polynomials are those of
``_polynomials.py``, which also says how they were made; ln 2 is split in two so that n times
the first part is exact (Cody and Waite, "Software manual for the elementary functions", 1980).
NaN goes through.  ``type(x)(1.5)`` is the constant in the type of x: Numba would go on in
float64 otherwise.
"""

import numpy as np
from numba import types
from numba.extending import overload

from fastnn import _polynomials as P
from fastnn._numba.compiling import OPTIONS, formula

__all__ = [
    "DOWN", "LOWEST", "MAGIC", "UP", "corrected", "exp", "exp_curved", "exp_negative", "exp_parts",
    "exp_reduce", "expm1_negative", "log", "log1p", "maximum", "minimum", "pick", "polynomial",
    "scale_of", "sigmoid", "single", "tanh",
]  # fmt: skip

INLINE = {"jit_options": {"forceinline": True, **OPTIONS}}

LOG2_E, LN2 = 1.4426950408889634, 0.6931471805599453

# For float32 and float64.  Adding MAGIC leaves the nearest integer in the low bits.
MAGIC = 1.5 * 2.0**23, 1.5 * 2.0**52
# The smallest results are scaled up, and rounded once on the way down.
UP, DOWN = (2.0**64, 2.0**512), (2.0**-64, 2.0**-512)
# Below LOWEST exp(x) and x exp(x) are 0, and n stays within the exponent's range; above HIGHEST
# exp(x) is inf.
LOWEST, HIGHEST = (-120.0, -760.0), (100.0, 720.0)


# --- what depends on the type -------------------------------------------------------------


def bits_of(x):
    """The bits of x as an integer."""


@overload(bits_of, **INLINE)
def _bits_of(x):
    real, integer = (np.float32, np.int32) if x == types.float32 else (np.float64, np.int64)
    return lambda x: real(x).view(integer)


def from_bits(bits, x):
    """The number of the type of x that has these bits."""


@overload(from_bits, **INLINE)
def _from_bits(bits, x):  # Numba's sum of two int32 is an int64
    real, integer = (np.float32, np.int32) if x == types.float32 else (np.float64, np.int64)
    return lambda bits, x: integer(bits).view(real)


@formula
def single(x):
    """Whether x is float32: a constant for LLVM, like all that follows from it."""
    return type(x)(1) + type(x)(2.0**-40) == type(x)(1)


@formula
def pick(x, of_either):
    """A constant in the type of x: the first for float32, the second for float64."""
    return type(x)(of_either[0] if single(x) else of_either[1])


# --- parts --------------------------------------------------------------------------------


@formula
def maximum(x, y):
    """x if x > y, else y: a NaN in y comes through."""
    return x if x > y else y


@formula
def minimum(x, y):
    """x if x < y, else y: a NaN in y comes through."""
    return x if x < y else y


def horner(x, coefficients):
    """c[0] + c[1] x + c[2] x^2 + ..., without a loop: LLVM would not unroll a long one."""


@overload(horner, **INLINE)
def _horner(x, coefficients):
    if len(coefficients) == 1:
        return lambda x, coefficients: type(x)(coefficients[0])
    return lambda x, coefficients: type(x)(coefficients[0]) + x * horner(x, coefficients[1:])


@formula
def polynomial(x, of_float32, of_float64):
    return horner(x, of_float32) if single(x) else horner(x, of_float64)


@formula
def power_of_two(shifted, offset):
    """2^(n + offset), where shifted = n + magic."""
    mantissa, bias = (23, 127) if single(shifted) else (52, 1023)
    return from_bits((bits_of(shifted) + (bias + offset)) << mantissa, shifted)


@formula
def exp_reduce(x):
    """(shifted, r, lost): x = n ln 2 + r + lost, n = round(x / ln 2), shifted = n + magic.

    `lost` is what rounding took from r, in float64.
    """
    real = type(x)
    shifted = x * real(LOG2_E) + pick(x, MAGIC)
    n = shifted - pick(x, MAGIC)
    if single(x):
        r = (x - n * real(0.693145751953125)) - n * real(1.4286068203094172e-6)
        return shifted, r, real(0)
    high = x - n * real(0.6931471803691238)
    r = high - n * real(1.9082149292705878e-10)
    return shifted, r, (high - r) - n * real(1.9082149292705878e-10)


@formula
def exp_curved(r):
    """exp(r) - 1 - r for |r| <= ln(2) / 2."""
    return r * r * polynomial(r, P.EXP_FLOAT32, P.EXP_FLOAT64)


@formula
def exp_parts(x, low):
    """(p, lost, shifted): exp(x + low) = 2^n (p + lost), shifted = n + magic; low is small."""
    shifted, high, lost = exp_reduce(x)
    one, r = type(x)(1), high + low
    if single(x):
        return exp_curved(r) + r + one, type(x)(0), shifted
    near = one + r
    lost = lost + (low - (r - high))
    rest = exp_curved(r) + (lost + (r - (near - one)))
    p = near + rest
    return p, rest - (p - near), shifted


@formula
def scale_of(shifted):
    """2^n * up."""
    return power_of_two(shifted, 64 if single(shifted) else 512)


@formula
def corrected(numerator, denominator, lost, inverse):
    """numerator / (denominator + lost), to the last place: the quotient and its remainder."""
    a = numerator * inverse
    return a + ((numerator - a * denominator) - a * lost) * inverse


# --- functions ----------------------------------------------------------------------------


@formula
def exp_negative(x):
    """exp(x) for x <= 0 or NaN; subnormal results are rounded once, -inf gives 0."""
    p, _, shifted = exp_parts(maximum(pick(x, LOWEST), x), type(x)(0))
    return p * scale_of(shifted) * pick(x, DOWN)


@formula
def exp(x):
    """exp(x); from 89 (710) on inf."""
    real = type(x)
    p, _, shifted = exp_parts(minimum(pick(x, HIGHEST), maximum(pick(x, LOWEST), x)), real(0))
    # n + 64 would be beyond the exponent's range for a large x, n - 64 for a small one.
    if x > real(0):
        return p * power_of_two(shifted, -64 if single(x) else -512) * pick(x, UP)
    return p * scale_of(shifted) * pick(x, DOWN)


@formula
def expm1_negative(x):
    """exp(x) - 1 for x <= 0 or NaN, and what its rounding took away."""
    real = type(x)
    shifted, r, lost = exp_reduce(maximum(real(-40), x))  # exp(-40) - 1 rounds to -1
    scale = power_of_two(shifted, 0)
    q = exp_curved(r) + r
    t = scale * q + (scale - real(1))
    return t, ((scale - real(1)) - t) + scale * q


@formula
def sigmoid(x):
    """1 / (1 + exp(-x)), as e / (1 + e) or 1 / (1 + e) with e = exp(-|x|): both tails exact."""
    one = type(x)(1)
    e = exp_negative(-abs(x))
    numerator = e if x < type(x)(0) else one
    denominator = e + one
    if single(x):
        return numerator / denominator
    return corrected(numerator, denominator, e - (denominator - one), one / denominator)


@formula
def tanh(x):
    """-t / (2 + t) with t = exp(-2 |x|) - 1, and the sign of x."""
    real = type(x)
    t, t_lost = expm1_negative(abs(x) * real(-2))
    denominator = t + real(2)
    a = -t / denominator
    if not single(x):  # as in `corrected`; and 1 / (2 + t) = (1 + tanh |x|) / 2
        lost = (t - (denominator - real(2))) + t_lost
        rest = ((-t - a * denominator) - t_lost) - a * lost
        a = a + rest * (real(0.5) + real(0.5) * a)
    return np.copysign(a, x)


@formula
def log(x):
    """ln x for normal x > 0: k ln 2 + 2 s + s^3 q(s^2), s = (m - 1) / (m + 1), x = m 2^k."""
    real = type(x)
    mantissa = 23 if single(x) else 52
    k = (bits_of(x) - bits_of(real(0.7071067811865476))) >> mantissa
    f = from_bits(bits_of(x) - (k << mantissa), x) - real(1)
    s = f / (f + real(2))
    z = s * s
    q = polynomial(z, P.LOG_FLOAT32, P.LOG_FLOAT64)
    # 2 s = f - s f keeps the last bits of f; x - x is 0, or NaN where x is.
    return real(k) * real(LN2) + (f - s * (f - z * q)) + (x - x)


@formula
def log1p(x):
    """ln(1 + x) for -1 < x <= 1, with the bits of x that 1 + x loses."""
    one = type(x)(1)
    total = one + x
    return log(total) + (x - (total - one)) / total
