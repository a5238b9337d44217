# Dense layers on panels, forward and back, and a single example.


cdef struct Layer:
    Py_ssize_t n_in
    Py_ssize_t n_out
    int activation
    real slope
    Py_ssize_t W          # where W and b start in the flat vector
    Py_ssize_t b
    Py_ssize_t A          # features before A[l] in the working memory: times its columns,
                          # where its panels start


cdef inline void share(
    Py_ssize_t n, int thread, int threads, Py_ssize_t* first, Py_ssize_t* stop
) noexcept nogil:
    """The part of 0 ... n that falls to a thread."""
    first[0] = n * thread // threads
    stop[0] = n * (thread + 1) // threads


cdef struct Place:
    # Where the panels of a product go: one panel after the other, or an array's columns.
    real* data
    Py_ssize_t row_stride
    Py_ssize_t panel_stride
    bint padded              # up to whole panels


cdef inline Place panels_at(real* data, Py_ssize_t n) noexcept nogil:
    cdef Place place
    place.data, place.row_stride, place.panel_stride, place.padded = data, PANEL, n * PANEL, True
    return place


cdef inline Place columns_of(const Matrix* A, Py_ssize_t first) noexcept nogil:
    """Columns of A from `first` on, where its rows are contiguous."""
    cdef Place place
    place.data, place.row_stride = A.data + first, A.row_stride
    place.panel_stride, place.padded = PANEL, False
    return place


cdef inline void set_place(Product* p, const Place* place) noexcept nogil:
    p.tiles.c, p.tiles.c_stride, p.tiles.c_lane = place.data, place.row_stride, 1
    p.tiles.padded, p.c_panel = place.padded, place.panel_stride


cdef void dense_forward_panels(
    const Layer* layer, const real* W, const real* b, const real* A_prev, Place A,
    Py_ssize_t first, Py_ssize_t stop, Py_ssize_t count, real* scratch,
) noexcept nogil:
    """A = g(W A_prev + b), panels first ... stop of those that hold `count` examples.

    The A of softmax must be in panels.
    """
    cdef Product p
    cdef Py_ssize_t panel
    memset(&p, 0, sizeof(p))
    p.tiles.a = rows_of(W, layer.n_in, layer.n_in, 1)
    p.tiles.initial = b
    p.tiles.b, p.b_panel = A_prev, layer.n_in * PANEL
    set_place(&p, &A)
    p.tiles.at_store = LINEAR if layer.activation == SOFTMAX else layer.activation
    p.tiles.factor = layer.slope
    p.rows, p.lanes, p.packed = layer.n_out, count, scratch
    multiply(&p, 0, tiles_of(p.rows), first, stop)
    if layer.activation == SOFTMAX:
        for panel in range(first, stop):
            activate_panel(A.data + panel * p.c_panel, layer.n_out, SOFTMAX, 0)


cdef void backward_panels(
    const real* W, Py_ssize_t n_in, Py_ssize_t n_out, const real* dZ, const real* A_prev,
    int activation, real slope, Place dZ_prev, Py_ssize_t first, Py_ssize_t stop,
    Py_ssize_t count, real* scratch,
) noexcept nogil:
    """dZ_prev = (W^T dZ) * g'(Z_prev), with g' from A_prev, in the same panels.

    dZ_prev must be in panels as well, unless g is linear.
    """
    cdef Product p
    memset(&p, 0, sizeof(p))
    p.tiles.a = rows_of(W, 1, n_out, n_in)
    p.tiles.b, p.b_panel = dZ, n_out * PANEL
    set_place(&p, &dZ_prev)
    p.tiles.A = A_prev
    p.tiles.at_store = LINEAR if activation == LINEAR else DERIVATIVE + activation
    p.tiles.factor = slope
    p.rows, p.lanes, p.packed = n_in, count, scratch
    multiply(&p, 0, tiles_of(p.rows), first, stop)


cdef enum:
    # How dW is summed: by tiles whose lanes are the features of A_prev, or the rows of dZ,
    # one of which is then transposed; or by dot products, whose lanes are examples.
    LANES_IN
    LANES_OUT
    DOTS


cdef double tile_cycles(Py_ssize_t rows, Py_ssize_t lanes) noexcept nogil:
    """Of one example: the multiply-adds of tiles, and the transposition of what is in the lanes."""
    cdef Py_ssize_t rest = lanes % PANEL
    cdef double panels = lanes // PANEL + (0 if rest == 0 else 0.7 if rest <= LANES else 1.0)
    return panels * (rows + 0.2 * PANEL)


cdef inline Py_ssize_t examples_of(Py_ssize_t count) noexcept nogil:
    """How many examples tiles sum over: whole panels, but for a single one."""
    return count if count < PANEL else panels_of(count) * PANEL


cdef int way_to_dW(Py_ssize_t n_out, Py_ssize_t n_in, Py_ssize_t count) noexcept nogil:
    """The cheapest for `count` examples, by the cycles that were measured.

    Lanes that run along a column of dW are stored one by one; dot products add up the lanes
    of each sum, once in a block, and read A_prev anew for every DOT_ROWS rows, which shows
    when it is not in the L1 cache.
    """
    cdef Py_ssize_t padded = panels_of(count) * PANEL
    cdef Py_ssize_t summed = examples_of(count)
    cdef double lanes_in = summed * tile_cycles(n_out, n_in)
    cdef double lanes_out = summed * tile_cycles(n_in, n_out) + 1.5 * n_in * n_out
    cdef double dots = n_in * n_out * (
        (1.3 if n_in * padded * sizeof(real) < 24576 else 2.2) * padded / PANEL + 4
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
    int way, const real* dZ, Py_ssize_t n_out, const real* A_prev, Py_ssize_t n_in,
    Py_ssize_t count, real scale, real* dW, real* scratch, int thread, int threads,
) noexcept nogil:
    """dW += scale dZ A_prev^T, the tiles of a thread; the sum runs over the examples.

    The panels of lanes are transposed a few at a time, just before their turn.
    """
    cdef Product p
    cdef Py_ssize_t first_tile, stop_tile, first, stop, group, width
    cdef Py_ssize_t panels = panels_of(count)
    cdef Py_ssize_t depth = min(examples_of(count), <Py_ssize_t>PANEL)
    cdef real* transposed = scratch + ROWS_BYTES // sizeof(real)
    cdef Py_ssize_t lanes
    memset(&p, 0, sizeof(p))
    if way == LANES_OUT:
        p.rows, p.lanes = n_in, n_out
        p.tiles.a = rows_of(A_prev, PANEL, depth, 1)
        p.tiles.c_stride, p.tiles.c_lane = 1, n_in
    else:
        p.rows, p.lanes = n_out, n_in
        p.tiles.a = rows_of(dZ, PANEL, depth, 1)
        p.tiles.c_stride, p.tiles.c_lane = n_in, 1
    p.tiles.a.segments, p.tiles.a.segment_stride = panels, p.rows * PANEL
    p.tiles.b, p.b_panel = transposed, panels * PANEL * PANEL
    p.c_panel = p.tiles.c_lane * PANEL
    p.tiles.at_store, p.tiles.factor = ADD, scale
    p.packed = scratch
    lanes = p.lanes
    width = max(1, LANES_BYTES // (p.b_panel * <Py_ssize_t>sizeof(real)))
    first, stop = 0, panels_of(p.lanes)
    first_tile, stop_tile = 0, tiles_of(p.rows)
    if stop >= 8 * threads:
        share(stop, thread, threads, &first, &stop)
    else:
        share(stop_tile, thread, threads, &first_tile, &stop_tile)
    for group from first <= group < stop by width:
        width = min(width, stop - group)
        transpose_features(
            dZ if way == LANES_OUT else A_prev, lanes, panels, depth, group, group + width,
            transposed,
        )
        p.tiles.c, p.lanes = dW + group * p.c_panel, lanes - group * PANEL
        multiply(&p, first_tile, stop_tile, 0, width)


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
    real scale, real* dW, real* db, real* scratch, int thread, int threads,
) noexcept nogil:
    """dW += scale dZ A_prev^T and db += scale sum(dZ): the share of one thread.

    Each sum belongs to one thread, whatever their number: the bits do not depend on it.
    """
    cdef Py_ssize_t first, stop
    cdef Py_ssize_t panels = panels_of(count)
    cdef int way = way_to_dW(n_out, n_in, count)
    if way == DOTS:
        share(panels_of(n_in), thread, threads, &first, &stop)
        add_dW_by_dots(
            dZ, n_out, A_prev, n_in, panels, scale, dW, first * PANEL, min(stop * PANEL, n_in)
        )
    else:
        add_dW(way, dZ, n_out, A_prev, n_in, count, scale, dW, scratch, thread, threads)
    share((n_out + 3) // 4, thread, threads, &first, &stop)
    add_db(dZ, n_out, panels, scale, db, first * 4, min(stop * 4, n_out))


# --- one example --------------------------------------------------------------------------


cdef enum:
    # Up to so many examples are taken one by one: a panel would be mostly padding.
    FEW = 5


cdef inline void column_rows "fastnn_column_rows"(
    int rows, const real* W, Py_ssize_t row_stride, const real* b, Py_ssize_t n_in,
    const real* x, real* z,
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
            total[i] = total[i] + v * load(W + i * row_stride + k)
    if rest:
        # The last register reaches back over weights that are done: they count as zero.
        v = keep_last(load(x + n_in - LANES), rest)
        for i in range(rows):
            total[i] = total[i] + v * keep_last(load(W + i * row_stride + n_in - LANES), rest)
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
            column_rows(8, W + row * n_in, n_in, b + row, n_in, x, z + row)
            row += 8
        if row + 4 <= n_out:
            column_rows(4, W + row * n_in, n_in, b + row, n_in, x, z + row)
            row += 4
    for row in range(row, n_out):
        if n_in >= LANES:
            column_rows(1, W + row * n_in, n_in, b + row, n_in, x, z + row)
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
    cdef real sum = 0
    cdef vector total = splat(0)
    cdef vector lost = splat(0)
    cdef vector inverse
    for k in range(1, n):
        largest = largest if largest > z[k] else z[k]
    for k from 0 <= k < padded by LANES:
        store(z + k, exp_negative(load(z + k) - splat(largest)))
    if SINGLE:
        for k in range(n):
            sum += z[k]
        total = splat(sum)
    else:
        for k in range(n):  # the same in every lane
            total = sum_and_lost(total, splat(z[k]), &lost)
    inverse = splat(1) / total
    for k from 0 <= k < padded by LANES:
        store(z + k, quotient(load(z + k), total, inverse, lost))


cdef void forward_column(
    const Layer* layer, const real* W, const real* b, const real* x, real* z
) noexcept nogil:
    """z = g(W x + b) for one example; z has room up to a whole register."""
    dense_column(W, b, layer.n_in, layer.n_out, x, z)
    if layer.activation == SOFTMAX:
        softmax_column(z, layer.n_out)
    else:
        activate_run(
            z, (layer.n_out + LANES - 1) // LANES * LANES, layer.activation, layer.slope, z
        )


cdef inline void scaled_row(const real* x, real factor, Py_ssize_t n, real* y) noexcept nogil:
    """y = factor x."""
    cdef Py_ssize_t k = 0
    while k + LANES <= n:
        store(y + k, splat(factor) * load(x + k))
        k += LANES
    for k in range(k, n):
        y[k] = factor * x[k]


cdef inline void add_scaled_row(const real* x, real factor, Py_ssize_t n, real* y) noexcept nogil:
    """y += factor x."""
    cdef Py_ssize_t k = 0
    while k + LANES <= n:
        store(y + k, load(y + k) + splat(factor) * load(x + k))
        k += LANES
    for k in range(k, n):
        y[k] += factor * x[k]


cdef void backward_columns(
    const real* W, Py_ssize_t n_in, Py_ssize_t n_out, const Matrix* dZ, const Matrix* A_prev,
    const Matrix* dA_prev, real* dW, real* db, real* x, real* dx,
) noexcept nogil:
    """The gradients of a layer from up to FEW examples, one row of W at a time.

    x and dx have room for A_prev and dA_prev, one example after the other.
    """
    cdef Py_ssize_t m = dZ.columns
    cdef Py_ssize_t i, j
    cdef real scale = <real>1 / <real>max(m, 1)
    cdef real d
    memset(dx, 0, m * n_in * sizeof(real))
    for j in range(m):
        read_column(A_prev, j, x + j * n_in)
    for i in range(n_out):
        db[i] = 0
        for j in range(m):
            d = dZ.data[i * dZ.row_stride + j * dZ.column_stride]
            db[i] += d
            if j == 0:
                scaled_row(x, d, n_in, dW + i * n_in)
            else:
                add_scaled_row(x + j * n_in, d, n_in, dW + i * n_in)
            if dA_prev != NULL:
                add_scaled_row(W + i * n_in, d, n_in, dx + j * n_in)
        if m > 1:
            db[i] *= scale
            scaled_row(dW + i * n_in, scale, n_in, dW + i * n_in)
    if dA_prev != NULL:
        for j in range(m):
            write_column(dx + j * n_in, j, dA_prev)


# --- a first layer of few rows ----------------------------------------------------------------
#
# Each number of X is then used so little that packing it would take longer than the product.


cdef enum:
    THIN = 3
    # Numbers of Z that are kept in the L1 cache while X streams by.
    THIN_NUMBERS = 4096


cdef inline bint is_thin(const Layer* layer, const Matrix* X) noexcept nogil:
    """Whether the layer is computed from X as it stands: few rows, and either axis contiguous."""
    return layer.n_out <= THIN and (
        X.column_stride == 1 or (X.row_stride == 1 and layer.n_in >= LANES)
    )


cdef inline void add_features "fastnn_add_features"(
    int rows, int features, const real* W, Py_ssize_t n_in, const real* x, Py_ssize_t x_stride,
    Py_ssize_t panels, real* z, Py_ssize_t row_stride, Py_ssize_t panel_stride,
) noexcept nogil:
    """z += W x for some features, each contiguous over all examples of the panels."""
    cdef vector w[THIN * 4]
    cdef vector v[4]
    cdef vector total
    cdef real* out
    cdef Py_ssize_t p, half
    cdef int i, k
    for i in range(rows):
        for k in range(features):
            w[i * features + k] = splat(W[i * n_in + k])
    for p in range(panels):
        for half in range(2):
            for k in range(features):
                v[k] = load(x + k * x_stride + p * PANEL + half * LANES)
            for i in range(rows):
                out = z + p * panel_stride + i * row_stride + half * LANES
                total = load(out)
                for k in range(features):
                    total = total + w[i * features + k] * v[k]
                store(out, total)


cdef inline void thin_rows "fastnn_thin_rows"(
    int rows, const real* W, const real* b, Py_ssize_t n_in, const real* x, Py_ssize_t x_stride,
    Py_ssize_t panels, real* z, Py_ssize_t row_stride, Py_ssize_t panel_stride,
) noexcept nogil:
    """z = W x + b for `rows` rows: long pieces of four features at a time."""
    cdef Py_ssize_t p, k
    cdef int i
    for p in range(panels):
        for i in range(rows):
            store(z + p * panel_stride + i * row_stride, splat(b[i]))
            store(z + p * panel_stride + i * row_stride + LANES, splat(b[i]))
    for k from 0 <= k <= n_in - 4 by 4:
        add_features(
            rows, 4, W + k, n_in, x + k * x_stride, x_stride, panels, z, row_stride, panel_stride
        )
    for k in range(n_in - n_in % 4, n_in):
        add_features(
            rows, 1, W + k, n_in, x + k * x_stride, x_stride, panels, z, row_stride, panel_stride
        )


cdef void thin_lines(
    const Layer* layer, const real* W, const real* b, const real* x, Py_ssize_t x_stride,
    Py_ssize_t panels, Place z
) noexcept nogil:
    """`thin_rows`, made anew for each number of rows."""
    cdef Py_ssize_t n = layer.n_in
    if layer.n_out == 1:
        thin_rows(1, W, b, n, x, x_stride, panels, z.data, z.row_stride, z.panel_stride)
    elif layer.n_out == 2:
        thin_rows(2, W, b, n, x, x_stride, panels, z.data, z.row_stride, z.panel_stride)
    elif layer.n_out == 3:
        thin_rows(3, W, b, n, x, x_stride, panels, z.data, z.row_stride, z.panel_stride)


cdef void thin_examples(
    const Layer* layer, const real* W, const real* b, const real* x, Py_ssize_t x_stride, Place z
) noexcept nogil:
    """z = W x + b for the examples of a panel, each contiguous: dot products, as many at a time
    as `column_rows` takes."""
    cdef real bias[PANEL]
    cdef Py_ssize_t i, j
    cdef Py_ssize_t width = min(8, <int>PANEL)
    for i in range(layer.n_out):
        for j in range(PANEL):
            bias[j] = b[i]
        for j from 0 <= j < PANEL by width:
            if PANEL >= 8:
                column_rows(
                    8, x + j * x_stride, x_stride, bias, layer.n_in, W + i * layer.n_in,
                    z.data + i * z.row_stride + j,
                )
            else:
                column_rows(
                    4, x + j * x_stride, x_stride, bias, layer.n_in, W + i * layer.n_in,
                    z.data + i * z.row_stride + j,
                )


cdef inline Place panel_of(const Place* place, Py_ssize_t panel) noexcept nogil:
    """The same from that panel on."""
    cdef Place later = place[0]
    later.data = place.data + panel * place.panel_stride
    return later


cdef void activate_place(
    const Layer* layer, Place A, Py_ssize_t panels
) noexcept nogil:
    """A = g(A), for whole panels."""
    cdef Py_ssize_t p, i
    cdef real* row
    for p in range(panels):
        if layer.activation == SOFTMAX:
            activate_panel(A.data + p * A.panel_stride, layer.n_out, SOFTMAX, 0)
            continue
        for i in range(layer.n_out):
            row = A.data + p * A.panel_stride + i * A.row_stride
            activate_run(row, PANEL, layer.activation, layer.slope, row)


cdef bint finite_place(Place A, Py_ssize_t n, Py_ssize_t panels) noexcept nogil:
    """Whether whole panels of n rows hold no NaN and no infinity."""
    cdef Py_ssize_t p, i
    cdef real total = 0
    for p in range(panels):
        for i in range(n):
            total += sum_line(A.data + p * A.panel_stride + i * A.row_stride, PANEL, 0)
    return total == 0


cdef bint dense_forward_columns(
    const Layer* layer, const real* W, const real* b, const Matrix* X, Py_ssize_t first,
    Py_ssize_t count, real* packed, Place A, real* scratch, bint checked,
) noexcept nogil:
    """A = g(W X + b), columns first ... first + count of the caller's X.

    `packed` has room for the panels of X.  The A of softmax must be in panels.  Return False
    where these columns are to be `checked` and are not finite.  In a thin layer Z shows it: a
    NaN or an infinity of X goes through every sum that it enters, even times zero.
    """
    cdef Py_ssize_t whole = count // PANEL if is_thin(layer, X) else 0
    cdef Py_ssize_t rest = first + whole * PANEL
    cdef const real* x = X.data + first * X.column_stride
    cdef Py_ssize_t p
    if checked and not finite_columns(X, rest, first + count - rest):
        return False
    if X.column_stride != 1:
        for p in range(whole):
            thin_examples(
                layer, W, b, x + p * PANEL * X.column_stride, X.column_stride, panel_of(&A, p)
            )
    else:
        thin_lines(layer, W, b, x, X.row_stride, whole, A)
    if checked and not finite_place(A, layer.n_out, whole):
        if not finite_columns(X, first, whole * PANEL):
            return False
    activate_place(layer, A, whole)
    count -= whole * PANEL
    pack(X, NULL, rest, count, count, packed, layer.n_in)
    dense_forward_panels(
        layer, W, b, packed, panel_of(&A, whole), 0, panels_of(count), count, scratch
    )
    return True
