# Epochs: the steps of an optimizer, one for each batch.


cdef void clear_share(Job* job, int thread) noexcept nogil:
    """This thread's share of the gradients zero; a barrier lies between this and their sums."""
    cdef Py_ssize_t first, stop
    share(job.plan.n_parameters, thread, job.control.team.size, &first, &stop)
    memset(job.work.gradients + first, 0, (stop - first) * sizeof(real))


cdef inline Py_ssize_t chunks_of(Py_ssize_t n) noexcept nogil:
    return (n + CHUNK_ELEMENTS - 1) // CHUNK_ELEMENTS


cdef void penalize_run(
    Job* job, real l2, Py_ssize_t first, Py_ssize_t stop, double* squares
) noexcept nogil:
    """dW += l2 W for parameters first ... stop.  OUT: squares, + sum(W^2)."""
    cdef const Plan* plan = job.plan
    cdef real* gradients = job.work.gradients
    cdef Py_ssize_t l, i, start, end
    for l in range(plan.n_layers):
        start, end = max(first, plan.layers[l].W), min(stop, plan.layers[l].b)
        if start < end:
            squares[0] += sum_of_squares(plan.theta + start, end - start)
            for i in range(start, end):
                gradients[i] += l2 * plan.theta[i]


cdef double penalize_and_clip(Job* job, double l2, int thread, real* scale) noexcept nogil:
    """The gradients with the derivative of the penalty.  Return the penalty l2 / 2 sum(W^2).

    OUT: scale, the factor that makes them no longer than they may be.
    """
    cdef const Update* update = &job.training.update
    cdef Py_ssize_t n = job.plan.n_parameters
    cdef Py_ssize_t chunks = chunks_of(n)
    cdef double* of_weights = job.work.chunk_sums
    cdef double* of_gradients = of_weights + chunks
    cdef bint clips = update.clip_norm < INFINITY
    cdef Py_ssize_t chunk, first, stop, start, end
    cdef double weights = 0
    cdef double gradients = 0
    share(chunks, thread, job.control.team.size, &first, &stop)
    for chunk in range(first, stop):
        start, end = chunk * CHUNK_ELEMENTS, min((chunk + 1) * CHUNK_ELEMENTS, n)
        of_weights[chunk] = of_gradients[chunk] = 0
        if l2 != 0:
            penalize_run(job, <real>l2, start, end, &of_weights[chunk])
        if clips:
            of_gradients[chunk] = sum_of_squares(job.work.gradients + start, end - start)
    team_barrier(job.control.team, thread)
    for chunk in range(chunks):
        weights += of_weights[chunk]
        gradients += of_gradients[chunk]
    gradients = sqrt(gradients)
    scale[0] = 1
    if clips and gradients > update.clip_norm:
        scale[0] = <real>(update.clip_norm / gradients)
    return l2 / 2 * weights


cdef void update_share(Job* job, const double* scalars, real scale, int thread) noexcept nogil:
    """The update of this thread's share of the parameters, from `scale` times the gradients;
    weights decay, biases do not."""
    cdef const Plan* plan = job.plan
    cdef const Training* training = &job.training
    cdef Py_ssize_t first, stop, l, k, start, end
    cdef Py_ssize_t bounds[3]
    share(plan.n_parameters, thread, job.control.team.size, &first, &stop)
    if training.update.decay == 0:
        update_line(
            &training.update, scalars, False, plan.theta + first, job.work.gradients + first, scale,
            training.state + first if training.state != NULL else NULL, plan.n_parameters,
            stop - first,
        )
        return
    for l in range(plan.n_layers):
        bounds[0], bounds[1] = plan.layers[l].W, plan.layers[l].b
        bounds[2] = bounds[1] + plan.layers[l].n_out
        for k in range(2):
            start, end = max(first, bounds[k]), min(stop, bounds[k + 1])
            if start < end:
                update_line(
                    &training.update, scalars, k == 0, plan.theta + start,
                    job.work.gradients + start, scale,
                    training.state + start if training.state != NULL else NULL,
                    plan.n_parameters, end - start,
                )


cdef double take_step(
    Job* job, const double* scalars, double total, int thread
) noexcept nogil:
    """The update from the gradients of a batch, and a barrier.  Return the penalty.

    total: what the sums over its examples were divided by.
    """
    cdef const Update* update = &job.training.update
    cdef double l2 = update.l2 / total if update.per_example else update.l2
    cdef double penalty = 0
    cdef real scale = 1
    if l2 != 0 or update.clip_norm < INFINITY:
        penalty = penalize_and_clip(job, l2, thread, &scale)
    update_share(job, scalars, scale, thread)
    team_barrier(job.control.team, thread)
    return penalty


cdef void update_job(Job* job, int thread) noexcept nogil:
    """The second half of a step, from gradients that the caller gave."""
    cdef double scalars[MAX_SCALARS]
    job.data.costs[0] = take_step(job, scalars_of(&job.training, 0, scalars), 1, thread)


cdef inline double share_of(const Training* training, Py_ssize_t count) noexcept nogil:
    """What the cost of a batch of `count` examples counts in that of the epoch."""
    return <double>count if training.update.per_example else 1


cdef double epoch_of_large_batches(
    Job* job, const uint32_t* order, Py_ssize_t step, int thread, bint* over
) noexcept nogil:
    """One epoch, returning the sum of the batches' costs times shares, where a batch has several
    blocks.

    step: the number of its first step in this call.
    OUT: over, whether this thread is to stop.
    """
    cdef const Training* training = &job.training
    cdef Py_ssize_t m = job.data.X.columns
    cdef double scalars[MAX_SCALARS]
    cdef Py_ssize_t first, count
    cdef double total, cost
    cdef double costs = 0
    for first from 0 <= first < m by training.batch_size:
        count = min(training.batch_size, m - first)
        total = total_of(job.data.weights, order, first, count)
        clear_share(job, thread)
        cost = run_blocks(
            job, order, first, count, training.first_step + <uint64_t>step,
            <real>1 / <real>total, job.work.gradients, thread, over,
        ) / total
        if over[0]:
            break
        cost += take_step(job, scalars_of(training, step, scalars), total, thread)
        costs += share_of(training, count) * cost
        step += 1
    return costs


cdef double epoch_of_small_batches(
    Job* job, const uint32_t* order, bint is_packed, Py_ssize_t step, int thread, bint* over
) noexcept nogil:
    """One epoch, returning the sum of the batches' costs times shares, where a batch is one block.

    Several batches are packed at a time, unless all are already.  Plain gradient descent is
    fused: the update is made where dW is summed.
    """
    cdef const Training* training = &job.training
    cdef Py_ssize_t m = job.data.X.columns
    cdef Py_ssize_t batch_size = training.batch_size
    cdef Py_ssize_t together = job.work.packed_batches * batch_size
    cdef double scalars[MAX_SCALARS]
    cdef Py_ssize_t first, batch, count, start
    cdef double total, cost
    cdef double costs = 0
    cdef real scale
    cdef real* target
    cdef Block block
    for first from 0 <= first < m by together:
        if not is_packed:
            pack_examples(job, order, first, min(together, m - first), batch_size, thread)
        for batch in range(job.work.packed_batches):
            start = first + batch * batch_size
            count = min(batch_size, m - start)
            if count <= 0:
                break
            block = packed_block(job, batch, count)
            block.step = training.first_step + <uint64_t>step
            total = total_of(job.data.weights, order, start, count)
            scalars_of(training, step, scalars)
            cost = 0
            if training.fused:
                scale, target = <real>(-scalars[0] / total), job.plan.theta
            else:
                scale, target = <real>1 / <real>total, job.work.gradients
                clear_share(job, thread)
            run_block(job, &block, scale, target, thread, &cost, over)
            if over[0]:
                return costs
            cost /= total
            if not training.fused:
                cost += take_step(job, scalars, total, thread)
            costs += share_of(training, count) * cost
            step += 1
    return costs


cdef void save_epoch(Job* job) noexcept nogil:
    cdef Py_ssize_t n = job.plan.n_parameters
    memcpy(job.work.whole_epoch, job.plan.theta, n * sizeof(real))
    if job.training.n_state > 0:
        memcpy(job.work.whole_epoch + n, job.training.state, job.training.n_state * sizeof(real))


cdef void restore_epoch(Job* job) noexcept nogil:
    cdef Py_ssize_t n = job.plan.n_parameters
    memcpy(job.plan.theta, job.work.whole_epoch, n * sizeof(real))
    if job.training.n_state > 0:
        memcpy(job.training.state, job.work.whole_epoch + n, job.training.n_state * sizeof(real))


cdef bint is_finite_epoch(const Job* job) noexcept nogil:
    """Whether the last cost, the parameters and the state are."""
    return (
        isfinite(job.data.costs[job.training.epochs - 1])
        and finite_line(job.plan.theta, job.plan.n_parameters)
        and finite_line(job.training.state, job.training.n_state)
    )


cdef void train_job(Job* job, int thread) noexcept nogil:
    """All epochs; if interrupted, the parameters are those of an unfinished one."""
    cdef const Training* training = &job.training
    cdef const uint32_t* order = training.order
    cdef Py_ssize_t epoch, step
    cdef Py_ssize_t shares = job.data.X.columns if training.update.per_example else training.batches
    cdef double costs
    cdef bint is_packed = False
    cdef bint over = False
    for epoch in range(training.epochs):
        step = epoch * training.batches
        if thread == 0:
            save_epoch(job)
        team_barrier(job.control.team, thread)
        if job.work.batch_is_block:
            costs = epoch_of_small_batches(job, order, is_packed, step, thread, &over)
            is_packed = order == NULL and job.work.packed_batches == training.batches
        else:
            costs = epoch_of_large_batches(job, order, step, thread, &over)
        if over:
            return
        if thread == 0:
            job.data.costs[epoch] = costs / max(shares, 1)
        if order != NULL:
            order += job.data.X.columns
