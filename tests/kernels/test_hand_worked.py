"""Two steps of each rule on paper: what a reader can redo by hand, on every backend.

The network has one weight w and one bias b, a = w x + b, and half the squared error: with
r = a - y, J = r^2 / 2, dw = r x and db = r.  All begins at w = b = 1.  The targets are chosen so
that r, and with it all that follows, is a short number.
"""

import numpy as np
import pytest
from support import harness, network_checks, truth
from support.tables import NetworkCase

from fastnn.optimizers import Adam, AdamW, GradientDescent, Momentum, RMSprop

ONE = NetworkCase((1, 1), (), "mse", "linear", 1)


@pytest.fixture
def assert_steps(kernels, dtype):
    """A function that takes steps of an optimizer and holds each against the paper.

    ``assert_steps(optimizer, rate, steps)`` with x, y and what was worked out of each step: J
    before it, w and b after it, and the optimizer's vectors, each as (its w, its b).
    """

    def run(optimizer, rate, steps, weights=None, **penalties):
        parameters = np.ones(2, dtype)
        net = network_checks.network(kernels, ONE, parameters)
        state = np.zeros((len(optimizer.slots), 2), dtype)
        spec = optimizer.specification(**penalties)
        numbers = np.arange(1.0, len(steps) + 1)
        scalars = optimizer.scalars(np.full(len(steps), rate), numbers)
        for i, (x, y, J, w_b, *vectors) in enumerate(steps):
            X, Y, costs = np.array([x], dtype, ndmin=2), np.array([y], dtype, ndmin=2), np.empty(1)
            shares = None if weights is None else np.array([weights], dtype)
            net.train(
                X, Y, shares, None, X.size, spec, scalars[i : i + 1], state, 0, i, costs
            )  # fmt: skip
            harness.assert_on_paper(costs, [J], dtype)
            harness.assert_on_paper(parameters, w_b)
            if vectors:
                harness.assert_on_paper(state, vectors)

    return run


# --- optimizers ---------------------------------------------------------------------------


def test_momentum(assert_steps):
    """momentum 0.5, learning rate 0.1; x = 2, y = 1.

    1. r = 2 + 1 - 1 = 2, J = 2; dw, db = 4, 2.  v = 4, 2.
       w = 1 - 0.4 = 0.6, b = 1 - 0.2 = 0.8.
    2. r = 1.2 + 0.8 - 1 = 1, J = 0.5; dw, db = 2, 1.  v = 0.5 * 4 + 2, 0.5 * 2 + 1 = 4, 2.
       w = 0.6 - 0.4 = 0.2, b = 0.8 - 0.2 = 0.6.
    """
    assert_steps(Momentum(0.5), 0.1, [
        (2, 1, 2, (0.6, 0.8), (4, 2)),
        (2, 1, 0.5, (0.2, 0.6), (4, 2)),
    ])  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [(2, 1, 2.01, (0.6, 0.8), (4, 2)), (2, 1, 2, (0.61, 0.8), (4, 2)),
              (2, 1, 2, (0.6, 0.8), (4, 2.1))], ids=["J", "w", "v"],
)  # fmt: skip
def test_a_wrong_number_is_found(assert_steps, wrong):
    """In the cost, in the parameters, and in what the optimizer keeps."""
    with pytest.raises(AssertionError):
        assert_steps(Momentum(0.5), 0.1, [wrong])


def test_nesterov(assert_steps):
    """The same, and the step is dw + 0.5 v.

    1. r = 2, J = 2; dw, db = 4, 2; v = 4, 2; the step is 4 + 2, 2 + 1 = 6, 3.
       w = 1 - 0.6 = 0.4, b = 1 - 0.3 = 0.7.
    2. r = 0.8 + 0.7 - 1 = 0.5, J = 0.125; dw, db = 1, 0.5.
       v = 0.5 * 4 + 1, 0.5 * 2 + 0.5 = 3, 1.5; the step is 1 + 1.5, 0.5 + 0.75 = 2.5, 1.25.
       w = 0.4 - 0.25 = 0.15, b = 0.7 - 0.125 = 0.575.
    """
    assert_steps(Momentum(0.5, nesterov=True), 0.1, [
        (2, 1, 2, (0.4, 0.7), (4, 2)),
        (2, 1, 0.125, (0.15, 0.575), (3, 1.5)),
    ])  # fmt: skip


def test_rmsprop(assert_steps):
    """rho 0.75, learning rate 0.5, and an epsilon of 3, outside of the root.

    1. x = 2, y = 1: r = 2, J = 2; dw, db = 4, 2.  v = 0.25 * 16, 0.25 * 4 = 4, 1.
       The step is 4 / (2 + 3), 2 / (1 + 3) = 0.8, 0.5.
       w = 1 - 0.4 = 0.6, b = 1 - 0.25 = 0.75.
    2. x = 2, y = 0.95: r = 1.2 + 0.75 - 0.95 = 1, J = 0.5; dw, db = 2, 1.
       v = 0.75 * 4 + 0.25 * 4, 0.75 * 1 + 0.25 * 1 = 4, 1.
       The step is 2 / (2 + 3), 1 / (1 + 3) = 0.4, 0.25.
       w = 0.6 - 0.2 = 0.4, b = 0.75 - 0.125 = 0.625.
    """
    assert_steps(RMSprop(rho=0.75, epsilon=3.0), 0.5, [
        (2, 1, 2, (0.6, 0.75), (4, 1)),
        (2, 0.95, 0.5, (0.4, 0.625), (4, 1)),
    ])  # fmt: skip


def test_adam(assert_steps):
    """beta1 0.6, beta2 0.75, learning rate 0.5, and an epsilon of 6, outside of the root.

    1. x = 2, y = 1: r = 2, J = 2; dw, db = 4, 2.
       m = 0.4 * 4, 0.4 * 2 = 1.6, 0.8, corrected by 1 - 0.6 = 0.4: 4, 2.
       v = 0.25 * 16, 0.25 * 4 = 4, 1, corrected by 1 - 0.75 = 0.25: 16, 4, the roots 4, 2.
       The step is 4 / (4 + 6), 2 / (2 + 6) = 0.4, 0.25.
       w = 1 - 0.2 = 0.8, b = 1 - 0.125 = 0.875.
    2. x = 2, y = 4.475: r = 1.6 + 0.875 - 4.475 = -2, J = 2; dw, db = -4, -2.
       m = 0.6 * 1.6 - 1.6, 0.6 * 0.8 - 0.8 = -0.64, -0.32, corrected by 1 - 0.36: -1, -0.5.
       v = 0.75 * 4 + 4, 0.75 * 1 + 1 = 7, 1.75, corrected by 1 - 9/16 = 7/16: 16, 4.
       The step is -1 / (4 + 6), -0.5 / (2 + 6) = -0.1, -0.0625.
       w = 0.8 + 0.05 = 0.85, b = 0.875 + 0.03125 = 0.90625.
    """
    assert_steps(Adam(beta1=0.6, beta2=0.75, epsilon=6.0), 0.5, [
        (2, 1, 2, (0.8, 0.875), (1.6, 0.8), (4, 1)),
        (2, 4.475, 2, (0.85, 0.90625), (-0.64, -0.32), (7, 1.75)),
    ])  # fmt: skip


def test_adamw(assert_steps):
    """The same with weight decay 0.1: first w, and not b, loses 0.5 * 0.1 = 1/20 of itself.

    1. w = 0.95 - 0.2 = 0.75, b = 0.875.
    2. x = 2, y = 4.375: r = 1.5 + 0.875 - 4.375 = -2 as before, and so the means.
       w = 0.75 - 0.0375 + 0.05 = 0.7625, b = 0.90625.
    """
    assert_steps(AdamW(weight_decay=0.1, beta1=0.6, beta2=0.75, epsilon=6.0), 0.5, [
        (2, 1, 2, (0.75, 0.875), (1.6, 0.8), (4, 1)),
        (2, 4.375, 2, (0.7625, 0.90625), (-0.64, -0.32), (7, 1.75)),
    ])  # fmt: skip


# --- penalty and clipping -----------------------------------------------------------------


def test_l2(assert_steps):
    """l2 = 0.5, learning rate 0.1: J grows by w^2 / 4, dw by w / 2; nothing is said of b.

    1. x = 2, y = 1: r = 2, J = 2 + 0.25; dw, db = 4 + 0.5, 2.
       w = 1 - 0.45 = 0.55, b = 1 - 0.2 = 0.8.
    2. x = 2, y = 0.9: r = 1.1 + 0.8 - 0.9 = 1, J = 0.5 + 0.55^2 / 4 = 0.575625;
       dw, db = 2 + 0.275, 1.  w = 0.55 - 0.2275 = 0.3225, b = 0.8 - 0.1 = 0.7.
    """
    assert_steps(GradientDescent(), 0.1, [
        (2, 1, 2.25, (0.55, 0.8)),
        (2, 0.9, 0.575625, (0.3225, 0.7)),
    ], l2=0.5)  # fmt: skip


def test_l2_with_momentum(assert_steps):
    """The penalty's derivative is part of the gradient that the velocity sums: 0.5, 0.1 again.

    1. As before: dw, db = 4.5, 2; v = 4.5, 2; w = 0.55, b = 0.8.
    2. As before: dw, db = 2.275, 1; v = 2.25 + 2.275, 1 + 1 = 4.525, 2.
       w = 0.55 - 0.4525 = 0.0975, b = 0.8 - 0.2 = 0.6.
    """
    assert_steps(Momentum(0.5), 0.1, [
        (2, 1, 2.25, (0.55, 0.8), (4.5, 2)),
        (2, 0.9, 0.575625, (0.0975, 0.6), (4.525, 2)),
    ], l2=0.5)  # fmt: skip


@pytest.mark.parametrize("optimizer", [GradientDescent(), Momentum(0.0)], ids=repr)
def test_clipping(assert_steps, optimizer):
    """clip_norm = 2.5, learning rate 0.1.

    1. x = 0.75, y = -2.25: r = 0.75 + 1 + 2.25 = 4, J = 8; dw, db = 3, 4, of length 5, which is
       halved: 1.5, 2.  w = 1 - 0.15 = 0.85, b = 1 - 0.2 = 0.8.
    2. x = 0.75, y = 0.4375: r = 0.6375 + 0.8 - 0.4375 = 1, J = 0.5; dw, db = 0.75, 1, of length
       1.25, which stays.  w = 0.85 - 0.075 = 0.775, b = 0.8 - 0.1 = 0.7.
    """
    assert_steps(optimizer, 0.1, [
        (0.75, -2.25, 8, (0.85, 0.8)),
        (0.75, 0.4375, 0.5, (0.775, 0.7)),
    ], clip_norm=2.5)  # fmt: skip


@pytest.mark.parametrize("optimizer", [GradientDescent(), Momentum(0.0)], ids=repr)
def test_what_is_clipped_has_the_penalty_in_it(assert_steps, optimizer):
    """l2 = 2, clip_norm = 2.5, learning rate 0.1.

    1. x = 0.25, y = -2.75: r = 0.25 + 1 + 2.75 = 4, J = 8 + 1; dw, db = 1 + 2, 4, of length 5:
       1.5, 2.  w = 0.85, b = 0.8.
    2. x = 0.5, y = 0.225: r = 0.425 + 0.8 - 0.225 = 1, J = 0.5 + 0.85^2 = 1.2225;
       dw, db = 0.5 + 1.7, 1, of length sqrt(4.84 + 1) < 2.5.
       w = 0.85 - 0.22 = 0.63, b = 0.8 - 0.1 = 0.7.
    """
    assert_steps(optimizer, 0.1, [
        (0.25, -2.75, 9, (0.85, 0.8)),
        (0.5, 0.225, 1.2225, (0.63, 0.7)),
    ], l2=2.0, clip_norm=2.5)  # fmt: skip


# --- weights ------------------------------------------------------------------------------

ON_PAPER = ((3.5, (0.8, 0.95)), (3.15875, (0.67375, 0.94)))
X, Y = (2, 1), (1, 6)


@pytest.mark.parametrize(
    "x, y, weights",
    [
        (X, Y, (3, 1)),
        (X, Y, (0.75, 0.25)),
        ((2, 2, 2, 1), (1, 1, 1, 6), None),
        ((2, 2, 1), (1, 1, 6), (2, 1, 1)),
        ((2, 5, 1), (1, -7, 6), (3, 0, 1)),
    ],
    ids=["3 to 1", "3/4 to 1/4", "three copies", "one copy of weight 2", "one of weight 0"],
)
def test_weights(assert_steps, x, y, weights):
    """x = 2, y = 1 of weight 3 and x = 1, y = 6 of weight 1; learning rate 0.1.

    1. r = 2, -4: J = (3 * 2 + 8) / 4 = 3.5; dw = (3 * 4 - 4) / 4 = 2, db = (3 * 2 - 4) / 4 = 0.5.
       w = 1 - 0.2 = 0.8, b = 1 - 0.05 = 0.95.
    2. r = 1.6 + 0.95 - 1, 0.8 + 0.95 - 6 = 1.55, -4.25: J = (3 * 1.20125 + 9.03125) / 4 = 3.15875;
       dw = (3 * 3.1 - 4.25) / 4 = 1.2625, db = (3 * 1.55 - 4.25) / 4 = 0.1.
       w = 0.8 - 0.12625 = 0.67375, b = 0.95 - 0.01 = 0.94.
    """
    assert_steps(GradientDescent(), 0.1, [(x, y, *step) for step in ON_PAPER], weights)


# --- dropout ------------------------------------------------------------------------------

TWO = NetworkCase((1, 2, 1), ("linear",), "mse", "linear", 1)
KEEP, SEED = 0.8, 22
"""With this seed step 0 leaves the second unit out, and step 1 none."""


def test_dropout(kernels, dtype):
    """1-2-1, linear, dropout 0.2: what is kept is scaled by 1 / 0.8 = 1.25.  Learning rate 0.1.

    W1 = 2, 1; b1 = 0, 0; W2 = 1, 3; b2 = 0; x = 1.  Without dropout a = 2 + 3 = 5.

    1. The second unit is left out: A1 = 1.25 * (2, -) = 2.5, 0, and a = 2.5.
       y = 0.5: r = 2, J = 2.  dW2 = 2 A1 = 5, 0; db2 = 2.  dA1 = 2 W2 = 2, 6, and through the
       mask dZ1 = 2.5, 0 = dW1 = db1.
       W1 = 1.75, 1; b1 = -0.25, 0; W2 = 0.5, 3; b2 = -0.2.
    2. Both are kept: Z1 = 1.75 - 0.25, 1 = 1.5, 1; A1 = 1.875, 1.25;
       a = 0.9375 + 3.75 - 0.2 = 4.4875.  y = 2.4875: r = 2, J = 2.  dW2 = 3.75, 2.5; db2 = 2;
       dA1 = 1, 6; dZ1 = 1.25, 7.5 = dW1 = db1.
       W1 = 1.625, 0.25; b1 = -0.375, -0.75; W2 = 0.125, 2.75; b2 = -0.4.
    """
    masks = [truth.mask(SEED, step, 1, KEEP, 2, range(1)).T.tolist() for step in range(2)]
    assert masks == [[[1.25, 0.0]], [[1.25, 1.25]]]
    parameters = np.array([2, 1, 0, 0, 1, 3, 0], dtype)
    net = network_checks.network(kernels, TWO, parameters, KEEP)
    spec, state = GradientDescent().specification(), np.empty((0, 7), dtype)
    x, A = np.ones((1, 1), dtype), np.empty((1, 1), dtype)
    for step, (a, y, expected) in enumerate([
        (2.5, 0.5, [1.75, 1, -0.25, 0, 0.5, 3, -0.2]),
        (4.4875, 2.4875, [1.625, 0.25, -0.375, -0.75, 0.125, 2.75, -0.4]),
    ]):  # fmt: skip
        net.forward(x, A, masks=(SEED, step))
        harness.assert_on_paper(A, [[a]])
        costs = np.empty(1)
        net.train(
            x, np.array([[y]], dtype), None, None, 1, spec, np.full((1, 1), 0.1), state, SEED, step,
            costs,
        )  # fmt: skip
        harness.assert_on_paper(costs, [2], dtype)
        harness.assert_on_paper(parameters, expected)
    parameters[:] = 2, 1, 0, 0, 1, 3, 0
    net.forward(x, A)
    harness.assert_on_paper(A, [[5]])
