"""Blocks of examples: how arrays of any strides are copied into them, and back.

A block is an array (n, width): a row for each feature, a column for each example.  Each batch
begins with a new block; the last block of a batch may have columns without an example: its
padding.
"""

from fastnn._numba.compiling import jit

__all__ = ["blocks_in", "clear_padding", "pack", "place_of", "unpack"]

# Rows of X that are packed before the next: those of many examples stay in the L2 cache.
GROUP = 8


@jit
def blocks_in(count, width):
    """How many blocks hold so many examples."""
    return (count + width - 1) // width


@jit
def place_of(q, width, batch_size, m):
    """(first, count, batch): the examples of block q of an epoch, and the batch they are from."""
    per_batch = blocks_in(batch_size, width)
    batch = q // per_batch
    first = batch * batch_size + q % per_batch * width
    return first, min(width, min((batch + 1) * batch_size, m) - first), batch


@jit
def pack(X, order, batch_size, begin, end, packed, row):
    """The blocks begin ... end of X, to the rows of `packed` from `row` on.

    With the examples taken through `order`, unless it is empty.  Some features for all blocks,
    then the next: shuffled examples lie all over a row of X, which is so read once for many.
    """
    n, m = X.shape
    for start in range(0, n, GROUP):
        for q in range(begin, end):
            first, count, _ = place_of(q, packed.shape[2], batch_size, m)
            columns = order[first : first + count]
            for k in range(start, min(start + GROUP, n)):
                target = packed[q - begin, row + k]
                if order.size:
                    gather(X, k, columns, target)
                else:
                    copy(X, k, first, count, target)
                target[count:] = 0


@jit
def copy(X, k, first, count, target):
    if X.strides[1] == X.itemsize:  # said in so many words, for LLVM to copy vectors
        for j in range(count):
            target[j] = X[k, first + j]
    else:
        for j in range(count):
            target[j] = X[k, first + j]


@jit
def gather(X, k, columns, target):
    for j in range(columns.size):
        target[j] = X[k, columns[j]]


@jit
def unpack(block, first, count, X):
    """A block to the columns first ... first + count of X."""
    for k in range(X.shape[0]):
        for j in range(count):
            X[k, first + j] = block[k, j]


@jit
def clear_padding(block, count):
    """Zero the columns behind the examples, so that they add nothing to a sum."""
    for k in range(block.shape[0]):
        for j in range(count, block.shape[1]):
            block[k, j] = 0
