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

The formulas of the tables stand in rooms of their own, ``_numpy/activations.py``,
``losses.py`` and ``updates.py``; the whole list is in ``_numpy/__init__.py``.
"""

import math
from functools import cache
from itertools import accumulate

import numpy as np

from fastnn._numpy import activations, blocks, inputs, losses, updates
from fastnn._numpy.inputs import all_finite
from fastnn._numpy.random import mask, shuffle

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

LINEAR = activations.values_of(ACTIVATION_CODES["linear"])


# --- activations: A = g(Z), and dZ = dA * g'(Z) --------------------------------------------


def activate(Z, activation, alpha, A, D):
    """``A = g(Z)``, and ``D = g'(Z)``.

    OUT: A, (n, m), which may be Z itself; D, (n, m), or None.  Not D for softmax, whose
    derivative is a matrix for each example.
    """
    if D is None:
        activations.values_of(activation)(Z, alpha, A)
    else:
        activations.values_and_derivatives_of(activation)(Z, alpha, A, D)


def activation_derivative(A, activation, alpha, derivative):
    """``g'(Z)`` from the output A, element by element.  OUT: derivative, (n, m).

    Not for softmax, nor for activations whose derivative is not cheap from A.
    """
    np.copyto(derivative, activations.derivatives_of(activation)(A, alpha))


def activation_backward(dA, A, D, activation, alpha, total, dZ, db):
    """``dZ = dA * g'(Z)``, from A, or from D unless it is None, and ``db = sum(dZ) / total``.

    OUT: dZ, (n, m), and db, (n, 1).
    """
    derivative = activations.derivatives_of(activation) if D is None else None
    _backward(dA, A, D, derivative, alpha, dZ)
    _sum_of(dZ, db)
    db /= total


def _backward(dA, A, D, derivative, alpha, dZ):
    """``dZ = dA * g'(Z)``, with D or with the function ``derivative(A, alpha)``; both are None
    for softmax, whose derivative is a matrix.  OUT: dZ, (n, m), which may be dA itself."""
    if D is not None:
        np.multiply(dA, D, out=dZ)
    elif derivative is not None:
        np.multiply(dA, derivative(A, alpha), out=dZ)
    else:
        np.multiply(A, dA - (dA * A).sum(axis=0), out=dZ)


def _sum_of(dZ, db):
    """``db = sum(dZ)``.  OUT: db, (n, 1)."""
    np.add.reduce(dZ, axis=1, keepdims=True, out=db)


# --- one layer ---------------------------------------------------------------------------


def dense_forward(W, b, A_prev, activation, alpha, A):
    """``A = g(W A_prev + b)``.  OUT: A, (n_out, m)."""
    g = activations.values_of(activation)
    if A.flags.c_contiguous:
        _layer(W, b, A_prev, g, alpha, A)
    else:
        np.copyto(A, _layer(W, b, A_prev, g, alpha))


def _layer(W, b, A_prev, g, alpha, A=None):
    """Return A of `dense_forward`, with the function ``g(Z, alpha, A)``: in A, which must be
    C-contiguous, or in a new array."""
    Z = W.dot(A_prev, A)  # a call of `dot` takes a third of the time of one of `matmul`
    Z += b
    g(Z, alpha, Z)
    return Z


def dense_backward(dZ, W, A_prev, total, dW, db, dA_prev):
    """Gradients of one layer from dZ, (n_out, m).

    ``dW = dZ A_prev^T / total``, ``db = sum(dZ) / total``, ``dA_prev = W^T dZ``.
    OUT: dW, (n_out, n_in); db, (n_out, 1); dA_prev, (n_in, m), or None to leave it out.
    """
    _sums(dZ, A_prev, dW, db)
    dW /= total
    db /= total
    if dA_prev is not None:
        if dA_prev.flags.c_contiguous:
            W.T.dot(dZ, dA_prev)
        else:
            np.copyto(dA_prev, W.T.dot(dZ))


def _sums(dZ, A_prev, dW, db):
    """dW and db of `dense_backward` before the division.  OUT: dW and db."""
    dZ.dot(A_prev.T, dW)
    _sum_of(dZ, db)


# --- the cost ----------------------------------------------------------------------------


def output_cost(A, D, Y, weights, loss, activation, alpha, dZ):
    """Return the cost ``J = sum(weights * loss(A, Y)) / total``.

    ``dZ = weights * (A - Y)`` where the loss and the output activation are paired, else
    ``dZ = weights * dA * g'(Z)``, with the loss's derivative dA, and g' from A, or from D.
    OUT: dZ, (n_L, m), or None for J alone.
    """
    derivative = None
    if D is None and not (dZ is None or loss.paired):
        derivative = activations.derivatives_of(activation)
    losses_sum = _output(A, D, Y, weights, _formulas(loss), derivative, alpha, dZ)
    return losses_sum / _total(weights, A.shape[1])


def _formulas(loss):
    """What `_output` wants of a LossSpec: (loss, dA, alpha, paired)."""
    code, alpha, paired, _ = loss
    return *losses.formulas_of(code), alpha, paired


def _output(A, D, Y, weights, loss, derivative, alpha, dZ):
    """`output_cost` before the division.  loss: see `_formulas`; derivative: see `_backward`."""
    loss_of, dA_of, loss_alpha, paired = loss
    if dZ is not None:
        if paired:
            np.subtract(A, Y, out=dZ)
        else:
            _backward(dA_of(A, Y, loss_alpha), A, D, derivative, alpha, dZ)
        if weights is not None:
            dZ *= weights
    each = loss_of(A, Y, loss_alpha)
    if weights is not None:
        each *= weights
    return float(np.add.reduce(each, axis=None, dtype=np.float64)) + 0.0  # not -0.0


def _total(weights, m, order=None):
    """What sums over m examples, or over those in `order`, are divided by."""
    if weights is None:
        return m or 1
    if order is None:
        return float(weights.sum(dtype=np.float64)) or 1
    parts = (weights[0, order[some]] for some in blocks.blocks(m, blocks.UPDATE_BLOCK))
    return sum(float(part.sum(dtype=np.float64)) for part in parts) or 1


# --- the update --------------------------------------------------------------------------


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
    step_of, scalars = updates.step_of(spec.code), scalars.tolist()
    for part in blocks.blocks(w.size, blocks.UPDATE_BLOCK):
        w_part = w[part]
        if decays and spec.decay:
            w_part -= scalars[0] * spec.decay * w_part
        w_part -= step_of(gradient[part], state[:, part], scalars, spec.constants, None)


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
            (W, b, activations.values_of(g), alpha)
            for (W, b), (_, _, g, alpha, _) in zip(self._views(parameters), layers)
        ]
        self._derivatives = [
            None if g in activations.NEEDS_Z else activations.derivatives_of(g)
            for _, _, g, _, _ in layers
        ]
        self._loss = _formulas(loss)
        self._n_in, self._n_out = layers[0][0], layers[-1][1]
        self._block = max(blocks.BLOCK // max(n_out for _, n_out, *_ in layers), 1)

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
        if n != self._n_in or m == 0 or not X.flags.aligned:
            return None
        if out is not None and not inputs.is_output(out, (self._n_out, m), X, self.parameters):
            return None
        if out is None and m <= self._block:
            return _through(self._layers, X) if all_finite(X) else None
        A = np.empty((self._n_out, m), X.dtype) if out is None else out  # before the long look
        if not all_finite(X):
            return None
        self.forward(X, A)
        return A

    def accepts_examples(self, X):
        """Return whether X can be computed with as it is.

        It must be plain: an ndarray of this dtype, (n[0], m >= 1), aligned, finite, and apart
        from the parameters.  If not, the caller converts or says what is wrong.
        """
        return inputs.is_input(X, self._n_in, None, self.parameters)

    def accepts(self, X, Y, weights=None):
        """Return whether X, Y and weights, (1, m) or None, can be computed with as they are.

        They must be plain, as for `accepts_examples`, and as long as each other; Y, (n[L], m), as
        the loss allows it, and the weights >= 0 and not all 0.
        """
        is_input, parameters = inputs.is_input, self.parameters
        if not is_input(X, self._n_in, None, parameters):
            return False
        m = X.shape[1]
        if not is_input(Y, self._n_out, m, parameters):
            return False
        if weights is not None:
            if not is_input(weights, 1, m, parameters) or weights.min() < 0 or not weights.any():
                return False
        return inputs.are_allowed(Y, self.loss.targets)

    def forward(self, X, A, threads=1, masks=None):
        """``A[l] = g(W[l] A[l-1] + b[l])`` for every layer.  OUT: A, (n[L], m).

        masks: (seed, step) of `train`, whose dropout is on, or None.
        """
        *hidden, (W, b, _, alpha) = self._layers
        g = self.layers[-1][2]
        for columns in blocks.blocks(X.shape[1], self._block):
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
            np.empty_like(a) if g in activations.NEEDS_Z or (training and keep < 1) else None
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
                A_prev = _layer(W, b, A_prev, g, alpha, A[l])
                continue
            A_prev = _layer(W, b, A_prev, LINEAR, 0.0, A[l])
            _, _, code, _, keep = self.layers[l]
            activate(A[l], code, alpha, A[l], D[l])
            if masks is not None and keep < 1:
                seed, step, first = masks
                M = np.empty_like(A[l])
                mask(seed, step, l + 1, keep, first, M)
                A[l] *= M
                D[l] *= M

    # --- gradients ------------------------------------------------------------------------

    def cost_and_gradients(self, X, Y, weights, gradients, threads=1):
        """Return the cost J.  OUT: gradients, flat like the parameters, or None."""
        if gradients is not None:
            flat_and_views = gradients, self._views(gradients)
            return self._gradients(X, Y, weights, None, flat_and_views, cache(self._memory))
        m, alpha = X.shape[1], self.layers[-1].alpha
        losses_sum, total = 0.0, _total(weights, m)
        for columns in blocks.blocks(m, self._block):
            x, y, w = blocks.examples_in(columns, X, Y, weights)
            A = _through(self._layers, x)
            losses_sum += _output(A, None, y, w, self._loss, None, alpha, None)
        return losses_sum / total

    def _gradients(self, X, Y, weights, order, gradients, memory, masks=None):
        """Return the cost of all columns, or of those in `order`, gathered a block at a time.

        OUT: gradients, a flat vector and its views [(dW[1], db[1]), ...].
        """
        flat, dW_db = gradients
        m = X.shape[1] if order is None else len(order)
        total = _total(weights, m, order)
        if order is None and 0 < m <= self._block:
            losses_sum = self._sums(X, Y, weights, dW_db, memory(m), masks, 0)
            flat /= total
            return losses_sum / total
        losses_sum, part = 0.0, np.empty_like(flat)
        dW_db, flat[:] = self._views(part), 0
        for columns in blocks.blocks(m, self._block):
            some = columns if order is None else order[columns]
            x, y, w = blocks.examples_in(some, X, Y, weights)
            losses_sum += self._sums(x, y, w, dW_db, memory(x.shape[1]), masks, columns.start)
            part /= total
            flat += part
        return losses_sum / total

    def _sums(self, X, Y, weights, dW_db, memory, masks, first):
        """Return the losses' sum over the columns of one block.  OUT: dW_db, the sums of theirs.

        masks: (seed, step), or None for no dropout; first: the block's place in the batch.
        """
        A, D, dZ = memory
        self._forward(X, A, D, masks and (*masks, first))
        g, alpha = self._derivatives[-1], self._layers[-1][3]
        losses_sum = _output(A[-1], D[-1], Y, weights, self._loss, g, alpha, dZ[-1])
        self._back(X, A, D, dZ, dW_db)
        return losses_sum

    def _back(self, X, A, D, dZ, dW_db):
        """From dZ[L] all the others.  OUT: dZ, and dW_db, the sums, unless it is None."""
        for l in range(len(dZ) - 1, 0, -1):
            if dW_db is not None:
                _sums(dZ[l], A[l - 1], *dW_db[l])
            self._layers[l][0].T.dot(dZ[l], dZ[l - 1])
            g, alpha = self._derivatives[l - 1], self._layers[l - 1][3]
            _backward(dZ[l - 1], A[l - 1], D[l - 1], g, alpha, dZ[l - 1])
        if dW_db is not None:
            _sums(dZ[0], X, *dW_db[0])

    def backward(self, X, dA, gradients, dX, threads=1, masks=None):
        """From dA = dJ/dA[L], (n[L], m), the derivatives of J, summed over the examples.

        masks: (seed, step) of `train`, whose dropout is on, or None.
        OUT: gradients, flat like the parameters, or None; dX, (n[0], m), or None.
        """
        part = None
        if gradients is not None:
            gradients[:] = 0
            part = np.empty_like(self.parameters)
        dW_db = None if part is None else self._views(part)
        g, alpha = self._derivatives[-1], self._layers[-1][3]
        for columns in blocks.blocks(X.shape[1], self._block):
            x, da = X[:, columns], dA[:, columns]
            A, D, dZ = self._memory(x.shape[1], training=masks is not None)
            self._forward(x, A, D, masks and (*masks, columns.start))
            _backward(da, A[-1], D[-1], g, alpha, dZ[-1])
            self._back(x, A, D, dZ, dW_db)
            if part is not None:
                gradients += part
            if dX is not None:
                dX[:, columns] = self._layers[0][0].T.dot(dZ[0])

    def jacobian(self, X, J, threads=1):
        """``J[j, i, k] = dA[L][i, j] / dX[k, j]``, of each example j.  OUT: J, (m, n[L], n[0])."""
        g, alpha = self._derivatives[-1], self._layers[-1][3]
        for columns in blocks.blocks(X.shape[1], self._block):
            x = X[:, columns]
            A, D, dZ = self._memory(x.shape[1])
            self._forward(x, A, D)
            for i in range(self._n_out):
                dA = np.zeros_like(A[-1])
                dA[i] = 1
                _backward(dA, A[-1], D[-1], g, alpha, dZ[-1])
                self._back(x, A, D, dZ, None)
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
        flat_and_views = gradients, self._views(gradients)
        memory = cache(lambda m: self._memory(m, training=True))  # this call's own
        # Where one step in place is an epoch, there is nothing to take back.
        in_place = batch_size >= X.shape[1] and not (len(state) or spec.decay)
        before, step = None if in_place else (self.parameters.copy(), state.copy()), 0
        drops = any(keep < 1 for *_, keep in self.layers)
        update, per_example = self._updater(gradients, spec, state, gradients), spec.per_example
        for epoch in range(len(costs)):
            if before:
                before[0][:], before[1][:] = self.parameters, state
            total_cost, share = 0.0, 0
            try:
                columns = None if order is None else order[epoch]
                for batch in blocks.batches(X, Y, weights, columns, batch_size, self._block):
                    masks = (seed, first_step + step) if drops else None
                    J, total, m = self._gradients(*batch, flat_and_views, memory, masks), 1, 1
                    if per_example:
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
        w, step_of = self.parameters, updates.step_of(code)
        changes = l2 != 0 or longest < math.inf

        def penalize_and_clip(total):
            penalty = self._penalize(l2 / total if per_example else l2, gradients) if l2 else 0.0
            if longest < math.inf:
                updates.clip(gradients, longest)
            return penalty

        def update_whole(scalars, total=1):  # in place, and nothing ends it halfway
            penalty = penalize_and_clip(total) if changes else 0.0
            np.subtract(w, step_of(gradients, state, scalars.tolist(), constants, out), out=w)
            return penalty

        def update_runs(scalars, total=1):
            penalty = penalize_and_clip(total) if changes else 0.0
            for run in runs:
                update(*run[:3], scalars, spec, run[3])
            return penalty

        if not (decay or len(state)):
            return update_whole
        runs = [(w, gradients, state, False)]
        if decay:
            sizes = [size for n_in, n_out, *_ in self.layers for size in (n_out * n_in, n_out)]
            parts = [slice(stop - size, stop) for stop, size in zip(accumulate(sizes), sizes)]
            runs = [(w[p], gradients[p], state[:, p], i % 2 == 0) for i, p in enumerate(parts)]
        return update_runs

    def _penalize(self, l2, gradients):
        """Return ``l2 / 2 sum(W^2)``, and add its derivative to every dW."""
        squares = 0.0
        for (W, *_), (dW, _) in zip(self._layers, self._views(gradients)):
            dW += l2 * W
            squares += float(np.square(W, dtype=np.float64).sum())
        return l2 / 2 * squares


def _through(layers, X):
    """Return what layers, each (W, b, g, alpha), make of X."""
    for W, b, g, alpha in layers:
        X = _layer(W, b, X, g, alpha)
    return X
