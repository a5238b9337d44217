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


cdef void combine_rows(
    const Layer* layer, const real* W, const real* factors, const real* d, real* row
) noexcept nogil:
    """row = sum over k of factors[k] d[k] W[k], where d NULL is 1."""
    cdef Py_ssize_t k
    cdef real factor
    memset(row, 0, layer.n_in * sizeof(real))
    for k in range(layer.n_out):
        factor = factors[k] * d[k] if d != NULL else factors[k]
        add_scaled_row(W + k * layer.n_in, factor, layer.n_in, row)


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
        for i in range(plan.n_out):
            combine_rows(
                layer, plan.theta + layer.W, upper + i * layer.n_out,
                NULL if l == plan.n_layers - 1 else d, lower + i * layer.n_in,
            )
        swapped, upper = upper, lower
        lower = swapped
