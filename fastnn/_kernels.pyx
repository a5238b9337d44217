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
    `microkernel` keeps TILE_ROWS x PANEL sums in registers and adds ``a[row, k] * b[k, column]``
    to them for every k.  With a = W, b = a panel of A_prev it is ``W A_prev + b``; with
    a = W^T, b = a panel of dZ it is ``W^T dZ``; with a = dZ, b = A_prev transposed it is
    ``dZ A_prev^T``.  `gemm` takes the tiles in an order that keeps their operands in the
    caches: a panel in the L1 cache for all rows, the rows in the L2 cache for all panels.
    Its results are still in registers, or in the L1 cache, when the epilogue is applied to
    them: the activation, its derivative, or the update.
Small products
    A single example, or a first layer of few rows, is not packed (matvec.pxi, unpacked.pxi);
    small sums of dW are dot products, whose lanes are examples (dots.pxi).

One mini-batch, from `fit` to the tile and back
    Python: ``MLP.fit`` checks, ``training.fit`` draws the order and makes the scalars of every
    step (learning rates, bias corrections), and calls `Network.train`.

    1.  `Network.train` (network.pxi) fills in a `Job` (plan.pxi): plan, data, training,
        workspace, control.  `run_batches` cuts the examples into blocks (`cut_batches`), and
        `run` lends the job working memory (workspace.pxi).
    2.  `run_team` (threads.pxi, team.h) starts the helpers; each thread runs `train_job`
        (training.pxi), the loop over the epochs.
    3.  `epoch_of_small_batches` packs the next batches (`pack_examples`, `pack`, panels.pxi)
        and gives each to `run_block` (engine.pxi).  Plain gradient descent is fused: its target
        is the parameters, += -learning_rate / total * gradients.  Any other update has a vector
        of gradients as the target, += gradients / total.  (`epoch_of_large_batches`: a batch of
        several blocks, whose gradients are summed first.)
    4.  Forward: `forward_layers`, for each layer `forward_panels` (layers.pxi), which describes
        the product to `gemm` (gemm.pxi); that blocks it for the caches: `gemm_rows`,
        `run_tiles`, and `wide_tiles` or `narrow_tiles` (tile.pxi) choose the specialised
        `microkernel`.  It sums over k; `finish_rows` applies the epilogue (rows.h) and stores.
        A layer that keeps D has its activation applied afterwards, panel by panel, and
        `drop_units` multiplies the masks of dropout (random.h) into A and D.
    5.  The output: `output_panels` (losses.pxi) sums the loss of each panel and writes dZ.
    6.  Backward, from the last layer to the first: `backward_layer`.  `backward_panels` is
        `gemm` again, with the derivative, or D, as a factor in the epilogue: dZ of the layer
        below.  A barrier.  `add_gradients` (gradients.pxi) chooses the shape of the sum of dW
        (`shape_of_dW`): `add_dW`, which transposes one operand and is `gemm` once more, with
        ADD as epilogue, or `add_dW_by_dots`; `add_db` sums the biases.  A barrier.
    7.  `end_of_block` looks for Ctrl-C, and whether the team is still worth its while.
    8.  Unless the update is fused, `take_step`: `penalize_and_clip`, and `update_share` runs the
        optimizer's formula (updates.pxi) over a thread's share of the parameters.  A barrier.
        `train_job` writes the cost of the epoch.

A new row
    An activation, a loss or an optimizer is a line in rows.h and its formula in
    activations.pxi, losses.pxi or updates.pxi.

The rooms in ``_cython/``, each built on those before it::

    vector.h          what vector operators cannot say: loads, choices, bits, transposition
    tuning.h          every constant that was tuned, with its reason
    rows.h            the rows: their codes, and the dispatch to their formulas
    random.h          SplitMix64, and the masks of dropout
    team.h            barriers between threads
    headers.pxi       the names of these headers, for Cython
    vector_math.pxi   exp, log, and the curves made of them
    arrays.pxi        arrays of any strides, tests for finiteness, allocation
    panels.pxi        the panels that arrays are packed into
    activations.pxi   formulas of the activations and their derivatives; softmax
    losses.pxi        formulas of the losses; the cost, and dZ of the output
    tile.pxi          the register tile
    gemm.pxi          the order of the tiles of a matrix product
    layers.pxi        dense layers on panels: forward, and dZ of the layer below
    matvec.pxi        a few examples, one by one
    unpacked.pxi      a first layer of few rows, from X as it stands
    dots.pxi          dW by dot products
    gradients.pxi     dW and db on panels
    random.pxi        shuffled orders, and masks on panels
    updates.pxi       formulas of the optimizers
    plan.pxi          what a network is to the kernels, and what one call of it is
    workspace.pxi     the working memory
    threads.pxi       how teams are started, and how many threads are worth it
    engine.pxi        whole networks: a block forward and backward
    jacobian.pxi      the derivatives of the outputs with respect to the inputs
    training.pxi      mini-batches, steps and epochs
    checks.pxi        codes for Python, and what is refused
    network.pxi       the class Network
    this file         the layer kernels of the contract
"""

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.math cimport INFINITY, isfinite, sqrt
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

import os
from _thread import start_new_thread

from fastnn._specifications import SUM_TOLERANCE, Targets

sched_getaffinity = getattr(os, "sched_getaffinity", None)  # not on every system
pauses = (0.01, 0.3)  # seconds without helpers who were of no use: at first, at most; or None

cnp.import_array()


include "_cython/headers.pxi"
include "_cython/vector_math.pxi"
include "_cython/arrays.pxi"
include "_cython/panels.pxi"
include "_cython/activations.pxi"
include "_cython/losses.pxi"
include "_cython/tile.pxi"
include "_cython/gemm.pxi"
include "_cython/layers.pxi"
include "_cython/matvec.pxi"
include "_cython/unpacked.pxi"
include "_cython/dots.pxi"
include "_cython/gradients.pxi"
include "_cython/random.pxi"
include "_cython/updates.pxi"
include "_cython/plan.pxi"
include "_cython/workspace.pxi"
include "_cython/threads.pxi"
include "_cython/engine.pxi"
include "_cython/jacobian.pxi"
include "_cython/training.pxi"
include "_cython/checks.pxi"
include "_cython/network.pxi"


# --- the layer kernels of the contract ------------------------------------------------------


def activate(Z, int activation, double alpha, A, D):
    """``A = g(Z)``, and ``D = g'(Z)``.

    OUT: A, (n, m), which may be Z itself; D, (n, m), or None.  Not D for softmax, whose
    derivative is a matrix for each example.
    """
    cdef Matrix z = matrix(Z)
    cdef Matrix a = matrix(A)
    cdef Matrix d
    cdef Matrix z_lines = z
    cdef Matrix a_lines = a
    cdef Matrix d_lines
    cdef bint has_d = D is not None
    cdef Py_ssize_t first, count, p, size
    checked_activation(activation)
    if has_d:
        check_elementwise(activation)
        d = d_lines = matrix(D)
    if activation != SOFTMAX and as_lines(&z_lines, &a_lines, &d_lines if has_d else NULL):
        with nogil:
            for p in range(z_lines.rows):
                activate_line(
                    z_lines.data + p * z_lines.row_stride, z_lines.columns, activation,
                    <real>alpha, a_lines.data + p * a_lines.row_stride,
                    d_lines.data + p * d_lines.row_stride if has_d else NULL,
                )
        return
    cdef Py_ssize_t columns = block_columns(z.columns, 2 * z.rows, FORWARD_BLOCK_BYTES)
    cdef real* panels = <real*>allocate(2 * z.rows * columns)
    cdef real* d_panels = panels + z.rows * columns
    with nogil:
        size = z.rows * PANEL
        for first from 0 <= first < z.columns by columns:
            count = min(columns, z.columns - first)
            pack(&z, NULL, first, count, count, panels, z.rows)
            for p in range(panels_of(count)):
                activate_panel(
                    panels + p * size, z.rows, activation, <real>alpha,
                    d_panels + p * size if has_d else NULL,
                )
            unpack(panels, first, count, &a)
            if has_d:
                unpack(d_panels, first, count, &d)
    release(panels)


def activation_derivative(A, int activation, double alpha, derivative):
    """``g'(Z)`` from the output A, element by element.  OUT: derivative, (n, m).

    Not for softmax, nor for activations whose derivative is not cheap from A.
    """
    cdef Matrix a = matrix(A)
    cdef Matrix d = matrix(derivative)
    cdef Matrix a_lines = a
    cdef Matrix d_lines = d
    cdef Py_ssize_t first, count, i
    check_elementwise(activation)
    check_from_output(activation)
    if as_lines(&a_lines, &d_lines, NULL):
        with nogil:
            for i in range(a_lines.rows):
                backward_line(
                    NULL, a_lines.data + i * a_lines.row_stride, NULL, a_lines.columns,
                    activation, <real>alpha, d_lines.data + i * d_lines.row_stride,
                )
        return
    cdef Py_ssize_t columns = block_columns(a.columns, a.rows, FORWARD_BLOCK_BYTES)
    cdef real* panels = <real*>allocate(a.rows * columns)
    with nogil:
        for first from 0 <= first < a.columns by columns:
            count = min(columns, a.columns - first)
            pack(&a, NULL, first, count, count, panels, a.rows)
            derivative_run(
                NULL, panels, panels_of(count) * PANEL * a.rows, activation, <real>alpha, panels
            )
            unpack(panels, first, count, &d)
    release(panels)


def activation_backward(dA, A, D, int activation, double alpha, double total, dZ, db):
    """``dZ = dA * g'(Z)``, from A, or from D unless it is None, and ``db = sum(dZ) / total``.

    OUT: dZ, (n, m), and db, (n, 1).
    """
    cdef bint has_d = D is not None
    cdef Matrix da = matrix(dA)
    cdef Matrix source = matrix(D if has_d else A)  # of g'
    cdef Matrix dz = matrix(dZ)
    cdef real* sums = flat(db)
    cdef Py_ssize_t n = da.rows
    cdef real scale = <real>1 / <real>total
    cdef Py_ssize_t first, count, p
    cdef real* row
    cdef real* factor
    if not has_d:
        checked_activation(activation)
        check_from_output(activation)
    if (
        (has_d or activation != SOFTMAX)
        and source.column_stride == da.column_stride == dz.column_stride == 1
    ):
        with nogil:
            for p in range(n):
                row = dz.data + p * dz.row_stride
                factor = source.data + p * source.row_stride
                backward_line(
                    da.data + p * da.row_stride, NULL if has_d else factor,
                    factor if has_d else NULL, da.columns, activation, <real>alpha, row,
                )
                sums[p] = scale * sum_line(row, da.columns)
        return
    cdef Py_ssize_t columns = block_columns(da.columns, 2 * n, FORWARD_BLOCK_BYTES)
    cdef real* panels = <real*>allocate(2 * n * columns)
    cdef real* out = panels + n * columns
    with nogil:
        memset(sums, 0, n * sizeof(real))
        for first from 0 <= first < da.columns by columns:
            count = min(columns, da.columns - first)
            pack(&source, NULL, first, count, count, panels, n)
            pack(&da, NULL, first, count, count, out, n)
            for p from 0 <= p < panels_of(count) * n * PANEL by n * PANEL:
                backward_panel(
                    out + p, panels + p, panels + p if has_d else NULL, n, activation,
                    <real>alpha, out + p,
                )
            clear_padding(out, n, 0, panels_of(count), count)
            add_db(out, n, panels_of(count), scale, sums, 0, n)
            unpack(out, first, count, &dz)
    release(panels)


cdef int forward_examples(
    const Layer* layer, const real* W, const real* b, const Matrix* X, const Matrix* A
) except -1:
    """`dense_forward` of a few examples, one by one."""
    cdef real* x = <real*>allocate(layer.n_in + layer.n_out + LANES)
    cdef real* z = x + layer.n_in
    cdef Py_ssize_t j
    memset(z, 0, (layer.n_out + LANES) * sizeof(real))
    for j in range(X.columns):
        read_column(X, j, x)
        forward_column(layer, W, b, x, z, NULL)
        write_column(z, j, A)
    release(x)
    return 0


def dense_forward(W, b, A_prev, int activation, double alpha, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    cdef Matrix x = matrix(A_prev)
    cdef Matrix a = matrix(A)
    cdef Layer layer
    memset(&layer, 0, sizeof(layer))
    layer.n_in, layer.n_out, layer.alpha = x.rows, a.rows, <real>alpha
    layer.activation = checked_activation(activation)
    if x.columns <= MATVEC_EXAMPLES:
        forward_examples(&layer, flat(W), flat(b), &x, &a)
        return
    cdef Py_ssize_t columns = block_columns(x.columns, x.rows + a.rows, FORWARD_BLOCK_BYTES)
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
            forward_columns(
                &layer, weights, biases, &x, first, count, panels,
                columns_of(&a, first) if direct else panels_at(out, a.rows), scratch, False,
            )
            if not direct:
                unpack(out, first, count, &a)
    release(panels)


def dense_backward(dZ, W, A_prev, double total, dW, db, dA_prev):
    """Gradients of one layer from dZ, (n_out, m).

    ``dW = dZ A_prev^T / total``, ``db = sum(dZ) / total``, ``dA_prev = W^T dZ``.
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
    cdef real scale = <real>1 / <real>total
    cdef real* A
    if 0 < x.columns <= MATVEC_EXAMPLES:
        A = <real*>allocate(2 * n_in * x.columns)
        backward_columns(
            flat(W), n_in, n_out, &dz, &x, &dx if has_dx else NULL, scale, flat(dW), flat(db), A,
            A + n_in * x.columns,
        )
        release(A)
        return
    cdef Py_ssize_t columns = block_columns(x.columns, 2 * n_in + n_out, TRAIN_BLOCK_BYTES)
    A = <real*>allocate((2 * n_in + n_out) * columns + scratch_size())
    cdef real* dA = A + n_in * columns
    cdef real* delta = dA + n_in * columns
    cdef real* scratch = delta + n_out * columns
    cdef const real* weights = flat(W)
    cdef real* weight_sums = flat(dW)
    cdef real* bias_sums = flat(db)
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
                delta, n_out, A, n_in, count, NULL, scale, weight_sums, bias_sums, scratch, 0, 1
            )
            if has_dx:
                direct = dx.column_stride == 1
                backward_panels(
                    weights, n_in, n_out, delta, NULL, NULL, NULL,
                    columns_of(&dx, first) if direct else panels_at(dA, n_in), 0, panels, count,
                    scratch,
                )
                if not direct:
                    unpack(dA, first, count, &dx)
    release(A)


def output_cost(A, D, Y, weights, loss, int activation, double alpha, dZ):
    """Return the cost ``J = sum(weights * loss(A, Y)) / total``.

    ``dZ = weights * (A - Y)`` where the loss and the output activation are paired, else
    ``dZ = weights * dA * g'(Z)``, with the loss's derivative dA, and g' from A, or from D.
    OUT: dZ, (n_L, m), or None for J alone.
    """
    cdef Matrix a = matrix(A)
    cdef Matrix y = matrix(Y)
    cdef Matrix d, w, dz
    cdef bint has_d = D is not None
    cdef bint has_w = weights is not None
    cdef bint has_dz = dZ is not None
    cdef Loss what = unpack_loss(loss)
    cdef Output out
    checked_activation(activation)
    if has_d:
        d = matrix(D)
    elif has_dz and not what.paired:
        check_from_output(activation)
    if has_w:
        w = matrix(weights)
    if has_dz:
        dz = matrix(dZ)
    cdef Py_ssize_t columns = block_columns(
        a.columns, (3 + has_d) * a.rows + has_w, FORWARD_BLOCK_BYTES
    )
    cdef Py_ssize_t panels = panels_of(columns)
    cdef Py_ssize_t size = a.rows * columns
    cdef double* costs = <double*>allocate(
        ((3 + has_d) * a.rows + has_w) * columns + panels * 2
    )
    cdef real* outputs = <real*>(costs + panels)
    cdef real* targets = outputs + size
    cdef real* delta = targets + size
    cdef real* derivatives = delta + size
    cdef real* of_examples = derivatives + size * has_d
    cdef Py_ssize_t first, count
    cdef double cost = 0
    out.n, out.activation, out.alpha = a.rows, activation, <real>alpha
    out.A, out.Y, out.dZ = outputs, targets, delta if has_dz else NULL
    out.D, out.weights = derivatives if has_d else NULL, of_examples if has_w else NULL
    with nogil:
        for first from 0 <= first < a.columns by columns:
            count = min(columns, a.columns - first)
            pack(&a, NULL, first, count, count, outputs, a.rows)
            pack(&y, NULL, first, count, count, targets, y.rows)
            if has_d:
                pack(&d, NULL, first, count, count, derivatives, a.rows)
            if has_w:
                pack(&w, NULL, first, count, count, of_examples, 1)
            output_panels(&out, &what, count, 0, panels_of(count), costs)
            cost += sum_of_costs(costs, panels_of(count))
            if has_dz:
                unpack(delta, first, count, &dz)
        cost /= total_of(&w if has_w else NULL, NULL, 0, a.columns)
    release(costs)
    return cost


def update(w, gradient, state, scalars, spec, bint decays):
    """One step of an optimizer on flat vectors.

    Parameters
    ----------
    w, gradient : ndarray
        (n,).
    state : ndarray
        (slots, n): the vectors that the optimizer keeps.
    scalars : ndarray
        float64, (k,): what its formula takes in this step, the learning rate first.
    spec : UpdateSpec
    decays : bool
        Whether w are weights, of which ``learning_rate spec.decay w`` is taken away first.

    OUT: w and state, in place.
    """
    cdef cnp.ndarray s = <cnp.ndarray>scalars
    cdef cnp.ndarray slots = <cnp.ndarray>state
    cdef Py_ssize_t n = cnp.PyArray_DIM(<cnp.ndarray>w, 0)
    cdef Update what
    cdef Training training
    cdef double values[MAX_SCALARS]
    unpack_update(&what, spec)
    check_vectors(what.code, cnp.PyArray_DIM(s, 0), cnp.PyArray_DIM(slots, 0))
    training.scalars, training.scalars_stride = <const char*>cnp.PyArray_DATA(s), 0
    training.scalar_stride = cnp.PyArray_STRIDE(s, 0)
    training.n_scalars = cnp.PyArray_DIM(s, 0)
    cdef Py_ssize_t stride = cnp.PyArray_STRIDE(slots, 0) // <Py_ssize_t>sizeof(real)
    cdef real* w_data = flat(w)
    cdef const real* g_data = flat(gradient)
    cdef real* state_data = flat(state)
    scalars_of(&training, 0, values)
    with nogil:
        update_line(&what, values, decays, w_data, g_data, 1, state_data, stride, n)


def all_finite(X):
    """Return whether X holds no NaN and no infinity, without a temporary of its size."""
    cdef Matrix x = matrix(X)
    cdef bint answer
    with nogil:
        answer = finite_matrix(&x)
    return answer


def shuffle(order, uint64_t seed, uint64_t epoch):
    """A random permutation of 0 ... m - 1 for each epoch.  OUT: order, uint32, (epochs, m).

    Row r is the permutation of epoch ``epoch + r``: Fisher and Yates' shuffle, driven by a
    SplitMix64 stream of its own (see ``_numpy/random.py``).
    """
    cdef Py_ssize_t rows = cnp.PyArray_DIM(<cnp.ndarray>order, 0)
    cdef Py_ssize_t m = cnp.PyArray_DIM(<cnp.ndarray>order, 1)
    cdef uint32_t* row = <uint32_t*>cnp.PyArray_DATA(<cnp.ndarray>order)
    cdef Py_ssize_t r
    with nogil:
        for r in range(rows):
            shuffled(mix64(seed + epoch + <uint64_t>r), m, row + r * m)


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
    cdef Py_ssize_t _k
    cdef int i
    for i in range(12):
        sums[i] = splat(<real>i)
    with nogil:
        while seconds() - start < duration:
            began = seconds()
            for _k in range(10000):
                for i in range(12):
                    sums[i] = sums[i] * factor + term
            best = min(best, seconds() - began)
        for i in range(1, 12):
            sums[0] = sums[0] + sums[i]
    # The sum is used, so that the compiler cannot leave the work out.
    return 2.0 * 12 * LANES * 10000 / best + (0 if sum_lanes(sums[0]) < 1e30 else 1)
