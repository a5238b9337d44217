"""Losses: the table of formulas, and the loop that is made of them.

To add one: a line in the table, of functions of one number.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import carray

from fastnn._numba.compiling import ARRAY, BOOL, FLOAT, INT, c_function, codes_of, formula
from fastnn._numba.vector_math import log, log1p, maximum, minimum, pick
from fastnn.losses import LOSSES

__all__ = ["CODES", "GIVEN", "row_of"]

TINY, LARGEST = (2.0**-126, 2.0**-1022), (float(np.finfo("f4").max), float(np.finfo("f8").max))
BELOW_ONE = 1 - 2.0**-24, 1 - 2.0**-53


@formula
def above_zero(a, floor):
    """At least the smallest normal number and the floor, or NaN."""
    return maximum(maximum(pick(a, TINY), floor), a)


@formula
def below_one(a, floor):
    """At most the number below 1, and as far from 1 as the floor from 0, or NaN."""
    return minimum(minimum(pick(a, BELOW_ONE), type(a)(1) - floor), a)


@formula
def divided(x, a):
    """x / a, where a is not 0."""
    return x / maximum(pick(a, TINY), a)


@formula
def huber(r, delta):
    inner = minimum(delta, r)
    return inner * (r - type(r)(0.5) * inner)


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
            (y - type(a)(1)) * log1p(-below_one(a, floor)) - y * log(above_zero(a, floor))
        ),
        lambda a, y, alpha: divided(a - y, a * (type(a)(1) - a)),
    ),
    "cross_entropy": (
        lambda a, y, floor: -y * log(above_zero(a, floor)),
        lambda a, y, alpha: divided(-y, a),
    ),
    "huber": (
        lambda a, y, delta: huber(abs(a - y), delta),
        lambda a, y, delta: maximum(-delta, minimum(delta, a - y)),
    ),
    "mae": (lambda a, y, alpha: abs(a - y), lambda a, y, alpha: sign(a - y)),
    "poisson": (
        lambda a, y, alpha: a - y * log(above_zero(a, alpha)),
        lambda a, y, alpha: type(a)(1) - minimum(pick(a, LARGEST), divided(y, a)),
    ),
    # A loss of the caller's own, of which Y is the derivative.
    "given": (lambda a, y, alpha: type(a)(0), lambda a, y, alpha: y),
}
"""name -> (loss, dA): ``loss(a, y, alpha)`` of each output, and its derivative."""

GIVEN = -1
CODES = codes_of(TABLE.keys() - {"given"}, LOSSES)
NAMES = {code: name for name, code in CODES.items()} | {GIVEN: "given"}


@cache
def row_of(code, char):
    """The loop of a row, over (n, width) outputs."""
    loss, derivative = TABLE[NAMES[code]]
    return c_function(on_outputs, NAMES[code], char, loss=loss, derivative=derivative)


loss = derivative = real = None  # in the template: the formulas of the row, and the dtype


def on_outputs(
    a: ARRAY, y: ARRAY, sums: ARRAY, da: ARRAY, n: INT, width: INT, alpha: FLOAT, both: BOOL
):
    """The loss of each example, and the derivatives if `both` are wanted."""
    a, y, alpha = carray(a, (n, width), real), carray(y, (n, width), real), real(alpha)
    sums, da = carray(sums, width, real), carray(da, (n, width), real)
    for j in range(width):
        sums[j] = 0
    for k in range(n):
        for j in range(width):
            sums[j] += loss(a[k, j], y[k, j], alpha)
    if both:
        for k in range(n):
            for j in range(width):
                da[k, j] = derivative(a[k, j], y[k, j], alpha)
