"""Random numbers: the order of examples, and the masks of dropout (``_numpy/random.py``)."""

from __future__ import annotations

import numpy as np
from numba import types

from fastnn._numba.compiling import jit, per_dtype

__all__ = ["drop", "shuffle"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)


@jit
def mix64(z):
    """The output function of SplitMix64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@per_dtype
def shuffle(order: types.uint32[:, :], seed: types.uint64, epoch: types.uint64):
    """A permutation of 0 ... m - 1 for each row: Fisher and Yates' shuffle."""
    for r in range(order.shape[0]):
        stream = mix64(seed + epoch + np.uint64(r))
        for i in range(order.shape[1]):
            order[r, i] = i
        for i in range(order.shape[1] - 1, 0, -1):
            count = np.uint64(i + 1)
            j = np.int64((mix64(stream + count * GOLDEN) >> HALF) * count >> HALF)
            order[r, i], order[r, j] = order[r, j], order[r, i]


@jit
def drop(A, D, keep, layer, masks):
    """Multiply A and D by the mask of a layer: 1 / keep, or 0.

    masks: (seed, step, first): the first column is the example at place `first` of the batch,
    which is even.
    """
    seed, step, first = masks
    stream = mix64(mix64(seed + np.uint64(step) * GOLDEN) + np.uint64(layer))
    threshold = np.uint64(keep * 2.0**32)
    kept, dropped = A.dtype.type(1 / keep), A.dtype.type(0)
    for i in range(A.shape[0]):
        a, d = A[i], D[i]
        for pair in range(A.shape[1] // 2):
            word = mix64(stream + ((np.uint64(i) << HALF) + np.uint64(first // 2 + pair)) * GOLDEN)
            even = kept if (word & LOW) < threshold else dropped
            odd = kept if (word >> HALF) < threshold else dropped
            a[2 * pair] *= even
            d[2 * pair] *= even
            a[2 * pair + 1] *= odd
            d[2 * pair + 1] *= odd
