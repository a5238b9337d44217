# The derivatives of the outputs with respect to the inputs, of each example.
#
# Forward once, and back for each output: panels of examples, or for a few of them one by one.


cdef void jacobian_job(Job* job, int thread) noexcept nogil:
    """dA[L] / dX: forward once, and back for each output, whose dA is 1."""
    cdef Py_ssize_t top = job.plan.n_layers - 1
    cdef Py_ssize_t size = job.plan.n_out * PANEL
    cdef Py_ssize_t start, first, stop, i, p, l, lane
    cdef real* dA
    cdef Matrix dX
    cdef Block block
    for start from 0 <= start < job.data.X.columns by job.work.columns:
        block = forward_one_block(job, start, thread, &first, &stop)
        for i in range(job.plan.n_out):
            for p in range(first, stop):
                dA = <real*>block.Y + p * size
                memset(dA, 0, size * sizeof(real))
                for lane in range(PANEL):
                    dA[i * PANEL + lane] = 1
            backward_output(job, &block, first, stop)
            for l in range(top, 0, -1):
                backward_layer(job, &block, l, 1, NULL, thread)
            dX = job.data.dX[0]
            dX.data += i * job.plan.n_in
            backward_to_input(job, &block, &dX, first, stop, thread)
            team_barrier(job.control.team, thread)  # dZ of the next output may lie where this did
        if end_of_block(job, block.count * job.plan.n_out, thread):
            return


cdef void output_rows(const Layer* layer, const real* a, const real* d, real* rows) noexcept nogil:
    """rows[i, k] = da_i / dz_k of the output layer."""
    cdef Py_ssize_t n = layer.n_out
    cdef Py_ssize_t i, k
    for i in range(n):
        for k in range(n):
            if layer.activation == SOFTMAX:
                rows[i * n + k] = a[i] * ((i == k) - a[k])
            else:
                rows[i * n + k] = d[i] if i == k else 0


cdef inline void combined_rows "fastnn_combined_rows"(
    int rows, int registers, const real* factors, Py_ssize_t n, const real* W, Py_ssize_t n_in,
    real* combined,
) noexcept nogil:
    """combined[i] = sum over k < n of factors[i, k] W[k], `registers` registers of `rows` rows.

    The rows of W and of `combined` are n_in apart; the sums stay in registers.
    """
    cdef vector total[12]
    cdef vector w
    cdef Py_ssize_t k
    cdef int i, r
    for i in range(rows * registers):
        total[i] = splat(0)
    for k in range(n):
        for r in range(registers):
            w = load(W + k * n_in + r * LANES)
            for i in range(rows):
                total[i * registers + r] = total[i * registers + r] + splat(factors[i * n + k]) * w
    for i in range(rows):
        for r in range(registers):
            store(combined + i * n_in + r * LANES, total[i * registers + r])


cdef void combine_columns(
    int registers, Py_ssize_t rows, const real* factors, Py_ssize_t n, const real* W,
    Py_ssize_t n_in, real* combined,
) noexcept nogil:
    """`combined_rows` for any number of rows, in 1 or 4 registers."""
    cdef Py_ssize_t i = 0
    while i < rows:
        if i + 3 <= rows:
            if registers == 4:
                combined_rows(3, 4, factors + i * n, n, W, n_in, combined + i * n_in)
            else:
                combined_rows(3, 1, factors + i * n, n, W, n_in, combined + i * n_in)
            i += 3
        else:
            if registers == 4:
                combined_rows(1, 4, factors + i * n, n, W, n_in, combined + i * n_in)
            else:
                combined_rows(1, 1, factors + i * n, n, W, n_in, combined + i * n_in)
            i += 1


cdef void combine_short_rows(
    Py_ssize_t rows, const real* factors, Py_ssize_t n, const real* W, Py_ssize_t n_in,
    real* combined,
) noexcept nogil:
    """combined = factors W where the rows of W, and of `combined`, are shorter than a register."""
    cdef vector total[4]
    cdef vector w
    cdef real part[LANES]
    cdef const real* factor[4]
    cdef Py_ssize_t i, j, k
    # From here on a whole register would reach beyond W.
    cdef Py_ssize_t last = max(<Py_ssize_t>0, n - (LANES - 1) // n_in)
    memset(part, 0, sizeof(part))
    for i from 0 <= i < rows by 4:
        for j in range(4):
            total[j] = splat(0)
            factor[j] = factors + min(i + j, rows - 1) * n  # past the last: again, not stored
        for k in range(n):
            if k < last:
                w = load(W + k * n_in)
            else:
                memcpy(part, W + k * n_in, n_in * sizeof(real))
                w = load(part)
            for j in range(4):
                total[j] = total[j] + splat(factor[j][k]) * w
        for j in range(min(<Py_ssize_t>4, rows - i)):
            store(part, total[j])
            memcpy(combined + (i + j) * n_in, part, n_in * sizeof(real))


cdef void combine_rows(
    Py_ssize_t rows, const real* factors, Py_ssize_t n, const real* W, Py_ssize_t n_in,
    real* combined,
) noexcept nogil:
    """combined (rows, n_in) = factors (rows, n) W (n, n_in), all contiguous."""
    cdef Py_ssize_t column = 0
    if n_in < LANES:
        combine_short_rows(rows, factors, n, W, n_in, combined)
        return
    while column + 4 * LANES <= n_in:
        combine_columns(4, rows, factors, n, W + column, n_in, combined + column)
        column += 4 * LANES
    while column < n_in:
        column = min(column, n_in - LANES)  # the last register: some columns once more
        combine_columns(1, rows, factors, n, W + column, n_in, combined + column)
        column += LANES


cdef void scale_columns(const real* d, Py_ssize_t n, Py_ssize_t rows, real* x) noexcept nogil:
    """x[i, k] *= d[k]."""
    cdef Py_ssize_t i, k
    for i in range(rows):
        for k in range(n):
            x[i * n + k] *= d[k]


cdef void jacobian_column(
    const Plan* plan, real* A, real* D, real* rows, real* J
) noexcept nogil:
    """J = dA[L] / dx, (n[L], n[0]), of the example with which A begins.

    A has room for the activations of all layers, D for their derivatives, each up to a whole
    register; `rows` for two matrices of n[L] rows.
    """
    cdef const Layer* layer
    cdef real* x = A
    cdef real* d = D
    cdef real* swapped
    cdef real* upper = rows
    cdef real* lower = rows + plan.n_out * plan.widest
    cdef Py_ssize_t l, i
    for l in range(plan.n_layers):
        layer = &plan.layers[l]
        A = x + whole_registers(layer.n_in)
        forward_column(layer, plan.theta + layer.W, plan.theta + layer.b, x, A, d)
        x, d = A, d + whole_registers(layer.n_out)
    output_rows(layer, x, d - whole_registers(layer.n_out), upper)
    for l in range(plan.n_layers - 1, -1, -1):
        layer = &plan.layers[l]
        d -= whole_registers(layer.n_out)
        lower = J if l == 0 else lower
        if l < plan.n_layers - 1:
            scale_columns(d, layer.n_out, plan.n_out, upper)
        combine_rows(
            plan.n_out, upper, layer.n_out, plan.theta + layer.W, layer.n_in, lower
        )
        swapped, upper = upper, lower
        lower = swapped
