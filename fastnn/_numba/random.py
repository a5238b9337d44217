"""Random numbers: the order of examples, and the masks of dropout (``_numpy/random.py``)."""

import numpy as np

from fastnn._numba.compiling import jit
from fastnn._numba.tile import panel_of

__all__ = ["drop", "shuffle_rows"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
HALF = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)


@jit
def mix64(z):
    """The output function of SplitMix64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@jit
def shuffle_rows(order, seed, epoch):
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
def drop(A, D, n, keep, layer, masks):
    """Multiply A and D, which are panels, by the mask of a layer: 1 / keep, or 0.

    masks: (whether there are any, seed, step, first): the example at lane 0 of panel 0 is
    the one at place `first` of the batch, which is even.
    """
    panel = panel_of(A)
    _, seed, step, first = masks
    stream = mix64(mix64(seed + np.uint64(step) * GOLDEN) + np.uint64(layer))
    threshold = np.uint64(keep * 2.0**32)
    kept, dropped = A.dtype.type(1 / keep), A.dtype.type(0)
    for p in range(A.size // (max(n, 1) * panel)):
        for i in range(n):
            row = slice((p * n + i) * panel, (p * n + i + 1) * panel)
            a, d = A[row], D[row]
            for pair in range(panel // 2):
                place = np.uint64((first + p * panel) // 2 + pair)
                word = mix64(stream + ((np.uint64(i) << HALF) + place) * GOLDEN)
                even = kept if (word & LOW) < threshold else dropped
                odd = kept if (word >> HALF) < threshold else dropped
                a[2 * pair] *= even
                d[2 * pair] *= even
                a[2 * pair + 1] *= odd
                d[2 * pair + 1] *= odd
