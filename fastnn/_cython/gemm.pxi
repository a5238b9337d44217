# A matrix product in tiles, whose operands are in the cache when their turn comes.
#
# The panel of b that a tile reads, DEPTH_BLOCK rows of it, stays near for all rows of a; the rows
# of a, PACKED_A_BYTES of them side by side, stay in the L2 cache for all panels.


cdef struct Product:
    # For every panel: c[row, lane] = sum over k of a[row, k] b[k, lane], as `tiles` says.
    Tiles tiles              # a, initial, c, other: from row 0 of panel 0 on
    Py_ssize_t rows
    Py_ssize_t lanes         # of all panels
    Py_ssize_t b_panel       # elements from panel to panel
    Py_ssize_t c_panel       # of c, and of `other`
    real* packed_a           # room for PACKED_A_BYTES


cdef inline void set_output(Product* p, const OutputView* view) noexcept nogil:
    p.tiles.c, p.tiles.c_stride, p.tiles.c_lane = view.data, view.row_stride, 1
    p.tiles.padded, p.c_panel = view.padded, view.panel_stride


cdef inline Operand rows_of(
    const real* data, Py_ssize_t row_stride, Py_ssize_t depth, Py_ssize_t depth_stride
) noexcept nogil:
    """a[row, k] = data[row * row_stride + k * depth_stride]."""
    cdef Operand a
    a.data, a.row_stride, a.tile_stride, a.packed = data, row_stride, row_stride, False
    a.depth, a.last_depth, a.depth_stride = depth, depth, depth_stride
    a.segments, a.segment_stride = 1, 0
    return a


cdef struct RowSplit:
    # Rows in tiles of even height: the first `tall` of them have height + 1 rows.
    Py_ssize_t tall
    Py_ssize_t flat
    Py_ssize_t height


cdef inline Py_ssize_t tiles_of(Py_ssize_t n) noexcept nogil:
    return (n + TILE_ROWS - 1) // TILE_ROWS


cdef inline RowSplit split_rows(
    Py_ssize_t n, Py_ssize_t first_tile, Py_ssize_t stop_tile
) noexcept nogil:
    """How tiles first ... stop of n rows are cut, in even shares: 10 = 5 + 5 and not 6 + 4."""
    cdef Py_ssize_t tiles = max(1, tiles_of(n))
    cdef RowSplit split
    split.height = n // tiles
    split.tall = max(0, min(n % tiles, stop_tile) - first_tile)
    split.flat = stop_tile - first_tile - split.tall
    return split


cdef inline Py_ssize_t tile_start(Py_ssize_t tile, Py_ssize_t n) noexcept nogil:
    """First row of a tile of n rows."""
    cdef Py_ssize_t tiles = max(1, tiles_of(n))
    return tile * (n // tiles) + min(tile, n % tiles)


# --- tiles to their place ------------------------------------------------------------------


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
        aside.epilogue, aside.activation = ACTIVATE, LINEAR
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
                    c[i * t.c_stride + j * t.c_lane] += t.scale * part[i * PANEL + j]
        aside.a.data += t.a_step
        aside.b += t.b_step
        aside.initial = moved(aside.initial, t.initial_step)


cdef inline void go_to(
    Tiles* t, const Tiles* start, const Product* p, Py_ssize_t panel, Py_ssize_t row
) noexcept nogil:
    """Let t be the tile at this row and panel, counted from those of `start`."""
    t.a.data = start.a.data + row * t.a.tile_stride
    t.b = start.b + panel * p.b_panel
    t.c = start.c + panel * p.c_panel + row * t.c_stride
    t.other = moved(start.other, panel * p.c_panel + row * t.c_stride)
    t.initial = moved(start.initial, row)
    t.lanes = min(<Py_ssize_t>PANEL, p.lanes - panel * PANEL)


cdef inline void tiles_down(
    Tiles* t, const Tiles* start, const Product* p, Py_ssize_t panel, Py_ssize_t row, int rows,
    Py_ssize_t count,
) noexcept nogil:
    """`count` tiles of `rows` rows, one below the other in one panel."""
    go_to(t, start, p, panel, row)
    t.a_step, t.b_step = rows * t.a.tile_stride, 0
    t.c_step, t.initial_step = rows * t.c_stride, rows
    run_tiles(rows, t, count)


cdef inline void tiles_along(
    Tiles* t, const Tiles* start, const Product* p, int rows, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """One tile of `rows` rows in each panel, first ... stop."""
    cdef Py_ssize_t whole = min(stop, p.lanes // PANEL)
    t.a_step, t.b_step, t.c_step, t.initial_step = 0, p.b_panel, p.c_panel, 0
    go_to(t, start, p, first, 0)
    run_tiles(rows, t, whole - first)
    if whole < stop:
        go_to(t, start, p, whole, 0)
        run_tiles(rows, t, stop - whole)


cdef void gemm_rows(
    Tiles* t, const Product* p, const RowSplit* split, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """Rows of the product, from those of t on, for panels first ... stop."""
    cdef Tiles start = t[0]
    cdef Py_ssize_t panel
    cdef int height = <int>split.height
    if split.tall + split.flat == 1:
        tiles_along(t, &start, p, height + <int>split.tall, first, stop)
        return
    for panel in range(first, stop):
        if split.tall > 0:
            tiles_down(t, &start, p, panel, 0, height + 1, split.tall)
        if split.flat > 0:
            tiles_down(t, &start, p, panel, split.tall * (height + 1), height, split.flat)


# --- the operand a --------------------------------------------------------------------------


cdef void pack_rows(
    Operand* a, const RowSplit* split, Py_ssize_t rows, real* packed_a
) noexcept nogil:
    """`rows` rows of a, cut into tiles, to be read one after the other.

    Where the rows of a are 4 KB apart they would share a few lines of the cache.
    """
    cdef Py_ssize_t k, i, tile, height
    cdef const real* column
    cdef const real* top = a.data
    cdef real* to = packed_a
    if a.segments > 1:
        for k in range(a.segments):
            memcpy(to, a.data + k * a.segment_stride, rows * a.row_stride * sizeof(real))
            to += rows * a.row_stride
        a.segment_stride = rows * a.row_stride
    else:
        for tile in range(split.tall + split.flat):
            height = split.height + (tile < split.tall)
            column = top
            for k in range(a.depth):
                for i in range(height):
                    to[i] = column[i * a.row_stride]
                to += height
                column += a.depth_stride
            top += height * a.row_stride
        a.tile_stride = a.depth
        a.row_stride = 1
        a.packed = True
    a.data = packed_a


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
        part.last_depth = a.last_depth if stop == a.segments else a.depth
        part.segments = stop - start
    else:
        part.data = part.data + start * part.depth_stride
        part.depth = part.last_depth = stop - start
    return part


cdef inline bint packing_pays(const Operand* a, Py_ssize_t rows, Py_ssize_t panels) noexcept nogil:
    """Not for rows that are contiguous, which are read in order as it is."""
    cdef Py_ssize_t size = rows * a.depth * a.segments * <Py_ssize_t>sizeof(real)
    return (
        (a.segments > 1 or a.depth_stride > 1)
        and panels >= MIN_PANELS_TO_PACK_A and size > MIN_BYTES_TO_PACK_A
    )


# --- the product ----------------------------------------------------------------------------


cdef void gemm(
    const Product* p, Py_ssize_t first_tile, Py_ssize_t stop_tile, Py_ssize_t first_panel,
    Py_ssize_t stop_panel,
) noexcept nogil:
    """The product's tiles of rows first ... stop, for its panels first ... stop."""
    cdef Tiles t = p.tiles
    cdef RowSplit split
    cdef const Operand* a = &p.tiles.a
    cdef bint add = p.tiles.epilogue == ADD
    cdef Py_ssize_t depth = depth_of(a)
    cdef Py_ssize_t unit = unit_of(a)
    cdef Py_ssize_t blocks = max(1, (depth * unit + DEPTH_BLOCK - 1) // DEPTH_BLOCK)
    cdef Py_ssize_t longest = max(1, (depth + blocks - 1) // blocks * unit)
    cdef Py_ssize_t tile_bytes = longest * TILE_ROWS * <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t tiles = max(1, PACKED_A_BYTES // tile_bytes)
    cdef Py_ssize_t block, start, stop, top, row, rows
    cdef bint last_block
    cdef bint pack = packing_pays(
        a, (stop_tile - first_tile) * TILE_ROWS, stop_panel - first_panel
    )
    for block in range(blocks):
        start, stop = depth * block // blocks, depth * (block + 1) // blocks
        last_block = block == blocks - 1
        t.epilogue = p.tiles.epilogue if add or last_block else ACTIVATE
        t.activation = p.tiles.activation if last_block else LINEAR
        t.late_activation = p.tiles.late_activation if last_block else LINEAR
        t.resume = block > 0 and not add
        t.prefetch_c = (
            (t.resume or add) and t.c_lane == 1 and depth * unit >= MIN_DEPTH_TO_PREFETCH_C
        )
        for top from first_tile <= top < stop_tile by tiles:
            split = split_rows(p.rows, top, min(top + tiles, stop_tile))
            row = tile_start(top, p.rows)
            rows = split.tall * (split.height + 1) + split.flat * split.height
            t.a = part_of(a, row, start, stop)
            if pack:
                pack_rows(&t.a, &split, rows, p.packed_a)
            t.initial = moved(p.tiles.initial, row) if block == 0 else NULL
            t.b = p.tiles.b + start * unit * PANEL
            t.c = p.tiles.c + row * t.c_stride
            t.other = moved(p.tiles.other, row * t.c_stride)
            gemm_rows(&t, p, &split, first_panel, stop_panel)
