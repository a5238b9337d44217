# What a network is to the kernels, and what one call of it is: plan, data, workspace, control.


cdef struct Plan:
    # The network; it does not change.
    Layer* layers
    Py_ssize_t n_layers
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t widest             # of all layers, the input included
    Py_ssize_t widest_out         # the input not included
    Py_ssize_t features           # rows of A of all layers,
    Py_ssize_t D_features         # and of D
    Py_ssize_t n_parameters
    Py_ssize_t macs               # multiply-adds per example, forward and backward
    Loss loss
    real* theta                   # the flat parameters


cdef struct Data:
    # What the caller gave, and where the results go; NULL what there is not.
    const Matrix* X
    const Matrix* A               # forward: the output,
    bint check_finite             # and whether to refuse an X that is not finite
    const Matrix* Y               # targets
    const Matrix* weights         # of the examples
    const Matrix* dA              # backward: of the output
    const Matrix* dX
    real* gradients               # of cost_and_gradients and backward
    double* costs


cdef struct Training:
    # And for training; a single pass is one batch.
    const uint32_t* order         # of all epochs, or NULL
    Py_ssize_t batch_size
    Py_ssize_t batches            # of an epoch
    Py_ssize_t epochs
    Update update
    bint fused                    # the update is made where dW is summed
    const char* scalars           # of all steps
    Py_ssize_t scalars_stride     # in bytes, from step to step
    Py_ssize_t scalar_stride      # and from one of a step to the next
    Py_ssize_t n_scalars
    real* state
    Py_ssize_t n_state            # elements of it
    bint keeps_finite             # an end that is not finite is taken back
    bint drops                    # there is dropout
    uint64_t seed
    uint64_t first_step


cdef struct Workspace:
    # The working memory of the call, and how the examples are cut to fit into it.
    Py_ssize_t columns            # of a block
    Py_ssize_t summed_columns     # of it, of which gradients and costs are summed at a time
    bint batch_is_block           # else a batch has several blocks,
    Py_ssize_t packed_batches     # and so many batches are packed at a time: 1
    Py_ssize_t parts              # of a block, that the threads take each alone; 0: they share it
    Py_ssize_t layer_buffer       # forward: elements of the panels of one layer
    real* A                       # panels of A of all layers; forward: two layer buffers a thread
    real* D                       # panels of the D that are kept
    real* dZ                      # of two layers, which take turns
    real* dX                      # panels of a block
    real* X                       # panels of the packed batches
    bint has_features             # of X of a batch, see `copy_features`:
    real* features
    real* Y                       # backward: of dA
    real* weights
    real* gradients               # of a batch, where the update is not fused
    real* part_gradients          # of each part
    real* whole_epoch             # the parameters when the epoch began, and the state
    double* panel_costs
    double* part_costs
    double* chunk_sums            # see `take_step`: of two kinds, one after the other
    real* scratch                 # SCRATCH_BYTES for each thread


cdef struct Control:
    # The threads of the call, and whether they are to stop.
    team* team
    bint pays_far                 # even with threads that share no cache
    Py_ssize_t macs               # since thread 0 last looked for Ctrl-C
    int interrupted               # an exception is set, to be raised by the caller
    int refused                   # forward: X is not finite; training: the end is not


cdef struct Job:
    const Plan* plan
    Data data
    Training training
    Workspace work
    Control control


cdef struct Block:
    # Examples that go through the network together, in panels.
    const real* X
    const real* Y                 # or dA
    const real* weights           # or NULL
    const real* features          # of X, or NULL
    Py_ssize_t count
    Py_ssize_t first              # the place of the first one in its batch
    uint64_t step                 # number of the step, for the masks


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


# --- where things are in the working memory -----------------------------------------------------


cdef inline Py_ssize_t scratch_size() noexcept nogil:
    return SCRATCH_BYTES // <Py_ssize_t>sizeof(real)


cdef inline real* scratch_of(Job* job, int thread) noexcept nogil:
    return job.work.scratch + thread * scratch_size()


cdef inline real* A_of(Job* job, Py_ssize_t l) noexcept nogil:
    return job.work.A + job.plan.layers[l].A * job.work.columns


cdef inline real* D_of(Job* job, Py_ssize_t l) noexcept nogil:
    """Panels of D, or NULL where this layer has none in this job."""
    cdef const Layer* layer = &job.plan.layers[l]
    if is_from_z(layer.activation) or (layer.has_D and job.training.drops):
        return job.work.D + layer.D * job.work.columns
    return NULL


cdef inline real* dZ_of(Job* job, Py_ssize_t l) noexcept nogil:
    return job.work.dZ + l % 2 * job.plan.widest_out * job.work.columns


cdef inline const double* scalars_of(
    const Training* training, Py_ssize_t step, double* scalars
) noexcept nogil:
    """The scalars of a step, copied to where its formula can read MAX_SCALARS of them."""
    cdef Py_ssize_t k
    for k in range(MAX_SCALARS):
        scalars[k] = 0
    for k in range(training.n_scalars):
        scalars[k] = (<const double*>(
            training.scalars + step * training.scalars_stride + k * training.scalar_stride
        ))[0]
    return scalars


# --- how the examples are cut -----------------------------------------------------------------


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


cdef inline bint features_pay(const Plan* plan, Py_ssize_t batch_size) noexcept nogil:
    """Whether shuffled batches are best gathered one by one, from contiguous examples, with their
    features kept for dW."""
    cdef const Layer* layer = &plan.layers[0]
    return (
        plan.n_in >= PANEL and batch_size <= BLOCK_COLUMNS
        and shape_of_dW(layer.n_out, layer.n_in, batch_size) == LANES_IN
    )


cdef inline Py_ssize_t sums_of(const Job* job, Py_ssize_t columns) noexcept nogil:
    """How many sums of gradients a batch has in a block of so many columns."""
    cdef Py_ssize_t most = job.work.summed_columns
    return (min(columns, job.training.batch_size) + most - 1) // most


cdef void widen_block(Job* job, int threads) noexcept nogil:
    """Let a block of a large batch have a part for each thread: fewer barriers.

    The sums of the parts stay apart, and are added in their order.  Where the gradients are less
    to write and to read than what they are summed from, each thread does its parts alone.
    """
    cdef Workspace* work = &job.work
    cdef Py_ssize_t parts = sums_of(job, threads * work.summed_columns)
    work.columns *= parts
    if parts > 1 and job.plan.n_parameters <= work.summed_columns * job.plan.features:
        work.parts = parts


cdef void cut_batches(Job* job) noexcept nogil:
    """Fill in the sizes of training, or of one pass forward and backward."""
    cdef const Plan* plan = job.plan
    cdef Workspace* work = &job.work
    cdef Py_ssize_t batch = job.training.batch_size
    cdef Py_ssize_t m = job.data.X.columns
    cdef Py_ssize_t packed = plan.n_in + plan.n_out
    cdef Py_ssize_t computed = plan.features + plan.D_features + 2 * plan.widest_out
    cdef Py_ssize_t room = TRAIN_BLOCK_BYTES
    work.columns = block_columns(batch, packed + computed, TRAIN_BLOCK_BYTES)
    work.summed_columns = work.columns
    work.batch_is_block = batch <= work.columns
    work.packed_batches = 1
    work.has_features = (
        job.training.order != NULL and work.batch_is_block and features_pay(plan, batch)
        and job.data.X.row_stride == 1 and job.data.X.column_stride != 1
    )
    if work.batch_is_block and not work.has_features:
        if job.training.order != NULL:
            room -= m * <Py_ssize_t>sizeof(uint32_t)
        room = max(<Py_ssize_t>MIN_PACKED_BATCHES_BYTES, room) // <Py_ssize_t>sizeof(real)
        room -= work.columns * computed
        work.packed_batches = max(
            1, min(room // (packed * work.columns), (m + batch - 1) // batch)
        )
