"""The sentences of errors and warnings: how a value is shown, and what several checks say."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "diverged",
    "kind",
    "not_finite",
    "shown",
    "warn",
    "warn_if_stuck",
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


def wrong_dimensions(name: str, array: NDArray[Any], wanted: object, hint: str = "") -> ValueError:
    """The error for an array that is not 2D."""
    found = f"{name} has shape {array.shape}, wanted {wanted}, one column per example.{hint}"
    if array.ndim > 2:
        return ValueError(f"Found array with dim {array.ndim}, while dim <= 2 is required: {found}")
    kind_found = "1D array" if array.ndim else "scalar array"
    return ValueError(f"Expected 2D array, got {kind_found} instead: {found}")


def wrong_targets(Y: NDArray[Any], shape: tuple[int, int], hint: str = "") -> ValueError:
    """The error for targets that are not of this shape."""
    is_flat = Y.ndim == 1 and shape[0] == 1  # which is right for a single output
    if Y.ndim != 2 and not is_flat:
        return wrong_dimensions("Y", Y, shape, hint)
    found = f"Y has shape {Y.shape}, wanted {shape}, one column per example.{hint}"
    if Y.shape[-1] != shape[1] and Y.shape != shape[::-1]:
        samples = [shape[1], Y.shape[-1]]
        found = f"Found input variables with inconsistent numbers of samples: {samples}: {found}"
    return ValueError(found)


def diverged(
    whole: int, learning_rate: float | None, X: NDArray[Any], Y: NDArray[Any], is_scaled: bool
) -> ValueError:
    """The error for a training whose cost, parameters or state are no longer finite.

    whole: the epochs before that; is_scaled: Y cannot but be of about 1, as probabilities are.
    """
    x, y = _largest(X), _largest(Y)
    look = f"X, whose largest absolute value is {x:g} (inputs of about 1 train best)"
    if not is_scaled:
        look = (
            f"X and Y, whose largest absolute values are {x:g} and {y:g} (inputs and targets of "
            "about 1 train best)"
        )
    kept = f"those of epoch {whole}, the last that was finite" if whole else "as they were before"
    cause = ""
    if learning_rate is not None:
        cause = f" with learning_rate={learning_rate:g}"
        look = f"try a smaller learning_rate, and look at {look}"
    else:
        look = f"look at {look}"
    return ValueError(
        "training produced a non-finite cost or non-finite parameters by epoch "
        f"{whole + 1}{cause}: {look}; the parameters and the optimizer are {kept}"
    )


FAR = 100.0
"""From 1 / FAR to FAR, numbers are of about unit scale."""

SEVERAL = 10
"""Epochs after which a cost that has not moved is worth a word."""

STUCK = 1e-6
"""Relative change of a cost that has not moved."""


def warn_if_stuck(
    cost: NDArray[np.float64],
    X: NDArray[Any],
    Y: NDArray[Any],
    is_scaled: bool,
    answers_alike: Callable[[], bool],
) -> None:
    """Warn where the cost does not move, and inputs or targets are far from unit scale.

    It has not moved at all; or not in the last half of the epochs, and all examples get the same
    answer (`answers_alike`), which tells it from a training that has arrived.
    """
    tail = cost[len(cost) // 2 :]
    if len(cost) < SEVERAL or not _stands_still(tail):
        return
    arrays = {"X": X} if is_scaled else {"X": X, "Y": Y}
    largest = {name: _largest(array) for name, array in arrays.items()}
    far = [name for name, size in largest.items() if size and not 1 / FAR <= size <= FAR]
    if not far or not (_stands_still(cost) or (len(tail) >= SEVERAL and answers_alike())):
        return
    values = " and ".join(f"{largest[name]:g}" for name in far)
    is_one = len(far) == 1
    warn(
        f"the cost has not moved in the last {len(cost) if _stands_still(cost) else len(tail)} "
        f"epochs, from {cost[-1]:g}, and {' and '.join(far)} {'is' if is_one else 'are'} far from "
        f"unit scale, with {'a largest absolute value' if is_one else 'largest absolute values'} "
        f"of {values}: scale to about 1 (subtract the mean, divide by the standard deviation)",
        UserWarning,
    )


def _stands_still(cost: NDArray[np.float64]) -> bool:
    """Whether a cost, which is not 0, does not move; most often two numbers tell."""
    most = STUCK * abs(float(cost[-1]))
    return 0 < most >= abs(cost[-1] - cost[0]) and bool(np.ptp(cost) <= most)


def _largest(array: NDArray[Any]) -> float:
    """The largest absolute value, without a temporary of the array's size."""
    return float(max(-np.minimum.reduce(array, axis=None), np.maximum.reduce(array, axis=None)))
