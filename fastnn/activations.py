"""The table of activations: the one place that says which there are.

Each row gives the name, the formula, the derivative **written from the output**
``a = g(z)`` (so that no layer has to keep ``z``), the range, the initial weights
that suit it, and when to use it.  ``code`` is the number by which the kernels know
it; every kernel module exports the same numbers as ``ACTIVATION_CODES`` and a
backend whose numbers differ is refused.

To add an activation: one row here, one line in each kernel module.
"""

from typing import NamedTuple

__all__ = ["ACTIVATIONS", "Activation", "DEFAULT_SLOPE", "resolve"]

DEFAULT_SLOPE = 0.01
"""Slope of leaky_relu for z <= 0 when none is given (Maas, Hannun and Ng, 2013)."""


class Activation(NamedTuple):
    """One row of the table."""

    name: str
    code: int
    formula: str
    derivative: str
    range: str
    use: str
    init: str
    hidden: bool = True


ACTIVATIONS = {
    row.name: row
    for row in (
        Activation(
            "linear", 0, "z", "1", "(-inf, inf)",
            "output of a regression; hidden layers of it add nothing", "xavier",
        ),
        Activation(
            "sigmoid", 1, "1 / (1 + exp(-z))", "a (1 - a)", "(0, 1)",
            "output of a yes/no question", "xavier",
        ),
        Activation(
            "tanh", 2, "(exp(z) - exp(-z)) / (exp(z) + exp(-z))", "1 - a^2", "(-1, 1)",
            "hidden layers of small, smooth networks: its mean is near 0", "xavier",
        ),
        Activation(
            "relu", 3, "max(0, z)", "1 if a > 0 else 0", "[0, inf)",
            "hidden layers, first choice; output that cannot be negative", "he",
        ),
        Activation(
            "leaky_relu", 4, "z if z > 0 else slope z", "1 if a > 0 else slope", "(-inf, inf)",
            "hidden layers where relu units die", "he",
        ),
        Activation(
            "softmax", 5, "exp(z_i) / sum_j exp(z_j)", "da_i/dz_j = a_i (delta_ij - a_j)", "(0, 1)",
            "output of a choice between classes", "xavier", hidden=False,
        ),
    )
}  # fmt: skip


def resolve(activation, argument="activation"):
    """Return the row and the slope that `activation` names.

    Parameters
    ----------
    activation : str or tuple
        A name of the table, or ``("leaky_relu", slope)`` with a finite slope >= 0:
        with a negative slope the derivative could not be told from the output.
    argument : str
        What the caller calls it, for the message of an error.

    Returns
    -------
    row : Activation
    slope : float
        0.0 where the activation has no slope.

    Raises
    ------
    TypeError
        `activation` is neither a name nor a pair.
    ValueError
        The name is unknown, or the slope is not a finite number >= 0.

    Examples
    --------
    >>> resolve(("leaky_relu", 0.2))[1]
    0.2
    """
    name, slope = activation, None
    if isinstance(activation, tuple) and len(activation) == 2:
        name, slope = activation
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a name or ('leaky_relu', slope), got {activation!r}")
    if name not in ACTIVATIONS:
        raise ValueError(
            f"{argument} must be one of {', '.join(map(repr, ACTIVATIONS))}, got {name!r}"
        )
    if name != "leaky_relu":
        if slope is not None:
            raise ValueError(f"{argument}: only 'leaky_relu' takes a slope, got {activation!r}")
        return ACTIVATIONS[name], 0.0
    slope = DEFAULT_SLOPE if slope is None else slope
    if isinstance(slope, (bool, str, complex)) or not 0 <= _as_float(slope) < float("inf"):
        raise ValueError(
            f"{argument}: the slope of 'leaky_relu' must be a finite number >= 0, got {slope!r}"
        )
    return ACTIVATIONS[name], float(slope)


def _as_float(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
