# Whole networks, a block of examples at a time: forward, and forward and backward.
#
# All threads of a team run the same loops.  Each takes its share of the panels forward and
# backward, then a barrier, each sums its share of the gradients, a barrier again.  Which thread
# does what changes no sum, so the bits are the same for any number of threads.


# --- forward ------------------------------------------------------------------------------


cdef void forward_job(Job* job, int thread) noexcept nogil:
    """A[L] of all examples, a block at a time; the panels of a layer's input and output take
    turns in the two layer buffers of the thread.

    Where X is to be checked, so is each block, when it is about to be read anyway.
    """
    cdef const Plan* plan = job.plan
    cdef const Matrix* X = job.data.X
    cdef const Layer* layer
    cdef real* buffers = job.work.A + thread * 2 * job.work.layer_buffer
    cdef real* x
    cdef real* z
    cdef OutputView output
    cdef Py_ssize_t first, count, l
    cdef bint direct = (
        job.data.A.column_stride == 1 and plan.layers[plan.n_layers - 1].activation != SOFTMAX
    )
    while True:
        first = team_claim(job.control.team) * job.work.columns
        if first >= X.columns:
            return
        count = min(job.work.columns, X.columns - first)
        x, z = buffers, buffers + job.work.layer_buffer
        for l in range(plan.n_layers):
            layer = &plan.layers[l]
            if direct and l == plan.n_layers - 1:
                output = columns_of(job.data.A, first)
            else:
                output = panels_at(z, layer.n_out)
            if l > 0:
                forward_panels(
                    layer, plan.theta + layer.W, plan.theta + layer.b, x, output, 0,
                    panels_of(count), count, scratch_of(job, thread),
                )
            elif not forward_columns(
                layer, plan.theta + layer.W, plan.theta + layer.b, X, first, count, x, output,
                scratch_of(job, thread), job.data.check_finite,
            ):
                raise_flag(&job.control.refused)
                return
            x, z = z, x
        if not direct:
            unpack(x, first, count, job.data.A)
        if thread == 0:
            poll(job, count * job.control.team.size)
        if stopped(job):
            return


# --- a block forward and backward -----------------------------------------------------------


cdef inline real* A_of(Job* job, Py_ssize_t l) noexcept nogil:
    return job.work.A + job.plan.layers[l].A * job.work.columns


cdef inline real* dZ_of(Job* job, Py_ssize_t l) noexcept nogil:
    return job.work.dZ + l % 2 * job.plan.widest_out * job.work.columns


cdef void forward_layers(
    Job* job, const real* X, Py_ssize_t count, Py_ssize_t first, Py_ssize_t stop, int thread
) noexcept nogil:
    """A of every layer, in panels first ... stop; what pads the last of them is zero."""
    cdef const Plan* plan = job.plan
    cdef const Layer* layer
    cdef const real* A_prev = X
    cdef real* A
    cdef Py_ssize_t l
    for l in range(plan.n_layers):
        layer = &plan.layers[l]
        A = A_of(job, l)
        forward_panels(
            layer, plan.theta + layer.W, plan.theta + layer.b, A_prev,
            panels_at(A, layer.n_out), first, stop, count, scratch_of(job, thread),
        )
        if l < plan.n_layers - 1:
            clear_padding(A, layer.n_out, first, stop, count)
        A_prev = A


cdef void backward_layer(
    Job* job, const real* X, Py_ssize_t count, Py_ssize_t l, real scale, real* target, int thread
) noexcept nogil:
    """From dZ of a layer that of the one below, and target += scale * gradients.

    All of the first is there before the first weight may change in the second.
    """
    cdef const Plan* plan = job.plan
    cdef const Layer* layer = &plan.layers[l]
    cdef const real* dZ = dZ_of(job, l)
    cdef const real* A_prev = X
    cdef Py_ssize_t first, stop
    share(panels_of(count), thread, job.control.team.size, &first, &stop)
    if l > 0:
        A_prev = A_of(job, l - 1)
        backward_panels(
            plan.theta + layer.W, layer.n_in, layer.n_out, dZ, A_prev,
            plan.layers[l - 1].activation, plan.layers[l - 1].alpha,
            panels_at(dZ_of(job, l - 1), layer.n_in), first, stop, count, scratch_of(job, thread),
        )
        clear_padding(dZ_of(job, l - 1), layer.n_in, first, stop, count)
    team_barrier(job.control.team, thread)
    add_gradients(
        dZ, layer.n_out, A_prev, layer.n_in, count, scale, target + layer.W, target + layer.b,
        scratch_of(job, thread), thread, job.control.team.size,
    )
    team_barrier(job.control.team, thread)


cdef double run_block(
    Job* job, const real* X, const real* Y, Py_ssize_t count, real scale, real* target,
    int thread, bint* over,
) noexcept nogil:
    """Return, to thread 0, the loss summed over a block; target += scale * gradients.

    `target` is NULL (the cost alone), a vector of gradients, or the parameters themselves, with
    scale = -learning rate / examples: then this is the update too.
    OUT: over, whether this thread is to stop.
    """
    cdef const Plan* plan = job.plan
    cdef const Layer* last = &plan.layers[plan.n_layers - 1]
    cdef Py_ssize_t first, stop, l
    cdef double cost = 0
    share(panels_of(count), thread, job.control.team.size, &first, &stop)
    forward_layers(job, X, count, first, stop, thread)
    output_panels(
        A_of(job, plan.n_layers - 1), Y, last.n_out, count, first, stop, plan.loss,
        last.activation, last.alpha, dZ_of(job, plan.n_layers - 1) if target != NULL else NULL,
        job.work.panel_costs,
    )
    if target != NULL:
        for l in range(plan.n_layers - 1, -1, -1):
            backward_layer(job, X, count, l, scale, target, thread)
    else:
        team_barrier(job.control.team, thread)
    if thread == 0:
        for l in range(panels_of(count)):
            cost += job.work.panel_costs[l]
        poll(job, count)
    over[0] = team_review(job.control.team, thread) or stopped(job)
    return cost


cdef void pack_share(
    Job* job, const Matrix* X, const uint32_t* order, Py_ssize_t first, Py_ssize_t count,
    Py_ssize_t batch_size, real* panels, int thread,
) noexcept nogil:
    """`pack`, each thread some of the features."""
    cdef Matrix part = X[0]
    cdef Py_ssize_t start, stop
    share((X.rows + LINE - 1) // LINE, thread, job.control.team.size, &start, &stop)
    start, stop = start * LINE, min(stop * LINE, X.rows)
    part.data = X.data + start * X.row_stride
    part.rows = stop - start
    if part.rows > 0:
        pack(&part, order, first, count, batch_size, panels + start * PANEL, X.rows)


cdef double run_blocks(
    Job* job, const uint32_t* order, Py_ssize_t first, Py_ssize_t count, real scale, real* target,
    int thread, bint* over,
) noexcept nogil:
    """`run_block` over any number of examples, packed piece by piece."""
    cdef Py_ssize_t done, width
    cdef double cost = 0
    for done from 0 <= done < count by job.work.columns:
        width = min(job.work.columns, count - done)
        pack_share(job, job.data.X, order, first + done, width, width, job.work.X, thread)
        pack_share(job, job.data.Y, order, first + done, width, width, job.work.Y, thread)
        team_barrier(job.control.team, thread)
        cost += run_block(job, job.work.X, job.work.Y, width, scale, target, thread, over)
        if over[0]:
            break
    return cost


cdef void gradients_job(Job* job, int thread) noexcept nogil:
    """The cost of all examples, and their gradients unless these are NULL."""
    cdef Py_ssize_t m = job.data.X.columns
    cdef bint over = False
    cdef double cost = run_blocks(
        job, NULL, 0, m, <real>1 / <real>max(m, 1), job.data.gradients, thread, &over
    )
    if thread == 0:
        job.data.costs[0] = cost / max(m, 1)
