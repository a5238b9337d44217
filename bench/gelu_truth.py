"""The truth for gelu and its tanh form: Taylor series, and products with twice the digits.

Of m(x) = (1 - Phi(x)) exp(x^2 / 2) mpmath (extra ``test``) gives the value at each multiple of
1/8; with m' = x m - phi(0) follow its derivatives there.  Between them the series, in float64
or in longdouble, errs by less than 0.01 ULP of float32 or of float64.

The tanh form is z sigmoid(2 u), 2 u = x (k + c x^2).  An error of 2 u is a relative one of
exp(2 u), and 2 u goes up to 760: it is the sum of two numbers.
"""

from functools import cache

import numpy as np

__all__ = ["derivative", "gelu", "tanh_form", "tanh_form_derivative"]

STEPS, END, TERMS = 8, 40, 20
"""Centres from 0 to END, so many in 1; beyond END gelu is z or 0 in either dtype."""


def gelu(z):
    """z Phi(z) = max(z, 0) - |z| (1 - Phi(|z|))."""
    x = np.minimum(np.abs(z), END)
    true = np.maximum(z, 0) - x * (_mills(x) * _exp_half_square(x))
    return np.copysign(true, z)


def derivative(z):
    """Phi(z) + z phi(z)."""
    x = np.minimum(np.abs(z), END)
    tail = (_mills(x) - x * _density_at_0(z.dtype)) * _exp_half_square(x)
    return np.where(z < 0, tail, 1 - tail)


def _mills(x):
    """(1 - Phi(x)) exp(x^2 / 2) for 0 <= x <= END."""
    centre = np.rint(x * STEPS)
    series, h = _series(x.dtype), x - centre / STEPS
    centre = np.nan_to_num(centre).astype(np.intp)
    value = series[-1][centre]
    for row in series[-2::-1]:
        value *= h
        value += row[centre]
    return value


def _exp_half_square(x):
    """exp(-x^2 / 2), with x^2 in two parts: the first is exact."""
    near = x.astype(np.float32).astype(x.dtype)
    return np.exp(near * near / -2) * np.exp((near - x) * (near + x) / 2)


def tanh_form(z):
    """z sigmoid(2 u), u = sqrt(2 / pi) (z + 0.044715 z^3)."""
    x = np.minimum(np.abs(z), END)
    e, _ = _exponential_and_slope(x)
    return np.where(z < 0, -x * e, z) / (1 + e)


def tanh_form_derivative(z):
    """s + z s (1 - s) 2 u' with s = sigmoid(2 u): for z > 0 that of -z, taken from 1."""
    x = np.minimum(np.abs(z), END)
    e, slope = _exponential_and_slope(x)
    tail = e / (1 + e) * (1 - x * slope / (1 + e))
    return np.where(z < 0, tail, 1 - tail)


def _exponential_and_slope(x):
    """exp(-2 u) and 2 u' for 0 <= x <= END."""
    (k, k_low), (c, c_low) = _tanh_form_constants(x.dtype)
    square, square_low = _product(x, x)
    cubic, cubic_low = _product(c, square)
    factor = k + cubic
    added = factor - k
    factor_low = (k - (factor - added)) + (cubic - added)  # Knuth's two-sum
    factor_low += k_low + cubic_low + c * square_low + c_low * square
    w, w_low = _product(x, factor)
    return np.exp(-w) * (1 - (w_low + x * factor_low)), k + 3 * cubic


def _product(x, y):
    """x y, and what its rounding took away (Dekker, 1971)."""
    product = x * y
    x_high, y_high = _high_half(x), _high_half(y)
    x_low, y_low = x - x_high, y - y_high
    return product, x_low * y_low - (
        ((product - x_high * y_high) - x_low * y_high) - x_high * y_low
    )


def _high_half(x):
    scaled = x * x.dtype.type(2 ** (np.finfo(x.dtype).nmant // 2 + 1) + 1)
    return scaled - (scaled - x)


@cache
def _tanh_form_constants(dtype):
    """k = sqrt(8 / pi) and c = 0.044715 k, each in two parts."""
    mp = _precise()
    k = mp.sqrt(8 / mp.pi)
    return [_in_two(k, dtype), _in_two(mp.mpf("0.044715") * k, dtype)]


def _in_two(value, dtype):
    high = _rounded(value, dtype)
    as_float64 = float(high)
    rest = value - as_float64 - float(high - dtype.type(as_float64))
    return high, _rounded(rest, dtype)


@cache
def _series(dtype):
    """Row k: the k-th Taylor coefficient at each centre."""
    mp = _precise()
    columns = []
    for i in range(END * STEPS + 1):
        x = mp.mpf(i) / STEPS
        value = mp.erfc(x / mp.sqrt(2)) * mp.exp(x * x / 2) / 2
        column = [value, x * value - 1 / mp.sqrt(2 * mp.pi)]
        for k in range(1, TERMS - 1):
            column.append((x * column[k] + column[k - 1]) / (k + 1))
        columns.append([_rounded(c, dtype) for c in column])
    return np.array(columns, dtype).T.copy()


@cache
def _density_at_0(dtype):
    mp = _precise()
    return _rounded(1 / mp.sqrt(2 * mp.pi), dtype)


def _rounded(value, dtype):
    """The mpmath number in the dtype, which may be wider than float64."""
    high = float(value)
    return dtype.type(high) + dtype.type(float(value - high))


@cache
def _precise():
    import mpmath  # bench does without it, but for these rows

    mp = mpmath.MPContext()
    mp.prec = 200
    return mp
