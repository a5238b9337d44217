"""The table of losses: pairs, defaults, and the cost that is computed."""

import numpy as np
import pytest
from support import harness
from support.tables import ACTIVATIONS, DELTA, LOSSES, PAIRS, TOLERANCES, named

import fastnn
from fastnn import losses
from fastnn.activations import ACTIVATIONS as ACTIVATION_ROWS


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


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("output", ACTIVATIONS)
def test_pairs_are_enforced(loss, output):
    outputs = losses.LOSSES[loss].outputs
    if not outputs or output in outputs:
        name = fastnn.MLP([2, 2], output=output, loss=loss).loss
        assert name == (("huber", 1.0) if loss == "huber" else loss)
    else:
        with pytest.raises(ValueError, match=f"loss '{loss}' needs an output of .*'{output}'"):
            fastnn.MLP([2, 2], output=output, loss=loss)


def test_unknown_losses_are_refused():
    with pytest.raises(ValueError, match="loss must be one of 'mse'.*got 'hinge'"):
        losses.resolve("hinge")
    with pytest.raises(TypeError, match="loss must be a name or .*, got 3"):
        losses.resolve(3)
    with pytest.raises(ValueError, match="did you mean 'cross_entropy'?"):
        losses.resolve("cross entropy")
    with pytest.raises(ValueError, match="delta of 'huber' must be a finite number > 0, got 0"):
        losses.resolve(("huber", 0))
    with pytest.raises(TypeError, match="loss must be a name or .*, got None"):
        losses.resolve(None)


@pytest.mark.parametrize("loss, output", PAIRS)
def test_cost_is_the_mean_over_examples_of_the_sum_over_outputs(backend, loss, output, dtype):
    A = harness.outputs_of(output, harness.normal(dtype, (4, 9))[0])
    Y = harness.targets(loss, 4, 9, dtype)
    a, y = A.astype(np.float64), Y.astype(np.float64)
    r = abs(a - y)
    formula = {
        "mse": lambda: r**2 / 2,
        "mae": lambda: r,
        "poisson": lambda: a - y * np.log(a),
        "huber": lambda: np.where(r <= DELTA, r**2 / 2, DELTA * (r - DELTA / 2)),
        "binary_cross_entropy": lambda: -(y * np.log(a) + (1 - y) * np.log(1 - a)),
        "cross_entropy": lambda: -y * np.log(a),
    }[loss]
    expected, size = formula().sum() / 9, np.abs(formula()).sum() / 9
    J = fastnn.cost(A, Y, loss=named(loss))
    bound = TOLERANCES["cost"].at(dtype) * harness.eps(dtype) * size
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


@pytest.mark.parametrize("alias, name", [
    ("categorical_crossentropy", "cross_entropy"), ("categorical_cross_entropy", "cross_entropy"),
    ("binary_crossentropy", "binary_cross_entropy"), ("mean_squared_error", "mse"),
])  # fmt: skip
def test_aliases_are_understood(alias, name):
    assert losses.resolve(alias)[0].name == name


def test_a_softmax_of_one_class_is_refused():
    with pytest.raises(ValueError, match="2 classes or more, got 1 unit.*'sigmoid'"):
        fastnn.MLP([3, 1], output="softmax")


@pytest.mark.parametrize("floor", [0.0, 1e-6, 0.25])
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
def test_floor(kernels, dtype, loss, floor):
    """The logarithms of the cross-entropies end there, in every kernel set; dZ does not know it."""
    row = losses.LOSSES[loss]
    output = ACTIVATION_ROWS[row.paired]
    A = np.array([[0.0, 1.0, 0.1, 0.5, 1e-7], [1.0, 0.0, 0.9, 0.5, 1.0]], dtype)
    Y = np.array([[1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0]], dtype)
    dZ = np.empty_like(A)
    spec = losses.specification(row, floor, row.paired)
    J = kernels.output_cost(A, None, Y, None, spec, output.code, 0.0, dZ)
    seen = A.astype("f8").clip(max(floor, np.finfo(dtype).tiny), None)
    wanted = -Y * np.log(seen)
    if loss == "binary_cross_entropy":
        most = min(1 - floor, 1 - float(np.finfo(dtype).epsneg))
        wanted -= (1 - Y) * np.log1p(-A.astype("f8").clip(None, most))
    # the floor itself is rounded to the dtype, and so is its distance from 1
    rounding = 1e-12 if dtype == np.float64 else 1e-2 if floor == 1e-6 else 1e-6
    assert J == pytest.approx(wanted.sum() / 5, rel=rounding)
    np.testing.assert_array_equal(dZ, A - Y)
