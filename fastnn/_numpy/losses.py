"""Losses: the table of formulas, of each output, and of their derivatives with respect to A.

To add one: a line in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._numpy.tables import codes_of
from fastnn.losses import LOSSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["CODES", "formulas_of"]

Formula = Callable[["Array", "Array", float], Any]


def mse(A: Array, Y: Array, alpha: float) -> Any:
    D = A - Y
    return np.divide(np.square(D, out=D), 2, out=D)


def binary_cross_entropy(A: Array, Y: Array, floor: float) -> Any:
    tiny, below_1 = ENDS[A.dtype]
    log_a = np.log(np.maximum(A, max(tiny, floor)))
    log_1_minus_a = np.log1p(-np.minimum(A, min(below_1, 1 - floor)))
    return (Y - 1) * log_1_minus_a - Y * log_a


def cross_entropy(A: Array, Y: Array, floor: float) -> Any:
    tiny, _ = ENDS[A.dtype]
    log_a = np.maximum(A, max(tiny, floor))
    return np.multiply(-Y, np.log(log_a, out=log_a), out=log_a)


def huber(A: Array, Y: Array, delta: float) -> Any:
    R = np.abs(A - Y)
    inner = np.minimum(R, delta)  # r^2 / 2 up to delta, and from there on a straight line
    return inner * (R - inner / 2)


def poisson(A: Array, Y: Array, alpha: float) -> Any:
    tiny, _ = ENDS[A.dtype]
    return A - Y * np.log(np.maximum(A, tiny))


def poisson_derivative(A: Array, Y: Array, alpha: float) -> Any:
    tiny, _ = ENDS[A.dtype]
    with np.errstate(over="ignore"):
        return 1 - np.minimum(Y / np.maximum(A, tiny), np.finfo(A.dtype).max)


ENDS = {
    info.dtype: (float(info.tiny), float(1 - info.epsneg)) for info in map(np.finfo, ("f4", "f8"))
}
"""The smallest and the largest probability with a logarithm that is kept as it is."""

TABLE: dict[str, tuple[Formula, Formula]] = {
    "mse": (mse, lambda A, Y, alpha: A - Y),
    "binary_cross_entropy": (
        binary_cross_entropy,
        lambda A, Y, alpha: (A - Y) / np.maximum(A * (1 - A), ENDS[A.dtype][0]),
    ),
    "cross_entropy": (
        cross_entropy,
        lambda A, Y, alpha: -Y / np.maximum(A, ENDS[A.dtype][0]),
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
