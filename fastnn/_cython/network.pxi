# The class Network: its plan, and the entry points, which fill in a job and run it.


cdef int unpack_layers(Plan* plan, layers) except -1:
    """Fill in the plan's layers from their specifications, and what follows from them."""
    cdef Layer* layer
    cdef Py_ssize_t l
    for l in range(plan.n_layers):
        layer = &plan.layers[l]
        n_in, n_out, activation, alpha, keep = layers[l]
        layer.n_in, layer.n_out, layer.alpha, layer.keep = n_in, n_out, alpha, keep
        layer.activation = checked_activation(activation)
        layer.A = plan.features
        plan.features += layer.n_out
        layer.has_D = is_from_z(layer.activation) or layer.keep < 1
        layer.D = plan.D_features
        plan.D_features += layer.n_out if layer.has_D else 0
        layer.W = plan.n_parameters
        layer.b = layer.W + layer.n_in * layer.n_out
        plan.n_parameters = layer.b + layer.n_out
        plan.macs += 3 * layer.n_in * layer.n_out
        plan.n_in = layer.n_in if l == 0 else plan.n_in
        plan.n_out = layer.n_out
        plan.widest_out = max(plan.widest_out, layer.n_out)
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


cdef struct Span:
    # The addresses of an array, from the first byte to the one behind the last.
    const char* first
    const char* stop


cdef inline Span span_of(const Matrix* x) noexcept nogil:
    """Of an array that is not empty."""
    cdef Py_ssize_t down = (x.rows - 1) * x.row_stride
    cdef Py_ssize_t along = (x.columns - 1) * x.column_stride
    cdef Span span
    span.first = <const char*>(x.data + min(down, 0) + min(along, 0))
    span.stop = <const char*>(x.data + max(down, 0) + max(along, 0) + 1)
    return span


cdef inline bint are_apart(Span x, Span y) noexcept nogil:
    """Whether two arrays have no byte in common, by their spans."""
    return x.stop <= y.first or y.stop <= x.first


cdef bint are_allowed(const Matrix* Y, int targets) noexcept nogil:
    """Whether targets, which are finite, hold what a loss allows."""
    cdef Py_ssize_t i, j
    cdef real y, low, high
    cdef double total
    if targets < NON_NEGATIVE:
        return True
    for j in range(Y.columns):
        total, low, high = 0, 0, 0
        for i in range(Y.rows):
            y = Y.data[i * Y.row_stride + j * Y.column_stride]
            total += y
            low, high = min(low, y), max(high, y)
        if low < 0 or (targets >= PROBABILITIES and high > 1):
            return False
        if targets == DISTRIBUTIONS and not -TOLERANCE <= total - 1 <= TOLERANCE:
            return False
    return True


cdef bint any_positive(const Matrix* weights) noexcept nogil:
    """Whether one of the weights of the examples is not 0."""
    cdef Py_ssize_t j
    for j in range(weights.columns):
        if weights.data[j * weights.column_stride] > 0:
            return True
    return False


@cython.final
cdef class Network:
    """A network of L layers on one flat parameter vector.

    Parameters
    ----------
    layers : tuple of LayerSpec
    loss : LossSpec
    parameters : ndarray
        Flat: W[1] row by row, b[1], W[2], b[2], ...  Held, not copied: what the caller
        writes there is what the network computes with.
    """

    cdef readonly object layers
    cdef readonly object loss
    cdef readonly object parameters
    cdef Plan plan
    cdef int type_number
    cdef int targets           # what the loss allows
    cdef WorkingMemory memory
    cdef real* column          # two columns of activations for a single example
    cdef Span span             # of the parameters

    def __cinit__(self, layers, loss, parameters):
        cdef Plan* plan = &self.plan
        self.layers, self.loss, self.parameters = layers, loss, parameters
        self.type_number = cnp.PyArray_TYPE(<cnp.ndarray>parameters)
        self.memory = WorkingMemory.__new__(WorkingMemory)
        plan.theta = flat(parameters)
        plan.n_layers = len(layers)
        plan.layers = <Layer*>allocate(plan.n_layers * sizeof(Layer) // sizeof(real) + 1)
        plan.loss = unpack_loss(loss)
        self.targets = loss[3]
        unpack_layers(plan, layers)
        self.column = <real*>allocate(2 * (plan.widest + LANES))
        memset(self.column, 0, 2 * (plan.widest + LANES) * sizeof(real))
        self.span.first = <const char*>plan.theta
        self.span.stop = <const char*>(plan.theta + plan.n_parameters)

    def __dealloc__(self):
        release(self.plan.layers)
        release(self.column)

    # --- what the caller gave -------------------------------------------------------------------

    def accepts_examples(self, X):
        """Return whether X can be computed with as it is.

        It must be plain: an ndarray of this dtype, (n[0], m >= 1), aligned, finite, and apart
        from the parameters.  If not, the caller converts or says what is wrong.
        """
        return self.is_input(X, X, self.plan.n_in)

    def accepts(self, X, Y, weights=None):
        """Return whether X, Y and weights, (1, m) or None, can be computed with as they are.

        They must be plain, as for `accepts_examples`, and as long as each other; Y, (n[L], m), as
        the loss allows it, and the weights >= 0 and not all 0.
        """
        if not (self.is_input(X, X, self.plan.n_in) and self.is_input(Y, X, self.plan.n_out)):
            return False
        cdef Matrix y = matrix(Y)
        cdef Matrix w
        if weights is not None:
            if not self.is_input(weights, X, 1):
                return False
            w = matrix(weights)
            if not are_allowed(&w, NON_NEGATIVE) or not any_positive(&w):
                return False
        return are_allowed(&y, self.targets)

    cdef bint is_input(self, array, X, Py_ssize_t rows):
        """Whether an array is plain, finite, as long as X, and apart from the parameters."""
        if not is_plain(array, self.type_number, rows):
            return False
        cdef Matrix x = matrix(array)
        return (
            x.columns == cnp.PyArray_DIM(<cnp.ndarray>X, 1)
            and are_apart(span_of(&x), self.span) and finite_matrix(&x)
        )

    # --- forward ------------------------------------------------------------------------------

    def try_forward(self, X, out=None, int threads=1):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite; and so must be `out`, where A[L] is written if it is given, writeable
        and apart from X.  Else None, and the caller converts or says what is wrong."""
        if not is_plain(X, self.type_number, self.plan.n_in):
            return None
        cdef Matrix x = matrix(X)
        cdef Matrix a
        cdef cnp.npy_intp shape[2]
        if out is not None:
            if not is_plain(out, self.type_number, self.plan.n_out):
                return None
            a = matrix(out)
            # Nothing is written before all of X has been looked at.
            if not (self.can_write(out, &a, &x) and (x.columns == 1 or finite_matrix(&x))):
                return None
            return out if self.forward_into(&x, &a, threads, x.columns == 1) else None
        shape[0], shape[1] = self.plan.n_out, x.columns
        result = cnp.PyArray_SimpleNew(2, shape, self.type_number)
        a = matrix(result)
        return result if self.forward_into(&x, &a, threads, True) else None

    cdef bint can_write(self, out, const Matrix* A, const Matrix* X) noexcept:
        """Whether `out`, which is A, can take A[L] of X as it is."""
        cdef Span span = span_of(A)
        return (
            A.columns == X.columns and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out)
            and are_apart(span, span_of(X)) and are_apart(span, self.span)
        )

    def forward(self, X, A, int threads=1, masks=None):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m).

        masks: (seed, step) of `train`, whose dropout is on, or None.
        """
        cdef Matrix x = matrix(X)
        cdef Matrix a = matrix(A)
        cdef Job job
        if masks is None:
            self.forward_into(&x, &a, threads, False)
            return
        memset(&job, 0, sizeof(job))
        job.data.X, job.data.A = &x, &a
        self.unpack_masks(&job, masks)
        self.run_batches(&job, masked_forward_job, threads, x.columns)

    cdef int forward_into(
        self, const Matrix* X, const Matrix* A, int threads, bint check_finite
    ) except -1:
        """Return whether A is there: not where X is to be checked and is not finite."""
        cdef Py_ssize_t j
        if X.columns == 1:
            return self.forward_example(X, 0, A, check_finite)
        if X.columns > MATVEC_EXAMPLES:
            return self.forward_blocks(X, A, threads, check_finite)
        if check_finite and not finite_matrix(X):
            return False
        for j in range(X.columns):
            self.forward_example(X, j, A, False)
        return True

    cdef bint forward_example(
        self, const Matrix* X, Py_ssize_t j, const Matrix* A, bint check_finite
    ) noexcept:
        """Example j, held in two small buffers: a layer reads one and writes the other."""
        cdef const Plan* plan = &self.plan
        cdef const Layer* layer
        cdef real* x = self.column
        cdef real* z = x + plan.widest + LANES
        cdef Py_ssize_t l
        read_column(X, j, x)
        if check_finite and not finite_line(x, plan.n_in):
            return False
        for l in range(plan.n_layers):
            layer = &plan.layers[l]
            forward_column(layer, plan.theta + layer.W, plan.theta + layer.b, x, z, NULL)
            x, z = z, x
        write_column(x, j, A)
        return True

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

    def cost_and_gradients(self, X, Y, weights, gradients, int threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        cdef Matrix x = matrix(X)
        cdef Matrix y = matrix(Y)
        cdef Matrix w
        cdef double cost = 0
        cdef Job job
        memset(&job, 0, sizeof(job))
        job.data.X, job.data.Y, job.data.costs = &x, &y, &cost
        job.training.batch_size = max(1, x.columns)
        if weights is not None:
            w = matrix(weights)
            job.data.weights = &w
        job.data.gradients = self.cleared(gradients)
        self.run_batches(&job, gradients_job, threads, x.columns)
        return cost

    def backward(self, X, dA, gradients, dX, int threads=1, masks=None):
        """From dA = dJ/dA[L], (n[L], m), the derivatives of J, summed over the examples.

        masks: (seed, step) of `train`, whose dropout is on, or None.
        OUT: gradients, flat like the parameters, or None; dX, (n[0], m), or None.
        """
        cdef Matrix x = matrix(X)
        cdef Matrix da = matrix(dA)
        cdef Matrix dx
        cdef Job job
        memset(&job, 0, sizeof(job))
        job.data.X, job.data.dA = &x, &da
        self.unpack_masks(&job, masks)
        if dX is not None:
            dx = matrix(dX)
            job.data.dX = &dx
        job.data.gradients = self.cleared(gradients)
        self.run_batches(&job, backward_job, threads, x.columns)

    def jacobian(self, X, J, int threads=1):
        """``J[j, i, k] = dA[L][i, j] / dX[k, j]``, of each example j.  OUT: J, (m, n[L], n[0])."""
        cdef const Plan* plan = &self.plan
        cdef Matrix x = matrix(X)
        cdef Matrix dX
        cdef Job job
        cdef Py_ssize_t j
        dX.data, dX.rows, dX.columns = flat(J), plan.n_in, x.columns
        dX.row_stride, dX.column_stride = 1, plan.n_out * plan.n_in
        if x.columns <= JACOBIAN_EXAMPLES:
            for j in range(x.columns):
                self.jacobian_of_example(&x, j, dX.data + j * dX.column_stride)
            return
        memset(&job, 0, sizeof(job))
        job.data.X, job.data.dX = &x, &dX
        self.unpack_masks(&job, None)
        self.run_batches(&job, jacobian_job, threads, x.columns * (1 + plan.n_out))

    cdef int jacobian_of_example(self, const Matrix* X, Py_ssize_t j, real* J) except -1:
        """Matrix-vector products forward; back, a row for each output, by rows of W."""
        cdef const Plan* plan = &self.plan
        cdef real* A
        cdef real* D
        cdef real* rows
        cdef Py_ssize_t padding = plan.n_layers * LANES
        cdef Room[3] rooms = [
            room(&A, plan.n_in + plan.features + padding + LANES),
            room(&D, plan.features + padding),
            room(&rows, 2 * plan.n_out * plan.widest),
        ]
        cdef real* memory = self.memory.acquire_workspace(rooms, 3)
        with nogil:
            read_column(X, j, A)
            jacobian_column(plan, A, D, rows, J)
        self.memory.release_workspace(memory)
        return 0

    cdef int unpack_masks(self, Job* job, masks) except -1:
        """One pass over all examples, with the dropout of a step, or without."""
        job.training.batch_size = max(1, job.data.X.columns)
        if masks is not None:
            job.training.seed, job.training.first_step = masks
            job.training.drops = self.has_dropout()
        return 0

    cdef real* cleared(self, gradients) noexcept:
        """A flat vector of zeros, or NULL."""
        if gradients is None:
            return NULL
        memset(flat(gradients), 0, self.plan.n_parameters * sizeof(real))
        return flat(gradients)

    # --- training -------------------------------------------------------------------------------

    def example_major(self, X, Py_ssize_t batch_size):
        """Return X, or a copy of it, the columns contiguous, of which `train` gathers its batches
        faster."""
        cdef Matrix x = matrix(X)
        cdef cnp.npy_intp[2] shape = [x.columns, x.rows]
        if x.column_stride != 1 or x.columns < 2 or not features_pay(&self.plan, batch_size):
            return X
        copy = cnp.PyArray_SimpleNew(2, shape, self.type_number)
        cdef real* examples = flat(copy)
        with nogil:
            copy_examples(&x, examples)
        return copy.T

    def train(
        self, X, Y, weights, order, Py_ssize_t batch_size, spec, scalars, state, uint64_t seed,
        uint64_t first_step, costs, int threads=1,
    ):
        """Train in place: one step of an optimizer for each batch.

        One epoch for each element of `costs`, in batches of `batch_size` columns, the
        last one smaller where m is not a multiple.

        Parameters
        ----------
        weights : ndarray or None
            (1, m): those of the examples.
        order : ndarray or None
            uint32, (len(costs), m): the columns in each epoch's order; None: as they come.
        spec : UpdateSpec
            ``l2 / 2 sum(W^2)`` is added to J, and its derivative to dW; then the gradient is
            shortened to `clip_norm` where it is longer; then the parameters are updated.
        scalars : ndarray
            float64, (steps, k), one row for each step, of any strides.
        state : ndarray
            (slots, n_parameters): the vectors that the optimizer keeps.
        seed, first_step : int
            The seed of the masks of dropout, uint64, and the number of the first step.

        OUT: the parameters and state, in place; costs, float64: the mean of the batch costs,
        each as computed before its update (`per_example`: weighted by its number of examples).
        Ctrl-C raises KeyboardInterrupt within half a second and leaves the parameters and the
        state of the last whole epoch.
        """
        cdef Matrix x = matrix(X)
        cdef Matrix y = matrix(Y)
        cdef Matrix w
        cdef Job job
        cdef Training* training = &job.training
        self.unpack_training(&job, &x, &y, batch_size, spec, scalars, state)
        if weights is not None:
            w = matrix(weights)
            job.data.weights = &w
        job.data.costs = <double*>cnp.PyArray_DATA(<cnp.ndarray>costs)
        training.epochs = cnp.PyArray_DIM(<cnp.ndarray>costs, 0)
        if order is not None:
            training.order = <const uint32_t*>cnp.PyArray_DATA(<cnp.ndarray>order)
        training.drops = self.has_dropout()
        training.seed, training.first_step = seed, first_step
        self.run_batches(&job, train_job, threads, x.columns * training.epochs)

    def try_step(self, X, Y, spec, scalars, state, int threads=1):
        """Return the cost of one step of `train` on all examples, or None.

        None: X or Y is not plain (see `accepts`), there is dropout, or what the step would leave is
        not finite.  Nothing has changed then, and the caller goes another way.
        OUT: the parameters and state, in place.
        """
        if self.has_dropout() or not self.accepts(X, Y):
            return None
        cdef Matrix x = matrix(X)
        cdef Matrix y = matrix(Y)
        cdef double cost = 0
        cdef Job job
        self.unpack_training(&job, &x, &y, x.columns, spec, scalars, state)
        job.data.costs, job.training.epochs, job.training.keeps_finite = &cost, 1, True
        self.run_batches(&job, train_job, threads, x.columns)
        return None if job.control.refused else cost

    cdef int unpack_training(
        self, Job* job, const Matrix* X, const Matrix* Y, Py_ssize_t batch_size, spec, scalars,
        state,
    ) except -1:
        """Fill in the examples, the batches and the update; else the job is empty."""
        cdef Training* training = &job.training
        memset(job, 0, sizeof(Job))
        job.data.X, job.data.Y = X, Y
        training.batch_size = max(1, min(batch_size, X.columns))
        training.batches = (X.columns + training.batch_size - 1) // training.batch_size
        unpack_update(&training.update, spec)
        return self.unpack_vectors(training, scalars, state)

    def update(self, gradients, spec, scalars, state):
        """Take the second half of a step, from the gradients on; return ``l2 / 2 sum(W^2)``.

        The penalty's derivative is added to the gradients, they are clipped, and then `update`
        changes the parameters: the weights, which decay, and the biases, which do not.
        OUT: the parameters and the state, in place; the gradients are used up.
        """
        cdef double penalty = 0
        cdef Job job
        memset(&job, 0, sizeof(job))
        job.plan, job.data.costs = &self.plan, &penalty
        unpack_update(&job.training.update, spec)
        self.unpack_vectors(&job.training, scalars, state)
        cdef Room[1] rooms = [
            room(<real**>&job.work.chunk_sums, 4 * chunks_of(self.plan.n_parameters)),
        ]
        job.work.gradients = flat(gradients)
        self.run(&job, update_job, 1, False, rooms, 1)
        return penalty

    cdef bint has_dropout(self) noexcept:
        cdef Py_ssize_t l
        for l in range(self.plan.n_layers):
            if self.plan.layers[l].keep < 1:
                return True
        return False

    cdef int unpack_vectors(self, Training* training, scalars, state) except -1:
        """Fill in the scalars and the state, and whether the update needs the gradients."""
        cdef const Update* update = &training.update
        cdef cnp.ndarray s = <cnp.ndarray>scalars
        cdef Py_ssize_t slots = cnp.PyArray_DIM(<cnp.ndarray>state, 0)
        cdef int last = cnp.PyArray_NDIM(s) - 1  # (k,) for a single step
        training.scalars = <const char*>cnp.PyArray_DATA(s)
        training.scalars_stride = cnp.PyArray_STRIDE(s, 0)
        training.scalar_stride = cnp.PyArray_STRIDE(s, last)
        training.n_scalars = cnp.PyArray_DIM(s, last)
        training.state = flat(state)
        training.n_state = slots * self.plan.n_parameters
        check_vectors(update.code, training.n_scalars, slots)
        training.fused = (
            update.code == GRADIENT_DESCENT and update.l2 == 0 and update.decay == 0
            and not update.clip_norm < INFINITY
        )
        return 0

    # --- running a job ----------------------------------------------------------------------------

    cdef int run_batches(self, Job* job, Run run, int threads, Py_ssize_t examples) except -1:
        """Cut the examples into blocks and run the job, which sees `examples` in all."""
        cdef const Plan* plan = &self.plan
        cdef Workspace* work = &job.work
        job.plan = plan
        cut_batches(job)
        threads = useful_threads(
            threads, min(threads * work.columns, job.training.batch_size) * plan.macs,
            examples * plan.macs,
        )
        widen_block(job, threads)
        job.control.pays_far = does_pay_far(job, threads)
        cdef Py_ssize_t packed = work.columns * work.packed_batches
        cdef bint trains = job.training.epochs > 0
        cdef Room[15] rooms = [
            room(&work.A, plan.features * work.columns),
            room(&work.D, plan.D_features * work.columns),
            room(&work.dZ, 2 * plan.widest_out * work.columns),
            room(&work.dX, plan.n_in * work.columns if job.data.dX != NULL else 0),
            room(&work.X, plan.n_in * packed),
            room(
                &work.features,
                panels_of(plan.n_in) * PANEL * work.columns if work.has_features else 0,
            ),
            room(&work.Y, plan.n_out * packed),
            room(&work.weights, packed if job.data.weights != NULL else 0),
            room(<real**>&work.panel_costs, 2 * panels_of(work.columns)),
            room(<real**>&work.part_costs, 2 * work.parts),
            room(<real**>&work.chunk_sums, 4 * chunks_of(plan.n_parameters) if trains else 0),
            room(&work.gradients, plan.n_parameters if trains else 0),
            room(&work.part_gradients, work.parts * plan.n_parameters),
            room(&work.whole_epoch, plan.n_parameters + job.training.n_state if trains else 0),
            room(&work.scratch, threads * scratch_size()),
        ]
        return self.run(job, run, threads, True, rooms, 15)

    cdef int run(
        self, Job* job, Run run, int threads, bint has_barriers, const Room* rooms, int count
    ) except -1:
        """Run the job with working memory for the rooms, which is given back on every path."""
        cdef real* memory = self.memory.acquire_workspace(rooms, count)
        try:
            run_team(job, run, threads, has_barriers)
            if job.training.keeps_finite and not is_finite_epoch(job):
                restore_epoch(job)
                job.control.refused = True
            if job.control.interrupted:
                if job.training.epochs > 0:
                    restore_epoch(job)
                raise_pending()
        finally:
            self.memory.release_workspace(memory)
        return 0
