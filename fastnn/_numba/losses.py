"""Losses: the table of formulas, and the loops that are made of them.

To add one: a line in the table, of functions of one number.
"""

import functools

import numpy as np

from fastnn._numba.compiling import c_function, codes_of, formula, on_blocks
from fastnn._numba.vector_math import log, log1p, maximum, minimum, pick
from fastnn.losses import LOSSES

__all__ = ["CODES", "derivatives_of", "sums_of"]

TINY, LARGEST = (2.0**-126, 2.0**-1022), (float(np.finfo("f4").max), float(np.finfo("f8").max))
BELOW_ONE = 1 - 2.0**-24, 1 - 2.0**-53


@formula
def not_zero(a):
    """At least the smallest normal number, or NaN."""
    return maximum(pick(a, TINY), a)


@formula
def from_floor(a, floor):
    """At least the smallest normal number and the floor, or NaN."""
    return maximum(maximum(pick(a, TINY), floor), a)


@formula
def not_one(a, floor):
    """At most the number below 1, and as far from 1 as the floor from 0, or NaN."""
    return minimum(minimum(pick(a, BELOW_ONE), type(a)(1) - floor), a)


@formula
def finite(x):
    return minimum(pick(x, LARGEST), x)


@formula
def sign(r):
    return type(r)(1) if r > type(r)(0) else (type(r)(-1) if r < type(r)(0) else r)


TABLE = {
    "mse": (
        lambda a, y, alpha: (a - y) * (a - y) * type(a)(0.5),
        lambda a, y, alpha: a - y,
    ),
    "binary_cross_entropy": (
        lambda a, y, floor: (
            -(y * log(from_floor(a, floor)) + (type(a)(1) - y) * log1p(-not_one(a, floor)))
        ),
        lambda a, y, alpha: (a - y) / not_zero(a * (type(a)(1) - a)),
    ),
    "cross_entropy": (
        lambda a, y, floor: -y * log(from_floor(a, floor)),
        lambda a, y, alpha: -y / not_zero(a),
    ),
    "huber": (
        lambda a, y, delta: (
            minimum(delta, abs(a - y)) * (abs(a - y) - type(a)(0.5) * minimum(delta, abs(a - y)))
        ),
        lambda a, y, delta: maximum(-delta, minimum(delta, a - y)),
    ),
    "mae": (lambda a, y, alpha: abs(a - y), lambda a, y, alpha: sign(a - y)),
    "poisson": (
        lambda a, y, alpha: a - y * log(not_zero(a)),
        lambda a, y, alpha: type(a)(1) - finite(y / not_zero(a)),
    ),
}
"""name -> (loss, dA): ``loss(a, y, alpha)`` of each output, and its derivative."""

CODES = codes_of(TABLE, LOSSES)
NAMES = {code: name for name, code in CODES.items()}


# --- loops over the outputs, (n, width) ---------------------------------------------------


@functools.cache
def sums_of(code, char):
    """The loop that writes the losses of each example to the first row of its output."""
    loss = formula(TABLE[NAMES[code]][0])

    def loop(a, y, sums, n, width, alpha):
        a, y = a.reshape(n, width), y.reshape(n, width)
        for j in range(width):
            sums[j] = 0
        for k in range(n):
            for j in range(width):
                sums[j] += loss(a[k, j], y[k, j], alpha)

    return c_function(on_blocks, f"sums_of_{NAMES[code]}", char, loop)


@functools.cache
def derivatives_of(code, char):
    """The loop that makes dA."""
    derivative = formula(TABLE[NAMES[code]][1])

    def loop(a, y, da, n, width, alpha):
        for i in range(a.size):
            da[i] = derivative(a[i], y[i], alpha)

    return c_function(on_blocks, f"derivatives_of_{NAMES[code]}", char, loop)
