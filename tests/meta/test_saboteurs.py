"""A test of the tests: backends that are broken on purpose must be caught.

Each line of `CAUGHT` names a saboteur and a check that must raise AssertionError on it: the
very check that the other files run on the real backends.
"""

import importlib
import inspect

import numpy as np
import pytest
from support import (
    harness,
    interruption,
    layer_checks,
    layout_checks,
    network_checks,
    saboteurs,
)
from support.tables import NetworkCase

import fastnn
from fastnn import _kernels_numpy as reference

TANH = NetworkCase((7, 9, 3), ("tanh",), "cross_entropy", "softmax", 61)
LEAKY = NetworkCase((7, 9, 3), ("leaky_relu",), "mse", "linear", 61)
GELU = NetworkCase((7, 9, 3), ("gelu",), "huber", "linear", 61)

MSE = NetworkCase((7, 9, 3), ("tanh",), "mse", "linear", 61)

# --- who catches whom ---------------------------------------------------------------------

F32, F64 = np.float32, np.float64
CAUGHT = [
    (saboteurs.missing_one_over_m, layer_checks.check_dense_backward, F64),
    (saboteurs.missing_one_over_m, network_checks.check_gradients, F32, TANH),
    (saboteurs.missing_one_over_m, network_checks.check_trace, F32, TANH),
    (saboteurs.doubled_dW, layer_checks.check_dense_backward, F32),
    (saboteurs.doubled_dW, network_checks.check_gradients, F64, TANH),
    (saboteurs.one_minus_a, layer_checks.check_derivative, F32, "tanh"),
    (saboteurs.one_minus_a, layer_checks.check_activation_backward, F64, "tanh"),
    (saboteurs.one_minus_a, network_checks.check_gradients, F32, TANH),
    (saboteurs.swapped_axes, layer_checks.check_dense_forward, F32, "linear"),
    (saboteurs.transposed_square_weights, layer_checks.check_dense_backward, F32),
    (saboteurs.relu_swallows_nan, layer_checks.check_special_values, F32, "relu"),
    (saboteurs.dropped_slope, layer_checks.check_activate, F32, "leaky_relu"),
    (saboteurs.dropped_slope, network_checks.check_network_forward, F32, LEAKY),
    (saboteurs.dropped_slope_on_the_way_back, layer_checks.check_derivative, F64, "leaky_relu"),
    (saboteurs.dropped_slope_on_the_way_back, network_checks.check_gradients, F32, LEAKY),
    (saboteurs.forgotten_bias, layer_checks.check_dense_forward, F32, "sigmoid"),
    (saboteurs.forgotten_bias, network_checks.check_network_forward, F32, TANH),
    (saboteurs.forgotten_last_input, layer_checks.check_dense_forward, F64, "relu"),
    (saboteurs.computed_in_float32, layer_checks.check_dense_forward, F64, "linear"),
    (saboteurs.computed_in_float32, layer_checks.check_activation_ulps, F64, "tanh"),
    (saboteurs.computed_in_float32, network_checks.check_network_forward, F64, TANH),
    (saboteurs.computed_in_float32, network_checks.check_trace, F64, TANH),
    (saboteurs.sigmoid_by_tanh, layer_checks.check_activation_ulps, F32, "sigmoid"),
    (saboteurs.tanh_by_exp, layer_checks.check_odd, F32),
    (saboteurs.flushed_subnormals, layer_checks.check_subnormals, F32, "tanh"),
    (saboteurs.softmax_without_maximum, layer_checks.check_softmax, F32),
    (saboteurs.maximum_of_the_first_classes, layer_checks.check_largest_class, F32),
    (saboteurs.written_past_the_end, layer_checks.check_activate, F32, "relu"),
    (saboteurs.written_input, layer_checks.check_activation_backward, F32, "relu"),
    (saboteurs.ignored_strides, layout_checks.check_layouts, F32, 3, 9, 17, lambda i: "Fortran"),
    (saboteurs.ignored_strides, layout_checks.check_network_layouts, F32, TANH, "Fortran", "C"),
    (saboteurs.swallowed_nan_in_products, layer_checks.check_not_finite, F32),
    (saboteurs.rounded_products, layer_checks.check_small_integers, F64),
    (saboteurs.division_by_no_examples, layer_checks.check_zero_sizes, F32),
    (
        saboteurs.unclipped_logarithm,
        layer_checks.check_output_cost,
        F32,
        "binary_cross_entropy",
        "sigmoid",
    ),
    (
        saboteurs.logarithm_of_the_rest,
        layer_checks.check_cost_of_one,
        F32,
        "binary_cross_entropy",
        "sigmoid",
    ),
    (saboteurs.always_a_minus_y, layer_checks.check_output_cost, F32, "mse", "tanh"),
    (saboteurs.finite_by_the_sum, layer_checks.check_all_finite, F32),
    (saboteurs.shuffle_without_epoch, layer_checks.check_shuffle),
    (saboteurs.ignored_order, network_checks.check_epoch_by_hand, F32, TANH, 7),
    (saboteurs.ignored_order, network_checks.check_trace, F32, TANH, 16),
    (saboteurs.reversed_without_order, network_checks.check_unshuffled, F32, TANH, 7),
    (saboteurs.dropped_last_batch, network_checks.check_epoch_by_hand, F32, TANH, 7),
    (saboteurs.weighted_mean_of_batches, network_checks.check_epoch_by_hand, F64, TANH, 7),
    (saboteurs.cost_after_the_update, network_checks.check_trace, F32, TANH),
    (saboteurs.copied_parameters, network_checks.check_held_parameters, F32, TANH),
    (saboteurs.random_order_of_summation, network_checks.check_same_bits, F32, TANH),
    (saboteurs.dropped_last_block, network_checks.check_network_forward, F32, TANH),
    (saboteurs.unchecked_try_forward, network_checks.check_try_forward, F32, TANH),
    (saboteurs.uncorrected_adam, layer_checks.check_update, F32, "adam"),
    (saboteurs.epsilon_inside_the_root, layer_checks.check_update, F64, "adam"),
    (saboteurs.epsilon_inside_the_root, network_checks.check_rule, F32, TANH, "adam", 16),
    (saboteurs.decayed_biases, layer_checks.check_update, F32, "gradient_descent"),
    (saboteurs.decayed_biases, network_checks.check_rule, F32, TANH, "decay", None),
    (saboteurs.penalized_biases, network_checks.check_rule, F32, TANH, "l2", None),
    (saboteurs.penalized_biases, network_checks.check_rule, F64, TANH, "all", 16),
    (
        saboteurs.last_batch_penalized_like_the_others,
        network_checks.check_rule,
        F32,
        TANH,
        "per example",
        16,
    ),
    (saboteurs.decayed_gradient, network_checks.check_rule, F32, TANH, "l2", None),
    (saboteurs.clipped_by_value, network_checks.check_rule, F32, TANH, "clipped", None),
    (saboteurs.forgotten_weights, network_checks.check_weights, F32, TANH),
    (saboteurs.forgotten_weights, network_checks.check_rule, F32, LEAKY, "weighted", 16),
    (saboteurs.weights_divided_by_m, network_checks.check_weights, F64, TANH),
    (saboteurs.masked_output_alone, network_checks.check_rule, F32, TANH, "dropout", 16),
    (saboteurs.unscaled_mask, network_checks.check_rule, F32, TANH, "dropout", None),
    (saboteurs.same_mask_in_every_step, network_checks.check_rule, F32, TANH, "dropout", 16),
    (
        saboteurs.masks_from_the_first_step_again,
        network_checks.check_steps_in_calls,
        F32,
        TANH,
        "dropout",
    ),
    (saboteurs.ignored_D, layer_checks.check_backward_from_D, F32),
    (saboteurs.ignored_D, network_checks.check_gradients, F32, GELU),
    (saboteurs.mean_in_backward, network_checks.check_backward, F32, TANH),
    (saboteurs.cost_of_nothing, network_checks.check_no_examples, F32, TANH),
    (saboteurs.dA_of_mse_for_all, layer_checks.check_output_cost, F32, "huber", "linear"),
    (saboteurs.dA_of_mse_for_all, layer_checks.check_unpaired, F32, "cross_entropy", "softmax"),
    (saboteurs.transposed_jacobian, network_checks.check_jacobian, F64, TANH),
    (saboteurs.kept_infinity, network_checks.check_try_step, F64, TANH),
    (saboteurs.reversed_examples, network_checks.check_example_major, F64, TANH, 16),
    (saboteurs.dropout_forward_alone, network_checks.check_own_loop, F64, MSE, "dropout"),
    (saboteurs.accepted_nan, network_checks.check_accepts, F32, TANH),
    (saboteurs.accepted_probabilities_of_any_sum, network_checks.check_accepts, F64, TANH),
    (saboteurs.no_look_ahead, network_checks.check_rule, F64, TANH, "nesterov", 16),
    (saboteurs.no_look_ahead, layer_checks.check_update, F32, "momentum"),
    (saboteurs.velocity_as_a_mean, network_checks.check_rule, F32, TANH, "momentum", None),
    (
        saboteurs.state_lost_on_interruption,
        interruption.check_interrupted_training,
        F64,
        TANH,
        "momentum",
    ),
    (saboteurs.overlapping_out, network_checks.check_try_forward_into, F32, TANH),
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
    check(saboteurs.fresh(), *arguments)  # the same check is content with the module as it is

    broken = saboteurs.fresh()
    sabotage(broken)
    with pytest.raises(AssertionError):
        check(broken, *arguments)


def test_fresh_copies_are_apart():
    """What is broken is the copy, in all of its rooms; the real modules stay in their places."""
    copy = saboteurs.fresh()
    assert copy is not reference
    for name in ("activations", "blocks", "inputs", "losses", "updates"):
        room = importlib.import_module(f"fastnn._numpy.{name}")
        assert getattr(reference, name) is room
        assert getattr(copy, name) is not room
    assert importlib.import_module("fastnn._kernels_numpy") is fastnn._kernels_numpy is reference


def test_every_check_can_fail():
    """No check is trusted that has not caught anyone."""
    every = {
        function
        for module in (interruption, layer_checks, layout_checks, network_checks)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("check_")
    }
    assert every == {check for _, check, *_ in CAUGHT}


def test_every_saboteur_is_caught():
    """Nobody is broken for nothing."""
    every = {
        function
        for name, function in inspect.getmembers(saboteurs, inspect.isfunction)
        if name[0] != "_" and list(inspect.signature(function).parameters) == ["kernels"]
    }
    assert every == {sabotage for sabotage, *_ in CAUGHT}
