"""Activations, losses, and all derivatives, against PyTorch's own functions and its autograd."""

import numpy as np
import pytest
import torch
from support import harness, network_checks
from support.tables import NETWORKS, PAIRS, NetworkCase, named
from truth.twin import ACTIVATIONS, LOSSES, Twin, double

import fastnn

HIDDEN, OUTPUTS = list(fastnn.activations.HIDDEN), list(ACTIVATIONS)
SMALL = [case for case in NETWORKS if max(case.layer_sizes) < 300 and case.m < 2000]


def test_pytorch_judges_every_row():
    assert ACTIVATIONS.keys() == fastnn.activations.ACTIVATIONS.keys()
    assert LOSSES.keys() == fastnn.losses.LOSSES.keys() == {loss for loss, _ in PAIRS}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes(backend, name):
    """g and g' of a layer whose W is 1: where the curves bend, and far out on both sides."""
    z = np.concatenate([np.linspace(-6, 6, 241), [-40.0, -20.0, 20.0, 40.0]])
    Z = np.stack([z, np.roll(z, 7)])
    net = fastnn.MLP([2, 2], output=named(name), loss="mse", dtype="float64")
    net.set_parameters({"W1": np.eye(2), "b1": np.zeros((2, 1))})
    (dA,) = harness.normal(np.float64, Z.shape)
    inputs = double(Z).requires_grad_()
    _, A = Twin(net).outputs(inputs)
    A.backward(double(dA))
    # Element by element, by some eps of |z|: PyTorch loses the lower tail of gelu in 1 + erf.
    np.testing.assert_allclose(net.forward(Z), A.detach(), rtol=2e-15, atol=2e-15)
    np.testing.assert_allclose(net.backward(Z, dA)[1], inputs.grad, rtol=1e-14, atol=1e-14)


# --- a network's cost and gradients -------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_cost_and_gradients(backend, dtype, pair, weighted):
    hidden = HIDDEN[PAIRS.index(pair) % len(HIDDEN)], "tanh"
    case = NetworkCase((5, 17, 9, 3), hidden, *pair, 33)
    weights = network_checks.weights_of(case, dtype)[0] if weighted else None
    assert_gradients_of_torch(case, dtype, weights)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_cost_and_gradients_of_every_shape(backend, case):
    assert_gradients_of_torch(case, np.float64)


def assert_gradients_of_torch(case, dtype, weights=None):
    net, (X, Y) = network_checks.mlp(case, dtype), network_checks.examples(case, dtype)
    twin = Twin(net)
    J, gradients = net.gradients(X, Y, weights)
    expected = twin.cost(X, Y, weights)
    expected.backward()
    harness.assert_number_within("step", J, expected.item(), dtype, case)
    harness.assert_number_within("step", net.cost(X, Y, weights), J, dtype, case)
    expected_gradients = twin.gradient().astype(dtype)
    network_checks.assert_layers_within("step", case, gradients.vector, expected_gradients)


def test_a_network_with_another_weight_is_told_apart(monkeypatch):
    """What judges the derivatives would not pass those of a network that is another one."""
    case = NetworkCase((5, 17, 9, 3), ("relu", "tanh"), "mse", "linear", 33)
    right = network_checks.mlp

    def other(case, dtype):
        net = right(case, dtype)
        calls.append(net)
        return net

    calls = []
    monkeypatch.setattr(network_checks, "mlp", other)
    init = Twin.__init__

    def spoilt(self, net):
        init(self, net)
        net.parameter_vector[3] += 1e-3  # after the twin took its copy

    monkeypatch.setattr(Twin, "__init__", spoilt)
    for judge in (assert_gradients_of_torch, assert_jacobian_of_torch):
        with pytest.raises(AssertionError):
            judge(case, np.float64)
    assert len(calls) == 2


# --- back from the outputs, and to the inputs ---------------------------------------------


@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize("of", ["A", "Z"])
def test_backward(backend, dtype, output, of):
    """From any dJ/dA, or dJ/dZ, to the parameters and to the inputs."""
    case = NetworkCase((6, 17, 9, 4), ("silu", "tanh"), "mse", output, 21)
    net, (X, _) = network_checks.mlp(case, dtype), network_checks.examples(case, dtype)
    (dA,) = harness.normal(dtype, (4, 21))
    twin, inputs = Twin(net), double(X).requires_grad_()
    dict(zip("ZA", twin.outputs(inputs)))[of].backward(double(dA))
    gradients, dX = net.backward(X, dA, of=of)
    expected, expected_dX = twin.gradient().astype(dtype), inputs.grad.numpy().astype(dtype)
    network_checks.assert_layers_within("step", case, gradients.vector, expected)
    harness.assert_norm_within("step", dX, expected_dX, f"dX of {case}")


@pytest.mark.parametrize("output", ACTIVATIONS)
def test_jacobian(backend, dtype, output):
    hidden = HIDDEN[OUTPUTS.index(output) % len(HIDDEN)], "tanh"
    assert_jacobian_of_torch(NetworkCase((6, 17, 9, 4), hidden, "mse", output, 21), dtype)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_jacobian_of_every_shape(backend, case):
    assert_jacobian_of_torch(case._replace(m=min(case.m, 70)), np.float64)


def assert_jacobian_of_torch(case, dtype):
    net, (X, _) = network_checks.mlp(case, dtype), network_checks.examples(case, dtype)
    twin = Twin(net)
    each = torch.func.vmap(torch.func.jacrev(lambda x: twin.outputs(x[:, None])[1][:, 0]))
    expected = each(double(X.T)).detach().numpy().astype(dtype)
    harness.assert_norm_within("step", net.jacobian(X), expected, case)
    alone = net.jacobian(X[:, 0])
    harness.assert_norm_within("step", alone, expected[0], f"{case}, first example alone")
