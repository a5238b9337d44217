"""One layer's arrays, as the functional API takes them: their shapes must belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._specifications import SUM_TOLERANCE, Targets
from fastnn.checks.probabilities import allowed_targets, in_unit_interval
from fastnn.checks.sentences import wrong_dimensions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn.activations import Activation
    from fastnn.losses import Loss

__all__ = [
    "cost_arrays",
    "dense_backward_shapes",
    "dense_forward_shapes",
    "derivative_from_output",
    "derivative_of_elements",
    "same_shape",
]


def same_shape(**arrays: NDArray[Any]) -> None:
    """Refuse arrays whose shapes differ."""
    (name, first), (other, second) = arrays.items()
    if first.shape != second.shape:
        raise ValueError(
            f"{name} of shape {first.shape} and {other} of shape {second.shape} "
            "must have the same shape"
        )


def dense_forward_shapes(W: NDArray[Any], b: NDArray[Any], A_prev: NDArray[Any]) -> None:
    """Refuse what ``W A_prev + b`` cannot be computed from."""
    if W.ndim != 2 or A_prev.ndim != 2 or W.shape[1] != A_prev.shape[0]:
        _matrices(W=W, A_prev=A_prev)
        raise ValueError(
            f"W of shape {W.shape} cannot multiply A_prev of shape {A_prev.shape}: "
            f"W has {W.shape[1]} columns, A_prev {A_prev.shape[0]} rows"
        )
    if b.shape != (W.shape[0], 1):
        raise ValueError(
            f"b of shape {b.shape} could not be broadcast: "
            f"W of shape {W.shape} wants b of shape {(W.shape[0], 1)}"
        )


def dense_backward_shapes(dZ: NDArray[Any], W: NDArray[Any], A_prev: NDArray[Any]) -> None:
    """Refuse what dW, db and dA_prev cannot be computed from."""
    _matrices(dZ=dZ, W=W, A_prev=A_prev)
    if dZ.shape != (W.shape[0], A_prev.shape[1]) or W.shape[1] != A_prev.shape[0]:
        raise ValueError(
            f"dZ of shape {dZ.shape}, W of shape {W.shape} and A_prev of shape {A_prev.shape} "
            "do not belong together: wanted (n_out, m), (n_out, n_in) and (n_in, m)"
        )


def derivative_of_elements(activation: Activation) -> None:
    """Refuse an activation whose derivative is not one number for each element."""
    if activation.answer == "class":
        raise ValueError(
            f"the derivative of {activation.name!r} is a matrix for each example: "
            "use activation_backward"
        )


def derivative_from_output(activation: Activation) -> None:
    """Refuse an activation whose derivative cannot be told from its output."""
    if not activation.from_output:
        raise ValueError(
            f"the derivative of {activation.name!r} cannot be told from its output: take it "
            f"together with the output, A, D = activate(Z, {activation.name!r}, derivative=True), "
            "and then dZ = dA * D"
        )


def cost_arrays(A: NDArray[Any], Y: NDArray[Any], loss: Loss) -> NDArray[Any]:
    """Return A, or refuse outputs and targets from which `loss` cannot be computed; NaN passes.

    Probabilities that are a rounding above 1 count as 1: no cost is negative.
    """
    _matrices(A=A, Y=Y)
    same_shape(A=A, Y=Y)
    probabilities = loss.targets >= Targets.PROBABILITIES
    if probabilities and Y.size:
        in_unit_interval("A", A, loss, tolerance=SUM_TOLERANCE)
    allowed_targets(Y, loss)
    if probabilities and Y.size and not A.max() <= 1:
        A = np.minimum(A, 1)
    return A


def _matrices(**arrays: NDArray[Any]) -> None:
    """Refuse arrays that are not 2D."""
    for name, array in arrays.items():
        if array.ndim != 2:
            raise wrong_dimensions(name, array, "two axes")
