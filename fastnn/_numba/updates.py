"""The optimizers: the table of formulas, and what penalty, decay and clipping are made of.

To add one: a line in the table, of functions of one number.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numba import carray

from fastnn._numba.compiling import ARRAY, INT, c_function, codes_of, formula, jit, reduction
from fastnn.optimizers import FORMULAS

__all__ = ["CODES", "add_scaled", "clip", "inner_product", "row_of"]


# --- formulas: (step, m, v) from the gradient g, and m and v, the vectors that are kept ----
#
# scalars, of this step, are of the type of g; constants are float64.


def momentum(g, m, v, scalars, constants):
    m = type(g)(constants[0]) * m + g
    return scalars[1] * m + scalars[2] * g, m, v


def rmsprop(g, m, v, scalars, constants):
    m = mean(m, constants[0], g * g)
    return scalars[0] * g / (type(g)(math.sqrt(m)) + type(g)(constants[1])), m, v


def adam(g, m, v, scalars, constants):
    m, v = mean(m, constants[0], g), mean(v, constants[1], g * g)
    root = type(g)(math.sqrt(v)) * scalars[2]
    return scalars[1] * m / (root + type(g)(constants[2])), m, v


@formula
def mean(old, share, new):
    return type(new)(share) * old + type(new)(1 - share) * new


TABLE = {
    "gradient_descent": lambda g, m, v, scalars, constants: (scalars[0] * g, m, v),
    "adam": adam,
    "momentum": momentum,
    "rmsprop": rmsprop,
}
CODES = codes_of(TABLE, FORMULAS)
NAMES = {code: name for name, code in CODES.items()}


@cache
def row_of(code, char):
    """The loop of a row over the flat vectors."""
    name = NAMES[code]
    return c_function(update, name, char, rule=TABLE[name], slots=len(FORMULAS[name].slots))


rule = slots = real = None  # in the template: the formula, the vectors that it keeps, the dtype


def update(w: ARRAY, gradient: ARRAY, state: ARRAY, n: INT, scalars: ARRAY, constants: ARRAY):
    w, gradient, state = carray(w, n, real), carray(gradient, n, real), carray(state, (2, n), real)
    s, c = carray(scalars, 3, np.float64), carray(constants, 3, np.float64)
    s, c = (real(s[0]), real(s[1]), real(s[2])), (c[0], c[1], c[2])
    m = v = real(0)
    for i in range(n):
        if slots > 0:
            m = state[0, i]
        if slots > 1:
            v = state[1, i]
        step, m, v = rule(gradient[i], m, v, s, c)
        w[i] -= step
        if slots > 0:
            state[0, i] = m
        if slots > 1:
            state[1, i] = v


# --- what is done before ------------------------------------------------------------------


@reduction
def inner_product(x, y, n):
    """Of the first n numbers, in float64."""
    total = 0.0
    for i in range(n):
        total += float(x[i]) * float(y[i])
    return total


@jit
def add_scaled(x, factor, y):
    """y += factor x."""
    factor = x.dtype.type(factor)
    for i in range(x.size):
        y[i] += factor * x[i]


@jit
def clip(gradient, longest):
    """Shorten the gradient to `longest` where it is longer."""
    norm = math.sqrt(inner_product(gradient, gradient, gradient.size))
    if norm > longest:
        factor = gradient.dtype.type(longest / norm)
        for i in range(gradient.size):
            gradient[i] *= factor
