"""Activations: the table of formulas, and the loops that are made of them.

To add one: a line in a table, of functions of one number.  NaN stays NaN.
"""

import functools

import numpy as np

from fastnn._numba import special, vector_math
from fastnn._numba.compiling import c_function, codes_of, formula, on_blocks
from fastnn.activations import ACTIVATIONS

__all__ = ["CODES", "NEEDS_Z", "loop_of"]

FROM_OUTPUT = {
    "linear": (lambda z, alpha: z, lambda a, alpha: type(a)(1)),
    "sigmoid": (
        lambda z, alpha: vector_math.sigmoid(z),
        lambda a, alpha: a * (type(a)(1) - a),
    ),
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
    "gelu": lambda z, alpha: special.gelu(z),
    "elu": lambda z, alpha: special.elu(z, alpha),
    "softplus": lambda z, alpha: special.softplus(z),
    "silu": lambda z, alpha: special.silu(z),
    "gelu_tanh": lambda z, alpha: special.gelu_tanh(z),
}
"""name -> g: ``g(z, alpha)`` is (a, g'(z))."""

CODES = codes_of((*FROM_OUTPUT, *FROM_Z, "softmax"), ACTIVATIONS)
NAMES = {code: name for name, code in CODES.items()}
NEEDS_Z = {CODES[name] for name in FROM_Z}


# --- loops over the numbers of a block, (n, width) ----------------------------------------


def values(g):
    """Z becomes g(Z)."""

    def loop(z, _, d, n, width, alpha):
        for i in range(z.size):
            z[i] = g(z[i], alpha)

    return loop


def values_and_derivatives(g):
    """Z becomes g(Z), and D g'(Z)."""

    def loop(z, _, d, n, width, alpha):
        for i in range(z.size):
            z[i], d[i] = g(z[i], alpha)

    return loop


def times_derivative(derivative):
    """X becomes X g'(Z), from the output A."""

    def loop(x, a, _, n, width, alpha):
        for i in range(x.size):
            x[i] *= derivative(a[i], alpha)

    return loop


def softmax(z, _, d, n, width, alpha):
    """The largest of each example is subtracted, so exp cannot overflow."""
    z = z.reshape(n, width)
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


def softmax_backward(x, a, _, n, width, alpha):
    """X becomes A (X - sum(X A)): the derivative is a matrix for each example."""
    x, a, inner = x.reshape(n, width), a.reshape(n, width), np.zeros(width, x.dtype)
    for k in range(n):
        for j in range(width):
            inner[j] += x[k, j] * a[k, j]
    for k in range(n):
        for j in range(width):
            x[k, j] = a[k, j] * (x[k, j] - inner[j])


@functools.cache
def loop_of(kind, code, char):
    """The loop of a row: kind is "values", "values_and_derivatives" or "backward"."""
    name = NAMES[code]
    return c_function(on_blocks, f"{kind}_of_{name}", char, _made(kind, name))


def _made(kind, name):
    if name == "softmax":
        return {"values": softmax, "backward": softmax_backward}[kind]
    if name in FROM_Z:
        both = formula(FROM_Z[name])
        first = formula(lambda z, alpha: both(z, alpha)[0])
        return values(first) if kind == "values" else values_and_derivatives(both)
    g, derivative = map(formula, FROM_OUTPUT[name])
    if kind == "values":
        return values(g)
    if kind == "backward":
        return times_derivative(derivative)

    @formula
    def both_from_output(z, alpha):
        a = g(z, alpha)
        return a, derivative(a, alpha)

    return values_and_derivatives(both_from_output)
