"""gelu for the reference kernels: NumPy has neither erf nor a fused multiply-add.

The steps are those of ``_cython/vector_math.pxi``; the polynomials and their formulas stand in
``_polynomials.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._polynomials import EXP_FLOAT64, MILLS_FLOAT64

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Float64 = NDArray[np.float64]

__all__ = ["gelu"]

END = 39
"""From here on gelu(z) is z, and gelu(-z) is 0."""

LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705878e-10
"""ln 2 in two parts: the first is short, so that n times it is exact."""


@np.errstate(all="ignore")
def gelu(Z: Array, A: Array, D: Array | None) -> None:
    """``A = Z Phi(Z)`` and ``D = Phi(Z) + Z phi(Z)``.

    Phi is the distribution function of the normal distribution and phi its density
    (Hendrycks and Gimpel, "Gaussian error linear units", 2016).  The value is
    ``max(z, 0) - x (1 - Phi(x))`` with ``x = |z|``, which is accurate on either side: within 2
    units in the last place in float64.  float32 is computed in float64 and rounded.

    Parameters
    ----------
    Z : ndarray of float32 or float64, any shape
    A : ndarray of the shape and dtype of Z, which may be Z itself
        OUT: the values.  NaN stays NaN, inf gives inf, -inf gives -0.0, zeros keep their sign.
    D : ndarray of the shape and dtype of Z, or None
        OUT: the derivatives, within 2 machine epsilons; NaN stays NaN, inf gives 1, -inf 0.

    Examples
    --------
    >>> A = np.empty(3)
    >>> gelu(np.array([-1.0, 0.0, 1.0]), A, None)
    >>> A.round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    z = Z.astype(np.float64)
    x = np.minimum(np.abs(z), END)
    n, r, curved = _exp_half_square(x)
    m, twice, lost = _mills(x)
    density = 1 + (r + curved)
    if D is not None:
        slope = np.ldexp((m - x / np.sqrt(2 * np.pi)) * density, n)
        D[...] = np.where(z < 0, slope, 1 - slope)
    # Scaled by 2^512, because 2^n and the value may be subnormal, and are to be rounded once.
    tail = np.ldexp(twice + (twice * r + (twice * curved + lost * density)), n + 512)
    value = (np.where(z > 0, x, 0) * 2.0**513 - tail) * 2.0**-513
    A[...] = np.where(z > END, z, np.copysign(value, z))


def _exp_half_square(x: Float64) -> tuple[NDArray[np.int64], Float64, Float64]:
    """n, r and c with ``exp(-x^2 / 2) = 2^n (1 + r + c)``, for 0 <= x <= END."""
    near = np.round(x * 2.0**20) * 2.0**-20  # has an exact square
    half_square, rest = -0.5 * near * near, 0.5 * (near - x) * (near + x)
    n = np.round(half_square / np.log(2))
    exact = half_square - n * LN2_HIGH
    high = exact - n * LN2_LOW
    rest += (exact - high) - n * LN2_LOW
    r = high + rest
    return (
        np.nan_to_num(n).astype(np.int64),
        r,
        r * r * _polynomial(r, EXP_FLOAT64) + ((high - r) + rest),
    )


def _mills(x: Float64) -> tuple[Float64, Float64, Float64]:
    """m = (1 - Phi(x)) exp(x^2 / 2), and twice + lost = 2 x m with more digits, for x >= 0."""
    s = x / (x + 4)
    part = s * _polynomial(2 * s - 1, MILLS_FLOAT64)
    numerator, denominator = x + 2 * x * part, x + 1
    lost = x - (denominator - 1)  # what rounding took from the denominator
    m, twice = (0.5 + part) / denominator, numerator / denominator
    m -= m * lost / denominator
    # numerator - twice denominator: products of halves are exact (Dekker, 1971).
    twice_high, high = _high_half(twice), _high_half(denominator)
    remainder = (numerator - twice_high * high) - twice_high * (denominator - high)
    remainder -= (twice - twice_high) * denominator
    remainder += ((x - numerator) + 2 * x * part) - twice * lost
    return m, twice, remainder / denominator


def _high_half(x: Float64) -> Float64:
    """x rounded to 26 bits."""
    scaled = x * (2.0**27 + 1)
    return scaled - (scaled - x)


def _polynomial(x: Float64, coefficients: tuple[float, ...]) -> Float64:
    """c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule."""
    value = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        value *= x
        value += c
    return value
