"""The Numba kernels: the equations of ``_kernels_numpy.py``, compiled when first called.

The contract and shapes stand in ``_kernels_numpy.py``.  Examples go through the network in
blocks of panels that stay in the cache, as in ``_kernels.pyx``, and one register tile serves
the three products ``W A_prev + b``, ``W^T dZ`` and ``dZ A_prev^T``; all the rest are plain
loops over numbers.  This page is what Python sees; the rooms are listed in
``_numba/__init__.py``.

Each function is compiled for each dtype when it is first called, some ten seconds for a whole
training run, and Numba keeps the result on disk.  `threads` is not used.
"""

import functools
import time

import numpy as np

from fastnn._numba import activations, entries, losses, updates
from fastnn._numba.engine import Data, Plan, Rule, Work
from fastnn._numba.gemm import DEPTH
from fastnn._numba.tile import VECTOR_BYTES
from fastnn._specifications import LayerSpec, LossSpec

__all__ = [
    "ACTIVATION_CODES",
    "LOSS_CODES",
    "UPDATE_CODES",
    "Network",
    "activate",
    "activation_backward",
    "activation_derivative",
    "all_finite",
    "dense_backward",
    "dense_forward",
    "output_cost",
    "shuffle",
    "update",
]

ACTIVATION_CODES, LOSS_CODES, UPDATE_CODES = activations.CODES, losses.CODES, updates.CODES

LINEAR = ACTIVATION_CODES["linear"]

# Bytes of all panels of a block, and its examples: enough for the sums of dW.
BLOCK_BYTES = 1 << 22
BLOCK_COLUMNS = 256
# More examples in a block that is so small.
SMALL_BYTES = 1 << 16
# Bytes of packed examples that training keeps ahead: a row of X is read once for all of them.
CHUNK_BYTES = 1 << 22
# Seconds between two looks for Ctrl-C, and multiplications between two outside of training.
POLL_SECONDS = 0.05
POLL_WORK = 1e9


# --- single kernels -----------------------------------------------------------------------


def activate(Z, activation, alpha, A, D):
    """``A = g(Z)``, and ``D = g'(Z)``.

    OUT: A, (n, m), which may be Z itself; D, (n, m), or None.  Not D for softmax, whose
    derivative is a matrix for each example.
    """
    _refuse_unknown(activation, ACTIVATION_CODES)
    columns = _block_columns(Z.shape[1], 2 * Z.shape[0], Z.dtype)
    D = _empty(Z.dtype) if D is None else D
    entries.activate[Z.dtype.char](Z, False, activation, alpha, A, D, columns)


def activation_derivative(A, activation, alpha, derivative):
    """``g'(Z)`` from the output A, element by element.  OUT: derivative, (n, m).

    Not for softmax, nor for activations whose derivative is not cheap from A.
    """
    _refuse_unknown(activation, ACTIVATION_CODES)
    columns = _block_columns(A.shape[1], 2 * A.shape[0], A.dtype)
    entries.activate[A.dtype.char](A, True, activation, alpha, A, derivative, columns)


def activation_backward(dA, A, D, activation, alpha, total, dZ, db):
    """``dZ = dA * g'(Z)``, from A, or from D unless it is None, and ``db = sum(dZ) / total``.

    OUT: dZ, (n, m), and db, (n, 1).
    """
    if D is None:
        _refuse_unknown(activation, ACTIVATION_CODES)
    columns = _block_columns(dA.shape[1], 2 * dA.shape[0], dA.dtype)
    known = A if D is None else D
    entries.activation_backward[dA.dtype.char](
        dA, known, D is not None, activation, alpha, total, dZ, db.reshape(-1), columns
    )


def dense_forward(W, b, A_prev, activation, alpha, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    layer = LayerSpec(W.shape[1], W.shape[0], activation, alpha)
    parameters = np.concatenate((W.reshape(-1), b.reshape(-1)))
    Network((layer,), LossSpec(LOSS_CODES["mse"]), parameters).forward(A_prev, A)


def dense_backward(dZ, W, A_prev, total, dW, db, dA_prev):
    """Gradients of one layer from dZ, (n_out, m).

    ``dW = dZ A_prev^T / total``, ``db = sum(dZ) / total``, ``dA_prev = W^T dZ``.
    OUT: dW, (n_out, n_in); db, (n_out, 1); dA_prev, (n_in, m), or None to leave it out.
    """
    n_out, n_in = W.shape
    parameters = np.concatenate((W.reshape(-1), np.zeros(n_out, W.dtype)))
    gradients = np.empty_like(parameters)
    layer = LayerSpec(n_in, n_out, LINEAR)
    net = Network((layer,), LossSpec(LOSS_CODES["mse"]), parameters)
    net._backward(A_prev, dZ, gradients, dA_prev, 1 / total, forward=False)
    dW[...] = gradients[: W.size].reshape(W.shape)
    db[...] = gradients[W.size :].reshape(db.shape)


def output_cost(A, D, Y, weights, loss, activation, alpha, dZ):
    """Return the cost ``J = sum(weights * loss(A, Y)) / total``.

    ``dZ = weights * (A - Y)`` where the loss and the output activation are paired, else
    ``dZ = weights * dA * g'(Z)``, with the loss's derivative dA, and g' from A, or from D.
    OUT: dZ, (n_L, m), or None for J alone.
    """
    _refuse_unknown(activation, ACTIVATION_CODES)
    nothing = _empty(A.dtype)
    D, dZ, lanes = (nothing if x is None else x for x in (D, dZ, weights))
    columns = _block_columns(A.shape[1], 4 * A.shape[0], A.dtype)
    cost = entries.output[A.dtype.char](A, D, Y, lanes, _loss(loss), activation, alpha, dZ, columns)
    return cost / _total(weights, A.shape[1]) + 0.0  # not -0.0


def update(w, gradient, state, scalars, spec, decays):
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
    own = np.ascontiguousarray(state)
    entries.update[w.dtype.char](w, gradient, own, scalars, _rule(spec), decays)
    if own is not state:
        state[...] = own


def all_finite(X):
    """Return whether X holds no NaN and no infinity, without a temporary of its size."""
    finite = entries.all_finite[X.dtype.char]
    if X.flags.c_contiguous or X.flags.f_contiguous:
        return finite(X.reshape(-1, order="A"))
    return all(finite(np.ascontiguousarray(row)) for row in X)


def shuffle(order, seed, epoch):
    """A random permutation of 0 ... m - 1 for each epoch.  OUT: order, uint32, (epochs, m).

    Row r is the permutation of epoch ``epoch + r``: Fisher and Yates' shuffle, driven by a
    SplitMix64 stream of its own (see ``_numpy/random.py``).
    """
    entries.shuffle["I"](order, np.uint64(seed), np.uint64(epoch))


# --- the whole network --------------------------------------------------------------------


class Network:
    """A network of L layers on one flat parameter vector.

    Parameters
    ----------
    layers : tuple of LayerSpec
    loss : LossSpec
    parameters : ndarray
        Flat: W[1] row by row, b[1], W[2], b[2], ...  Held, not copied: what the caller
        writes there is what the network computes with.
    """

    def __init__(self, layers, loss, parameters):
        self.layers = layers
        self.loss = loss
        self.parameters = parameters
        self._plan = _plan(tuple(map(tuple, layers)), tuple(loss))
        self._n_in, self._n_out = layers[0][0], layers[-1][1]
        self._features = sum(n_out for _, n_out, *_ in layers)
        self._widest = max(n_out for _, n_out, *_ in layers)
        self._dropping = min(keep for *_, keep in layers) < 1
        # Examples between two looks for Ctrl-C outside of `train`.
        self._span = max(int(POLL_WORK // max(parameters.size, 1)), 1)

    def try_forward(self, X, out=None, threads=1):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite; and so must be `out`, where A[L] is written if it is given, writeable
        and apart from X.  Else None, and the caller converts or says what is wrong."""
        if not self._is_plain(X, self._n_in) or X.shape[1] == 0:
            return None
        if out is None:
            out = np.empty((self._n_out, X.shape[1]), X.dtype)
        elif not (
            self._is_plain(out, self._n_out)
            and out.shape[1] == X.shape[1]
            and out.flags.writeable
            and not np.may_share_memory(out, X)
            and not np.may_share_memory(out, self.parameters)
        ):
            return None
        elif not all_finite(X):  # before anything is written
            return None
        return out if self._forward(X, out, True) else None

    def _is_plain(self, X, n):
        return (
            type(X) is np.ndarray
            and X.dtype == self.parameters.dtype
            and X.ndim == 2
            and X.shape[0] == n
            and X.flags.aligned
        )

    def forward(self, X, A, threads=1):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m)."""
        self._forward(X, A, False)

    def _forward(self, X, A, check):
        columns = _block_columns(X.shape[1], self._n_in + self._features, X.dtype)
        work = self._work(columns, columns, forward_only=True)
        kernel = entries.forward[X.dtype.char]
        for span in self._spans(X.shape[1], columns):
            part = slice(*span)
            if not kernel(
                self._plan, self.parameters, X[:, part], A[:, part], columns, work, check
            ):
                return False
        return True

    def cost_and_gradients(self, X, Y, weights, gradients, threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        m, dtype = X.shape[1], X.dtype
        columns = self._columns(m, dtype)
        work = self._work(columns, columns)
        if gradients is None:
            gradients = np.empty(0, dtype)
        elif m == 0:
            gradients[:] = 0
        lanes = _empty(dtype) if weights is None else weights
        data = Data(X, Y, lanes, np.empty(0, np.uint32), max(m, 1))
        cost, total = 0.0, _total(weights, m)
        for begin, end in self._spans(m, columns):
            cost += entries.gradients[dtype.char](
                self._plan, self.parameters, data, total, begin, end, columns, gradients, work
            )
        return cost + 0.0  # not -0.0

    def backward(self, X, dA, gradients, dX, threads=1):
        """From dA = dJ/dA[L], (n[L], m), the derivatives of J, summed over the examples.

        OUT: gradients, flat like the parameters, or None; dX, (n[0], m), or None.
        """
        self._backward(X, dA, gradients, dX, 1.0, forward=True)

    def _backward(self, X, dA, gradients, dX, scale, forward):
        m, dtype = X.shape[1], X.dtype
        columns = self._columns(m, dtype)
        work = self._work(columns, columns, widest=self._n_in)
        if gradients is None:
            gradients = np.empty(0, dtype)
        elif m == 0:
            gradients[:] = 0
        if dX is None:
            dX = _empty(dtype)
        for begin, end in self._spans(m, columns):
            entries.backward[dtype.char](
                self._plan, self.parameters, X, dA, begin, end, columns, forward, scale,
                gradients, dX, work,
            )  # fmt: skip

    def train(
        self, X, Y, weights, order, batch_size, spec, scalars, state, seed, first_step, costs,
        threads=1,
    ):  # fmt: skip
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
        each as computed before its update.  Ctrl-C raises KeyboardInterrupt within half a
        second and leaves the parameters and the state of the last whole epoch.
        """
        m, dtype, rule = X.shape[1], X.dtype, _rule(spec)
        if m == 0:
            costs[:] = 0
            return
        batch_size = min(batch_size, m)
        columns, panel = self._columns(batch_size, dtype), _panel(dtype)
        panels = -(-batch_size // panel) * -(-m // batch_size)
        chunk = CHUNK_BYTES // (dtype.itemsize * panel * (self._n_in + self._n_out))
        if order is None and (len(costs) == 1 or chunk < panels):
            chunk = 1  # packed ahead, it would be used but once
        chunk = min(max(chunk, columns // panel), panels)
        work = self._work(columns, chunk * panel)
        lanes = _empty(dtype) if weights is None else weights
        flat_order = np.empty(0, np.uint32) if order is None else np.ravel(order)
        before = np.concatenate((self.parameters, state.reshape(-1)))
        gradients, progress, sums = np.empty_like(self.parameters), np.zeros(5, int), np.zeros(3)
        arguments = (
            self._plan, self.parameters, Data(X, Y, lanes, flat_order, batch_size), rule, scalars,
            state, self._dropping, np.uint64(seed), first_step, costs, columns // panel, chunk,
            gradients, before, work, progress, sums,
        )  # fmt: skip
        kernel, blocks = entries.train[dtype.char], 1
        try:
            while progress[0] < len(costs):
                start = time.perf_counter()
                kernel(*arguments, blocks)
                seconds = time.perf_counter() - start
                blocks = max(1, int(blocks * min(2, POLL_SECONDS / max(seconds, 1e-9))))
        except BaseException:
            self.parameters[:] = before[: self.parameters.size]
            state[...] = before[self.parameters.size :].reshape(state.shape)
            raise

    # --- memory ---------------------------------------------------------------------------

    def _columns(self, m, dtype):
        """Columns of a block, forward and back."""
        features = self._n_in + self._n_out + 2 * self._features + 2 * self._widest
        return _block_columns(m, features, dtype)

    def _spans(self, m, columns):
        """(begin, end) of the examples between two looks for Ctrl-C, some whole blocks."""
        size = max(self._span // columns, 1) * columns
        return [(begin, min(begin + size, m)) for begin in range(0, m, size)]

    def _work(self, columns, packed, widest=0, forward_only=False):
        """Room for blocks of so many columns, and so many that are packed ahead."""
        widest = max(widest, self._widest)
        back = 0 if forward_only else columns
        slab = max(
            max(n_in * min(n_out, DEPTH), n_out * 2 * VECTOR_BYTES)
            for n_in, n_out, *_ in self.layers
        )
        panel = _panel(self.parameters.dtype)
        sizes = Work(
            self._n_in * packed, self._n_out * packed, packed, self._features * columns,
            self._features * back, widest * back, widest * back, panel * back,
            0 if forward_only else slab,
        )  # fmt: skip
        return Work._make(np.empty(size, self.parameters.dtype) for size in sizes)


@functools.lru_cache(1024)
def _plan(layers, loss):
    """What the compiled functions read of a network."""
    rows, start, A_start, D_start = [], 0, 0, 0
    for n_in, n_out, activation, _, keep in layers:
        _refuse_unknown(activation, ACTIVATION_CODES)
        from_z = activation in activations.CODES_FROM_Z
        middle = start + n_in * n_out
        rows.append((n_in, n_out, activation, from_z, start, middle, A_start, D_start))
        start, A_start = middle + n_out, A_start + n_out
        D_start += n_out if from_z or keep < 1 else 0
    numbers = np.array([layer[3:] for layer in layers], np.float64)
    return Plan(np.array(rows, np.int64), numbers, _loss(loss))


def _loss(loss):
    code, alpha, paired = loss
    _refuse_unknown(code, LOSS_CODES)
    return LossSpec(int(code), float(alpha), bool(paired))


def _rule(spec):
    code, constants, l2, decay, clip_norm = spec
    _refuse_unknown(code, UPDATE_CODES)
    return Rule(code, np.array(constants, np.float64), float(l2), float(decay), float(clip_norm))


def _refuse_unknown(code, codes):
    if code not in codes.values():
        raise ValueError(f"no row of the table has the code {code!r}")


def _total(weights, m):
    """What sums over m examples are divided by."""
    return (float(m) if weights is None else float(weights.sum(dtype=np.float64))) or 1.0


def _empty(dtype):
    """An array for what is left out."""
    return np.empty((0, 0), dtype)


def _panel(dtype):
    """Examples of a panel."""
    return 2 * VECTOR_BYTES // dtype.itemsize


def _block_columns(m, numbers_per_column, dtype):
    """Columns of a block: a multiple of the panel, even shares of m, within the cache's size."""
    panel = _panel(dtype)
    size = dtype.itemsize * max(numbers_per_column, 1)
    most = min(max(BLOCK_COLUMNS, SMALL_BYTES // size), BLOCK_BYTES // size)
    most = max(panel, most // panel * panel)
    blocks = max(1, -(-m // most))
    return -(-max(m, 1) // (blocks * panel)) * panel
