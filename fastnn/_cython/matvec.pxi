# Up to MATVEC_EXAMPLES examples, one by one: matrix-vector products, whose lanes run along the sum.
#
# Each weight is used so little that packing would take longer than the product.


cdef inline void matvec_rows "fastnn_matvec_rows"(
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


cdef void matvec(
    const real* W, const real* b, Py_ssize_t n_in, Py_ssize_t n_out, const real* x, real* z
) noexcept nogil:
    """z = W x + b for one example."""
    cdef Py_ssize_t row = 0
    cdef Py_ssize_t k
    cdef real total
    if n_in >= LANES:
        while row + 8 <= n_out:
            matvec_rows(8, W + row * n_in, n_in, b + row, n_in, x, z + row)
            row += 8
        if row + 4 <= n_out:
            matvec_rows(4, W + row * n_in, n_in, b + row, n_in, x, z + row)
            row += 4
    for row in range(row, n_out):
        if n_in >= LANES:
            matvec_rows(1, W + row * n_in, n_in, b + row, n_in, x, z + row)
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


cdef inline Py_ssize_t whole_registers(Py_ssize_t n) noexcept nogil:
    return (n + LANES - 1) // LANES * LANES


cdef void forward_column(
    const Layer* layer, const real* W, const real* b, const real* x, real* z, real* d
) noexcept nogil:
    """z = g(W x + b) for one example, and d = g'(W x + b) unless it is NULL, but for softmax.

    z and d have room up to a whole register.
    """
    cdef Py_ssize_t n = whole_registers(layer.n_out)
    matvec(W, b, layer.n_in, layer.n_out, x, z)
    if layer.activation == SOFTMAX:
        softmax_column(z, layer.n_out)
        return
    activate_run(z, n, layer.activation, layer.alpha, z, d if is_from_z(layer.activation) else NULL)
    if d != NULL and not is_from_z(layer.activation):
        derivative_run(NULL, z, n, layer.activation, layer.alpha, d)


cdef inline void scaled_row(const real* x, real scale, Py_ssize_t n, real* y) noexcept nogil:
    """y = scale x."""
    cdef Py_ssize_t k = 0
    while k + LANES <= n:
        store(y + k, splat(scale) * load(x + k))
        k += LANES
    for k in range(k, n):
        y[k] = scale * x[k]


cdef inline void add_scaled_row(const real* x, real scale, Py_ssize_t n, real* y) noexcept nogil:
    """y += scale x."""
    cdef Py_ssize_t k = 0
    while k + LANES <= n:
        store(y + k, load(y + k) + splat(scale) * load(x + k))
        k += LANES
    for k in range(k, n):
        y[k] += scale * x[k]


cdef void backward_columns(
    const real* W, Py_ssize_t n_in, Py_ssize_t n_out, const Matrix* dZ, const Matrix* A_prev,
    const Matrix* dA_prev, real scale, real* dW, real* db, real* x, real* dx,
) noexcept nogil:
    """scale * gradients of a layer from up to MATVEC_EXAMPLES examples, one row of W at a time.

    x and dx have room for A_prev and dA_prev, one example after the other.
    """
    cdef Py_ssize_t m = dZ.columns
    cdef Py_ssize_t i, j
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
        if scale != 1:
            db[i] *= scale
            scaled_row(dW + i * n_in, scale, n_in, dW + i * n_in)
    if dA_prev != NULL:
        for j in range(m):
            write_column(dx + j * n_in, j, dA_prev)
