# A matrix product in tiles, whose operands are in the cache when their turn comes.
#
# The panel of b that a tile reads, DEPTH rows of it, stays in the L1 cache for all rows of a;
# the rows of a, ROWS_BYTES of them side by side, stay in the L2 cache for all panels.


cdef struct Product:
    # For every panel: c[row, lane] = sum over k of a[row, k] b[k, lane], as `tiles` says.
    Tiles tiles              # a, initial, c, A: from row 0 of panel 0 on
    Py_ssize_t rows
    Py_ssize_t lanes         # of all panels
    Py_ssize_t b_panel       # reals from panel to panel
    Py_ssize_t c_panel       # of c, and of A
    real* packed             # room for ROWS_BYTES


cdef inline Operand rows_of(
    const real* data, Py_ssize_t row_stride, Py_ssize_t depth, Py_ssize_t depth_stride
) noexcept nogil:
    """a[row, k] = data[row * row_stride + k * depth_stride]."""
    cdef Operand a
    a.data, a.row_stride, a.tile_stride = data, row_stride, row_stride
    a.depth, a.depth_stride, a.segments, a.segment_stride = depth, depth_stride, 1, 0
    return a


cdef inline Py_ssize_t tiles_of(Py_ssize_t n) noexcept nogil:
    return (n + TILE_ROWS - 1) // TILE_ROWS


cdef inline Py_ssize_t tile_start(Py_ssize_t t, Py_ssize_t n) noexcept nogil:
    """First row of tile t of n rows, in even shares: 10 = 5 + 5 and not 6 + 4."""
    cdef Py_ssize_t tiles = max(1, tiles_of(n))
    return t * (n // tiles) + min(t, n % tiles)


cdef void run_tiles(int rows, Tiles* t, Py_ssize_t row, Py_ssize_t count) noexcept nogil:
    """`count` tiles of `rows` rows; where c ends with the lanes that count, in a copy of it."""
    cdef real part[TILE_ROWS * PANEL]
    cdef Tiles aside
    cdef Py_ssize_t tile, i
    cdef real* c
    if t.lanes == PANEL or t.padded:
        if t.lanes <= LANES:
            narrow_tiles(rows, t, row, count)
        else:
            wide_tiles(rows, t, row, count)
        return
    aside = t[0]
    aside.c, aside.c_stride, aside.padded = part, PANEL, True
    for tile in range(count):
        c = t.c + (row + tile * rows) * t.c_stride
        aside.a.data = t.a.data + (row + tile * rows) * t.a.tile_stride
        aside.initial = t.initial + row + tile * rows if t.initial != NULL else NULL
        for i in range(rows):
            memcpy(part + i * PANEL, c + i * t.c_stride, t.lanes * sizeof(real))
        run_tiles(rows, &aside, 0, 1)
        for i in range(rows):
            memcpy(c + i * t.c_stride, part + i * PANEL, t.lanes * sizeof(real))


cdef void pack_rows(Operand* a, Py_ssize_t even, Py_ssize_t longer, Py_ssize_t rows, real* packed) noexcept nogil:
    """`rows` rows of a, the first `longer` in tiles of even + 1, to be read one after the other.

    Where the rows of a are 4 KB apart they would share a few lines of the cache.
    """
    cdef Py_ssize_t k, i, row, height
    cdef const real* column
    cdef real* to = packed
    if a.segments > 1:
        for k in range(a.segments):
            memcpy(to + k * rows * a.row_stride, a.data + k * a.segment_stride, rows * a.row_stride * sizeof(real))
        a.segment_stride = rows * a.row_stride
    else:
        row = 0
        while row < rows:
            height = even + (row < longer)
            column = a.data + row * a.row_stride
            for k in range(a.depth):
                for i in range(height):
                    to[i] = column[i * a.row_stride]
                to += height
                column += a.depth_stride
            row += height
        a.tile_stride = a.depth
        a.row_stride = 1
        a.depth_stride = -1  # each tile's own number of rows
    a.data = packed


cdef void multiply(
    const Product* p, Py_ssize_t first_tile, Py_ssize_t stop_tile, Py_ssize_t first_panel,
    Py_ssize_t stop_panel,
) noexcept nogil:
    """The product's tiles of rows first ... stop, for its panels first ... stop."""
    cdef Tiles t = p.tiles
    cdef Py_ssize_t unit = p.tiles.a.depth if p.tiles.a.segments > 1 else 1
    cdef Py_ssize_t depth = p.tiles.a.depth * p.tiles.a.segments // unit
    cdef Py_ssize_t blocks = max(1, (depth * unit + DEPTH - 1) // DEPTH)
    cdef Py_ssize_t even = p.rows // max(1, tiles_of(p.rows))
    cdef Py_ssize_t longer = p.rows % max(1, tiles_of(p.rows)) * (even + 1)
    cdef Py_ssize_t tiles = max(1, ROWS_BYTES // (sizeof(real) * TILE_ROWS) // max(1, (depth + blocks - 1) // blocks * unit))
    cdef Py_ssize_t block, start, stop, top, row, rows, long_rows, panel
    cdef bint pack = (unit > 1 or p.tiles.a.depth_stride > 1) and stop_panel - first_panel >= PACK_PANELS and (stop_tile - first_tile) * TILE_ROWS * depth * unit * sizeof(real) > PACK_BYTES
    if stop_tile == first_tile:
        return
    for block in range(blocks):
        start, stop = depth * block // blocks, depth * (block + 1) // blocks
        t.at_store = p.tiles.at_store if block == blocks - 1 or p.tiles.at_store == ADD else LINEAR
        t.resume = block > 0 and p.tiles.at_store != ADD
        t.c_is_far = (t.resume or t.at_store == ADD) and depth * unit >= 64
        for top from first_tile <= top < stop_tile by tiles:
            row = tile_start(top, p.rows)
            rows = tile_start(min(top + tiles, stop_tile), p.rows) - row
            long_rows = max(0, min(longer - row, rows))
            t.a = p.tiles.a
            t.a.data = t.a.data + row * t.a.row_stride
            if unit > 1:
                t.a.data = t.a.data + start * t.a.segment_stride
                t.a.segments = stop - start
            else:
                t.a.data = t.a.data + start * t.a.depth_stride
                t.a.depth = stop - start
            if pack:
                pack_rows(&t.a, even, long_rows, rows, p.packed)
            t.initial = p.tiles.initial + row if p.tiles.initial != NULL and block == 0 else NULL
            for panel in range(first_panel, stop_panel):
                t.b = p.tiles.b + panel * p.b_panel + start * unit * PANEL
                t.c = p.tiles.c + panel * p.c_panel + row * t.c_stride
                t.A = p.tiles.A + panel * p.c_panel + row * t.c_stride
                t.lanes = min(<Py_ssize_t>PANEL, p.lanes - panel * PANEL)
                run_tiles(<int>even + 1, &t, 0, long_rows // (even + 1))
                if even > 0:
                    run_tiles(<int>even, &t, long_rows, (rows - long_rows) // even)
