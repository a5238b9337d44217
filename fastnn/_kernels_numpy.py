"""The reference kernels: each equation of the network is one visible line of NumPy.

The other two kernel modules, ``_kernels_numba`` and the compiled ``_kernels.pyx``,
export these same names with these same parameters and must give these results.

The contract
------------
* One column is one example.  ``X`` is (n[0], m), ``W[l]`` (n[l], n[l-1]), ``b[l]``
  (n[l], 1), ``A[l]`` and ``dZ[l]`` (n[l], m), ``Y`` (n[L], m), ``weights`` (1, m).
* All arrays of a call share one dtype, float32 or float64, native and aligned.
  ``W``, ``b``, ``dW``, ``db``, flat vectors and ``state`` are C-contiguous; the others
  may have any strides.
* Outputs come last (flagged OUT), are preallocated, and do not overlap an input;
  ``activate`` alone may be given ``A is Z``.  Inputs are never written.
* Kernels neither validate nor decide: the callers have checked everything.  What they
  are to compute they are told by specifications (``_specifications.py``): LayerSpec,
  LossSpec, UpdateSpec.  A code that is not in the tables is an error, never another row.
  The exceptions look at whatever the user gave, in one call where many would take longer
  than the work: ``accepts``, ``accepts_examples``, ``try_forward``, ``try_step``.  They
  answer no (False or None), and leave it to the caller to convert or to say what is wrong.
* NaN and infinity go through as IEEE arithmetic says.
* m = 0 gives empty results, zero gradients and a cost of 0.0; a layer of width 0
  gives ``Z = b``.
* ``alpha`` is the parameter of an activation or a loss, 0.0 where it has none.
* ``D`` is g'(Z), which a layer keeps beside A where its activation has no derivative that
  is cheap from A, or where dropout has left some units out.  Else it is None.
* ``total`` is what sums over examples are divided by: m, or the sum of the weights; 1
  where that is 0.
"""

import math
from functools import cache
from itertools import accumulate

import numpy as np

from fastnn._numpy.random import mask, shuffle
from fastnn._numpy.special import elu, gelu, gelu_tanh, silu, softplus
from fastnn._specifications import SUM_TOLERANCE, Targets
from fastnn.activations import ACTIVATIONS
from fastnn.losses import LOSSES
from fastnn.optimizers import FORMULAS

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

LINEAR = ACTIVATIONS["linear"].code
SOFTMAX = ACTIVATIONS["softmax"].code

BLOCK = 1 << 20
"""Elements of the widest layer, X left aside, that a network holds at a time."""

GATHER_BLOCK = 1 << 22
"""Elements of X that `Network.train` puts in order at a time, but one batch at least."""

UPDATE_BLOCK = 1 << 16
"""Parameters that are updated at a time: what is made on the way stays in the cache."""


def _codes(names, table):
    """{name: code} of the formulas that stand here; None for one that has no row in the table."""
    return {name: table[name].code if name in table else None for name in names}


# --- activations: A = g(Z), and g' written from A, or else D = g'(Z) beside it ------------
#
# Written to A step by step: a new array for each step would cost more than its arithmetic.


def _linear(Z, alpha, A):
    if A is not Z:
        np.copyto(A, Z)


def _sigmoid(Z, alpha, A):
    # The lower tail keeps its relative accuracy.  From z = 40 on the result is 1 in either
    # dtype, and exp(40) cannot overflow.
    E = np.exp(np.minimum(Z, 40, out=A), out=A)
    np.divide(E, 1 + E, out=A)


def _tanh(Z, alpha, A):
    np.tanh(Z, out=A)


def _relu(Z, alpha, A):
    np.maximum(Z, 0, out=A)


def _leaky_relu(Z, slope, A):
    np.multiply(Z, _one_or(slope, Z), out=A)


def _one_or(slope, Z):
    """1 where Z > 0, else slope: np.where, but without its branches, which are guessed wrong."""
    positive = Z > 0
    return positive + Z.dtype.type(slope) * ~positive


def _exponential(Z, alpha, A):
    with np.errstate(over="ignore"):
        np.exp(Z, out=A)


def _softmax(Z, alpha, A):
    # Subtracting the maximum of each example leaves the ratio as it is and cannot overflow.
    largest = Z.max(axis=0, initial=-np.inf)
    # (For one example `vdot` takes longer than a look; `dot` would warn of an overflow.)
    if math.isfinite(largest[0] if largest.size == 1 else np.vdot(largest, largest)):
        E = np.exp(np.subtract(Z, largest, out=A), out=A)
        np.divide(E, E.sum(axis=0), out=A)
    else:  # infinity minus infinity is NaN, without a warning; this takes longer
        with np.errstate(invalid="ignore"):
            E = np.exp(np.subtract(Z, largest, out=A), out=A)
            np.divide(E, E.sum(axis=0), out=A)


def _softmax_backward(dA, A):
    return A * (dA - (dA * A).sum(axis=0))


_FROM_OUTPUT = {
    "linear": (_linear, lambda A, alpha: 1),
    "sigmoid": (_sigmoid, lambda A, alpha: A * (1 - A)),
    "tanh": (_tanh, lambda A, alpha: 1 - A * A),
    "relu": (_relu, lambda A, alpha: A > 0),
    "leaky_relu": (_leaky_relu, lambda A, slope: _one_or(slope, A)),
    "softmax": (_softmax, None),  # its derivative is a matrix for each example
    "exponential": (_exponential, lambda A, alpha: A),
}
"""name -> (g, g'): ``g(Z, alpha, A)`` writes A, and ``g'(A, alpha)`` is the derivative."""

_FROM_Z = {
    "gelu": lambda Z, alpha, A, D: gelu(Z, A, D),
    "elu": elu,
    "softplus": lambda Z, alpha, A, D: softplus(Z, A, D),
    "silu": lambda Z, alpha, A, D: silu(Z, A, D),
    "gelu_tanh": lambda Z, alpha, A, D: gelu_tanh(Z, A, D),
}
"""name -> ``g(Z, alpha, A, D)``, which writes A, and D unless it is None."""


ACTIVATION_CODES = _codes((*_FROM_OUTPUT, *_FROM_Z), ACTIVATIONS)
_ACTIVATION_NAMES = {code: name for name, code in ACTIVATION_CODES.items()}


def activate(Z, activation, alpha, A, D):
    """``A = g(Z)``, and ``D = g'(Z)``.

    OUT: A, (n, m), which may be Z itself; D, (n, m), or None.  Not D for softmax, whose
    derivative is a matrix for each example.
    """
    name = _ACTIVATION_NAMES[activation]
    row = _FROM_OUTPUT.get(name)
    if row is None:
        _FROM_Z[name](Z, alpha, A, D)
        return
    row[0](Z, alpha, A)
    if D is not None:
        np.copyto(D, row[1](A, alpha))


def activation_derivative(A, activation, alpha, derivative):
    """``g'(Z)`` from the output A, element by element.  OUT: derivative, (n, m).

    Not for softmax, nor for activations whose derivative is not cheap from A.
    """
    np.copyto(derivative, _FROM_OUTPUT[_ACTIVATION_NAMES[activation]][1](A, alpha))


def activation_backward(dA, A, D, activation, alpha, total, dZ, db):
    """``dZ = dA * g'(Z)``, from A, or from D unless it is None, and ``db = sum(dZ) / total``.

    OUT: dZ, (n, m), and db, (n, 1).
    """
    _backward(dA, A, D, activation, alpha, dZ)
    _sum_of(dZ, total, db)


def _backward(dA, A, D, activation, alpha, dZ):
    """``dZ = dA * g'(Z)``.  OUT: dZ, (n, m), which may be dA itself."""
    if D is not None:
        np.multiply(dA, D, out=dZ)
    elif activation == SOFTMAX:
        np.copyto(dZ, _softmax_backward(dA, A))
    else:
        np.multiply(dA, _FROM_OUTPUT[_ACTIVATION_NAMES[activation]][1](A, alpha), out=dZ)


def _sum_of(dZ, total, db):
    """``db = sum(dZ) / total``.  OUT: db, (n, 1)."""
    dZ.sum(axis=1, keepdims=True, out=db)
    db /= total


# --- one layer ---------------------------------------------------------------------------


def dense_forward(W, b, A_prev, activation, alpha, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    if A.flags.c_contiguous:
        _layer(W, b, A_prev, activation, alpha, A)
    else:
        np.copyto(A, _layer(W, b, A_prev, activation, alpha))


def _layer(W, b, A_prev, activation, alpha, A=None):
    """Return A of `dense_forward`: in A, which must be C-contiguous, or in a new array."""
    Z = W.dot(A_prev, A)  # a call of `dot` takes a third of the time of one of `matmul`
    Z += b
    activate(Z, activation, alpha, Z, None)
    return Z


def dense_backward(dZ, W, A_prev, total, dW, db, dA_prev):
    """Gradients of one layer from dZ, (n_out, m).

    ``dW = dZ A_prev^T / total``, ``db = sum(dZ) / total``, ``dA_prev = W^T dZ``.
    OUT: dW, (n_out, n_in); db, (n_out, 1); dA_prev, (n_in, m), or None to leave it out.
    """
    dZ.dot(A_prev.T, dW)
    dW /= total
    _sum_of(dZ, total, db)
    if dA_prev is not None:
        if dA_prev.flags.c_contiguous:
            W.T.dot(dZ, dA_prev)
        else:
            np.copyto(dA_prev, W.T.dot(dZ))


# --- the cost ----------------------------------------------------------------------------


def _mse(A, Y, alpha):
    D = A - Y
    return np.divide(np.square(D, out=D), 2, out=D)


def _binary_cross_entropy(A, Y, floor):
    tiny, below_1 = _ENDS[A.dtype]
    log_a = np.log(np.maximum(A, max(tiny, floor)))
    log_1_minus_a = np.log1p(-np.minimum(A, min(below_1, 1 - floor)))
    return (Y - 1) * log_1_minus_a - Y * log_a


def _cross_entropy(A, Y, floor):
    tiny, _ = _ENDS[A.dtype]
    log_a = np.maximum(A, max(tiny, floor))
    return np.multiply(-Y, np.log(log_a, out=log_a), out=log_a)


def _huber(A, Y, delta):
    R = np.abs(A - Y)
    inner = np.minimum(R, delta)  # r^2 / 2 up to delta, and from there on a straight line
    return inner * (R - inner / 2)


def _poisson(A, Y, alpha):
    tiny, _ = _ENDS[A.dtype]
    return A - Y * np.log(np.maximum(A, tiny))


def _poisson_derivative(A, Y, alpha):
    tiny, _ = _ENDS[A.dtype]
    with np.errstate(over="ignore"):
        return 1 - np.minimum(Y / np.maximum(A, tiny), np.finfo(A.dtype).max)


_ENDS = {
    info.dtype: (float(info.tiny), float(1 - info.epsneg)) for info in map(np.finfo, ("f4", "f8"))
}
"""The smallest and the largest probability with a logarithm that is kept as it is."""

_LOSS = {
    "mse": (_mse, lambda A, Y, alpha: A - Y),
    "binary_cross_entropy": (
        _binary_cross_entropy,
        lambda A, Y, alpha: (A - Y) / np.maximum(A * (1 - A), _ENDS[A.dtype][0]),
    ),
    "cross_entropy": (
        _cross_entropy,
        lambda A, Y, alpha: -Y / np.maximum(A, _ENDS[A.dtype][0]),
    ),
    "huber": (_huber, lambda A, Y, delta: np.clip(A - Y, -delta, delta)),
    "mae": (lambda A, Y, alpha: np.abs(A - Y), lambda A, Y, alpha: np.sign(A - Y)),
    "poisson": (_poisson, _poisson_derivative),
}
"""name -> (loss, dA): ``loss(A, Y, alpha)`` of each output, and its derivative."""


LOSS_CODES = _codes(_LOSS, LOSSES)
_LOSS_NAMES = {code: name for name, code in LOSS_CODES.items()}


def output_cost(A, D, Y, weights, loss, activation, alpha, dZ):
    """Return the cost ``J = sum(weights * loss(A, Y)) / total``.

    ``dZ = weights * (A - Y)`` where the loss and the output activation are paired, else
    ``dZ = weights * dA * g'(Z)``, with the loss's derivative dA, and g' from A, or from D.
    OUT: dZ, (n_L, m), or None for J alone.
    """
    return _output(A, D, Y, weights, loss, activation, alpha, dZ) / _total(weights, A.shape[1])


def _output(A, D, Y, weights, loss, activation, alpha, dZ):
    """`output_cost` before the division."""
    code, loss_alpha, paired, _ = loss
    losses_of, derivative = _LOSS[_LOSS_NAMES[code]]
    if dZ is not None:
        if paired:
            np.subtract(A, Y, out=dZ)
        else:
            _backward(derivative(A, Y, loss_alpha), A, D, activation, alpha, dZ)
        if weights is not None:
            dZ *= weights
    losses = losses_of(A, Y, loss_alpha)
    if weights is not None:
        losses *= weights
    return float(losses.sum(dtype=np.float64)) + 0.0  # not -0.0


def _total(weights, m, order=None):
    """What sums over m examples, or over those in `order`, are divided by."""
    if weights is None:
        return m or 1
    if order is None:
        return float(weights.sum(dtype=np.float64)) or 1
    parts = (weights[0, order[some]] for some in _blocks(m, UPDATE_BLOCK))
    return sum(float(part.sum(dtype=np.float64)) for part in parts) or 1


# --- the update --------------------------------------------------------------------------
#
# Each formula returns the step that is taken from w, in `out` if that is given, which may be
# the gradient g itself.


def _gradient_descent(g, state, scalars, constants, out=None):
    (learning_rate,) = scalars
    return np.multiply(learning_rate, g, out=out)


def _momentum(g, state, scalars, constants, out=None):
    (v,) = state
    _, velocity_rate, gradient_rate = scalars
    v *= constants[0]
    v += g
    return np.add(velocity_rate * v, gradient_rate * g, out=out)


def _rmsprop(g, state, scalars, constants, out=None):
    (v,) = state
    (learning_rate,) = scalars
    rho, epsilon = constants
    v *= rho
    v += (1 - rho) * (g * g)
    return np.divide(learning_rate * g, np.sqrt(v) + epsilon, out=out)


def _adam(g, state, scalars, constants, out=None):
    m, v = state
    _, step_size, scale = scalars
    beta1, beta2, epsilon = constants
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    return np.divide(step_size * m, np.sqrt(v) * scale + epsilon, out=out)


_UPDATE = {
    "gradient_descent": _gradient_descent,
    "adam": _adam,
    "momentum": _momentum,
    "rmsprop": _rmsprop,
}
UPDATE_CODES = _codes(_UPDATE, FORMULAS)
_UPDATE_NAMES = {code: name for name, code in UPDATE_CODES.items()}


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
    step_of, scalars = _UPDATE[_UPDATE_NAMES[spec.code]], scalars.tolist()
    for part in _blocks(w.size, UPDATE_BLOCK):
        w_part = w[part]
        if decays and spec.decay:
            w_part -= scalars[0] * spec.decay * w_part
        w_part -= step_of(gradient[part], state[:, part], scalars, spec.constants)


# --- the rest ----------------------------------------------------------------------------


def all_finite(X):
    """Return whether X holds no NaN and no infinity, without a temporary of its size."""
    # NaN and infinity outlast a sum of squares.  So does an overflow, hence the second look,
    # where NaN wins over all numbers.  `vdot` copies what is not contiguous.
    if (X.flags.c_contiguous or X.size <= 1 << 16) and math.isfinite(np.vdot(X, X)):
        return True
    lowest, highest = np.minimum.reduce(X, axis=None), np.maximum.reduce(X, axis=None)
    return math.isfinite(lowest) and math.isfinite(highest)


# --- the whole network -------------------------------------------------------------------


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
        self._layers = [
            (W, b, g, alpha) for (W, b), (_, _, g, alpha, _) in zip(self._views(parameters), layers)
        ]
        for _, _, g, _ in self._layers:
            _ACTIVATION_NAMES[g]  # an unknown code is a KeyError here, not later
        _LOSS_NAMES[loss[0]]
        self._n_out = layers[-1][1]
        self._block = max(BLOCK // max(n_out for _, n_out, *_ in layers), 1)

    def _views(self, flat):
        """[(W[1], b[1]), ...] of a flat vector."""
        views, start = [], 0
        for n_in, n_out, *_ in self.layers:
            middle, stop = start + n_out * n_in, start + n_out * (n_in + 1)
            views.append((flat[start:middle].reshape(n_out, n_in), flat[middle:stop, np.newaxis]))
            start = stop
        return views

    # --- forward --------------------------------------------------------------------------

    def try_forward(self, X, out=None, threads=1):
        """Return A[L] if X is plain: an ndarray of this dtype, (n[0], m >= 1), aligned,
        and finite; and so must be `out`, where A[L] is written if it is given, writeable
        and apart from X.  Else None, and the caller converts or says what is wrong."""
        if type(X) is not np.ndarray or X.dtype != self.parameters.dtype or X.ndim != 2:
            return None
        n, m = X.shape
        if n != self.layers[0][0] or m == 0 or not X.flags.aligned:
            return None
        if out is not None and not self._can_write(out, X):
            return None
        if out is None and m <= self._block:
            return _through(self._layers, X) if all_finite(X) else None
        A = np.empty((self._n_out, m), X.dtype) if out is None else out  # before the long look
        if not all_finite(X):
            return None
        self.forward(X, A)
        return A

    def _can_write(self, out, X):
        """Whether `out` can take A[L] of X as it is."""
        return (
            type(out) is np.ndarray
            and out.dtype == X.dtype
            and out.shape == (self._n_out, X.shape[1])
            and out.flags.aligned
            and out.flags.writeable
            and not np.may_share_memory(out, X)
            and not np.may_share_memory(out, self.parameters)
        )

    def accepts_examples(self, X):
        """Return whether X can be computed with as it is.

        It must be plain: an ndarray of this dtype, (n[0], m >= 1), aligned, finite, and apart
        from the parameters.  If not, the caller converts or says what is wrong.
        """
        return self._is_input(X, X, self.layers[0][0])

    def accepts(self, X, Y, weights=None):
        """Return whether X, Y and weights, (1, m) or None, can be computed with as they are.

        They must be plain, as for `accepts_examples`, and as long as each other; Y, (n[L], m), as
        the loss allows it, and the weights >= 0 and not all 0.
        """
        if not (self._is_input(X, X, self.layers[0][0]) and self._is_input(Y, X, self._n_out)):
            return False
        if weights is not None:
            if not self._is_input(weights, X, 1) or weights.min() < 0 or not weights.any():
                return False
        return _allowed(Y, self.loss.targets)

    def _is_input(self, array, X, rows):
        """Whether an array is plain, finite, as long as X, and apart from the parameters."""
        return (
            type(array) is np.ndarray
            and array.dtype == self.parameters.dtype
            and array.ndim == 2
            and array.shape == (rows, X.shape[1])
            and array.shape[1] > 0
            and array.flags.aligned
            and not np.may_share_memory(array, self.parameters)
            and all_finite(array)
        )

    def forward(self, X, A, threads=1, masks=None):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m).

        masks: (seed, step) of `train`, whose dropout is on, or None.
        """
        *hidden, (W, b, g, alpha) = self._layers
        for columns in _blocks(X.shape[1], self._block):
            x = X[:, columns]
            if masks is None:
                dense_forward(W, b, _through(hidden, x), g, alpha, A[:, columns])
            else:
                of_layers, D, _ = self._memory(x.shape[1], training=True)
                self._forward(x, of_layers, D, (*masks, columns.start))
                A[:, columns] = of_layers[-1]

    def _memory(self, m, training=False):
        """What a pass of m examples fills: lists of A[l], of D[l] or None, and of dZ[l]."""
        dtype = self.parameters.dtype
        A, dZ = ([np.empty((n, m), dtype) for _, n, *_ in self.layers] for _ in range(2))
        D = [
            np.empty_like(a) if _ACTIVATION_NAMES[g] in _FROM_Z or (training and keep < 1) else None
            for a, (_, _, g, _, keep) in zip(A, self.layers)
        ]
        return A, D, dZ

    def _forward(self, X, A, D, masks=None):
        """OUT: A and D of every layer, as `_memory` has them.

        masks: (seed, step, place in the batch of the first column), or None for no dropout.
        """
        A_prev = X
        for l, (W, b, g, alpha) in enumerate(self._layers):
            if D[l] is None:
                _layer(W, b, A_prev, g, alpha, A[l])
            else:
                _layer(W, b, A_prev, LINEAR, 0.0, A[l])
                activate(A[l], g, alpha, A[l], D[l])
                keep = self.layers[l][4]
                if masks is not None and keep < 1:
                    seed, step, first = masks
                    M = np.empty_like(A[l])
                    mask(seed, step, l + 1, keep, first, M)
                    A[l] *= M
                    D[l] *= M
            A_prev = A[l]

    # --- gradients ------------------------------------------------------------------------

    def cost_and_gradients(self, X, Y, weights, gradients, threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        if gradients is not None:
            memory = cache(self._memory)
            return self._gradients(X, Y, weights, None, self._views(gradients), memory)
        m, (_, _, g, alpha) = X.shape[1], self._layers[-1]
        cost, total = 0.0, _total(weights, m)
        for columns in _blocks(m, self._block):
            x, y, w = _columns(columns, X, Y, weights)
            A = _through(self._layers, x)
            cost += _output(A, None, y, w, self.loss, g, alpha, None)
        return cost / total

    def _gradients(self, X, Y, weights, order, dW_db, memory, masks=None):
        """Return the cost.  OUT: dW_db, [(dW[1], db[1]), ...], of all columns, or of those in
        `order`, which are gathered a block at a time."""
        m = X.shape[1] if order is None else len(order)
        total = m if weights is None and m else _total(weights, m, order)
        if order is None and 0 < m <= self._block:
            return self._block_gradients(X, Y, weights, total, dW_db, memory(m), masks, 0) / total
        for dW, db in dW_db:
            dW[...], db[...] = 0, 0
        cost, part = 0.0, self._views(np.empty_like(self.parameters))
        for columns in _blocks(m, self._block):
            some = _columns(columns if order is None else order[columns], X, Y, weights)
            cost += self._block_gradients(
                *some, total, part, memory(some[0].shape[1]), masks, columns.start
            )
            for (dW, db), (dW_part, db_part) in zip(dW_db, part):
                dW += dW_part
                db += db_part
        return cost / total

    def _block_gradients(self, X, Y, weights, total, dW_db, memory, masks, first):
        """Return the losses' sum.  OUT: dW_db, what the columns of one block add to it.

        masks: (seed, step), or None for no dropout; first: the block's place in the batch.
        """
        A, D, dZ = memory
        self._forward(X, A, D, masks and (*masks, first))
        _, _, g, alpha = self._layers[-1]
        cost = _output(A[-1], D[-1], Y, weights, self.loss, g, alpha, dZ[-1])
        self._back(X, A, D, dZ, total, dW_db)
        return cost

    def _back(self, X, A, D, dZ, total, dW_db):
        """From dZ[L] all the others.  OUT: dZ, and dW_db unless it is None."""
        for l in range(len(dZ) - 1, 0, -1):
            W, (_, _, g, alpha) = self._layers[l][0], self._layers[l - 1]
            if dW_db is None:
                W.T.dot(dZ[l], dZ[l - 1])
            else:
                dense_backward(dZ[l], W, A[l - 1], total, *dW_db[l], dZ[l - 1])
            _backward(dZ[l - 1], A[l - 1], D[l - 1], g, alpha, dZ[l - 1])
        if dW_db is not None:
            dense_backward(dZ[0], self._layers[0][0], X, total, *dW_db[0], None)

    def backward(self, X, dA, gradients, dX, threads=1, masks=None):
        """From dA = dJ/dA[L], (n[L], m), the derivatives of J, summed over the examples.

        masks: (seed, step) of `train`, whose dropout is on, or None.
        OUT: gradients, flat like the parameters, or None; dX, (n[0], m), or None.
        """
        part = None
        if gradients is not None:
            gradients[:] = 0
            part = np.empty_like(self.parameters)
        _, _, g, alpha = self._layers[-1]
        for columns in _blocks(X.shape[1], self._block):
            x, da = X[:, columns], dA[:, columns]
            A, D, dZ = self._memory(x.shape[1], training=masks is not None)
            self._forward(x, A, D, masks and (*masks, columns.start))
            _backward(da, A[-1], D[-1], g, alpha, dZ[-1])
            self._back(x, A, D, dZ, 1, None if part is None else self._views(part))
            if part is not None:
                gradients += part
            if dX is not None:
                dX[:, columns] = self._layers[0][0].T.dot(dZ[0])

    def jacobian(self, X, J, threads=1):
        """``J[j, i, k] = dA[L][i, j] / dX[k, j]``, of each example j.  OUT: J, (m, n[L], n[0])."""
        _, _, g, alpha = self._layers[-1]
        for columns in _blocks(X.shape[1], self._block):
            x = X[:, columns]
            A, D, dZ = self._memory(x.shape[1])
            self._forward(x, A, D)
            for i in range(self._n_out):
                dA = np.zeros_like(A[-1])
                dA[i] = 1
                _backward(dA, A[-1], D[-1], g, alpha, dZ[-1])
                self._back(x, A, D, dZ, 1, None)
                J[columns, i] = dZ[0].T.dot(self._layers[0][0])

    # --- training -------------------------------------------------------------------------

    def example_major(self, X, batch_size):
        """Return X, or a copy of it, the columns contiguous, of which `train` gathers its batches
        faster: not these kernels."""
        return X

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
        each as computed before its update (`per_example`: weighted by its number of examples).
        Ctrl-C raises KeyboardInterrupt within half a second and leaves the parameters and the
        state of the last whole epoch.
        """
        gradients = np.empty_like(self.parameters)
        dW_db = self._views(gradients)
        memory = cache(lambda m: self._memory(m, training=True))  # this call's own
        # Where one step in place is an epoch, there is nothing to take back.
        in_place = batch_size >= X.shape[1] and not (len(state) or spec.decay)
        before, step = None if in_place else (self.parameters.copy(), state.copy()), 0
        drops = any(keep < 1 for *_, keep in self.layers)
        update = self._updater(gradients, spec, state, gradients)
        for epoch in range(len(costs)):
            if before:
                before[0][:], before[1][:] = self.parameters, state
            total_cost, share = 0.0, 0
            try:
                columns = None if order is None else order[epoch]
                for batch in _batches(X, Y, weights, columns, batch_size, self._block):
                    masks = (seed, first_step + step) if drops else None
                    J = self._gradients(*batch, dW_db, memory, masks)
                    total, m = 1, 1
                    if spec.per_example:
                        x, _, w, part = batch
                        m = x.shape[1] if part is None else len(part)
                        total = _total(w, m, part)
                    J += update(scalars[step], total)
                    total_cost, share, step = total_cost + m * J, share + m, step + 1
                costs[epoch] = total_cost / max(share, 1)
            except BaseException:
                if before:
                    self.parameters[:], state[:] = before
                raise

    def try_step(self, X, Y, spec, scalars, state, threads=1):
        """Return the cost of one step of `train` on all examples, or None.

        None: X or Y is not plain (see `accepts`), there is dropout, or what the step would leave is
        not finite.  Nothing has changed then, and the caller goes another way.
        OUT: the parameters and state, in place.
        """
        if any(keep < 1 for *_, keep in self.layers) or not self.accepts(X, Y):
            return None
        before, costs = (self.parameters.copy(), state.copy()), np.empty(1)
        whole = False
        try:
            with np.errstate(all="ignore"):  # what overflows is taken back
                self.train(X, Y, None, None, X.shape[1], spec, scalars, state, 0, 0, costs, threads)
            whole = all(map(all_finite, (costs[None], self.parameters[None], state)))
        finally:
            if not whole:
                self.parameters[:], state[:] = before
        return float(costs[0]) if whole else None

    def update(self, gradients, spec, scalars, state):
        """Take the second half of a step, from the gradients on; return ``l2 / 2 sum(W^2)``.

        The penalty's derivative is added to the gradients, they are clipped, and then `update`
        changes the parameters: the weights, which decay, and the biases, which do not.
        OUT: the parameters and the state, in place; the gradients are used up.
        """
        return self._updater(gradients, spec, state)(scalars)

    def _updater(self, gradients, spec, state, out=None):
        """Return `update` as a function of the scalars, for many steps from the same vectors.

        And of the batch's total, which divides the penalty `per_example`.
        out: where a step may be written, the gradients themselves, or None.
        """
        code, constants, l2, decay, longest, per_example = spec
        step_of, w = _UPDATE[_UPDATE_NAMES[code]], self.parameters

        def penalize_and_clip(total):
            penalty = self._penalize(l2 / total if per_example else l2, gradients) if l2 else 0.0
            if longest < math.inf:
                _clip(gradients, longest)
            return penalty

        def update_whole(scalars, total=1):  # in place, and nothing ends it halfway
            penalty = penalize_and_clip(total) if l2 or longest < math.inf else 0.0
            np.subtract(w, step_of(gradients, state, scalars.tolist(), constants, out), out=w)
            return penalty

        def update_runs(scalars, total=1):
            penalty = penalize_and_clip(total)
            sizes = [size for n_in, n_out, *_ in self.layers for size in (n_out * n_in, n_out)]
            for i, (stop, size) in enumerate(zip(accumulate(sizes), sizes)):
                run = slice(stop - size, stop)
                update(w[run], gradients[run], state[:, run], scalars, spec, i % 2 == 0)
            return penalty

        return update_runs if decay or len(state) else update_whole

    def _penalize(self, l2, gradients):
        """Return ``l2 / 2 sum(W^2)``, and add its derivative to every dW."""
        squares = 0.0
        for (W, *_), (dW, _) in zip(self._layers, self._views(gradients)):
            dW += l2 * W
            squares += float(np.square(W, dtype=np.float64).sum())
        return l2 / 2 * squares


def _allowed(Y, targets):
    """Whether Y, which is finite, holds what `targets` says, up to rounding in the sums."""
    if targets == Targets.ANY:
        return True
    inside = Y.min() >= 0 and (targets < Targets.PROBABILITIES or Y.max() <= 1)
    if targets < Targets.DISTRIBUTIONS or not inside:
        return bool(inside)
    return bool((np.abs(Y.sum(axis=0) - 1) <= SUM_TOLERANCE).all())


def _clip(gradients, longest):
    """Shorten the gradient to `longest` where it is longer, in place."""
    norm = math.sqrt(np.square(gradients, dtype=np.float64).sum())
    if norm > longest:
        gradients *= longest / norm


def _through(layers, X):
    """Return what layers, each (W, b, g, alpha), make of X."""
    for W, b, g, alpha in layers:
        X = _layer(W, b, X, g, alpha)
    return X


def _blocks(m, size):
    """Slices of at most `size` of m columns."""
    return [slice(start, min(start + size, m)) for start in range(0, m, size)]


def _columns(columns, X, Y, weights):
    """X, Y and the weights of some columns: a slice, or an array of their numbers."""
    if not isinstance(columns, slice):
        return tuple(x if x is None else x.take(columns, axis=1) for x in (X, Y, weights))
    if columns.stop - columns.start == X.shape[1]:
        return X, Y, weights
    return X[:, columns], Y[:, columns], None if weights is None else weights[:, columns]


def _batches(X, Y, weights, order, batch_size, block):
    """Yield X, Y, weights and order of each batch; order None: the columns as they come.

    Batches that fit into a block are gathered, many at once: a pass over a row of X may as
    well take all of it.  Larger ones are left to be gathered block by block.
    """
    m = X.shape[1]
    if order is None:
        for batch in _blocks(m, batch_size):
            yield *_columns(batch, X, Y, weights), None
    elif batch_size > block:
        for batch in _blocks(m, batch_size):
            yield X, Y, weights, order[batch]
    else:
        many = max(GATHER_BLOCK // len(X) // batch_size, 1) * batch_size
        for some in _blocks(m, many):
            x, y, w = _columns(order[some], X, Y, weights)
            for batch in _blocks(x.shape[1], batch_size):
                yield x[:, batch], y[:, batch], None if w is None else w[:, batch], None
