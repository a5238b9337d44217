# The class Network: its plan, and the entry points, which fill in a job and run it.


cdef int unpack_layers(Plan* plan, layer_sizes, activations, slopes) except -1:
    """Fill in the plan's layers and what follows from them.  `plan.layers` has room for them."""
    cdef Layer* layer
    cdef Py_ssize_t l
    for l in range(plan.n_layers):
        layer = &plan.layers[l]
        layer.n_in, layer.n_out = layer_sizes[l], layer_sizes[l + 1]
        layer.activation, layer.alpha = known(activations[l], ACTIVATION_CODES), slopes[l]
        layer.A = plan.features
        plan.features += layer.n_out
        plan.widest_out = max(plan.widest_out, layer.n_out)
        layer.W = plan.n_parameters
        layer.b = layer.W + layer.n_in * layer.n_out
        plan.n_parameters = layer.b + layer.n_out
        plan.macs += 3 * layer.n_in * layer.n_out
    plan.n_in, plan.n_out = layer_sizes[0], layer_sizes[plan.n_layers]
    plan.widest = max(plan.n_in, plan.widest_out)
    return 0


cdef inline bint is_plain(X, int type_number, Py_ssize_t rows):
    """Whether X is an ndarray of this dtype, (rows, m >= 1), aligned and native."""
    if not cnp.PyArray_CheckExact(X):
        return False
    cdef cnp.ndarray array = <cnp.ndarray>X
    return (
        cnp.PyArray_TYPE(array) == type_number
        and cnp.PyArray_NDIM(array) == 2
        and cnp.PyArray_DIM(array, 0) == rows
        and cnp.PyArray_DIM(array, 1) > 0
        and cnp.PyArray_ISBEHAVED_RO(array)
    )


@cython.final
cdef class Network:
    """A network of L layers on one flat parameter vector.

    Parameters
    ----------
    layer_sizes : tuple of int
        (n[0], ..., n[L]).
    activations, slopes : tuple
        L codes and L floats.
    loss : int
        Code of the loss.
    parameters : ndarray
        Flat: W[1] row by row, b[1], W[2], b[2], ...  Held, not copied: what the caller
        writes there is what the network computes with.
    """

    cdef readonly object layer_sizes
    cdef readonly object parameters
    cdef Plan plan
    cdef int type_number
    cdef WorkingMemory memory
    cdef real* column          # two columns of activations for a single example

    def __cinit__(self, layer_sizes, activations, slopes, int loss, parameters):
        cdef Plan* plan = &self.plan
        self.layer_sizes = tuple(layer_sizes)
        self.parameters = parameters
        self.type_number = cnp.PyArray_TYPE(<cnp.ndarray>parameters)
        self.memory = WorkingMemory.__new__(WorkingMemory)
        plan.theta = flat(parameters)
        plan.n_layers = len(activations)
        plan.loss = known(loss, LOSS_CODES)
        plan.layers = <Layer*>allocate(plan.n_layers * sizeof(Layer) // sizeof(real) + 1)
        unpack_layers(plan, self.layer_sizes, activations, slopes)
        self.column = <real*>allocate(2 * (plan.widest + LANES))
        memset(self.column, 0, 2 * (plan.widest + LANES) * sizeof(real))

    def __dealloc__(self):
        release(self.plan.layers)
        release(self.column)

    # --- forward ------------------------------------------------------------------------------

    def try_forward(self, X, int threads=1):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite.  Else None, and the caller converts X or says what is wrong with it."""
        if not is_plain(X, self.type_number, self.plan.n_in):
            return None
        cdef Matrix x = matrix(X)
        cdef cnp.npy_intp shape[2]
        shape[0] = self.plan.n_out
        shape[1] = x.columns
        result = cnp.PyArray_SimpleNew(2, shape, self.type_number)
        cdef Matrix a = matrix(result)
        return result if self.forward_into(&x, &a, threads, True) else None

    def forward(self, X, A, int threads=1):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m)."""
        cdef Matrix x = matrix(X)
        cdef Matrix a = matrix(A)
        self.forward_into(&x, &a, threads, False)

    cdef int forward_into(
        self, const Matrix* X, const Matrix* A, int threads, bint check_finite
    ) except -1:
        """Return whether A is there: not where X is to be checked and is not finite."""
        cdef Py_ssize_t j
        if X.columns > MATVEC_EXAMPLES:
            return self.forward_blocks(X, A, threads, check_finite)
        if check_finite and not finite_matrix(X):
            return False
        for j in range(X.columns):
            self.forward_example(X, j, A)
        return True

    cdef void forward_example(self, const Matrix* X, Py_ssize_t j, const Matrix* A) noexcept:
        """Example j, held in two small buffers: a layer reads one and writes the other."""
        cdef const Plan* plan = &self.plan
        cdef const Layer* layer
        cdef real* x = self.column
        cdef real* z = x + plan.widest + LANES
        cdef Py_ssize_t l
        read_column(X, j, x)
        for l in range(plan.n_layers):
            layer = &plan.layers[l]
            forward_column(layer, plan.theta + layer.W, plan.theta + layer.b, x, z)
            x, z = z, x
        write_column(x, j, A)

    cdef int forward_blocks(
        self, const Matrix* X, const Matrix* A, int threads, bint check_finite
    ) except -1:
        cdef Job job
        cdef Workspace* work = &job.work
        cdef Py_ssize_t macs = X.columns * self.plan.macs // 3
        cdef Py_ssize_t blocks
        memset(&job, 0, sizeof(job))
        job.plan, job.data.X, job.data.A = &self.plan, X, A
        job.data.check_finite = check_finite
        cut_forward(&job)
        blocks = (X.columns + work.columns - 1) // work.columns
        threads = useful_threads(<int>min(<Py_ssize_t>threads, blocks), macs, macs)
        cdef Room[2] rooms = [
            room(&work.A, threads * 2 * work.layer_buffer),
            room(&work.scratch, threads * scratch_size()),
        ]
        self.run(&job, forward_job, threads, False, rooms, 2)
        return not job.control.refused

    # --- forward and backward -------------------------------------------------------------------

    def cost_and_gradients(self, X, Y, gradients, int threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        cdef Matrix x = matrix(X)
        cdef Matrix y = matrix(Y)
        cdef double cost = 0
        cdef Job job
        memset(&job, 0, sizeof(job))
        job.data.X, job.data.Y, job.data.costs = &x, &y, &cost
        job.data.batch_size = max(1, x.columns)
        if gradients is not None:
            job.data.gradients = flat(gradients)
            memset(job.data.gradients, 0, self.plan.n_parameters * sizeof(real))
        self.run_batches(&job, gradients_job, threads, x.columns)
        return cost

    def train(self, X, Y, order, Py_ssize_t batch_size, double learning_rate, costs, int threads=1):
        """Gradient descent in place: ``W <- W - alpha dW``, ``b <- b - alpha db``.

        One epoch for each element of `costs`, in batches of `batch_size` columns, the
        last one smaller where m is not a multiple.  ``order`` is None (the columns as
        they come) or uint32, (len(costs), m): the columns in each epoch's order.
        Ctrl-C raises KeyboardInterrupt within half a second and leaves the parameters
        of the last whole epoch.
        OUT: costs, float64: the mean of the batch costs as computed in each epoch.
        """
        cdef Matrix x = matrix(X)
        cdef Matrix y = matrix(Y)
        cdef Job job
        memset(&job, 0, sizeof(job))
        job.data.X, job.data.Y, job.data.learning_rate = &x, &y, learning_rate
        job.data.costs = <double*>cnp.PyArray_DATA(<cnp.ndarray>costs)
        job.data.epochs = cnp.PyArray_DIM(<cnp.ndarray>costs, 0)
        job.data.batch_size = max(1, min(batch_size, x.columns))
        if order is not None:
            job.data.order = <const uint32_t*>cnp.PyArray_DATA(<cnp.ndarray>order)
        self.run_batches(&job, train_job, threads, x.columns * job.data.epochs)

    cdef int run_batches(self, Job* job, Run run, int threads, Py_ssize_t examples) except -1:
        """Cut the examples into blocks and run the job, which sees `examples` in all."""
        cdef const Plan* plan = &self.plan
        cdef Workspace* work = &job.work
        job.plan = plan
        cut_batches(job)
        threads = useful_threads(
            threads, min(work.columns, job.data.batch_size) * plan.macs, examples * plan.macs
        )
        cdef Py_ssize_t packed = work.columns * work.packed_batches
        cdef Room[8] rooms = [
            room(&work.A, plan.features * work.columns),
            room(&work.dZ, 2 * plan.widest_out * work.columns),
            room(&work.X, plan.n_in * packed),
            room(&work.Y, plan.n_out * packed),
            room(<real**>&work.panel_costs, 2 * panels_of(work.columns)),
            room(&work.gradients, plan.n_parameters),
            room(&work.whole_epoch, plan.n_parameters),
            room(&work.scratch, threads * scratch_size()),
        ]
        return self.run(job, run, threads, True, rooms, 8)

    cdef int run(
        self, Job* job, Run run, int threads, bint has_barriers, const Room* rooms, int count
    ) except -1:
        """Run the job with working memory for the rooms, which is given back on every path."""
        cdef real* memory = self.memory.acquire_workspace(rooms, count)
        try:
            run_team(job, run, threads, has_barriers)
            if job.control.interrupted:
                if job.data.epochs > 0:
                    memcpy(
                        self.plan.theta, job.work.whole_epoch,
                        self.plan.n_parameters * sizeof(real),
                    )
                raise_pending()
        finally:
            self.memory.release_workspace(memory)
        return 0
