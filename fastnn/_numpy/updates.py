"""The optimizers: the table of formulas, and the clipping of a gradient.

To add one: a line in the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._numpy.tables import codes_of
from fastnn.optimizers import FORMULAS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Out = Array | None

__all__ = ["CODES", "clip", "step_of"]

Numbers = Sequence[float]
Step = Callable[..., Any]


# --- formulas -----------------------------------------------------------------------------
#
# Each returns the step that is taken from w, in `out` if that is given, which may be the
# gradient g itself.  The rows of state are written.


def gradient_descent(
    g: Array, state: Array, scalars: Numbers, constants: Numbers, out: Out
) -> Array:
    (learning_rate,) = scalars
    return np.multiply(learning_rate, g, out=out)


def momentum(g: Array, state: Array, scalars: Numbers, constants: Numbers, out: Out) -> Any:
    (v,) = state
    _, velocity_rate, gradient_rate = scalars
    v *= constants[0]
    v += g
    return np.add(velocity_rate * v, gradient_rate * g, out=out)


def rmsprop(g: Array, state: Array, scalars: Numbers, constants: Numbers, out: Out) -> Any:
    (v,) = state
    (learning_rate,) = scalars
    rho, epsilon = constants
    v *= rho
    v += (1 - rho) * (g * g)
    return np.divide(learning_rate * g, np.sqrt(v) + epsilon, out=out)


def adam(g: Array, state: Array, scalars: Numbers, constants: Numbers, out: Out) -> Any:
    m, v = state
    _, step_size, scale = scalars
    beta1, beta2, epsilon = constants
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    return np.divide(step_size * m, np.sqrt(v) * scale + epsilon, out=out)


TABLE: dict[str, Step] = {
    "gradient_descent": gradient_descent,
    "adam": adam,
    "momentum": momentum,
    "rmsprop": rmsprop,
}
"""name -> ``step(g, state, scalars, constants, out)``."""

CODES = codes_of(TABLE, FORMULAS)
NAMES = {code: name for name, code in CODES.items()}


def step_of(code: int) -> Step:
    """The formula of a row."""
    return TABLE[NAMES[code]]


# --- what is done before ------------------------------------------------------------------


def clip(gradients: Array, longest: float) -> None:
    """Shorten the gradient to `longest` where it is longer, in place."""
    norm = math.sqrt(np.square(gradients, dtype=np.float64).sum())
    if norm > longest:
        gradients *= longest / norm
