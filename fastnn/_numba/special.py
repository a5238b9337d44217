"""The activations that give value and derivative from z, of one number, without a branch.

Formulas and sources stand in ``_numpy/special.py`` and, for gelu, in ``_polynomials.py``.
"""

import numpy as np

from fastnn import _polynomials as P
from fastnn._numba.compiling import formula
from fastnn._numba.vector_math import (
    DOWN,
    LOWEST,
    MAGIC,
    UP,
    corrected,
    exp_curved,
    exp_negative,
    exp_parts,
    exp_reduce,
    expm1_negative,
    log1p,
    maximum,
    minimum,
    pick,
    polynomial,
    scale_of,
    single,
)  # fmt: skip

__all__ = ["elu", "gelu", "gelu_tanh", "silu", "softplus"]

# Beyond it, gelu(z) is z, or 0: for float32 and float64.
END = 15.0, 39.0


def elu(z, alpha):
    one, above = type(z)(1), z > type(z)(0)
    t, _ = expm1_negative(minimum(type(z)(0), z))
    return (z if above else np.copysign(alpha * t, z)), (one if above else alpha * t + alpha)


def softplus(z, alpha):
    """max(z, 0) + ln(1 + exp(-|z|)), and sigmoid(z)."""
    zero, one, e = type(z)(0), type(z)(1), exp_negative(-abs(z))
    return maximum(zero, z) + log1p(e), (e if z < zero else one) / (one + e)


def silu(z, alpha):
    end = -pick(z, LOWEST)
    near = maximum(-end, minimum(end, z))
    value, derivative = gate(near, near, type(z)(0), type(z)(1))
    return (z if z > end else value), derivative


def gelu_tanh(z, alpha):
    end = pick(z, END)
    near = maximum(-end, minimum(end, z))
    w, low, slope = twice_u(near)
    value, derivative = gate(near, w, low, slope)
    return (z if z > end else value), derivative


@formula
def gate(z, w, low, slope):
    """z s and its derivative s + z slope s (1 - s), with s = sigmoid(w + low), w' = slope.

    z >= LOWEST; s is exp(w + low) in the tail, where an error of w is one of the result's last
    place, hence its second part, and where s alone would be subnormal.
    """
    one, below = type(z)(1), w < type(z)(0)
    p, lost, shifted = exp_parts(maximum(pick(z, LOWEST), -abs(w)), low if below else -low)
    scaled, lost = p * scale_of(shifted), lost * scale_of(shifted)
    e = scaled * pick(z, DOWN)
    denominator = one + e
    inverse = one / denominator
    numerator = scaled if below else one
    a = numerator * inverse
    # The quotient's remainder, as in `corrected`, with what e has lost.
    rest = (numerator - a * denominator) - a * ((e - (denominator - one)) + lost * pick(z, DOWN))
    rest = (rest + (lost if below else type(z)(0))) * inverse
    value = (z * a + z * rest) * (pick(z, DOWN) if below else one)
    return value, (e if below else one) * inverse + z * slope * (e * inverse * inverse)


@formula
def twice_u(z):
    """2 sqrt(2 / pi) (z + 0.044715 z^3) in two parts, |z| <= 39, and its derivative."""
    real = type(z)
    slope = real(1.5957691216057308) * (real(1) + real(0.134145) * z * z)
    if single(z):
        x = np.float64(z)
        sum = 1.5957691216057308 * x + 0.07135481627260025 * (x * x * x)
        w = real(sum)
        return w, real(sum - np.float64(w)), slope
    # z = c + d and c^3 = h + rest: c, h and the first parts of the constants have so few bits
    # that `cube` and `line` are exact for |z| <= 32; below -32 the result is 0.
    c = rounded(z, 2.0**-12)
    d, h = z - c, rounded(c * c * c, 2.0**-11)
    cube, line = real(0.071354815736413) * h, real(1.5957691073417664) * c
    sum = cube + line
    part = sum - cube
    low = (cube - (sum - part)) + (line - part)  # what the sum has lost (Knuth)
    low += (
        real(1.426396435433791e-08) * c
        + real(5.361872467621785e-10) * h
        + real(0.07135481627260025) * (c * c * c - h)
    )
    low += d * (real(1.5957691216057308) + real(0.07135481627260025) * (z * z + c * (z + c)))
    w = sum + low
    return w, low - (w - sum), slope


@formula
def rounded(x, quantum):
    """x as a multiple of a power of two, so that its products are exact."""
    shift = type(x)(quantum) * pick(x, MAGIC)
    return (x + shift) - shift


def gelu(z, alpha):
    """z Phi(z) = max(z, 0) - |z| (1 - Phi(|z|)), and its derivative Phi(z) + z phi(z)."""
    real = type(z)
    end = pick(z, END)  # beyond, the tail's product with z is 0
    x = minimum(end, abs(z))
    shifted, r, curved = exp_half_square(x)
    m, twice, lost = mills(x)
    # As in `exp_negative`: 2^n, and the result, may be subnormal.
    power, back, forth = scale_of(shifted), pick(z, DOWN) * real(0.5), pick(z, UP) * real(2)
    density = real(1) + (r + curved)
    slope = (m - real(0.3989422804014327) * x) * density * power * (back + back)
    derivative = slope if z < real(0) else real(1) - slope
    twice = twice + (twice * r + (twice * curved + lost * density))
    value = ((x if z > real(0) else real(0)) * forth - twice * power) * back
    return (z if z > end else np.copysign(value, z)), derivative


@formula
def exp_half_square(x):
    """(shifted, r, curved): exp(-x^2 / 2) = 2^n (1 + r + curved), 0 <= x <= 39 (15).

    With c, x rounded to so few bits that its square is exact, -x^2 / 2 is
    -c^2 / 2 + (c - x) (c + x) / 2, where the second part is small.
    """
    real = type(x)
    c = rounded(x, 2.0**-8 if single(x) else 2.0**-20)
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
    total = x * v * polynomial(argument, P.MILLS_FLOAT32, P.MILLS_FLOAT64)
    inverse = (x + real(4)) * inverse
    numerator = x + (x + x) * total
    twice = numerator * inverse
    rest = (numerator - twice * denominator) - twice * one_lost
    lost = inverse * (rest + ((x - numerator) + (x + x) * total))
    return corrected(real(0.5) + total, denominator, one_lost, inverse), twice, lost
