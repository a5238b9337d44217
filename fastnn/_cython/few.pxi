# Products too small for panels: a single example, and a first layer of few rows.
#
# Each weight, or each number of X, is used so little that packing would take longer than the
# product.


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


cdef enum:
    # Up to so many rows are computed from X as it stands.
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
    Py_ssize_t panels, Place z,
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
    for i in range(layer.n_out):
        for j in range(PANEL):
            bias[j] = b[i]
        for j from 0 <= j < PANEL by min(8, <int>PANEL):
            column_rows(
                8 if PANEL >= 8 else 4, x + j * x_stride, x_stride, bias, layer.n_in,
                W + i * layer.n_in, z.data + i * z.row_stride + j,
            )


cdef void activate_place(const Layer* layer, Place A, Py_ssize_t panels) noexcept nogil:
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
