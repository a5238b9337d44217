"""The table of losses: pairs, defaults, and the cost that is computed."""

import numpy as np
import pytest
from support import harness
from support.tables import LOSSES, PAIRS

import fastnn
from fastnn import losses


def test_the_table_is_what_the_tests_cover():
    assert tuple(losses.LOSSES) == LOSSES
    assert [row.code for row in losses.LOSSES.values()] == list(range(len(LOSSES)))
    assert {loss for loss, output in PAIRS} == set(LOSSES)


def test_paired_outputs_are_allowed():
    for row in losses.LOSSES.values():
        assert not row.outputs or row.paired in row.outputs
        assert row.formula and row.derivative


@pytest.mark.parametrize(
    "output, loss",
    [
        ("sigmoid", "binary_cross_entropy"),
        ("softmax", "cross_entropy"),
        ("linear", "mse"),
        ("relu", "mse"),
        ("leaky_relu", "mse"),
        ("tanh", "mse"),
    ],
)
def test_defaults(output, loss):
    assert losses.default_for(output).name == losses.resolve(None, output)[0].name == loss
    assert fastnn.MLP([2, 2], output=output).loss == loss


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
def test_saturated_outputs_cost_a_finite_amount(backend, loss, dtype):
    """And their gradient is A - Y as always, without a warning."""
    net = fastnn.MLP(
        [1, 2], output={"binary_cross_entropy": "sigmoid", "cross_entropy": "softmax"}[loss],
        dtype=dtype,
    )  # fmt: skip
    net.set_parameters({"W1": [[1.0], [-1.0]], "b1": [[0.0], [0.0]]})
    X, Y = np.array([[4000.0, -4000.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    J, gradients = net.gradients(X, Y)
    tiny, below = np.finfo(dtype).tiny, np.finfo(dtype).epsneg
    worst = -np.log(float(tiny)) - (np.log(float(below)) if loss == "binary_cross_entropy" else 0)
    harness.assert_on_paper(J, worst, dtype)
    # Each output is wrong by 1 for each example: dZ = +-1, dW = mean(dZ x).
    harness.assert_on_paper(gradients["dW1"], [[4000], [-4000]])
    np.testing.assert_array_equal(gradients["db1"], 0)


@pytest.mark.parametrize("alias, name", [
    ("categorical_crossentropy", "cross_entropy"), ("categorical_cross_entropy", "cross_entropy"),
    ("binary_crossentropy", "binary_cross_entropy"), ("mean_squared_error", "mse"),
])  # fmt: skip
def test_aliases_are_understood(alias, name):
    assert losses.resolve(alias)[0].name == name


def test_a_softmax_of_one_class_is_refused():
    with pytest.raises(ValueError, match="2 classes or more, got 1 unit.*'sigmoid'"):
        fastnn.MLP([3, 1], output="softmax")
