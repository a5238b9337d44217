# Whole networks: blocks of examples through all layers and back, by one thread or a team.
#
# All threads of a team run the same loops.  Each takes its share of the panels forward and
# back, they meet, each sums its share of the gradients, they meet again.  Which thread does
# what changes no sum, so the bits are the same for any number of threads.


cdef struct Plan:
    Layer* layers
    Py_ssize_t n_layers
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t widest             # of all layers, the input included
    Py_ssize_t widest_out         # the input not included
    Py_ssize_t features           # rows of A of all layers
    Py_ssize_t n_parameters
    Py_ssize_t multiplications    # per example, forward and back
    int loss
    real* theta                   # the flat parameters


cdef struct Job:
    # One call: what to do, where, and with whom.
    const Plan* plan
    const Matrix* X
    const Matrix* Y               # for `forward_job` the output
    const uint32_t* order
    Py_ssize_t batch_size
    Py_ssize_t columns            # of a block
    Py_ssize_t half               # forward: numbers of the panels of one layer
    Py_ssize_t window_batches     # packed at a time; 0 where a batch has several blocks
    Py_ssize_t epochs
    double learning_rate
    real* scratch                 # SCRATCH_BYTES for each thread
    real* memory                  # panels of A of a block
    real* dZ                      # of two layers, which take turns
    real* X_window                # panels of the next batches
    real* Y_window
    real* gradients
    real* whole_epoch             # the parameters when the epoch began
    double* panel_costs
    double* costs
    Py_ssize_t work               # multiplications since the last look for Ctrl-C
    bint stop
    bint checked                  # X is not known to be finite,
    bint refused                  # and is not
    team* team


cdef void poll(Job* job, Py_ssize_t count) noexcept nogil:
    """Thread 0 looks for Ctrl-C whenever enough has been done since its last look."""
    job.work += count * job.plan.multiplications + job.plan.n_parameters
    if job.work > POLL_WORK:
        job.work = 0
        with gil:
            job.stop = PyErr_CheckSignals() != 0  # the exception stays set until it is raised


# --- forward ------------------------------------------------------------------------------


cdef void forward_job(Job* job, int thread) noexcept nogil:
    """A[L] of all examples, a block at a time; the panels of a layer's input and output take
    turns in two halves of the thread's memory.

    Where X is to be checked, so is each block, when it is about to be read anyway.
    """
    cdef const Plan* plan = job.plan
    cdef const Layer* layer
    cdef real* memory = job.memory + thread * 2 * job.half
    cdef real* x
    cdef real* z
    cdef Place place
    cdef Py_ssize_t first, count, l
    cdef bint direct = (
        job.Y.column_stride == 1 and plan.layers[plan.n_layers - 1].activation != SOFTMAX
    )
    while True:
        first = team_claim(job.team) * job.columns
        if first >= job.X.columns:
            return
        count = min(job.columns, job.X.columns - first)
        x, z = memory, memory + job.half
        for l in range(plan.n_layers):
            layer = &plan.layers[l]
            if direct and l == plan.n_layers - 1:
                place = columns_of(job.Y, first)
            else:
                place = panels_at(z, layer.n_out)
            if l == 0:
                if not dense_forward_columns(
                    layer, plan.theta + layer.W, plan.theta + layer.b, job.X, first, count, x,
                    place, scratch_of(job, thread), job.checked,
                ):
                    job.refused = True
                    return
            else:
                dense_forward_panels(
                    layer, plan.theta + layer.W, plan.theta + layer.b, x, place, 0,
                    panels_of(count), count, scratch_of(job, thread),
                )
            x, z = z, x
        if not direct:
            unpack(x, first, count, job.Y)
        if thread == 0:
            poll(job, count * job.team.size)
        if job.stop or job.refused:
            return


# --- forward and back ---------------------------------------------------------------------


cdef inline real* scratch_of(Job* job, int thread) noexcept nogil:
    return job.scratch + thread * (SCRATCH_BYTES // sizeof(real))


cdef inline real* dZ_of(Job* job, Py_ssize_t l) noexcept nogil:
    return job.dZ + l % 2 * job.plan.widest_out * job.columns


cdef void forward_panels(
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
        A = job.memory + layer.A * job.columns
        dense_forward_panels(
            layer, plan.theta + layer.W, plan.theta + layer.b, A_prev,
            panels_at(A, layer.n_out), first, stop, count, scratch_of(job, thread),
        )
        if l < plan.n_layers - 1:
            clear_padding(A, layer.n_out, first, stop, count)
        A_prev = A


cdef void backward_layer(
    Job* job, const real* X, Py_ssize_t count, Py_ssize_t l, real scale, real* sums, int thread
) noexcept nogil:
    """From dZ of a layer that of the one below, and sums += scale * gradients.

    All of the first is there before the first weight may change in the second.
    """
    cdef const Plan* plan = job.plan
    cdef const Layer* layer = &plan.layers[l]
    cdef Py_ssize_t panels = panels_of(count)
    cdef const real* dZ = dZ_of(job, l)
    cdef const real* A_prev = X
    cdef Py_ssize_t first, stop
    share(panels, thread, job.team.size, &first, &stop)
    if l > 0:
        A_prev = job.memory + plan.layers[l - 1].A * job.columns
        backward_panels(
            plan.theta + layer.W, layer.n_in, layer.n_out, dZ, A_prev,
            plan.layers[l - 1].activation, plan.layers[l - 1].slope,
            panels_at(dZ_of(job, l - 1), layer.n_in), first, stop, count, scratch_of(job, thread),
        )
        clear_padding(dZ_of(job, l - 1), layer.n_in, first, stop, count)
    team_meet(job.team, thread)
    add_gradients(
        dZ, layer.n_out, A_prev, layer.n_in, count, scale, sums + layer.W, sums + layer.b,
        scratch_of(job, thread), thread, job.team.size,
    )
    team_meet(job.team, thread)


cdef double run_block(
    Job* job, const real* X, const real* Y, Py_ssize_t count, real scale, real* sums, int thread,
    bint* over,
) noexcept nogil:
    """Return, to thread 0, the loss summed over a block; sums += scale * gradients, unless NULL.

    `sums` may be the parameters themselves.  OUT: over, whether this thread is to stop.
    """
    cdef const Plan* plan = job.plan
    cdef const Layer* last = &plan.layers[plan.n_layers - 1]
    cdef Py_ssize_t first, stop, l
    cdef double cost = 0
    share(panels_of(count), thread, job.team.size, &first, &stop)
    forward_panels(job, X, count, first, stop, thread)
    output_panels(
        job.memory + last.A * job.columns, Y, last.n_out, count, first, stop, plan.loss,
        last.activation, last.slope, dZ_of(job, plan.n_layers - 1) if sums != NULL else NULL,
        job.panel_costs,
    )
    if sums != NULL:
        for l in range(plan.n_layers - 1, -1, -1):
            backward_layer(job, X, count, l, scale, sums, thread)
    else:
        team_meet(job.team, thread)
    if thread == 0:
        for l in range(panels_of(count)):
            cost += job.panel_costs[l]
        poll(job, count)
    over[0] = team_review(job.team, thread) or job.stop
    return cost


cdef void pack_share(
    Job* job, const Matrix* X, Py_ssize_t first, Py_ssize_t count, Py_ssize_t batch_size,
    real* panels, int thread,
) noexcept nogil:
    """`pack`, each thread some of the features."""
    cdef Matrix part = X[0]
    cdef Py_ssize_t start, stop
    cdef Py_ssize_t line = 64 // sizeof(real)
    share((X.rows + line - 1) // line, thread, job.team.size, &start, &stop)
    start, stop = start * line, min(stop * line, X.rows)
    part.data = X.data + start * X.row_stride
    part.rows = stop - start
    if part.rows > 0:
        pack(&part, job.order, first, count, batch_size, panels + start * PANEL, X.rows)


cdef double run_blocks(
    Job* job, Py_ssize_t first, Py_ssize_t count, real scale, real* sums, int thread, bint* over
) noexcept nogil:
    """`run_block` over any number of examples, packed piece by piece."""
    cdef Py_ssize_t done, width
    cdef double cost = 0
    for done from 0 <= done < count by job.columns:
        width = min(job.columns, count - done)
        pack_share(job, job.X, first + done, width, width, job.X_window, thread)
        pack_share(job, job.Y, first + done, width, width, job.Y_window, thread)
        team_meet(job.team, thread)
        cost += run_block(job, job.X_window, job.Y_window, width, scale, sums, thread, over)
        if over[0]:
            break
    return cost


cdef void gradients_job(Job* job, int thread) noexcept nogil:
    """The cost of all examples, and their gradients unless these are NULL."""
    cdef bint over = False
    cdef double cost = run_blocks(
        job, 0, job.X.columns, <real>1 / <real>max(job.X.columns, 1), job.gradients, thread, &over
    )
    if thread == 0:
        job.costs[0] = cost / max(job.X.columns, 1)


# --- gradient descent ---------------------------------------------------------------------


cdef double epoch_of_large_batches(Job* job, int thread, bint* over) noexcept nogil:
    """One epoch, returning the sum of the batch costs, where a batch has several blocks.

    OUT: over, whether this thread is to stop.
    """
    cdef Py_ssize_t first, count, i, start, stop
    cdef double total = 0
    cdef real learning_rate = <real>job.learning_rate
    for first from 0 <= first < job.X.columns by job.batch_size:
        count = min(job.batch_size, job.X.columns - first)
        share(job.plan.n_parameters, thread, job.team.size, &start, &stop)
        memset(job.gradients + start, 0, (stop - start) * sizeof(real))
        total += run_blocks(
            job, first, count, <real>1 / <real>count, job.gradients, thread, over
        ) / count
        if over[0]:
            break
        share(job.plan.n_parameters, thread, job.team.size, &start, &stop)
        for i in range(start, stop):
            job.plan.theta[i] -= learning_rate * job.gradients[i]
        team_meet(job.team, thread)
    return total


cdef double epoch_of_small_batches(
    Job* job, bint packed, int thread, bint* over
) noexcept nogil:
    """One epoch, returning the sum of the batch costs, where a batch is one block.

    The window holds the next batches, packed; the update is made where dW is summed.
    """
    cdef Py_ssize_t first, batch, count
    cdef Py_ssize_t window = job.window_batches * job.batch_size
    cdef double total = 0
    for first from 0 <= first < job.X.columns by window:
        if not packed:
            count = min(window, job.X.columns - first)
            pack_share(job, job.X, first, count, job.batch_size, job.X_window, thread)
            pack_share(job, job.Y, first, count, job.batch_size, job.Y_window, thread)
            team_meet(job.team, thread)
        for batch in range(job.window_batches):
            count = min(job.batch_size, job.X.columns - first - batch * job.batch_size)
            if count <= 0:
                break
            total += run_block(
                job, job.X_window + batch * job.plan.n_in * job.columns,
                job.Y_window + batch * job.plan.n_out * job.columns, count,
                <real>(-job.learning_rate / count), job.plan.theta, thread, over,
            ) / count
            if over[0]:
                return total
    return total


cdef void train_job(Job* job, int thread) noexcept nogil:
    """All epochs; where `stop` is set the parameters are those of an unfinished one."""
    cdef Py_ssize_t m = job.X.columns
    cdef Py_ssize_t batches = (m + job.batch_size - 1) // job.batch_size
    cdef const uint32_t* order = job.order
    cdef double total
    cdef Py_ssize_t e
    cdef bint packed = False
    cdef bint over = False
    for e in range(job.epochs):
        if thread == 0:
            job.order = order + e * m if order != NULL else NULL
            memcpy(job.whole_epoch, job.plan.theta, job.plan.n_parameters * sizeof(real))
        team_meet(job.team, thread)
        if job.window_batches:
            total = epoch_of_small_batches(job, packed, thread, &over)
            packed = order == NULL and job.window_batches == batches
        else:
            total = epoch_of_large_batches(job, thread, &over)
        if over:
            return
        if thread == 0:
            job.costs[e] = total / max(batches, 1)


# --- teams --------------------------------------------------------------------------------

ctypedef void (*Run)(Job*, int) noexcept nogil


@cython.final
cdef class Team:
    """What the threads of a call share; each helper runs this object.

    It outlives the call: a helper that comes too late finds here that it is.
    """

    cdef team team
    cdef Job* job
    cdef Run run

    def __call__(self):
        cdef int thread
        with nogil:
            thread = team_join(&self.team)
            if thread:
                self.run(self.job, thread)
                team_leave(&self.team)


cdef int run_team(Job* job, Run run, int threads, bint meets) except -1:
    """Run the job, in which threads meet or do not, on up to `threads` of them; fewer where no
    more can be started.

    Afterwards, where the job has been stopped, an exception is set but not yet raised.
    """
    cdef Team together = Team.__new__(Team)
    cdef int helpers = 0
    job.team, together.job, together.run = &together.team, job, run
    try:
        while helpers < threads - 1:
            start_new_thread(together, ())
            helpers += 1
    except RuntimeError:
        pass
    with nogil:
        team_open(job.team, helpers, meets)
        run(job, 0)
        team_close(job.team)
    return 0


cdef int useful_threads(int threads, Py_ssize_t part, Py_ssize_t whole) except -1:
    """How many threads pay for multiplications of `part` between meetings and `whole` in all.

    Starting a thread takes some 50 microseconds and a meeting one; both must be small.  A
    thread without a processor of its own would only make the others wait.
    """
    threads = <int>min(<Py_ssize_t>threads, part // 250000)
    if threads <= 1 or whole < THREADS_WORK:
        return 1
    processors = len(sched_getaffinity(0)) if sched_getaffinity else os.cpu_count() or 1
    return min(threads, <int>processors)
