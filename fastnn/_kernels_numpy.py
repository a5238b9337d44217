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

FORWARD_BLOCK = 1 << 18
"""Elements of the widest layer that `Network.forward` holds at a time."""


# --- activations: A = g(Z), and g' written from A ---------------------------------------


def _linear(Z, slope, A):
    np.copyto(A, Z)


def _sigmoid(Z, slope, A):
    # exp never overflows, and both tails keep their relative accuracy.
    E = np.exp(-np.abs(Z))
    np.divide(np.where(Z >= 0, Z.dtype.type(1), E), 1 + E, out=A)


def _tanh(Z, slope, A):
    np.tanh(Z, out=A)


def _relu(Z, slope, A):
    np.maximum(Z, 0, out=A)


def _leaky_relu(Z, slope, A):
    np.copyto(A, np.where(Z > 0, Z, Z.dtype.type(slope) * Z))


def _softmax(Z, slope, A):
    # Subtracting the maximum of each example leaves the ratio as it is and cannot overflow.
    E = np.exp(Z - Z.max(axis=0, keepdims=True, initial=-np.inf))
    np.divide(E, E.sum(axis=0, keepdims=True), out=A)


_ACTIVATE = {
    "linear": _linear,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "softmax": _softmax,
}

_DERIVATIVE = {
    "linear": lambda A, slope: np.ones_like(A),
    "sigmoid": lambda A, slope: A * (1 - A),
    "tanh": lambda A, slope: 1 - A * A,
    "relu": lambda A, slope: np.where(A > 0, A.dtype.type(1), A.dtype.type(0)),
    "leaky_relu": lambda A, slope: np.where(A > 0, A.dtype.type(1), A.dtype.type(slope)),
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
    name = _ACTIVATION_NAMES[activation]
    if name == "softmax":
        np.multiply(A, dA - np.sum(dA * A, axis=0, keepdims=True), out=dZ)
    else:
        np.multiply(dA, _DERIVATIVE[name](A, slope), out=dZ)
    np.divide(np.sum(dZ, axis=1, keepdims=True), max(dZ.shape[1], 1), out=db)


# --- one layer ---------------------------------------------------------------------------


def dense_forward(W, b, A_prev, activation, slope, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    Z = W @ A_prev
    Z += b
    activate(Z, activation, slope, A)


def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
    """Gradients of one layer from dZ, (n_out, m).

    ``dW = dZ A_prev^T / m``, ``db = sum(dZ) / m``, ``dA_prev = W^T dZ``.
    OUT: dW, (n_out, n_in); db, (n_out, 1); dA_prev, (n_in, m), or None to leave it out.
    """
    m = max(dZ.shape[1], 1)
    np.matmul(dZ, A_prev.T, out=dW)
    dW /= m
    np.sum(dZ, axis=1, keepdims=True, out=db)
    db /= m
    if dA_prev is not None:
        np.matmul(W.T, dZ, out=dA_prev)


# --- the cost ----------------------------------------------------------------------------


def _mse(A, Y):
    return np.square(A - Y) / 2


def _binary_cross_entropy(A, Y):
    info = np.finfo(A.dtype)
    log_a = np.log(np.maximum(A, info.tiny))
    log_1_minus_a = np.log1p(-np.minimum(A, 1 - info.epsneg))
    return -(Y * log_a + (1 - Y) * log_1_minus_a)


def _cross_entropy(A, Y):
    return -Y * np.log(np.maximum(A, np.finfo(A.dtype).tiny))


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
            db = np.empty((A.shape[0], 1), A.dtype)
            activation_backward(A - Y, A, activation, slope, dZ, db)
    return float(np.sum(_COST[name](A, Y), dtype=np.float64) / m)


def all_finite(X):
    """Return whether X holds no NaN and no infinity, without a temporary of its size."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):
            return True
    return all(np.isfinite(row[i : i + FORWARD_BLOCK]).all()
               for row in X for i in range(0, len(row), FORWARD_BLOCK))  # fmt: skip


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

    def _layers(self, flat):
        """Views (W, b) of a flat vector, one pair for each layer."""
        start = 0
        for n_in, n_out in zip(self.layer_sizes, self.layer_sizes[1:]):
            middle, stop = start + n_out * n_in, start + n_out * (n_in + 1)
            yield flat[start:middle].reshape(n_out, n_in), flat[middle:stop].reshape(n_out, 1)
            start = stop

    def _activations(self, X):
        """[X, A[1], ..., A[L]]."""
        A = [X]
        for (W, b), g, slope in zip(self._layers(self.parameters), self.activations, self.slopes):
            A.append(np.empty((W.shape[0], X.shape[1]), X.dtype))
            dense_forward(W, b, A[-2], g, slope, A[-1])
        return A

    def try_forward(self, X):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite.  Else None, and the caller converts X or says what is wrong with it.
        A backend with threads also returns None where the work is worth several, which
        `forward` takes."""
        parameters = self.parameters
        if (
            type(X) is not np.ndarray
            or X.dtype != parameters.dtype
            or X.ndim != 2
            or X.shape[0] != self.layer_sizes[0]
            or X.shape[1] == 0
            or not X.flags.aligned
            or not all_finite(X)
        ):
            return None
        A = np.empty((self.layer_sizes[-1], X.shape[1]), X.dtype)
        self.forward(X, A)
        return A

    def forward(self, X, A, threads=1):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m)."""
        block = max(FORWARD_BLOCK // max(self.layer_sizes), 1)
        for start in range(0, X.shape[1], block):
            columns = slice(start, start + block)
            A[:, columns] = self._activations(X[:, columns])[-1]

    def cost_and_gradients(self, X, Y, gradients, threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        A = self._activations(X)
        dZ = None if gradients is None else np.empty_like(A[-1])
        cost = output_cost(A[-1], Y, self.loss, self.activations[-1], self.slopes[-1], dZ)
        if gradients is None:
            return cost
        W = [W for W, b in self._layers(self.parameters)]
        dW_db = list(self._layers(gradients))
        for l in reversed(range(len(W))):
            dA_prev = np.empty_like(A[l]) if l else None
            dense_backward(dZ, W[l], A[l], *dW_db[l], dA_prev)
            if l:
                dZ = np.empty_like(dA_prev)
                activation_backward(
                    dA_prev, A[l], self.activations[l - 1], self.slopes[l - 1], dZ, dW_db[l - 1][1]
                )
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
        gradients = np.empty_like(self.parameters)
        m = X.shape[1]
        for epoch in range(len(costs)):
            whole_epoch = self.parameters.copy()
            batch_costs = []
            try:
                for start in range(0, m, batch_size):
                    columns = slice(start, start + batch_size)
                    if order is not None:
                        columns = order[epoch, columns]
                    batch_costs.append(
                        self.cost_and_gradients(X[:, columns], Y[:, columns], gradients)
                    )
                    gradients *= learning_rate
                    self.parameters -= gradients
            except BaseException:
                self.parameters[:] = whole_epoch
                raise
            costs[epoch] = np.mean(batch_costs)
