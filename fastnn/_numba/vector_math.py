"""exp, log, sigmoid, tanh and gelu of one number, without a branch.

LLVM makes vector instructions of them where they stand in a loop.  The polynomials are those of
``_polynomials.py``, which also says how they were made; ln 2 is split in two so that n times
the first part is exact (Cody and Waite, "Software manual for the elementary functions", 1980).
NaN goes through.  ``type(x)(1.5)`` is the constant in the type of x: Numba would go on in
float64 otherwise.
"""

import numpy as np
from numba import types
from numba.extending import overload

from fastnn._numba.compiling import OPTIONS, formula
from fastnn._polynomials import (
    EXP_FLOAT32,
    EXP_FLOAT64,
    LOG_FLOAT32,
    LOG_FLOAT64,
    MILLS_FLOAT32,
    MILLS_FLOAT64,
    TANH_HALF_D,
    TANH_HALF_N,
)

__all__ = [
    "exp_negative",
    "gelu",
    "log",
    "log_of_one_minus",
    "maximum",
    "minimum",
    "sigmoid",
    "tanh",
    "tiny",
]

TINY_FLOAT32, TINY_FLOAT64 = (float(np.finfo(dtype).tiny) for dtype in ("f4", "f8"))
LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
ROOT_HALF_FLOAT32 = int(np.float32(0.5**0.5).view(np.int32))
ROOT_HALF_FLOAT64 = int(np.float64(0.5**0.5).view(np.int64))


# --- what depends on the type -------------------------------------------------------------


def single(x):
    """Whether x is float32: a constant for the compiler."""


def bits_of(x):
    """The bits of x as an integer."""


def from_bits(bits, x):
    """The number of the type of x that has these bits."""


_JIT = {"forceinline": True, **OPTIONS}


@overload(single, jit_options=_JIT)
def _single(x):
    return (lambda x: True) if x == types.float32 else (lambda x: False)


@overload(bits_of, jit_options=_JIT)
def _bits_of(x):
    if x == types.float32:
        return lambda x: np.float32(x).view(np.int32)
    return lambda x: np.float64(x).view(np.int64)


@overload(from_bits, jit_options=_JIT)
def _from_bits(bits, x):
    # Numba's sum of two int32 is an int64.
    if x == types.float32:
        return lambda bits, x: np.int32(bits).view(np.float32)
    return lambda bits, x: np.int64(bits).view(np.float64)


# --- parts --------------------------------------------------------------------------------


@formula
def maximum(x, y):
    """x if x > y, else y: a NaN in y comes through."""
    return x if x > y else y


@formula
def minimum(x, y):
    """x if x < y, else y: a NaN in y comes through."""
    return x if x < y else y


@formula
def tiny(x):
    """The smallest normal number."""
    return type(x)(TINY_FLOAT32 if single(x) else TINY_FLOAT64)


@formula
def polynomial(x, coefficients):
    """c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule."""
    value = type(x)(0)
    for i in range(len(coefficients) - 1, -1, -1):
        value = value * x + type(x)(coefficients[i])
    return value


@formula
def magic(x):
    """1.5 * 2^(bits of the mantissa): adding it leaves the nearest integer in the low bits."""
    return type(x)(1.5 * 2.0**23 if single(x) else 1.5 * 2.0**52)


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
    shifted = x * real(LOG2_E) + magic(x)
    n = shifted - magic(x)
    if single(x):
        r = (x - n * real(0.693145751953125)) - n * real(1.4286068203094172e-6)
        return shifted, r, real(0)
    high = x - n * real(0.6931471803691238)
    r = high - n * real(1.9082149292705878e-10)
    return shifted, r, (high - r) - n * real(1.9082149292705878e-10)


@formula
def exp_curved(r):
    """exp(r) - 1 - r for |r| <= ln(2) / 2."""
    return r * r * (polynomial(r, EXP_FLOAT32) if single(r) else polynomial(r, EXP_FLOAT64))


@formula
def corrected(numerator, denominator, lost, inverse):
    """numerator / (denominator + lost), to the last place: the quotient and its remainder."""
    a = numerator * inverse
    return a + ((numerator - a * denominator) - a * lost) * inverse


# --- functions ----------------------------------------------------------------------------


@formula
def exp_negative(x):
    """exp(x) for x <= 0 or NaN; subnormal results are rounded once, -inf gives 0."""
    real = type(x)
    # Below the clamp the result is 0 all the same, and n stays within the exponent's range.
    shifted, r, lost = exp_reduce(maximum(real(-104.0 if single(x) else -746.0), x))
    # 2^n may be subnormal: scale by a higher power first, exactly, then back.
    if single(x):
        return (exp_curved(r) + r + real(1)) * power_of_two(shifted, 64) * real(2.0**-64)
    near = real(1) + r
    power = near + (exp_curved(r) + (lost + (r - (near - real(1)))))
    return power * power_of_two(shifted, 512) * real(2.0**-512)


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
def tanh_by_half(x):
    """tanh |x| in float32: 2 N D / (2 N D + (D - N)^2), where N / D = tanh |x / 2|.

    Near 1, where N and D are nearly equal, an error of theirs hardly counts.
    """
    real = type(x)
    c = minimum(real(9), abs(x))  # beyond, the result is 1
    z = c * c
    n = c * z * polynomial(z, TANH_HALF_N) + c
    u = z * polynomial(z, TANH_HALF_D)  # D = 2 + u exactly
    twice_nd = n * u + (n + n)
    twice_nd = twice_nd + twice_nd
    difference = u - n
    return twice_nd / ((difference * (difference + real(4)) + twice_nd) + real(4))


@formula
def tanh_by_exp(x):
    """tanh |x| in float64: -t / (2 + t) with t = exp(-2|x|) - 1."""
    real = type(x)
    shifted, r, _ = exp_reduce(maximum(real(-40), abs(x) * real(-2)))  # tanh(20) rounds to 1
    scale = power_of_two(shifted, 0)
    q = exp_curved(r) + r
    t = scale * q + (scale - real(1))
    denominator = t + real(2)
    a = -t / denominator
    t_lost = ((scale - real(1)) - t) + scale * q
    lost = (t - (denominator - real(2))) + t_lost
    # As in `corrected`; and 1 / (2 + t) = (1 + tanh |x|) / 2.
    rest = ((-t - a * denominator) - t_lost) - a * lost
    return abs(a + rest * (real(0.5) + real(0.5) * a))  # not -0


@formula
def tanh(x):
    """tanh |x|, and the sign of x."""
    return np.copysign(tanh_by_half(x) if single(x) else tanh_by_exp(x), x)


@formula
def log(x):
    """ln x for normal x > 0: k ln 2 + 2 s + s^3 q(s^2), s = (m - 1) / (m + 1), x = m 2^k."""
    real = type(x)
    mantissa, root_half = (23, ROOT_HALF_FLOAT32) if single(x) else (52, ROOT_HALF_FLOAT64)
    k = (bits_of(x) - root_half) >> mantissa
    f = from_bits(bits_of(x) - (k << mantissa), x) - real(1)
    s = f / (f + real(2))
    z = s * s
    q = polynomial(z, LOG_FLOAT32) if single(x) else polynomial(z, LOG_FLOAT64)
    # 2 s = f - s f keeps the last bits of f; x - x is 0, or NaN where x is.
    return real(k) * real(LN2) + (f - s * (f - z * q)) + (x - x)


@formula
def log_of_one_minus(a):
    """ln(1 - a) for 0 <= a < 1, with the bits of a that 1 - a loses."""
    one = type(a)(1)
    rest = one - a
    return log(rest) + ((one - rest) - a) / rest


@formula
def exp_half_square(x):
    """(shifted, r, curved): exp(-x^2 / 2) = 2^n (1 + r + curved), 0 <= x <= 39 (15).

    With c, x rounded to so few bits that its square is exact, -x^2 / 2 is
    -c^2 / 2 + (c - x) (c + x) / 2, where the second part is small.
    """
    real = type(x)
    near = real(1.5 * 2.0**15 if single(x) else 1.5 * 2.0**32)
    c = (x + near) - near
    shifted, high, lost = exp_reduce(real(-0.5) * c * c)
    rest = real(0.5) * (c - x) * (c + x) + lost
    r = high + rest
    return shifted, r, exp_curved(r) + ((high - r) + rest)


@formula
def mills(x):
    """(m, twice, lost): m = (1 - Phi(x)) exp(x^2 / 2) for x >= 0, twice + lost = 2 x m."""
    real = type(x)
    denominator = x + real(1)
    one_lost = x - (denominator - real(1))
    inverse = real(1) / (denominator * (x + real(4)))  # of both: one division
    v = denominator * inverse
    argument = real(1) - real(8) * v
    if single(x):
        total = x * v * polynomial(argument, MILLS_FLOAT32)
    else:
        total = x * v * polynomial(argument, MILLS_FLOAT64)
    inverse = (x + real(4)) * inverse
    numerator = x + (x + x) * total
    twice = numerator * inverse
    rest = (numerator - twice * denominator) - twice * one_lost
    lost = inverse * (rest + ((x - numerator) + (x + x) * total))
    return corrected(real(0.5) + total, denominator, one_lost, inverse), twice, lost


@formula
def gelu(z):
    """z Phi(z) = max(z, 0) - |z| (1 - Phi(|z|)), and its derivative Phi(z) + z phi(z)."""
    real = type(z)
    end = real(15.0 if single(z) else 39.0)  # beyond, the tail's product with z is 0
    x = minimum(end, abs(z))
    shifted, r, curved = exp_half_square(x)
    m, twice, lost = mills(x)
    # As in `exp_negative`: 2^n, and the result, may be subnormal.
    power = power_of_two(shifted, 64 if single(z) else 512)
    back = real(2.0**-65 if single(z) else 2.0**-513)
    forth = real(2.0**65 if single(z) else 2.0**513)
    density = real(1) + (r + curved)
    slope = (m - real(0.3989422804014327) * x) * density * power * (back + back)
    derivative = slope if z < real(0) else real(1) - slope
    twice = twice + (twice * r + (twice * curved + lost * density))
    value = ((x if z > real(0) else real(0)) * forth - twice * power) * back
    return (z if z > end else np.copysign(value, z)), derivative
