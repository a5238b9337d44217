"""optimizer="lbfgs": SciPy's loop, against answers that are known."""

import builtins

import numpy as np
import pytest
from support import harness

import fastnn
from fastnn import datasets
from fastnn.optimizers import LBFGS


def line(dtype="float64", m=40):
    """A regression whose least squares are known, by the normal equations."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(3, m)).astype(dtype), rng.normal(size=(2, m)).astype(dtype)
    return fastnn.MLP([3, 2], output="linear", dtype=dtype, seed=1), X, Y


def least_squares(X, Y, l2=0.0, weights=None):
    """The minimum of sum(w |a - y|^2) / (2 sum(w)) + l2 / 2 |W|^2, the bias not penalised."""
    w = np.ones(X.shape[1]) if weights is None else np.asarray(weights, float)
    ones = np.vstack([X, np.ones(X.shape[1])]).astype(float)
    penalty = np.diag([l2] * len(X) + [0.0])
    return np.linalg.solve((ones * w) @ ones.T / w.sum() + penalty, (ones * w) @ Y.T / w.sum()).T


@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_finds_the_least_squares(backend, dtype, l2, weighted):
    net, X, Y = line(dtype)
    weights = np.arange(40.0) if weighted else None
    optimizer = LBFGS(tolerance=1e-9, cost_tolerance=0)
    history = net.fit(X, Y, epochs=200, optimizer=optimizer, l2=l2, sample_weight=weights)
    wanted = least_squares(X, Y, l2, weights)
    W, b = net.parameters["W1"], net.parameters["b1"]
    tolerance = 1e-6 if dtype == np.float64 else 1e-3
    np.testing.assert_allclose(np.hstack([W, b]), wanted, atol=tolerance)
    assert history.stopped_early and len(history.cost) < 200, "it arrived"
    J = net.cost(X, Y, weights) + l2 / 2 * float((W.astype(float) ** 2).sum())
    assert history.cost[-1] == pytest.approx(J, rel=1e-5)
    assert (np.diff(history.cost) <= 0).all()
    assert optimizer.steps == len(history.cost)


def test_learns_better_than_descent(backend):
    """And by its name; the flower, which plain descent needs thousands of epochs for."""
    X, Y = datasets.planar_flower(200)
    net = fastnn.MLP([2, 8, 1], seed=1)
    history = net.fit(X, Y, epochs=100, optimizer="lbfgs")
    assert history.cost[-1] < 0.3 and net.score(X, Y) > 0.87
    assert history.learning_rate is None and history.seconds.shape == history.cost.shape


def test_epochs_are_iterations(backend):
    """No more of them than asked for; callbacks, progress and validation see each."""
    seen, reported = [], []
    net, X, Y = line()
    history = net.fit(
        X, Y, epochs=3, optimizer="lbfgs", callbacks=lambda e, h: seen.append((e, len(h.cost))),
        progress=lambda e, cost: reported.append((e, cost)), validation_data=(X, Y), metrics="r2",
    )  # fmt: skip
    assert seen == [(1, 1), (2, 2), (3, 3)] and not history.stopped_early
    assert reported == list(enumerate(history.cost.tolist(), 1))
    harness.assert_norm_within("step", history.validation_cost, history.cost, "the same examples")
    assert history.best_epoch == 3 and history.metrics["r2"].shape == (3,)
    assert net.cost(X, Y) == pytest.approx(history.cost[-1], rel=1e-12)


def test_a_callback_stops_it(backend):
    net, X, Y = line()
    twin, _, _ = line()
    history = net.fit(X, Y, epochs=50, optimizer="lbfgs", callbacks=lambda e, h: e == 2)
    twin.fit(X, Y, epochs=2, optimizer="lbfgs")
    assert len(history.cost) == 2 and history.stopped_early
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()


def test_patience_restores_the_best(backend):
    rng = np.random.default_rng(4)
    X, x = rng.normal(size=(5, 20)), rng.normal(size=(5, 40))
    Y, y = rng.normal(size=(1, 20)), rng.normal(size=(1, 40))
    net = fastnn.MLP([5, 30, 1], output="linear", dtype="float64", seed=2)
    history = net.fit(X, Y, epochs=200, optimizer="lbfgs", validation_data=(x, y), patience=5)
    assert history.stopped_early and len(history.cost) == history.best_epoch + 5
    assert net.cost(x, y) == pytest.approx(history.validation_cost.min(), rel=1e-12)


def test_where_there_is_nothing_to_gain(backend):
    """At the minimum already: one epoch that leaves the parameters as they are."""
    net = fastnn.MLP([1, 1], output="linear", init="zeros", dtype="float64")
    history = net.fit([[1.0, -1.0]], [[0.0, 0.0]], epochs=9, optimizer="lbfgs")
    assert history.cost.tolist() == [0.0] and history.stopped_early
    assert not net.parameter_vector.any()


def test_a_loss_of_ones_own(backend):
    def squared(A, Y):
        return float(np.square(A - Y).sum()) / (2 * A.shape[1]), (A - Y) / A.shape[1]

    net, X, Y = line()
    own = fastnn.MLP([3, 2], output="linear", dtype="float64", seed=1, loss=squared)
    for n in (net, own):
        n.fit(X, Y, epochs=100, optimizer=LBFGS(tolerance=1e-10, cost_tolerance=0), l2=0.1)
    np.testing.assert_allclose(own.parameter_vector, net.parameter_vector, atol=1e-8)


# --- what ends it early -------------------------------------------------------------------


@pytest.mark.parametrize("place", ["callback", "metric"])
def test_ctrl_c_keeps_whole_iterations(backend, place):
    calls = []

    def raising(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return 0.0

    X, Y = datasets.planar_flower(50)
    net, twin = (fastnn.MLP([2, 4, 1], seed=1) for _ in range(2))
    optimizer = LBFGS()
    options = {"callbacks": raising} if place == "callback" else {"metrics": raising}
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=50, optimizer=optimizer, **options)
    whole = 3 if place == "callback" else 2
    twin.fit(X, Y, epochs=whole, optimizer="lbfgs")
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()
    assert optimizer.state == {"steps": whole}


@pytest.mark.parametrize("error", [RuntimeError, StopAsyncIteration, SystemExit])
def test_an_error_leaves_all_as_it_was(backend, error):
    def raising(epoch, history):
        if epoch == 3:
            raise error

    net, X, Y = line()
    optimizer = LBFGS()
    before = net.parameter_vector.tobytes(), net.generator.bit_generator.state
    with pytest.raises(error):
        net.fit(X, Y, epochs=50, optimizer=optimizer, callbacks=raising, validation_fraction=0.3)
    assert (net.parameter_vector.tobytes(), net.generator.bit_generator.state) == before
    assert optimizer.state == {"steps": 0}


def test_what_is_not_finite_is_said(backend):
    net = fastnn.MLP([1, 1], output="linear", dtype="float32")
    before = net.parameter_vector.tobytes()
    with pytest.raises(ValueError, match="non-finite cost.*look at X and Y.*1e.30.*as they were"):
        net.fit([[1e30, 0.0]], [[1e30, 0.0]], optimizer="lbfgs", epochs=5)
    assert net.parameter_vector.tobytes() == before


def test_without_scipy(monkeypatch):
    imported = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.startswith("scipy"):
            raise ImportError(f"No module named {name!r}")
        return imported(name, *arguments, **options)

    net, X, Y = line()
    monkeypatch.setattr(builtins, "__import__", refuse)
    words = r"optimizer 'lbfgs' needs SciPy.*pip install .fastnn-kernels\[scipy\]"
    with pytest.raises(ImportError, match=words):
        net.fit(X, Y, optimizer="lbfgs")
