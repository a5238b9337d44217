"""The pictures: what is drawn, with matplotlib; a clear word, without it."""

import sys

import numpy as np
import pytest
from support.tables import ELEMENTWISE

import fastnn
from fastnn import datasets, plot


def test_history():
    """The cost, and with validation data their cost and the best epoch."""
    X, Y = datasets.planar_flower()
    net = fastnn.MLP([2, 8, 1], seed=1)
    plain = net.fit(X, Y, epochs=20)
    validated = net.fit(X, Y, epochs=20, validation_data=(X, Y))

    def check_plain(ax):
        (line,) = ax.lines
        np.testing.assert_array_equal(line.get_ydata(), plain.cost)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 21))

    def check_validated(ax):
        training, validation, best = ax.lines
        np.testing.assert_array_equal(training.get_ydata(), validated.cost)
        np.testing.assert_array_equal(validation.get_ydata(), validated.validation_cost)
        assert list(best.get_xdata()) == [validated.best_epoch]
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == ["training", "validation", f"best epoch, {validated.best_epoch}"]

    check_plain(plain.plot())
    check_validated(validated.plot())


def test_decision_boundary(tmp_path):
    X, Y = datasets.planar_flower()
    net = fastnn.MLP([2, 8, 1], seed=1)
    net.fit(X, Y, epochs=2000, learning_rate=1.0)

    def check(ax):
        (low_x, high_x), (low_y, high_y) = ax.get_xlim(), ax.get_ylim()
        assert low_x < X[0].min() and high_x > X[0].max()
        assert low_y < X[1].min() and high_y > X[1].max()
        # The picture's rows go up with x2, its columns with x1: ask the network itself.
        image = np.asarray(ax.images[0].get_array())
        left, right, bottom, top = ax.images[0].get_extent()
        for i, j in ((0, 0), (10, 250), (150, 20), (299, 299)):
            x1 = left + (right - left) * j / (image.shape[1] - 1)
            x2 = bottom + (top - bottom) * i / (image.shape[0] - 1)
            # One pixel is 1/300 of the axis: a neighbour's value would be off by more.
            assert image[i, j] == pytest.approx(net.forward([[x1], [x2]])[0, 0], abs=1e-4)
        scatter = [c for c in ax.collections if str(c.get_label()).startswith("class")]
        assert [len(points.get_offsets()) for points in scatter] == [200, 200]
        ax.figure.savefig(tmp_path / "boundary.png")
        assert (tmp_path / "boundary.png").stat().st_size > 20_000

    check(plot.plot_decision_boundary(net, X, Y))


def test_decision_boundary_of_classes():
    X, labels = np.random.default_rng(0).normal(size=(2, 60)), np.arange(60) % 3
    net = fastnn.MLP([2, 5, 3], output="softmax")
    net.fit(X, datasets.one_hot(labels), epochs=10)
    for Y in (labels, datasets.one_hot(labels)):
        ax = plot.plot_decision_boundary(net, X, Y)
        assert set(np.unique(ax.images[0].get_array())) <= {0, 1, 2}
        assert len(ax.get_legend().get_texts()) == 3


def test_cost():
    net = fastnn.MLP([1, 1], output="linear")
    history = net.fit([[0.0, 1.0]], [[1.0, 3.0]], epochs=200)

    def check(ax):
        x, y = ax.lines[0].get_data()
        np.testing.assert_array_equal(x, np.arange(1, 201))
        np.testing.assert_array_equal(y, history.cost)
        assert ax.get_yscale() == "log"
        assert ax.get_ylabel() == "cost J" and ax.get_xlabel() == "epoch"

    check(plot.plot_cost(history, label="linear"))
    check(plot.plot_cost(history.cost))


def test_activations():
    def check(axes):
        assert len(axes) == len(ELEMENTWISE)
        for ax, name in zip(axes, ELEMENTWISE, strict=True):
            assert name in ax.get_title()
            z, a = ax.lines[0].get_data()
            slope = ("leaky_relu", 0.1) if name == "leaky_relu" else name
            np.testing.assert_array_equal(a, fastnn.activate(z[None], slope)[0])
            derivative = ax.lines[1].get_ydata()
            _, (expected,) = fastnn.activate(z[None], slope, derivative=True)
            np.testing.assert_array_equal(derivative, expected)

    check(plot.plot_activations())


def test_what_cannot_be_drawn_in_a_plane():
    with pytest.raises(ValueError, match=r"X must have shape \(2, m\).*got \(3, 5\)"):
        plot.plot_decision_boundary(fastnn.MLP([2, 1]), np.ones((3, 5)), np.ones((1, 5)))


def test_without_matplotlib(monkeypatch):
    """Each says what to install, in words that bring this project and not another."""
    for name in [*sys.modules, "matplotlib"]:
        if name.split(".")[0] == "matplotlib":
            monkeypatch.setitem(sys.modules, name, None)
    X, Y = datasets.planar_flower()
    net = fastnn.MLP([2, 1])
    history = net.fit(X, Y, epochs=2)
    for draw in (
        history.plot,
        plot.plot_activations,
        lambda: plot.plot_cost(history),
        lambda: plot.plot_decision_boundary(net, X, Y),
    ):
        with pytest.raises(ImportError, match=r"fastnn-kernels\[plot\]"):
            draw()
