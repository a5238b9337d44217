"""Activations: the table of formulas, and the loops that are made of them.

To add one: a line in a table, of functions of one number.  NaN stays NaN.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import carray

from fastnn._numba import special, vector_math
from fastnn._numba.compiling import ARRAY, BOOL, FLOAT, INT, c_function, codes_of, formula, jit
from fastnn.activations import ACTIVATIONS

__all__ = ["CODES", "SOFTMAX", "derivative_of", "row_of", "softmax_backward"]

FROM_OUTPUT = {
    "linear": (lambda z, alpha: z, lambda a, alpha: type(a)(1)),
    "sigmoid": (lambda z, alpha: vector_math.sigmoid(z), lambda a, alpha: a * (type(a)(1) - a)),
    "tanh": (lambda z, alpha: vector_math.tanh(z), lambda a, alpha: type(a)(1) - a * a),
    "relu": (
        lambda z, alpha: type(z)(0) if z <= type(z)(0) else z,  # NaN <= 0 is false
        lambda a, alpha: type(a)(1) if a > type(a)(0) else type(a)(0),
    ),
    "leaky_relu": (
        lambda z, slope: z if z > type(z)(0) else z * slope,
        lambda a, slope: type(a)(1) if a > type(a)(0) else slope,
    ),
    "exponential": (lambda z, alpha: vector_math.exp(z), lambda a, alpha: a),
}
"""name -> (g, g'): ``g(z, alpha)`` and ``g'(a, alpha)``."""

FROM_Z = {
    "gelu": special.gelu,
    "elu": special.elu,
    "softplus": special.softplus,
    "silu": special.silu,
    "gelu_tanh": special.gelu_tanh,
}
"""name -> g: ``g(z, alpha)`` is (a, g'(z))."""

CODES = codes_of((*FROM_OUTPUT, *FROM_Z, "softmax"), ACTIVATIONS)
NAMES = {code: name for name, code in CODES.items()}
SOFTMAX = CODES["softmax"]


@cache
def row_of(code, char):
    """The loop of a row: Z, (n, width), becomes A, and D the derivative if `both` are wanted."""
    name = NAMES[code]
    if name == "softmax":
        return c_function(softmax, name, char)
    g = FROM_Z[name] if name in FROM_Z else from_output(*map(formula, FROM_OUTPUT[name]))
    return c_function(elementwise, name, char, g=g)


@cache
def derivative_of(code, char):
    """The same where Z is A already: D from the output."""
    name = NAMES[code]
    g = from_output(formula(lambda a, alpha: a), formula(FROM_OUTPUT[name][1]))
    return c_function(elementwise, f"derivative_of_{name}", char, g=g)


def from_output(g, derivative):
    """(a, g'(z)) of both formulas."""

    def both(z, alpha):
        a = g(z, alpha)
        return a, derivative(a, alpha)

    return both


g = real = None  # in the templates: the formula of the row, and the dtype


def elementwise(z: ARRAY, d: ARRAY, n: INT, width: INT, alpha: FLOAT, both: BOOL):
    z, d, alpha = carray(z, n * width, real), carray(d, n * width, real), real(alpha)
    if both:
        for i in range(z.size):
            z[i], d[i] = g(z[i], alpha)
    else:
        for i in range(z.size):
            z[i] = g(z[i], alpha)[0]


def softmax(z: ARRAY, d: ARRAY, n: INT, width: INT, alpha: FLOAT, both: BOOL):
    """The largest of each example is subtracted, so exp cannot overflow.  Without D."""
    z = carray(z, (n, width), real)
    largest, total = np.full(width, -np.inf, z.dtype), np.zeros(width, z.dtype)
    for k in range(n):
        for j in range(width):
            largest[j] = vector_math.maximum(largest[j], z[k, j])
    for k in range(n):
        for j in range(width):
            z[k, j] = vector_math.exp_negative(z[k, j] - largest[j])
            total[j] += z[k, j]
    for k in range(n):
        for j in range(width):
            z[k, j] /= total[j]


@jit
def softmax_backward(x, A):
    """X becomes A (X - sum(X A)): the derivative is a matrix for each example."""
    inner = np.zeros(x.shape[1], x.dtype)
    for k in range(x.shape[0]):
        for j in range(x.shape[1]):
            inner[j] += x[k, j] * A[k, j]
    for k in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[k, j] = A[k, j] * (x[k, j] - inner[j])
