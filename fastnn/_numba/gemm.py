"""The order of the tiles of a matrix product, whose operands are in the cache at their turn."""

from typing import Any, NamedTuple

from fastnn._numba.compiling import jit
from fastnn._numba.tile import ADD, TILE_ROWS, multiply_tile, panel_of

__all__ = ["Place", "Rows", "multiply"]

# Of a sum, what is taken at a time: its part of a panel stays in the L1 cache.
DEPTH = 512
# Rows are copied side by side where they are not contiguous, for at least so many panels.
PACK_PANELS = 4


class Rows(NamedTuple):
    """How the left operand lies: a[row, k] is at row * row_stride + k * step, and so on.

    k comes in `segments` runs of `depth`, each `segment` numbers after the one before.
    """

    row: int
    step: int
    depth: int
    segment: int
    segments: int


class Place(NamedTuple):
    """Where a product goes: c[row, lane] of panel p is data[p * panel + row * (stride) + lane]."""

    data: Any
    row: int
    panel: int


@jit
def multiply(a, lie, rows, b, panels, c, bias, mode, scale, slab):
    """c = (0, bias or c) + scale * a b, for every panel of b, as `multiply_tile` says.

    lie: the `Rows` of a.  A panel of b, DEPTH rows of it, stays in the L1 cache for all rows
    of a.  slab: room for the copy of DEPTH columns of a.
    """
    panel, factor = panel_of(b), c.data.dtype.type(scale)
    depth = lie.depth * lie.segments
    blocks = 1 if lie.segments > 1 else max((depth + DEPTH - 1) // DEPTH, 1)
    tiles = max((rows + TILE_ROWS - 1) // TILE_ROWS, 1)
    packed = lie.step > 1 and panels >= PACK_PANELS
    data = slab if packed else a
    for block in range(blocks):
        first = depth * block // blocks
        part = depth * (block + 1) // blocks - first
        if packed:
            pack_rows(a, first * lie.step, lie.step, rows, tiles, part, slab)
        for p in range(panels):
            for t in range(tiles):
                # Even shares: 10 = 5 + 5 and not 6 + 4.
                row = rows * t // tiles
                height = rows * (t + 1) // tiles - row
                start, own = row * lie.row + first * lie.step, lie
                if packed:
                    start, own = row * part, Rows(1, height, part, 0, 1)
                elif blocks > 1:
                    own = Rows(lie.row, lie.step, part, 0, 1)
                multiply_tile(
                    height, data, start, own, b, (p * depth + first) * panel, c.data,
                    p * c.panel + row * c.row, c.row, bias, row, ADD if block else mode, factor,
                )  # fmt: skip


@jit
def pack_rows(a, start, step, rows, tiles, depth, slab):
    """The rows of a, which are side by side, tile by tile, and in each k by k."""
    for t in range(tiles):
        row = rows * t // tiles
        height = rows * (t + 1) // tiles - row
        for k in range(depth):
            first, to = start + row + k * step, row * depth + k * height
            source, target = a[first : first + height], slab[to : to + height]
            for i in range(height):
                target[i] = source[i]
