"""The Numba kernels: the equations of ``_kernels_numpy.py``, compiled when first called.

The contract and shapes stand there.  Examples go through the network in blocks that stay in the
cache, as in ``_kernels.pyx``, and one register tile serves the three products ``W A_prev + b``,
``W^T dZ`` and ``dZ A_prev^T``; all the rest are plain loops over numbers.  This page is what
Python sees; the rooms are listed in ``_numba/__init__.py``.

Each function is compiled for each dtype when it is first called, and each row of a table when a
network first has it; Numba keeps the result on disk.  `threads` is not used.
"""

import functools
import time

import numpy as np

from fastnn import _kernels_numpy as reference
from fastnn._numba import activations, entries, losses, updates
from fastnn._numba.engine import LAYER, Loss, Masks, Net
from fastnn._numba.entries import PROGRESS, Data
from fastnn._numba.tile import VECTOR_BYTES
from fastnn._specifications import LayerSpec, LossSpec, UpdateSpec

__all__ = [
    "ACTIVATION_CODES", "LOSS_CODES", "UPDATE_CODES", "Network", "activate", "activation_backward",
    "activation_derivative", "all_finite", "dense_backward", "dense_forward", "output_cost",
    "shuffle", "update",
]  # fmt: skip

ACTIVATION_CODES, LOSS_CODES, UPDATE_CODES = activations.CODES, losses.CODES, updates.CODES

# Where a compiled loop gains nothing over NumPy.
activation_backward = reference.activation_backward
update, all_finite = reference.update, reference.all_finite

LINEAR, MSE = ACTIVATION_CODES["linear"], LOSS_CODES["mse"]

# Bytes of all features of a block, and its examples: enough for the sums of dW.
BLOCK_BYTES = 1 << 22
BLOCK_COLUMNS = 256
# More examples in a block that is so small.
SMALL_BYTES = 1 << 16
# Bytes of packed examples that training keeps ahead: a row of X is read once for all of them.
AHEAD_BYTES = 1 << 23
# Seconds between two looks for Ctrl-C, and multiplications between two outside of training.
POLL_SECONDS = 0.05
POLL_WORK = 1e9


# --- single kernels: NumPy, and the loop of a row -----------------------------------------


def activate(Z, activation, alpha, A, D):
    """``A = g(Z)``, and ``D = g'(Z)`` unless it is None."""
    a, d = _contiguous(A), _contiguous(A if D is None else D)
    np.copyto(a, Z)
    kind = "values" if D is None else "values_and_derivatives"
    _run(activations.loop_of(kind, activation, Z.dtype.char), a, a, d, alpha)
    np.copyto(A, a)
    if D is not None:
        np.copyto(D, d)


def activation_derivative(A, activation, alpha, derivative):
    """``g'(Z)`` from the output A."""
    d = _contiguous(derivative)
    d.fill(1)
    loop = activations.loop_of("backward", activation, A.dtype.char)
    _run(loop, d, np.ascontiguousarray(A), d, alpha)
    np.copyto(derivative, d)


def dense_forward(W, b, A_prev, activation, alpha, A):
    """``A = g(W A_prev + b)``."""
    layer = LayerSpec(W.shape[1], W.shape[0], activation, alpha)
    parameters = np.concatenate((W.reshape(-1), b.reshape(-1)))
    Network((layer,), LossSpec(MSE), parameters).forward(A_prev, A)


def dense_backward(dZ, W, A_prev, total, dW, db, dA_prev):
    """``dW = dZ A_prev^T / total``, ``db = sum(dZ) / total``, ``dA_prev = W^T dZ``, or None."""
    n_out, n_in = W.shape
    parameters = np.concatenate((W.reshape(-1), np.zeros(n_out, W.dtype)))
    gradients = np.empty_like(parameters)
    net = Network((LayerSpec(n_in, n_out, LINEAR),), LossSpec(MSE), parameters)
    net.backward(A_prev, dZ, gradients, dA_prev)
    np.divide(gradients[: W.size].reshape(W.shape), total, out=dW)
    np.divide(gradients[W.size :].reshape(db.shape), total, out=db)


def output_cost(A, D, Y, weights, loss, activation, alpha, dZ):
    """Return the cost ``J = sum(weights * loss(A, Y)) / total``, and dZ unless it is None."""
    char, (code, loss_alpha, paired, _) = A.dtype.char, loss
    a, y, of_examples = np.ascontiguousarray(A), np.ascontiguousarray(Y), np.empty_like(A[:1])
    _run(losses.sums_of(code, char), a, y, of_examples, loss_alpha)
    weighted = of_examples if weights is None else of_examples * weights
    if dZ is not None:
        if paired:
            np.subtract(A, Y, out=dZ)
        else:
            dA = np.empty_like(a)
            _run(losses.derivatives_of(code, char), a, y, dA, loss_alpha)
            activation_backward(dA, A, D, activation, alpha, 1, dZ, np.empty((len(A), 1), A.dtype))
        if weights is not None:
            dZ *= weights
    total = _total(weights, A.shape[1])
    return float(weighted.sum(dtype=np.float64)) / total + 0.0  # not -0.0


def shuffle(order, seed, epoch):
    """A random permutation of 0 ... m - 1 for each epoch."""
    entries.shuffle("I")(order, np.uint64(seed), np.uint64(epoch))


def _run(loop, x, y, out, alpha):
    """Call the loop of a row on arrays (n, m)."""
    loop.ctypes(x.ctypes.data, y.ctypes.data, out.ctypes.data, *x.shape, alpha)


def _contiguous(array):
    """The array, or one of its shape for it to be copied from."""
    return array if array.flags.c_contiguous else np.empty(array.shape, array.dtype)


# --- the whole network --------------------------------------------------------------------


class Network(reference.Network):
    """A network of L layers on one flat parameter vector.

    Its looks at arguments, `try_forward` and the like, are those of the reference.
    """

    def __init__(self, layers, loss, parameters):
        super().__init__(layers, loss, parameters)
        self._key = tuple(map(tuple, layers)), tuple(loss), parameters.dtype.char
        self._n_in, self._block = layers[0][0], 0  # `try_forward` calls `forward` for any block
        # Examples between two looks for Ctrl-C outside of `train`.
        self._span = max(int(POLL_WORK // max(parameters.size, 1)), 1)

    def forward(self, X, A, threads=1, masks=None):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m)."""
        net = self._net(X.shape[1], back=masks is not None, masks=masks is not None)
        kernel = entries.forward(X.dtype.char)
        for some in self._spans(X.shape[1], net):
            kernel(net, X[:, some], A[:, some], _masks(masks, some.start))

    # --- gradients ------------------------------------------------------------------------

    def cost_and_gradients(self, X, Y, weights, gradients, threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        m, dtype = X.shape[1], X.dtype
        net = self._net(m, costs=True, back=gradients is not None)
        kernel = entries.gradients(dtype.char)
        gradients, weights = _or_empty(gradients, dtype, 1), _or_empty(weights, dtype, 2)
        gradients[:] = 0
        cost, total = 0.0, _total(weights if weights.size else None, m)
        for some in self._spans(m, net):
            data = Data(X[:, some], Y[:, some], weights[:, some], NO_ORDER, max(m, 1))
            cost += kernel(net, data, total, gradients)
        return cost + 0.0  # not -0.0

    def backward(self, X, dA, gradients, dX, threads=1, masks=None):
        """From dA = dJ/dA[L], (n[L], m), the derivatives of J, summed over the examples."""
        dtype, kernel = X.dtype, entries.backward(X.dtype.char)
        net = self._net(X.shape[1], back=True, masks=masks is not None)
        gradients, dX = _or_empty(gradients, dtype, 1), _or_empty(dX, dtype, 2)
        gradients[:] = 0
        for some in self._spans(X.shape[1], net):
            of_some = _masks(masks, some.start)
            kernel(net, X[:, some], dA[:, some], gradients, dX[:, some], of_some)

    def jacobian(self, X, J, threads=1):
        """``J[j, i, k] = dA[L][i, j] / dX[k, j]``, of each example j.  OUT: J, (m, n[L], n[0])."""
        net, kernel = self._net(X.shape[1], back=True), entries.jacobian(X.dtype.char)
        for some in self._spans(X.shape[1], net):
            kernel(net, X[:, some], J[some])

    # --- training -------------------------------------------------------------------------

    def train(
        self, X, Y, weights, order, batch_size, spec, scalars, state, seed, first_step, costs,
        threads=1,
    ):  # fmt: skip
        """Train in place: one step of an optimizer for each batch, as in the reference."""
        m, dtype = X.shape[1], X.dtype
        if m == 0:
            costs[:] = 0
            return
        batch_size = min(batch_size, m)
        parameters = self.parameters
        # Examples that are neither shuffled nor used again are not packed ahead.
        uses = 2 if order is not None else 1 if len(costs) > 1 else 0
        net = self._net(batch_size, costs=True, back=True, masks=True, m=m, uses=uses)
        order = NO_ORDER if order is None else np.ascontiguousarray(order)
        before = np.concatenate((parameters, state.reshape(-1)))
        progress = np.zeros(1, PROGRESS)
        arguments = (
            net, Data(X, Y, _or_empty(weights, dtype, 2), order, batch_size),
            _rule(spec, dtype.char), scalars, state, np.uint64(seed), first_step, costs,
            np.empty_like(parameters), before, progress,
        )  # fmt: skip
        kernel, blocks = entries.train(dtype.char), 1
        try:
            while progress["epoch"][0] < len(costs):
                start = time.perf_counter()
                kernel(*arguments, blocks)
                seconds = time.perf_counter() - start
                blocks = max(1, int(blocks * min(2, POLL_SECONDS / max(seconds, 1e-9))))
        except BaseException:
            parameters[:] = before[: parameters.size]
            state[...] = before[parameters.size :].reshape(state.shape)
            raise

    def update(self, gradients, spec, scalars, state):
        """Take the second half of a step, from the gradients on; return ``l2 / 2 sum(W^2)``."""
        net, char = self._net(1), gradients.dtype.char
        scalars = np.array(scalars)
        return entries.update(char)(net, gradients, state, scalars, _rule(spec, char))

    # --- memory ---------------------------------------------------------------------------

    def _net(self, batch, costs=False, back=False, masks=False, m=0, uses=0):
        """The network as the kernels have it, with memory for a block of a batch.

        Of m examples that are used again, all blocks that there is room for are packed ahead.
        """
        layers, loss, char = self._key
        (layers, rows), loss = _layers(layers, char, back, masks), _loss(loss, char, costs, back)
        dtype, packed_rows = self.parameters.dtype, self._n_in + self._n_out + 1
        width, panel, blocks = _width(batch, rows + packed_rows, dtype), _panel(dtype), 1
        if uses:
            per_epoch = -(-batch // width) * -(-m // batch)
            room = max(AHEAD_BYTES // (dtype.itemsize * width * packed_rows), 1)
            blocks = per_epoch if room >= per_epoch else room if uses > 1 else 1
        packed = np.empty((blocks, packed_rows, width), dtype)
        packed[:, -1] = 1  # the weights
        features = width + max(n_out for _, n_out, *_ in self.layers)
        memory, scratch = np.empty((rows, width), dtype), np.empty(features * panel, dtype)
        return Net(layers, loss, self.parameters, packed, memory, scratch)

    def _spans(self, m, net):
        """The columns between two looks for Ctrl-C, some whole blocks."""
        width = net.packed.shape[2]
        size = max(self._span // width, 1) * width
        return [slice(begin, min(begin + size, m)) for begin in range(0, m, size)]


NO_ORDER = np.empty((1, 0), np.uint32)


@functools.lru_cache(1024)
def _layers(layers, char, back, masks):
    """`LAYER` of each layer, and how many rows the memory of a block has.

    back: a pass back follows; masks: with dropout.
    """
    plan, start, row = [], 0, 0
    for n_in, n_out, code, alpha, keep in layers:
        keep = keep if masks else 1.0
        has_D = back and (code in activations.NEEDS_Z or keep < 1)
        value = activations.loop_of("values_and_derivatives" if has_D else "values", code, char)
        backward = activations.loop_of("backward", code, char).address if back > has_D else 0
        b, D = start + n_in * n_out, row + n_out if has_D else -1
        plan.append((n_in, n_out, start, b, row, D, 0, 0, alpha, keep, value.address, backward))
        start, row = b + n_out, row + n_out + n_out * has_D
    plan = np.array(plan, LAYER)
    # dZ and dA_prev change places from layer to layer.
    widest = max(layers[0][0], *plan["n_out"]) if back else 0
    even = np.arange(len(plan)) % 2
    plan["dZ"], plan["dA_prev"] = row + even * widest, row + (1 - even) * widest
    return plan, int(row + 2 * widest + 1)


@functools.lru_cache(1024)
def _loss(loss, char, costs, back):
    code, alpha, paired, _ = loss
    sums = losses.sums_of(code, char).address if costs else 0
    derivatives = losses.derivatives_of(code, char).address if costs and back > paired else 0
    return Loss(float(alpha), bool(paired), sums, derivatives)


@functools.lru_cache(1024)
def _rule(spec, char):
    """An UpdateSpec with the address of its loop for its code, and always three constants."""
    constants = np.array([*spec.constants, 0.0, 0.0, 0.0][:3])
    rest = map(float, (spec.l2, spec.decay, spec.clip_norm))
    loop = updates.loop_of(spec.code, char).address
    return UpdateSpec(loop, constants, *rest, bool(spec.per_example))


def _masks(masks, first):
    """What the masks from an example on depend on; without dropout no layer asks."""
    seed, step = masks or (0, 0)
    return Masks(np.uint64(seed), step, first)


def _total(weights, m):
    """What sums over m examples are divided by."""
    return (float(m) if weights is None else float(weights.sum(dtype=np.float64))) or 1.0


def _or_empty(array, dtype, ndim):
    """An array without numbers for one that is left out."""
    return np.empty((0,) * ndim, dtype) if array is None else array


def _panel(dtype):
    """Examples of a panel."""
    return 2 * VECTOR_BYTES // dtype.itemsize


def _width(m, rows, dtype):
    """Examples of a block: a multiple of the panel, even shares of m, within the cache's size."""
    panel, size = _panel(dtype), dtype.itemsize * rows
    most = min(max(BLOCK_COLUMNS, SMALL_BYTES // size), BLOCK_BYTES // size)
    most = max(panel, most // panel * panel)
    blocks = max(1, -(-m // most))
    return -(-max(m, 1) // (blocks * panel)) * panel
