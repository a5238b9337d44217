"""The table of activations: the one place that says which there are.

Each row gives the name, the formula, the derivative, the range, the initial weights that
suit it, and when to use it.  ``code`` is the number by which the kernels know it; a
backend whose numbers differ is refused.

Where g' is cheap from the output ``a = g(z)``, as in most rows, the derivative is written
from a, and no layer has to keep z.  The other rows (`from_output` false) write it from z:
there the kernels compute value and derivative together, and a layer in training keeps the
derivative beside its output.

To add an activation: one row here, and one line in each kernel module (CONTRIBUTING.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from fastnn import checks

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "ACTIVATIONS",
    "HIDDEN",
    "Activation",
    "ActivationLike",
    "ActivationName",
    "resolve",
    "resolve_layers",
]

ActivationName = Literal[
    "linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax", "gelu", "elu", "softplus", "silu",
    "gelu_tanh", "exponential",
]  # fmt: skip
"""The names of the table, for type checkers and editors."""

ActivationLike = ActivationName | tuple[Literal["leaky_relu", "elu"], float]
"""What `resolve` takes."""


class Activation(NamedTuple):
    """One row of the table."""

    name: ActivationName
    code: int
    formula: str
    derivative: str
    range: str
    use: str
    init: str
    parameter: checks.Parameter | None = None
    """The number that goes with the name, as in ("leaky_relu", 0.2)."""
    from_output: bool = True
    """The derivative is written from the output a; otherwise from z."""
    hidden: bool = True
    """Hidden layers may have it."""
    answer: str = "values"
    """What an output layer of it answers: "values", "yes or no", or a "class"."""


ACTIVATIONS: dict[str, Activation] = {
    row.name: row
    for row in (
        Activation(
            "linear", 0, "z", "1", "(-inf, inf)",
            "output of a regression; hidden layers of it add nothing", "xavier",
        ),
        Activation(
            "sigmoid", 1, "1 / (1 + exp(-z))", "a (1 - a)", "(0, 1)",
            "output of a yes/no question", "xavier", answer="yes or no",
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
            "hidden layers where relu units die (Maas, Hannun and Ng, 2013)", "he",
            # With a negative slope the derivative could not be told from the output.
            parameter=checks.Parameter("slope", 0.01, positive=False),
        ),
        Activation(
            "softmax", 5, "exp(z_i) / sum_j exp(z_j)", "da_i/dz_j = a_i (delta_ij - a_j)", "(0, 1)",
            "output of a choice between classes", "xavier", hidden=False, answer="class",
        ),
        Activation(
            "gelu", 6, "z Phi(z), Phi(z) = (1 + erf(z / sqrt(2))) / 2",
            "Phi(z) + z exp(-z^2 / 2) / sqrt(2 pi)", "[-0.17, inf)",
            "hidden layers, a smooth relu (Hendrycks and Gimpel, 2016)", "he", from_output=False,
        ),
        Activation(
            "elu", 7, "z if z > 0 else alpha (exp(z) - 1)", "1 if z > 0 else alpha exp(z)",
            "(-alpha, inf)", "hidden layers, a relu whose mean is near 0 (Clevert et al., 2016)",
            "he", parameter=checks.Parameter("alpha", 1.0, positive=True), from_output=False,
        ),
        Activation(
            "softplus", 8, "log(1 + exp(z))", "sigmoid(z)", "(0, inf)",
            "output that is positive (Dugas et al., 2001)", "he", from_output=False,
        ),
        Activation(
            "silu", 9, "z s, s = sigmoid(z)", "s + z s (1 - s), s = sigmoid(z)", "[-0.28, inf)",
            "hidden layers, a smooth relu, swish (Elfwing et al., 2018)", "he", from_output=False,
        ),
        Activation(
            "gelu_tanh", 10, "z (1 + tanh(u)) / 2, u = sqrt(2 / pi) (z + 0.044715 z^3)",
            "s + z s (1 - s) 2 u', s = sigmoid(2 u)", "[-0.171, inf)",
            "gelu as networks trained elsewhere may have it (Hendrycks and Gimpel, 2016)", "he",
            from_output=False,
        ),
        Activation(
            "exponential", 11, "exp(z)", "a", "(0, inf)",
            "output of a count or a rate, with the poisson loss", "xavier", hidden=False,
        ),
    )
}  # fmt: skip


HIDDEN = {name: row for name, row in ACTIVATIONS.items() if row.hidden}
"""The rows that hidden layers may have."""


def resolve(
    activation: Any,
    argument: str = "activation",
    dtype: np.dtype[Any] | None = None,
    hidden: bool = False,
) -> tuple[Activation, float]:
    """Return the row and the parameter that `activation` names.

    Parameters
    ----------
    activation : str or tuple
        A name of the table, or a pair such as ``("leaky_relu", slope)``.
    argument : str
        What the caller calls it, for the message of an error.
    dtype : numpy.dtype, optional
        In which the parameter must be a finite number too.
    hidden : bool
        For a hidden layer.

    Returns
    -------
    row : Activation
    alpha : float
        0.0 where the activation has no parameter.

    Raises
    ------
    TypeError
        `activation` is neither a name nor a pair.
    ValueError
        The name is unknown, or is not for a hidden layer, or the parameter is out of range.

    Examples
    --------
    >>> resolve(("leaky_relu", 0.2))[1]
    0.2
    """
    if hidden and isinstance(activation, str) and activation in ACTIVATIONS.keys() - HIDDEN.keys():
        raise ValueError(f"{argument}: {activation!r} is for the output layer alone")
    row, alpha = checks.row_and_parameter(argument, activation, HIDDEN if hidden else ACTIVATIONS)
    return row, alpha if dtype is None else checks.parameter_in(dtype, argument, row, alpha)


def resolve_layers(
    hidden: Any, output: Any, n_hidden: int, dtype: np.dtype[Any]
) -> list[tuple[Activation, float]]:
    """Return the row and the parameter of each layer, hidden ones and output.

    Parameters
    ----------
    hidden : str, tuple or list
        One for all hidden layers, or a list with one for each.
    output : str or tuple
    n_hidden : int
        How many hidden layers there are.
    dtype : numpy.dtype
        That of the network.

    Raises
    ------
    TypeError, ValueError
        As for `resolve`, or a list that is not one for each hidden layer.

    Examples
    --------
    >>> layers = resolve_layers(["relu", "tanh"], "linear", 2, np.dtype("float32"))
    >>> [row.name for row, alpha in layers]
    ['relu', 'tanh', 'linear']
    """
    is_pair = isinstance(hidden, tuple) and len(hidden) == 2
    if isinstance(hidden, str) or (is_pair and not isinstance(hidden[1], (str, tuple))):
        layers = [resolve(hidden, "hidden", dtype, hidden=True)] * n_hidden
    elif isinstance(hidden, (list, tuple)):
        layers = [resolve(g, f"hidden[{i}]", dtype, hidden=True) for i, g in enumerate(hidden)]
    else:
        raise TypeError(
            f"hidden must be an activation or a list of them, got {checks.shown(hidden)}"
        )
    if len(layers) != n_hidden:
        raise ValueError(
            f"hidden names {len(layers)} activations, but there are {n_hidden} hidden layers"
        )
    return [*layers, resolve(output, "output", dtype)]
