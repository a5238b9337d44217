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


cdef void run_tiles(int rows, Tiles* t, Py_ssize_t count) noexcept nogil:
    """`count` tiles of `rows` rows; aside, where c has other strides or no room for a panel."""
    cdef real part[TILE_ROWS * PANEL]
    cdef Tiles aside
    cdef Py_ssize_t tile, i, j
    cdef real* c
    if t.c_lane == 1 and (t.lanes == PANEL or t.lanes == LANES or t.padded):
        if t.lanes <= LANES:
            narrow_tiles(rows, t, count)
        else:
            wide_tiles(rows, t, count)
        return
    aside = t[0]
    aside.c, aside.c_stride, aside.c_lane, aside.padded = part, PANEL, 1, True
    if t.c_lane != 1:
        aside.at_store = LINEAR
    for tile in range(count):
        c = t.c + tile * t.c_step
        if t.c_lane == 1:
            for i in range(rows):
                memcpy(part + i * PANEL, c + i * t.c_stride, t.lanes * sizeof(real))
        run_tiles(rows, &aside, 1)
        if t.c_lane == 1:
            for i in range(rows):
                memcpy(c + i * t.c_stride, part + i * PANEL, t.lanes * sizeof(real))
        else:  # ADD
            for j in range(t.lanes):
                for i in range(rows):
                    c[i * t.c_stride + j * t.c_lane] += t.factor * part[i * PANEL + j]
        aside.a.data += t.a_step
        aside.b += t.b_step
        aside.initial += t.initial_step


cdef void pack_rows(
    Operand* a, Py_ssize_t even, Py_ssize_t longer, Py_ssize_t rows, real* packed
) noexcept nogil:
    """`rows` rows of a, the first `longer` in tiles of even + 1, to be read one after the other.

    Where the rows of a are 4 KB apart they would share a few lines of the cache.
    """
    cdef Py_ssize_t k, i, row, height
    cdef const real* column
    cdef real* to = packed
    if a.segments > 1:
        for k in range(a.segments):
            memcpy(to, a.data + k * a.segment_stride, rows * a.row_stride * sizeof(real))
            to += rows * a.row_stride
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


cdef inline void go_to(
    Tiles* t, const Tiles* start, const Product* p, Py_ssize_t panel, Py_ssize_t row
) noexcept nogil:
    """Let t be the tile at this row and panel, counted from those of `start`."""
    t.a.data = start.a.data + row * t.a.tile_stride
    t.b = start.b + panel * p.b_panel
    t.c = start.c + panel * p.c_panel + row * t.c_stride
    t.A = start.A + panel * p.c_panel + row * t.c_stride
    t.initial = start.initial + row if start.initial != NULL else NULL
    t.lanes = min(<Py_ssize_t>PANEL, p.lanes - panel * PANEL)


cdef void tiles_down(
    Tiles* t, const Tiles* start, const Product* p, Py_ssize_t panel, Py_ssize_t row, int rows,
    Py_ssize_t count,
) noexcept nogil:
    """`count` tiles of `rows` rows, one below the other in one panel."""
    go_to(t, start, p, panel, row)
    t.a_step, t.b_step = rows * t.a.tile_stride, 0
    t.c_step, t.initial_step = rows * t.c_stride, rows if start.initial != NULL else 0
    run_tiles(rows, t, count)


cdef void tiles_along(
    Tiles* t, const Tiles* start, const Product* p, Py_ssize_t row, int rows, Py_ssize_t first,
    Py_ssize_t stop,
) noexcept nogil:
    """One tile of `rows` rows in each panel, first ... stop."""
    cdef Py_ssize_t whole = min(stop, p.lanes // PANEL)
    t.a_step, t.b_step, t.c_step, t.initial_step = 0, p.b_panel, p.c_panel, 0
    go_to(t, start, p, first, row)
    run_tiles(rows, t, whole - first)
    if whole < stop:
        go_to(t, start, p, whole, row)
        run_tiles(rows, t, stop - whole)


cdef void multiply_rows(
    Tiles* t, const Product* p, Py_ssize_t even, Py_ssize_t longer, Py_ssize_t rows,
    Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """Rows of the product, the first `longer` of them in tiles of even + 1, for panels
    first ... stop."""
    cdef Tiles start = t[0]
    cdef Py_ssize_t panel
    cdef Py_ssize_t tall = longer // (even + 1)
    cdef Py_ssize_t flat = (rows - longer) // even if even > 0 else 0
    if tall + flat == 1:
        tiles_along(t, &start, p, 0, <int>(even + tall), first, stop)
        return
    for panel in range(first, stop):
        if tall > 0:
            tiles_down(t, &start, p, panel, 0, <int>even + 1, tall)
        if flat > 0:
            tiles_down(t, &start, p, panel, longer, <int>even, flat)


cdef inline Py_ssize_t depth_of(const Operand* a) noexcept nogil:
    """Length of the sums, in segments where there are several."""
    return a.segments if a.segments > 1 else a.depth


cdef inline Py_ssize_t unit_of(const Operand* a) noexcept nogil:
    return a.depth if a.segments > 1 else 1


cdef inline Operand part_of(
    const Operand* a, Py_ssize_t row, Py_ssize_t start, Py_ssize_t stop
) noexcept nogil:
    """a from `row` on, and of its sums start ... stop, in units of `depth_of`."""
    cdef Operand part = a[0]
    part.data = part.data + row * part.row_stride
    if part.segments > 1:
        part.data = part.data + start * part.segment_stride
        part.segments = stop - start
    else:
        part.data = part.data + start * part.depth_stride
        part.depth = stop - start
    return part


cdef inline bint packing_pays(const Operand* a, Py_ssize_t rows, Py_ssize_t panels) noexcept nogil:
    """Not for rows that are contiguous, which are read in order as it is."""
    cdef Py_ssize_t size = rows * a.depth * a.segments * sizeof(real)
    return (a.segments > 1 or a.depth_stride > 1) and panels >= PACK_PANELS and size > PACK_BYTES


cdef void multiply(
    const Product* p, Py_ssize_t first_tile, Py_ssize_t stop_tile, Py_ssize_t first_panel,
    Py_ssize_t stop_panel,
) noexcept nogil:
    """The product's tiles of rows first ... stop, for its panels first ... stop."""
    cdef Tiles t = p.tiles
    cdef const Operand* a = &p.tiles.a
    cdef bint add = p.tiles.at_store == ADD
    cdef Py_ssize_t depth = depth_of(a)
    cdef Py_ssize_t unit = unit_of(a)
    cdef Py_ssize_t blocks = max(1, (depth * unit + DEPTH - 1) // DEPTH)
    cdef Py_ssize_t longest = max(1, (depth + blocks - 1) // blocks * unit)
    cdef Py_ssize_t tiles = max(1, ROWS_BYTES // (sizeof(real) * TILE_ROWS * longest))
    cdef Py_ssize_t even = p.rows // max(1, tiles_of(p.rows))
    cdef Py_ssize_t longer = p.rows % max(1, tiles_of(p.rows)) * (even + 1)
    cdef Py_ssize_t block, start, stop, top, row, rows, taller
    cdef bint pack = packing_pays(
        a, (stop_tile - first_tile) * TILE_ROWS, stop_panel - first_panel
    )
    if stop_tile == first_tile:
        return
    for block in range(blocks):
        start, stop = depth * block // blocks, depth * (block + 1) // blocks
        t.at_store = p.tiles.at_store if add or block == blocks - 1 else LINEAR
        t.resume = block > 0 and not add
        t.c_is_far = (t.resume or add) and t.c_lane == 1 and depth * unit >= 64
        for top from first_tile <= top < stop_tile by tiles:
            row = tile_start(top, p.rows)
            rows = tile_start(min(top + tiles, stop_tile), p.rows) - row
            taller = max(0, min(longer - row, rows))
            t.a = part_of(a, row, start, stop)
            if pack:
                pack_rows(&t.a, even, taller, rows, p.packed)
            t.initial = p.tiles.initial + row if p.tiles.initial != NULL and block == 0 else NULL
            t.b = p.tiles.b + start * unit * PANEL
            t.c = p.tiles.c + row * t.c_stride
            t.A = p.tiles.A + row * t.c_stride
            multiply_rows(&t, p, even, taller, rows, first_panel, stop_panel)
