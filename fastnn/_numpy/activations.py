"""Activations: the table of formulas, A = g(Z), and g' written from A, or else D = g'(Z) beside it.

To add one: a line in a table.  NaN stays NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._numpy.special import elu, gelu, gelu_tanh, silu, softplus
from fastnn._numpy.tables import codes_of
from fastnn.activations import ACTIVATIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["CODES", "NEEDS_Z", "derivatives_of", "values_and_derivatives_of", "values_of"]

Values = Callable[["Array", float, "Array"], None]
Derivatives = Callable[["Array", float], Any]
ValuesAndDerivatives = Callable[["Array", float, "Array", "Array | None"], None]


# --- formulas -----------------------------------------------------------------------------
#
# Written to A step by step: a new array for each step would cost more than its arithmetic.


def linear(Z: Array, alpha: float, A: Array) -> None:
    if A is not Z:
        np.copyto(A, Z)


def sigmoid(Z: Array, alpha: float, A: Array) -> None:
    # The lower tail keeps its relative accuracy.  From z = 40 on the result is 1 in either
    # dtype, and exp(40) cannot overflow.
    E = np.exp(np.minimum(Z, 40, out=A), out=A)
    np.divide(E, 1 + E, out=A)


def tanh(Z: Array, alpha: float, A: Array) -> None:
    np.tanh(Z, out=A)


def relu(Z: Array, alpha: float, A: Array) -> None:
    np.maximum(Z, 0, out=A)


def leaky_relu(Z: Array, slope: float, A: Array) -> None:
    np.multiply(Z, one_or(slope, Z), out=A)


def one_or(slope: float, Z: Array) -> Array:
    """1 where Z > 0, else slope: np.where, but without its branches, which are guessed wrong."""
    positive = Z > 0
    factor: Array = positive + Z.dtype.type(slope) * ~positive
    return factor


@np.errstate(over="ignore")
def exponential(Z: Array, alpha: float, A: Array) -> None:
    np.exp(Z, out=A)


def softmax(Z: Array, alpha: float, A: Array) -> None:
    # Subtracting the maximum of each example leaves the ratio as it is and cannot overflow.
    largest = np.maximum.reduce(Z, axis=0, initial=-np.inf)
    # (For one example `vdot` takes longer than a look; `dot` would warn of an overflow.)
    if math.isfinite(largest.item() if largest.size == 1 else np.vdot(largest, largest)):
        exp_over_sum(Z, largest, A)
    else:  # infinity minus infinity is NaN, without a warning; this takes longer
        with np.errstate(invalid="ignore"):
            exp_over_sum(Z, largest, A)


def exp_over_sum(Z: Array, largest: Array, A: Array) -> None:
    E = np.exp(np.subtract(Z, largest, out=A), out=A)
    np.divide(E, np.add.reduce(E, axis=0), out=A)


FROM_OUTPUT: dict[str, tuple[Values, Derivatives | None]] = {
    "linear": (linear, lambda A, alpha: 1),
    "sigmoid": (sigmoid, lambda A, alpha: A * (1 - A)),
    "tanh": (tanh, lambda A, alpha: 1 - A * A),
    "relu": (relu, lambda A, alpha: A > 0),
    "leaky_relu": (leaky_relu, lambda A, slope: one_or(slope, A)),
    "softmax": (softmax, None),  # its derivative is a matrix for each example
    "exponential": (exponential, lambda A, alpha: A),
}
"""name -> (g, g'): ``g(Z, alpha, A)`` writes A, and ``g'(A, alpha)`` is the derivative."""

FROM_Z: dict[str, ValuesAndDerivatives] = {
    "gelu": lambda Z, alpha, A, D: gelu(Z, A, D),
    "elu": elu,
    "softplus": lambda Z, alpha, A, D: softplus(Z, A, D),
    "silu": lambda Z, alpha, A, D: silu(Z, A, D),
    "gelu_tanh": lambda Z, alpha, A, D: gelu_tanh(Z, A, D),
}
"""name -> ``g(Z, alpha, A, D)``, which writes A, and D unless it is None."""


CODES = codes_of((*FROM_OUTPUT, *FROM_Z), ACTIVATIONS)
NAMES = {code: name for name, code in CODES.items()}
NEEDS_Z = {CODES[name] for name in FROM_Z}


# --- what is made of a row ----------------------------------------------------------------


def values_of(code: int) -> Values:
    """``g(Z, alpha, A)``, which writes A; A may be Z itself."""
    name = NAMES[code]
    if name in FROM_OUTPUT:
        return FROM_OUTPUT[name][0]
    both = FROM_Z[name]
    return lambda Z, alpha, A: both(Z, alpha, A, None)


def derivatives_of(code: int) -> Derivatives | None:
    """``g'(A, alpha)``; None for softmax.  Not for activations that are written from Z."""
    return FROM_OUTPUT[NAMES[code]][1]


def values_and_derivatives_of(code: int) -> ValuesAndDerivatives:
    """``g(Z, alpha, A, D)``, which writes A and ``D = g'(Z)``.  Not for softmax."""
    name = NAMES[code]
    if name in FROM_Z:
        return FROM_Z[name]
    g, derivative = FROM_OUTPUT[name]

    def both(Z: Array, alpha: float, A: Array, D: Array | None) -> None:
        g(Z, alpha, A)
        D[...] = derivative(A, alpha)  # type: ignore[index, misc]

    return both
