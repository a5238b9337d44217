"""Mean and scale: what `standardize` may divide by, and what a file may say that it has learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.checks.arrays import cast, real
from fastnn.checks.numbers import FLOAT32, FLOAT64
from fastnn.checks.sentences import not_finite, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["mean_and_scale", "overflow_when_folded", "scale"]

LARGEST_SCALE = {4: 1e30, 8: 1e290}
"""By the size of the dtype: parameters up to 1e8 times or divided by it are numbers still."""


def scale(name: str, values: NDArray[np.float64], dtype: np.dtype[Any]) -> None:
    """Refuse standard deviations that are too small or too large to be folded into parameters."""
    largest = LARGEST_SCALE[dtype.itemsize]
    good = (values >= 1 / largest) & (values <= largest)
    if not good.all():
        i = int(np.argmin(good))
        hint = "; a float64 network has more room" if dtype == FLOAT32 else ""
        raise ValueError(
            f"the standard deviation of {name}[{i}] is {values[i]:g}, wanted one from "
            f"{1 / largest:g} to {largest:g} to divide by in {dtype}{hint}"
        )


def mean_and_scale(
    name: str, pair: Any, n: int, dtype: np.dtype[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the scale of n rows as read-only float64 vectors."""
    try:
        found = tuple(pair)
    except TypeError:
        found = ()
    if len(found) != 2:
        raise TypeError(f"scaling: {name} must be a pair (mean, scale), got {shown(pair)}")
    arrays = []
    for what, value in zip((f"{name}.mean", f"{name}.scale"), found):
        array = cast(f"scaling: {what}", real(f"scaling: {what}", value), FLOAT64).copy()
        if array.shape != (n,):
            raise ValueError(f"scaling: {what} has shape {array.shape}, wanted ({n},)")
        if not np.isfinite(array).all():
            raise not_finite(f"scaling: {what}", array)
        array.flags.writeable = False
        arrays.append(array)
    scale(name, arrays[1], dtype)
    return arrays[0], arrays[1]


def overflow_when_folded(dtype: np.dtype[Any]) -> ValueError:
    """The error for parameters that are no longer finite with the scaling folded into them."""
    return ValueError(
        f"standardize: with the scaling folded into them, parameters overflow in {dtype}; the "
        "parameters and the optimizer are as they were before"
    )
