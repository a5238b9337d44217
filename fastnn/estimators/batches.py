"""The examples of one call of the kernels, in the order of the epoch.

A dense X goes to the kernels whole, for some epochs.  Of a sparse one as many batches as fit into
a buffer go together, so that no dense copy of it is ever made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from fastnn.network import MLP

__all__ = ["Batches", "Stretch", "as_kernels_take_them", "dense_rows", "outputs"]

ELEMENTS = 1 << 16
"""Of X that are drawn for one call, but one batch at least: half a megabyte of float64."""


def dense_rows(X: Any, rows: Any) -> NDArray[Any]:
    """Return some rows of X, a slice or an array of indices, as a dense array.

    Examples
    --------
    >>> dense_rows(np.eye(3), slice(1, 2))
    array([[0., 1., 0.]])
    """
    some = X[rows]
    dense: NDArray[Any] = some.toarray() if hasattr(some, "toarray") else some
    return dense


def as_kernels_take_them(
    X: Any, Y: NDArray[Any], weights: NDArray[Any] | None, dtype: DTypeLike
) -> tuple[Any, NDArray[Any], NDArray[Any] | None]:
    """Return the examples, all of one dtype, and aligned; a sparse X by rows.

    Examples
    --------
    >>> X, Y, weights = as_kernels_take_them(np.ones((2, 1)), np.ones((2, 1), bool), None, "f4")
    >>> X.dtype.name, Y.dtype.name
    ('float32', 'float32')
    """
    if hasattr(X, "tocsr"):
        X = X.tocsr().astype(dtype, copy=False)
    else:
        X = np.require(X, dtype, "A")
    return X, np.ascontiguousarray(Y, dtype), None if weights is None else weights.astype(dtype)


def outputs(network: MLP, X: Any, threads: int) -> NDArray[Any]:
    """Return what a network makes of the rows of X, which may be sparse: (n_outputs, m).

    Examples
    --------
    >>> outputs(fastnn.MLP([2, 1], init="zeros"), np.ones((3, 2), "f4"), 1)
    array([[0.5, 0.5, 0.5]], dtype=float32)
    """
    A = np.empty((network.layer_sizes[-1], X.shape[0]), network.dtype)
    size = max(ELEMENTS // X.shape[1], 1) if hasattr(X, "toarray") else X.shape[0]
    for start in range(0, X.shape[0], size):
        part = slice(start, start + size)
        rows = np.require(dense_rows(X, part), network.dtype, "A")
        network.engine.forward(rows.T, A[:, part], threads)
    return A


class Stretch(NamedTuple):
    """Some batches in a row, as the kernels take them."""

    X: NDArray[Any]
    """(n_in, m)."""
    Y: NDArray[Any]
    """(n_out, m)."""
    weights: NDArray[Any] | None
    """(1, m)."""
    m: int
    total: float
    """What sums over the examples of its batch are divided by, where it is one batch."""
    rows: Any
    """Which examples they are."""


class Batches:
    """The examples, whole, or stretch by stretch.

    Parameters
    ----------
    X : ndarray or sparse array
        (m, n_in); CSR where it is sparse.
    Y : ndarray
        (m, n_out).
    weights : ndarray or None
        (m,).
    batch_size : int
        <= m.
    alone : bool
        Whether each batch goes to the kernels for itself.

    Attributes
    ----------
    is_in_parts : bool
        Whether an epoch takes more than one call of the kernels.
    """

    def __init__(
        self, X: Any, Y: NDArray[Any], weights: NDArray[Any] | None, batch_size: int, alone: bool
    ) -> None:
        is_sparse = hasattr(X, "toarray")
        self.is_in_parts = is_sparse or alone
        self.X = X if is_sparse else np.ascontiguousarray(X)
        self.Y, self.weights = np.ascontiguousarray(Y), weights
        self.batch_size = batch_size
        self.m = m = len(self.Y)
        self.steps = -(-m // batch_size)
        """In an epoch."""
        if not self.is_in_parts:
            return
        together = 1 if alone else max(ELEMENTS // (batch_size * X.shape[1]), 1)
        size = min(together * batch_size, m)
        self.parts = [slice(start, min(start + size, m)) for start in range(0, m, size)]
        self.x = None if is_sparse else np.empty((size, X.shape[1]), self.X.dtype)
        self.y = np.empty((size, self.Y.shape[1]), self.Y.dtype)

    def stretches(self, order: NDArray[np.uint32] | None) -> Iterator[Stretch]:
        """Yield the stretches of an epoch, each in the memory of the one before.

        Parameters
        ----------
        order : ndarray or None
            (m,), of the examples; None: as they are.
        """
        for part in self.parts:
            rows: Any = part if order is None else order[part]
            count, weights = part.stop - part.start, None
            total = float(min(self.batch_size, count))
            if self.weights is not None:
                weights = self.weights[rows][np.newaxis]
                total = float(weights.sum(dtype=np.float64)) or 1.0
            x, y = self._drawn(rows, count)
            yield Stretch(x.T, y.T, weights, count, total, rows)

    def _drawn(self, rows: Any, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
        if isinstance(rows, slice):
            return dense_rows(self.X, rows), self.Y[rows]
        y = self.Y.take(rows, axis=0, out=self.y[:count], mode="clip")  # "raise" would copy
        if self.x is None:
            return dense_rows(self.X, rows), y
        return self.X.take(rows, axis=0, out=self.x[:count], mode="clip"), y
