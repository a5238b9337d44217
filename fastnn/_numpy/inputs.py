"""The looks at what the user gave, which answer yes or no, and at what is finite."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._specifications import SUM_TOLERANCE, Targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["all_finite", "are_allowed", "is_input", "is_output"]


def all_finite(X: Array) -> bool:
    """Return whether X holds no NaN and no infinity, without a temporary of its size."""
    # NaN and infinity outlast a sum of squares.  So does an overflow, hence the second look,
    # where NaN wins over all numbers.  `vdot` copies what is not contiguous.
    if (X.flags.c_contiguous or X.size <= 1 << 16) and math.isfinite(np.vdot(X, X)):
        return True
    lowest, highest = np.minimum.reduce(X, axis=None), np.maximum.reduce(X, axis=None)
    return math.isfinite(lowest) and math.isfinite(highest)


def is_input(array: Any, rows: int, m: int | None, parameters: Array) -> bool:
    """Whether an array is plain, finite, and apart from the parameters, whose dtype it has.

    m: how many columns it must have; None: one at least.
    """
    return (
        type(array) is np.ndarray
        and array.dtype == parameters.dtype
        and array.ndim == 2
        and array.shape[0] == rows
        and array.shape[1] > 0
        and m in (None, array.shape[1])
        and array.flags.aligned
        and not np.may_share_memory(array, parameters)
        and all_finite(array)
    )


def is_output(out: Any, shape: tuple[int, int], X: Array, parameters: Array) -> bool:
    """Whether `out` can take what is made of X as it is."""
    return (
        type(out) is np.ndarray
        and out.dtype == X.dtype
        and out.shape == shape
        and out.flags.aligned
        and out.flags.writeable
        and not np.may_share_memory(out, X)
        and not np.may_share_memory(out, parameters)
    )


def are_allowed(Y: Array, targets: int) -> bool:
    """Whether Y, which is finite, holds what `targets` says, up to rounding in the sums."""
    if targets == Targets.ANY:
        return True
    inside = Y.min() >= 0 and (targets < Targets.PROBABILITIES or Y.max() <= 1)
    if targets < Targets.DISTRIBUTIONS or not inside:
        return bool(inside)
    return bool((np.abs(Y.sum(axis=0) - 1) <= SUM_TOLERANCE).all())
