"""Losses: the table of formulas, and dZ at the output.

To add one: its formulas, and its line in the table.
"""

import numpy as np

from fastnn._numba.activations import derivative_panels
from fastnn._numba.compiling import codes_of, dispatch, formula, jit, jit_for, reduction
from fastnn._numba.tile import panel_of
from fastnn._numba.vector_math import log, log_of_one_minus, maximum, minimum, single, tiny
from fastnn.losses import LOSSES

__all__ = ["CODES", "output_cost", "output_derivative"]


# --- formulas: the loss of one output, and its derivative ---------------------------------


@formula
def mse(a, y, alpha):
    return (a - y) * (a - y) * type(a)(0.5)


@formula
def mse_derivative(a, y, alpha):
    return a - y


@formula
def binary_cross_entropy(a, y, alpha):
    below_one = type(a)(1 - (2.0**-24 if single(a) else 2.0**-53))
    rest = (type(a)(1) - y) * log_of_one_minus(minimum(below_one, a))
    return -(y * log(maximum(tiny(a), a)) + rest)


@formula
def binary_cross_entropy_derivative(a, y, alpha):
    return (a - y) / maximum(tiny(a), a * (type(a)(1) - a))


@formula
def cross_entropy(a, y, alpha):
    return -y * log(maximum(tiny(a), a))


@formula
def cross_entropy_derivative(a, y, alpha):
    return -y / maximum(tiny(a), a)


@formula
def huber(a, y, delta):
    r = abs(a - y)
    inner = minimum(delta, r)
    return inner * (r - type(a)(0.5) * inner)


@formula
def huber_derivative(a, y, delta):
    return maximum(-delta, minimum(delta, a - y))


TABLE = {
    "mse": (mse, mse_derivative),
    "binary_cross_entropy": (binary_cross_entropy, binary_cross_entropy_derivative),
    "cross_entropy": (cross_entropy, cross_entropy_derivative),
    "huber": (huber, huber_derivative),
}
"""name -> (loss, dA): ``loss(a, y, alpha)`` of each output, and its derivative."""

CODES = codes_of(TABLE, LOSSES)


# --- on panels ----------------------------------------------------------------------------


def _sums(loss):
    @jit_for(loss)
    def run(a, y, n, alpha, sums):
        parameter, panel = a.dtype.type(alpha), panel_of(a)
        for start in range(0, sums.size, panel):
            total = sums[start : start + panel]
            total[:] = 0
            for at in range(start * n, (start + panel) * n, panel):
                outputs, targets = a[at : at + panel], y[at : at + panel]
                for j in range(panel):
                    total[j] += loss(outputs[j], targets[j], parameter)

    return run


def _derivatives(derivative):
    @jit_for(derivative)
    def run(a, y, alpha, da):
        parameter = a.dtype.type(alpha)
        for i in range(a.size):
            da[i] = derivative(a[i], y[i], parameter)

    return run


loss_sums = dispatch({CODES[name]: _sums(loss) for name, (loss, _) in TABLE.items()})
"""``f(code, a, y, n, alpha, sums)``: the losses of the n outputs of each lane."""

loss_derivatives = dispatch({CODES[name]: _derivatives(d) for name, (_, d) in TABLE.items()})
"""``f(code, a, y, alpha, da)``."""


@reduction
def output_cost(A, Y, weights, n, count, loss):
    """The weighted sum of the losses of `count` examples.  weights: one for each lane."""
    sums, total = np.empty(weights.size, A.dtype), 0.0
    loss_sums(loss[0], A, Y, n, loss[1], sums)
    for j in range(count):
        total += float(weights[j]) * float(sums[j])
    return total


@jit
def output_derivative(A, D, Y, weights, n, loss, activation, alpha, dZ):
    """dZ = weights (A - Y) where paired, else weights dA g'(Z), with g' from A, or from D."""
    code, loss_alpha, paired = loss
    if paired:
        for i in range(dZ.size):
            dZ[i] = A[i] - Y[i]
    else:
        loss_derivatives(code, A, Y, loss_alpha, dZ)
        derivative_panels(dZ, A, D, n, activation, alpha)
    panel = panel_of(A)
    for start in range(0, weights.size, panel):
        lanes = weights[start : start + panel]
        for k in range(n):
            at = start * n + k * panel
            row = dZ[at : at + panel]
            for j in range(panel):
                row[j] *= lanes[j]
