"""Random numbers of the kernels: the order of examples, and the masks of dropout.

Both are made of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", 2014), which is a counter and a function of it: any number of a stream can be
had without those before it, so that all backends draw the same ones in whatever order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]  # uint64 too: NumPy's stubs take `uint64 >> int` for signed

__all__ = ["mask", "shuffle"]

BLOCK = 1 << 16
"""Random numbers that `shuffle` draws at a time."""


def shuffle(order: NDArray[np.uint32], seed: int, epoch: int) -> None:
    """A random permutation of 0 ... m - 1 for each epoch.  OUT: order, uint32, (epochs, m).

    Row r is the permutation of epoch ``epoch + r``: it depends on `seed` and on that
    number alone, so it does not matter how many epochs are drawn at a time.  Fisher and
    Yates' shuffle; position i is swapped with ``floor(u (i + 1) / 2^32)``, where u is the
    upper half of the i-th number of a SplitMix64 stream.
    """
    m = order.shape[1]
    for r, row in enumerate(order):
        stream = _mix64(np.uint64(seed) + np.array([epoch + r], np.uint64))
        row[:] = np.arange(m)
        place = memoryview(row)  # its elements are read and written as fast as a list's
        for stop in range(m, 1, -BLOCK):
            i = np.arange(stop - 1, max(stop - BLOCK, 1) - 1, -1).astype(np.uint64)
            swap_with = (_mix64(stream + (i + 1) * _GOLDEN) >> 32) * (i + 1) >> 32
            for k, j in zip(i.tolist(), swap_with.tolist()):
                place[k], place[j] = place[j], place[k]


def mask(seed: int, step: int, layer: int, keep: float, first: int, M: Array) -> None:
    """The mask of inverted dropout: 1 / keep with probability keep, else 0.

    It depends on the seed, the number of the step, the layer (1 ... L), the unit i and the
    example's place j in the batch alone: in no backend do blocks or threads matter.  A number
    of a SplitMix64 stream serves two examples; unit i is kept where its half of it is below
    ``keep 2^32``.  (Srivastava et al., "Dropout", 2014, scaled in training, not afterwards.)
    OUT: M, (n, m), for the examples first ... first + m of the batch.
    """
    i = np.arange(M.shape[0], dtype=np.uint64)[:, np.newaxis]
    j = np.arange(first, first + M.shape[1], dtype=np.uint64)
    key = np.array([seed], np.uint64) + np.array([step], np.uint64) * _GOLDEN
    stream = _mix64(_mix64(key) + np.uint64(layer))
    word = _mix64(stream + ((i << 32) + (j >> 1)) * _GOLDEN)
    half = (word >> (32 * (j & 1))) & np.uint64(0xFFFFFFFF)
    np.multiply(half < np.uint64(keep * 2**32), 1 / keep, out=M, casting="same_kind")


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix64(z: Array) -> Array:
    """The output function of SplitMix64, on arrays of uint64 (arithmetic modulo 2^64)."""
    z = (z ^ (z >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> 27)) * np.uint64(0x94D049BB133111EB)
    word: Array = z ^ (z >> 31)
    return word
