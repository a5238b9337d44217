"""Gradients for everyone: backward, jacobian, check_gradients, and losses of one's own."""

# ruff: noqa: E501  (a row of a table is one line)

import copy
import pickle

import numpy as np
import pytest
from support import harness, network_checks, saboteurs
from support.network_checks import mlp
from support.tables import ELEMENTWISE, NETWORKS, PAIRS, NetworkCase, named

import fastnn

H = 1e-5
"""Step of the central differences."""

# --- backward -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", [case for case in NETWORKS if case.loss == "mse" and case.m < 1000], ids=str
)
def test_backward_is_gradients_of_the_squared_error(backend, dtype, case):
    """dJ/dA = (A - Y) / m, and J's gradients follow; those of X too, in the first layer."""
    net, (X, Y) = mlp(case, dtype), network_checks.examples(case, dtype)
    dA = (net.forward(X) - Y) / dtype(case.m)
    gradients, dX = net.backward(X, dA)
    _, expected = net.gradients(X, Y)
    assert list(gradients) == list(expected)
    for name, want in expected.items():
        harness.assert_norm_within("step", gradients[name], want, f"{name} of {case}")
    assert dX.shape == X.shape and dX.dtype == dtype


@pytest.mark.parametrize("output", ["linear", "sigmoid", "softmax", "gelu"])
def test_backward_is_the_slope_of_a_cost_of_ones_own(backend, output):
    """J = sum(C A), whose dJ/dA is C: its slopes in X by central differences."""
    net = fastnn.MLP([3, 5, 2], ["gelu"], output, dtype="float64", seed=2)
    X, C = harness.normal(np.float64, (3, 4), (2, 4))
    _, dX = net.backward(X, C)
    slopes, h = np.empty_like(X), 1e-5
    for index in np.ndindex(X.shape):
        value = X[index]
        X[index] = value + h
        above = (C * net.forward(X)).sum()
        X[index] = value - h
        slopes[index] = (above - (C * net.forward(X)).sum()) / (2 * h)
        X[index] = value
    harness.assert_norm_within("central difference", dX, slopes, output)


@pytest.mark.parametrize("output", ["linear", "tanh", "softmax", "gelu"])
def test_backward_from_Z(backend, dtype, output):
    """dZ = A - Y is where the cross-entropy's way back begins, and dA g' where any other does."""
    net = fastnn.MLP([3, 5, 2], output=output, dtype=dtype, seed=2)
    X, dZ = harness.normal(dtype, (3, 7), (2, 7))
    gradients, dX = net.backward(X, dZ, of="Z")
    linear = fastnn.MLP([3, 5, 2], output="linear", dtype=dtype, init=net.parameters)
    expected, dX_expected = linear.backward(X, dZ)
    harness.assert_same_bits(dX, dX_expected)
    for name in expected:
        harness.assert_same_bits(gradients[name], expected[name], name)
    if output == "softmax":
        Y = np.eye(2, dtype=dtype)[:, [0, 1, 1, 0, 0, 1, 0]]
        gradients, _ = net.backward(X, (net.forward(X) - Y) / dtype(7), of="Z")
        for name, want in net.gradients(X, Y)[1].items():
            harness.assert_norm_within("step", gradients[name], want, name)


# --- jacobian -----------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", ELEMENTWISE[:-1])
@pytest.mark.parametrize("output", ["linear", "sigmoid", "softmax", "softplus", "exponential"])
def test_jacobian_is_the_slopes_of_the_outputs(backend, hidden, output):
    """Central differences of each output in each input."""
    net = fastnn.MLP([3, 6, 5, 4], [named(hidden)] * 2, output, dtype="float64", seed=2)
    net.parameter_vector[:] += 0.1  # no bias of 0: no z at the kink of relu
    (X,) = harness.normal(np.float64, (3, 5))
    J = net.jacobian(X)
    assert J.shape == (5, 4, 3) and J.flags.c_contiguous
    slopes = np.empty_like(J)
    for k in range(3):
        step = np.zeros((3, 1))
        step[k] = H
        slopes[:, :, k] = (net.forward(X + step) - net.forward(X - step)).T / (2 * H)
    harness.assert_norm_within("central difference", J, slopes, (hidden, output))


@pytest.mark.parametrize("case", [c for c in NETWORKS if c.m < 200], ids=str)
def test_jacobian_is_backward_from_each_output(backend, dtype, case):
    """J[j, i, :] is the dX[:, j] of a cost that is output i."""
    net, (X, _) = mlp(case, dtype), network_checks.examples(case, dtype)
    X = X[:, :9]
    J = net.jacobian(X)
    for i in range(case.layer_sizes[-1]):
        dA = np.zeros((case.layer_sizes[-1], X.shape[1]), dtype)
        dA[i] = 1
        expected = net.backward(X, dA)[1].T
        harness.assert_norm_within("step", J[:, i], expected, f"output {i} of {case}")


def test_jacobian_of_many_is_that_of_each(backend, dtype):
    net, (X,) = mlp(NETWORKS[9], dtype), harness.normal(dtype, (NETWORKS[9].layer_sizes[0], 300))
    J = net.jacobian(X)
    for j in (0, 1, 47, 299):
        harness.assert_norm_within("step", net.jacobian(X[:, j]), J[j], j)
        harness.assert_same_bits(net.jacobian(X[:, j : j + 1])[0], net.jacobian(X[:, j]))
    for layout in ("Fortran", "every second row, third column", "read-only"):
        harness.assert_norm_within("step", net.jacobian(harness.LAYOUTS[layout](X)), J, layout)


# --- weights ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [NETWORKS[3], NETWORKS[9]], ids=str)
def test_a_weight_of_k_is_k_copies(backend, dtype, case):
    net, (X, Y) = mlp(case, dtype), network_checks.examples(case, dtype)
    weights = np.arange(case.m) % 3
    copies = np.repeat(np.arange(case.m), weights)
    J, gradients = net.gradients(X, Y, sample_weight=weights)
    expected_J, expected = net.gradients(X[:, copies], Y[:, copies])
    harness.assert_number_within("step", J, expected_J, dtype)
    harness.assert_number_within("step", net.cost(X, Y, weights), expected_J, dtype)
    for name in expected:
        harness.assert_norm_within("step", gradients[name], expected[name], name)


# --- check_gradients ----------------------------------------------------------------------


@pytest.mark.parametrize("loss, output", PAIRS)
@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "leaky_relu"])
def test_check_gradients(backend, loss, output, hidden):
    """Small for a right gradient, whatever the dtype; and the network stays as it is."""
    case = NetworkCase((3, 4, 3, 2), (hidden, "relu"), loss, output, 6)
    for dtype in ("float32", "float64"):
        net, (X, Y) = mlp(case, dtype), network_checks.examples(case, np.dtype(dtype).type)
        before, state = net.parameter_vector.copy(), net.generator.bit_generator.state
        difference = net.check_gradients(X, Y)
        assert type(difference) is float and 0 <= difference < 1e-7
        harness.assert_same_bits(net.parameter_vector, before)
        assert net.generator.bit_generator.state == state


@pytest.mark.parametrize(
    "wrong", ["missing_one_over_m", "doubled_dW", "one_minus_a", "always_a_minus_y"]
)
def test_check_gradients_is_large_for_a_wrong_gradient(wrong):
    kernels = saboteurs.fresh()
    getattr(saboteurs, wrong)(kernels)
    broken = fastnn.backends.Backend("broken", kernels, kernels)
    case = NetworkCase((3, 4, 2), ("tanh",), "mse", "tanh", 6)
    net, (X, Y) = mlp(case), network_checks.examples(case, np.float64)
    with fastnn.use_backend("numpy"):
        assert net.check_gradients(X, Y) < 1e-7
    with fastnn.use_backend(broken):
        assert net.check_gradients(X, Y) > 1e-3


@pytest.mark.parametrize("hidden", ELEMENTWISE[:-1])
def test_check_gradients_of_every_activation(backend, hidden):
    case = NetworkCase((3, 4, 3, 2), (hidden, hidden), "mse", "linear", 6)
    assert mlp(case).check_gradients(*network_checks.examples(case, np.float64)) < 1e-7


@pytest.mark.parametrize("loss, output", PAIRS)
def test_check_gradients_with_penalty_weights_and_dropout(backend, loss, output):
    """Dropout is off, as in `gradients`."""
    case = NetworkCase((3, 4, 2), ("tanh",), loss, output, 6)
    net = fastnn.MLP(case.layer_sizes, output=named(output), loss=named(loss), dropout=0.5)
    net.parameter_vector[:] = network_checks.parameters_of(case, np.float32)
    X, Y = network_checks.examples(case, np.float32)
    weights = [1, 0, 2, 0.5, 3, 1]
    assert net.check_gradients(X, Y, l2=0.3, sample_weight=weights) < 1e-7
    assert net.check_gradients(X, Y, l2=0.3) < 1e-7


def test_check_gradients_sees_a_penalty_on_biases(monkeypatch):
    case = NetworkCase((3, 4, 2), ("tanh",), "mse", "linear", 6)
    net, (X, Y) = mlp(case), network_checks.examples(case, np.float64)
    with fastnn.use_backend("numpy"):
        kernels = net.kernels

        def on_biases_too(self, l2, gradients):
            gradients += l2 * self.parameters
            return l2 / 2 * float(self.parameters @ self.parameters)

        monkeypatch.setattr(kernels.Network, "_penalize", on_biases_too)
        assert net.check_gradients(X, Y) < 1e-7
        assert net.check_gradients(X, Y, l2=0.3) > 1e-3


# --- a loss of one's own ------------------------------------------------------------------


def half_squares(A, Y):
    """The mean squared error as the table has it."""
    return np.square(A - Y).sum() / (2 * A.shape[1]), (A - Y) / A.shape[1]


class Pinball:
    """The loss of a quantile, an object that is called."""

    def __init__(self, quantile):
        self.quantile = quantile

    def __call__(self, A, Y):
        below, m = Y > A, A.shape[1]
        slopes = np.where(below, -self.quantile, 1 - self.quantile)
        return (slopes * (A - Y)).sum() / m, slopes / m


def own(loss, dtype="float64", **options):
    case = NetworkCase((3, 5, 2), ("tanh",), "mse", "linear", 8)
    net = fastnn.MLP(case.layer_sizes, output="linear", loss=loss, dtype=dtype, **options)
    net.parameter_vector[:] = network_checks.parameters_of(case, np.dtype(dtype).type)
    return net, *network_checks.examples(case, np.dtype(dtype).type)


def test_own_loss_is_that_of_the_table(backend, dtype):
    net, X, Y = own(half_squares, dtype)
    twin, _, _ = own("mse", dtype)
    harness.assert_number_within("step", net.cost(X, Y), twin.cost(X, Y), dtype)
    J, gradients = net.gradients(X, Y)
    expected_J, expected = twin.gradients(X, Y)
    harness.assert_number_within("step", J, expected_J, dtype)
    for name in expected:
        harness.assert_norm_within("step", gradients[name], expected[name], name)
    assert fastnn.cost(net.forward(X), Y, half_squares) == net.cost(X, Y)


def test_own_loss_is_what_cost_and_gradients_are_made_of(backend):
    net, X, Y = own(Pinball(0.9))
    J, dA = Pinball(0.9)(net.forward(X), Y)
    assert net.cost(X, Y) == net.gradients(X, Y)[0] == J
    gradients = net.backward(X, dA)[0]
    harness.assert_same_bits(net.gradients(X, Y)[1].vector, gradients.vector)
    assert net.check_gradients(X, Y) < 1e-7
    assert net.check_gradients(X[:, 0], Y[:, 0], l2=0.2) < 1e-7


def test_check_gradients_is_large_for_a_wrong_loss(backend):
    net, X, Y = own(lambda A, Y: (np.square(A - Y).sum() / 2, (A - Y) / A.shape[1]))
    assert net.check_gradients(X, Y) > 1e-3


def test_own_loss_is_named_pickled_and_copied(backend):
    net, X, Y = own(half_squares)
    assert net.loss is half_squares and "half_squares" in repr(net)
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), net.copy()):
        assert twin.loss is half_squares and twin.cost(X, Y) == net.cost(X, Y)
    net, X, Y = own(Pinball(0.9))
    assert "Pinball" in repr(net)
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), net.copy()):
        assert twin.loss.quantile == 0.9 and twin.cost(X, Y) == net.cost(X, Y)


def test_own_loss_may_write_into_its_outputs(backend):
    """A is an array of its own; predictions and the way back do not depend on it."""

    def in_place(A, Y):
        A -= Y
        return np.square(A).sum() / (2 * A.shape[1]), A / A.shape[1]

    net, X, Y = own(in_place)
    twin, _, _ = own(half_squares)
    harness.assert_same_bits(net.gradients(X, Y)[1].vector, twin.gradients(X, Y)[1].vector)


@pytest.mark.parametrize(
    "loss, error, words",
    [
        (lambda A, Y: 1.0, TypeError, r"the loss '<lambda>' must return \(J, dA\), got 1.0"),
        (lambda A, Y: (1.0, A, Y), TypeError, r"must return \(J, dA\)"),
        (lambda A, Y: (A, A), TypeError, "must return a number J first"),
        (lambda A, Y: ("1", A), TypeError, "must return a number J first, got '1'"),
        (lambda A, Y: (1.0, A[:1]), ValueError, r"must return dA of shape \(2, 8\), got \(1, 8\)"),
        (
            lambda A, Y: (1.0, None),
            TypeError,
            "dA of the loss '<lambda>' must be an array, got None",
        ),
        (lambda A, Y: (1.0, A + 0j), ValueError, "Complex data not supported: dA of the loss"),
    ],
)
def test_own_loss_that_returns_something_else(backend, loss, error, words):
    net, X, Y = own(loss)
    before = net.parameter_vector.copy()
    for call in (net.cost, net.gradients, net.check_gradients):
        with pytest.raises(error, match=words):
            call(X, Y)
    harness.assert_same_bits(net.parameter_vector, before)


def test_own_loss_weighs_its_examples_itself(backend):
    net, X, Y = own(half_squares)
    for call in (net.cost, net.gradients):
        with pytest.raises(ValueError, match="sample_weight: a loss function of your own weighs"):
            call(X, Y, np.ones(8))
