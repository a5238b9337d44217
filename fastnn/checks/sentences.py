"""The sentences of errors and warnings: how a value is shown, and what several checks say."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "diverged",
    "kind",
    "not_finite",
    "shown",
    "warn",
    "wrong_dimensions",
    "wrong_targets",
]

LONGEST = 200
"""Characters of a value that a message shows."""


def shown(value: object) -> str:
    """`value` as a message shows it: its repr, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # it holds an integer of more digits than Python prints
        return f"a {kind(value)} of too many digits to print"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def kind(value: object) -> str:
    """What to call the type of `value` in a message."""
    cls = type(value)
    return cls.__name__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__name__}"


def warn(message: str, category: type[Warning]) -> None:
    """Warn, and name the line outside of fastnn that called it, however deep the call is."""
    level, frame = 1, sys._getframe()
    package = __name__.partition(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def not_finite(name: str, array: NDArray[Any]) -> ValueError:
    """The error for an array that is known to hold NaN or infinity."""
    if np.isnan(array).any():
        return ValueError(f"Input {name} contains NaN.")
    return ValueError(f"Input {name} contains infinity or a value too large for {array.dtype!r}.")


def wrong_dimensions(name: str, array: NDArray[Any], wanted: object) -> ValueError:
    """The error for an array that is not 2D."""
    if array.ndim > 2:
        return ValueError(
            f"Found array with dim {array.ndim}, while dim <= 2 is required: "
            f"{name} has shape {array.shape}, wanted {wanted}, one column per example."
        )
    found = "1D array" if array.ndim else "scalar array"
    return ValueError(
        f"Expected 2D array, got {found} instead: "
        f"{name} has shape {array.shape}, wanted {wanted}, one column per example."
    )


def wrong_targets(Y: NDArray[Any], shape: tuple[int, int]) -> ValueError:
    """The error for targets that are not of this shape."""
    if Y.ndim != 2:
        return wrong_dimensions("Y", Y, shape)
    found = f"Y has shape {Y.shape}, wanted {shape}, one column per example."
    if Y.shape[1] != shape[1] and Y.shape != shape[::-1]:
        samples = [shape[1], Y.shape[1]]
        found = f"Found input variables with inconsistent numbers of samples: {samples}: {found}"
    return ValueError(found)


def diverged(epoch: int, learning_rate: float, X: NDArray[Any], Y: NDArray[Any]) -> ValueError:
    """The error for a training whose cost, parameters or state are no longer finite."""
    return ValueError(
        f"training produced a non-finite cost or non-finite parameters by epoch {epoch} with "
        f"learning_rate={learning_rate:g}: try a smaller learning_rate, and look at X and Y, whose "
        f"largest absolute values are {_largest(X):g} and {_largest(Y):g} (inputs of about 1 train "
        "best); the parameters and the optimizer are as they were before"
    )


def _largest(array: NDArray[Any]) -> float:
    """The largest absolute value, without a temporary of the array's size."""
    return float(max(-np.minimum.reduce(array, axis=None), np.maximum.reduce(array, axis=None)))
