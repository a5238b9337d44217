"""The compiled kernels: the equations of ``_kernels_numpy.py`` in registers and caches.

This source is built once for each SIMD level and dtype (see ``_simd/`` and ``setup.py``);
``real`` is that dtype, ``vector`` one register of LANES of them.  The contract, shapes and
codes stand in ``_kernels_numpy.py``; this page says how it is made fast.

Panels
    Examples are taken in blocks of a few hundred through the whole network and back, and a
    block is packed into panels of PANEL = 2 registers of examples::

        panel p: feature 0 [PANEL examples], feature 1 [PANEL examples], ...

    Packing reads any strides, gathers the shuffled examples of a mini-batch, and pads the
    last panel with zeros; after it, every inner loop is over whole registers.
One tile, three products
    `tile` keeps TILE_ROWS x PANEL sums in registers and adds ``a[row, k] * b[k, column]``
    to them for every k.  With a = W, b = a panel of A_prev it is ``W A_prev + b``; with
    a = W^T, b = a panel of dZ it is ``W^T dZ``; with a = dZ, b = A_prev transposed it is
    ``dZ A_prev^T``.  `multiply` takes the tiles in an order that keeps their operands in the
    caches: a panel in the L1 cache for all rows, the rows in the L2 cache for all panels.
    Its results are still in registers, or in the L1 cache, when the activation, its
    derivative or the update is applied to them.
Dot products
    Where a product is small (few rows, or a single example) `dot_tile` and `dense_column`
    run the lanes along the sum instead and add the lanes up at the end.

The rooms in ``_cython/``, each built on those before it::

    vector.h          what vector operators cannot say: loads, choices, bits, transposition
    vector_math.pxi   exp, log, sigmoid, tanh
    panels.pxi        arrays of any strides, and the panels that they are packed into
    activations.pxi   activations and their derivatives on panels
    tile.pxi          the register tiles
    product.pxi       the order of the tiles of a matrix product
    layers.pxi        dense layers on panels, forward and back
    few.pxi           a single example, and a first layer of few rows, without panels
    output.pxi        the cost, and dZ of the output
    engine.pxi        whole networks: blocks, mini-batches, epochs, threads (team.h)
    this file          what Python sees: the contract
"""

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

import os
from _thread import start_new_thread

sched_getaffinity = getattr(os, "sched_getaffinity", None)  # not on every system

cnp.import_array()


cdef extern from "_cython/vector.h" nogil:
    ctypedef double real
    ctypedef real vector
    enum:
        SINGLE
        LANES
        LINE
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
    vector polynomial(vector x, const real* c, int count) noexcept
    vector power_of_two(vector shifted, int offset) noexcept
    vector split_exponent(vector x, vector* k) noexcept
    real sum_lanes(vector v) noexcept
    void sum_lanes_of_4(const vector* v, real* sums) noexcept
    vector keep_last(vector v, int count) noexcept
    vector keep_first(vector v, int count) noexcept
    vector gather(const real* row, const uint32_t* column) noexcept
    void prefetch(const real* p) noexcept
    void touch(const real* p) noexcept
    double seconds() noexcept
    void transpose_block(const real** rows, Py_ssize_t start, real* to, Py_ssize_t stride) noexcept

cdef extern from "_cython/team.h" nogil:
    ctypedef struct team:
        int size
    void team_meet(team* t, int thread) noexcept
    int team_review(team* t, int thread) noexcept
    int team_claim(team* t) noexcept
    int team_join(team* t) noexcept
    void team_open(team* t, int helpers, bint meets) noexcept
    void team_leave(team* t) noexcept
    void team_close(team* t) noexcept

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept


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
    # Bytes of the panels of a block, forward: within the L3 cache.
    CACHE_BYTES = 2097152
    # The same for forward and back, and for mini-batches that are gathered at a time: a row
    # of X is then read once for many of them.
    BLOCK_BYTES = 7864320
    # What of it is left to them, at least, by the order of the examples.
    WINDOW_BYTES = 2097152
    # Examples of a block: enough for the sums of dW, no more than the caches hold.
    BLOCK_COLUMNS = 256
    # Of a sum, what is taken at a time: its panel of b fills three quarters of a 32 KB L1 cache.
    DEPTH = 512
    # Bytes of rows that are kept side by side in the L2 cache, for at least so many panels,
    # and more than this many bytes.
    ROWS_BYTES = 262144
    PACK_PANELS = 8
    # Bytes of panels that are transposed at a time for dW; and of all a thread has to itself.
    LANES_BYTES = 262144
    SCRATCH_BYTES = ROWS_BYTES + LANES_BYTES
    PACK_BYTES = 16384
    # Multiplications in a call below which starting another thread does not pay.
    THREADS_WORK = 40000000
    # Multiplications between two looks for Ctrl-C: some 20 ms at the slowest.
    POLL_WORK = 100000000


include "_cython/vector_math.pxi"
include "_cython/panels.pxi"
include "_cython/activations.pxi"
include "_cython/tile.pxi"
include "_cython/product.pxi"
include "_cython/layers.pxi"
include "_cython/few.pxi"
include "_cython/output.pxi"
include "_cython/engine.pxi"


# --- the layer kernels of the contract ------------------------------------------------------


cdef inline Py_ssize_t scratch_size() noexcept nogil:
    return SCRATCH_BYTES // <Py_ssize_t>sizeof(real)


cdef inline Py_ssize_t block_columns(
    Py_ssize_t m, Py_ssize_t reals_per_column, Py_ssize_t size, Py_ssize_t most=BLOCK_COLUMNS
) noexcept nogil:
    """Columns of a block: a multiple of PANEL, even shares of m, within `size` bytes."""
    cdef Py_ssize_t room = size // (<Py_ssize_t>sizeof(real) * max(reals_per_column, 1))
    most = max(PANEL, min(most, room) // PANEL * PANEL)
    cdef Py_ssize_t blocks = max(1, (m + most - 1) // most)
    return panels_of((m + blocks - 1) // blocks) * PANEL


def activate(Z, int activation, double slope, A):
    """``A = g(Z)``.  OUT: A, (n, m), which may be Z itself."""
    cdef Matrix z = matrix(Z)
    cdef Matrix a = matrix(A)
    cdef Matrix z_lines = z
    cdef Matrix a_lines = a
    cdef Py_ssize_t first, count, p
    if activation != SOFTMAX and as_lines(&z_lines, &a_lines):
        with nogil:
            for p in range(z_lines.rows):
                activate_line(
                    z_lines.data + p * z_lines.row_stride, z_lines.columns, activation,
                    <real>slope, a_lines.data + p * a_lines.row_stride,
                )
        return
    cdef Py_ssize_t columns = block_columns(z.columns, z.rows, CACHE_BYTES)
    cdef real* panels = <real*>allocate(z.rows * columns)
    with nogil:
        for first from 0 <= first < z.columns by columns:
            count = min(columns, z.columns - first)
            pack(&z, NULL, first, count, count, panels, z.rows)
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
    cdef Matrix a_lines = a
    cdef Matrix d_lines = d
    cdef Py_ssize_t first, count, i
    if as_lines(&a_lines, &d_lines):
        with nogil:
            for i in range(a_lines.rows):
                derivative_line(
                    NULL, a_lines.data + i * a_lines.row_stride, a_lines.columns, activation,
                    <real>slope, d_lines.data + i * d_lines.row_stride,
                )
        return
    cdef Py_ssize_t columns = block_columns(a.columns, a.rows, CACHE_BYTES)
    cdef real* panels = <real*>allocate(a.rows * columns)
    with nogil:
        for first from 0 <= first < a.columns by columns:
            count = min(columns, a.columns - first)
            pack(&a, NULL, first, count, count, panels, a.rows)
            derivative_run(
                NULL, panels, panels_of(count) * PANEL * a.rows, activation, <real>slope, panels
            )
            unpack(panels, first, count, &d)
    release(panels)


def activation_backward(dA, A, int activation, double slope, dZ, db):
    """``dZ = dA * g'(Z)`` and ``db = sum(dZ) / m``.  OUT: dZ, (n, m), and db, (n, 1)."""
    cdef Matrix da = matrix(dA)
    cdef Matrix a = matrix(A)
    cdef Matrix dz = matrix(dZ)
    cdef real* sums = flat(db)
    cdef Py_ssize_t n = a.rows
    cdef real scale = <real>1 / <real>max(a.columns, 1)
    cdef Py_ssize_t first, count, p
    cdef real* row
    if activation != SOFTMAX and a.column_stride == da.column_stride == dz.column_stride == 1:
        with nogil:
            for p in range(n):
                row = dz.data + p * dz.row_stride
                derivative_line(
                    da.data + p * da.row_stride, a.data + p * a.row_stride, a.columns, activation,
                    <real>slope, row,
                )
                sums[p] = scale * sum_line(row, a.columns, 1)
        return
    cdef Py_ssize_t columns = block_columns(a.columns, 2 * n, CACHE_BYTES)
    cdef real* panels = <real*>allocate(2 * n * columns)
    cdef real* out = panels + n * columns
    with nogil:
        memset(sums, 0, n * sizeof(real))
        for first from 0 <= first < a.columns by columns:
            count = min(columns, a.columns - first)
            pack(&a, NULL, first, count, count, panels, a.rows)
            pack(&da, NULL, first, count, count, out, da.rows)
            for p from 0 <= p < panels_of(count) * n * PANEL by n * PANEL:
                derivative_panel(out + p, panels + p, n, activation, <real>slope, out + p)
            clear_padding(out, n, 0, panels_of(count), count)
            add_db(out, n, panels_of(count), scale, sums, 0, n)
            unpack(out, first, count, &dz)
    release(panels)


cdef int dense_forward_examples(
    const Layer* layer, const real* W, const real* b, const Matrix* X, const Matrix* A
) except -1:
    cdef real* x = <real*>allocate(layer.n_in + layer.n_out + LANES)
    cdef real* z = x + layer.n_in
    cdef Py_ssize_t j
    memset(z, 0, (layer.n_out + LANES) * sizeof(real))
    for j in range(X.columns):
        read_column(X, j, x)
        forward_column(layer, W, b, x, z)
        write_column(z, j, A)
    release(x)
    return 0


def dense_forward(W, b, A_prev, int activation, double slope, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    cdef Matrix x = matrix(A_prev)
    cdef Matrix a = matrix(A)
    cdef Layer layer
    layer.n_in, layer.n_out, layer.activation, layer.slope = x.rows, a.rows, activation, <real>slope
    if x.columns <= FEW:
        dense_forward_examples(&layer, flat(W), flat(b), &x, &a)
        return
    cdef Py_ssize_t columns = block_columns(x.columns, x.rows + a.rows, CACHE_BYTES)
    cdef real* panels = <real*>allocate((x.rows + a.rows) * columns + scratch_size())
    cdef real* out = panels + x.rows * columns
    cdef real* scratch = out + a.rows * columns
    cdef const real* weights = flat(W)
    cdef const real* biases = flat(b)
    cdef bint direct = a.column_stride == 1 and activation != SOFTMAX
    cdef Py_ssize_t first, count
    with nogil:
        for first from 0 <= first < x.columns by columns:
            count = min(columns, x.columns - first)
            dense_forward_columns(
                &layer, weights, biases, &x, first, count, panels,
                columns_of(&a, first) if direct else panels_at(out, a.rows), scratch, False,
            )
            if not direct:
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
    cdef real* A
    if 0 < x.columns <= FEW:
        A = <real*>allocate(2 * n_in * x.columns)
        backward_columns(
            flat(W), n_in, n_out, &dz, &x, &dx if has_dx else NULL, flat(dW), flat(db), A,
            A + n_in * x.columns,
        )
        release(A)
        return
    cdef Py_ssize_t columns = block_columns(x.columns, 2 * n_in + n_out, BLOCK_BYTES)
    A = <real*>allocate((2 * n_in + n_out) * columns + scratch_size())
    cdef real* dA = A + n_in * columns
    cdef real* delta = dA + n_in * columns
    cdef real* scratch = delta + n_out * columns
    cdef const real* weights = flat(W)
    cdef real* weight_sums = flat(dW)
    cdef real* bias_sums = flat(db)
    cdef real scale = <real>1 / <real>max(x.columns, 1)
    cdef Py_ssize_t first, count, panels
    cdef bint direct
    with nogil:
        memset(weight_sums, 0, n_in * n_out * sizeof(real))
        memset(bias_sums, 0, n_out * sizeof(real))
        for first from 0 <= first < x.columns by columns:
            count = min(columns, x.columns - first)
            panels = panels_of(count)
            pack(&x, NULL, first, count, count, A, x.rows)
            pack(&dz, NULL, first, count, count, delta, dz.rows)
            add_gradients(
                delta, n_out, A, n_in, count, scale, weight_sums, bias_sums, scratch, 0, 1
            )
            if has_dx:
                direct = dx.column_stride == 1
                backward_panels(
                    weights, n_in, n_out, delta, NULL, LINEAR, 0,
                    columns_of(&dx, first) if direct else panels_at(dA, n_in), 0, panels, count,
                    scratch,
                )
                if not direct:
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
    cdef Py_ssize_t columns = block_columns(a.columns, 3 * a.rows, CACHE_BYTES)
    cdef Py_ssize_t panels = panels_of(columns)
    cdef double* costs = <double*>allocate(3 * a.rows * columns + panels * 2)
    cdef real* outputs = <real*>(costs + panels)
    cdef real* targets = outputs + a.rows * columns
    cdef real* delta = targets + a.rows * columns
    cdef Py_ssize_t first, count, p
    cdef double total = 0
    with nogil:
        for first from 0 <= first < a.columns by columns:
            count = min(columns, a.columns - first)
            pack(&a, NULL, first, count, count, outputs, a.rows)
            pack(&y, NULL, first, count, count, targets, y.rows)
            output_panels(
                outputs, targets, a.rows, count, 0, panels_of(count), loss, activation,
                <real>slope, delta if has_dz else NULL, costs,
            )
            for p in range(panels_of(count)):
                total += costs[p]
            if has_dz:
                unpack(delta, first, count, &dz)
    release(costs)
    return total / max(a.columns, 1)


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


cdef int raise_pending() except -1:
    """Raise the exception that `poll` has left set."""
    return -1


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
    cdef real* memory          # kept from call to call, lent to one call at a time
    cdef Py_ssize_t capacity
    cdef bint lent
    cdef real* column          # two columns of activations for a single example

    def __cinit__(self, layer_sizes, activations, slopes, int loss, parameters):
        cdef Plan* plan = &self.plan
        cdef Layer* layer
        cdef Py_ssize_t l
        self.layer_sizes = tuple(layer_sizes)
        self.parameters = parameters
        self.type_number = cnp.PyArray_TYPE(<cnp.ndarray>parameters)
        plan.theta = flat(parameters)
        plan.n_layers = len(activations)
        plan.n_in, plan.n_out = self.layer_sizes[0], self.layer_sizes[plan.n_layers]
        plan.widest = max(self.layer_sizes)
        plan.loss = loss
        plan.layers = <Layer*>allocate(plan.n_layers * sizeof(Layer) // sizeof(real) + 1)
        for l in range(plan.n_layers):
            layer = &plan.layers[l]
            layer.n_in, layer.n_out = self.layer_sizes[l], self.layer_sizes[l + 1]
            layer.activation, layer.slope = activations[l], slopes[l]
            layer.A = plan.features
            plan.features += layer.n_out
            plan.widest_out = max(plan.widest_out, layer.n_out)
            layer.W = plan.n_parameters
            layer.b = layer.W + layer.n_in * layer.n_out
            plan.n_parameters = layer.b + layer.n_out
            plan.multiplications += 3 * layer.n_in * layer.n_out
        self.column = <real*>allocate(2 * (plan.widest + LANES))
        memset(self.column, 0, 2 * (plan.widest + LANES) * sizeof(real))

    def __dealloc__(self):
        release(self.plan.layers)
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

    cdef int forward_into(
        self, const Matrix* X, const Matrix* A, int threads, bint checked
    ) except -1:
        """Return whether A is there: not where X is to be `checked` and is not finite."""
        cdef const Plan* plan = &self.plan
        cdef Py_ssize_t j
        if X.columns <= FEW:
            if checked and not finite_matrix(X):
                return False
            for j in range(X.columns):
                self.forward_example(X, j, A)
            return True
        cdef Job job
        memset(&job, 0, sizeof(job))
        job.plan, job.X, job.Y, job.checked = plan, X, A, checked
        cdef bint thin = is_thin(&plan.layers[0], X)
        if thin:  # X is not packed, and read in long pieces
            job.columns = block_columns(
                X.columns, 2 * plan.widest_out, CACHE_BYTES,
                THIN_NUMBERS // max(plan.layers[0].n_out, 1),
            )
        else:
            job.columns = block_columns(X.columns, 2 * plan.widest, CACHE_BYTES)
        job.half = max(
            plan.widest_out * job.columns, plan.n_in * (<Py_ssize_t>PANEL if thin else job.columns)
        )
        cdef Py_ssize_t blocks = (X.columns + job.columns - 1) // job.columns
        cdef Py_ssize_t work = X.columns * plan.multiplications // 3
        threads = useful_threads(<int>min(<Py_ssize_t>threads, blocks), work, work)
        job.memory = self.borrow(threads * (2 * job.half + scratch_size()))
        job.scratch = job.memory + threads * 2 * job.half
        run_team(&job, forward_job, threads, False)
        self.give_back(job.memory)
        if job.stop:
            raise_pending()
        return not job.refused

    def try_forward(self, X, int threads=1):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite.  Else None, and the caller converts X or says what is wrong with it."""
        if not cnp.PyArray_CheckExact(X):
            return None
        cdef cnp.ndarray array = <cnp.ndarray>X
        if (
            cnp.PyArray_TYPE(array) != self.type_number
            or cnp.PyArray_NDIM(array) != 2
            or cnp.PyArray_DIM(array, 0) != self.plan.n_in
            or cnp.PyArray_DIM(array, 1) == 0
            or not cnp.PyArray_ISBEHAVED_RO(array)
        ):
            return None
        cdef Matrix x = matrix(array)
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

    cdef int prepare(self, Job* job, Py_ssize_t batch, Py_ssize_t whole, int threads) except -1:
        """Fill in the sizes, borrow the memory, and return how many threads to use.

        Behind the panels of a block: dZ of two layers, the window, the costs of the panels, the
        gradients, the last whole epoch, and the scratch of each thread.
        """
        cdef const Plan* plan = &self.plan
        cdef Py_ssize_t m = job.X.columns
        cdef Py_ssize_t data = plan.n_in + plan.n_out
        cdef Py_ssize_t in_block = data + plan.features + 2 * plan.widest_out
        cdef Py_ssize_t room
        job.plan = plan
        job.batch_size = batch
        job.columns = block_columns(batch, in_block, BLOCK_BYTES)
        threads = useful_threads(
            threads, min(job.columns, batch) * plan.multiplications, whole * plan.multiplications
        )
        if batch <= job.columns:
            room = BLOCK_BYTES - (m * <Py_ssize_t>sizeof(uint32_t) if job.order != NULL else 0)
            room = max(<Py_ssize_t>WINDOW_BYTES, room) // <Py_ssize_t>sizeof(real)
            room -= job.columns * (in_block - data)
            job.window_batches = min(room // (data * job.columns), (m + batch - 1) // batch)
            job.window_batches = max(1, job.window_batches)
        cdef Py_ssize_t window = job.columns * max(1, job.window_batches)
        job.memory = self.borrow(
            (in_block - data) * job.columns + data * window + 2 * panels_of(job.columns)
            + 2 * plan.n_parameters + threads * scratch_size()
        )
        job.dZ = job.memory + plan.features * job.columns
        job.X_window = job.dZ + 2 * plan.widest_out * job.columns
        job.Y_window = job.X_window + plan.n_in * window
        job.panel_costs = <double*>(job.Y_window + plan.n_out * window)
        job.gradients = <real*>(job.panel_costs + panels_of(job.columns))
        job.whole_epoch = job.gradients + plan.n_parameters
        job.scratch = job.whole_epoch + plan.n_parameters
        return threads

    def cost_and_gradients(self, X, Y, gradients, int threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        cdef Matrix x = matrix(X)
        cdef Matrix y = matrix(Y)
        cdef double cost = 0
        cdef Job job
        memset(&job, 0, sizeof(job))
        job.X, job.Y, job.costs = &x, &y, &cost
        threads = self.prepare(&job, max(1, x.columns), x.columns, threads)
        job.gradients = NULL
        if gradients is not None:
            job.gradients = flat(gradients)
            memset(job.gradients, 0, self.plan.n_parameters * sizeof(real))
        run_team(&job, gradients_job, threads, True)
        self.give_back(job.memory)
        if job.stop:
            raise_pending()
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
        job.X, job.Y, job.learning_rate = &x, &y, learning_rate
        job.costs = <double*>cnp.PyArray_DATA(<cnp.ndarray>costs)
        job.epochs = cnp.PyArray_DIM(<cnp.ndarray>costs, 0)
        if order is not None:
            job.order = <const uint32_t*>cnp.PyArray_DATA(<cnp.ndarray>order)
        threads = self.prepare(
            &job, max(1, min(batch_size, x.columns)), x.columns * job.epochs, threads
        )
        run_team(&job, train_job, threads, True)
        if job.stop:
            memcpy(self.plan.theta, job.whole_epoch, self.plan.n_parameters * sizeof(real))
        self.give_back(job.memory)
        if job.stop:
            raise_pending()
