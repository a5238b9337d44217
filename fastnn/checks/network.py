"""The parts of a network and of its training: sizes, parameters, dropout, an optimizer's state."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.checks.arrays import cast, real
from fastnn.checks.numbers import fraction, integer
from fastnn.checks.sentences import kind, not_finite, shown, warn

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from fastnn.activations import Activation

__all__ = [
    "dropout",
    "known_parameter",
    "layer_sizes",
    "optimizer_state",
    "outputs",
    "parameter",
    "parameter_count",
    "parameters",
    "pickled_state",
]


def layer_sizes(sizes: Any) -> tuple[int, ...]:
    """Return (n[0], ..., n[L]) as a tuple of ints >= 1, L >= 1."""
    if isinstance(sizes, (str, bytes, dict, set)) or not hasattr(sizes, "__iter__"):
        raise TypeError(f"layer_sizes must be a list of integers, got {shown(sizes)}")
    result = tuple(integer(f"layer_sizes[{i}]", n, 1) for i, n in enumerate(sizes))
    if len(result) < 2:
        raise ValueError(
            f"layer_sizes must name at least the inputs and the outputs, got {list(result)}"
        )
    return result


def parameter_count(sizes: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return how many weights and biases layers of these sizes have, if an array can be so long."""
    count = sum(n_out * (n_in + 1) for n_in, n_out in pairwise(sizes))
    if count > sys.maxsize // dtype.itemsize:
        raise ValueError(
            f"layer_sizes {list(sizes)} asks for {count} parameters, more than an array can hold"
        )
    return count


def dropout(value: Any, n_hidden: int) -> tuple[float, ...]:
    """Return the dropout of each of `n_hidden` layers, in [0, 1)."""
    if isinstance(value, (list, tuple)):
        if len(value) != n_hidden:
            raise ValueError(
                f"dropout has {len(value)} values, but there are {n_hidden} hidden layers"
            )
        return tuple(fraction(f"dropout[{i}]", share) for i, share in enumerate(value))
    return (fraction("dropout", value),) * n_hidden


def outputs(activation: Activation, n: int) -> None:
    """Refuse an output layer of n units that cannot choose between classes."""
    if activation.answer == "class" and n < 2:
        raise ValueError(
            f"output={activation.name!r} chooses between 2 classes or more, got {n} unit: its "
            "output would always be 1; for one yes/no question use 'sigmoid'"
        )


def parameters(
    values: Any, views: Mapping[str, NDArray[Any]], argument: str = "parameters"
) -> dict[str, NDArray[Any]]:
    """Return the arrays of the dictionary `values`, each as its view in `views` wants it."""
    if not hasattr(values, "keys"):
        raise TypeError(f"{argument} must be a dictionary of arrays, got {kind(values)}")
    for name in values.keys():
        known_parameter(name, views, argument)
    for name in views:
        if name not in values.keys():
            raise ValueError(f"{argument[:-1]} {name!r} is missing; wanted {', '.join(views)}")
    return {name: parameter(name, values[name], view) for name, view in views.items()}


def known_parameter(
    name: object, views: Mapping[str, NDArray[Any]], argument: str = "parameters"
) -> None:
    """Refuse a name that is not one of `views`."""
    if name not in views:
        raise ValueError(
            f"unknown {argument[:-1]} {shown(name)}; this network has {', '.join(views)}"
        )


def parameter(name: str, value: Any, view: NDArray[Any]) -> NDArray[Any]:
    """Return `value` as a plain finite array of the shape and dtype of `view`."""
    array = real(name, value)
    if array.shape != view.shape:
        raise ValueError(f"{name} has shape {array.shape}, wanted {view.shape}")
    array = cast(name, array, view.dtype)
    if not np.isfinite(array).all():
        raise not_finite(name, array)
    return array


def pickled_state(state: Any, names: Collection[str], version: str) -> None:
    """Refuse a pickled state that does not hold just what `names` says; warn of other versions."""
    found = set(state) if isinstance(state, dict) else None
    if found != set(names):
        missing = "" if found is None else f": it has {sorted(map(str, found))}"
        raise ValueError(
            f"this is not the state of an MLP of this version of fastnn{missing}, "
            f"wanted {sorted(names)}; `save` writes files that later versions load"
        )
    if state["version"] != version:
        warn(
            f"this MLP was pickled by fastnn {state['version']}, and is unpickled by {version}, in "
            "which it may be another; `save` writes files that later versions load",
            UserWarning,
        )


def optimizer_state(
    values: Any, name: str, slots: tuple[str, ...]
) -> tuple[int, NDArray[Any] | None]:
    """Return (steps, vectors) of a dictionary as `Optimizer.state` has it; the arrays copied."""
    if not hasattr(values, "keys") or "steps" not in values.keys():
        raise TypeError(
            f"the state of {name!r} must be a dictionary with 'steps', got {shown(values)}"
        )
    steps = integer("steps", values["steps"], 0)
    given = [key for key in values.keys() if key != "steps"]
    if not given:
        return steps, None
    if set(given) != set(slots):
        raise ValueError(f"the state of {name!r} has the vectors {given}, wanted {list(slots)}")
    arrays = [real(slot, values[slot]) for slot in slots]
    for slot, array in zip(slots, arrays):
        if array.ndim != 1 or array.shape != arrays[0].shape or array.dtype.char not in "fd":
            raise ValueError(
                f"{slot} must be a flat vector of float32 or float64, like the others, got shape "
                f"{array.shape}, {array.dtype}"
            )
        if not np.isfinite(array).all():
            raise not_finite(slot, array)
    stack = np.stack(arrays)
    return steps, stack.astype(stack.dtype.newbyteorder("="), copy=False)
