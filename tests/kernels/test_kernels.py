"""The layer kernels of every backend and SIMD level against the reference.

Sizes are those around the vector and tile widths (`conftest.SIZES`): each test runs the
whole Latin square of them, and a few beyond the cache blocks.
"""

import pytest
from support import layer_checks
from support.tables import ACTIVATIONS, CURVES, ELEMENTWISE, FROM_OUTPUT, PAIRS


@pytest.mark.parametrize("activation", CURVES)
def test_activation_ulps(kernels, dtype, activation):
    layer_checks.check_activation_ulps(kernels, dtype, activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activate(kernels, dtype, activation):
    layer_checks.check_activate(kernels, dtype, activation)


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_special_values(kernels, dtype, activation):
    layer_checks.check_special_values(kernels, dtype, activation)


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu", "leaky_relu", "gelu"])
def test_subnormals(kernels, dtype, activation):
    layer_checks.check_subnormals(kernels, dtype, activation)


def test_tanh_is_odd(kernels, dtype):
    layer_checks.check_odd(kernels, dtype)


def test_softmax(kernels, dtype):
    layer_checks.check_softmax(kernels, dtype)


def test_largest_class(kernels, dtype):
    layer_checks.check_largest_class(kernels, dtype)


@pytest.mark.parametrize("activation", FROM_OUTPUT)
def test_derivative(kernels, dtype, activation):
    layer_checks.check_derivative(kernels, dtype, activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_backward(kernels, dtype, activation):
    layer_checks.check_activation_backward(kernels, dtype, activation)


def test_backward_from_D(kernels, dtype):
    layer_checks.check_backward_from_D(kernels, dtype)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_forward(kernels, dtype, activation):
    layer_checks.check_dense_forward(kernels, dtype, activation)


def test_dense_backward(kernels, dtype):
    layer_checks.check_dense_backward(kernels, dtype)


def test_small_integers_are_exact(kernels, dtype):
    layer_checks.check_small_integers(kernels, dtype)


def test_not_finite_numbers_propagate(kernels, dtype):
    layer_checks.check_not_finite(kernels, dtype)


def test_zero_sizes(kernels, dtype):
    layer_checks.check_zero_sizes(kernels, dtype)


@pytest.mark.parametrize("loss, output", PAIRS)
def test_output_cost(kernels, dtype, loss, output):
    layer_checks.check_output_cost(kernels, dtype, loss, output)


@pytest.mark.parametrize(
    "loss, output", [("binary_cross_entropy", "sigmoid"), ("cross_entropy", "softmax")]
)
def test_unpaired(kernels, dtype, loss, output):
    layer_checks.check_unpaired(kernels, dtype, loss, output)


@pytest.mark.parametrize("name", layer_checks.RULES)
def test_update(kernels, dtype, name):
    layer_checks.check_update(kernels, dtype, name)


@pytest.mark.parametrize(
    "loss, output", [("binary_cross_entropy", "sigmoid"), ("cross_entropy", "softmax")]
)
def test_cost_of_one(kernels, dtype, loss, output):
    layer_checks.check_cost_of_one(kernels, dtype, loss, output)


def test_all_finite(kernels, dtype):
    layer_checks.check_all_finite(kernels, dtype)


def test_shuffle(kernels, dtype):
    layer_checks.check_shuffle(kernels)
