"""Examples: X, Y and what goes with them; finite numbers, one column for each example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.checks.arrays import cast, is_plain, real
from fastnn.checks.numbers import FLOAT64, integer
from fastnn.checks.probabilities import columns_sum_to_one, in_unit_interval
from fastnn.checks.sentences import not_finite, warn, wrong_dimensions, wrong_targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fastnn.losses import Loss

    AllFinite = Callable[[NDArray[Any]], bool]
    """The kernel of that name."""

__all__ = [
    "batch_size",
    "class_labels",
    "examples",
    "examples_and_targets",
    "sample_weights",
    "targets",
]


def examples(X: Any, n_inputs: int, dtype: np.dtype[Any], all_finite: AllFinite) -> NDArray[Any]:
    """Return X as a plain finite array (n_inputs, m >= 1) of the network's dtype.

    `all_finite` is the kernel of that name.
    """
    plain = is_plain(X, dtype) and X.ndim == 2 and X.shape[0] == n_inputs and X.shape[1] > 0
    array: NDArray[Any] = X if plain else _convert_examples(X, n_inputs, dtype)
    if not all_finite(array):
        raise not_finite("X", array)
    return array


def _convert_examples(X: Any, n_inputs: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """X as a plain array (n_inputs, m >= 1), or the error that says what is wrong with it."""
    X = real("X", X)
    if X.ndim != 2:
        raise wrong_dimensions("X", X, f"({n_inputs}, m)")
    if X.shape[0] != n_inputs:
        hint = ": did you mean X.T?" if X.shape[1] == n_inputs else "."
        raise ValueError(
            f"X has {X.shape[0]} features (rows), but this network expects {n_inputs}: "
            f"X has shape {X.shape}, wanted ({n_inputs}, m), one column per example{hint}"
        )
    if X.shape[1] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required: "
            "X has no columns."
        )
    return cast("X", X, dtype)


def targets(
    Y: Any, shape: tuple[int, int], loss: Loss, dtype: np.dtype[Any], all_finite: AllFinite
) -> NDArray[Any]:
    """Return Y as a plain array of this shape and dtype, with values that `loss` allows."""
    plain = is_plain(Y, dtype) and Y.shape == shape
    array: NDArray[Any] = Y if plain else _convert_targets(Y, shape, dtype)
    if not loss.probabilities:
        if not all_finite(array):
            raise not_finite("Y", array)
    elif not in_unit_interval("Y", array, loss):
        raise not_finite("Y", array)
    if loss.sums_to_one:
        columns_sum_to_one(array, loss)
    return array


def _convert_targets(Y: Any, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Y as a plain array of this shape, or the error that says what is wrong with it."""
    if Y is None:
        raise ValueError("this method requires Y to be passed, but the target Y is None")
    Y = real("Y", Y)
    if Y.shape != shape:
        raise wrong_targets(Y, shape)
    return cast("Y", Y, dtype)


def examples_and_targets(
    X: Any, Y: Any, sizes: tuple[int, ...], loss: Loss, dtype: np.dtype[Any], all_finite: AllFinite
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return X and Y as `examples` and `targets` do, for a network of these layer sizes."""
    X = examples(X, sizes[0], dtype, all_finite)
    return X, targets(Y, (sizes[-1], X.shape[1]), loss, dtype, all_finite)


def class_labels(Y: Any, n_classes: int, m: int) -> NDArray[np.intp]:
    """Return Y, (m,), as integers 0 ... n_classes - 1."""
    labels = real("Y", Y)
    if labels.shape != (m,):
        raise ValueError(
            f"Y has shape {labels.shape}, wanted ({n_classes}, {m}), one-hot, "
            f"or ({m},), the class of each example"
        )
    labels = cast("Y", labels, FLOAT64)
    if not np.isfinite(labels).all():
        raise not_finite("Y", labels)
    if (labels != np.floor(labels)).any() or labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(
            f"the classes in Y must be integers from 0 to {n_classes - 1}, "
            f"got values from {labels.min():g} to {labels.max():g}"
        )
    return labels.astype(np.intp)


def sample_weights(weights: Any, m: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the weights of m examples as (1, m) of this dtype, or None where there are none."""
    if weights is None:
        return None
    array = real("sample_weight", weights)
    if array.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or None: sample_weight has shape {array.shape}, "
            f"wanted ({m},)"
        )
    if array.shape != (m,):
        raise ValueError(f"sample_weight has shape {array.shape}, wanted ({m},), one per example")
    array = cast("sample_weight", array, dtype)
    if not np.isfinite(array).all():
        raise not_finite("sample_weight", array)
    if (array < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {array.min():g}")
    if not array.any():
        raise ValueError("sample_weight is 0 for every example: there is nothing to learn from")
    return array[np.newaxis]


def batch_size(size: Any, m: int) -> int:
    """Return the number of examples in a batch, at most m; None means all of them."""
    if size is None:
        return m
    count = integer("batch_size", size, 1)
    if count > m:
        warn(
            f"batch_size {count} is larger than the number of examples, {m}: it is clipped to {m}.",
            UserWarning,
        )
    return min(count, m)
