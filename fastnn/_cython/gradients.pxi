# dW and db of a layer on panels: sums over the examples.


cdef enum:
    # How dW is summed: by tiles whose lanes are the features of A_prev, or the rows of dZ,
    # one of which is then transposed; or by dot products, whose lanes are examples.
    LANES_IN
    LANES_OUT
    DOTS


cdef double tile_cycles(Py_ssize_t rows, Py_ssize_t lanes) noexcept nogil:
    """Of one example: the multiply-adds of tiles, and the transposition of what is in the lanes."""
    cdef Py_ssize_t rest = lanes % PANEL
    cdef double panels = lanes // PANEL
    if rest > 0:
        panels += DW_HALF_PANEL_CYCLES if rest <= LANES else 1.0
    return panels * (rows + DW_TRANSPOSE_CYCLES * PANEL)


cdef int shape_of_dW(Py_ssize_t n_out, Py_ssize_t n_in, Py_ssize_t count) noexcept nogil:
    """The cheapest for `count` examples, by the cycles that were measured.

    Lanes that run along a column of dW are stored one by one; dot products add up the lanes
    of each sum, once in a block, and read A_prev anew for every DOT_ROWS rows, which shows
    when it is not in the L1 cache.
    """
    cdef Py_ssize_t padded = panels_of(count) * PANEL
    cdef double lanes_in = count * tile_cycles(n_out, n_in)
    cdef double lanes_out = count * tile_cycles(n_in, n_out) + DW_SCATTER_CYCLES * n_in * n_out
    cdef bint near = n_in * padded * sizeof(real) < DW_NEAR_BYTES
    cdef double dots = n_in * n_out * (
        (DW_DOT_CYCLES if near else DW_FAR_DOT_CYCLES) * padded / PANEL + DW_DOT_END_CYCLES
    )
    if dots < min(lanes_in, lanes_out):
        return DOTS
    return LANES_OUT if lanes_out < lanes_in else LANES_IN


cdef void transpose_features(
    const real* A, Py_ssize_t n, Py_ssize_t panels, Py_ssize_t examples, Py_ssize_t first,
    Py_ssize_t stop, real* features,
) noexcept nogil:
    """features[f][example][j] = A[f PANEL + j, example], panels first <= f < stop of features,
    of the first `examples` in each panel.

    Features past the last are whatever is at hand: their sums are never stored.
    """
    cdef const real* rows[PANEL]
    cdef Py_ssize_t f, p, j, e
    for f in range(first, stop):
        for p in range(panels):
            for j in range(PANEL):
                rows[j] = A + (p * n + min(f * PANEL + j, n - 1)) * PANEL
                prefetch(rows[j] + 2 * n * PANEL)  # two panels on
            for e from 0 <= e < examples by LANES:
                transpose_block(rows, e, features + e * PANEL, PANEL)
                transpose_block(rows + LANES, e, features + e * PANEL + LANES, PANEL)
            features += PANEL * PANEL


cdef void add_dW(
    int shape, const real* dZ, Py_ssize_t n_out, const real* A_prev, Py_ssize_t n_in,
    Py_ssize_t count, const real* features, real scale, real* dW, real* scratch, int thread,
    int threads,
) noexcept nogil:
    """dW += scale dZ A_prev^T, the tiles of a thread; the sum runs over the examples.

    The panels of lanes are transposed a few at a time, just before their turn, unless `features`
    has them already, of A_prev.
    """
    cdef Product p
    cdef Py_ssize_t first_tile, stop_tile, first, stop, group, width
    cdef Py_ssize_t panels = panels_of(count)
    cdef Py_ssize_t depth = min(count, <Py_ssize_t>PANEL)
    cdef real* transposed = scratch + PACKED_A_BYTES // sizeof(real)
    cdef Py_ssize_t lanes
    memset(&p, 0, sizeof(p))
    if shape == LANES_OUT:
        p.rows, p.lanes = n_in, n_out
        p.tiles.a = rows_of(A_prev, PANEL, depth, 1)
        p.tiles.c_stride, p.tiles.c_lane = 1, n_in
    else:
        p.rows, p.lanes = n_out, n_in
        p.tiles.a = rows_of(dZ, PANEL, depth, 1)
        p.tiles.c_stride, p.tiles.c_lane = n_in, 1
    p.tiles.a.segments, p.tiles.a.segment_stride = panels, p.rows * PANEL
    p.tiles.a.last_depth = count - max(0, panels - 1) * PANEL
    p.tiles.b, p.b_panel = transposed, panels * PANEL * PANEL
    p.c_panel = p.tiles.c_lane * PANEL
    p.tiles.epilogue, p.tiles.scale = ADD, scale
    p.packed_a = scratch
    lanes = p.lanes
    width = max(1, TRANSPOSED_BYTES // (p.b_panel * <Py_ssize_t>sizeof(real)))
    first, stop = 0, panels_of(p.lanes)
    first_tile, stop_tile = 0, tiles_of(p.rows)
    if stop >= MIN_DW_PANELS_PER_THREAD * threads:
        share(stop, thread, threads, &first, &stop)
    else:
        share(stop_tile, thread, threads, &first_tile, &stop_tile)
    for group from first <= group < stop by width:
        width = min(width, stop - group)
        if features != NULL and shape == LANES_IN:
            p.tiles.b = features + group * p.b_panel
        else:
            transpose_features(
                dZ if shape == LANES_OUT else A_prev, lanes, panels, depth, group, group + width,
                transposed,
            )
        p.tiles.c, p.lanes = dW + group * p.c_panel, lanes - group * PANEL
        gemm(&p, first_tile, stop_tile, 0, width)


cdef void add_db(
    const real* dZ, Py_ssize_t n, Py_ssize_t panels, real scale, real* db,
    Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """db += scale sum(dZ), rows first ... stop: both multiples of 4, or the end."""
    cdef Py_ssize_t i, p, j
    cdef Py_ssize_t offset[4]
    cdef vector total[4]
    cdef real sums[4]
    cdef const real* row
    for i from first <= i < stop by 4:
        for j in range(4):
            total[j] = splat(0)
            offset[j] = min(i + j, stop - 1) * PANEL  # past the last: its sum again, not stored
        for p in range(panels):
            for j in range(4):
                row = dZ + p * n * PANEL + offset[j]
                total[j] = total[j] + (load(row) + load(row + LANES))
        sum_lanes_of_4(total, sums)
        for j in range(min(<Py_ssize_t>4, stop - i)):
            db[i + j] += scale * sums[j]


cdef void add_gradients(
    const real* dZ, Py_ssize_t n_out, const real* A_prev, Py_ssize_t n_in, Py_ssize_t count,
    const real* features, real scale, real* dW, real* db, real* scratch, int thread, int threads,
) noexcept nogil:
    """dW += scale dZ A_prev^T and db += scale sum(dZ): the share of one thread.

    features: those of A_prev, as `copy_features` makes them, or NULL.  Each sum belongs to one
    thread, whatever their number: the bits do not depend on it.
    """
    cdef Py_ssize_t first, stop
    cdef Py_ssize_t panels = panels_of(count)
    cdef int shape = shape_of_dW(n_out, n_in, count)
    if shape == DOTS:
        share(panels_of(n_in), thread, threads, &first, &stop)
        add_dW_by_dots(
            dZ, n_out, A_prev, n_in, panels, scale, dW, first * PANEL, min(stop * PANEL, n_in)
        )
    else:
        add_dW(
            shape, dZ, n_out, A_prev, n_in, count, features, scale, dW, scratch, thread, threads
        )
    share((n_out + 3) // 4, thread, threads, &first, &stop)
    add_db(dZ, n_out, panels, scale, db, first * 4, min(stop * 4, n_out))
