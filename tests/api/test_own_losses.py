"""Losses of one's own: functions (A, Y) -> (J, dA), which stand wherever a name does."""

import copy
import pickle

import numpy as np
import pytest
from support import harness

import fastnn
from fastnn import datasets


def squared(A, Y):
    """The loss "mse", as a user writes it."""
    R = A - Y
    return float(np.sum(R * R)) / (2 * A.shape[1]), R / A.shape[1]


def logistic(A, Y):
    """The loss "binary_cross_entropy"."""
    J = -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / A.shape[1]
    return J, (A - Y) / (A * (1 - A)) / A.shape[1]


PAIRS = {"mse": ("linear", squared), "binary_cross_entropy": ("sigmoid", logistic)}


def twins(name, dtype="float64", **options):
    """The same network with a loss of the table and with a function; examples for both."""
    output, function = PAIRS[name]
    X, Y = datasets.planar_flower(60)
    by_name, by_function = (
        fastnn.MLP([2, 6, 1], output=output, loss=loss, seed=1, dtype=dtype, **options)
        for loss in (name, function)
    )
    return by_name, by_function, X.astype(dtype), Y.astype(dtype)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("options", [
    {}, {"batch_size": 16}, {"batch_size": 16, "shuffle": False},
    {"batch_size": 25, "l2": 0.1, "clip_norm": 0.05, "schedule": "cosine"},
], ids=str)  # fmt: skip
def test_fit_is_that_of_the_table(backend, dtype, name, optimizer, options):
    """The same costs, parameters and state; with the same batches."""
    net, own, X, Y = twins(name, dtype)
    used, other = fastnn.optimizers.resolve(optimizer), fastnn.optimizers.resolve(optimizer)
    history = net.fit(X, Y, epochs=4, optimizer=used, **options)
    again = own.fit(X, Y, epochs=4, optimizer=other, **options)
    harness.assert_norm_within(
        "trace", again.cost.astype(dtype), history.cost.astype(dtype), "costs"
    )
    harness.assert_norm_within("trace", own.parameter_vector, net.parameter_vector, "end")
    for slot, vector in used.state.items():
        if slot != "steps":
            harness.assert_norm_within("trace", other.state[slot], vector, slot)
    assert used.steps == other.steps


@pytest.mark.parametrize("options", [{}, {"batch_size": 16}])
def test_the_same_masks_of_dropout(backend, dtype, options):
    net, own, X, Y = twins("mse", dtype, dropout=0.4)
    history = net.fit(X, Y, epochs=5, optimizer="adam", **options)
    again = own.fit(X, Y, epochs=5, optimizer="adam", **options)
    harness.assert_norm_within(
        "trace", again.cost.astype(dtype), history.cost.astype(dtype), "costs"
    )
    harness.assert_norm_within("trace", own.parameter_vector, net.parameter_vector, "end")
    assert net.generator.bit_generator.state == own.generator.bit_generator.state


def test_step(backend, dtype):
    net, own, X, Y = twins("binary_cross_entropy", dtype, dropout=0.2)
    optimizers = fastnn.optimizers.Adam(), fastnn.optimizers.Adam()
    costs = [
        [n.step(X, Y, 0.01, optimizer=optimizer) for _ in range(4)]
        for n, optimizer in zip((net, own), optimizers, strict=True)
    ]
    costs = np.array(costs, dtype)  # which have the accuracy of the network
    harness.assert_norm_within("trace", costs[1], costs[0], "costs")
    harness.assert_norm_within("trace", own.parameter_vector, net.parameter_vector, "end")


def test_all_else_takes_it_too(backend):
    net, own, X, Y = twins("mse")
    assert own.loss is squared and own.loss_row.name == "squared"
    assert own.cost(X, Y) == pytest.approx(net.cost(X, Y), rel=1e-12)
    J, gradients = own.gradients(X, Y)
    harness.assert_norm_within("step", gradients.vector, net.gradients(X, Y)[1].vector, "gradients")
    assert own.check_gradients(X, Y) < 1e-7
    history = own.fit(X, Y, epochs=3, validation_data=(X, Y), metrics="r2", patience=9)
    assert history.validation_cost[-1] == pytest.approx(squared(own.forward(X), Y)[0], rel=1e-12)


def test_several_outputs_and_any_targets(backend):
    """What the function gets are A and Y, (n[L], m), in the dtype of the network."""
    seen = []

    def loss(A, Y):
        seen.append((A.shape, Y.shape, A.dtype, Y.dtype))
        return float((A * Y).sum()), Y

    net = fastnn.MLP([2, 3, 2], output="softmax", loss=loss)
    X, Y = np.zeros((2, 5)), -7 * np.ones((2, 5))
    net.fit(X, Y, epochs=2, batch_size=2)
    sizes = [shape[1] for shape, *_ in seen]
    assert sizes == [2, 2, 1] * 2
    f4 = np.dtype("f4")
    assert all(s == ((2, m), (2, m), f4, f4) for s, m in zip(seen, sizes, strict=True))


def test_a_loss_that_the_table_has_not(backend):
    """The pinball loss of quantiles: 9 of 10 targets are below what it learns."""

    def pinball(A, Y):
        R = Y - A
        return np.maximum(0.9 * R, -0.1 * R).mean(), np.where(R > 0, -0.9, 0.1) / A.size

    rng = np.random.default_rng(0)
    X, Y = np.zeros((1, 500)), rng.normal(size=(1, 500))
    net = fastnn.MLP([1, 1], output="linear", loss=pinball, dtype="float64")
    net.fit(X, Y, epochs=300, optimizer="adam", learning_rate=0.05, batch_size=100)
    assert abs((Y < net.forward(X)).mean() - 0.9) < 0.02


# --- what ends it early -------------------------------------------------------------------


def everything(net, optimizer):
    state = {name: np.asarray(value).tobytes() for name, value in optimizer.state.items()}
    return net.parameter_vector.tobytes(), state, net.generator.bit_generator.state


class Failing:
    """`squared`, which raises in one of its calls."""

    def __init__(self, error, at):
        self.error, self.at, self.calls = error, at, 0

    def __call__(self, A, Y):
        self.calls += 1
        if self.calls == self.at:
            raise self.error
        return squared(A, Y)


def started(loss):
    X, Y = datasets.planar_flower(60)
    net = fastnn.MLP([2, 6, 1], output="linear", loss=loss, seed=1, dropout=0.2)
    return net, X, Y, fastnn.optimizers.Adam()


@pytest.mark.parametrize("call_seconds", [1e-9, 10.0])
def test_ctrl_c_keeps_whole_epochs(backend, call_seconds, monkeypatch):
    """In the second batch of epoch 4."""
    from fastnn import loop

    monkeypatch.setattr(loop, "CALL_SECONDS", call_seconds)
    net, X, Y, optimizer = started(Failing(KeyboardInterrupt, 14))
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=50, batch_size=16, optimizer=optimizer)
    twin, X, Y, other = started(squared)
    twin.fit(X, Y, epochs=3, batch_size=16, optimizer=other)
    assert everything(net, optimizer) == everything(twin, other)


def test_its_own_error_leaves_all_as_it_was(backend):
    net, X, Y, optimizer = started(Failing(RuntimeError, 14))
    before = copy.deepcopy(everything(net, optimizer))
    with pytest.raises(RuntimeError):
        net.fit(X, Y, epochs=50, batch_size=16, optimizer=optimizer)
    assert everything(net, optimizer) == before


def test_a_cost_that_is_not_finite_keeps_the_last_finite_epoch(backend):
    def loss(A, Y):
        calls.append(1)
        J, dA = squared(A, Y)
        return (np.nan if len(calls) == 22 else J), dA

    calls = []
    net, X, Y, optimizer = started(loss)
    with pytest.raises(ValueError, match="non-finite.*by epoch 6 .*those of epoch 5") as caught:
        net.fit(X, Y, epochs=50, batch_size=16, optimizer=optimizer, metrics=lambda Y, A: 0.0)
    assert "look at X and Y" in str(caught.value)
    twin, X, Y, other = started(squared)
    twin.fit(X, Y, epochs=5, batch_size=16, optimizer=other)
    assert everything(net, optimizer) == everything(twin, other)


# --- pickles ------------------------------------------------------------------------------


def test_pickles(backend):
    """An importable function travels; what pickle says of another is pickle's own."""
    _, own, X, Y = twins("mse")
    again = pickle.loads(pickle.dumps(own))
    assert again.loss is squared and again.cost(X, Y) == own.cost(X, Y)
    net = fastnn.MLP([2, 1], loss=lambda A, Y: squared(A, Y))
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(net)
