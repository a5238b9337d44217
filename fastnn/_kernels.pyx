"""The compiled kernels: the equations of ``_kernels_numpy.py`` in registers and caches.

This source is built once for each SIMD level and dtype (see ``_simd/`` and ``setup.py``);
``real`` is that dtype, ``vector`` one register of LANES of them.  The contract, shapes and
codes stand in ``_kernels_numpy.py``; this page says how it is made fast.

Panels
    Examples are taken in blocks that stay in the L2 cache through the whole network, and a
    block is packed into panels of PANEL = 2 registers of examples::

        panel p: feature 0 [PANEL examples], feature 1 [PANEL examples], ...

    Packing reads any strides, gathers the shuffled examples of a mini-batch, and pads the
    last panel with zeros; after it, every inner loop is over whole registers.
One tile, three products
    `tile` keeps TILE_ROWS x PANEL sums in registers and adds ``a[row, k] * b[k, column]``
    to them for every k.  With a = W, b = a panel of A_prev it is ``W A_prev + b``; with
    a = W^T, b = a panel of dZ it is ``W^T dZ``; with a = dZ, b = A_prev transposed it is
    ``dZ A_prev^T``.  Its results are still in the L1 cache when the activation, its
    derivative or the update is applied to them.
Dot products
    Where a product is small (few rows, or a single example) `dot_tile` and `dense_column`
    run the lanes along the sum instead and add the lanes up at the end.
"""

cimport cython
cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

cnp.import_array()


cdef extern from "_vector.h" nogil:
    ctypedef double real
    ctypedef real vector
    enum:
        SINGLE
        LANES
        PANEL
        TILE_ROWS
    real MAGIC
    vector load(const real* p) noexcept
    void store(real* p, vector v) noexcept
    vector splat(real x) noexcept
    vector where_less(vector x, vector y, vector a, vector b) noexcept
    vector where_positive(vector x, vector a, vector b) noexcept
    vector maximum(vector x, vector y) noexcept
    vector minimum(vector x, vector y) noexcept
    vector sign_bit(vector x) noexcept
    vector magnitude(vector x) noexcept
    vector with_sign(vector x, vector sign) noexcept
    vector remainder_of(vector n, vector a, vector d) noexcept
    vector power_of_two(vector shifted, int offset) noexcept
    vector split_exponent(vector x, vector* k) noexcept
    real sum_lanes(vector v) noexcept
    void sum_lanes_of_4(const vector* v, real* sums) noexcept
    vector keep_last(vector v, int count) noexcept
    vector gather(const real* row, const uint32_t* column) noexcept
    void prefetch(const real* p) noexcept
    double seconds() noexcept
    void transpose_block(const real** rows, Py_ssize_t start, real* to, Py_ssize_t stride) noexcept


cdef enum:
    LINEAR
    SIGMOID
    TANH
    RELU
    LEAKY_RELU
    SOFTMAX

cdef enum:
    MSE
    BINARY_CROSS_ENTROPY
    CROSS_ENTROPY

ACTIVATION_CODES = {
    "linear": LINEAR, "sigmoid": SIGMOID, "tanh": TANH, "relu": RELU,
    "leaky_relu": LEAKY_RELU, "softmax": SOFTMAX,
}
LOSS_CODES = {
    "mse": MSE, "binary_cross_entropy": BINARY_CROSS_ENTROPY, "cross_entropy": CROSS_ENTROPY,
}

cdef enum:
    # Bytes of panels that one pass over the weights works on: half of a 1 MB L2 cache,
    # so that the next panels and the weights find room beside them.
    CACHE_BYTES = 524288
    # The same for the whole of a block, which may lie in the L3 cache where layers are wide.
    BLOCK_BYTES = 4194304
    # Examples of a block: enough for the sums of dW, no more than the caches hold.
    BLOCK_COLUMNS = 512
    # Bytes of mini-batches that are gathered at a time: a row of X is then read once for many
    # of them.
    WINDOW_BYTES = 2097152
    # Multiplications between two looks for Ctrl-C: some 20 ms at the slowest.
    POLL_WORK = 100000000


include "_vector_math.pxi"
include "_panels.pxi"
include "_activations.pxi"
include "_tile.pxi"
include "_layers.pxi"
include "_output.pxi"


# --- the layer kernels of the contract ------------------------------------------------------


cdef inline Py_ssize_t block_columns(Py_ssize_t m, Py_ssize_t reals_per_column) noexcept nogil:
    """Columns of a block: a multiple of PANEL, even shares of m, within the cache's size."""
    cdef Py_ssize_t most = BLOCK_BYTES // (<Py_ssize_t>sizeof(real) * max(reals_per_column, 1))
    most = max(PANEL, min(<Py_ssize_t>BLOCK_COLUMNS, most // PANEL * PANEL))
    cdef Py_ssize_t blocks = max(1, (m + most - 1) // most)
    return panels_of((m + blocks - 1) // blocks) * PANEL


def activate(Z, int activation, double slope, A):
    """``A = g(Z)``.  OUT: A, (n, m), which may be Z itself."""
    cdef Matrix z = matrix(Z)
    cdef Matrix a = matrix(A)
    cdef Py_ssize_t columns = block_columns(z.columns, z.rows)
    cdef real* panels = <real*>allocate(z.rows * columns)
    cdef Py_ssize_t first, count, p
    with nogil:
        for first from 0 <= first < z.columns by columns:
            count = min(columns, z.columns - first)
            pack(&z, NULL, first, count, count, panels)
            for p in range(panels_of(count)):
                activate_panel(panels + p * z.rows * PANEL, z.rows, activation, <real>slope)
            unpack(panels, first, count, &a)
    release(panels)


def activation_derivative(A, int activation, double slope, derivative):
    """``g'(Z)`` from the output A, element by element.  OUT: derivative, (n, m).

    Not for softmax, whose derivative is a matrix for each example.
    """
    cdef Matrix a = matrix(A)
    cdef Matrix d = matrix(derivative)
    cdef Py_ssize_t columns = block_columns(a.columns, 2 * a.rows)
    cdef real* panels = <real*>allocate(2 * a.rows * columns)
    cdef real* ones = panels + a.rows * columns
    cdef Py_ssize_t first, count, i
    with nogil:
        for first from 0 <= first < a.columns by columns:
            count = min(columns, a.columns - first)
            pack(&a, NULL, first, count, count, panels)
            for i in range(panels_of(count) * PANEL * a.rows):
                ones[i] = 1
            derivative_run(
                ones, panels, panels_of(count) * PANEL * a.rows, activation, <real>slope, ones
            )
            unpack(ones, first, count, &d)
    release(panels)


def activation_backward(dA, A, int activation, double slope, dZ, db):
    """``dZ = dA * g'(Z)`` and ``db = sum(dZ) / m``.  OUT: dZ, (n, m), and db, (n, 1)."""
    cdef Matrix da = matrix(dA)
    cdef Matrix a = matrix(A)
    cdef Matrix dz = matrix(dZ)
    cdef real* sums = flat(db)
    cdef Py_ssize_t n = a.rows
    cdef Py_ssize_t columns = block_columns(a.columns, 2 * n)
    cdef real* panels = <real*>allocate(2 * n * columns)
    cdef real* out = panels + n * columns
    cdef real scale = <real>1 / <real>max(a.columns, 1)
    cdef Py_ssize_t first, count, p
    with nogil:
        memset(sums, 0, n * sizeof(real))
        for first from 0 <= first < a.columns by columns:
            count = min(columns, a.columns - first)
            pack(&a, NULL, first, count, count, panels)
            pack(&da, NULL, first, count, count, out)
            for p from 0 <= p < panels_of(count) * n * PANEL by n * PANEL:
                derivative_panel(out + p, panels + p, n, activation, <real>slope, out + p)
            clear_padding(out, n, count)
            add_db(out, n, panels_of(count), scale, sums)
            unpack(out, first, count, &dz)
    release(panels)


def dense_forward(W, b, A_prev, int activation, double slope, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    cdef Matrix x = matrix(A_prev)
    cdef Matrix a = matrix(A)
    cdef Layer layer
    layer.n_in, layer.n_out, layer.activation, layer.slope = x.rows, a.rows, activation, <real>slope
    cdef Py_ssize_t columns = block_columns(x.columns, x.rows + a.rows)
    cdef real* panels = <real*>allocate((x.rows + a.rows) * columns)
    cdef real* out = panels + x.rows * columns
    cdef const real* weights = flat(W)
    cdef const real* biases = flat(b)
    cdef Py_ssize_t first, count
    with nogil:
        for first from 0 <= first < x.columns by columns:
            count = min(columns, x.columns - first)
            pack(&x, NULL, first, count, count, panels)
            dense_forward_panels(&layer, weights, biases, panels, out, panels_of(count))
            unpack(out, first, count, &a)
    release(panels)


def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
    """Gradients of one layer from dZ, (n_out, m).

    ``dW = dZ A_prev^T / m``, ``db = sum(dZ) / m``, ``dA_prev = W^T dZ``.
    OUT: dW, (n_out, n_in); db, (n_out, 1); dA_prev, (n_in, m), or None to leave it out.
    """
    cdef Matrix dz = matrix(dZ)
    cdef Matrix x = matrix(A_prev)
    cdef Matrix dx
    cdef bint has_dx = dA_prev is not None
    if has_dx:
        dx = matrix(dA_prev)
    cdef Py_ssize_t n_in = x.rows
    cdef Py_ssize_t n_out = dz.rows
    cdef Py_ssize_t columns = block_columns(x.columns, 2 * n_in + n_out + PANEL)
    cdef real* A = <real*>allocate((2 * n_in + n_out + PANEL) * columns)
    cdef real* dA = A + n_in * columns
    cdef real* delta = dA + n_in * columns
    cdef real* features = delta + n_out * columns
    cdef const real* weights = flat(W)
    cdef real* weight_sums = flat(dW)
    cdef real* bias_sums = flat(db)
    cdef real scale = <real>1 / <real>max(x.columns, 1)
    cdef Py_ssize_t first, count, panels
    with nogil:
        memset(weight_sums, 0, n_in * n_out * sizeof(real))
        memset(bias_sums, 0, n_out * sizeof(real))
        for first from 0 <= first < x.columns by columns:
            count = min(columns, x.columns - first)
            panels = panels_of(count)
            pack(&x, NULL, first, count, count, A)
            pack(&dz, NULL, first, count, count, delta)
            add_gradients(
                delta, n_out, A, n_in, panels, scale, features, weight_sums, bias_sums
            )
            if has_dx:
                backward_panels(weights, n_in, n_out, delta, NULL, LINEAR, 0, dA, panels)
                unpack(dA, first, count, &dx)
    release(A)


def output_cost(A, Y, int loss, int activation, double slope, dZ):
    """Return the cost ``J = sum(loss(A, Y)) / m``.  OUT: dZ, (n_L, m), or None for J alone.

    ``dZ = A - Y`` where the loss and the output activation pair, else
    ``dZ = (A - Y) * g'(Z)``, the derivative of mse through g.
    """
    cdef Matrix a = matrix(A)
    cdef Matrix y = matrix(Y)
    cdef Matrix dz
    cdef bint has_dz = dZ is not None
    if has_dz:
        dz = matrix(dZ)
    cdef Py_ssize_t columns = block_columns(a.columns, 3 * a.rows)
    cdef real* outputs = <real*>allocate(3 * a.rows * columns)
    cdef real* targets = outputs + a.rows * columns
    cdef real* delta = targets + a.rows * columns
    cdef Py_ssize_t first, count
    cdef double total = 0
    with nogil:
        for first from 0 <= first < a.columns by columns:
            count = min(columns, a.columns - first)
            pack(&a, NULL, first, count, count, outputs)
            pack(&y, NULL, first, count, count, targets)
            total += output_panels(
                outputs, targets, a.rows, count, loss, activation, <real>slope,
                delta if has_dz else NULL,
            )
            if has_dz:
                unpack(delta, first, count, &dz)
    release(outputs)
    return total / max(a.columns, 1)


cdef bint finite_matrix(const Matrix* X) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef Py_ssize_t rows = X.rows
    cdef Py_ssize_t columns = X.columns
    cdef Py_ssize_t row_stride = X.row_stride
    cdef Py_ssize_t column_stride = X.column_stride
    cdef const real* row
    cdef vector sums = splat(0)
    cdef real rest = 0
    if column_stride != 1:  # walk along the columns, which may be the contiguous ones
        rows, columns, row_stride, column_stride = columns, rows, column_stride, row_stride
    for i in range(rows):
        row = X.data + i * row_stride
        j = 0
        if column_stride == 1:
            while j + LANES <= columns:
                sums = sums + load(row + j) * splat(0)  # inf * 0 is NaN
                j += LANES
        for j in range(j, columns):
            rest += row[j * column_stride] * 0
    return sum_lanes(sums) + rest == 0


def all_finite(X):
    """Return whether X holds no NaN and no infinity, without a temporary of its size."""
    cdef Matrix x = matrix(X)
    cdef bint answer
    with nogil:
        answer = finite_matrix(&x)
    return answer


cdef inline uint64_t mix64(uint64_t z) noexcept nogil:
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)


def shuffle(order, uint64_t seed, uint64_t epoch):
    """A random permutation of 0 ... m - 1 for each epoch.  OUT: order, uint32, (epochs, m).

    Row r is the permutation of epoch ``epoch + r``: Fisher and Yates' shuffle, driven by a
    SplitMix64 stream of its own (see ``_kernels_numpy.shuffle``).
    """
    cdef Py_ssize_t rows = cnp.PyArray_DIM(<cnp.ndarray>order, 0)
    cdef Py_ssize_t m = cnp.PyArray_DIM(<cnp.ndarray>order, 1)
    cdef uint32_t* row = <uint32_t*>cnp.PyArray_DATA(<cnp.ndarray>order)
    cdef uint64_t golden = 0x9E3779B97F4A7C15
    cdef uint64_t stream
    cdef Py_ssize_t r, i, j
    cdef uint32_t swapped
    with nogil:
        for r in range(rows):
            stream = mix64(seed + epoch + <uint64_t>r)
            for i in range(m):
                row[i] = <uint32_t>i
            for i in range(m - 1, 0, -1):
                j = <Py_ssize_t>(
                    (mix64(stream + <uint64_t>(i + 1) * golden) >> 32) * <uint64_t>(i + 1) >> 32
                )
                swapped = row[i]
                row[i] = row[j]
                row[j] = swapped
            row += m


def peak(double duration=0.1):
    """Return the multiply-adds per second that registers alone reach, in FLOP/s.

    The best of the runs that fit into `duration` seconds: what the kernels' speed is
    measured against (``python -m bench``).  Not part of the contract.
    """
    cdef vector sums[12]
    cdef vector factor = splat(<real>0.5)
    cdef vector term = splat(<real>duration)
    cdef double start = seconds()
    cdef double best = 1e9
    cdef double began
    cdef Py_ssize_t k
    cdef int i
    for i in range(12):
        sums[i] = splat(<real>i)
    with nogil:
        while seconds() - start < duration:
            began = seconds()
            for k in range(10000):
                for i in range(12):
                    sums[i] = sums[i] * factor + term
            best = min(best, seconds() - began)
        for i in range(1, 12):
            sums[0] = sums[0] + sums[i]
    # The sum is used, so that the compiler cannot leave the work out.
    return 2.0 * 12 * LANES * 10000 / best + (0 if sum_lanes(sums[0]) < 1e30 else 1)


# --- the whole network ----------------------------------------------------------------------


cdef int look_for_ctrl_c() except -1 with gil:
    PyErr_CheckSignals()
    return 0


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
    cdef Layer* layers
    cdef Py_ssize_t n_layers
    cdef Py_ssize_t n_parameters
    cdef Py_ssize_t widest
    cdef Py_ssize_t features           # reals of working memory per column, forward and back
    cdef Py_ssize_t columns_of_data    # rows of X and Y
    cdef Py_ssize_t multiplications    # per example, forward and back
    cdef int loss
    cdef int type_number
    cdef real* theta                   # the flat parameters
    cdef real* memory                  # kept from call to call, lent to one call at a time
    cdef Py_ssize_t capacity
    cdef bint lent
    cdef Py_ssize_t work               # multiplications since the last look for Ctrl-C
    cdef real* column                  # two columns of activations for a single example

    def __cinit__(self, layer_sizes, activations, slopes, int loss, parameters):
        cdef Py_ssize_t l, A, dZ, start
        cdef Layer* layer = NULL
        self.layer_sizes = tuple(layer_sizes)
        self.parameters = parameters
        self.n_layers = len(activations)
        self.loss = loss
        self.type_number = cnp.PyArray_TYPE(<cnp.ndarray>parameters)
        self.theta = flat(parameters)
        self.widest = max(self.layer_sizes)
        self.layers = <Layer*>allocate(self.n_layers * sizeof(Layer) // sizeof(real) + 1)
        A, dZ, start = 0, sum(self.layer_sizes[1:]), 0
        for l in range(self.n_layers):
            layer = &self.layers[l]
            layer.n_in, layer.n_out = self.layer_sizes[l], self.layer_sizes[l + 1]
            layer.activation, layer.slope = activations[l], slopes[l]
            layer.A, layer.dZ = A, dZ
            layer.W, layer.b = start, start + layer.n_in * layer.n_out
            start = layer.b + layer.n_out
            A += layer.n_out
            dZ += layer.n_out
            self.multiplications += 3 * layer.n_in * layer.n_out
        self.n_parameters = start
        self.features = dZ + PANEL
        self.columns_of_data = self.layer_sizes[0] + layer.n_out
        self.column = <real*>allocate(2 * (self.widest + LANES))
        memset(self.column, 0, 2 * (self.widest + LANES) * sizeof(real))

    def __dealloc__(self):
        release(self.layers)
        release(self.memory)
        release(self.column)

    cdef real* borrow(self, Py_ssize_t size) except NULL:
        """Working memory: the network's own, or a new piece while another call has that."""
        if self.lent:
            return <real*>allocate(size)
        if size > self.capacity:
            release(self.memory)
            self.memory, self.capacity = NULL, 0
            self.memory = <real*>allocate(size)
            self.capacity = size
        self.lent = True
        return self.memory

    cdef void give_back(self, real* memory) noexcept:
        if memory == self.memory:
            self.lent = False
        else:
            release(memory)

    cdef void forward_column(self, const Matrix* X, const Matrix* A) noexcept:
        """One example, held in two small buffers: a layer reads one and writes the other."""
        cdef real* x = self.column
        cdef real* z = x + self.widest + LANES
        cdef real* swap
        cdef const Layer* layer
        cdef Py_ssize_t l, k
        for k in range(X.rows):
            x[k] = X.data[k * X.row_stride]
        for l in range(self.n_layers):
            layer = &self.layers[l]
            dense_column(
                self.theta + layer.W, self.theta + layer.b, layer.n_in, layer.n_out, x, z
            )
            if layer.activation == SOFTMAX:
                softmax_column(z, layer.n_out)
            else:
                activate_run(
                    z, (layer.n_out + LANES - 1) // LANES * LANES, layer.activation, layer.slope, z
                )
            swap, x, z = x, z, x
        for k in range(A.rows):
            A.data[k * A.row_stride] = x[k]

    cdef int forward_blocks(self, const Matrix* X, const Matrix* A) except -1:
        """Block by block; the panels of a layer's input and output take turns in two halves."""
        cdef Py_ssize_t columns = block_columns(X.columns, 2 * self.widest)
        cdef real* memory = self.borrow(2 * self.widest * columns)
        cdef Py_ssize_t first, count, l
        cdef real* x
        cdef real* z
        cdef real* swap
        cdef const Layer* layer
        try:
            with nogil:
                for first from 0 <= first < X.columns by columns:
                    count = min(columns, X.columns - first)
                    x, z = memory, memory + self.widest * columns
                    pack(X, NULL, first, count, count, x)
                    for l in range(self.n_layers):
                        layer = &self.layers[l]
                        dense_forward_panels(
                            layer, self.theta + layer.W, self.theta + layer.b, x, z,
                            panels_of(count),
                        )
                        swap, x, z = x, z, x
                    unpack(x, first, count, A)
                    self.poll(count)
        finally:
            self.give_back(memory)
        return 0

    cdef int forward_into(self, const Matrix* X, const Matrix* A) except -1:
        if X.columns == 1:
            self.forward_column(X, A)
        else:
            self.forward_blocks(X, A)
        return 0

    def try_forward(self, X):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite.  Else None, and the caller converts X or says what is wrong with it."""
        if not cnp.PyArray_CheckExact(X):
            return None
        cdef cnp.ndarray array = <cnp.ndarray>X
        if (
            cnp.PyArray_TYPE(array) != self.type_number
            or cnp.PyArray_NDIM(array) != 2
            or cnp.PyArray_DIM(array, 0) != self.layers[0].n_in
            or cnp.PyArray_DIM(array, 1) == 0
            or not cnp.PyArray_ISBEHAVED_RO(array)
        ):
            return None
        cdef Matrix x = matrix(array)
        if not finite_matrix(&x):
            return None
        cdef cnp.npy_intp shape[2]
        shape[0] = self.layers[self.n_layers - 1].n_out
        shape[1] = x.columns
        result = cnp.PyArray_SimpleNew(2, shape, self.type_number)
        cdef Matrix a = matrix(result)
        self.forward_into(&x, &a)
        return result

    def forward(self, X, A, int threads=1):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m)."""
        cdef Matrix x = matrix(X)
        cdef Matrix a = matrix(A)
        self.forward_into(&x, &a)

    cdef void forward_and_back(
        self, const real* X, const real* Y, Py_ssize_t count, bint back, real* memory,
        Py_ssize_t columns, double* cost,
    ) noexcept nogil:
        """Add the loss of one block (panels X, Y) to `cost`; leave A and dZ in `memory`."""
        cdef Py_ssize_t l
        cdef Py_ssize_t panels = panels_of(count)
        cdef const Layer* layer = NULL
        cdef const real* A_prev = X
        cdef real* A = NULL
        for l in range(self.n_layers):
            layer = &self.layers[l]
            A = memory + layer.A * columns
            dense_forward_panels(
                layer, self.theta + layer.W, self.theta + layer.b, A_prev, A, panels
            )
            if back and l < self.n_layers - 1:
                clear_padding(A, layer.n_out, count)
            A_prev = A
        cost[0] += output_panels(
            A, Y, layer.n_out, count, self.loss, layer.activation, layer.slope,
            memory + layer.dZ * columns if back else NULL,
        )
        if not back:
            return
        for l in range(self.n_layers - 1, 0, -1):
            layer = &self.layers[l - 1]
            backward_panels(
                self.theta + self.layers[l].W, self.layers[l].n_in, self.layers[l].n_out,
                memory + self.layers[l].dZ * columns, memory + layer.A * columns,
                layer.activation, layer.slope, memory + layer.dZ * columns, panels,
            )
            clear_padding(memory + layer.dZ * columns, layer.n_out, count)

    cdef double block(
        self, const real* X, const real* Y, Py_ssize_t count, real scale, real* memory,
        Py_ssize_t columns, real* sums,
    ) noexcept nogil:
        """Return the loss summed over one block; sums += scale * its gradients, unless NULL.

        `sums` may be the parameters themselves: all of dZ is there before the first of
        them is changed.
        """
        cdef Py_ssize_t l
        cdef const Layer* layer
        cdef const real* A_prev = X
        cdef double cost = 0
        self.forward_and_back(X, Y, count, sums != NULL, memory, columns, &cost)
        if sums != NULL:
            for l in range(self.n_layers):
                layer = &self.layers[l]
                add_gradients(
                    memory + layer.dZ * columns, layer.n_out, A_prev, layer.n_in,
                    panels_of(count), scale, memory + (self.features - PANEL) * columns,
                    sums + layer.W, sums + layer.b,
                )
                A_prev = memory + layer.A * columns
        return cost

    cdef double blocks(
        self, const Matrix* X, const Matrix* Y, const uint32_t* order, Py_ssize_t first,
        Py_ssize_t count, real scale, real* memory, Py_ssize_t columns, real* window, real* sums,
    ) except? -1 nogil:
        """`block` over a batch of any size, packed piece by piece into `window`."""
        cdef real* Y_window = window + self.layers[0].n_in * columns
        cdef double cost = 0
        cdef Py_ssize_t done, width
        for done from 0 <= done < count by columns:
            width = min(columns, count - done)
            pack(X, order, first + done, width, width, window)
            pack(Y, order, first + done, width, width, Y_window)
            cost += self.block(window, Y_window, width, scale, memory, columns, sums)
            self.poll(width)
        return cost

    cdef int poll(self, Py_ssize_t count) except -1 nogil:
        """Look for Ctrl-C whenever enough work has been done since the last look."""
        self.work += count * self.multiplications + self.n_parameters
        if self.work > POLL_WORK:
            self.work = 0
            look_for_ctrl_c()
        return 0

    def cost_and_gradients(self, X, Y, gradients, int threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        cdef Matrix x = matrix(X)
        cdef Matrix y = matrix(Y)
        cdef Py_ssize_t columns = block_columns(x.columns, self.features + self.columns_of_data)
        cdef real* memory = self.borrow((self.features + self.columns_of_data) * columns)
        cdef real* sums = NULL
        cdef real scale = <real>1 / <real>max(x.columns, 1)
        cdef double cost
        if gradients is not None:
            sums = flat(gradients)
            memset(sums, 0, self.n_parameters * sizeof(real))
        try:
            with nogil:
                cost = self.blocks(
                    &x, &y, NULL, 0, x.columns, scale, memory, columns,
                    memory + self.features * columns, sums,
                )
        finally:
            self.give_back(memory)
        return cost / max(x.columns, 1)

    cdef double large_batches(
        self, const Matrix* X, const Matrix* Y, const uint32_t* order, Py_ssize_t batch_size,
        double learning_rate, real* memory, Py_ssize_t columns, real* window, real* sums,
    ) except? -1 nogil:
        """One epoch, returning the sum of the batch costs, where a batch has several blocks."""
        cdef double total = 0
        cdef Py_ssize_t first, count, i
        for first from 0 <= first < X.columns by batch_size:
            count = min(batch_size, X.columns - first)
            memset(sums, 0, self.n_parameters * sizeof(real))
            total += self.blocks(
                X, Y, order, first, count, <real>1 / <real>count, memory, columns, window, sums
            ) / count
            for i in range(self.n_parameters):
                self.theta[i] -= <real>learning_rate * sums[i]
        return total

    cdef double small_batches(
        self, const Matrix* X, const Matrix* Y, const uint32_t* order, Py_ssize_t batch_size,
        double learning_rate, bint packed, real* memory, Py_ssize_t columns, real* window,
        Py_ssize_t window_batches,
    ) except? -1 nogil:
        """One epoch, returning the sum of the batch costs, where a batch is one block.

        The window holds the next batches, packed; the update is made where dW is summed.
        """
        cdef double total = 0
        cdef Py_ssize_t first, batch, count
        cdef Py_ssize_t padded = panels_of(batch_size) * PANEL
        cdef Py_ssize_t n_in = self.layers[0].n_in
        cdef Py_ssize_t n_out = self.columns_of_data - n_in
        cdef real* Y_window = window + n_in * padded * window_batches
        for first from 0 <= first < X.columns by window_batches * batch_size:
            if not packed:
                count = min(window_batches * batch_size, X.columns - first)
                pack(X, order, first, count, batch_size, window)
                pack(Y, order, first, count, batch_size, Y_window)
            for batch in range(window_batches):
                count = min(batch_size, X.columns - first - batch * batch_size)
                if count <= 0:
                    break
                total += self.block(
                    window + batch * n_in * padded, Y_window + batch * n_out * padded, count,
                    <real>(-learning_rate / count), memory, columns, self.theta,
                ) / count
                self.poll(count)
        return total

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
        cdef const uint32_t* columns_order = NULL
        cdef double* cost = <double*>cnp.PyArray_DATA(<cnp.ndarray>costs)
        cdef Py_ssize_t epochs = cnp.PyArray_DIM(<cnp.ndarray>costs, 0)
        cdef Py_ssize_t m = x.columns
        cdef Py_ssize_t batch = max(1, min(batch_size, m))
        cdef Py_ssize_t batches = (m + batch - 1) // batch
        cdef Py_ssize_t columns = block_columns(batch, self.features + self.columns_of_data)
        cdef bint small = batch <= columns
        cdef Py_ssize_t window_batches = 1
        if small:
            window_batches = WINDOW_BYTES // (
                <Py_ssize_t>sizeof(real) * self.columns_of_data * columns
            )
            window_batches = max(1, min(window_batches, batches))
        cdef Py_ssize_t window_size = self.columns_of_data * columns * window_batches
        cdef Py_ssize_t size = self.n_parameters
        # The panels; the window; the sums of a batch of several blocks; the last whole epoch.
        cdef real* memory = self.borrow(self.features * columns + window_size + 2 * size)
        cdef real* window = memory + self.features * columns
        cdef real* sums = window + window_size
        cdef real* whole_epoch = sums + size
        cdef Py_ssize_t e
        cdef double total
        cdef bint packed = False
        if order is not None:
            columns_order = <const uint32_t*>cnp.PyArray_DATA(<cnp.ndarray>order)
        try:
            with nogil:
                for e in range(epochs):
                    memcpy(whole_epoch, self.theta, size * sizeof(real))
                    if small:
                        total = self.small_batches(
                            &x, &y, columns_order, batch, learning_rate, packed, memory, columns,
                            window, window_batches,
                        )
                        packed = columns_order == NULL and window_batches == batches
                    else:
                        total = self.large_batches(
                            &x, &y, columns_order, batch, learning_rate, memory, columns, window,
                            sums,
                        )
                    cost[e] = total / max(batches, 1)
                    if columns_order != NULL:
                        columns_order += m
        except BaseException:
            memcpy(self.theta, whole_epoch, size * sizeof(real))
            raise
        finally:
            self.give_back(memory)
