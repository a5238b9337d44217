"""Losses: the table of formulas, of each output, and of their derivatives with respect to A.

To add one: a line in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._numpy.tables import codes_of
from fastnn.losses import LOSSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["CODES", "formulas_of"]

Formula = Callable[["Array", "Array", float], Any]


# --- formulas -----------------------------------------------------------------------------


@cache
def ends(dtype: np.dtype[Any], floor: float = 0.0) -> tuple[Any, Any]:
    """The smallest and the largest probability with a logarithm that is kept as it is."""
    info = np.finfo(dtype)
    low, high = max(float(info.tiny), floor), min(float(1 - info.epsneg), 1 - floor)
    return dtype.type(low), dtype.type(high)  # with these NumPy is faster than with a float


def mse(A: Array, Y: Array, alpha: float) -> Any:
    D = A - Y
    return np.divide(np.square(D, out=D), 2, out=D)


def binary_cross_entropy(A: Array, Y: Array, floor: float) -> Any:
    low, high = ends(A.dtype, floor)
    log_a = np.log(np.maximum(A, low))
    log_1_minus_a = np.log1p(-np.minimum(A, high))
    return (Y - 1) * log_1_minus_a - Y * log_a


def cross_entropy(A: Array, Y: Array, floor: float) -> Any:
    low, _ = ends(A.dtype, floor)
    log_a = np.maximum(A, low)
    return np.multiply(-Y, np.log(log_a, out=log_a), out=log_a)


def huber(A: Array, Y: Array, delta: float) -> Any:
    R = np.abs(A - Y)
    inner = np.minimum(R, delta)  # r^2 / 2 up to delta, and from there on a straight line
    return inner * (R - inner / 2)


def poisson(A: Array, Y: Array, alpha: float) -> Any:
    tiny, _ = ends(A.dtype)
    return A - Y * np.log(np.maximum(A, tiny))


def poisson_derivative(A: Array, Y: Array, alpha: float) -> Any:
    tiny, _ = ends(A.dtype)
    with np.errstate(over="ignore"):
        return 1 - np.minimum(Y / np.maximum(A, tiny), np.finfo(A.dtype).max)


TABLE: dict[str, tuple[Formula, Formula]] = {
    "mse": (mse, lambda A, Y, alpha: A - Y),
    "binary_cross_entropy": (
        binary_cross_entropy,
        lambda A, Y, alpha: (A - Y) / np.maximum(A * (1 - A), ends(A.dtype)[0]),
    ),
    "cross_entropy": (
        cross_entropy,
        lambda A, Y, alpha: -Y / np.maximum(A, ends(A.dtype)[0]),
    ),
    "huber": (huber, lambda A, Y, delta: np.clip(A - Y, -delta, delta)),
    "mae": (lambda A, Y, alpha: np.abs(A - Y), lambda A, Y, alpha: np.sign(A - Y)),
    "poisson": (poisson, poisson_derivative),
}
"""name -> (loss, dA): ``loss(A, Y, alpha)`` of each output, and its derivative."""

CODES = codes_of(TABLE, LOSSES)
NAMES = {code: name for name, code in CODES.items()}


def formulas_of(code: int) -> tuple[Formula, Formula]:
    """(loss, dA) of a row."""
    return TABLE[NAMES[code]]
