"""Backends that are broken on purpose: the reference module with one thing wrong.

Each is a thing that has gone wrong in real projects.  `tests/meta/test_saboteurs.py` says
which check must catch which of them.
"""

import importlib
import sys

import numpy as np

import fastnn


def fresh():
    """A new copy of the reference module and of its rooms, to be broken without harm to the
    real ones, which are in their places again when it returns."""
    real = {name: module for name, module in sys.modules.items() if _is_of_the_reference(name)}
    packages = {name: vars(fastnn)[name] for name in ("_kernels_numpy", "_numpy")}
    for name in real:
        del sys.modules[name]
    try:
        return importlib.import_module("fastnn._kernels_numpy")
    finally:
        for name in list(filter(_is_of_the_reference, sys.modules)):
            del sys.modules[name]
        sys.modules.update(real)
        vars(fastnn).update(packages)


def _is_of_the_reference(name):
    return name == "fastnn._kernels_numpy" or f"{name}.".startswith("fastnn._numpy.")


# --- the saboteurs: each breaks the module that it is given -------------------------------


def missing_one_over_m(kernels):
    right = kernels.dense_backward

    def dense_backward(dZ, W, A_prev, total, dW, db, dA_prev):
        right(dZ, W, A_prev, total, dW, db, dA_prev)
        dW *= total
        db *= total

    kernels.dense_backward = dense_backward
    of_network = kernels.Network._gradients

    def gradients(self, X, Y, weights, order, flat_and_views, *rest):
        J = of_network(self, X, Y, weights, order, flat_and_views, *rest)
        flat, _ = flat_and_views
        flat *= kernels._total(weights, X.shape[1] if order is None else len(order), order)
        return J

    kernels.Network._gradients = gradients


def doubled_dW(kernels):
    right = kernels._sums

    def sums(dZ, A_prev, dW, db):
        right(dZ, A_prev, dW, db)
        dW *= 2

    kernels._sums = sums


def one_minus_a(kernels):
    _replace(kernels, "tanh", derivative=lambda A, alpha: 1 - A)


def _replace(kernels, name, g=None, derivative=None):
    """Another function, or another derivative, for an activation."""
    right_g, right_derivative = kernels.activations.FROM_OUTPUT[name]
    kernels.activations.FROM_OUTPUT[name] = g or right_g, derivative or right_derivative


def swapped_axes(kernels):
    right = kernels.dense_forward

    def dense_forward(W, b, A_prev, activation, slope, A):
        right(np.ascontiguousarray(W.reshape(W.shape[::-1]).T), b, A_prev, activation, slope, A)

    kernels.dense_forward = dense_forward


def transposed_square_weights(kernels):
    """W instead of W^T on the way back: no shape gives it away where n_in = n_out."""
    right = kernels.dense_backward

    def dense_backward(dZ, W, A_prev, total, dW, db, dA_prev):
        right(dZ, W, A_prev, total, dW, db, dA_prev)
        if dA_prev is not None and W.shape[0] == W.shape[1]:
            np.matmul(W, dZ, out=dA_prev)

    kernels.dense_backward = dense_backward


def relu_swallows_nan(kernels):
    _replace(kernels, "relu", lambda Z, alpha, A: np.copyto(A, np.where(Z > 0, Z, 0)))


def dropped_slope(kernels):
    right, _ = kernels.activations.FROM_OUTPUT["leaky_relu"]
    _replace(kernels, "leaky_relu", lambda Z, slope, A: right(Z, 0.01, A))


def dropped_slope_on_the_way_back(kernels):
    _, right = kernels.activations.FROM_OUTPUT["leaky_relu"]
    _replace(kernels, "leaky_relu", derivative=lambda A, slope: right(A, 0.01))


def forgotten_bias(kernels):
    right = kernels.dense_forward

    def dense_forward(W, b, A_prev, activation, slope, A):
        right(W, 0 * b, A_prev, activation, slope, A)

    kernels.dense_forward = dense_forward


def forgotten_last_input(kernels):
    """The tail of the sum over k, where a vector loop ends."""
    right = kernels.dense_forward

    def dense_forward(W, b, A_prev, activation, slope, A):
        whole = W.shape[1] // 8 * 8
        right(W[:, :whole], b, A_prev[:whole], activation, slope, A)

    kernels.dense_forward = dense_forward


def computed_in_float32(kernels):
    for name, (g, _) in kernels.activations.FROM_OUTPUT.items():
        _replace(kernels, name, _rounded(g))


def _rounded(g):
    def rounded(Z, alpha, A):
        g(Z, alpha, A)
        A[...] = A.astype(np.float32)

    return rounded


def sigmoid_by_tanh(kernels):
    """Right to eps near 1, and all wrong in the lower tail."""
    _replace(kernels, "sigmoid", lambda Z, alpha, A: np.copyto(A, (1 + np.tanh(Z / 2)) / 2))


def tanh_by_exp(kernels):
    _replace(kernels, "tanh", lambda Z, alpha, A: np.copyto(A, 1 - 2 / (np.exp(2 * Z) + 1)))


def flushed_subnormals(kernels):
    right = kernels.activate

    def activate(Z, activation, alpha, A, D):
        right(Z, activation, alpha, A, D)
        A[np.abs(A) < np.finfo(A.dtype).tiny] = 0

    kernels.activate = activate


def softmax_without_maximum(kernels):
    def softmax(Z, alpha, A):
        E = np.exp(Z)
        np.divide(E, E.sum(axis=0), out=A)

    _replace(kernels, "softmax", softmax)


def written_past_the_end(kernels):
    right = kernels.activate

    def activate(Z, activation, alpha, A, D):
        right(Z, activation, alpha, A, D)
        if A.flags.c_contiguous:
            np.lib.stride_tricks.as_strided(A, (A.size + 1,), (A.itemsize,))[-1] = 0

    kernels.activate = activate


def written_input(kernels):
    right = kernels.activation_backward

    def activation_backward(dA, A, D, activation, alpha, total, dZ, db):
        right(dA, A, D, activation, alpha, total, dZ, db)
        dA[...] = dZ

    kernels.activation_backward = activation_backward


def ignored_strides(kernels):
    """Reading the memory of an array in the order in which it lies there."""
    right = kernels._layer

    def layer(W, b, A_prev, *rest):
        return right(W, b, A_prev.ravel(order="K").reshape(A_prev.shape), *rest)

    kernels._layer = layer


def swallowed_nan_in_products(kernels):
    right = kernels.dense_forward

    def dense_forward(W, b, A_prev, activation, slope, A):
        right(W, b, np.nan_to_num(A_prev), activation, slope, A)

    kernels.dense_forward = dense_forward


def rounded_products(kernels):
    right = kernels.dense_forward

    def dense_forward(W, b, A_prev, activation, slope, A):
        right(W / 3, b / 3, A_prev, activation, slope, A)
        A *= 3

    kernels.dense_forward = dense_forward


def division_by_no_examples(kernels):
    right = kernels.dense_backward

    def dense_backward(dZ, W, A_prev, total, dW, db, dA_prev):
        right(dZ, W, A_prev, total, dW, db, dA_prev)
        if dZ.shape[1] == 0:
            dW[...] = np.nan

    kernels.dense_backward = dense_backward


def unclipped_logarithm(kernels):
    _replace_loss(
        kernels, "binary_cross_entropy",
        lambda A, Y, alpha: -(Y * np.log(A) + (1 - Y) * np.log(1 - A)),
    )  # fmt: skip


def _replace_loss(kernels, name, loss=None, derivative=None):
    right_loss, right_derivative = kernels.losses.TABLE[name]
    kernels.losses.TABLE[name] = loss or right_loss, derivative or right_derivative


def always_a_minus_y(kernels):
    right = kernels._output

    def _output(A, D, Y, weights, loss, *rest):
        return right(A, D, Y, weights, (*loss[:-1], True), *rest)

    kernels._output = _output


def finite_by_the_sum(kernels):
    kernels.all_finite = lambda X: bool(np.isfinite(X.sum()))


def shuffle_without_epoch(kernels):
    right = kernels.shuffle
    kernels.shuffle = lambda order, seed, epoch: right(order, seed, 0)


def ignored_order(kernels):
    right = kernels.Network.train

    def train(self, X, Y, weights, order, *rest, **options):
        return right(self, X, Y, weights, None, *rest, **options)

    kernels.Network.train = train


def reversed_without_order(kernels):
    right = kernels.Network.train

    def train(self, X, Y, weights, order, *rest, **options):
        if order is None:
            X, Y = X[:, ::-1], Y[:, ::-1]
        return right(self, X, Y, weights, order, *rest, **options)

    kernels.Network.train = train


def dropped_last_batch(kernels):
    right = kernels.Network.train

    def train(self, X, Y, weights, order, batch_size, *rest, **options):
        columns = order[0, : X.shape[1] // batch_size * batch_size]
        right(self, X[:, columns], Y[:, columns], weights, None, batch_size, *rest, **options)

    kernels.Network.train = train


def weighted_mean_of_batches(kernels):
    """Another, also sensible, mean than the contract's."""
    right = kernels.Network.train

    def train(self, X, Y, weights, order, batch_size, *rest, **options):
        right(self, X, Y, weights, order, batch_size, *rest, **options)
        rest[-1][...] *= X.shape[1] / (-(-X.shape[1] // batch_size) * batch_size)

    kernels.Network.train = train


def cost_after_the_update(kernels):
    right = kernels.Network.train

    def train(self, X, Y, weights, order, *rest, **options):
        *rest, costs = rest
        for epoch in range(len(costs)):
            right(self, X, Y, weights, order, *rest, costs[epoch : epoch + 1], **options)
            costs[epoch] = self.cost_and_gradients(X, Y, weights, None)

    kernels.Network.train = train


def copied_parameters(kernels):
    right = kernels.Network.__init__

    def __init__(self, layers, loss, parameters):
        right(self, layers, loss, parameters.copy())

    kernels.Network.__init__ = __init__


def random_order_of_summation(kernels):
    right, random = kernels._sums, np.random.default_rng(0)

    def sums(dZ, A_prev, dW, db):
        order = random.permutation(dZ.shape[1])
        right(dZ[:, order], A_prev[:, order], dW, db)

    kernels._sums = sums


def dropped_last_block(kernels):
    right = kernels.Network.forward

    def forward(self, X, A, threads=1):
        whole = max(X.shape[1] // 16 * 16, 1)
        right(self, X[:, :whole], A[:, :whole], threads)

    kernels.Network.forward = forward


def maximum_of_the_first_classes(kernels):
    def softmax(Z, alpha, A):
        E = np.exp(Z - Z[: max(len(Z) - 1, 1)].max(axis=0, initial=-np.inf))
        np.divide(E, E.sum(axis=0), out=A)

    _replace(kernels, "softmax", softmax)


def logarithm_of_the_rest(kernels):
    """log(1 - a) where a is so small that 1 - a has lost most of it."""

    def binary_cross_entropy(A, Y, alpha):
        info = np.finfo(A.dtype)
        rest = np.maximum(1 - A, info.epsneg)
        return -(Y * np.log(np.maximum(A, info.tiny)) + (1 - Y) * np.log(rest))

    _replace_loss(kernels, "binary_cross_entropy", binary_cross_entropy)


def unchecked_try_forward(kernels):
    kernels.all_finite = lambda X: True


# --- those of the update, of weights, of masks and of D -----------------------------------


def uncorrected_adam(kernels):
    right = kernels.updates.TABLE["adam"]

    def adam(g, state, scalars, *rest):
        return right(g, state, [scalars[0], scalars[0], 1.0], *rest)

    kernels.updates.TABLE["adam"] = adam


def epsilon_inside_the_root(kernels):
    def adam(g, state, scalars, constants, out=None):
        m, v = state
        beta1, beta2, epsilon = constants
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * (g * g)
        return scalars[1] * m / (np.sqrt(v + 1e-2) * scalars[2] + epsilon)

    kernels.updates.TABLE["adam"] = adam


def decayed_biases(kernels):
    right = kernels.update
    kernels.update = lambda *arguments: right(*arguments[:-1], True)


def decayed_gradient(kernels):
    """The penalty's derivative, but not its share of the cost."""
    right = kernels.Network._penalize

    def penalize(self, l2, dW_db):
        right(self, l2, dW_db)
        return 0.0

    kernels.Network._penalize = penalize


def last_batch_penalized_like_the_others(kernels):
    right = kernels.Network.train

    def train(self, X, Y, weights, order, batch_size, spec, *rest):
        right(self, X, Y, weights, order, batch_size, spec.of_batch(batch_size), *rest)

    kernels.Network.train = train


def penalized_biases(kernels):
    right = kernels.Network._penalize

    def penalize(self, l2, gradients):
        penalty = right(self, l2, gradients)
        for (_, b, *_), (_, db) in zip(self._layers, self._views(gradients)):
            db += l2 * b
        return penalty

    kernels.Network._penalize = penalize


def clipped_by_value(kernels):
    def clip(gradients, longest):
        np.clip(gradients, -longest, longest, out=gradients)

    kernels.updates.clip = clip


def forgotten_weights(kernels):
    right = kernels._output
    kernels._output = lambda A, D, Y, weights, *rest: right(A, D, Y, None, *rest)


def weights_divided_by_m(kernels):
    kernels._total = lambda weights, m, order=None: m or 1


def masked_output_alone(kernels):
    """A is masked, but not D: units that were left out learn."""
    right = kernels.Network._forward

    def forward(self, X, A, D, masks=None):
        right(self, X, A, D, masks)
        if masks is not None:
            for kept in D[:-1]:
                kept[kept == 0] = 0.5

    kernels.Network._forward = forward


def unscaled_mask(kernels):
    right = kernels.mask

    def mask(seed, step, layer, keep, first, M):
        right(seed, step, layer, keep, first, M)
        M[...] = M > 0

    kernels.mask = mask


def same_mask_in_every_step(kernels):
    right = kernels.mask
    kernels.mask = lambda seed, step, *rest: right(seed, 0, *rest)


def masks_from_the_first_step_again(kernels):
    right = kernels.Network.train

    def train(self, *arguments, **options):
        *before, first_step, costs = arguments
        return right(self, *before, 0, costs, **options)

    kernels.Network.train = train


def state_lost_on_interruption(kernels):
    """The state is given back where the training reaches its end, and only there."""
    right = kernels.Network.train

    def train(self, *arguments, **options):
        *before, state, seed, first_step, costs = arguments
        own = state.copy()
        right(self, *before, own, seed, first_step, costs, **options)
        state[...] = own

    kernels.Network.train = train


def ignored_D(kernels):
    right = kernels._backward

    def backward(dA, A, D, *rest):
        right(dA, A, D if D is None else np.ones_like(D), *rest)

    kernels._backward = backward


def mean_in_backward(kernels):
    right = kernels.Network.backward

    def backward(self, X, dA, gradients, dX, threads=1):
        right(self, X, dA, gradients, dX, threads)
        if gradients is not None:
            gradients /= X.shape[1]

    kernels.Network.backward = backward


def kept_infinity(kernels):
    """A step whose end is not finite is not taken back."""
    right = kernels.Network.try_step

    def try_step(self, X, Y, spec, scalars, state, threads=1):
        J = right(self, X, Y, spec, scalars, state, threads)
        if J is None and np.isinf(scalars).any():
            self.parameters[:] = np.inf
        return J

    kernels.Network.try_step = try_step


def reversed_examples(kernels):
    kernels.Network.example_major = lambda self, X, batch_size: np.asfortranarray(X[:, ::-1])


def transposed_jacobian(kernels):
    right = kernels.Network.jacobian

    def jacobian(self, X, J, threads=1):
        right(self, X, J, threads)
        J[...] = J.reshape(len(J), -1, J.shape[1]).transpose(0, 2, 1)

    kernels.Network.jacobian = jacobian


def dropout_forward_alone(kernels):
    """The pass back does not know which units were left out."""
    right = kernels.Network.backward

    def backward(self, X, dA, gradients, dX, threads=1, masks=None):
        right(self, X, dA, gradients, dX, threads)

    kernels.Network.backward = backward


def accepted_nan(kernels):
    right = kernels.Network.accepts

    def accepts(self, X, Y, weights=None):
        clean = [x if x is None else np.nan_to_num(x) for x in (X, Y, weights)]
        return right(self, *clean)

    kernels.Network.accepts = accepts


def accepted_probabilities_of_any_sum(kernels):
    kernels.inputs.SUM_TOLERANCE = 1e9


def no_look_ahead(kernels):
    """Nesterov's momentum without the second term."""
    right = kernels.updates.TABLE["momentum"]

    def momentum(g, state, scalars, constants, out=None):
        rate, velocity_rate, _ = scalars
        return right(g, state, [rate, velocity_rate, 0.0], constants, out)

    kernels.updates.TABLE["momentum"] = momentum


def velocity_as_a_mean(kernels):
    def momentum(g, state, scalars, constants, out=None):
        (v,) = state
        v *= constants[0]
        v += (1 - constants[0]) * g
        return scalars[1] * v + scalars[2] * g

    kernels.updates.TABLE["momentum"] = momentum


def cost_of_nothing(kernels):
    right = kernels.Network.train

    def train(self, X, *rest, **options):
        right(self, X, *rest, **options)
        if X.shape[1] == 0:
            rest[-1][...] = np.nan

    kernels.Network.train = train


def dA_of_mse_for_all(kernels):
    for name in kernels.LOSS_CODES:
        _replace_loss(kernels, name, derivative=lambda A, Y, alpha: A - Y)


def overlapping_out(kernels):
    right = kernels.inputs.is_output
    kernels.inputs.is_output = lambda out, shape, X, *rest: right(out, shape, X.copy(), *rest)
