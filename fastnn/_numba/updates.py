"""The optimizers: the table of formulas, the penalty and the clipping of a gradient.

To add one: its formula, and its line in the table.
"""

import math

from fastnn._numba.compiling import codes_of, dispatch, jit, reduction
from fastnn.optimizers import OPTIMIZERS

__all__ = ["CODES", "clip", "decay_run", "penalize", "update_run"]


# --- formulas, each on a run of the flat vectors ------------------------------------------
#
# w and state are written; scalars, of this step, and constants are float64.


@jit
def gradient_descent(w, gradient, state, scalars, constants):
    learning_rate = w.dtype.type(scalars[0])
    for i in range(w.size):
        w[i] -= learning_rate * gradient[i]


@jit
def adam(w, gradient, state, scalars, constants):
    real = w.dtype.type
    m, v = state[0], state[1]
    step_size, scale = real(scalars[1]), real(scalars[2])
    beta1, beta2, epsilon = real(constants[0]), real(constants[1]), real(constants[2])
    rest1, rest2 = real(1 - constants[0]), real(1 - constants[1])
    for i in range(w.size):
        g = gradient[i]
        m[i] = beta1 * m[i] + rest1 * g
        v[i] = beta2 * v[i] + rest2 * (g * g)
        w[i] -= step_size * m[i] / (real(math.sqrt(v[i])) * scale + epsilon)


TABLE = {"gradient_descent": gradient_descent, "adam": adam}

CODES = codes_of(TABLE, OPTIMIZERS)

update_run = dispatch({CODES[name]: function for name, function in TABLE.items()})
"""``f(code, w, gradient, state, scalars, constants)``: one step."""


# --- what is done before ------------------------------------------------------------------


@jit
def decay_run(w, share):
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
