"""The NumPy kernels against independent truth: hand-worked numbers, differences, mpmath.

The other backends are held against the NumPy kernels, so this file is where all of the
suite's trust comes from.
"""

import numpy as np
import pytest
from support import harness, layer_checks, network_checks, truth
from support.tables import CURVES, FROM_Z, NETWORKS, PAIRS, SLOPE, TOLERANCES, NetworkCase

import fastnn
from fastnn import _kernels_numpy as reference
from fastnn._numpy import blocks
from fastnn._numpy.random import mask
from fastnn._specifications import UpdateSpec

CODES = reference.ACTIVATION_CODES


def test_two_two_one_by_hand():
    """relu, then linear with mse; every number below was worked out on paper.

    Z1 = [[1-3+1, 2+1+1], [2+3-2, 4-1-2]] = [[-1, 4], [3, 1]], A1 = [[0, 4], [3, 1]],
    A2 = [0-6+2, 4-2+2] = [-4, 4], dZ2 = A2 - Y = [-1, 2], J = (1/2 + 4/2) / 2.
    """
    case = NetworkCase((2, 2, 1), ("relu",), "mse", "linear", 2)
    W1, b1, W2, b2 = [1, -1, 2, 1], [1, -2], [1, -2], [2]
    parameters = np.array([*W1, *b1, *W2, *b2], np.float64)
    X, Y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[-3.0, 2.0]])
    net = network_checks.network(reference, case, parameters)

    A2 = np.empty((1, 2))
    net.forward(X, A2)
    np.testing.assert_array_equal(A2, [[-4, 4]])

    gradients = np.empty_like(parameters)
    assert net.cost_and_gradients(X, Y, None, gradients) == 1.25
    dW1, db1, dW2, db2 = [2, -1, -3, 5], [1, -1], [4, -0.5], [0.5]
    np.testing.assert_array_equal(gradients, [*dW1, *db1, *dW2, *db2])

    costs = np.empty(1)
    network_checks.train_plainly(net, X, Y, None, 2, 0.5, costs)
    assert costs[0] == 1.25
    np.testing.assert_array_equal(parameters, [0, -0.5, 3.5, -1.5, 0.5, -1.5, -1, -1.75, 1.75])


def test_two_two_one_through_curves_by_hand():
    """tanh(ln 2) = 3/5, tanh(ln 3) = 4/5, sigmoid(ln 3) = 3/4: again no calculator."""
    case = NetworkCase((2, 2, 1), ("tanh",), "binary_cross_entropy", "sigmoid", 1)
    ln2, ln3 = np.log(2), np.log(3)
    parameters = np.array([1, 0, 0, 1, 0, 0, 5 * ln3, -2.5 * ln3, 0])
    X, Y = np.array([[ln2], [ln3]]), np.array([[1.0]])
    net = network_checks.network(reference, case, parameters)
    gradients = np.empty_like(parameters)
    harness.assert_on_paper(net.cost_and_gradients(X, Y, None, gradients), np.log(4 / 3))
    # dZ2 = 3/4 - 1; dZ1 = W2^T dZ2 (1 - A1^2) = [-1.25 ln3 * 0.64, 0.625 ln3 * 0.36].
    d1, d2 = -0.8 * ln3, 0.225 * ln3
    by_hand = [d1 * ln2, d1 * ln3, d2 * ln2, d2 * ln3, d1, d2, -0.15, -0.2, -0.25]
    harness.assert_on_paper(gradients, by_hand)


def test_softmax_by_hand():
    """softmax(ln 1, ln 2, ln 5) = (1, 2, 5) / 8, and its cost and gradient through mse."""
    Z = np.log([[1.0], [2.0], [5.0]])
    A = np.empty_like(Z)
    reference.activate(Z, CODES["softmax"], 0.0, A, None)
    harness.assert_on_paper(A, [[1 / 8], [2 / 8], [5 / 8]])
    Y, dZ = np.array([[0.0], [0.0], [1.0]]), np.empty_like(Z)
    spec = harness.loss_spec("cross_entropy", "softmax")
    J = reference.output_cost(A, None, Y, None, spec, CODES["softmax"], 0.0, dZ)
    harness.assert_on_paper(J, np.log(8 / 5))
    harness.assert_on_paper(dZ, [[1 / 8], [2 / 8], [-3 / 8]])
    spec = harness.loss_spec("mse", "softmax")
    J = reference.output_cost(A, None, Y, None, spec, CODES["softmax"], 0.0, dZ)
    harness.assert_on_paper(J, (1 + 4 + 9) / 128)
    # dA = (1, 2, -3) / 8; sum a dA = (1 + 4 - 15) / 64 = -10 / 64; dZ = a (dA + 10 / 64).
    harness.assert_on_paper(dZ, [[18 / 512], [52 / 512], [-70 / 512]])


@pytest.mark.parametrize("loss, output", PAIRS)
@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "relu", "leaky_relu", "linear", *FROM_Z])
def test_gradients_are_central_differences(loss, output, hidden):
    """(J(w + h) - J(w - h)) / 2h for every parameter, in float64."""
    case = NetworkCase((3, 5, 4, 3), (hidden, "tanh"), loss, output, 7)
    parameters, (X, Y) = (
        network_checks.parameters_of(case, np.float64),
        network_checks.examples(case, np.float64),
    )
    gradients, differences = np.empty_like(parameters), np.empty_like(parameters)
    net, h = network_checks.network(reference, case, parameters), 1e-5
    net.cost_and_gradients(X, Y, None, gradients)
    for i, w in enumerate(parameters.tolist()):
        costs = []
        for parameters[i] in (w + h, w - h):
            costs.append(net.cost_and_gradients(X, Y, None, None))
        parameters[i], differences[i] = w, (costs[0] - costs[1]) / (2 * h)
    assert np.linalg.norm(gradients) > 1e-3, "a gradient of zero would agree with anything"
    harness.assert_norm_within("central difference", differences, gradients, case)


@pytest.mark.parametrize("output", ["linear", "tanh", "softmax", "silu", "exponential"])
def test_jacobian_is_central_differences(output):
    """(A(x + h) - A(x - h)) / 2h for every input, in float64."""
    case = NetworkCase((4, 5, 3), ("tanh",), "mse", output, 6)
    (X, _), h = network_checks.examples(case, np.float64), 1e-5
    net = network_checks.network(reference, case, network_checks.parameters_of(case, np.float64))
    J, A = np.empty((6, 3, 4)), np.empty((2, 3, 6))
    net.jacobian(X, J)
    for k in range(4):
        for sign, a in zip((1, -1), A):
            moved = X.copy()
            moved[k] += sign * h
            net.forward(moved, a)
        difference = (A[0] - A[1]).T / (2 * h)
        harness.assert_norm_within("central difference", J[:, :, k], difference, output)


@pytest.mark.parametrize("activation", CURVES)
def test_curves_in_high_precision(activation, dtype):
    layer_checks.check_activation_ulps(reference, dtype, activation)


@pytest.mark.parametrize("loss, output", PAIRS)
def test_costs_in_high_precision(loss, output, dtype):
    """Saturated outputs included: a target that was missed altogether costs a finite amount."""
    A = harness.saturated(output, harness.outputs_of(output, 3 * harness.normal(dtype, (3, 17))[0]))
    Y = harness.targets(loss, 3, 17, dtype)
    spec = harness.loss_spec(loss, output)
    J = reference.output_cost(A, None, Y, None, spec, CODES[output], SLOPE, None)
    expected, size = truth.cost(A, Y, loss)
    bound = TOLERANCES["cost"].at(dtype) * harness.eps(dtype) * size
    harness.assert_cost_within(J, expected, bound, dtype, loss)


@pytest.mark.parametrize(
    "loss, a, y, costs",
    [
        # -log of the smallest normal number; -log of eps / 2; and exactly nothing.
        ("binary_cross_entropy", 0.0, 1.0, {"float32": 87.337, "float64": 708.396}),
        ("binary_cross_entropy", 1.0, 0.0, {"float32": 16.636, "float64": 36.737}),
        ("binary_cross_entropy", 0.0, 0.0, {"float32": 0.0, "float64": 0.0}),
        ("cross_entropy", 0.0, 1.0, {"float32": 87.337, "float64": 708.396}),
        ("cross_entropy", 1.0, 1.0, {"float32": 0.0, "float64": 0.0}),
    ],
)
def test_saturated_costs_by_hand(loss, a, y, costs, dtype):
    A, Y = np.full((1, 1), a, dtype), np.full((1, 1), y, dtype)
    output = {"binary_cross_entropy": "sigmoid", "cross_entropy": "softmax"}[loss]
    spec = harness.loss_spec(loss, output)
    J = reference.output_cost(A, None, Y, None, spec, CODES[output], 0.0, None)
    assert round(J, 3) == costs[np.dtype(dtype).name]


def test_derivatives_are_slopes_of_the_curves(dtype):
    """g'(z) from the output is the slope of g at z; at 0 the kinks take the lower side.

    The output errs by the ULP of an activation, and g' passes at most twice that on.
    """
    allowed = TOLERANCES["derivative"].at(dtype) + 2 * TOLERANCES["activation"].at(dtype)
    allowed = allowed * harness.eps(dtype) + TOLERANCES["central difference"].float64
    Z = np.linspace(-3, 3, 60).astype(dtype)[None, :]
    for activation in ("linear", "sigmoid", "tanh", "relu", "leaky_relu"):
        A, slope, h = harness.outputs_of(activation, Z), np.empty_like(Z), 1e-5
        reference.activation_derivative(A, CODES[activation], SLOPE, slope)
        wide, again = Z.astype(np.float64), np.empty_like(Z)
        reference.activate(Z, CODES[activation], SLOPE, np.empty_like(Z), again)
        harness.assert_same_bits(again, slope, activation)
        above, below = (harness.outputs_of(activation, wide + step) for step in (h, -h))
        np.testing.assert_allclose(slope, (above - below) / (2 * h), rtol=0, atol=allowed)
    for activation in FROM_Z:
        D, wide = harness.derivative_of(activation, Z), Z.astype(np.float64)
        above, below = (harness.outputs_of(activation, wide + step) for step in (h, -h))
        np.testing.assert_allclose(D, (above - below) / (2 * h), rtol=0, atol=allowed)
    at_zero, slope = np.zeros((1, 1), dtype), np.empty((1, 1), dtype)
    for activation, expected in (("relu", 0.0), ("leaky_relu", SLOPE)):
        reference.activation_derivative(at_zero, CODES[activation], SLOPE, slope)
        assert slope[0, 0] == dtype(expected)


def test_shuffle_is_splitmix64():
    """The published first outputs of SplitMix64 for seed 0 pin the generator itself."""
    assert [hex(n) for n in truth.splitmix64(0, 2)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]
    layer_checks.check_shuffle(reference)


def test_shuffle_is_uniform():
    """Each of the 24 orders of four examples comes as often as another (chi-squared)."""
    order = np.empty((24_000, 4), np.uint32)
    reference.shuffle(order, 7, 0)
    _, counts = np.unique(order, axis=0, return_counts=True)
    assert len(counts) == 24
    # 23 degrees of freedom: 49.7 is passed once in a thousand seeds, and the seed is fixed.
    assert np.sum((counts - 1000) ** 2 / 1000) < 49.7
    where = np.empty((2_000, 50), np.uint32)
    reference.shuffle(where, 8, 0)
    assert np.abs(where.mean(axis=0) - 24.5).max() < 4.5 * 14.43 / 2000**0.5


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_float32_is_float64_rounded(case):
    """The same network in both dtypes: an error that no single formula would show."""
    results = []
    for dtype in (np.float32, np.float64):
        parameters = network_checks.parameters_of(case, np.float32).astype(dtype)
        X, Y = (x.astype(dtype) for x in network_checks.examples(case, np.float32))
        gradients = np.empty_like(parameters)
        net = network_checks.network(reference, case, parameters)
        J = net.cost_and_gradients(X, Y, None, gradients)
        results.append((J, gradients.astype(np.float32)))
    harness.assert_number_within("step", results[0][0], results[1][0], np.float32, case)
    harness.assert_norm_within("step", results[0][1], results[1][1], case)


def test_blocks_change_nothing(dtype, monkeypatch):
    """Forward by blocks of columns, and batches gathered a few at a time."""
    case = NetworkCase((7, 9, 3), ("tanh",), "cross_entropy", "softmax", 61)
    X, _ = network_checks.examples(case, dtype)
    results = []
    for _ in range(2):
        net = network_checks.network(reference, case, network_checks.parameters_of(case, dtype))
        A = np.empty((3, 61), dtype)
        net.forward(X, A)
        results.append((A, *network_checks.trained(reference, case, dtype, 5, batch_size=8)))
        monkeypatch.setattr(blocks, "BLOCK", 9 * 20)
        monkeypatch.setattr(blocks, "GATHER_BLOCK", 7 * 20)
    for whole, in_blocks in zip(*results, strict=True):
        harness.assert_norm_within("step", in_blocks, whole, case)


def test_all_finite_of_large_views(dtype):
    """Past the size for which a copy is small, in a layout that would need one."""
    X = np.ones((300, 600), dtype)[:, ::2]
    assert reference.all_finite(X)
    X[299, 299] = np.nan
    assert not reference.all_finite(X)


def test_huber_by_hand():
    """delta = 0.7: r = 0.5 lies on the parabola, r = -2 on the line, and dA is cut off there."""
    A, Y, dZ = np.array([[1.5], [1.0]]), np.array([[1.0], [3.0]]), np.empty((2, 1))
    spec = harness.loss_spec("huber", "linear")
    J = reference.output_cost(A, None, Y, None, spec, CODES["linear"], 0.0, dZ)
    harness.assert_on_paper(J, 0.125 + 0.7 * (2 - 0.35))
    harness.assert_on_paper(dZ, [[0.5], [-0.7]])


def test_weighted_cost_by_hand():
    """Weights 3 and 1: J = (3 * 2 + 1 * 8) / 4, and dZ is weighted, not yet divided."""
    A, Y, dZ = np.array([[2.0, 4.0]]), np.zeros((1, 2)), np.empty((1, 2))
    spec, weights = harness.loss_spec("mse", "linear"), np.array([[3.0, 1.0]])
    J = reference.output_cost(A, None, Y, weights, spec, CODES["linear"], 0.0, dZ)
    assert J == 3.5
    np.testing.assert_array_equal(dZ, [[6.0, 4.0]])


def test_two_steps_of_adam_by_hand():
    """w = 1, dw = 2 and then 1, beta1 = beta2 = 1/2, learning rate 1, epsilon 0.

    m = 1, v = 2; corrected 2 and 4: w = 1 - 2/2 = 0.  m = 1, v = 3/2; corrected by 3/4:
    4/3 and 2: w = -(4/3) / sqrt(2).
    """
    optimizer = fastnn.optimizers.Adam(beta1=0.5, beta2=0.5, epsilon=1e-300)
    w, spec, state = np.array([1.0]), optimizer.specification(), np.zeros((2, 1))
    scalars = optimizer.scalars(np.ones(2), np.array([1.0, 2.0]))
    reference.update(w, np.array([2.0]), state, scalars[0], spec, True)
    harness.assert_on_paper(w + 1, [1.0])
    reference.update(w, np.array([1.0]), state, scalars[1], spec, True)
    harness.assert_on_paper(w, [-4 / 3 / np.sqrt(2)])
    harness.assert_on_paper(state, [[1.0], [1.5]])


def test_decay_by_hand():
    """w = 2, learning rate 1/2, decay 1/4: w loses 1/8 of itself, a bias nothing."""
    w, spec = np.array([2.0]), UpdateSpec(reference.UPDATE_CODES["gradient_descent"], decay=0.25)
    for decays, expected in ((True, 1.75), (False, 1.75)):
        reference.update(w, np.zeros(1), np.empty((0, 1)), np.array([0.5]), spec, decays)
        np.testing.assert_array_equal(w, [expected])


def test_penalty_and_clipping_by_hand():
    """W = 3, b = 1, x = 1, y = 0, l2 = 1/2: J = 4^2 / 2 + 9/4; dW = 4 + 3/2, db = 4.

    Clipped to 1 the gradient is (5.5, 4) / sqrt(46.25).
    """
    case = NetworkCase((1, 1), (), "mse", "linear", 1)
    X, Y, state = np.ones((1, 1)), np.zeros((1, 1)), np.empty((0, 2))
    for clip_norm, norm in ((np.inf, 1.0), (1.0, np.sqrt(46.25)), (7.0, 1.0)):
        w, costs = np.array([3.0, 1.0]), np.empty(1)
        net = network_checks.network(reference, case, w)
        spec = UpdateSpec(0, l2=0.5, clip_norm=clip_norm)
        net.train(X, Y, None, None, 1, spec, np.full((1, 1), 0.1), state, 0, 0, costs)
        harness.assert_on_paper(costs, [8 + 2.25])
        harness.assert_on_paper(w, [3 - 0.55 / norm, 1 - 0.4 / norm])


def test_per_example_by_hand():
    """W = 2, x = 1, y = 0; l2 = 3, learning rate 1/2; batches of two examples, and of one.

    J = 2^2 / 2 + 3 / (2 2) 2^2 = 5, dW = 2 + 3 / 2 2 = 5, so W = 2 - 5 / 2, b = -1; then a = -3/2,
    J = 9/8 + 3/2 / 4 = 3/2, dW = -3/2 - 3/2, so W = -1/2 + 3/2 and b = -1 + 3/4.  The cost is
    (2 5 + 3/2) / 3.  Weights of 2, 0 and 1 are the same.
    """
    case = NetworkCase((1, 1), (), "mse", "linear", 3)
    X, Y, state = np.ones((1, 3)), np.zeros((1, 3)), np.empty((0, 2))
    for weights in (None, np.array([[2.0, 0.0, 1.0]])):
        w, costs = np.array([2.0, 0.0]), np.empty(1)
        net = network_checks.network(reference, case, w)
        spec = UpdateSpec(0, l2=3.0, per_example=True)
        net.train(X, Y, weights, None, 2, spec, np.full((2, 1), 0.5), state, 0, 0, costs)
        harness.assert_on_paper(costs, [11.5 / 3])
        harness.assert_on_paper(w, [1.0, -0.25])


def test_masks_are_splitmix64():
    """Number for number, from any example on, and for every layer and step its own."""
    for seed, step, layer, first in ((0, 0, 1, 0), (2**64 - 1, 9, 2, 3), (5, 2**40, 1, 64)):
        M = np.empty((5, 9))
        mask(seed, step, layer, 0.7, first, M)
        expected = truth.mask(seed, step, layer, 0.7, 5, range(first, first + 9))
        np.testing.assert_array_equal(M, expected)
    M = np.empty((64, 1000), np.float32)
    mask(1, 2, 3, 0.8, 0, M)
    # The mean of 64,000: 5 standard deviations of sqrt(0.8 * 0.2 / 64000) / 0.8.
    assert abs(M.mean() - 1) < 0.01 and set(np.unique(M)) == {0, np.float32(1.25)}


def test_dropout_is_a_network_without_these_units():
    """One step with a mask is one step of plain layers whose outputs are masked by hand."""
    case, keep = NetworkCase((3, 6, 5, 2), ("tanh", "relu"), "mse", "linear", 4), 0.5
    parameters, (X, Y) = (
        network_checks.parameters_of(case, np.float64),
        network_checks.examples(case, np.float64),
    )
    W = network_checks.layers_of(case, parameters)
    M1, M2 = (truth.mask(9, 4, l, keep, n, range(4)) for l, n in ((1, 6), (2, 5)))
    A1 = np.tanh(W["W1"] @ X + W["b1"]) * M1
    A2 = np.maximum(W["W2"] @ A1 + W["b2"], 0) * M2
    dZ3 = W["W3"] @ A2 + W["b3"] - Y
    dZ2 = W["W3"].T @ dZ3 * M2 * (A2 > 0)
    dZ1 = W["W2"].T @ dZ2 * M1 * (1 - np.tanh(W["W1"] @ X + W["b1"]) ** 2)
    gradients = []
    for dZ, A in ((dZ1, X), (dZ2, A1), (dZ3, A2)):
        gradients += [(dZ @ A.T / 4).ravel(), dZ.mean(axis=1)]
    expected = parameters - 0.1 * np.concatenate(gradients)
    net, costs = network_checks.network(reference, case, parameters, keep), np.empty(1)
    spec, state = UpdateSpec(0), np.empty((0, parameters.size))
    net.train(X, Y, None, None, 4, spec, np.full((1, 1), 0.1), state, 9, 4, costs)
    harness.assert_norm_within("step", parameters, expected, case)


@pytest.mark.parametrize("output", ["linear", "softmax", "gelu", "tanh"])
def test_backward_is_a_central_difference(output):
    """Of the sum of dA * A, with respect to the parameters and to X."""
    case = NetworkCase((3, 5, 4), ("gelu",), "mse", output, 3)
    parameters, (X, _) = (
        network_checks.parameters_of(case, np.float64),
        network_checks.examples(case, np.float64),
    )
    (dA,) = harness.normal(np.float64, (4, 3))
    net, A = network_checks.network(reference, case, parameters), np.empty((4, 3))
    gradients, dX, h = np.empty_like(parameters), np.empty_like(X), 1e-5
    net.backward(X, dA, gradients, dX)
    for array, derivatives in ((parameters, gradients), (X, dX)):
        differences, flat = np.empty(array.size), array.reshape(-1)
        for i, value in enumerate(flat.tolist()):
            sums = []
            for flat[i] in (value + h, value - h):
                net.forward(X, A)
                sums.append(np.sum(dA * A))
            flat[i], differences[i] = value, (sums[0] - sums[1]) / (2 * h)
        harness.assert_norm_within("central difference", derivatives.ravel(), differences, output)
