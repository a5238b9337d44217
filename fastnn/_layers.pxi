# Dense layers on panels, forward and back, and a single example.


cdef struct Layer:
    Py_ssize_t n_in
    Py_ssize_t n_out
    int activation
    real slope
    Py_ssize_t W          # where W and b start in the flat vector
    Py_ssize_t b
    Py_ssize_t A          # features before A[l] and before dZ[l] in the working memory:
    Py_ssize_t dZ         # times its columns, where their panels start
    Py_ssize_t transposed # the same for the transposed A[l-1]


cdef inline Py_ssize_t panels_in_cache(Py_ssize_t n) noexcept nogil:
    """Panels of n features that one pass over the weights may work on."""
    return max(1, CACHE_BYTES // (<Py_ssize_t>sizeof(real) * PANEL * max(n, 1)))


cdef void dense_forward_panels(
    const Layer* layer, const real* W, const real* b, const real* A_prev, real* A,
    Py_ssize_t panels,
) noexcept nogil:
    """A = g(W A_prev + b), the activation applied to each tile while it is in the L1 cache."""
    cdef Py_ssize_t n_in = layer.n_in
    cdef Py_ssize_t n_out = layer.n_out
    cdef Py_ssize_t group = panels_in_cache(n_in)
    cdef Py_ssize_t even, longer, first, p, row, rows
    cdef int activation = LINEAR if layer.activation == SOFTMAX else layer.activation
    cdef real* c
    cdef Operand a
    a.row_stride, a.depth_stride, a.depth, a.segments, a.segment_stride = n_in, 1, n_in, 1, 0
    even_rows(n_out, &even, &longer)
    for first from 0 <= first < panels by group:
        row = 0
        while row < n_out:
            rows = even + (row < longer)
            a.data = W + row * n_in
            for p in range(first, min(first + group, panels)):
                c = A + (p * n_out + row) * PANEL
                tile(<int>rows, &a, A_prev + p * n_in * PANEL, b + row, c, PANEL, False, 0)
                activate_run(c, rows * PANEL, activation, layer.slope, c)
            row += rows
    if layer.activation == SOFTMAX:
        for p in range(panels):
            activate_panel(A + p * n_out * PANEL, n_out, SOFTMAX, 0)


cdef void pack_rows(
    const real* W, Py_ssize_t n_in, Py_ssize_t n_out, Py_ssize_t rows, real* packed
) noexcept nogil:
    """`rows` columns of W side by side: where n_in is a power of two, W[k, row] for all k
    would share a few lines of the cache."""
    cdef Py_ssize_t k, i
    for k in range(n_out):
        if rows == 6:
            memcpy(packed, W, 6 * sizeof(real))
        else:
            for i in range(rows):
                packed[i] = W[i]
        W += n_in
        packed += rows


cdef void backward_panels(
    const real* W, Py_ssize_t n_in, Py_ssize_t n_out, const real* dZ, const real* A_prev,
    int activation, real slope, real* dZ_prev, Py_ssize_t panels,
) noexcept nogil:
    """dZ_prev = (W^T dZ) * g'(Z_prev), with g' from A_prev, one tile at a time."""
    cdef Py_ssize_t group = panels_in_cache(n_out)
    cdef Py_ssize_t even, longer, first, p, row, rows
    cdef real packed[TILE_ROWS * PACKED_DEPTH]
    cdef bint pack_W = n_in >= 128 and panels >= 4 and n_out <= PACKED_DEPTH
    cdef real* c
    cdef Operand a
    a.row_stride, a.depth_stride, a.depth, a.segments, a.segment_stride = 1, n_in, n_out, 1, 0
    even_rows(n_in, &even, &longer)
    for first from 0 <= first < panels by group:
        row = 0
        while row < n_in:
            rows = even + (row < longer)
            a.data = W + row
            if pack_W:
                pack_rows(W + row, n_in, n_out, rows, packed)
                a.data, a.depth_stride = packed, rows
            for p in range(first, min(first + group, panels)):
                c = dZ_prev + (p * n_in + row) * PANEL
                tile(<int>rows, &a, dZ + p * n_out * PANEL, NULL, c, PANEL, False, 0)
                derivative_run(
                    c, A_prev + (p * n_in + row) * PANEL if A_prev != NULL else c,
                    rows * PANEL, activation, slope, c,
                )
            row += rows


cdef bint dots_pay(Py_ssize_t n_out, Py_ssize_t n_in, Py_ssize_t examples) noexcept nogil:
    """Whether dW of this size is better summed by dot products than by tiles.

    Cycles for one example, measured: tiles fill whole panels of features and transpose them
    once; dots add up the lanes of each sum once in a block, and read A_prev anew for every
    DOT_ROWS rows, which shows when it is not in the L1 cache.
    """
    cdef double tiles = panels_of(n_in) * PANEL * (n_out / <double>PANEL + 0.4)
    cdef double dots = n_in * n_out * (
        (1.3 if n_in * examples * sizeof(real) < 24576 else 2.2) / PANEL + 4 / <double>examples
    )
    return dots < tiles


cdef void transpose_features(
    const real* A, Py_ssize_t n, Py_ssize_t panels, real* features, Py_ssize_t columns
) noexcept nogil:
    """features[f][example][j] = A[f PANEL + j, example]: panels of features, `columns` long.

    Features past the last are whatever is at hand: their sums are never stored.
    """
    cdef const real* rows[PANEL]
    cdef Py_ssize_t start, p, j, e
    cdef real* out
    for start from 0 <= start < n by PANEL:
        out = features + start * columns
        for p in range(panels):
            for j in range(PANEL):
                rows[j] = A + (p * n + min(start + j, n - 1)) * PANEL
            for e from 0 <= e < PANEL by LANES:
                transpose_block(rows, e, out + e * PANEL, PANEL)
                transpose_block(rows + LANES, e, out + e * PANEL + LANES, PANEL)
            out += PANEL * PANEL


cdef void add_dW(
    const real* dZ, Py_ssize_t n_out, const real* features, Py_ssize_t n_in, Py_ssize_t panels,
    Py_ssize_t columns, real scale, real* dW, Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """dW += scale dZ A_prev^T, tiles of rows first ... stop, A_prev as panels of features.

    The lanes are features, the sum runs over the examples.
    """
    cdef real c[TILE_ROWS * PANEL]
    cdef real packed[TILE_ROWS * BLOCK_COLUMNS]
    cdef Py_ssize_t even, longer, start, row, rows, last, i, j, p
    cdef bint pack_dZ = n_in >= 128
    cdef Operand a
    a.row_stride, a.depth_stride, a.depth = PANEL, 1, PANEL
    a.segments, a.segment_stride = panels, n_out * PANEL
    even_rows(n_out, &even, &longer)
    row, last = tile_start(first, n_out), tile_start(stop, n_out)
    while row < last:
        rows = even + (row < longer)
        a.data = dZ + row * PANEL
        if pack_dZ:  # side by side, for the same reason as in `pack_rows`
            for p in range(panels):
                memcpy(
                    packed + p * rows * PANEL, a.data + p * n_out * PANEL,
                    rows * PANEL * sizeof(real),
                )
            a.data, a.segment_stride = packed, rows * PANEL
        for start from 0 <= start < n_in by PANEL:
            if start + PANEL <= n_in:
                tile(
                    <int>rows, &a, features + start * columns, NULL,
                    dW + row * n_in + start, n_in, True, scale,
                )
            else:
                tile(<int>rows, &a, features + start * columns, NULL, c, PANEL, False, 0)
                for i in range(rows):
                    for j in range(n_in - start):
                        dW[(row + i) * n_in + start + j] += scale * c[i * PANEL + j]
        row += rows


cdef void add_dW_by_dots(
    const real* dZ, Py_ssize_t n_out, const real* A_prev, Py_ssize_t n_in, Py_ssize_t panels,
    real scale, real* dW, Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """dW += scale dZ A_prev^T, columns first ... stop: lanes are examples, added up at the end."""
    cdef Py_ssize_t row, column
    for row from 0 <= row < n_out by DOT_ROWS:
        for column from first <= column < stop by DOT_COLUMNS:
            dot_tile(
                <int>min(n_out - row, <Py_ssize_t>DOT_ROWS),
                <int>min(stop - column, <Py_ssize_t>DOT_COLUMNS),
                dZ + row * PANEL, n_out * PANEL, A_prev + column * PANEL, n_in * PANEL, panels,
                scale, dW + row * n_in + column, n_in,
            )


cdef void add_db(
    const real* dZ, Py_ssize_t n, Py_ssize_t panels, real scale, real* db,
    Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """db += scale sum(dZ), rows first ... stop."""
    cdef Py_ssize_t i, p
    cdef vector total
    cdef const real* row
    for i in range(first, stop):
        total = splat(0)
        for p in range(panels):
            row = dZ + (p * n + i) * PANEL
            total = total + (load(row) + load(row + LANES))
        db[i] += scale * sum_lanes(total)


cdef inline void share(
    Py_ssize_t n, int thread, int threads, Py_ssize_t* first, Py_ssize_t* stop
) noexcept nogil:
    """The part of 0 ... n that falls to a thread."""
    first[0] = n * thread // threads
    stop[0] = n * (thread + 1) // threads


cdef void add_gradients(
    const real* dZ, Py_ssize_t n_out, const real* A_prev, Py_ssize_t n_in, Py_ssize_t panels,
    const real* features, Py_ssize_t columns, real scale, real* dW, real* db,
    int thread, int threads,
) noexcept nogil:
    """dW += scale dZ A_prev^T and db += scale sum(dZ): the share of one thread.

    Each sum belongs to one thread, whatever their number: the bits do not depend on it.
    `features` is A_prev transposed, where `dots_pay` does not say otherwise.
    """
    cdef Py_ssize_t first, stop
    if dots_pay(n_out, n_in, panels * PANEL):
        share(panels_of(n_in), thread, threads, &first, &stop)
        add_dW_by_dots(
            dZ, n_out, A_prev, n_in, panels, scale, dW, first * PANEL, min(stop * PANEL, n_in)
        )
    else:
        share(tiles_of(n_out), thread, threads, &first, &stop)
        add_dW(dZ, n_out, features, n_in, panels, columns, scale, dW, first, stop)
    share(n_out, thread, threads, &first, &stop)
    add_db(dZ, n_out, panels, scale, db, first, stop)


# --- one example --------------------------------------------------------------------------


cdef inline void column_rows "fastnn_column_rows"(
    int rows, const real* W, const real* b, Py_ssize_t n_in, const real* x, real* z
) noexcept nogil:
    """z = W x + b for `rows` rows, 1, 4 or 8, and n_in >= LANES; the lanes run along the sum."""
    cdef vector total[8]
    cdef real sums[8]
    cdef vector v
    cdef Py_ssize_t k
    cdef int i
    cdef int rest = <int>(n_in % LANES)
    for i in range(rows):
        total[i] = splat(0)
    for k from 0 <= k <= n_in - LANES by LANES:
        v = load(x + k)
        for i in range(rows):
            total[i] = total[i] + v * load(W + i * n_in + k)
    if rest:
        # The last register reaches back over weights that are done: they count as zero.
        v = keep_last(load(x + n_in - LANES), rest)
        for i in range(rows):
            total[i] = total[i] + v * keep_last(load(W + (i + 1) * n_in - LANES), rest)
    if rows == 1:
        sums[0] = sum_lanes(total[0])
    else:
        sum_lanes_of_4(total, sums)
    if rows == 8:
        sum_lanes_of_4(total + 4, sums + 4)
    for i in range(rows):
        z[i] = sums[i] + b[i]


cdef void dense_column(
    const real* W, const real* b, Py_ssize_t n_in, Py_ssize_t n_out, const real* x, real* z
) noexcept nogil:
    """z = W x + b for one example."""
    cdef Py_ssize_t row = 0
    cdef Py_ssize_t k
    cdef real total
    if n_in >= LANES:
        while row + 8 <= n_out:
            column_rows(8, W + row * n_in, b + row, n_in, x, z + row)
            row += 8
        if row + 4 <= n_out:
            column_rows(4, W + row * n_in, b + row, n_in, x, z + row)
            row += 4
    for row in range(row, n_out):
        if n_in >= LANES:
            column_rows(1, W + row * n_in, b + row, n_in, x, z + row)
            continue
        total = b[row]
        for k in range(n_in):
            total += W[row * n_in + k] * x[k]
        z[row] = total


cdef void softmax_column(real* z, Py_ssize_t n) noexcept nogil:
    """In place for one example, the classes along the lanes; z has room up to a whole register."""
    cdef Py_ssize_t k
    cdef Py_ssize_t padded = (n + LANES - 1) // LANES * LANES
    cdef real largest = z[0]
    cdef real total = 0
    for k in range(1, n):
        largest = largest if largest > z[k] else z[k]
    for k from 0 <= k < padded by LANES:
        store(z + k, exp_negative(load(z + k) - splat(largest)))
    for k in range(n):
        total += z[k]
    for k from 0 <= k < padded by LANES:
        store(z + k, load(z + k) / splat(total))
