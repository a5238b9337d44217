"""Callbacks, and what is shown while a training goes on."""

import builtins
import sys

import numpy as np
import pytest

import fastnn
from fastnn import datasets
from fastnn import progress as room


def flower():
    X, Y = datasets.planar_flower(100)
    return fastnn.MLP([2, 4, 1], seed=1, dtype="float64"), X, Y


# --- callbacks ----------------------------------------------------------------------------


def test_functions_and_objects(backend):
    """Each is called after every epoch, with the history up to it."""
    seen = []

    class Callback:
        def on_epoch_end(self, epoch, history):
            seen.append(("object", epoch, len(history.cost)))

    def callback(epoch, history):
        assert history.cost.shape == history.validation_cost.shape == history.seconds.shape
        assert history.metrics["accuracy"].shape == history.learning_rate.shape == (epoch,)
        assert history.best_epoch == history.validation_cost.argmin() + 1
        seen.append(("function", epoch, len(history.cost)))

    net, X, Y = flower()
    history = net.fit(
        X, Y, epochs=3, callbacks=[Callback(), callback], validation_data=(X, Y),
        metrics=["accuracy"],
    )  # fmt: skip
    assert seen == [(kind, e, e) for e in (1, 2, 3) for kind in ("object", "function")]
    assert len(history.cost) == 3


@pytest.mark.parametrize("answer, epochs", [(True, 4), (1, 9), ("stop", 9), (None, 9), (False, 9)])
def test_only_true_stops(backend, answer, epochs):
    net, X, Y = flower()
    twin, _, _ = flower()
    history = net.fit(
        X, Y, epochs=9, batch_size=10, callbacks=lambda e, h: answer if e == 4 else None
    )
    assert len(history.cost) == len(history.learning_rate) == epochs
    assert history.stopped_early is (epochs < 9)
    twin.fit(X, Y, epochs=epochs, batch_size=10)
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()


def test_all_are_asked_even_when_one_stops(backend):
    seen = []
    net, X, Y = flower()
    net.fit(X, Y, epochs=9, callbacks=[lambda e, h: True, lambda e, h: seen.append(e)])
    assert seen == [1]


def test_stopping_in_the_last_epoch_is_not_early(backend):
    net, X, Y = flower()
    assert net.fit(X, Y, epochs=2, callbacks=lambda e, h: e == 2).stopped_early is False


def test_the_history_is_one_object(backend):
    histories = []
    net, X, Y = flower()
    history = net.fit(X, Y, epochs=3, callbacks=lambda e, h: histories.append(h))
    assert all(h is history for h in histories) and len(histories) == 3


def test_a_callback_may_use_the_network(backend):
    """What it sees is the network after the epoch."""
    net, X, Y = flower()
    costs = []
    history = net.fit(X, Y, epochs=4, callbacks=lambda e, h: costs.append(net.cost(X, Y)))
    np.testing.assert_allclose(costs[:-1], history.cost[1:], rtol=1e-12)


# --- what is shown ------------------------------------------------------------------------


@pytest.fixture
def without(monkeypatch):
    """A function that makes modules impossible to import."""
    imported = builtins.__import__

    def hide(*names):
        def refuse(name, *arguments, **options):
            if name.partition(".")[0] in names:
                raise ImportError(f"No module named {name!r}")
            return imported(name, *arguments, **options)

        monkeypatch.setattr(builtins, "__import__", refuse)

    return hide


@pytest.mark.parametrize("hidden, kind", [
    ((), room.Bar), (("tqdm",), room.RichBar), (("tqdm", "rich"), room.Line),
])  # fmt: skip
def test_what_is_installed_shows(hidden, kind, without, capsys):
    without(*hidden)
    assert type(room.reporter(True, 3)) is kind
    net, X, Y = flower()
    net.fit(X, Y, epochs=50, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "epoch 50/50" in err and "cost" in err and err.endswith("\n")


@pytest.mark.parametrize("hidden", [(), ("tqdm",), ("tqdm", "rich")])
def test_the_line_ends_where_the_training_does(hidden, without, capsys):
    """Stopped early, or by an error."""
    without(*hidden)
    net, X, Y = flower()
    net.fit(X, Y, epochs=50, progress=True, callbacks=lambda e, h: e == 7)
    err = capsys.readouterr().err
    assert "epoch 7/50" in err and err.endswith("\n")
    with pytest.raises(ZeroDivisionError):
        net.fit(X, Y, epochs=50, progress=True, callbacks=lambda e, h: 1 / 0)
    assert capsys.readouterr().err.endswith("\n")


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_shows_unless_asked_for(progress, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    net, X, Y = flower()
    net.fit(X, Y, epochs=5, progress=progress)
    assert capsys.readouterr() == ("", "")


def test_importing_fastnn_imports_no_bar(run_python):
    done = run_python(
        """
        import sys, fastnn
        net = fastnn.MLP([1, 1])
        net.fit([[0.0, 1.0]], [[0, 1]], epochs=2)
        print({"tqdm", "rich", "scipy", "matplotlib"} & set(sys.modules))
        """
    )
    assert done.stdout == "set()\n"


# --- a cost that does not move ------------------------------------------------------------


def test_a_cost_that_does_not_move_is_said_once(backend):
    """Inputs of a million saturate tanh: nothing is learnt, and nothing but this says why."""
    X, Y = datasets.planar_flower(50)
    net = fastnn.MLP([2, 4, 1], seed=1, init=1.0)
    words = "not moved in the last 20 epochs.*X is far from unit scale.*of .*e.08: scale to about 1"
    with pytest.warns(UserWarning, match=words) as caught:
        net.fit(1e8 * X, Y, epochs=20, learning_rate=1e-30)
    assert [warning.filename for warning in caught] == [__file__], "it names the caller's line"


@pytest.mark.parametrize("scale", [1e-5, 1e-9])
def test_biases_that_learn_do_not_hide_it(backend, scale):
    """The cost falls at first, by the biases; the inputs are too small to matter."""
    X, Y = datasets.planar_flower(50)
    net = fastnn.MLP([2, 4, 1], "sigmoid", seed=1)
    with pytest.warns(UserWarning, match="not moved in the last 200 epochs.*X is far from unit"):
        history = net.fit(scale * X, Y, epochs=400, learning_rate=1.0)
    assert history.cost[-1] < history.cost[0] * 0.999


def test_no_word_where_the_training_has_arrived(backend):
    """The cost moves no more, since nothing is left to learn."""
    X = np.linspace(-300, 300, 20)[np.newaxis]
    rng = np.random.default_rng(0)
    net = fastnn.MLP([1, 1], output="linear", dtype="float64")
    Y = X / 300 + 0.1 * rng.normal(size=X.shape)
    history = net.fit(X, Y - Y.mean(), epochs=100, learning_rate=3e-5)
    assert np.ptp(history.cost[50:]) < 1e-6 * history.cost[-1]


def test_targets_far_from_unit_scale_are_named(backend):
    net = fastnn.MLP([1, 1], output="linear", init="zeros", dtype="float64")
    with pytest.warns(UserWarning, match=r"Y is far from unit scale.*of 1e\+09"):
        net.fit([[1.0, -1.0]], [[1e9, -1e9]], epochs=10, learning_rate=1e-20)


@pytest.mark.parametrize("scale, epochs", [(1.0, 20), (1e8, 9)])
def test_no_word_where_the_scale_is_right_or_it_is_too_soon(backend, scale, epochs):
    X, Y = datasets.planar_flower(50)
    history = fastnn.MLP([2, 4, 1], seed=1).fit(scale * X, Y, epochs=epochs, learning_rate=1e-30)
    assert np.ptp(history.cost) <= 1e-6 * history.cost[0]


def test_a_warning_that_is_an_error_leaves_all_as_it_was(backend):
    X, Y = datasets.planar_flower(50)
    net = fastnn.MLP([2, 4, 1], seed=1)
    before = net.parameter_vector.copy(), net.generator.bit_generator.state
    with pytest.raises(UserWarning, match="not moved"):  # the suite makes errors of warnings
        net.fit(1e8 * X, Y, epochs=20, learning_rate=1e-12, batch_size=10)
    assert net.parameter_vector.tobytes() == before[0].tobytes()
    assert net.generator.bit_generator.state == before[1]
