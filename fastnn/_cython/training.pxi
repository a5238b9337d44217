# Epochs of gradient descent: batches, and their updates.


cdef double epoch_of_large_batches(
    Job* job, const uint32_t* order, int thread, bint* over
) noexcept nogil:
    """One epoch, returning the sum of the batch costs, where a batch has several blocks.

    OUT: over, whether this thread is to stop.
    """
    cdef Py_ssize_t first, count, i, start, stop
    cdef double total = 0
    cdef real learning_rate = <real>job.data.learning_rate
    cdef real* gradients = job.work.gradients
    for first from 0 <= first < job.data.X.columns by job.data.batch_size:
        count = min(job.data.batch_size, job.data.X.columns - first)
        share(job.plan.n_parameters, thread, job.control.team.size, &start, &stop)
        memset(gradients + start, 0, (stop - start) * sizeof(real))
        total += run_blocks(
            job, order, first, count, <real>1 / <real>count, gradients, thread, over
        ) / count
        if over[0]:
            break
        share(job.plan.n_parameters, thread, job.control.team.size, &start, &stop)
        for i in range(start, stop):
            job.plan.theta[i] -= learning_rate * gradients[i]
        team_barrier(job.control.team, thread)
    return total


cdef double epoch_of_small_batches(
    Job* job, const uint32_t* order, bint is_packed, int thread, bint* over
) noexcept nogil:
    """One epoch, returning the sum of the batch costs, where a batch is one block.

    Several batches are packed at a time, unless all are already; the update is made where dW is
    summed.
    """
    cdef Py_ssize_t m = job.data.X.columns
    cdef Py_ssize_t batch_size = job.data.batch_size
    cdef Py_ssize_t together = job.work.packed_batches * batch_size
    cdef Py_ssize_t first, batch, count
    cdef double total = 0
    for first from 0 <= first < m by together:
        if not is_packed:
            count = min(together, m - first)
            pack_share(job, job.data.X, order, first, count, batch_size, job.work.X, thread)
            pack_share(job, job.data.Y, order, first, count, batch_size, job.work.Y, thread)
            team_barrier(job.control.team, thread)
        for batch in range(job.work.packed_batches):
            count = min(batch_size, m - first - batch * batch_size)
            if count <= 0:
                break
            total += run_block(
                job, job.work.X + batch * job.plan.n_in * job.work.columns,
                job.work.Y + batch * job.plan.n_out * job.work.columns, count,
                <real>(-job.data.learning_rate / count), job.plan.theta, thread, over,
            ) / count
            if over[0]:
                return total
    return total


cdef void train_job(Job* job, int thread) noexcept nogil:
    """All epochs; if interrupted, the parameters are those of an unfinished one."""
    cdef Py_ssize_t m = job.data.X.columns
    cdef Py_ssize_t batches = (m + job.data.batch_size - 1) // job.data.batch_size
    cdef const uint32_t* order = job.data.order
    cdef double total
    cdef Py_ssize_t epoch
    cdef bint is_packed = False
    cdef bint over = False
    for epoch in range(job.data.epochs):
        if thread == 0:
            memcpy(job.work.whole_epoch, job.plan.theta, job.plan.n_parameters * sizeof(real))
        team_barrier(job.control.team, thread)
        if job.work.batch_is_block:
            total = epoch_of_small_batches(job, order, is_packed, thread, &over)
            is_packed = order == NULL and job.work.packed_batches == batches
        else:
            total = epoch_of_large_batches(job, order, thread, &over)
        if over:
            return
        if thread == 0:
            job.data.costs[epoch] = total / max(batches, 1)
        if order != NULL:
            order += m
