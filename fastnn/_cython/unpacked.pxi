# A first layer of up to UNPACKED_ROWS rows, computed from X as it stands.
#
# Each element of X is used so little that packing would take longer than the product.


cdef inline bint is_unpacked(const Layer* layer, const Matrix* X) noexcept nogil:
    """Whether the layer is computed from X as it stands: few rows, and either axis contiguous."""
    return layer.n_out <= UNPACKED_ROWS and (
        X.column_stride == 1 or (X.row_stride == 1 and layer.n_in >= LANES)
    )


cdef inline void add_features "fastnn_add_features"(
    int rows, int features, const real* W, Py_ssize_t n_in, const real* x, Py_ssize_t x_stride,
    Py_ssize_t panels, real* z, Py_ssize_t row_stride, Py_ssize_t panel_stride,
) noexcept nogil:
    """z += W x for some features, each contiguous over all examples of the panels."""
    cdef vector w[UNPACKED_ROWS * 4]
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


cdef inline void unpacked_rows "fastnn_unpacked_rows"(
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


cdef void forward_contiguous_features(
    const Layer* layer, const real* W, const real* b, const real* x, Py_ssize_t x_stride,
    Py_ssize_t panels, OutputView z,
) noexcept nogil:
    """`unpacked_rows`, specialised for each number of rows."""
    cdef Py_ssize_t n = layer.n_in
    if layer.n_out == 1:
        unpacked_rows(1, W, b, n, x, x_stride, panels, z.data, z.row_stride, z.panel_stride)
    elif layer.n_out == 2:
        unpacked_rows(2, W, b, n, x, x_stride, panels, z.data, z.row_stride, z.panel_stride)
    elif layer.n_out == 3:
        unpacked_rows(3, W, b, n, x, x_stride, panels, z.data, z.row_stride, z.panel_stride)


cdef void forward_contiguous_examples(
    const Layer* layer, const real* W, const real* b, const real* x, Py_ssize_t x_stride,
    OutputView z,
) noexcept nogil:
    """z = W x + b for the examples of a panel, each contiguous: dot products, as many at a time
    as `matvec_rows` takes."""
    cdef real bias[PANEL]
    cdef Py_ssize_t i, j
    for i in range(layer.n_out):
        for j in range(PANEL):
            bias[j] = b[i]
        for j from 0 <= j < PANEL by min(8, <int>PANEL):
            matvec_rows(
                8 if PANEL >= 8 else 4, x + j * x_stride, x_stride, bias, layer.n_in,
                W + i * layer.n_in, z.data + i * z.row_stride + j,
            )


cdef void activate_view(const Layer* layer, OutputView A, Py_ssize_t panels) noexcept nogil:
    """A = g(A), for whole panels."""
    cdef Py_ssize_t p, i
    cdef real* row
    for p in range(panels):
        if layer.activation == SOFTMAX:
            activate_panel(A.data + p * A.panel_stride, layer.n_out, SOFTMAX, 0, NULL)
            continue
        for i in range(layer.n_out):
            row = A.data + p * A.panel_stride + i * A.row_stride
            activate_run(row, PANEL, layer.activation, layer.alpha, row, NULL)


cdef bint finite_view(OutputView A, Py_ssize_t n, Py_ssize_t panels) noexcept nogil:
    """Whether whole panels of n rows hold no NaN and no infinity."""
    cdef Py_ssize_t p, i
    for p in range(panels):
        for i in range(n):
            if not finite_line(A.data + p * A.panel_stride + i * A.row_stride, PANEL):
                return False
    return True


cdef bint forward_unpacked(
    const Layer* layer, const real* W, const real* b, const Matrix* X, Py_ssize_t first,
    Py_ssize_t panels, OutputView A, bint check_finite,
) noexcept nogil:
    """A = g(W X + b) for whole panels of columns, from column `first` of X on.

    Return False where X is to be checked and is not finite.  Z shows it: a NaN or an infinity
    of X goes through every sum that it enters, even times zero.
    """
    cdef const real* x = X.data + first * X.column_stride
    cdef Py_ssize_t p
    if X.column_stride == 1:
        forward_contiguous_features(layer, W, b, x, X.row_stride, panels, A)
    else:
        for p in range(panels):
            forward_contiguous_examples(
                layer, W, b, x + p * PANEL * X.column_stride, X.column_stride, view_from(&A, p)
            )
    if check_finite and not finite_view(A, layer.n_out, panels):
        if not finite_columns(X, first, panels * PANEL):  # Z may overflow where X is finite
            return False
    activate_view(layer, A, panels)
    return True
