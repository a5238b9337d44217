"""The activations that give value and derivative from z, for the reference kernels.

All are computed in float64, and rounded where the arrays are float32.  NumPy has neither erf
nor a fused multiply-add: the steps of `gelu` are those of ``_cython/vector_math.pxi``, and its
polynomials stand in ``_polynomials.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._polynomials import EXP_FLOAT64, MILLS_FLOAT64

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Float64 = NDArray[np.float64]

__all__ = ["elu", "gelu", "gelu_tanh", "silu", "softplus"]

END = 39
"""From here on gelu(z) is z, and gelu(-z) is 0."""

LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705878e-10
"""ln 2 in two parts: the first is short, so that n times it is exact."""


FAR = 1500.0
"""Beyond it, on the negative side, exp is 0 and each of these has reached its limit."""


@np.errstate(all="ignore")
def elu(Z: Array, alpha: float, A: Array, D: Array | None) -> None:
    """``A = Z if Z > 0 else alpha (exp(Z) - 1)`` and ``D = 1 if Z > 0 else alpha exp(Z)``.

    The exponential linear unit (Clevert, Unterthiner and Hochreiter, 2016).  OUT: A, which may
    be Z itself, and D, unless it is None, as for all functions here.
    """
    z, alpha = Z.astype(np.float64), float(Z.dtype.type(alpha))
    low = np.where(z > 0, 0, z)
    if D is not None:
        D[...] = np.where(z > 0, 1, alpha * np.exp(low))
    A[...] = np.where(z > 0, z, alpha * np.expm1(low))


@np.errstate(all="ignore")
def softplus(Z: Array, A: Array, D: Array | None) -> None:
    """``A = log(1 + exp(Z))`` and ``D = sigmoid(Z)`` (Dugas et al., 2001)."""
    z = Z.astype(np.float64)
    E = np.exp(-np.abs(z))
    if D is not None:
        D[...] = np.where(z > 0, 1, E) / (1 + E)
    A[...] = np.maximum(z, 0) + np.log1p(E)


@np.errstate(all="ignore")
def silu(Z: Array, A: Array, D: Array | None) -> None:
    """``A = Z s`` and ``D = s + Z s (1 - s)``, with ``s = sigmoid(Z)``.

    The sigmoid-weighted linear unit, swish (Elfwing, Uchibe and Doya, 2018).
    """
    z = np.maximum(Z, -FAR, dtype=np.float64)
    if D is not None:
        D[...] = _derivative_of_gate(np.minimum(z, FAR), np.minimum(z, FAR), 1)
    A[...] = _gate(z, z, 0)


@np.errstate(all="ignore")
def gelu_tanh(Z: Array, A: Array, D: Array | None) -> None:
    """``A = Z (1 + tanh(u)) / 2 = Z sigmoid(2 u)``, and its derivative D.

    ``u = sqrt(2 / pi) (Z + 0.044715 Z^3)``: the tanh form of gelu (Hendrycks and Gimpel, 2016).
    """
    z = np.maximum(Z, -END, dtype=np.float64)
    near = np.minimum(z, END)
    w, lost = _twice_u(near)
    if D is not None:
        slope = TWICE_ROOT[0] * (1 + 3 * CUBE[0] * near * near)
        D[...] = _derivative_of_gate(near, w, slope)
    A[...] = np.where(z < END, _gate(near, w, lost), z)


def _gate(z: Float64, w: Float64, lost: Float64 | int) -> Float64:
    """``z sigmoid(w + lost)``, accurate in the tail, where sigmoid is exp."""
    E = np.exp(-np.maximum(w, -700))
    half = np.exp(w / 2)  # two factors, neither of them subnormal
    near, far = z / (1 + (E - E * lost)), z * half * (half + half * lost)
    gate: Float64 = np.where(w > -700, near, far)
    return gate


def _derivative_of_gate(z: Float64, w: Float64, slope: Float64 | int) -> Float64:
    """The derivative of ``z sigmoid(w)``, where that of w is `slope`."""
    E = np.exp(-np.abs(w))
    derivative: Float64 = (np.where(w > 0, 1, E) + z * slope * (E / (1 + E))) / (1 + E)
    return derivative


TWICE_ROOT = (1.5957691216057308, -9.96930880911092e-17)
"""2 sqrt(2 / pi), in two parts."""
CUBE = (0.044715, 2.1960211427085595e-18)
"""The paper's 0.044715, and what its nearest float64 lacks."""


def _twice_u(z: Float64) -> tuple[Float64, Float64]:
    """2 u of `gelu_tanh` in two parts: an error in its last place is one of exp(2 u) too."""
    p, p_low = _product(z, z)
    t, t_low = _product(p, np.full_like(p, CUBE[0]))
    t_low += p_low * CUBE[0] + p * CUBE[1]
    q = 1 + t
    q_low = np.where(t < 1, t - (q - 1), 1 - (q - t)) + t_low
    r, r_low = _product(z, q)
    r_low += z * q_low
    w, w_low = _product(r, np.full_like(r, TWICE_ROOT[0]))
    w_low += r_low * TWICE_ROOT[0] + r * TWICE_ROOT[1]
    return w, w_low


def _product(x: Float64, y: Float64) -> tuple[Float64, Float64]:
    """x y, and what its rounding took away (Dekker, 1971)."""
    product = x * y
    x_high, y_high = _high_half(x), _high_half(y)
    x_low, y_low = x - x_high, y - y_high
    return product, x_low * y_low - (
        ((product - x_high * y_high) - x_low * y_high) - x_high * y_low
    )


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
