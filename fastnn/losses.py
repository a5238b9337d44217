"""The table of losses: cost, output delta, and the output activations they pair with.

The cost J is the mean over the m examples of the loss summed over the outputs.
``paired`` names the output activation for which the derivative with respect to the
pre-activation is simply ``dZ = A - Y`` (the exponential cancels); for the others in
``outputs`` it goes through g': ``dZ = (A - Y) * g'``.

Logarithms never see 0 or 1: ``tiny`` is the smallest normal number of the dtype and
``eps / 2`` the distance from 1 to the number below it, so a saturated output costs a
finite amount (87 and 17 in float32, 708 and 37 in float64).
"""

from typing import NamedTuple

__all__ = ["LOSSES", "Loss", "default_for", "resolve"]


class Loss(NamedTuple):
    """One row of the table."""

    name: str
    code: int
    formula: str
    paired: str
    outputs: tuple
    probabilities: bool
    """Targets must be probabilities in [0, 1]."""


LOSSES = {
    row.name: row
    for row in (
        Loss(
            "mse", 0, "sum_i (a_i - y_i)^2 / 2", "linear",
            ("linear", "relu", "leaky_relu", "tanh", "sigmoid", "softmax"), False,
        ),
        Loss(
            "binary_cross_entropy", 1, "-sum_i [y_i log a_i + (1 - y_i) log(1 - a_i)]", "sigmoid",
            ("sigmoid",), True,
        ),
        Loss(
            "cross_entropy", 2, "-sum_i y_i log a_i", "softmax",
            ("softmax",), True,
        ),
    )
}  # fmt: skip


def default_for(output):
    """Return the row of the loss that pairs with the output activation named `output`."""
    for row in reversed(LOSSES.values()):
        if output == row.paired:
            return row
    return LOSSES["mse"]


def resolve(loss, output=None):
    """Return the row that `loss` names, checked against the output activation.

    Parameters
    ----------
    loss : str or None
        A name of the table; None takes the one that pairs with `output`.
    output : str or None
        Name of the output activation; None where there is none to check.

    Raises
    ------
    TypeError, ValueError
        `loss` is not a name of the table, or does not go with `output`.

    Examples
    --------
    >>> resolve(None, "softmax").name
    'cross_entropy'
    """
    if loss is None and output is not None:
        return default_for(output)
    if not isinstance(loss, str):
        raise TypeError(f"loss must be a name, got {loss!r}")
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))}, got {loss!r}")
    row = LOSSES[loss]
    if output is not None and output not in row.outputs:
        raise ValueError(
            f"loss {loss!r} needs an output of {' or '.join(map(repr, row.outputs))}, "
            f"got output={output!r}"
        )
    return row
