# What a network is to the kernels, and what one call of it is: plan, data, workspace, control.


cdef struct Plan:
    # The network; it does not change.
    Layer* layers
    Py_ssize_t n_layers
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t widest             # of all layers, the input included
    Py_ssize_t widest_out         # the input not included
    Py_ssize_t features           # rows of A of all layers
    Py_ssize_t n_parameters
    Py_ssize_t macs               # multiply-adds per example, forward and backward
    int loss
    real* theta                   # the flat parameters


cdef struct Data:
    # What the caller gave, and where the results go.
    const Matrix* X
    const Matrix* Y               # targets,
    const Matrix* A               # or, forward: the output
    bint check_finite             # forward: refuse an X that is not finite
    const uint32_t* order         # of all epochs, or NULL
    Py_ssize_t batch_size
    Py_ssize_t epochs
    double learning_rate
    real* gradients               # or NULL: the cost alone
    double* costs


cdef struct Workspace:
    # The working memory of the call, and how the examples are cut to fit into it.
    Py_ssize_t columns            # of a block
    bint batch_is_block           # else a batch has several blocks,
    Py_ssize_t packed_batches     # and so many batches are packed at a time: 1
    Py_ssize_t layer_buffer       # forward: elements of the panels of one layer
    real* A                       # panels of A of all layers; forward: two layer buffers a thread
    real* dZ                      # of two layers, which take turns
    real* X                       # panels of the packed batches
    real* Y
    real* gradients               # of a batch that has several blocks
    real* whole_epoch             # the parameters when the epoch began
    double* panel_costs
    real* scratch                 # SCRATCH_BYTES for each thread


cdef struct Control:
    # The threads of the call, and whether they are to stop.
    team* team
    Py_ssize_t macs               # since thread 0 last looked for Ctrl-C
    int interrupted               # an exception is set, to be raised by the caller
    int refused                   # forward: X is not finite


cdef struct Job:
    const Plan* plan
    Data data
    Workspace work
    Control control


cdef inline bint stopped(Job* job) noexcept nogil:
    return is_raised(&job.control.interrupted) or is_raised(&job.control.refused)


cdef void poll(Job* job, Py_ssize_t count) noexcept nogil:
    """Thread 0 looks for Ctrl-C whenever enough has been done since its last look."""
    job.control.macs += count * job.plan.macs + job.plan.n_parameters
    if job.control.macs > POLL_MACS:
        job.control.macs = 0
        with gil:
            if PyErr_CheckSignals() != 0:  # the exception stays set until it is raised
                raise_flag(&job.control.interrupted)


# --- how the examples are cut -----------------------------------------------------------------


cdef inline Py_ssize_t scratch_size() noexcept nogil:
    return SCRATCH_BYTES // <Py_ssize_t>sizeof(real)


cdef inline real* scratch_of(Job* job, int thread) noexcept nogil:
    return job.work.scratch + thread * scratch_size()


cdef inline Py_ssize_t block_columns(
    Py_ssize_t m, Py_ssize_t elements_per_column, Py_ssize_t size, Py_ssize_t most=BLOCK_COLUMNS
) noexcept nogil:
    """Columns of a block: a multiple of PANEL, even shares of m, within `size` bytes."""
    cdef Py_ssize_t room = size // (<Py_ssize_t>sizeof(real) * max(elements_per_column, 1))
    most = max(PANEL, min(most, room) // PANEL * PANEL)
    cdef Py_ssize_t blocks = max(1, (m + most - 1) // most)
    return panels_of((m + blocks - 1) // blocks) * PANEL


cdef void cut_forward(Job* job) noexcept nogil:
    """Fill in the sizes of a forward pass."""
    cdef const Plan* plan = job.plan
    cdef Workspace* work = &job.work
    cdef Py_ssize_t m = job.data.X.columns
    cdef Py_ssize_t packed_columns
    if is_unpacked(&plan.layers[0], job.data.X):  # X is read in long pieces, but for the last
        work.columns = block_columns(
            m, 2 * plan.widest_out, FORWARD_BLOCK_BYTES,
            UNPACKED_ELEMENTS // max(plan.layers[0].n_out, 1),
        )
        packed_columns = PANEL
    else:
        work.columns = block_columns(m, 2 * plan.widest, FORWARD_BLOCK_BYTES)
        packed_columns = work.columns
    work.layer_buffer = max(plan.widest_out * work.columns, plan.n_in * packed_columns)


cdef void cut_batches(Job* job) noexcept nogil:
    """Fill in the sizes of training, or of one pass forward and backward."""
    cdef const Plan* plan = job.plan
    cdef Workspace* work = &job.work
    cdef Py_ssize_t batch = job.data.batch_size
    cdef Py_ssize_t m = job.data.X.columns
    cdef Py_ssize_t packed = plan.n_in + plan.n_out
    cdef Py_ssize_t computed = plan.features + 2 * plan.widest_out
    cdef Py_ssize_t room = TRAIN_BLOCK_BYTES
    work.columns = block_columns(batch, packed + computed, TRAIN_BLOCK_BYTES)
    work.batch_is_block = batch <= work.columns
    work.packed_batches = 1
    if work.batch_is_block:
        if job.data.order != NULL:
            room -= m * <Py_ssize_t>sizeof(uint32_t)
        room = max(<Py_ssize_t>MIN_PACKED_BATCHES_BYTES, room) // <Py_ssize_t>sizeof(real)
        room -= work.columns * computed
        work.packed_batches = max(
            1, min(room // (packed * work.columns), (m + batch - 1) // batch)
        )
