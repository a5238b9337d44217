"""The reference kernels: each equation of the network is one visible line of NumPy.

The other two kernel modules, ``_kernels_numba`` and the compiled ``_kernels.pyx``,
export these same names with these same parameters and must give these results.

The contract
------------
* One column is one example.  ``X`` is (n[0], m), ``W[l]`` (n[l], n[l-1]), ``b[l]``
  (n[l], 1), ``A[l]`` and ``dZ[l]`` (n[l], m), ``Y`` (n[L], m).
* All arrays of a call share one dtype, float32 or float64, native and aligned.
  ``W``, ``b``, ``dW``, ``db`` and flat vectors are C-contiguous; the others may have
  any strides.
* Outputs come last (flagged OUT), are preallocated, and do not overlap an input;
  ``activate`` alone may be given ``A is Z``.  Inputs are never written.
* Kernels neither validate nor decide: the callers have checked everything.
* NaN and infinity go through as IEEE arithmetic says.
* m = 0 gives empty results, zero gradients and a cost of 0.0; a layer of width 0
  gives ``Z = b``.
* ``activation`` and ``loss`` are the codes below; ``slope`` is read by leaky_relu only.
"""

import math
from functools import cache
from itertools import pairwise

import numpy as np

__all__ = [
    "ACTIVATION_CODES",
    "LOSS_CODES",
    "Network",
    "activate",
    "activation_backward",
    "activation_derivative",
    "all_finite",
    "dense_backward",
    "dense_forward",
    "output_cost",
    "shuffle",
]

ACTIVATION_CODES = {"linear": 0, "sigmoid": 1, "tanh": 2, "relu": 3, "leaky_relu": 4, "softmax": 5}
LOSS_CODES = {"mse": 0, "binary_cross_entropy": 1, "cross_entropy": 2}
PAIRED = {("mse", "linear"), ("binary_cross_entropy", "sigmoid"), ("cross_entropy", "softmax")}

FORWARD_BLOCK = 1 << 20
"""Elements of the widest layer, X left aside, that `Network.forward` holds at a time."""

GATHER_BLOCK = 1 << 22
"""Elements of X that `Network.train` puts in order at a time, but one batch at least."""


# --- activations: A = g(Z), and g' written from A ---------------------------------------
#
# Written to A step by step: a new array for each step would cost more than its arithmetic.


def _linear(Z, slope, A):
    if A is not Z:
        np.copyto(A, Z)


def _sigmoid(Z, slope, A):
    # The lower tail keeps its relative accuracy.  From z = 40 on the result is 1 in either
    # dtype, and exp(40) cannot overflow.
    E = np.exp(np.minimum(Z, 40, out=A), out=A)
    np.divide(E, 1 + E, out=A)


def _tanh(Z, slope, A):
    np.tanh(Z, out=A)


def _relu(Z, slope, A):
    np.maximum(Z, 0, out=A)


def _leaky_relu(Z, slope, A):
    np.multiply(Z, _one_or(slope, Z), out=A)


def _one_or(slope, Z):
    """1 where Z > 0, else slope: np.where, but without its branches, which are guessed wrong."""
    positive = Z > 0
    return positive + Z.dtype.type(slope) * ~positive


def _softmax(Z, slope, A):
    # Subtracting the maximum of each example leaves the ratio as it is and cannot overflow.
    E = np.exp(np.subtract(Z, Z.max(axis=0, initial=-np.inf), out=A), out=A)
    np.divide(E, E.sum(axis=0), out=A)


_ACTIVATE = {
    "linear": _linear,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "softmax": _softmax,
}

_DERIVATIVE = {
    "linear": lambda A, slope: 1,
    "sigmoid": lambda A, slope: A * (1 - A),
    "tanh": lambda A, slope: 1 - A * A,
    "relu": lambda A, slope: A > 0,
    "leaky_relu": lambda A, slope: _one_or(slope, A),
}

_ACTIVATION_NAMES = {code: name for name, code in ACTIVATION_CODES.items()}
_LOSS_NAMES = {code: name for name, code in LOSS_CODES.items()}


def activate(Z, activation, slope, A):
    """``A = g(Z)``.  OUT: A, (n, m), which may be Z itself."""
    _ACTIVATE[_ACTIVATION_NAMES[activation]](Z, slope, A)


def activation_derivative(A, activation, slope, derivative):
    """``g'(Z)`` from the output A, element by element.  OUT: derivative, (n, m).

    Not for softmax, whose derivative is a matrix for each example.
    """
    np.copyto(derivative, _DERIVATIVE[_ACTIVATION_NAMES[activation]](A, slope))


def activation_backward(dA, A, activation, slope, dZ, db):
    """``dZ = dA * g'(Z)`` and ``db = sum(dZ) / m``.  OUT: dZ, (n, m), and db, (n, 1)."""
    _backward(dA, A, activation, slope, dZ)
    _mean(dZ, db)


def _backward(dA, A, activation, slope, dZ):
    """``dZ = dA * g'(Z)``.  OUT: dZ, (n, m), which may be dA itself."""
    name = _ACTIVATION_NAMES[activation]
    if name == "softmax":
        np.multiply(A, dA - (dA * A).sum(axis=0), out=dZ)
    else:
        np.multiply(dA, _DERIVATIVE[name](A, slope), out=dZ)


def _mean(dZ, db):
    """``db = sum(dZ) / m``, 0 where there are no examples.  OUT: db, (n, 1)."""
    dZ.sum(axis=1, keepdims=True, out=db)
    db /= max(dZ.shape[1], 1)


# --- one layer ---------------------------------------------------------------------------


def dense_forward(W, b, A_prev, activation, slope, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    if A.flags.c_contiguous:
        _layer(W, b, A_prev, activation, slope, A)
    else:
        np.copyto(A, _layer(W, b, A_prev, activation, slope))


def _layer(W, b, A_prev, activation, slope, A=None):
    """Return A of `dense_forward`: in A, which must be C-contiguous, or in a new array."""
    Z = W.dot(A_prev, A)  # a call of `dot` takes a third of the time of one of `matmul`
    Z += b
    activate(Z, activation, slope, Z)
    return Z


def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
    """Gradients of one layer from dZ, (n_out, m).

    ``dW = dZ A_prev^T / m``, ``db = sum(dZ) / m``, ``dA_prev = W^T dZ``.
    OUT: dW, (n_out, n_in); db, (n_out, 1); dA_prev, (n_in, m), or None to leave it out.
    """
    dZ.dot(A_prev.T, dW)
    dW /= max(dZ.shape[1], 1)
    _mean(dZ, db)
    if dA_prev is not None:
        if dA_prev.flags.c_contiguous:
            W.T.dot(dZ, dA_prev)
        else:
            np.copyto(dA_prev, W.T.dot(dZ))


# --- the cost ----------------------------------------------------------------------------


def _mse(A, Y):
    D = A - Y
    return np.divide(np.square(D, out=D), 2, out=D)


def _binary_cross_entropy(A, Y):
    tiny, below_1 = _ENDS[A.dtype]
    log_a = np.log(np.maximum(A, tiny))
    log_1_minus_a = np.log1p(-np.minimum(A, below_1))
    return (Y - 1) * log_1_minus_a - Y * log_a


def _cross_entropy(A, Y):
    tiny, _ = _ENDS[A.dtype]
    log_a = np.maximum(A, tiny)
    return np.multiply(-Y, np.log(log_a, out=log_a), out=log_a)


_ENDS = {info.dtype: (info.tiny, 1 - info.epsneg) for info in map(np.finfo, ("f4", "f8"))}
"""The smallest and the largest probability with a logarithm that is kept as it is."""

_COST = {
    "mse": _mse,
    "binary_cross_entropy": _binary_cross_entropy,
    "cross_entropy": _cross_entropy,
}


def output_cost(A, Y, loss, activation, slope, dZ):
    """Return the cost ``J = sum(loss(A, Y)) / m``.  OUT: dZ, (n_L, m), or None for J alone.

    ``dZ = A - Y`` where the loss and the output activation pair, else
    ``dZ = (A - Y) * g'(Z)``, the derivative of mse through g.
    """
    m = max(A.shape[1], 1)
    name = _LOSS_NAMES[loss]
    if dZ is not None:
        if (name, _ACTIVATION_NAMES[activation]) in PAIRED:
            np.subtract(A, Y, out=dZ)
        else:
            _backward(np.subtract(A, Y, out=dZ), A, activation, slope, dZ)
    return float(_COST[name](A, Y).sum(dtype=np.float64)) / m


def all_finite(X):
    """Return whether X holds no NaN and no infinity, without a temporary of its size."""
    # NaN and infinity outlast a sum of squares.  So does an overflow, hence the second look,
    # where NaN wins over all numbers.  `vdot` copies what is not contiguous.
    if (X.flags.c_contiguous or X.size <= 1 << 16) and math.isfinite(np.vdot(X, X)):
        return True
    lowest, highest = np.minimum.reduce(X, axis=None), np.maximum.reduce(X, axis=None)
    return math.isfinite(lowest) and math.isfinite(highest)


def shuffle(order, seed, epoch):
    """A random permutation of 0 ... m - 1 for each epoch.  OUT: order, uint32, (epochs, m).

    Row r is the permutation of epoch ``epoch + r``: it depends on `seed` and on that
    number alone, so it does not matter how many epochs are drawn at a time.  Fisher and
    Yates' shuffle; position i is swapped with ``floor(u (i + 1) / 2^32)``, where u is the
    upper half of the i-th number of a SplitMix64 stream (Steele, Lea and Flood, "Fast
    splittable pseudorandom number generators", 2014).
    """
    i = np.arange(order.shape[1], dtype=np.uint64)
    for r, row in enumerate(order):
        stream = _mix64(np.uint64(seed) + np.array([epoch + r], np.uint64))
        swap_with = ((_mix64(stream + (i + 1) * _GOLDEN) >> 32) * (i + 1) >> 32).tolist()
        shuffled = list(range(len(swap_with)))
        for k in range(len(shuffled) - 1, 0, -1):
            j = swap_with[k]
            shuffled[k], shuffled[j] = shuffled[j], shuffled[k]
        row[:] = shuffled


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix64(z):
    """The output function of SplitMix64, on arrays of uint64 (arithmetic modulo 2^64)."""
    z = (z ^ (z >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> 27)) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> 31)


# --- the whole network -------------------------------------------------------------------


class Network:
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

    def __init__(self, layer_sizes, activations, slopes, loss, parameters):
        self.layer_sizes = layer_sizes
        self.activations = activations
        self.slopes = slopes
        self.loss = loss
        self.parameters = parameters
        views = self._views(parameters)
        self._layers = [(*W_b, g, slope) for W_b, g, slope in zip(views, activations, slopes)]
        self._block = max(FORWARD_BLOCK // max(layer_sizes[1:]), 1)

    def _views(self, flat):
        """[(W[1], b[1]), ...] of a flat vector."""
        views, start = [], 0
        for n_in, n_out in pairwise(self.layer_sizes):
            middle, stop = start + n_out * n_in, start + n_out * (n_in + 1)
            views.append((flat[start:middle].reshape(n_out, n_in), flat[middle:stop, np.newaxis]))
            start = stop
        return views

    def try_forward(self, X, threads=1):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite.  Else None, and the caller converts X or says what is wrong with it."""
        if type(X) is not np.ndarray or X.dtype != self.parameters.dtype or X.ndim != 2:
            return None
        n, m = X.shape
        if n != self.layer_sizes[0] or m == 0 or not X.flags.aligned or not all_finite(X):
            return None
        if m <= self._block:
            return _through(self._layers, X)
        A = np.empty((self.layer_sizes[-1], m), X.dtype)
        self.forward(X, A)
        return A

    def forward(self, X, A, threads=1):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m)."""
        *hidden, (W, b, g, slope) = self._layers
        for start in range(0, X.shape[1], self._block):
            columns = slice(start, start + self._block)
            dense_forward(W, b, _through(hidden, X[:, columns]), g, slope, A[:, columns])

    def cost_and_gradients(self, X, Y, gradients, threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        if gradients is not None:
            return self._back(X, Y, self._views(gradients), *self._memory(X.shape[1]))
        A = np.empty((self.layer_sizes[-1], X.shape[1]), X.dtype)
        self.forward(X, A)
        return output_cost(A, Y, self.loss, self.activations[-1], self.slopes[-1], None)

    def _memory(self, m):
        """What `_back` fills for m examples: [A[1], ..., A[L]] and [dZ[1], ..., dZ[L]]."""
        dtype, sizes = self.parameters.dtype, self.layer_sizes[1:]
        return [[np.empty((n, m), dtype) for n in sizes] for _ in range(2)]

    def _back(self, X, Y, dW_db, A, dZ):
        """Return the cost.  OUT: dW_db, [(dW[1], db[1]), ...]; A and dZ, as in `_memory`."""
        A = [X, *A]
        for l, (W, b, g, slope) in enumerate(self._layers):
            dense_forward(W, b, A[l], g, slope, A[l + 1])
        cost = output_cost(A[-1], Y, self.loss, g, slope, dZ[-1])
        for l in range(len(dZ) - 1, 0, -1):
            W, (_, _, g, slope) = self._layers[l][0], self._layers[l - 1]
            dense_backward(dZ[l], W, A[l], *dW_db[l], dZ[l - 1])
            _backward(dZ[l - 1], A[l], g, slope, dZ[l - 1])
        dense_backward(dZ[0], self._layers[0][0], X, *dW_db[0], None)
        return cost

    def train(self, X, Y, order, batch_size, learning_rate, costs, threads=1):
        """Gradient descent in place: ``W <- W - alpha dW``, ``b <- b - alpha db``.

        One epoch for each element of `costs`, in batches of `batch_size` columns, the
        last one smaller where m is not a multiple.  ``order`` is None (the columns as
        they come) or uint32, (len(costs), m): the columns in each epoch's order.
        Ctrl-C raises KeyboardInterrupt within half a second and leaves the parameters
        of the last whole epoch.
        OUT: costs, float64: the mean of the batch costs as computed in each epoch.
        """
        gradients, m = np.empty_like(self.parameters), X.shape[1]
        dW_db = self._views(gradients)
        memory = cache(self._memory)  # this call's own: another may run at the same time
        for epoch in range(len(costs)):
            # A single batch is a whole epoch, and leaves nothing to take back.
            whole_epoch = self.parameters.copy() if batch_size < m else self.parameters
            batch_costs = []
            try:
                columns = None if order is None else order[epoch]
                for x, y in _batches(X, Y, columns, batch_size):
                    batch_costs.append(self._back(x, y, dW_db, *memory(x.shape[1])))
                    gradients *= learning_rate
                    self.parameters -= gradients
            except BaseException:
                self.parameters[:] = whole_epoch
                raise
            costs[epoch] = sum(batch_costs) / len(batch_costs)


def _through(layers, X):
    """Return what layers, each (W, b, g, slope), make of X."""
    for W, b, g, slope in layers:
        X = _layer(W, b, X, g, slope)
    return X


def _batches(X, Y, order, batch_size):
    """Yield X and Y of each batch, with the columns in the given order (None: as they come).

    Many batches are gathered at once: a pass over a row of X may as well take all of it.
    """
    m = X.shape[1]
    many = m if order is None else max(GATHER_BLOCK // len(X) // batch_size, 1) * batch_size
    for first in range(0, m, many):
        if order is None:
            X_some, Y_some = X, Y
        else:
            columns = order[first : first + many]
            X_some, Y_some = X.take(columns, axis=1), Y.take(columns, axis=1)
        for start in range(0, X_some.shape[1], batch_size):
            batch = slice(start, start + batch_size)
            yield X_some[:, batch], Y_some[:, batch]
