"""Dense layers on panels, forward and back."""

import numpy as np

from fastnn._numba.compiling import inlined, jit, reduction
from fastnn._numba.gemm import Place, Rows, multiply
from fastnn._numba.tile import ADD, BIAS, SET, panel_of, transpose_block

__all__ = ["add_gradients", "dense_backward", "dense_forward"]

ONE = np.int64(1)  # see `SET`
# Up to so many weights, dW is made of dot products.
DOTS = 64


@inlined
def dense_forward(W, b, n_in, n_out, A_prev, panels, Z, slab):
    """Z = W A_prev + b."""
    panel = panel_of(Z)
    rows = Rows(n_in, 1, n_in, 0, 1)
    multiply(W, rows, n_out, A_prev, panels, Place(Z, panel, n_out * panel), b, BIAS, 1.0, slab)


@inlined
def dense_backward(W, n_in, n_out, dZ, panels, dA_prev, slab):
    """dA_prev = W^T dZ."""
    panel = panel_of(dZ)
    columns = Rows(1, n_in, n_out, 0, 1)
    multiply(W, columns, n_in, dZ, panels, Place(dA_prev, panel, n_in * panel), W, SET, 1.0, slab)


@jit
def add_gradients(dZ, n_out, A_prev, n_in, panels, scale, add, dW, db, features, slab):
    """dW = scale dZ A_prev^T and db = scale sum(dZ), or, if `add`, so much more.

    The lanes are features of A_prev, a panel of which is transposed just before its turn; for
    very few weights, examples, which are added up in the end.
    """
    panel, factor = panel_of(dZ), dZ.dtype.type(scale)
    for i in range(n_out):
        total = factor * sum_of_row(dZ, i * panel, n_out * panel)
        db[i] = db[i] + total if add else total
    if n_in * n_out <= DOTS:
        for i in range(n_out):
            for j in range(n_in):
                total = factor * dot_of_rows(dZ, i, n_out, A_prev, j, n_in, panels)
                dW[i * n_in + j] = dW[i * n_in + j] + total if add else total
        return
    rows = Rows(panel, 1, panel, n_out * panel, panels)
    for start in range(0, n_in, panel):
        transpose_features(A_prev, n_in, start, panels, features)
        width = min(n_in - start, panel)
        if width == panel:
            place = Place(dW[start:], n_in, 0)
            multiply(dZ, rows, n_out, features, ONE, place, db, ADD if add else SET, scale, slab)
            continue
        multiply(dZ, rows, n_out, features, ONE, Place(slab, panel, 0), db, SET, scale, slab)
        for i in range(n_out):
            target, source = dW[i * n_in + start : (i + 1) * n_in], slab[i * panel :]
            for j in range(width):
                target[j] = target[j] + source[j] if add else source[j]


@jit
def transpose_features(A, n, start, panels, features):
    """features[example, j] = A[start + j, example].

    Features past the last are copies of it: their sums are never stored.
    """
    panel = panel_of(A)
    lanes = panel // 2
    for p in range(panels):
        for j in range(0, panel, lanes):
            first = min(start + j, n - 1)
            for e in range(0, panel, lanes):
                transpose_block(
                    A, (p * n + first) * panel + e, panel, n - 1 - first,
                    features, (p * panel + e) * panel + j, panel,
                )  # fmt: skip


@reduction
def sum_of_row(panels, start, step):
    """The sum of one row of all panels, which are `step` apart."""
    total, panel = panels.dtype.type(0), panel_of(panels)
    for at in range(start, panels.size, step):
        row = panels[at : at + panel]
        for j in range(panel):
            total += row[j]
    return total


@reduction
def dot_of_rows(x, i, n_x, y, j, n_y, panels):
    """The sum over all examples of row i of x times row j of y."""
    total, panel = x.dtype.type(0), panel_of(x)
    for p in range(panels):
        at_x, at_y = (p * n_x + i) * panel, (p * n_y + j) * panel
        row_x, row_y = x[at_x : at_x + panel], y[at_y : at_y + panel]
        for k in range(panel):
            total += row_x[k] * row_y[k]
    return total
