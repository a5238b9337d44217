"""Examples: X, Y and what goes with them; finite numbers, one column for each example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fastnn._specifications import Targets
from fastnn.checks.arrays import cast, finite_matrix, is_plain, real
from fastnn.checks.numbers import FLOAT64, integer
from fastnn.checks.probabilities import allowed_targets
from fastnn.checks.sentences import not_finite, warn, wrong_dimensions, wrong_targets

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from fastnn.activations import Activation
    from fastnn.losses import Loss

__all__ = [
    "Network",
    "batch_size",
    "class_labels",
    "examples",
    "examples_and_targets",
    "matrix_of_outputs",
    "sample_weights",
    "targets",
]


class Engine(Protocol):
    """The kernels' object for a network, for what is asked of it here."""

    def accepts_examples(self, X: Any) -> bool: ...


class Network(Protocol):
    """What decides which examples and targets are right, as `MLP` has it."""

    @property
    def layer_sizes(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def output_row(self) -> Activation: ...
    @property
    def loss_row(self) -> Loss: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def kernels(self) -> ModuleType: ...


# --- X ------------------------------------------------------------------------------------


def examples(X: Any, net: Network) -> tuple[NDArray[Any], bool]:
    """Return X as a plain finite array (n[0], m >= 1), and whether it was a vector, one example."""
    if net.engine.accepts_examples(X):
        return X, False
    array, is_vector = _convert_examples(X, net.layer_sizes[0], net.dtype)
    if not net.kernels.all_finite(array):
        raise not_finite("X", array)
    return array, is_vector


def _convert_examples(X: Any, n_inputs: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], bool]:
    """`examples` before the look for NaN, or the error that says what is wrong with X."""
    X = real("X", X)
    is_vector = X.shape == (n_inputs,)
    if is_vector:
        X = X[:, np.newaxis]
    if X.ndim != 2:
        hint = f" For {X.size} examples: X.reshape(1, {X.size})." if n_inputs == X.ndim == 1 else ""
        wanted = f"({n_inputs}, m) or, for one example, ({n_inputs},)"
        raise wrong_dimensions("X", X, wanted, hint)
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
    return cast("X", X, dtype), is_vector


# --- Y ------------------------------------------------------------------------------------


def targets(Y: Any, net: Network, m: int, is_vector: bool = False) -> NDArray[Any]:
    """Return Y as a plain array (n[L], m) of the network's dtype, with values that its loss allows.

    A class, or a single output, may be one number for each example.  is_vector: X was one, and Y
    may be a vector or a number too.
    """
    shape, dtype, loss = (net.layer_sizes[-1], m), net.dtype, net.loss_row
    plain = is_plain(Y, dtype) and Y.shape == shape
    array: NDArray[Any] = Y if plain else _convert_targets(Y, net, m, is_vector)
    looked_at = loss.targets >= Targets.PROBABILITIES  # in one pass with the check of the range
    if not (looked_at or net.kernels.all_finite(array)) or not allowed_targets(array, loss):
        raise not_finite("Y", array)
    return array


def _convert_targets(Y: Any, net: Network, m: int, is_vector: bool) -> NDArray[Any]:
    """Y as a plain array (n[L], m), or the error that says what is wrong with it."""
    n, answer = net.layer_sizes[-1], net.output_row.answer
    Y = _real_targets(Y, answer)
    if is_vector and Y.ndim < 2 and Y.size in (1, n):
        Y = Y.reshape(-1) if Y.size < n or n == 1 else Y.reshape(-1, 1)
    if Y.shape == (m,) and n == 1:
        Y = Y[np.newaxis]
    elif Y.ndim == 1 and answer == "class":
        labels = class_labels(Y, n, m)
        one_hot: NDArray[Any] = (np.arange(n)[:, np.newaxis] == labels).astype(net.dtype)
        return one_hot
    if Y.shape != (n, m):
        raise wrong_targets(Y, (n, m), _hint(Y, answer))
    return cast("Y", Y, net.dtype)


def _real_targets(Y: Any, answer: str) -> NDArray[Any]:
    """Y as an array of numbers that is not yet cast; names of classes get a hint."""
    if Y is None:
        raise ValueError("this method requires Y to be passed, but the target Y is None")
    try:
        return real("Y", Y)
    except ValueError as error:
        if answer == "values" or "string" not in str(error):
            raise
        way = {
            "class": "turn the names of classes into columns by fastnn.datasets.one_hot(Y)",
            "yes or no": 'compare the names of classes with one of them, Y == "yes"',
        }[answer]
        raise ValueError(f"{error}: {way}") from None


def _hint(Y: NDArray[Any], answer: str) -> str:
    """What may have been meant by targets of a wrong shape; most often nothing can be said."""
    if answer == "yes or no" and Y.ndim == 1 and Y.dtype.kind in "biu":
        return (
            " (Each of several sigmoid outputs answers a question of its own; for one class out "
            "of several use output='softmax'.)"
        )
    return ""


def class_labels(Y: Any, n_classes: int, m: int) -> NDArray[np.integer[Any]]:
    """Return Y, (m,), integers 0 ... n_classes - 1: the class of each example."""
    labels = _real_targets(Y, "class")
    if labels.shape != (m,):
        raise ValueError(
            f"Y has shape {labels.shape}, wanted ({n_classes}, {m}), one-hot, "
            f"or ({m},), the class of each example"
        )
    if labels.dtype.kind == "O":
        labels = _real_targets(labels.tolist(), "class")
    if labels.dtype.kind == "b":
        labels = labels.astype(np.intp)
    wanted = f"the classes in Y must be integers from 0 to {n_classes - 1}"
    if labels.dtype.kind not in "iu":
        if np.isnan(cast("Y", labels, FLOAT64)).any():
            raise not_finite("Y", cast("Y", labels, FLOAT64))
        raise ValueError(
            f"{wanted}, got numbers of dtype {labels.dtype}: convert them by Y.astype(int)"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"{wanted}, got values from {labels.min()} to {labels.max()}")
    return labels


# --- both, and what goes with them --------------------------------------------------------


def examples_and_targets(X: Any, Y: Any, net: Network) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return X and Y as `examples` and `targets` do."""
    X, is_vector = examples(X, net)
    return X, targets(Y, net, X.shape[1], is_vector)


def matrix_of_outputs(name: str, value: Any, net: Network, m: int, is_vector: bool) -> NDArray[Any]:
    """Return an array of one number for each output, (n[L], m) or, with a vector X, (n[L],)."""
    n = net.layer_sizes[-1]
    if is_vector and np.ndim(value) == 1:
        value = real(name, value).reshape(-1, 1)
    return finite_matrix(name, value, (n, m), net.dtype, net.kernels.all_finite)


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
