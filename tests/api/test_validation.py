"""Validation: what is held out, what is looked at, when to stop, and what to go back to."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import harness

import fastnn
from fastnn import datasets, metrics, validation


def flower(dtype="float64", m=100, **options):
    X, Y = datasets.planar_flower(m)
    net = fastnn.MLP([2, 8, 1], seed=1, dtype=dtype, **options)
    return net, X.astype(dtype), Y.astype(dtype)


def everything(net, optimizer):
    state = {name: np.asarray(value).tobytes() for name, value in optimizer.state.items()}
    return net.parameter_vector.tobytes(), state, net.generator.bit_generator.state


# --- the cost on other examples -----------------------------------------------------------


def test_validation_cost_is_the_plain_cost_after_each_epoch(backend, dtype):
    """Off dropout, without penalty and weights, whatever the training has."""
    net, X, Y = flower(dtype, dropout=0.3)
    twin, _, _ = flower(dtype, dropout=0.3)
    other = datasets.planar_flower(60, seed=5)
    weights = np.linspace(0.1, 2.0, 100)
    options = {"l2": 0.1, "sample_weight": weights, "batch_size": 32}
    optimizer = fastnn.optimizers.Adam()
    history = net.fit(
        X, Y, epochs=4, optimizer=fastnn.optimizers.Adam(), validation_data=other, seed=3, **options
    )
    assert history.validation_cost.shape == (4,) and history.validation_cost.dtype == np.float64
    # The order and the masks of a training of 4 epochs: one that stops after each of them.
    for epoch in range(4):
        twin, _, _ = flower(dtype, dropout=0.3)
        optimizer = fastnn.optimizers.Adam()
        twin.fit(X, Y, epochs=epoch + 1, optimizer=optimizer, seed=3, **options)
        wanted = twin.cost(*other)
        harness.assert_number_within(
            "step",
            float(history.validation_cost[epoch]),
            wanted,
            np.dtype(dtype),
            "validation cost",
        )
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()


def test_looking_changes_nothing(backend, dtype):
    net, X, Y = flower(dtype, dropout=0.2)
    twin, _, _ = flower(dtype, dropout=0.2)
    plain = net.fit(X, Y, epochs=7, batch_size=16)
    watched = twin.fit(
        X, Y, epochs=7, batch_size=16, validation_data=(X, Y), metrics=["accuracy"],
        callbacks=[lambda epoch, history: None],
    )  # fmt: skip
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()
    assert plain.cost.tobytes() == watched.cost.tobytes()
    assert net.generator.bit_generator.state == twin.generator.bit_generator.state
    assert plain.validation_cost is None and plain.best_epoch is None and plain.metrics == {}
    assert plain.stopped_early is False and watched.stopped_early is False


def test_labels_and_vectors_are_understood(backend):
    X, labels = np.random.default_rng(0).normal(size=(3, 30)), np.arange(30) % 3
    net = fastnn.MLP([3, 3], output="softmax", dtype="float64")
    history = net.fit(X, labels, epochs=2, validation_data=(X, labels))
    assert history.validation_cost[-1] == pytest.approx(net.cost(X, labels), rel=1e-12)


def test_seconds(backend):
    net, X, Y = flower()
    for options in ({}, {"validation_data": (X, Y)}):
        seconds = net.fit(X, Y, epochs=5, **options).seconds
        assert seconds.shape == (5,) and seconds.dtype == np.float64 and (seconds > 0).all()


# --- what is held out ---------------------------------------------------------------------


@given(
    st.integers(2, 300), st.floats(0.001, 0.999), st.integers(0, 5),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_what_is_held_out(m, fraction, classes, random):
    labels = np.array([random.randrange(classes) for _ in range(m)]) if classes else None
    training, held_out = validation.hold_out(fraction, labels, m, np.random.default_rng(1))
    assert sorted([*training, *held_out]) == list(range(m)), "each example once"
    assert (np.diff(training) > 0).all() and (np.diff(held_out) > 0).all()
    count = min(max(round(fraction * m), 1), m - 1)
    assert len(held_out) == count
    if labels is None:
        return
    _, sizes = np.unique(labels, return_counts=True)
    room = (sizes - 1).sum()  # as many can go and leave one of each class
    for c, size in zip(*np.unique(labels, return_counts=True), strict=True):
        taken = int((labels[held_out] == c).sum())
        if count <= room:
            assert taken < size, "each class has an example to train on"
            if (sizes * (1 - count / m) >= 1).all():
                assert abs(taken - count * size / m) < 1, "and gives its share"


def test_the_held_out_examples_do_not_train(backend):
    """It is the training on the others, and their cost; the network's generator draws them."""
    net, X, Y = flower()
    twin, _, _ = flower()
    history = net.fit(X, Y, epochs=5, validation_fraction=0.25, shuffle=False, batch_size=20)
    generator = np.random.Generator(type(twin.generator.bit_generator)())
    generator.bit_generator.state = twin.generator.bit_generator.state
    training, held_out = validation.hold_out(0.25, Y[0].astype(int), 100, generator)
    assert len(held_out) == 25 and abs(Y[0, held_out].sum() - 12.5) <= 0.5
    again = twin.fit(
        X[:, training], Y[:, training], epochs=5, shuffle=False, batch_size=20,
        validation_data=(X[:, held_out], Y[:, held_out]),
    )  # fmt: skip
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()
    assert history.validation_cost.tobytes() == again.validation_cost.tobytes()
    assert net.generator.bit_generator.state == generator.bit_generator.state


def test_same_seed_same_split():
    ends = []
    for seed in (1, 1, 2):
        net, X, Y = flower()
        net.fit(X, Y, epochs=2, validation_fraction=0.3, seed=seed)
        ends.append(net.parameter_vector.tobytes())
    assert ends[0] == ends[1] != ends[2]


def test_weights_go_with_their_examples(backend):
    """What has no weight is as if absent, held out or not."""
    net, X, Y = flower()
    twin, _, _ = flower()
    training, held_out = validation.hold_out(0.5, Y[0].astype(int), 100, np.random.default_rng(3))
    weights = np.zeros(100)
    weights[training] = np.arange(1.0, 51.0)
    net.fit(X, Y, epochs=3, validation_fraction=0.5, sample_weight=weights, seed=3)
    twin.fit(X[:, training], Y[:, training], epochs=3, sample_weight=np.arange(1.0, 51.0))
    harness.assert_norm_within("trace", net.parameter_vector, twin.parameter_vector, "end")


# --- metrics ------------------------------------------------------------------------------


def test_metrics_of_classes(backend, dtype):
    """Against definitions written out here; on validation data and on training data."""
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(4, 50)), rng.integers(0, 3, 50)
    net = fastnn.MLP([4, 6, 3], output="softmax", dtype=dtype)
    data = (X[:, :20], labels[:20])
    for options, (x, y) in (({"validation_data": data}, data), ({}, (X, labels))):
        history = net.fit(X, labels, epochs=3, metrics=("accuracy", "log_loss"), **options)
        A = net.forward(x)
        assert list(history.metrics) == ["accuracy", "log_loss"]
        for values in history.metrics.values():
            assert values.shape == (3,) and values.dtype == np.float64
        assert history.metrics["accuracy"][-1] == np.mean(A.argmax(axis=0) == y)
        log_loss = -np.log(A.astype(float)[y, np.arange(len(y))]).mean()
        assert history.metrics["log_loss"][-1] == pytest.approx(log_loss, rel=1e-6)


def test_metrics_of_values(backend, dtype):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(4, 50)).astype(dtype), rng.normal(size=(2, 50)).astype(dtype)
    net = fastnn.MLP([4, 6, 2], output="linear", dtype=dtype)
    names = ("r2", "mean_squared_error", "root_mean_squared_error", "mean_absolute_error")

    def worst(Y, A):
        return np.abs(Y - A).max()

    history = net.fit(X, Y, epochs=3, metrics=[*names, worst])
    A, y = net.forward(X).astype(float), Y.astype(float)
    mse = ((A - y) ** 2).mean()
    r2 = (1 - ((A - y) ** 2).sum(axis=1) / ((y.T - y.mean(axis=1)) ** 2).sum(axis=0)).mean()
    wanted = [r2, mse, mse**0.5, np.abs(A - y).mean(), np.abs(A - y).max()]
    found = [values[-1] for values in history.metrics.values()]
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if dtype == np.float32 else 1e-12)
    assert list(history.metrics) == [*names, "worst"]


def test_log_loss_of_several_questions(backend):
    net = fastnn.MLP([2, 2], init="zeros", dtype="float64")
    X, Y = np.zeros((2, 4)), np.array([[1, 0, 1, 0], [0, 0, 1, 1.0]])
    history = net.fit(X, Y, epochs=1, metrics="log_loss", learning_rate=1e-300)
    assert history.metrics["log_loss"][0] == pytest.approx(np.log(2), rel=1e-12)


@pytest.mark.parametrize("name", metrics.METRICS)
def test_every_metric_is_perfect_on_the_targets(name):
    row = metrics.METRICS[name]
    for answer in row.answers or ("values",):
        Y = np.eye(3)[:, [0, 1, 2, 1]]
        measure = metrics.resolve([name, *row.aliases], answer)
        for function in measure.values():
            assert function(Y, Y.copy()) == pytest.approx(float(name in ("accuracy", "r2")))


# --- when to stop -------------------------------------------------------------------------


def overfit(**options):
    """A network that soon learns its few examples by heart, and others that it does worse on."""
    rng = np.random.default_rng(4)
    X, other = rng.normal(size=(5, 20)), rng.normal(size=(5, 40))
    Y, y = (np.sign(x[:1] + rng.normal(size=(1, x.shape[1]))) for x in (X, other))
    net = fastnn.MLP([5, 30, 1], output="linear", dtype="float64", seed=2, **options)
    return net, X, Y, (other, y)


@pytest.mark.parametrize("patience", [1, 3, 10])
@pytest.mark.parametrize("restore_best", [True, False])
def test_patience(backend, patience, restore_best):
    net, X, Y, data = overfit()
    optimizer = fastnn.optimizers.Adam()
    history = net.fit(
        X, Y, epochs=500, optimizer=optimizer, learning_rate=0.01, batch_size=5, seed=1,
        validation_data=data, patience=patience, restore_best=restore_best,
    )  # fmt: skip
    costs, best = history.validation_cost, history.best_epoch
    assert history.stopped_early is True
    assert best == costs.argmin() + 1 and len(costs) == best + patience
    assert len(history.cost) == len(history.learning_rate) == len(history.seconds) == len(costs)
    for epoch in range(1, len(costs)):  # and no earlier
        assert epoch - (costs[:epoch].argmin() + 1) < patience
    twin, X, Y, data = overfit()
    other = fastnn.optimizers.Adam()
    whole = best if restore_best else len(costs)
    twin.fit(X, Y, epochs=whole, optimizer=other, learning_rate=0.01, batch_size=5, seed=1)
    assert everything(net, optimizer) == everything(twin, other)
    assert net.cost(*data) == pytest.approx(costs[whole - 1], rel=1e-12)


def test_the_best_epoch_is_restored_at_the_end_too(backend):
    """The epochs run out before the patience does."""
    net, X, Y, data = overfit()
    options = {"epochs": 120, "optimizer": "adam", "learning_rate": 0.01, "validation_data": data}
    history = net.fit(X, Y, patience=1000, **options)
    assert len(history.cost) == 120 and history.best_epoch < 120 and not history.stopped_early
    assert net.cost(*data) == pytest.approx(history.validation_cost.min(), rel=1e-12)
    net, X, Y, data = overfit()
    history = net.fit(X, Y, **options)  # without patience nothing is put back
    assert net.cost(*data) == pytest.approx(history.validation_cost[-1], rel=1e-12)


def test_digits_stop_early(backend):
    """The whole of it, on real data."""
    X, Y = datasets.load_digits()
    net = fastnn.MLP([64, 32, 10], hidden="relu", output="softmax")
    history = net.fit(
        X, Y, epochs=60, optimizer="adam", learning_rate=3e-3, batch_size=32, metrics="accuracy",
        validation_fraction=0.2, patience=5, schedule=fastnn.schedules.Cosine(warmup=50),
    )  # fmt: skip
    assert history.metrics["accuracy"][history.best_epoch - 1] > 0.95


# --- what ends it early -------------------------------------------------------------------


def test_ctrl_c_leaves_whole_epochs(backend):
    """From a metric in the middle of epoch 4: three are whole, the best is not restored."""
    calls = []

    def metric(Y, A):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return 0.0

    net, X, Y, data = overfit(dropout=0.2)
    optimizer = fastnn.optimizers.Adam()
    options = {"batch_size": 5, "validation_data": data}
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=50, optimizer=optimizer, metrics=metric, patience=9, **options)
    twin, X, Y, data = overfit(dropout=0.2)
    other = fastnn.optimizers.Adam()
    twin.fit(X, Y, epochs=3, optimizer=other, **options)
    assert everything(net, optimizer) == everything(twin, other)


def test_ctrl_c_at_the_very_end_leaves_the_best(backend, monkeypatch):
    """The best epoch is put back as a whole, even where Ctrl-C comes in the middle of it."""
    from fastnn.loop import Snapshot

    restore, calls = Snapshot.restore, []

    def interrupted(snapshot):
        calls.append(1)
        if len(calls) == 1:
            snapshot.live[:] = 0  # as far as it has come
            raise KeyboardInterrupt
        restore(snapshot)

    net, X, Y, data = overfit()
    optimizer = fastnn.optimizers.Adam()
    options = {"learning_rate": 0.01, "batch_size": 5, "seed": 1}
    monkeypatch.setattr(Snapshot, "restore", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=500, optimizer=optimizer, validation_data=data, patience=3, **options)
    monkeypatch.setattr(Snapshot, "restore", restore)
    assert len(calls) == 2
    twin, X, Y, data = overfit()
    other = fastnn.optimizers.Adam()
    twin.fit(X, Y, epochs=optimizer.steps // 4, optimizer=other, **options)
    assert everything(net, optimizer) == everything(twin, other)


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("options", [{}, {"validation_fraction": 0.3}], ids=str)
def test_an_error_leaves_all_as_it_was(backend, options, used):
    calls = []

    def metric(Y, A):
        calls.append(1)
        return 0.0 if len(calls) < 4 else 1 / 0

    net, X, Y, data = overfit(dropout=0.2)
    optimizer = fastnn.optimizers.Adam()
    if used:
        net.fit(X, Y, epochs=2, optimizer=optimizer)
    before = copy.deepcopy(everything(net, optimizer))
    with pytest.raises(ZeroDivisionError):
        net.fit(X, Y, epochs=9, optimizer=optimizer, metrics=metric, batch_size=7, **options)
    assert len(calls) == 4
    assert everything(net, optimizer) == before


def test_targets_are_lent_and_not_to_be_written(backend):
    def metric(Y, A):
        Y[:] = 0
        return 0.0

    net, X, Y = flower()
    before = Y.copy()
    with pytest.raises(ValueError, match="read-only"):
        net.fit(X, Y, epochs=2, metrics=metric)
    assert Y.tobytes() == before.tobytes()


# --- the history --------------------------------------------------------------------------


def test_the_history_shows_itself(backend):
    net, X, Y, data = overfit()
    history = net.fit(X, Y, epochs=30, optimizer="adam", validation_data=data, patience=2)
    text = repr(history)
    assert f"in epoch {history.best_epoch}" in text
    assert ("stopped early" in text) == history.stopped_early
    assert repr(net.fit(X, Y, epochs=3)).startswith("<History of 3 epochs, cost ")
