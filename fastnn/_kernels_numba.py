"""The Numba kernels: the equations of ``_kernels_numpy.py``, compiled when first called.

The contract and shapes stand there.  Examples go through the network in blocks that stay in the
cache, as in ``_kernels.pyx``, and one register tile serves the three products ``W A_prev + b``,
``W^T dZ`` and ``dZ A_prev^T``; all the rest are plain loops over numbers.  This page is what
Python sees; the rooms are listed in ``_numba/__init__.py``.

Each function is compiled for each dtype when it is first called, and each row of a table when a
network first has it; Numba keeps the result on disk.  `threads` is not used.
"""

import time
from functools import lru_cache

import numpy as np

from fastnn import _kernels_numpy as reference
from fastnn._numba import activations, entries, losses, random, updates
from fastnn._numba.engine import LAYER, Net
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

# Bytes of all features of a block, and its examples: enough for the sums of dW.
BLOCK_BYTES = 1 << 22
BLOCK_COLUMNS = 256
# More examples in a block that is so small.
SMALL_BYTES = 1 << 16
# Bytes of packed examples that training keeps ahead: a row of X is read once for all of them.
AHEAD_BYTES = 1 << 23
# Numbers of dA for the Jacobians of some examples.
JACOBIAN_BLOCK = 1 << 18
# Seconds between two looks for Ctrl-C, and multiplications before the first.
POLL_SECONDS = 0.05
POLL_WORK = 1e7


# --- single layers ------------------------------------------------------------------------


def activate(Z, activation, alpha, A, D):
    """``A = g(Z)``, and ``D = g'(Z)`` unless it is None."""
    _apply(activations.row_of(activation, Z.dtype.char), Z, alpha, A, D)


def activation_derivative(A, activation, alpha, derivative):
    """``g'(Z)`` from the output A."""
    loop = activations.derivative_of(activation, A.dtype.char)
    _apply(loop, A, alpha, np.empty_like(A), derivative)


def _apply(loop, Z, alpha, A, D):
    a = np.array(Z, order="C")
    d = a if D is None else np.empty_like(a)
    loop.ctypes(a.ctypes.data, d.ctypes.data, *a.shape, alpha, D is not None)
    np.copyto(A, a)
    if D is not None:
        np.copyto(D, d)


def dense_forward(W, b, A_prev, activation, alpha, A):
    """``A = g(W A_prev + b)``."""
    layer = LayerSpec(W.shape[1], W.shape[0], activation, alpha)
    parameters = np.concatenate((W.reshape(-1), b.reshape(-1)))
    Network((layer,), LossSpec(0), parameters).forward(A_prev, A)


def dense_backward(dZ, W, A_prev, total, dW, db, dA_prev):
    """``dW = dZ A_prev^T / total``, ``db = sum(dZ) / total``, ``dA_prev = W^T dZ``, or None."""
    n_out, n_in = W.shape
    parameters = np.concatenate((W.reshape(-1), np.zeros(n_out, W.dtype)))
    gradients = np.empty_like(parameters)
    layer = LayerSpec(n_in, n_out, ACTIVATION_CODES["linear"])
    Network((layer,), LossSpec(0), parameters).backward(A_prev, dZ, gradients, dA_prev)
    np.divide(gradients[: W.size].reshape(W.shape), total, out=dW)
    np.divide(gradients[W.size :].reshape(db.shape), total, out=db)


def output_cost(A, D, Y, weights, loss, activation, alpha, dZ):
    """Return the cost ``J = sum(weights * loss(A, Y)) / total``, and dZ unless it is None."""
    (code, loss_alpha, paired, _), char = loss, A.dtype.char
    a, y, total = np.ascontiguousarray(A), np.ascontiguousarray(Y), A.shape[1]
    sums, dA = np.empty_like(a[:1]), np.empty_like(a)
    losses.row_of(code, char).ctypes(
        *(x.ctypes.data for x in (a, y, sums, dA)), *a.shape, loss_alpha, True
    )
    if dZ is not None:
        np.subtract(A, Y, out=dZ)
        if not paired:
            activation_backward(dA, A, D, activation, alpha, 1, dZ, np.empty((len(A), 1), A.dtype))
    if weights is not None:
        sums, total = sums * weights, float(weights.sum(dtype=np.float64))
        if dZ is not None:
            dZ *= weights
    return float(sums.sum(dtype=np.float64)) / (total or 1) + 0.0  # not -0.0


def shuffle(order, seed, epoch):
    """A random permutation of 0 ... m - 1 for each epoch."""
    random.shuffle("I")(order, np.uint64(seed), np.uint64(epoch))


# --- the whole network --------------------------------------------------------------------


class Network(reference.Network):
    """A network of L layers on one flat parameter vector: the reference says what each method does.

    What is not here, such as its looks at arguments, it does itself.
    """

    def __init__(self, layers, loss, parameters):
        super().__init__(layers, loss, parameters)
        self._block = 0  # `try_forward` calls `forward` for any block

    def forward(self, X, A, threads=1, masks=None):
        self._run(None, X, masks=masks, A=A)

    def cost_and_gradients(self, X, Y, weights, gradients, threads=1):
        total = X.shape[1] if weights is None else float(weights.sum(dtype=np.float64))
        return self._run(self.loss, X, Y, weights, total or 1, gradients=gradients)

    def backward(self, X, dA, gradients, dX, threads=1, masks=None):
        loss = LossSpec(losses.GIVEN)
        self._run(loss, X, dA, masks=masks, gradients=gradients, dX=dX)

    def jacobian(self, X, J, threads=1):
        # Each example once for each output, where dA is 1.
        _, n_out, n_in = J.shape
        size = max(JACOBIAN_BLOCK // n_out**2, 1)
        for start in range(0, X.shape[1], size):
            x = np.repeat(X[:, start : start + size], n_out, axis=1)
            dA, dX = np.tile(np.eye(n_out, dtype=X.dtype), x.shape[1] // n_out), np.empty_like(x)
            self.backward(x, dA, None, dX)
            J[start : start + size] = dX.T.reshape(-1, n_out, n_in)

    def _run(
        self, loss, X, Y=None, weights=None, total=1, masks=None, A=None, gradients=None, dX=None
    ):
        """All examples through the network and, for gradients or dX, back; return the cost."""
        m, none = X.shape[1], np.empty((0, 0), X.dtype)
        back = gradients is not None or dX is not None
        gradients = none[:0].reshape(-1) if gradients is None else gradients
        gradients[:] = 0
        Y, weights, A, dX = (none if x is None else x for x in (Y, weights, A, dX))
        seed, step = masks or (0, 0)
        net = self._net(loss, m, back or masks, masks)
        arguments = net, X, Y, weights, total, np.uint64(seed), step, A, gradients, dX
        kernel, cost = entries.run(X.dtype.char), 0.0
        for turn in self._turns(net, _blocks(m, m, net.packed.shape[2])):
            cost += kernel(*arguments, *turn)
        return cost / total + 0.0  # not -0.0

    def train(
        self, X, Y, weights, order, batch_size, spec, scalars, state, seed, first_step, costs,
        threads=1,
    ):  # fmt: skip
        m, dtype, parameters = X.shape[1], X.dtype, self.parameters
        if m == 0:
            costs[:] = 0
            return
        batch_size = min(batch_size, m)
        # Examples that are neither shuffled nor used again are not packed ahead.
        again = order is not None or len(costs) > 1
        net = self._net(self.loss, batch_size, True, True, m * again, order is not None)
        weights = np.empty((0, 0), dtype) if weights is None else weights
        order = np.empty((1, 0), np.uint32) if order is None else np.ascontiguousarray(order)
        per_epoch = _blocks(m, batch_size, net.packed.shape[2])
        before = np.concatenate((parameters, state.reshape(-1)))
        before = before.reshape(1 + len(state), parameters.size)
        arguments = (
            net, X, Y, weights, order, batch_size, _rule(spec, dtype.char), scalars, state,
            np.uint64(seed), first_step, costs, np.empty_like(parameters), before, np.zeros(2),
            per_epoch,
        )  # fmt: skip
        kernel = entries.train(dtype.char)
        try:
            for turn in self._turns(net, len(costs) * per_epoch):
                kernel(*arguments, *turn)
        except BaseException:
            parameters[:], state[...] = before[0], before[1:].reshape(state.shape)
            raise

    def update(self, gradients, spec, scalars, state):
        net, rule = self._net(None, 1, False, False), _rule(spec, gradients.dtype.char)
        return entries.update(gradients.dtype.char)(net, gradients, state, _three(scalars), rule)

    def _turns(self, net, blocks):
        """Yield (begin, end) of the blocks, some at a time: between two, Ctrl-C is seen."""
        begin, some = 0, int(POLL_WORK // max(net.parameters.size * net.packed.shape[2], 1)) + 1
        while begin < blocks:
            start = time.perf_counter()
            yield begin, min(begin + some, blocks)
            seconds, begin = time.perf_counter() - start, begin + some
            some = max(1, int(some * min(2, POLL_SECONDS / max(seconds, 1e-9))))

    # --- memory ---------------------------------------------------------------------------

    def _net(self, loss, batch, back, masks, m=0, shuffled=False):
        """The network as the kernels have it, with memory for a block of a batch.

        Of m examples that are used again, all blocks that there is room for are packed ahead.
        """
        dtype, n_in, n_out = self.parameters.dtype, self.layers[0].n_in, self.layers[-1].n_out
        layers, rows, widest = _plan(tuple(self.layers), dtype.char, bool(back), bool(masks))
        code = losses.row_of(loss.code, dtype.char).address if loss else 0
        loss = LossSpec(code, *(loss or LossSpec(0))[1:])
        packed_rows, panel = n_in + n_out + 1, 2 * VECTOR_BYTES // dtype.itemsize
        width = _width(batch, dtype.itemsize * (rows + packed_rows), panel)
        # Of examples that are used again as they lie, all are kept, or none.
        blocks = _blocks(m, batch, width)
        room = AHEAD_BYTES // (dtype.itemsize * width * packed_rows)
        ahead = min(room, blocks) if shuffled or blocks <= room else 1
        packed = np.empty((max(ahead, 1), packed_rows, width), dtype)
        packed[:, -1] = 1  # the weights
        memory, scratch = np.empty((rows, width), dtype), np.empty((width + widest) * panel, dtype)
        return Net(layers, loss, self.parameters, packed, memory, scratch)


@lru_cache(1024)
def _plan(layers, char, back, masks):
    """`LAYER` of each layer, how many rows the memory of a block has, and the most of one layer.

    back: a pass back follows; masks: with dropout.
    """
    plan, start, row = [], 0, 0
    for n_in, n_out, code, alpha, keep in layers:
        b, has_D = start + n_in * n_out, back and code != activations.SOFTMAX
        D, loop = row + n_out * has_D, activations.row_of(code, char).address
        plan.append((n_in, n_out, start, b, row, D, 0, 0, loop, alpha, keep if masks else 1))
        start, row = b + n_out, D + n_out
    plan = np.array(plan, LAYER)
    # dZ and dA_prev change places from layer to layer.
    widest, even = int(max(layers[0].n_in, *plan["n_out"])), np.arange(len(plan)) % 2
    plan["dZ"], plan["dA_prev"] = row + even * widest, row + (1 - even) * widest
    return plan, row + 2 * widest * back + 1, widest


def _rule(spec, char):
    """An UpdateSpec with the address of its loop for its code."""
    address = updates.row_of(spec.code, char).address
    return UpdateSpec(address, _three(spec.constants), *spec[2:])


def _three(numbers):
    return np.array([*numbers, 0.0, 0.0, 0.0][:3])


def _blocks(m, batch, width):
    """How many blocks an epoch of m examples has."""
    return m // max(batch, 1) * -(-batch // width) + -(-(m % max(batch, 1)) // width)


def _width(m, size, panel):
    """Examples of a block: a multiple of the panel, even shares of m, within the cache's size.

    size: bytes of one.
    """
    most = min(max(BLOCK_COLUMNS, SMALL_BYTES // size), BLOCK_BYTES // size)
    most = max(panel, most // panel * panel)
    blocks = max(1, -(-m // most))
    return -(-max(m, 1) // (blocks * panel)) * panel
