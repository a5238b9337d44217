"""The table of losses: cost, its derivative, and the output activations they pair with.

The cost J is the mean over the m examples of the loss summed over the outputs.
``derivative`` is dJ/da of one example.  ``paired`` names the output activation for which
the derivative with respect to the pre-activation is simply ``dZ = A - Y`` (the exponential
cancels); for the others in ``outputs`` it goes through g': ``dZ = dA * g'(Z)``.

Logarithms never see 0 or 1: ``tiny`` is the smallest normal number of the dtype and
``eps / 2`` the distance from 1 to the number below it, so a saturated output costs a
finite amount (87 and 17 in float32, 708 and 37 in float64); nor does a quotient overflow.

To add a loss: one row here, and one line in each kernel module (CONTRIBUTING.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fastnn import checks
from fastnn._specifications import LossSpec, Targets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "LOSSES",
    "Loss",
    "LossLike",
    "LossName",
    "default_for",
    "evaluate",
    "resolve",
    "specification",
]

LossName = Literal["mse", "binary_cross_entropy", "cross_entropy", "huber", "mae", "poisson"]
"""The names of the table, for type checkers and editors; aliases are understood too."""

LossLike = LossName | tuple[Literal["huber"], float] | Callable[..., Any]
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
    targets: Targets = Targets.ANY
    parameter: checks.Parameter | None = None
    aliases: tuple[str, ...] = ()
    """Other names that are understood."""
    function: Callable[..., Any] | None = None
    """A loss of the user's, ``(A, Y) -> (J, dA)``; the rows of the table have none."""


LOSSES = {
    row.name: row
    for row in (
        Loss(
            "mse", 0, "sum_i (a_i - y_i)^2 / 2", "a - y", "linear",
            aliases=("mean_squared_error", "squared_error"),
        ),
        Loss(
            "binary_cross_entropy", 1, "-sum_i [y_i log a_i + (1 - y_i) log(1 - a_i)]",
            "(a - y) / (a (1 - a))", "sigmoid", ("sigmoid",), Targets.PROBABILITIES,
            aliases=("binary_crossentropy", "binary cross-entropy"),
        ),
        Loss(
            "cross_entropy", 2, "-sum_i y_i log a_i", "-y / a", "softmax", ("softmax",),
            Targets.DISTRIBUTIONS,
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
        Loss(
            "mae", 4, "sum_i |a_i - y_i|", "sign(a - y), 0 where a = y", "",
            aliases=("mean_absolute_error", "absolute_error", "l1"),
        ),
        Loss(  # the likelihood of counts y of mean a, log(y!) left out
            "poisson", 5, "sum_i [a_i - y_i log a_i]", "1 - y / a", "exponential",
            ("exponential", "softplus"), Targets.NON_NEGATIVE, aliases=("poisson_nll",),
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
    loss : str, tuple, function or None
        A name of the table, or a pair such as ``("huber", delta)``; None takes the one
        that pairs with `output`; or a function ``loss(A, Y) -> (J, dA)``.
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
    if callable(loss):
        return _row_of(loss), 0.0
    row, alpha = checks.row_and_parameter("loss", loss, LOSSES)
    if output is not None and row.outputs and output not in row.outputs:
        raise ValueError(
            f"loss {row.name!r} needs an output of {' or '.join(map(repr, row.outputs))}, "
            f"got output={output!r}"
        )
    return row, alpha if dtype is None else checks.parameter_in(dtype, "loss", row, alpha)


def _row_of(function: Callable[..., Any]) -> Loss:
    """The row of a loss that is a function; its code is one that the kernels know, and not used."""
    name = getattr(function, "__name__", type(function).__name__)
    return Loss(name, LOSSES["mse"].code, f"{name}(A, Y)", "", "", function=function)


def evaluate(row: Loss, A: NDArray[Any], Y: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """Return the cost J and dA = dJ/dA of a loss that is a function.

    Parameters
    ----------
    row : Loss
        With a `function`, which gets A and Y, (n, m).
    A, Y : ndarray

    Raises
    ------
    TypeError, ValueError
        The function returns something else than a number and an array of the shape of A.

    Examples
    --------
    >>> row, alpha = resolve(lambda A, Y: (np.sum(A - Y), np.ones_like(A)))
    >>> evaluate(row, np.array([[1.0, 2.0]]), np.array([[0.0, 1.0]]))
    (2.0, array([[1., 1.]]))
    """
    assert row.function is not None
    result = row.function(A, Y)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"the loss {row.name!r} must return (J, dA), got {checks.shown(result)}")
    return checks.cost_and_derivative(f"the loss {row.name!r}", *result, A.shape, A.dtype)


def specification(row: Loss, alpha: float, output: str) -> LossSpec:
    """Return what the kernels are told of a loss at the output activation named `output`."""
    return LossSpec(row.code, alpha, row.paired == output, row.targets)
