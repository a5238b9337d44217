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


cdef void dense_forward_panels(
    const Layer* layer, const real* W, const real* b, const real* A_prev, real* A,
    Py_ssize_t panels,
) noexcept nogil:
    """A = g(W A_prev + b), the activation applied to each tile while it is in the L1 cache."""
    cdef Py_ssize_t n_in = layer.n_in
    cdef Py_ssize_t n_out = layer.n_out
    cdef Py_ssize_t group = max(1, CACHE_BYTES // (<Py_ssize_t>sizeof(real) * PANEL * max(n_in, 1)))
    cdef Py_ssize_t first, p, row, rows
    cdef int activation = LINEAR if layer.activation == SOFTMAX else layer.activation
    cdef real* c
    cdef Operand a
    a.row_stride, a.depth_stride, a.depth, a.segments, a.segment_stride = n_in, 1, n_in, 1, 0
    for first from 0 <= first < panels by group:
        row = 0
        while row < n_out:
            rows = next_rows(row, n_out)
            a.data = W + row * n_in
            for p in range(first, min(first + group, panels)):
                c = A + (p * n_out + row) * PANEL
                tile(<int>rows, &a, A_prev + p * n_in * PANEL, b + row, c, PANEL, False, 0)
                activate_run(c, rows * PANEL, activation, layer.slope, c)
            row += rows
    if layer.activation == SOFTMAX:
        for p in range(panels):
            activate_panel(A + p * n_out * PANEL, n_out, SOFTMAX, 0)


cdef void backward_panels(
    const real* W, Py_ssize_t n_in, Py_ssize_t n_out, const real* dZ, const real* A_prev,
    int activation, real slope, real* dZ_prev, Py_ssize_t panels,
) noexcept nogil:
    """dZ_prev = (W^T dZ) * g'(Z_prev), with g' from A_prev, one tile at a time."""
    cdef Py_ssize_t group = max(1, CACHE_BYTES // (<Py_ssize_t>sizeof(real) * PANEL * max(n_out, 1)))
    cdef Py_ssize_t first, p, row, rows
    cdef real* c
    cdef Operand a
    a.row_stride, a.depth_stride, a.depth, a.segments, a.segment_stride = 1, n_in, n_out, 1, 0
    for first from 0 <= first < panels by group:
        row = 0
        while row < n_in:
            rows = next_rows(row, n_in)
            a.data = W + row
            for p in range(first, min(first + group, panels)):
                c = dZ_prev + (p * n_in + row) * PANEL
                tile(<int>rows, &a, dZ + p * n_out * PANEL, NULL, c, PANEL, False, 0)
                derivative_run(
                    c, A_prev + (p * n_in + row) * PANEL if A_prev != NULL else c,
                    rows * PANEL, activation, slope, c,
                )
            row += rows


cdef void transpose_features(
    const real* A, Py_ssize_t n, Py_ssize_t start, Py_ssize_t panels, real* features
) noexcept nogil:
    """features[example, j] = A[start + j, example], PANEL features side by side.

    Features past the last are whatever is at hand: their sums are never stored.
    """
    cdef const real* rows[PANEL]
    cdef Py_ssize_t p, j, e
    for p in range(panels):
        for j in range(PANEL):
            rows[j] = A + (p * n + min(start + j, n - 1)) * PANEL
        for e from 0 <= e < PANEL by LANES:
            transpose_block(rows, e, features + e * PANEL, PANEL)
            transpose_block(rows + LANES, e, features + e * PANEL + LANES, PANEL)
        features += PANEL * PANEL


cdef void add_dW(
    const real* dZ, Py_ssize_t n_out, const real* A_prev, Py_ssize_t n_in, Py_ssize_t panels,
    real scale, real* features, real* dW, Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """dW += scale dZ A_prev^T, columns first ... stop; first is a multiple of PANEL.

    The lanes are features, the sum runs over the examples.
    """
    cdef real c[TILE_ROWS * PANEL]
    cdef Py_ssize_t start, row, rows, i, j
    cdef Operand a
    a.row_stride, a.depth_stride, a.depth = PANEL, 1, PANEL
    a.segments, a.segment_stride = panels, n_out * PANEL
    for start from first <= start < stop by PANEL:
        transpose_features(A_prev, n_in, start, panels, features)
        row = 0
        while row < n_out:
            rows = next_rows(row, n_out)
            a.data = dZ + row * PANEL
            if start + PANEL <= n_in:
                tile(<int>rows, &a, features, NULL, dW + row * n_in + start, n_in, True, scale)
            else:
                tile(<int>rows, &a, features, NULL, c, PANEL, False, 0)
                for i in range(rows):
                    for j in range(n_in - start):
                        dW[(row + i) * n_in + start + j] += scale * c[i * PANEL + j]
            row += rows


cdef void add_dW_by_dots(
    const real* dZ, Py_ssize_t n_out, const real* A_prev, Py_ssize_t n_in, Py_ssize_t panels,
    real scale, real* dW, Py_ssize_t first, Py_ssize_t stop,
) noexcept nogil:
    """The same; the lanes are examples, added up at the end."""
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
    real scale, real* features, real* dW, real* db, int thread, int threads,
) noexcept nogil:
    """dW += scale dZ A_prev^T and db += scale sum(dZ), by whichever way costs less.

    Each sum belongs to one thread, whatever their number: the bits do not depend on it.

    Cycles for one example, measured: tiles fill whole panels of features and transpose them
    once; dots add up the lanes of each sum once in a block, and read A_prev anew for every
    DOT_ROWS rows, which shows when it is not in the L1 cache.
    """
    cdef Py_ssize_t first, stop
    cdef double examples = panels * PANEL
    cdef double tiles = panels_of(n_in) * PANEL * (n_out / <double>PANEL + 0.4)
    cdef double dots = n_in * n_out * (
        (1.3 if n_in * examples * sizeof(real) < 24576 else 2.2) / PANEL + 4 / examples
    )
    share(panels_of(n_in), thread, threads, &first, &stop)
    first, stop = first * PANEL, min(stop * PANEL, n_in)
    if dots < tiles:
        add_dW_by_dots(dZ, n_out, A_prev, n_in, panels, scale, dW, first, stop)
    else:
        add_dW(dZ, n_out, A_prev, n_in, panels, scale, features, dW, first, stop)
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
