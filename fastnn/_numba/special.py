"""The activations that give value and derivative from z, of one number, without a branch.

Formulas and sources stand in ``_numpy/special.py`` and, for gelu, in ``_polynomials.py``.
"""

import numpy as np

from fastnn import _polynomials as P
from fastnn._numba.compiling import formula
from fastnn._numba.tile import fma
from fastnn._numba.vector_math import (
    DOWN,
    LOWEST,
    UP,
    corrected,
    exp_negative,
    exp_parts,
    expm1_negative,
    log1p,
    maximum,
    minimum,
    pick,
    polynomial,
    scale_of,
)  # fmt: skip

__all__ = ["elu", "gelu", "gelu_tanh", "silu", "softplus"]

# For float32 and float64.  Beyond END, gelu(z) is z, or 0.
END = 15.0, 39.0
# 2 sqrt(2 / pi) and 0.044715 times it: what is nearest to them, and the rest.
LINE, LINE_LOW = (1.5957691669464111, 1.5957691216057308), (-4.5340681e-08, -9.96930880911092e-17)
CUBE, CUBE_LOW = (0.07135481387376785, 0.07135481627260025), (2.3988325e-09, -6.175149918155315e-19)


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
    down = pick(z, DOWN) if below else one
    rise = z * slope * ((numerator if below else e) * inverse * inverse)
    return (z * a + z * rest) * down, (numerator * inverse + rise) * down


@formula
def twice_u(z):
    """2 sqrt(2 / pi) (z + 0.044715 z^3) in two parts, and its derivative."""
    square, line = z * z, pick(z, LINE)
    cube = pick(z, CUBE) * square
    sum = line + cube
    part = sum - line
    low = (line - (sum - part)) + (cube - part)  # what the sum has lost (Knuth), and the product
    low += fma(pick(z, CUBE), square, -cube) + pick(z, CUBE) * fma(z, z, -square)
    low += pick(z, LINE_LOW) + pick(z, CUBE_LOW) * square
    w = z * sum
    return w, fma(z, sum, -w) + z * low, line + type(z)(3) * cube


def gelu(z, alpha):
    """z Phi(z) = max(z, 0) - |z| (1 - Phi(|z|)), and its derivative Phi(z) + z phi(z)."""
    zero, one, half = type(z)(0), type(z)(1), type(z)(0.5)
    x = minimum(pick(z, END), abs(z))  # beyond, the tail's product with z is 0
    square = x * x
    p, lost, shifted = exp_parts(-half * square, -half * fma(x, x, -square))
    m, twice, twice_lost = mills(x)
    # As in `exp_negative`: 2^n, and the result, may be subnormal.
    power, back, forth = scale_of(shifted), pick(z, DOWN) * half, pick(z, UP) / half
    slope = (m - type(z)(0.3989422804014327) * x) * p * power * (back + back)
    tail = twice * p
    tail = tail + (fma(twice, p, -tail) + (twice * lost + twice_lost * p))
    value = ((x if z > zero else zero) * forth - tail * power) * back
    derivative = slope if z < zero else one - slope
    return (z if z > pick(z, END) else np.copysign(value, z)), derivative


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
