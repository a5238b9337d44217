"""The truth for gelu and its derivative: Taylor series of the normal distribution's tail.

Of m(x) = (1 - Phi(x)) exp(x^2 / 2) mpmath (extra ``test``) gives the value at each multiple of
1/8; with m' = x m - phi(0) follow its derivatives there.  Between them the series, in float64
or in longdouble, errs by less than 0.01 ULP of float32 or of float64.
"""

from functools import cache

import numpy as np

__all__ = ["derivative", "gelu"]

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
