"""Activations: the table of formulas, and what is done with them on runs of numbers.

To add one: its formula, and its line in the table.  NaN stays NaN.
"""

import numpy as np

from fastnn._numba import vector_math
from fastnn._numba.compiling import codes_of, dispatch, formula, jit, jit_for
from fastnn._numba.tile import panel_of
from fastnn.activations import ACTIVATIONS

__all__ = ["CODES", "CODES_FROM_Z", "activate_panels", "derivative_panels"]


# --- formulas: g(z), and g' from the output a ---------------------------------------------


@formula
def linear(z, alpha):
    return z


@formula
def linear_derivative(a, alpha):
    return type(a)(1)


@formula
def sigmoid(z, alpha):
    return vector_math.sigmoid(z)


@formula
def sigmoid_derivative(a, alpha):
    return a * (type(a)(1) - a)


@formula
def tanh(z, alpha):
    return vector_math.tanh(z)


@formula
def tanh_derivative(a, alpha):
    return type(a)(1) - a * a


@formula
def relu(z, alpha):
    return type(z)(0) if z <= type(z)(0) else z  # NaN <= 0 is false


@formula
def relu_derivative(a, alpha):
    return type(a)(1) if a > type(a)(0) else type(a)(0)


@formula
def leaky_relu(z, slope):
    return z if z > type(z)(0) else z * slope


@formula
def leaky_relu_derivative(a, slope):
    return type(a)(1) if a > type(a)(0) else slope


@formula
def gelu(z, alpha):
    """The value and the derivative, which is not cheap from the output."""
    return vector_math.gelu(z)


FROM_OUTPUT = {
    "linear": (linear, linear_derivative),
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (tanh, tanh_derivative),
    "relu": (relu, relu_derivative),
    "leaky_relu": (leaky_relu, leaky_relu_derivative),
}
"""name -> (g, g'): ``g(z, alpha)`` and ``g'(a, alpha)``."""

FROM_Z = {"gelu": gelu}
"""name -> g: ``g(z, alpha)`` is (a, g'(z))."""

CODES = codes_of((*FROM_OUTPUT, *FROM_Z, "softmax"), ACTIVATIONS)
CODES_FROM_Z = tuple(CODES[name] for name in FROM_Z)
SOFTMAX = CODES["softmax"]


# --- on runs of numbers -------------------------------------------------------------------


def _values(g):
    @jit_for(g)
    def run(z, alpha, derivative):
        slope = z.dtype.type(alpha)
        for i in range(z.size):
            z[i] = g(z[i], slope)

    return run


def _values_and_derivatives(g):
    @jit_for(g)
    def run(z, alpha, derivative):
        slope = z.dtype.type(alpha)
        if derivative.size == 0:
            for i in range(z.size):
                z[i] = g(z[i], slope)[0]
        else:
            for i in range(z.size):
                z[i], derivative[i] = g(z[i], slope)

    return run


def _times_derivative(derivative):
    @jit_for(derivative)
    def run(x, a, alpha):
        slope = x.dtype.type(alpha)
        for i in range(x.size):
            x[i] *= derivative(a[i], slope)

    return run


activate_run = dispatch(
    {CODES[name]: _values(g) for name, (g, _) in FROM_OUTPUT.items()}
    | {CODES[name]: _values_and_derivatives(g) for name, g in FROM_Z.items()}
)
"""``f(code, z, alpha, derivative)``: z becomes g(z), and derivative g'(z) where the activation
is one of `FROM_Z` and derivative has numbers at all.  Not for softmax."""

derivative_run = dispatch(
    {CODES[name]: _times_derivative(derivative) for name, (_, derivative) in FROM_OUTPUT.items()}
)
"""``f(code, x, a, alpha)``: x becomes x g'(z), with g' from the output a."""


# --- on panels ----------------------------------------------------------------------------


@jit
def activate_panels(code, A, n, alpha, D):
    """A holds Z and becomes g(Z); D becomes g'(Z) if it has numbers and g is one of `FROM_Z`."""
    if code == SOFTMAX:
        softmax_panels(A, n)
    else:
        activate_run(code, A, alpha, D)


@jit
def derivative_panels(x, A, D, n, code, alpha):
    """x becomes x g'(Z), with g' from D, or, where D has no numbers, from A."""
    if D.size:
        for i in range(x.size):
            x[i] *= D[i]
    elif code == SOFTMAX:
        softmax_backward(x, A, n)
    else:
        derivative_run(code, x, A, alpha)


@jit
def softmax_panels(z, n):
    """A = softmax(Z) in place, lane by lane; the largest is subtracted, so exp cannot overflow."""
    panel = panel_of(z)
    largest, total = np.empty(panel, z.dtype), np.empty(panel, z.dtype)
    for start in range(0, z.size, max(n, 1) * panel):
        largest[:] = -np.inf
        total[:] = 0
        for k in range(n):
            row = z[start + k * panel : start + (k + 1) * panel]
            for j in range(panel):
                largest[j] = vector_math.maximum(largest[j], row[j])
        for k in range(n):
            row = z[start + k * panel : start + (k + 1) * panel]
            for j in range(panel):
                row[j] = vector_math.exp_negative(row[j] - largest[j])
                total[j] += row[j]
        for k in range(n):
            row = z[start + k * panel : start + (k + 1) * panel]
            for j in range(panel):
                row[j] /= total[j]


@jit
def softmax_backward(x, a, n):
    """x becomes a (x - sum(x a)), lane by lane."""
    panel = panel_of(x)
    inner = np.empty(panel, x.dtype)
    for start in range(0, x.size, max(n, 1) * panel):
        inner[:] = 0
        for k in range(n):
            at = start + k * panel
            deltas, outputs = x[at : at + panel], a[at : at + panel]
            for j in range(panel):
                inner[j] += deltas[j] * outputs[j]
        for k in range(n):
            at = start + k * panel
            deltas, outputs = x[at : at + panel], a[at : at + panel]
            for j in range(panel):
                deltas[j] = outputs[j] * (deltas[j] - inner[j])
