"""The table of initial weights: W = scale * N(0, 1), and b = 0.

The scale keeps the variance of the signal about equal from layer to layer.  Numbers
are drawn in float64 and then rounded, layer by layer, so the same generator gives the
same parameters in every backend and, up to rounding, in every dtype.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from fastnn import checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from fastnn.activations import Activation

__all__ = ["INITIALIZERS", "Initializer", "InitializerName", "fill", "scales"]

InitializerName = Literal["auto", "small_normal", "he", "xavier", "zeros"]
"""The names of the table, and "auto", for type checkers and editors."""

FURTHEST = 40.0
"""No draw of N(0, 1) is so far out in float64: its probability is below 1e-340."""


class Initializer(NamedTuple):
    """One row of the table."""

    name: str
    scale: Callable[[int], float]
    """The factor of N(0, 1), a function of n_in."""
    formula: str
    use: str


INITIALIZERS = {
    row.name: row
    for row in (
        Initializer(
            "small_normal", lambda n_in: 0.01, "0.01 N(0, 1)",
            "one hidden layer of tanh or sigmoid units",
        ),
        Initializer(
            "he", lambda n_in: math.sqrt(2 / n_in), "sqrt(2 / n_in) N(0, 1)",
            "relu and leaky_relu (He, Zhang, Ren and Sun, 2015, eq. 10)",
        ),
        Initializer(
            "xavier", lambda n_in: math.sqrt(1 / n_in), "sqrt(1 / n_in) N(0, 1)",
            "tanh, sigmoid, softmax and linear (after Glorot and Bengio, 2010, who "
            "average n_in and n_out; this is the form with n_in alone)",
        ),
        Initializer(
            "zeros", lambda n_in: 0.0, "0",
            "to see that equal units stay equal for ever",
        ),
    )
}  # fmt: skip


def scales(
    init: Any,
    layer_sizes: Sequence[int],
    activations: Sequence[Activation],
    dtype: np.dtype[Any] = checks.FLOAT64,
) -> list[float]:
    """Return the factor of N(0, 1) for the weights of each layer.

    Parameters
    ----------
    init : str or float
        A name of the table; "auto" for the one that suits each layer's activation; or
        a number s >= 0 for s N(0, 1).
    layer_sizes : sequence of int
        (n[0], ..., n[L]).
    activations : sequence of Activation
        L rows of the table of activations.
    dtype : numpy.dtype
        In which the weights must be finite, and must not vanish where s > 0.

    Raises
    ------
    TypeError, ValueError
        `init` is neither a name of the table nor such a number.

    Examples
    --------
    >>> from fastnn.initializers import scales
    >>> scales("xavier", (4, 1), (None,))
    [0.5]
    """
    if not isinstance(init, str):
        return [_scale(init, dtype)] * len(activations)
    if init != "auto" and init not in INITIALIZERS:
        names = ("auto", *INITIALIZERS)
        raise checks.unknown("init", init, names, also="a number, a dictionary of arrays or ")
    names_of_layers = [row.init if init == "auto" else init for row in activations]
    n_in = layer_sizes[:-1]
    return [INITIALIZERS[name].scale(n) for name, n in zip(names_of_layers, n_in, strict=True)]


def _scale(init: Any, dtype: np.dtype[Any]) -> float:
    """A number s as the factor of N(0, 1), if no weight overflows or all become 0."""
    scale = checks.number("init", init, positive=False)
    largest = float(np.finfo(dtype).max) / FURTHEST
    if scale > largest:
        raise ValueError(
            f"init must be a number of which weights s N(0, 1) are finite in {dtype}, at most "
            f"{largest:.3g}, got {scale!r}"
        )
    return checks.representable("init", scale, dtype, positive=scale > 0)


def fill(
    weights: Iterable[NDArray[Any]], scales: Iterable[float], generator: np.random.Generator
) -> None:
    """Draw the weights of every layer, in place; a scale of 0 draws nothing.

    Parameters
    ----------
    weights : iterable of ndarray
        W[1], ..., W[L].
    scales : iterable of float
        As `scales` returns them.
    generator : numpy.random.Generator
    """
    for W, scale in zip(weights, scales, strict=True):
        if scale:
            np.multiply(generator.standard_normal(W.shape), scale, out=W, casting="same_kind")
        else:
            W[...] = 0
