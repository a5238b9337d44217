"""The optimizers: the table of loops, the penalty and the clipping of a gradient.

To add one: its loop, and its line in the table.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numba import carray

from fastnn._numba.compiling import ARRAY, INT, c_function, codes_of, jit, reduction
from fastnn.optimizers import FORMULAS

__all__ = ["CODES", "row_of", "clip", "decay", "penalize"]


# --- loops over the flat vectors: w and the rows of state are written ---------------------
#
# scalars, of this step, and constants are float64.


def gradient_descent(w, gradient, state, scalars, constants):
    learning_rate = w.dtype.type(scalars[0])
    for i in range(w.size):
        w[i] -= learning_rate * gradient[i]


def momentum(w, gradient, state, scalars, constants):
    real, v = w.dtype.type, state[0]
    share, velocity_rate, gradient_rate = real(constants[0]), real(scalars[1]), real(scalars[2])
    for i in range(w.size):
        v[i] = share * v[i] + gradient[i]
        w[i] -= velocity_rate * v[i] + gradient_rate * gradient[i]


def rmsprop(w, gradient, state, scalars, constants):
    real, v = w.dtype.type, state[0]
    rho, rest, epsilon = real(constants[0]), real(1 - constants[0]), real(constants[1])
    learning_rate = real(scalars[0])
    for i in range(w.size):
        v[i] = rho * v[i] + rest * (gradient[i] * gradient[i])
        w[i] -= learning_rate * gradient[i] / (real(math.sqrt(v[i])) + epsilon)


def adam(w, gradient, state, scalars, constants):
    real, m, v = w.dtype.type, state[0], state[1]
    step_size, scale = real(scalars[1]), real(scalars[2])
    beta1, beta2, epsilon = real(constants[0]), real(constants[1]), real(constants[2])
    rest1, rest2 = real(1 - constants[0]), real(1 - constants[1])
    for i in range(w.size):
        m[i] = beta1 * m[i] + rest1 * gradient[i]
        v[i] = beta2 * v[i] + rest2 * (gradient[i] * gradient[i])
        w[i] -= step_size * m[i] / (real(math.sqrt(v[i])) * scale + epsilon)


TABLE = {
    "gradient_descent": gradient_descent,
    "adam": adam,
    "momentum": momentum,
    "rmsprop": rmsprop,
}
CODES = codes_of(TABLE, FORMULAS)
NAMES = {code: name for name, code in CODES.items()}


@cache
def row_of(code, char):
    """The loop of a row."""
    return c_function(step, NAMES[code], char, loop=TABLE[NAMES[code]])


loop = real = None  # in the template: the loop of the row, and the dtype


def step(w: ARRAY, gradient: ARRAY, state: ARRAY, n: INT, scalars: ARRAY, constants: ARRAY):
    """The loop knows how many vectors there are in state."""
    scalars, constants = carray(scalars, 3, np.float64), carray(constants, 3, np.float64)
    w, gradient, state = carray(w, n, real), carray(gradient, n, real), carray(state, (3, n), real)
    loop(w, gradient, state, scalars, constants)


# --- what is done before ------------------------------------------------------------------


@jit
def decay(w, share):
    """Take a share of the weights away."""
    factor = w.dtype.type(share)
    for i in range(w.size):
        w[i] -= factor * w[i]


@reduction
def sum_of_squares(x):
    """In float64."""
    total = 0.0
    for i in range(x.size):
        total += float(x[i]) * float(x[i])
    return total


@jit
def penalize(W, l2, dW):
    """Add the derivative of l2 / 2 sum(W^2) to dW and return its value."""
    factor = W.dtype.type(l2)
    for i in range(W.size):
        dW[i] += factor * W[i]
    return l2 / 2 * sum_of_squares(W)


@jit
def clip(gradient, longest):
    """Shorten the gradient to `longest` where it is longer."""
    norm = math.sqrt(sum_of_squares(gradient))
    if norm > longest:
        factor = gradient.dtype.type(longest / norm)
        for i in range(gradient.size):
            gradient[i] *= factor
