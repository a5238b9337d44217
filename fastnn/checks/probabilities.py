"""What a loss allows: probabilities in [0, 1], that sum to 1 for one example, or counts >= 0."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._specifications import SUM_TOLERANCE, Targets
from fastnn.checks.sentences import not_finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn.losses import Loss

__all__ = ["allowed_targets", "in_unit_interval"]

_BITS = {np.dtype("f4"): (np.uint32, 0x3F800000), np.dtype("f8"): (np.uint64, 0x3FF0000000000000)}
"""Of each dtype the integers of its size, and that of 1.0: the numbers from +0.0 to 1.0 have
bits up to it, and all others, -0.0 too, more.  One pass tells that all is well."""

BLOCK = 1 << 16
"""Columns looked at together, so that a check needs no memory that grows with m."""


def in_unit_interval(name: str, array: NDArray[Any], loss: Loss, tolerance: float = 0.0) -> bool:
    """Refuse values outside [0, 1]; return False if there is a NaN and no such value."""
    bits, one = _BITS[array.dtype]
    if np.maximum.reduce(array.view(bits), axis=None) <= one:
        return True
    lowest = np.minimum.reduce(array, axis=None)
    highest = np.maximum.reduce(array, axis=None)
    if lowest >= 0 and highest <= 1 + tolerance:
        return True
    if math.isnan(lowest):
        lowest, highest = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
        if not (lowest < 0 or highest > 1 + tolerance):
            return False
    if math.isinf(lowest) or math.isinf(highest):
        raise not_finite(name, array)
    raise ValueError(
        f"{name} must hold probabilities in [0, 1] for loss {loss.name!r}, "
        f"got values from {lowest:g} to {highest:g}"
    )


def allowed_targets(Y: NDArray[Any], loss: Loss) -> bool:
    """Refuse targets that `loss` does not allow; return False where NaN was seen on the way."""
    finite = True
    if not Y.size:
        return finite
    if loss.targets >= Targets.PROBABILITIES:
        finite = in_unit_interval("Y", Y, loss)
    if loss.targets == Targets.DISTRIBUTIONS:
        _columns_sum_to_one(Y, loss)
    if loss.targets == Targets.NON_NEGATIVE:
        _non_negative(Y, loss)
    return finite


def _non_negative(Y: NDArray[Any], loss: Loss) -> None:
    """Refuse values below 0; NaN passes."""
    lowest = np.fmin.reduce(Y, axis=None, initial=0)
    if lowest < 0:
        raise ValueError(f"Y must be >= 0 for loss {loss.name!r}, got {lowest:g}")


def _columns_sum_to_one(Y: NDArray[Any], loss: Loss) -> None:
    """Refuse targets of which an example's probabilities do not sum to 1; NaN passes."""
    for start in range(0, Y.shape[1], BLOCK):
        sums = np.add.reduce(Y[:, start : start + BLOCK], axis=0)
        wrong = np.abs(sums - 1) > SUM_TOLERANCE
        if wrong.any():
            column = int(wrong.argmax())
            raise ValueError(
                f"each column of Y must sum to 1 for loss {loss.name!r}, "
                f"column {start + column} sums to {sums[column]:g}"
            )
