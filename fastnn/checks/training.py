"""What `fit` is asked for besides numbers: weights of classes, callbacks, what is held out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.checks.numbers import number
from fastnn.checks.sentences import kind, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fastnn.checks.examples import Network

__all__ = [
    "callbacks",
    "class_weights",
    "classes_of",
    "metric_value",
    "several",
    "validation_data",
    "validation_fraction",
]


def several(name: str, value: Any) -> tuple[Any, ...]:
    """Return a sequence as a tuple, and a single name or function as a tuple of one."""
    if isinstance(value, str) or callable(value) or hasattr(value, "on_epoch_end"):
        return (value,)
    try:
        return tuple(value)
    except TypeError:
        raise TypeError(f"{name} must be a sequence, got {shown(value)}") from None


def metric_value(name: str, value: Any) -> float:
    """Return what a metric's function gave as a float; NaN and infinity pass."""
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "biuf":
        raise TypeError(f"the metric {name!r} must return a number, got {shown(value)}")
    return float(array)


def callbacks(value: Any) -> tuple[Callable[[int, Any], object], ...]:
    """Return functions (epoch, history): those given, or the `on_epoch_end` of objects."""
    found = []
    for callback in several("callbacks", value):
        function = getattr(callback, "on_epoch_end", callback)
        if not callable(function) or isinstance(callback, type):
            raise TypeError(
                "callbacks must be functions (epoch, history) or objects with "
                f"on_epoch_end(epoch, history), got {shown(callback)}"
            )
        found.append(function)
    return tuple(found)


# --- what is held out ---------------------------------------------------------------------


def validation_fraction(value: Any) -> float:
    """Return the share that is held out as a float in [0, 1)."""
    result = number("validation_fraction", value, positive=False)
    if result >= 1:
        raise ValueError(f"validation_fraction must be a number >= 0 and < 1, got {shown(value)}")
    return result


def validation_data(value: Any) -> tuple[Any, Any]:
    """Return a pair (X, Y)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        found = kind(value)
        if isinstance(value, (tuple, list)):
            found += f" of {len(value)}"
        raise TypeError(f"validation_data must be a pair (X, Y), got {found}")
    return value[0], value[1]


# --- classes ------------------------------------------------------------------------------


def classes_of(Y: NDArray[Any], net: Network) -> NDArray[np.intp] | None:
    """Return the class of each column of Y, (m,), or None where the outputs are no classes.

    Softmax: the largest; a single sigmoid output: 0 or 1.
    """
    answer = net.output_row.answer
    if answer == "class":
        return np.asarray(Y.argmax(axis=0))
    if answer == "yes or no" and len(Y) == 1:
        return np.asarray(Y[0] > 0.5, np.intp)
    return None


def class_weights(value: Any, Y: NDArray[Any], net: Network) -> NDArray[np.float64] | None:
    """Return the weight that each example has from its class, (m,), or None where none has one."""
    if value is None:
        return None
    labels = classes_of(Y, net)
    if labels is None:
        raise ValueError(
            "class_weight needs classes, a softmax output or a single sigmoid output; this network "
            f"has {len(Y)} {net.output_row.name} output{'s' * (len(Y) > 1)}: use sample_weight"
        )
    n = max(len(Y), 2)
    if isinstance(value, str) and value == "balanced":
        counts = np.bincount(labels, minlength=n)
        weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    else:
        weights = _weights_of(value, n)
    return weights[labels]


def _weights_of(value: Any, n: int) -> NDArray[np.float64]:
    """The weight of each of n classes from a dictionary; 1 where it says nothing."""
    if not hasattr(value, "items"):
        raise TypeError(
            f'class_weight must be a dict {{class: weight}} or "balanced", got {shown(value)}'
        )
    weights = np.ones(n)
    for label, weight in value.items():
        if not isinstance(label, (int, np.integer)) or not 0 <= label < n:
            raise ValueError(
                f"class_weight: the classes are integers from 0 to {n - 1}, got {shown(label)}"
            )
        weights[label] = number(f"class_weight[{label}]", weight, positive=False)
    return weights
