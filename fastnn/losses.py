"""The table of losses: cost, its derivative, and the output activations they pair with.

The cost J is the mean over the m examples of the loss summed over the outputs.
``derivative`` is dJ/da of one example.  ``paired`` names the output activation for which
the derivative with respect to the pre-activation is simply ``dZ = A - Y`` (the exponential
cancels); for the others in ``outputs`` it goes through g': ``dZ = dA * g'(Z)``.

Logarithms never see 0 or 1: ``tiny`` is the smallest normal number of the dtype and
``eps / 2`` the distance from 1 to the number below it, so a saturated output costs a
finite amount (87 and 17 in float32, 708 and 37 in float64).

To add a loss: one row here, and one line in each kernel module (CONTRIBUTING.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fastnn import checks
from fastnn._specifications import LossSpec

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "LOSSES",
    "Loss",
    "LossLike",
    "LossName",
    "default_for",
    "resolve",
    "specification",
]

LossName = Literal["mse", "binary_cross_entropy", "cross_entropy", "huber"]
"""The names of the table, for type checkers and editors; aliases are understood too."""

LossLike = LossName | tuple[Literal["huber"], float]
"""What `resolve` takes."""


class Loss(NamedTuple):
    """One row of the table."""

    name: str
    code: int
    formula: str
    derivative: str
    paired: str
    outputs: tuple[str, ...] = ()
    """The output activations it may go with; empty: any."""
    probabilities: bool = False
    """Targets must be probabilities in [0, 1]."""
    sums_to_one: bool = False
    """And those of an example must sum to 1."""
    parameter: checks.Parameter | None = None
    aliases: tuple[str, ...] = ()
    """Other names that are understood."""


LOSSES = {
    row.name: row
    for row in (
        Loss(
            "mse", 0, "sum_i (a_i - y_i)^2 / 2", "a - y", "linear",
            aliases=("mean_squared_error", "squared_error"),
        ),
        Loss(
            "binary_cross_entropy", 1, "-sum_i [y_i log a_i + (1 - y_i) log(1 - a_i)]",
            "(a - y) / (a (1 - a))", "sigmoid", ("sigmoid",), probabilities=True,
            aliases=("binary_crossentropy", "binary cross-entropy"),
        ),
        Loss(
            "cross_entropy", 2, "-sum_i y_i log a_i", "-y / a", "softmax", ("softmax",),
            probabilities=True, sums_to_one=True,
            aliases=(
                "categorical_cross_entropy", "categorical_crossentropy",
                "categorical cross-entropy", "crossentropy",
            ),
        ),
        Loss(
            "huber", 3,
            "sum_i (r_i^2 / 2 if |r_i| <= delta else delta (|r_i| - delta / 2)), r = a - y",
            "max(-delta, min(delta, a - y))", "",  # (Huber, 1964)
            parameter=checks.Parameter("delta", 1.0, positive=True),
        ),
    )
}  # fmt: skip


def default_for(output: str) -> Loss:
    """Return the row of the loss that pairs with the output activation named `output`."""
    for row in LOSSES.values():
        if output == row.paired:
            return row
    return LOSSES["mse"]


def resolve(
    loss: Any, output: str | None = None, dtype: np.dtype[Any] | None = None
) -> tuple[Loss, float]:
    """Return the row and the parameter that `loss` names, checked against the output.

    Parameters
    ----------
    loss : str, tuple or None
        A name of the table, or a pair such as ``("huber", delta)``; None takes the one
        that pairs with `output`.
    output : str or None
        Name of the output activation; None where there is none to check.
    dtype : numpy.dtype, optional
        In which the parameter must be a finite number too.

    Returns
    -------
    row : Loss
    alpha : float
        0.0 where the loss has no parameter.

    Raises
    ------
    TypeError, ValueError
        `loss` is not a name of the table, or does not go with `output`.

    Examples
    --------
    >>> resolve(None, "softmax")[0].name
    'cross_entropy'
    """
    if loss is None and output is not None:
        return default_for(output), 0.0
    row, alpha = checks.row_and_parameter("loss", loss, LOSSES)
    if output is not None and row.outputs and output not in row.outputs:
        raise ValueError(
            f"loss {row.name!r} needs an output of {' or '.join(map(repr, row.outputs))}, "
            f"got output={output!r}"
        )
    return row, alpha if dtype is None else checks.parameter_in(dtype, "loss", row, alpha)


def specification(row: Loss, alpha: float, output: str) -> LossSpec:
    """Return what the kernels are told of a loss at the output activation named `output`."""
    return LossSpec(row.code, alpha, row.paired == output)
