"""A test of the tests: backends that are broken on purpose must be caught.

Each saboteur below is the reference module with one thing wrong, a thing that has gone
wrong in real projects.  Each line of `CAUGHT` names a saboteur and a check that must
raise AssertionError on it: the very check that the other files run on the real backends.
"""

import importlib.util
import inspect

import numpy as np
import pytest
from support import harness, layer_checks, layout_checks, network_checks
from support.tables import NetworkCase

TANH = NetworkCase((7, 9, 3), ("tanh",), "cross_entropy", "softmax", 61)
LEAKY = NetworkCase((7, 9, 3), ("leaky_relu",), "mse", "linear", 61)


def fresh():
    """A new copy of the reference module, to be broken without harm to the real one."""
    spec = importlib.util.find_spec("fastnn._kernels_numpy")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the saboteurs: each breaks the module that it is given -------------------------------


def missing_one_over_m(kernels):
    right = kernels.dense_backward

    def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
        right(dZ, W, A_prev, dW, db, dA_prev)
        dW *= dZ.shape[1]
        db *= dZ.shape[1]

    kernels.dense_backward = dense_backward


def doubled_dW(kernels):
    right = kernels.dense_backward

    def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
        right(dZ, W, A_prev, dW, db, dA_prev)
        dW *= 2

    kernels.dense_backward = dense_backward


def one_minus_a(kernels):
    kernels._DERIVATIVE["tanh"] = lambda A, slope: 1 - A


def swapped_axes(kernels):
    right = kernels.dense_forward

    def dense_forward(W, b, A_prev, activation, slope, A):
        right(np.ascontiguousarray(W.reshape(W.shape[::-1]).T), b, A_prev, activation, slope, A)

    kernels.dense_forward = dense_forward


def transposed_square_weights(kernels):
    """W instead of W^T on the way back: no shape gives it away where n_in = n_out."""
    right = kernels.dense_backward

    def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
        right(dZ, W, A_prev, dW, db, dA_prev)
        if dA_prev is not None and W.shape[0] == W.shape[1]:
            np.matmul(W, dZ, out=dA_prev)

    kernels.dense_backward = dense_backward


def relu_swallows_nan(kernels):
    kernels._ACTIVATE["relu"] = lambda Z, slope, A: np.copyto(A, np.where(Z > 0, Z, 0))


def dropped_slope(kernels):
    right = kernels._leaky_relu
    kernels._ACTIVATE["leaky_relu"] = lambda Z, slope, A: right(Z, 0.01, A)


def dropped_slope_on_the_way_back(kernels):
    right = kernels._DERIVATIVE["leaky_relu"]
    kernels._DERIVATIVE["leaky_relu"] = lambda A, slope: right(A, 0.01)


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
    for name in ("dense_forward", "activate"):
        _round_output(kernels, name)


def _round_output(kernels, name):
    right = getattr(kernels, name)

    def rounded(*arguments):
        right(*arguments)
        arguments[-1][...] = arguments[-1].astype(np.float32)

    setattr(kernels, name, rounded)


def sigmoid_by_tanh(kernels):
    """Right to eps near 1, and all wrong in the lower tail."""
    kernels._ACTIVATE["sigmoid"] = lambda Z, slope, A: np.copyto(A, (1 + np.tanh(Z / 2)) / 2)


def tanh_by_exp(kernels):
    kernels._ACTIVATE["tanh"] = lambda Z, slope, A: np.copyto(A, 1 - 2 / (np.exp(2 * Z) + 1))


def flushed_subnormals(kernels):
    right = kernels.activate

    def activate(Z, activation, slope, A):
        right(Z, activation, slope, A)
        A[np.abs(A) < np.finfo(A.dtype).tiny] = 0

    kernels.activate = activate


def softmax_without_maximum(kernels):
    def softmax(Z, slope, A):
        E = np.exp(Z)
        np.divide(E, E.sum(axis=0), out=A)

    kernels._ACTIVATE["softmax"] = softmax


def written_past_the_end(kernels):
    right = kernels.activate

    def activate(Z, activation, slope, A):
        right(Z, activation, slope, A)
        if A.flags.c_contiguous:
            np.lib.stride_tricks.as_strided(A, (A.size + 1,), (A.itemsize,))[-1] = 0

    kernels.activate = activate


def written_input(kernels):
    right = kernels.activation_backward

    def activation_backward(dA, A, activation, slope, dZ, db):
        right(dA, A, activation, slope, dZ, db)
        dA[...] = dZ

    kernels.activation_backward = activation_backward


def ignored_strides(kernels):
    """Reading the memory of an array in the order in which it lies there."""
    right = kernels.dense_forward

    def dense_forward(W, b, A_prev, activation, slope, A):
        right(W, b, A_prev.ravel(order="K").reshape(A_prev.shape), activation, slope, A)

    kernels.dense_forward = dense_forward


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

    def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
        right(dZ, W, A_prev, dW, db, dA_prev)
        if dZ.shape[1] == 0:
            dW[...] = np.nan

    kernels.dense_backward = dense_backward


def unclipped_logarithm(kernels):
    kernels._COST["binary_cross_entropy"] = lambda A, Y: -(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def always_a_minus_y(kernels):
    kernels.PAIRED = {(loss, g) for loss in kernels.LOSS_CODES for g in kernels.ACTIVATION_CODES}


def finite_by_the_sum(kernels):
    kernels.all_finite = lambda X: bool(np.isfinite(X.sum()))


def shuffle_without_epoch(kernels):
    right = kernels.shuffle
    kernels.shuffle = lambda order, seed, epoch: right(order, seed, 0)


def ignored_order(kernels):
    right = kernels.Network.train

    def train(self, X, Y, order, *rest, **options):
        return right(self, X, Y, None, *rest, **options)

    kernels.Network.train = train


def reversed_without_order(kernels):
    right = kernels.Network.train

    def train(self, X, Y, order, *rest, **options):
        if order is None:
            X, Y = X[:, ::-1], Y[:, ::-1]
        return right(self, X, Y, order, *rest, **options)

    kernels.Network.train = train


def dropped_last_batch(kernels):
    right = kernels.Network.train

    def train(self, X, Y, order, batch_size, learning_rate, costs, threads=1):
        columns = order[0, : X.shape[1] // batch_size * batch_size]
        right(self, X[:, columns], Y[:, columns], None, batch_size, learning_rate, costs)

    kernels.Network.train = train


def weighted_mean_of_batches(kernels):
    """Another, also sensible, mean than the contract's."""
    right = kernels.Network.train

    def train(self, X, Y, order, batch_size, learning_rate, costs, threads=1):
        right(self, X, Y, order, batch_size, learning_rate, costs, threads)
        costs *= X.shape[1] / (-(-X.shape[1] // batch_size) * batch_size)

    kernels.Network.train = train


def cost_after_the_update(kernels):
    right = kernels.Network.train

    def train(self, X, Y, order, batch_size, learning_rate, costs, threads=1):
        for epoch in range(len(costs)):
            row = None if order is None else order[epoch : epoch + 1]
            right(self, X, Y, row, batch_size, learning_rate, costs[epoch : epoch + 1], threads)
            costs[epoch] = self.cost_and_gradients(X, Y, None)

    kernels.Network.train = train


def copied_parameters(kernels):
    right = kernels.Network.__init__

    def __init__(self, layer_sizes, activations, slopes, loss, parameters):
        right(self, layer_sizes, activations, slopes, loss, parameters.copy())

    kernels.Network.__init__ = __init__


def random_order_of_summation(kernels):
    right, random = kernels.dense_backward, np.random.default_rng(0)

    def dense_backward(dZ, W, A_prev, dW, db, dA_prev):
        order = random.permutation(dZ.shape[1])
        right(dZ[:, order], W, A_prev[:, order], dW, db, None)
        if dA_prev is not None:
            np.matmul(W.T, dZ, out=dA_prev)

    kernels.dense_backward = dense_backward


def dropped_last_block(kernels):
    right = kernels.Network.forward

    def forward(self, X, A, threads=1):
        whole = max(X.shape[1] // 16 * 16, 1)
        right(self, X[:, :whole], A[:, :whole], threads)

    kernels.Network.forward = forward


def maximum_of_the_first_classes(kernels):
    def softmax(Z, slope, A):
        E = np.exp(Z - Z[: max(len(Z) - 1, 1)].max(axis=0, initial=-np.inf))
        np.divide(E, E.sum(axis=0), out=A)

    kernels._ACTIVATE["softmax"] = softmax


def logarithm_of_the_rest(kernels):
    """log(1 - a) where a is so small that 1 - a has lost most of it."""

    def binary_cross_entropy(A, Y):
        info = np.finfo(A.dtype)
        rest = np.maximum(1 - A, info.epsneg)
        return -(Y * np.log(np.maximum(A, info.tiny)) + (1 - Y) * np.log(rest))

    kernels._COST["binary_cross_entropy"] = binary_cross_entropy


def unchecked_try_forward(kernels):
    kernels.all_finite = lambda X: True


# --- who catches whom ---------------------------------------------------------------------

F32, F64 = np.float32, np.float64
CAUGHT = [
    (missing_one_over_m, layer_checks.check_dense_backward, F64),
    (missing_one_over_m, network_checks.check_gradients, F32, TANH),
    (missing_one_over_m, network_checks.check_trace, F32, TANH),
    (doubled_dW, layer_checks.check_dense_backward, F32),
    (doubled_dW, network_checks.check_gradients, F64, TANH),
    (one_minus_a, layer_checks.check_derivative, F32, "tanh"),
    (one_minus_a, layer_checks.check_activation_backward, F64, "tanh"),
    (one_minus_a, network_checks.check_gradients, F32, TANH),
    (swapped_axes, layer_checks.check_dense_forward, F32, "linear"),
    (transposed_square_weights, layer_checks.check_dense_backward, F32),
    (relu_swallows_nan, layer_checks.check_special_values, F32, "relu"),
    (dropped_slope, layer_checks.check_activate, F32, "leaky_relu"),
    (dropped_slope, network_checks.check_network_forward, F32, LEAKY),
    (dropped_slope_on_the_way_back, layer_checks.check_derivative, F64, "leaky_relu"),
    (dropped_slope_on_the_way_back, network_checks.check_gradients, F32, LEAKY),
    (forgotten_bias, layer_checks.check_dense_forward, F32, "sigmoid"),
    (forgotten_bias, network_checks.check_network_forward, F32, TANH),
    (forgotten_last_input, layer_checks.check_dense_forward, F64, "relu"),
    (computed_in_float32, layer_checks.check_dense_forward, F64, "linear"),
    (computed_in_float32, layer_checks.check_activation_ulps, F64, "tanh"),
    (computed_in_float32, network_checks.check_network_forward, F64, TANH),
    (computed_in_float32, network_checks.check_trace, F64, TANH),
    (sigmoid_by_tanh, layer_checks.check_activation_ulps, F32, "sigmoid"),
    (tanh_by_exp, layer_checks.check_odd, F32),
    (flushed_subnormals, layer_checks.check_subnormals, F32, "tanh"),
    (softmax_without_maximum, layer_checks.check_softmax, F32),
    (maximum_of_the_first_classes, layer_checks.check_largest_class, F32),
    (written_past_the_end, layer_checks.check_activate, F32, "relu"),
    (written_input, layer_checks.check_activation_backward, F32, "relu"),
    (ignored_strides, layout_checks.check_layouts, F32, 3, 9, 17, lambda i: "Fortran"),
    (ignored_strides, layout_checks.check_network_layouts, F32, TANH, "Fortran", "C"),
    (swallowed_nan_in_products, layer_checks.check_not_finite, F32),
    (rounded_products, layer_checks.check_small_integers, F64),
    (division_by_no_examples, layer_checks.check_zero_sizes, F32),
    (unclipped_logarithm, layer_checks.check_output_cost, F32, "binary_cross_entropy", "sigmoid"),
    (logarithm_of_the_rest, layer_checks.check_cost_of_one, F32, "binary_cross_entropy", "sigmoid"),
    (always_a_minus_y, layer_checks.check_output_cost, F32, "mse", "tanh"),
    (finite_by_the_sum, layer_checks.check_all_finite, F32),
    (shuffle_without_epoch, layer_checks.check_shuffle),
    (ignored_order, network_checks.check_epoch_by_hand, F32, TANH, 7),
    (ignored_order, network_checks.check_trace, F32, TANH, 16),
    (reversed_without_order, network_checks.check_unshuffled, F32, TANH, 7),
    (dropped_last_batch, network_checks.check_epoch_by_hand, F32, TANH, 7),
    (weighted_mean_of_batches, network_checks.check_epoch_by_hand, F64, TANH, 7),
    (cost_after_the_update, network_checks.check_trace, F32, TANH),
    (copied_parameters, network_checks.check_held_parameters, F32, TANH),
    (random_order_of_summation, network_checks.check_same_bits, F32, TANH),
    (dropped_last_block, network_checks.check_network_forward, F32, TANH),
    (unchecked_try_forward, network_checks.check_try_forward, F32, TANH),
]


@pytest.fixture(autouse=True)
def record_nothing(monkeypatch):
    """What a broken backend achieves is not part of the summary."""
    monkeypatch.setattr(harness, "WORST", {})


@pytest.mark.parametrize(
    "sabotage, check, arguments",
    [(sabotage, check, arguments) for sabotage, check, *arguments in CAUGHT],
    ids=[f"{sabotage.__name__}-{check.__name__}" for sabotage, check, *_ in CAUGHT],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_saboteur_is_caught(sabotage, check, arguments):
    check(fresh(), *arguments)  # the same check is content with the module as it is

    broken = fresh()
    sabotage(broken)
    with pytest.raises(AssertionError):
        check(broken, *arguments)


def test_every_check_can_fail():
    """No check is trusted that has not caught anyone."""
    every = {
        function
        for module in (layer_checks, layout_checks, network_checks)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("check_")
    }
    assert every == {check for _, check, *_ in CAUGHT}
