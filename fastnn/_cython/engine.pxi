# Whole networks, a block of examples at a time: forward, and forward and backward.
#
# All threads of a team run the same loops.  Each takes its share of the panels forward and
# backward, then a barrier, each sums its share of the gradients, a barrier again.  Large batches of
# small networks are cut into parts instead, which a thread does alone but for the addition of its
# gradients (`run_parts`).  Which thread does what changes no sum, so the bits are the same for any
# number of threads.


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
                    layer, plan.theta + layer.W, plan.theta + layer.b, x, output,
                    NULL, 0, panels_of(count), count, scratch_of(job, thread),
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


cdef void drop_units(
    Job* job, const Block* block, Py_ssize_t l, real* A, real* D, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """The masks of dropout on A and D of a layer, in panels first ... stop."""
    cdef const Layer* layer = &job.plan.layers[l]
    cdef uint64_t stream = mix64(
        mix64(job.training.seed + block.step * GOLDEN) + <uint64_t>(l + 1)
    )
    cdef Py_ssize_t size = layer.n_out * PANEL
    cdef Py_ssize_t panel
    for panel in range(first, stop):
        mask_panel(
            stream, layer.keep, layer.n_out, block.first + panel * PANEL, A + panel * size,
            D + panel * size,
        )


cdef void forward_layers(
    Job* job, const Block* block, bint keep_D, Py_ssize_t first, Py_ssize_t stop, int thread
) noexcept nogil:
    """A of every layer, and D where the job has it, in panels first ... stop; what pads the last
    of them is zero."""
    cdef const Plan* plan = job.plan
    cdef const Layer* layer
    cdef const real* A_prev = block.X
    cdef real* A
    cdef real* D
    cdef Py_ssize_t l
    for l in range(plan.n_layers):
        layer = &plan.layers[l]
        A = A_of(job, l)
        D = D_of(job, l) if keep_D else NULL
        forward_panels(
            layer, plan.theta + layer.W, plan.theta + layer.b, A_prev, panels_at(A, layer.n_out),
            D, first, stop, block.count, scratch_of(job, thread),
        )
        if job.training.drops and layer.keep < 1:
            drop_units(job, block, l, A, D, first, stop)
        if l < plan.n_layers - 1:
            clear_padding(A, layer.n_out, first, stop, block.count)
        A_prev = A


cdef void backward_to_input(
    Job* job, const Block* block, const Matrix* dX, Py_ssize_t first, Py_ssize_t stop, int thread
) noexcept nogil:
    """dX = W[1]^T dZ[1], in panels first ... stop."""
    cdef const Plan* plan = job.plan
    cdef Py_ssize_t column = block.first + first * PANEL
    cdef Py_ssize_t size = plan.n_in * PANEL
    cdef bint direct = dX.column_stride == 1
    if first == stop:
        return
    backward_panels(
        plan.theta, plan.n_in, plan.layers[0].n_out, dZ_of(job, 0), NULL, NULL, NULL,
        columns_of(dX, block.first) if direct else panels_at(job.work.dX, plan.n_in), first, stop,
        block.count, scratch_of(job, thread),
    )
    if not direct:
        unpack(
            job.work.dX + first * size, column, min(stop * PANEL, block.count) - first * PANEL, dX
        )


cdef void backward_layer(
    Job* job, const Block* block, Py_ssize_t l, real scale, real* target, int thread
) noexcept nogil:
    """From dZ of a layer that of the one below, and target += scale * gradients, unless NULL.

    All of the first is there before the first weight may change in the second.
    """
    cdef const Plan* plan = job.plan
    cdef const Layer* layer = &plan.layers[l]
    cdef const real* dZ = dZ_of(job, l)
    cdef const real* A_prev = block.X
    cdef real* dZ_prev
    cdef Py_ssize_t first, stop
    cdef Py_ssize_t summed = job.work.summed_columns
    share(panels_of(block.count), thread, job.control.team.size, &first, &stop)
    if l > 0:
        A_prev, dZ_prev = A_of(job, l - 1), dZ_of(job, l - 1)
        backward_panels(
            plan.theta + layer.W, layer.n_in, layer.n_out, dZ, &plan.layers[l - 1], A_prev,
            D_of(job, l - 1), panels_at(dZ_prev, layer.n_in), first, stop, block.count,
            scratch_of(job, thread),
        )
        clear_padding(dZ_prev, layer.n_in, first, stop, block.count)
    elif job.data.dX != NULL:
        backward_to_input(job, block, job.data.dX, first, stop, thread)
    team_barrier(job.control.team, thread)
    if target != NULL:
        for first from 0 <= first < block.count by summed:
            add_gradients(
                dZ + first * layer.n_out, layer.n_out, A_prev + first * layer.n_in, layer.n_in,
                min(summed, block.count - first), block.features if l == 0 else NULL, scale,
                target + layer.W, target + layer.b, scratch_of(job, thread), thread,
                job.control.team.size,
            )
    team_barrier(job.control.team, thread)


cdef bint end_of_block(Job* job, Py_ssize_t count, int thread) noexcept nogil:
    """A barrier; return whether this thread is to stop."""
    if thread == 0:
        poll(job, count)
    return team_review(job.control.team, thread) or stopped(job)


cdef void add_costs(const Workspace* work, Py_ssize_t count, double* cost) noexcept nogil:
    """cost += that of each panel, of which those that are summed together are added first."""
    cdef Py_ssize_t start, p
    cdef double part
    for start from 0 <= start < count by work.summed_columns:
        part = 0
        for p in range(start // PANEL, panels_of(min(start + work.summed_columns, count))):
            part += work.panel_costs[p]
        cost[0] += part


cdef void run_block(
    Job* job, const Block* block, real scale, real* target, int thread, double* cost, bint* over
) noexcept nogil:
    """cost += the loss summed over a block, for thread 0; target += scale * gradients.

    `target` is NULL (the cost alone), a vector of gradients, or the parameters themselves, with
    scale = -learning rate / examples: then this is the update too.
    OUT: over, whether this thread is to stop.
    """
    cdef const Plan* plan = job.plan
    cdef Py_ssize_t top = plan.n_layers - 1
    cdef bint backward = target != NULL
    cdef Output out
    cdef Py_ssize_t first, stop, l
    share(panels_of(block.count), thread, job.control.team.size, &first, &stop)
    forward_layers(job, block, backward, first, stop, thread)
    out.n, out.activation = plan.n_out, plan.layers[top].activation
    out.alpha = plan.layers[top].alpha
    out.A, out.D = A_of(job, top), D_of(job, top)
    out.Y, out.weights, out.dZ = block.Y, block.weights, dZ_of(job, top) if backward else NULL
    output_panels(&out, &plan.loss, block.count, first, stop, job.work.panel_costs)
    if backward:
        for l in range(top, -1, -1):
            backward_layer(job, block, l, scale, target, thread)
    else:
        team_barrier(job.control.team, thread)
    if thread == 0:
        add_costs(&job.work, block.count, cost)
    over[0] = end_of_block(job, block.count, thread)


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


cdef void pack_examples(
    Job* job, const uint32_t* order, Py_ssize_t first, Py_ssize_t count, Py_ssize_t batch_size,
    int thread,
) noexcept nogil:
    """X, and Y and the weights or dA where there are any, of some examples, and a barrier."""
    cdef const Matrix* Y = job.data.Y if job.data.Y != NULL else job.data.dA
    cdef Py_ssize_t start, stop
    if job.work.has_features:
        share(panels_of(job.plan.n_in), thread, job.control.team.size, &start, &stop)
        copy_features(job.data.X, order + first, count, start, stop, job.work.features)
        pack_features(job.work.features, job.plan.n_in, count, start, stop, job.work.X)
    else:
        pack_share(job, job.data.X, order, first, count, batch_size, job.work.X, thread)
    if Y != NULL:
        pack_share(job, Y, order, first, count, batch_size, job.work.Y, thread)
    if job.data.weights != NULL:
        pack_share(job, job.data.weights, order, first, count, batch_size, job.work.weights, thread)
    team_barrier(job.control.team, thread)


cdef inline Block packed_block(Job* job, Py_ssize_t batch, Py_ssize_t count) noexcept nogil:
    """The block of the packed batch of this number."""
    cdef Block block
    cdef Py_ssize_t columns = batch * job.work.columns
    block.X = job.work.X + columns * job.plan.n_in
    block.Y = job.work.Y + columns * job.plan.n_out
    block.weights = job.work.weights + columns if job.data.weights != NULL else NULL
    block.features = job.work.features if job.work.has_features else NULL
    block.count, block.first, block.step = count, 0, 0
    return block


cdef Job job_of_part(Job* job, Py_ssize_t part, int thread, team* alone) noexcept nogil:
    """The job of one thread that has a part of every block to itself."""
    cdef Job own = job[0]
    cdef Workspace* work = &own.work
    work.columns = work.summed_columns
    cdef Py_ssize_t columns = part * work.columns
    work.A += job.plan.features * columns
    work.D += job.plan.D_features * columns
    work.dZ += 2 * job.plan.widest_out * columns
    work.X += job.plan.n_in * columns
    work.Y += job.plan.n_out * columns
    if job.data.weights != NULL:
        work.weights += columns
    work.panel_costs += panels_of(columns)
    work.scratch = scratch_of(job, thread)
    memset(alone, 0, sizeof(team))
    alone.size = 1
    own.control.team = alone
    own.control.macs = PY_SSIZE_T_MIN  # Ctrl-C is not for this thread
    return own


cdef double run_part(
    Job* job, const uint32_t* order, Py_ssize_t first, Py_ssize_t count, Py_ssize_t place,
    uint64_t step, real* gradients,
) noexcept nogil:
    """Return the loss summed over a part, whose place in its batch is given.  OUT: gradients."""
    cdef double cost = 0
    cdef bint over
    cdef Block block
    memset(gradients, 0, job.plan.n_parameters * sizeof(real))
    pack_examples(job, order, first, count, count, 0)
    block = packed_block(job, 0, count)
    block.first, block.step = place, step
    run_block(job, &block, 1, gradients, 0, &cost, &over)
    return cost


cdef void add_parts(
    Job* job, Py_ssize_t parts, real scale, real* target, int thread
) noexcept nogil:
    """target += scale * gradients of each part, in their order: this thread's share."""
    cdef Py_ssize_t part, first, stop, i
    cdef const real* gradients = job.work.part_gradients
    share(job.plan.n_parameters, thread, job.control.team.size, &first, &stop)
    for part in range(parts):
        for i in range(first, stop):
            target[i] += scale * gradients[i]
        gradients += job.plan.n_parameters


cdef double run_parts(
    Job* job, const uint32_t* order, Py_ssize_t first, Py_ssize_t count, uint64_t step,
    real scale, real* target, int thread, bint* over,
) noexcept nogil:
    """`run_blocks`, where each thread does its parts of a block alone."""
    cdef team alone
    cdef Job own
    cdef Py_ssize_t done, start, part, parts
    cdef Py_ssize_t columns = job.work.summed_columns
    cdef double cost = 0
    for done from 0 <= done < count by job.work.columns:
        parts = (min(job.work.columns, count - done) + columns - 1) // columns
        for part from thread <= part < parts by job.control.team.size:
            own = job_of_part(job, part, thread, &alone)
            start = done + part * columns
            job.work.part_costs[part] = run_part(
                &own, order, first + start, min(columns, count - start), start, step,
                job.work.part_gradients + part * job.plan.n_parameters,
            )
        team_barrier(job.control.team, thread)
        add_parts(job, parts, scale, target, thread)
        if thread == 0:
            for part in range(parts):
                cost += job.work.part_costs[part]
        over[0] = end_of_block(job, min(job.work.columns, count - done), thread)
        if over[0]:
            break
    return cost


cdef double run_blocks(
    Job* job, const uint32_t* order, Py_ssize_t first, Py_ssize_t count, uint64_t step,
    real scale, real* target, int thread, bint* over,
) noexcept nogil:
    """`run_block` over any number of examples, packed piece by piece."""
    cdef Block block
    cdef Py_ssize_t done, width
    cdef double cost = 0
    if job.work.parts > 0 and target != NULL:
        return run_parts(job, order, first, count, step, scale, target, thread, over)
    for done from 0 <= done < count by job.work.columns:
        width = min(job.work.columns, count - done)
        pack_examples(job, order, first + done, width, width, thread)
        block = packed_block(job, 0, width)
        block.first, block.step = done, step
        run_block(job, &block, scale, target, thread, &cost, over)
        if over[0]:
            break
    return cost


# --- jobs -------------------------------------------------------------------------------------


cdef double total_of(
    const Matrix* weights, const uint32_t* order, Py_ssize_t first, Py_ssize_t count
) noexcept nogil:
    """What sums over these examples are divided by: their number, or the sum of their weights,
    or 1 where that is 0."""
    cdef double total = 0
    cdef Py_ssize_t j
    if weights == NULL:
        total = count
    else:
        for j in range(first, first + count):
            total += weights.data[
                weights.column_stride * (<Py_ssize_t>order[j] if order != NULL else j)
            ]
    return total if total != 0 else 1


cdef void gradients_job(Job* job, int thread) noexcept nogil:
    """The cost of all examples, and their gradients unless these are NULL."""
    cdef Py_ssize_t m = job.data.X.columns
    cdef double total = total_of(job.data.weights, NULL, 0, m)
    cdef bint over = False
    cdef double cost = run_blocks(
        job, NULL, 0, m, 0, <real>1 / <real>total, job.data.gradients, thread, &over
    )
    if thread == 0:
        job.data.costs[0] = cost / total


cdef Block forward_one_block(
    Job* job, Py_ssize_t start, int thread, Py_ssize_t* first, Py_ssize_t* stop
) noexcept nogil:
    """The block of examples from `start` on, packed, with A and D of every layer.

    OUT: first and stop, the panels of this thread's share.
    """
    cdef Py_ssize_t count = min(job.work.columns, job.data.X.columns - start)
    cdef Block block
    pack_examples(job, NULL, start, count, job.work.columns, thread)
    block = packed_block(job, 0, count)
    block.first, block.step = start, job.training.first_step
    share(panels_of(count), thread, job.control.team.size, first, stop)
    forward_layers(job, &block, True, first[0], stop[0], thread)
    return block


cdef void backward_output(
    Job* job, const Block* block, Py_ssize_t first, Py_ssize_t stop
) noexcept nogil:
    """dZ of the output layer from dA, in panels first ... stop."""
    cdef const Plan* plan = job.plan
    cdef Py_ssize_t top = plan.n_layers - 1
    cdef const Layer* last = &plan.layers[top]
    cdef Py_ssize_t size = plan.n_out * PANEL
    cdef Py_ssize_t p
    cdef real* dZ = dZ_of(job, top)
    for p in range(first, stop):
        backward_panel(
            block.Y + p * size, A_of(job, top) + p * size, moved(D_of(job, top), p * size),
            plan.n_out, last.activation, last.alpha, dZ + p * size,
        )
    clear_padding(dZ, plan.n_out, first, stop, block.count)


cdef void masked_forward_job(Job* job, int thread) noexcept nogil:
    """A[L] of all examples, with dropout."""
    cdef Py_ssize_t top = job.plan.n_layers - 1
    cdef Py_ssize_t start, first, stop
    cdef Block block
    for start from 0 <= start < job.data.X.columns by job.work.columns:
        block = forward_one_block(job, start, thread, &first, &stop)
        if first < stop:
            unpack(
                A_of(job, top) + first * job.plan.n_out * PANEL, start + first * PANEL,
                min(stop * PANEL, block.count) - first * PANEL, job.data.A,
            )
        if end_of_block(job, block.count, thread):
            return


cdef void backward_job(Job* job, int thread) noexcept nogil:
    """From dA of the output the gradients, summed over all examples, and dX; each unless NULL."""
    cdef const Plan* plan = job.plan
    cdef Py_ssize_t m = job.data.X.columns
    cdef Py_ssize_t top = plan.n_layers - 1
    cdef Py_ssize_t start, first, stop, l
    cdef Block block
    for start from 0 <= start < m by job.work.columns:
        block = forward_one_block(job, start, thread, &first, &stop)
        backward_output(job, &block, first, stop)
        for l in range(top, -1, -1):
            backward_layer(job, &block, l, 1, job.data.gradients, thread)
        if end_of_block(job, block.count, thread):
            return
