"""Ctrl-C: noticed within half a second, and only whole epochs are kept."""

import copy

import numpy as np
import pytest
from support.interruption import check_interrupted_training, ctrl_c_after
from support.network_checks import train_plainly
from support.tables import NetworkCase

import fastnn


def warm_up(net, **options):
    """Train a little, on nothing much: what has to be compiled is compiled before the clock."""
    n_in, *_, n_out = net.layer_sizes
    copy.deepcopy(net).fit(
        np.ones((n_in, 3)), np.full((n_out, 3), 1 / n_out), epochs=2, batch_size=2,
        **options,
    )  # fmt: skip


def digits_like(m=1000, seed=0):
    """A network and examples for which an epoch lasts about a millisecond."""
    rng = np.random.default_rng(seed)
    net = fastnn.MLP([32, 48, 4], hidden="relu", output="softmax", seed=seed)
    warm_up(net)
    return (
        net,
        rng.normal(size=(32, m)).astype("f4"),
        np.eye(4, dtype="f4")[:, rng.integers(0, 4, m)],
    )


def whole_epochs(net, X, Y, batch_size, order, target):
    """How many epochs from `net` on lead to the parameters `target`, bit for bit."""
    for epoch in range(20_000):
        if net.parameter_vector.tobytes() == target.tobytes():
            return epoch
        row = None if order is None else order[epoch : epoch + 1]
        train_plainly(net.engine, X, Y, row, batch_size, 0.05, np.empty(1))
    return None


def test_fit_keeps_whole_epochs(backend):
    net, X, Y = digits_like()
    fresh, _, _ = digits_like()
    with ctrl_c_after(0.3):
        net.fit(X, Y, epochs=1_000_000, learning_rate=0.05)
    done = whole_epochs(fresh, X, Y, X.shape[1], None, net.parameter_vector)
    assert done, f"after {done} whole epochs"
    assert np.isfinite(net.forward(X)).all()


def test_kernel_keeps_whole_epochs(backend):
    """Mini-batches: an epoch that was begun is taken back, to its first batch."""
    net, X, Y = digits_like(m=1000)
    fresh, _, _ = digits_like(m=1000)
    some = np.random.default_rng(1).permuted(
        np.tile(np.arange(1000, dtype=np.uint32), (8, 1)), axis=1
    )
    order = np.tile(some, (1000, 1))
    with ctrl_c_after(0.3):
        train_plainly(net.engine, X, Y, order, 64, 0.05, np.empty(len(order)))
    done = whole_epochs(fresh, X, Y, 64, order, net.parameter_vector)
    assert done, f"after {done} whole epochs"


@pytest.mark.parametrize("rule", ["momentum", "adam"])
def test_kernel_keeps_the_state_of_whole_epochs(backend, dtype, rule):
    kernels = fastnn.MLP([1, 1], dtype=dtype).kernels
    case = NetworkCase((7, 9, 3), ("tanh",), "cross_entropy", "softmax", 61)
    check_interrupted_training(kernels, dtype, case, rule)


@pytest.mark.parametrize(
    "name, batch_size",
    [("cython", 256), ("numba", 256), ("numpy", 256), ("cython", None), ("numba", None)],
)
def test_within_one_epoch(name, batch_size):
    """An epoch that lasts for seconds is no reason to wait for its end; it leaves nothing.

    Nor is a single step on all examples; but NumPy cannot stop in the middle of a product.
    """
    m = 120_000
    with fastnn.use_backend(name):
        net = fastnn.MLP([1, 512, 512, 1], hidden="relu", output="linear", dtype="float64")
        warm_up(net)
        before, state = net.parameter_vector.copy(), net.generator.bit_generator.state
        X = np.linspace(-1, 1, m)[None, :]
        with ctrl_c_after(0.2):
            net.fit(X, X**2, epochs=2, learning_rate=1e-3, batch_size=batch_size, threads=1)
    assert net.parameter_vector.tobytes() == before.tobytes()
    assert net.generator.bit_generator.state == state


@pytest.mark.parametrize("backend", ["cython", "numba", "numpy"], indirect=True)
def test_interrupted_forward(backend):
    """Millions of columns, and the network works as before afterwards."""
    net = fastnn.MLP([1, 512, 512, 1], hidden="tanh", output="linear", dtype="float64")
    x = np.array([[0.3, -0.2, 0.1]])
    expected = net.forward(x)
    X = np.broadcast_to(x[:, :1], (1, 400_000))
    with ctrl_c_after(0.2):
        net.forward(X)
    assert net.forward(x).tobytes() == expected.tobytes()


def test_optimizer_and_parameters_stop_together(backend):
    """Adam's state is that of the same whole epoch, and training goes on from there as if it
    had not been interrupted."""
    net, X, Y = digits_like()
    warm_up(net, optimizer="adam")
    optimizer = fastnn.optimizers.Adam()
    with ctrl_c_after(0.3):
        net.fit(X, Y, epochs=1_000_000, batch_size=100, optimizer=optimizer, seed=5)
    steps = optimizer.state["steps"]
    assert steps > 0 and steps % 10 == 0, f"{steps} steps of 10 to an epoch"
    fresh, _, _ = digits_like()
    again = fastnn.optimizers.Adam()
    fresh.fit(X, Y, epochs=steps // 10, batch_size=100, optimizer=again, seed=5)
    assert again.state["steps"] == steps
    assert fresh.parameter_vector.tobytes() == net.parameter_vector.tobytes()
    for name in ("m", "v"):
        assert again.state[name].tobytes() == optimizer.state[name].tobytes(), name
