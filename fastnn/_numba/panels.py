"""Arrays of any strides, and the panels that they are packed into.

    panel p: feature 0 [panel examples], feature 1 [panel examples], ...

Each batch begins with a new panel, whose number is counted through all of an epoch's batches;
the last panel of a batch may have lanes without an example: its padding.
"""

from fastnn._numba.compiling import jit
from fastnn._numba.tile import panel_of

# Rows of X that are packed before the next: those of many examples stay in the L2 cache.
GROUP = 8

__all__ = ["clear_padding", "pack", "panels_of", "unpack"]


@jit
def panels_of(count, panel):
    """How many panels hold so many examples."""
    return (count + panel - 1) // panel


@jit
def place_of(p, panel, m, batch_size):
    """(first, width): the examples of panel p."""
    per_batch = panels_of(batch_size, panel)
    batch = p // per_batch
    first = batch * batch_size + (p - batch * per_batch) * panel
    return first, max(0, min(panel, min((batch + 1) * batch_size, m) - first))


@jit
def pack(X, order, batch_size, begin, end, out):
    """The panels begin ... end of X, with the examples taken through `order`, unless it is empty.

    Some features for all of them, then the next: shuffled examples lie all over a row of X,
    which is so read once for many batches.
    """
    n, m = X.shape
    panel = panel_of(out)
    for start in range(0, n, GROUP):
        stop = min(start + GROUP, n)
        for p in range(begin, end):
            first, width = place_of(p, panel, m, batch_size)
            at = (p - begin) * n * panel
            rows = out[at + start * panel : at + stop * panel]
            if order.size == 0:
                copy_rows(X[start:stop, first : first + width], rows)
            else:
                gather_rows(X[start:stop], order[first : first + width], rows)
            if width < panel:
                clear_padding(rows, stop - start, width)


@jit
def copy_rows(X, rows):
    """The columns of X to a panel."""
    panel = panel_of(rows)
    if X.strides[1] == X.itemsize:  # said in so many words, for LLVM to copy vectors
        for k in range(X.shape[0]):
            row = rows[k * panel : (k + 1) * panel]
            for j in range(X.shape[1]):
                row[j] = X[k, j]
    else:
        for j in range(X.shape[1]):
            column = rows[j:]
            for k in range(X.shape[0]):
                column[k * panel] = X[k, j]


@jit
def gather_rows(X, columns, rows):
    """Some columns of X to a panel, in that order."""
    panel = panel_of(rows)
    if abs(X.strides[1]) < abs(X.strides[0]):
        for k in range(X.shape[0]):
            row = rows[k * panel : (k + 1) * panel]
            for j in range(columns.size):
                row[j] = X[k, columns[j]]
    else:
        for j in range(columns.size):
            column = rows[j:]
            for k in range(X.shape[0]):
                column[k * panel] = X[k, columns[j]]


@jit
def unpack(panels, first, count, X):
    """Panels to the columns first ... first + count of X."""
    n, panel = X.shape[0], panel_of(panels)
    for start in range(0, count, panel):
        for k in range(n):
            row = panels[start * n + k * panel : start * n + (k + 1) * panel]
            x = X[k, first + start : first + min(start + panel, count)]
            for j in range(x.size):
                x[j] = row[j]


@jit
def clear_padding(panels, n, count):
    """Zero the lanes behind the `count` examples, so that they add nothing to a sum."""
    panel = panel_of(panels)
    if count % panel:
        last = panels[count // panel * n * panel :]
        for k in range(n):
            for j in range(count % panel, panel):
                last[k * panel + j] = 0
