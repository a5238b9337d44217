"""Blocks of examples, the batches of an epoch, and how much is held at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Examples = tuple[Array, Array, Array | None]

__all__ = ["BLOCK", "GATHER_BLOCK", "UPDATE_BLOCK", "batches", "blocks", "examples_in"]

BLOCK = 1 << 20
"""Elements of the widest layer, X left aside, that a network holds at a time."""

GATHER_BLOCK = 1 << 22
"""Elements of X that are put in order at a time in training, but one batch at least."""

UPDATE_BLOCK = 1 << 16
"""Parameters that are updated at a time: what is made on the way stays in the cache."""


def blocks(m: int, size: int) -> list[slice]:
    """Slices of at most `size` of m columns."""
    return [slice(start, min(start + size, m)) for start in range(0, m, size)]


def examples_in(columns: slice | Array, X: Array, Y: Array, weights: Array | None) -> Examples:
    """X, Y and the weights of some columns: a slice, or an array of their numbers."""
    if isinstance(columns, slice):
        if columns.stop - columns.start == X.shape[1]:
            return X, Y, weights
        return X[:, columns], Y[:, columns], None if weights is None else weights[:, columns]
    gathered = None if weights is None else weights.take(columns, axis=1)
    return X.take(columns, axis=1), Y.take(columns, axis=1), gathered


def batches(
    X: Array, Y: Array, weights: Array | None, order: Array | None, batch_size: int, block: int
) -> Iterator[tuple[Array, Array, Array | None, Array | None]]:
    """Yield X, Y, weights and order of each batch; order None: the columns as they come.

    Batches that fit into a block are gathered, many at once: a pass over a row of X may as
    well take all of it.  Larger ones are left to be gathered block by block.
    """
    m = X.shape[1]
    if order is None and 0 < m <= batch_size:
        yield X, Y, weights, None
    elif order is None:
        for batch in blocks(m, batch_size):
            yield *examples_in(batch, X, Y, weights), None
    elif batch_size > block:
        for batch in blocks(m, batch_size):
            yield X, Y, weights, order[batch]
    else:
        many = max(GATHER_BLOCK // len(X) // batch_size, 1) * batch_size
        for some in blocks(m, many):
            x, y, w = examples_in(order[some], X, Y, weights)
            for batch in blocks(x.shape[1], batch_size):
                yield x[:, batch], y[:, batch], None if w is None else w[:, batch], None
