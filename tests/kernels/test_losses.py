"""The table of losses: pairs, defaults, and the cost that is computed."""

import numpy as np
import pytest
from support import harness
from support.tables import ACTIVATIONS, LOSSES, PAIRS, TOLERANCES

import fastnn
from fastnn import losses


def test_the_table_is_what_the_tests_cover():
    assert tuple(losses.LOSSES) == LOSSES
    assert [row.code for row in losses.LOSSES.values()] == [0, 1, 2]
    pairs = {(row.name, output) for row in losses.LOSSES.values() for output in row.outputs}
    assert pairs == set(PAIRS)


def test_paired_outputs_are_allowed():
    for row in losses.LOSSES.values():
        assert row.paired in row.outputs
        assert row.formula


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
    assert losses.default_for(output).name == losses.resolve(None, output).name == loss
    assert fastnn.MLP([2, 2], output=output).loss == loss


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_pairs_are_enforced(loss, output):
    if (loss, output) in PAIRS:
        assert fastnn.MLP([2, 2], output=output, loss=loss).loss == loss
    else:
        with pytest.raises(ValueError, match=f"loss '{loss}' needs an output of .*'{output}'"):
            fastnn.MLP([2, 2], output=output, loss=loss)


def test_unknown_losses_are_refused():
    with pytest.raises(ValueError, match="loss must be one of 'mse'.*got 'hinge'"):
        losses.resolve("hinge")
    with pytest.raises(TypeError, match="loss must be a name, got 3"):
        losses.resolve(3)
    with pytest.raises(TypeError, match="loss must be a name, got None"):
        losses.resolve(None)


@pytest.mark.parametrize("loss, output", PAIRS)
def test_cost_is_the_mean_over_examples_of_the_sum_over_outputs(backend, loss, output, dtype):
    A = harness.outputs_of(output, harness.normal(dtype, (4, 9))[0])
    Y = harness.targets(loss, 4, 9, dtype)
    a, y = A.astype(np.float64), Y.astype(np.float64)
    formula = {
        "mse": lambda: (a - y) ** 2 / 2,
        "binary_cross_entropy": lambda: -(y * np.log(a) + (1 - y) * np.log(1 - a)),
        "cross_entropy": lambda: -y * np.log(a),
    }[loss]
    expected = formula().sum() / 9
    J = fastnn.cost(A, Y, loss=loss)
    bound = TOLERANCES["cost"].at(dtype) * harness.eps(dtype) * expected
    harness.assert_cost_within(J, expected, bound, dtype, loss)


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
