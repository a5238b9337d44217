"""Scaling: mean and scale of inputs and targets, and how they are folded into a network.

Inputs of mean 0 and standard deviation 1 train best.  ``fit(..., standardize=True)`` trains on
``(X - X.mean) / X.scale``, and for a regression on ``(Y - Y.mean) / Y.scale``.  What it finds is
folded into the first and the last layer, so that the network takes X and answers in Y as they
are, at no cost:

    W[1] = W'[1] / X.scale      b[1] = b'[1] - W[1] X.mean
    W[L] = Y.scale W'[L]        b[L] = Y.scale b'[L] + Y.mean

with W' and b' those of standardised data.  The training itself is in `standardized`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastnn import checks
from fastnn.parameters import ParameterDict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fastnn.network import MLP

    Floats = NDArray[np.float64]

__all__ = ["REGRESSIONS", "MeanAndScale", "Scaling", "checked", "is_regression", "learn"]

REGRESSIONS = ("mse", "mae", "huber")
"""The losses with which, if the output is linear, the targets are standardised too."""

BLOCK = 1 << 16
"""Elements that are looked at together: in float64 half a megabyte."""


class MeanAndScale(NamedTuple):
    """Of each row of X or of Y.

    Attributes
    ----------
    mean, scale : ndarray
        float64, (n,).  The scale is the standard deviation (that of the examples at hand, ddof=0),
        or 1 where a row is constant.
    """

    mean: Floats
    scale: Floats

    def standardized(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return ``(X - mean) / scale``, a copy, laid out like X and in its dtype.

        Examples
        --------
        >>> MeanAndScale(np.array([20.0]), np.array([10.0])).standardized(np.array([[10.0, 40.0]]))
        array([[-1.,  2.]])
        """
        result = np.empty_like(X)
        for columns in _blocks(X):
            result[:, columns] = (X[:, columns] - self.mean[:, None]) / self.scale[:, None]
        return result

    def restored(self, X: NDArray[Any]) -> NDArray[Any]:
        """Return ``X scale + mean``, a copy, laid out like X and in its dtype.

        Examples
        --------
        >>> MeanAndScale(np.array([20.0]), np.array([10.0])).restored(np.array([[-1.0, 2.0]]))
        array([[10., 40.]])
        """
        result = np.empty_like(X)
        for columns in _blocks(X):
            result[:, columns] = X[:, columns] * self.scale[:, None] + self.mean[:, None]
        return result


class Scaling(NamedTuple):
    """What a training by ``fit(..., standardize=True)`` has learnt of its data.

    Attributes
    ----------
    X : MeanAndScale
        Of the n[0] inputs.
    Y : MeanAndScale or None
        Of the n[L] targets; None where they are taken as they are.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear")
    >>> history = net.fit([[10.0, 30.0]], [[0.0, 4.0]], epochs=1, standardize=True)
    >>> net.scaling.X
    MeanAndScale(mean=array([20.]), scale=array([10.]))
    """

    X: MeanAndScale
    Y: MeanAndScale | None = None

    @np.errstate(over="ignore", invalid="ignore")
    def folded(self, vector: NDArray[Any], layer_sizes: tuple[int, ...]) -> NDArray[Any]:
        """Return the parameters for data as they are, from those for standardised data.

        Computed in float64.  b[1] is computed with W[1] as it is rounded, so that what rounding
        takes from the weights does not show at the mean.  What overflows is infinite.

        Parameters
        ----------
        vector : ndarray
            As `MLP.parameter_vector`.
        layer_sizes : tuple of int

        Examples
        --------
        >>> scaling = Scaling(MeanAndScale(np.array([20.0]), np.array([10.0])))
        >>> scaling.folded(np.array([1.0, 0.5]), (1, 1))
        array([ 0.1, -1.5])
        """
        folded = vector.copy()
        ends = _Ends(folded, layer_sizes)
        if self.Y is not None:
            W, b = ends.last
            W *= self.Y.scale[:, None]
            b *= self.Y.scale
            b += self.Y.mean
        W, b = ends.first
        W /= self.X.scale
        b -= (W.astype(vector.dtype) * self.X.mean).sum(axis=1)
        ends.write()
        return folded

    @np.errstate(over="ignore", invalid="ignore")
    def unfolded(self, vector: NDArray[Any], layer_sizes: tuple[int, ...]) -> NDArray[Any]:
        """Return the parameters for standardised data, from those for data as they are.

        Parameters
        ----------
        vector : ndarray
            As `MLP.parameter_vector`.
        layer_sizes : tuple of int

        Examples
        --------
        >>> scaling = Scaling(MeanAndScale(np.array([20.0]), np.array([10.0])))
        >>> scaling.unfolded(np.array([0.1, -1.5]), (1, 1))
        array([1. , 0.5])
        """
        unfolded = vector.copy()
        ends = _Ends(unfolded, layer_sizes)
        W, b = ends.first
        b += (W * self.X.mean).sum(axis=1)
        W *= self.X.scale
        if self.Y is not None:
            W, b = ends.last
            b -= self.Y.mean
            b /= self.Y.scale
            W /= self.Y.scale[:, None]
        ends.write()
        return unfolded


class _Ends:
    """The first and the last layer of a flat vector, copied in float64: W, and b as (n[l],).

    In a network of one layer they are the same.
    """

    def __init__(self, vector: NDArray[Any], layer_sizes: tuple[int, ...]) -> None:
        self.parameters = ParameterDict(vector, layer_sizes)
        self.layers = {
            l: (
                self.parameters[f"W{l}"].astype(np.float64),
                self.parameters[f"b{l}"][:, 0].astype(np.float64),
            )
            for l in (1, len(layer_sizes) - 1)
        }
        self.first, *_ = self.layers.values()
        *_, self.last = self.layers.values()

    def write(self) -> None:
        """Write them where they came from."""
        for l, (W, b) in self.layers.items():
            self.parameters[f"W{l}"][...], self.parameters[f"b{l}"][:, 0] = W, b


# --- what is learnt -----------------------------------------------------------------------


def learn(
    net: MLP, X: NDArray[Any], Y: NDArray[Any], weights: NDArray[Any] | None = None
) -> Scaling:
    """Return the scaling of these examples.

    Parameters
    ----------
    net : MLP
        Whose loss and output say whether the targets are standardised too.
    X, Y : ndarray
        (n[0], m) and (n[L], m), as the kernels take them.
    weights : ndarray, optional
        (1, m): an example of weight 2 counts twice.

    Raises
    ------
    ValueError
        A row's scale is so small or so large that parameters divided by it are no numbers of
        the network's dtype.

    Examples
    --------
    >>> X = np.array([[1.0, 3.0], [5.0, 5.0]])
    >>> learn(fastnn.MLP([2, 1]), X, X[:1]).X
    MeanAndScale(mean=array([2., 5.]), scale=array([1., 1.]))
    """
    if weights is None:
        shares = np.broadcast_to(1 / X.shape[1], (1, X.shape[1]))
    else:
        shares = weights / weights.sum(dtype=np.float64)
    of_X = _statistics(X, shares)
    of_Y = _statistics(Y, shares) if is_regression(net) else None
    checks.scale("X", of_X.scale, net.dtype)
    if of_Y is not None:
        checks.scale("Y", of_Y.scale, net.dtype)
    return Scaling(of_X, of_Y)


def is_regression(net: MLP) -> bool:
    """Whether the targets are standardised too: they are any numbers, and so is the output.

    Examples
    --------
    >>> is_regression(fastnn.MLP([1, 1], output="linear")), is_regression(fastnn.MLP([1, 1]))
    (True, False)
    """
    row = net.loss_row
    return row.name in REGRESSIONS and not row.function and net.output_row.name == "linear"


def checked(value: Any, net: MLP) -> Scaling | None:
    """Return a scaling that is given to a network, checked; None is none.

    Raises
    ------
    TypeError, ValueError
        It is no scaling of so many inputs and outputs, or has no finite mean or scale.

    Examples
    --------
    >>> checked(Scaling(MeanAndScale([0.0], [2.0])), fastnn.MLP([1, 1])).X.scale
    array([2.])
    """
    if value is None:
        return None
    if not isinstance(value, Scaling):
        raise TypeError(f"scaling must be None or a Scaling, got {checks.kind(value)}")
    n_in, *_, n_out = net.layer_sizes
    of_X = MeanAndScale(*checks.mean_and_scale("X", value.X, n_in, net.dtype))
    if value.Y is None:
        return Scaling(of_X)
    if not is_regression(net):
        raise ValueError(
            "scaling: Y must be None where the targets are no values of a regression, with "
            f"loss={net.loss_row.name!r} and output={net.output_row.name!r}"
        )
    return Scaling(of_X, MeanAndScale(*checks.mean_and_scale("Y", value.Y, n_out, net.dtype)))


def _statistics(X: NDArray[Any], shares: Floats) -> MeanAndScale:
    """The mean and the scale of each row of X, whose columns have these shares of the whole.

    In two passes, so that a large mean costs no digits of the scale, and relative to the largest
    deviation, so that no square overflows or vanishes.
    """
    mean = np.zeros(len(X))
    low, high = np.full(len(X), np.inf), np.full(len(X), -np.inf)
    for columns in _blocks(X):
        block, share = X[:, columns], shares[:, columns]
        mean += (block * share).sum(axis=1)
        np.minimum(low, block.min(axis=1, initial=np.inf, where=share > 0), out=low)
        np.maximum(high, block.max(axis=1, initial=-np.inf, where=share > 0), out=high)
    np.clip(mean, low, high, out=mean)  # the rounded mean of a constant is the constant
    is_constant = low == high
    largest = np.where(is_constant, 1.0, np.maximum(high - mean, mean - low))
    variance = np.zeros(len(X))
    for columns in _blocks(X):
        deviations = (X[:, columns] - mean[:, None]) / largest[:, None]
        variance += (deviations**2 * shares[:, columns]).sum(axis=1)
    scale = np.where(is_constant, 1.0, largest * np.sqrt(variance))
    mean.flags.writeable = scale.flags.writeable = False  # copies of a network share them
    return MeanAndScale(mean, scale)


def _blocks(X: NDArray[Any]) -> Iterator[slice]:
    """The columns of X, some at a time: what is float64 on the way stays small."""
    some = max(BLOCK // len(X), 1)
    for start in range(0, X.shape[1], some):
        yield slice(start, start + some)
