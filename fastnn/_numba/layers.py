"""Dense layers on blocks of examples, forward and back: matrix products, tile by tile.

A block is an array (n, width): a row for each feature, with a multiple of `panel_of` examples.
"""

import numpy as np

from fastnn._numba.compiling import formula, inlined, jit, reduction
from fastnn._numba.tile import TILE_ROWS, VECTOR_BYTES, multiply_tile

__all__ = ["add_gradients", "dense_backward", "dense_forward", "panel_of"]

# Numba would compile a function again for each literal integer that it is given.
ONE = np.int64(1)

# Up to so many weights, dW is made of dot products.
DOTS = 64


@formula
def panel_of(array):
    """Numbers of two registers.

    Not a constant: LLVM would unroll the loops over them before it could make vectors of them.
    """
    return 2 * VECTOR_BYTES // array.itemsize


# --- matrix products ----------------------------------------------------------------------


@jit
def multiply(a, lie, rows, b, c, c_row):
    """c += a b, tile by tile.

    ``lie = (row, step)``: a[i, k] is at i * row + k * step, c[i, j] at i * c_row + j.
    """
    size, depth, width = a.itemsize, b.shape[0], b.shape[1]
    row, step, c_row = lie[0] * size, lie[1] * size, c_row * size
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    for column in range(0, width * size, 2 * VECTOR_BYTES):
        right = b.ctypes.data + column, width * size
        for t in range(tiles):
            # Even shares: 10 = 5 + 5 and not 6 + 4.
            i, stop = rows * t // tiles, rows * (t + 1) // tiles
            left, place = (a.ctypes.data + i * row, row, step), c.ctypes.data + i * c_row + column
            multiply_tile(a.dtype.type(0), stop - i, depth, left, right, (place, c_row))


@inlined
def dense_forward(W, b, A_prev, Z):
    """Z = W A_prev + b."""
    (n_out, width), n_in = Z.shape, A_prev.shape[0]
    for i in range(n_out):
        Z[i] = b[i]
    multiply(W, (n_in, ONE), n_out, A_prev, Z.reshape(-1), width)


@inlined
def dense_backward(W, dZ, dA_prev):
    """dA_prev = W^T dZ."""
    n_in, width = dA_prev.shape
    dA_prev[:] = 0
    multiply(W, (ONE, n_in), n_in, dZ, dA_prev.reshape(-1), width)


# --- gradients ----------------------------------------------------------------------------


@jit
def add_gradients(dZ, A_prev, dW, db, scratch):
    """dW += dZ A_prev^T, db += sum(dZ).

    The lanes are features of A_prev, some of which are transposed at a time, in scratch; for
    very few weights, examples, which are added up in the end.
    """
    (n_out, width), n_in, panel = dZ.shape, A_prev.shape[0], panel_of(dZ)
    for i in range(n_out):
        db[i] += sum_of(dZ[i])
    if n_in * n_out <= DOTS:
        for i in range(n_out):
            for j in range(n_in):
                dW[i * n_in + j] += dot(dZ[i], A_prev[j])
        return
    features, rest = scratch[: width * panel].reshape(width, panel), scratch[width * panel :]
    left, rows = dZ.reshape(-1), (width, ONE)
    for start in range(0, n_in, panel):
        transpose(A_prev, start, features)
        if n_in - start >= panel:
            multiply(left, rows, n_out, features, dW[start:], n_in)
            continue
        rest[:] = 0
        multiply(left, rows, n_out, features, rest, panel)
        for i in range(n_out):
            for j in range(n_in - start):
                dW[i * n_in + start + j] += rest[i * panel + j]


@jit
def transpose(A, start, features):
    """features[j, k] = A[start + k, j]; behind the last feature there are copies of it."""
    for k in range(features.shape[1]):
        row = A[min(start + k, A.shape[0] - 1)]
        for j in range(A.shape[1]):
            features[j, k] = row[j]


@reduction
def sum_of(x):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i]
    return total


@reduction
def dot(x, y):
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * y[i]
    return total
