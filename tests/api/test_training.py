"""fit: epochs, batches, order, history, progress, and the way back when it diverges."""

import copy
import re

import numpy as np
import pytest
from support import harness
from support.tables import BACKENDS

import fastnn
from fastnn import datasets, optimizers


def flower(hidden=4, dtype="float64", **options):
    X, Y = datasets.planar_flower(100)
    net = fastnn.MLP([2, hidden, 1], seed=1, dtype=dtype, **options)
    return net, X.astype(dtype), Y.astype(dtype)


# --- history ------------------------------------------------------------------------------


def test_history_of_full_batches(backend):
    """cost[e] is the cost before the update of epoch e: each step by hand gives the same."""
    net, X, Y = flower()
    twin, _, _ = flower()
    history = net.fit(X, Y, epochs=20, learning_rate=0.5)
    assert isinstance(history, fastnn.History)
    assert history.cost.shape == (20,) and history.cost.dtype == np.float64
    by_hand = [twin.step(X, Y, learning_rate=0.5) for _ in range(20)]
    harness.assert_norm_within("trace", history.cost, by_hand, "costs")
    harness.assert_norm_within("trace", net.parameter_vector, twin.parameter_vector, "end")
    first = flower()[0].cost(X, Y)
    harness.assert_number_within("step", float(history.cost[0]), first, np.float64, "first cost")
    assert "20 epochs" in repr(history)


def test_history_of_mini_batches(backend):
    """cost[e] is the plain mean of the batch costs as computed in epoch e; the last batch
    is smaller, and is not left out."""
    net, X, Y = flower()
    twin, _, _ = flower()
    history = net.fit(X, Y, epochs=3, learning_rate=0.5, batch_size=30, shuffle=False)
    for epoch in range(3):
        batches = [slice(0, 30), slice(30, 60), slice(60, 90), slice(90, 100)]
        costs = [twin.step(X[:, b], Y[:, b], learning_rate=0.5) for b in batches]
        mean = float(np.mean(costs))
        harness.assert_number_within("trace", float(history.cost[epoch]), mean, np.float64, epoch)
    harness.assert_norm_within("trace", net.parameter_vector, twin.parameter_vector, "end")


def test_shuffled_batches_use_every_example_once(backend):
    """With learning rate ~ 0 an epoch's mean batch cost is the cost, whatever the order."""
    net, X, Y = flower()
    J = net.cost(X, Y)
    history = net.fit(X, Y, epochs=5, learning_rate=1e-300, batch_size=20)
    harness.assert_norm_within("step", history.cost, np.full(5, J), "costs")


# --- order --------------------------------------------------------------------------------


def fitted(**options):
    net, X, Y = flower()
    cost = net.fit(X, Y, epochs=6, learning_rate=0.5, **options).cost
    return net.parameter_vector.tobytes(), cost.tobytes()


def test_same_seed_same_bits(backend):
    assert fitted(batch_size=16, seed=3) == fitted(batch_size=16, seed=3)
    assert fitted(batch_size=16, seed=3) != fitted(batch_size=16, seed=4)
    assert fitted(batch_size=16, seed=np.random.default_rng(3)) == fitted(batch_size=16, seed=3)


def test_without_seed_the_network_goes_on(backend):
    """A script that names one seed, the network's, is reproducible; two calls of fit
    still use different orders."""
    assert fitted(batch_size=16) == fitted(batch_size=16)
    costs = []
    net, X, Y = flower()
    start = net.parameter_vector.copy()
    for _ in range(2):
        net.parameter_vector[:] = start
        costs.append(net.fit(X, Y, epochs=1, batch_size=16).cost[0])
    assert costs[0] != costs[1]


def test_seed_leaves_the_networks_generator_alone(backend):
    net, X, Y = flower()
    state = net.generator.bit_generator.state
    net.fit(X, Y, epochs=2, batch_size=16, seed=3)
    net.fit(X, Y, epochs=2)
    net.fit(X, Y, epochs=2, batch_size=16, shuffle=False)
    assert net.generator.bit_generator.state == state
    net.fit(X, Y, epochs=2, batch_size=16)
    assert net.generator.bit_generator.state != state


def test_full_batches_are_not_shuffled(backend):
    assert fitted(seed=1) == fitted(seed=2) == fitted(shuffle=False) == fitted(batch_size=100)


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copy_of_examples_within_max_memory(backend, dtype, layout):
    """The same bits with a copy whose examples are contiguous and without; no copy beyond the
    bound."""
    X = np.asarray(np.random.default_rng(0).normal(size=(40, 90)), dtype, order=layout)
    Y, ends = np.arange(90) % 3, []
    for bound in (X.nbytes, X.nbytes - 1, 0):
        net = fastnn.MLP([40, 16, 3], output="softmax", dtype=dtype)
        cost = net.fit(X, Y, epochs=4, batch_size=32, max_memory=bound).cost
        ends.append((net.parameter_vector.tobytes(), cost.tobytes()))
    assert ends[0] == ends[1] == ends[2]
    for wrong in (-1, 1.5, "1 GB", None):
        with pytest.raises((TypeError, ValueError), match="max_memory must be an integer >= 0"):
            net.fit(X, Y, epochs=4, batch_size=32, max_memory=wrong)


def test_same_order_in_every_backend():
    """The backends train on the same batches, so they end at the same place."""
    ends = []
    for name in BACKENDS:
        with fastnn.use_backend(name):
            net, X, Y = flower()
            net.fit(X, Y, epochs=30, learning_rate=0.5, batch_size=7, seed=5)
            ends.append(net.parameter_vector.copy())
    for end in ends[1:]:
        harness.assert_norm_within("trace", end, ends[0], "parameters")


@pytest.mark.parametrize("options", [{}, {"batch_size": 16, "shuffle": False}])
def test_epochs_may_come_in_several_calls(backend, options):
    """Without shuffling, 12 epochs are 5 and 7: fit keeps nothing between calls."""
    whole, X, Y = flower()
    parts, _, _ = flower()
    cost = whole.fit(X, Y, epochs=12, learning_rate=0.5, **options).cost
    pieces = [parts.fit(X, Y, epochs=n, learning_rate=0.5, **options).cost for n in (5, 7)]
    np.testing.assert_array_equal(np.concatenate(pieces), cost)
    np.testing.assert_array_equal(parts.parameter_vector, whole.parameter_vector)


@pytest.mark.parametrize("options", [{}, {"batch_size": 16}])
def test_chunks_of_the_loop_do_not_show(backend, options, monkeypatch):
    """However many epochs a call of the kernel takes, the bits are the same."""
    from fastnn import loop

    ends = []
    for seconds, elements in ((0.15, 1 << 18), (1e-9, 1 << 18), (10.0, 250), (10.0, 1)):
        monkeypatch.setattr(loop, "CALL_SECONDS", seconds)
        monkeypatch.setattr(loop, "ORDER_ELEMENTS", elements)
        ends.append(fitted(**options))
    assert ends.count(ends[0]) == 4


# --- it learns ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_learns_what_is_not_linear(backend, dtype):
    X, Y = datasets.planar_flower()
    linear = fastnn.MLP([2, 1], dtype=dtype)
    linear.fit(X, Y, epochs=300)
    net = fastnn.MLP([2, 8, 1], dtype=dtype)
    history = net.fit(X, Y, epochs=3000, learning_rate=1.0)
    assert linear.score(X, Y) < 0.6
    assert net.score(X, Y) > 0.85
    assert history.cost[-1] < 0.6 * history.cost[0]


@pytest.mark.parametrize(
    "output, targets",
    [("linear", lambda x: x**2 - 0.5), ("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh)],
)
def test_learns_a_curve(backend, output, targets):
    X = np.linspace(-1, 1, 101)[None, :]
    net = fastnn.MLP([1, 16, 1], hidden="tanh", output=output, dtype="float64", seed=2)
    net.fit(X, targets(X), epochs=300, learning_rate=0.1, batch_size=10, seed=0)
    assert net.score(X, targets(X)) > 0.95


# --- progress -----------------------------------------------------------------------------


def test_progress_function(backend):
    """Called with the epochs done, which grow to the last, and the cost of the last of them."""
    seen = []
    net, X, Y = flower()
    history = net.fit(X, Y, epochs=500, progress=lambda epoch, cost: seen.append((epoch, cost)))
    epochs = [epoch for epoch, _ in seen]
    assert epochs == sorted(set(epochs)) and epochs[-1] == 500
    for epoch, cost in seen:
        assert type(epoch) is int and type(cost) is float
        assert cost == history.cost[epoch - 1]


def test_progress_line(backend, capsys):
    net, X, Y = flower()
    net.fit(X, Y, epochs=50, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 50/50" in err and "cost" in err and err.endswith("\n")
    net.fit(X, Y, epochs=50, progress=False)
    assert capsys.readouterr() == ("", "")


def test_progress_changes_nothing(backend):
    assert fitted(progress=lambda epoch, cost: None) == fitted()


# --- one epoch of one step, the short way -------------------------------------------------


def long_way(net, X, Y, **options):
    """The same `fit`, by what every other one goes through."""
    return net.fit(X, Y, epochs=1, progress=False, **options)


@pytest.mark.parametrize("optimizer", ["gradient_descent", "momentum", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("is_name", [True, False], ids=["name", "object"])
@pytest.mark.parametrize("learning_rate", [None, 0.05, np.float64(0.05)], ids=str)
def test_the_short_way_is_the_long_way(backend, optimizer, is_name, learning_rate):
    nets = [flower(dtype="float32") for _ in range(2)]
    used = [optimizer if is_name else optimizers.resolve(optimizer) for _ in range(2)]
    for _ in range(70):  # past the scalars that are made together
        histories = [
            way(net, X, Y, optimizer=o, learning_rate=learning_rate)
            for way, (net, X, Y), o in zip(
                (long_way, lambda n, X, Y, **o: n.fit(X, Y, epochs=1, **o)), nets, used, strict=True
            )
        ]
        for name in ("cost", "learning_rate", "validation_cost", "metrics", "best_epoch"):
            one, other = (getattr(history, name) for history in histories)
            assert type(one) is type(other)
            np.testing.assert_array_equal(one, other)
        assert histories[0].seconds.shape == histories[1].seconds.shape == (1,)
    assert nets[0][0].parameter_vector.tobytes() == nets[1][0].parameter_vector.tobytes()
    if not is_name:
        assert everything(nets[0][0], used[0]) == everything(nets[1][0], used[1])


@pytest.mark.parametrize("used", [True, False], ids=["with a state", "fresh"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("name", ["numba", "numpy"])  # in Cython nothing can come in between
def test_an_error_on_the_short_way(name, used, error, monkeypatch):
    """It comes after the kernel has trained: all is as before, or the epoch is whole."""
    with fastnn.use_backend(name):
        check_an_error_on_the_short_way(used, error, monkeypatch)


def check_an_error_on_the_short_way(used, error, monkeypatch):
    net, X, Y = flower()
    optimizer = fastnn.optimizers.Adam()
    if used:
        net.fit(X, Y, epochs=2, optimizer=optimizer)
    before = everything(net, optimizer)
    twin, other = copy.deepcopy((net, optimizer))
    twin.fit(X, Y, epochs=1, optimizer=other)

    train = net.engine.train

    def broken(*arguments):
        train(*arguments)
        raise error

    monkeypatch.setattr(net.engine, "train", broken)
    with pytest.raises(error):
        net.fit(X, Y, epochs=1, optimizer=optimizer)
    allowed = [before, everything(twin, other)] if error is KeyboardInterrupt else [before]
    assert everything(net, optimizer) in allowed


def test_hyperparameters_may_change_between_steps(backend):
    """The scalars that were made for later steps are made again."""
    net, X, Y = flower()
    twin, _, _ = flower()
    optimizer, other = fastnn.optimizers.Adam(), fastnn.optimizers.Adam()
    for beta1, rate in ((0.9, 0.01), (0.9, 0.02), (0.5, 0.02), (0.5, 0.02)):
        optimizer.beta1 = other.beta1 = beta1
        net.step(X, Y, rate, optimizer=optimizer)
        twin.fit(X, Y, epochs=1, schedule=lambda t: rate, optimizer=other)  # noqa: B023
    assert everything(net, optimizer) == everything(twin, other)
    momentum, fresh = fastnn.optimizers.Momentum(), fastnn.optimizers.Momentum(nesterov=True)
    momentum.scalars_of_next(1, 0.1)
    momentum.nesterov = True
    np.testing.assert_array_equal(momentum.scalars_of_next(1, 0.1), fresh.scalars_of_next(1, 0.1))


# --- what ends it early -------------------------------------------------------------------


def everything(net, optimizer):
    """The parameters, the optimizer's state and the generator's, as bytes."""
    state = {name: np.asarray(value).tobytes() for name, value in optimizer.state.items()}
    return net.parameter_vector.tobytes(), state, net.generator.bit_generator.state


class Ending:
    """Raises its error when it is called for the third time."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls == 3:
            raise self.error


def started(used, **options):
    """A network and an optimizer that has a state already (`used`), or none."""
    net, X, Y = flower(dropout=0.2, **options)
    optimizer = fastnn.optimizers.Adam()
    if used:
        net.fit(X, Y, epochs=2, optimizer=optimizer, batch_size=32)
    return net, X, Y, optimizer


@pytest.mark.parametrize("used", [True, False], ids=["with a state", "fresh"])
@pytest.mark.parametrize("error", [MemoryError, StopAsyncIteration, SystemExit, RuntimeError])
@pytest.mark.parametrize("place", ["progress", "shuffle", "train"])
def test_an_error_leaves_all_as_it_was(backend, used, error, place, monkeypatch):
    """After some epochs: from `progress`, for lack of memory, from anywhere."""
    net, X, Y, optimizer = started(used)
    before = everything(net, optimizer)
    ending = Ending(error("enough"))
    options = {"epochs": 10**6, "batch_size": 32, "optimizer": optimizer}
    if place == "progress":
        options["progress"] = ending
    elif place == "shuffle":
        shuffle = net.kernels.shuffle
        monkeypatch.setattr(net.kernels, "shuffle", lambda *a: (ending(), shuffle(*a)))
    else:
        engine = net.engine
        monkeypatch.setattr(net, "_engine", Broken(engine, ending))
    with pytest.raises(error, match="enough"):
        net.fit(X, Y, **options)
    assert ending.calls == 3
    assert everything(net, optimizer) == before


class Broken:
    """An engine that trains, and then says that it could not."""

    def __init__(self, engine, ending):
        self.engine, self.ending = engine, ending

    def train(self, *arguments):
        self.engine.train(*arguments)
        self.ending()

    def __getattr__(self, name):
        return getattr(self.engine, name)


@pytest.mark.parametrize("used", [True, False], ids=["with a state", "fresh"])
def test_ctrl_c_leaves_the_epochs_that_were_whole(backend, used):
    """All is as after a training of so many epochs: parameters, state, generator."""
    net, X, Y, optimizer = started(used)
    done = []

    def progress(epoch, cost):
        done.append(epoch)
        if len(done) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=10**6, batch_size=32, optimizer=optimizer, progress=progress)
    twin, X, Y, other = started(used)
    twin.fit(X, Y, epochs=done[-1], batch_size=32, optimizer=other)
    assert everything(net, optimizer) == everything(twin, other)


def test_ctrl_c_before_the_first_epoch_leaves_nothing(backend, monkeypatch):
    net, X, Y, optimizer = started(used=False)
    before = everything(net, optimizer)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(net.kernels, "shuffle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, batch_size=32, optimizer=optimizer)
    assert everything(net, optimizer) == before


@pytest.mark.parametrize("used", [True, False], ids=["with a state", "fresh"])
def test_divergence_puts_the_optimizer_back(backend, used):
    """The first step already is the last finite one, or none is."""
    net = fastnn.MLP([1, 4, 1], output="linear", dtype="float32", hidden="relu", seed=1)
    optimizer = fastnn.optimizers.Adam()
    X, Y = np.linspace(-1, 1, 20)[None], np.ones((1, 20))
    if used:
        net.fit(X, Y, epochs=2, optimizer=optimizer)
    twin, other = copy.deepcopy((net, optimizer))
    with pytest.raises(ValueError, match="non-finite.*learning_rate=1e.30") as caught:
        net.fit(X, Y, epochs=50, learning_rate=1e30, optimizer=optimizer)
    whole = last_finite(caught)
    if whole:
        twin.fit(X, Y, epochs=whole, learning_rate=1e30, optimizer=other)
    assert everything(net, optimizer) == everything(twin, other)


def last_finite(caught):
    """The last epoch that was finite, as the error says it."""
    message = str(caught.value)
    if "as they were before" in message:
        assert "by epoch 1 " in message
        return 0
    return int(re.search("those of epoch (\\d+), the last that was finite", message)[1])


@pytest.mark.parametrize("call_seconds", [1e-9, 0.15, 10.0])
@pytest.mark.parametrize("options", [{}, {"batch_size": 16}], ids=str)
@pytest.mark.parametrize("optimizer", ["adam", "momentum", "gradient_descent"])
def test_divergence_keeps_the_last_finite_epoch(
    backend, optimizer, options, call_seconds, monkeypatch
):
    """All is as after a training of so many epochs, however many a call of the kernel took; with
    one more, it is not finite."""
    from fastnn import loop

    monkeypatch.setattr(loop, "CALL_SECONDS", call_seconds)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(3, 50)), rng.normal(size=(1, 50))

    def started():
        net = fastnn.MLP(
            [3, 8, 1], "linear", "linear", dtype="float32", seed=1, dropout=0.1, loss="mse"
        )
        return net, optimizers.resolve(optimizer)

    rates = {"adam": 1e37, "momentum": 0.5, "gradient_descent": 1.5}
    options = options | {"learning_rate": rates[optimizer]}
    net, used = started()
    before = everything(net, used)
    with pytest.raises(ValueError, match="non-finite") as caught:
        net.fit(X, Y, epochs=2000, optimizer=used, **options)
    whole = last_finite(caught)
    twin, other = started()
    if whole:
        twin.fit(X, Y, epochs=whole, optimizer=other, **options)
        assert everything(net, used) == everything(twin, other)
        assert f"by epoch {whole + 1} " in str(caught.value)
    else:
        assert everything(net, used) == before
    assert np.isfinite(net.parameter_vector).all()
    twin, other = started()
    with pytest.raises(ValueError, match=f"by epoch {whole + 1} "):
        twin.fit(X, Y, epochs=whole + 1, optimizer=other, **options)


@pytest.mark.parametrize("at", [2, 3, 4])
def test_ctrl_c_while_looking_for_the_last_finite_epoch(backend, at, monkeypatch):
    """What is left is a whole epoch, up to that one."""
    from fastnn import loop

    monkeypatch.setattr(loop, "CALL_SECONDS", 10.0)
    is_sound, calls = loop.Run._is_sound, []

    def interrupted(run):
        if run.has_diverged:
            calls.append(1)
            if len(calls) == at - 1:
                raise KeyboardInterrupt
            if len(calls) < at:
                return False  # so that it goes on looking
        return is_sound(run)

    monkeypatch.setattr(loop.Run, "_is_sound", interrupted)
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(3, 50)), rng.normal(size=(1, 50))
    options = {"learning_rate": 0.4, "batch_size": 25}

    def started():
        net = fastnn.MLP([3, 8, 1], "linear", "linear", dtype="float32", seed=1)
        return net, fastnn.optimizers.Momentum()

    net, optimizer = started()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=500, optimizer=optimizer, **options)
    assert len(calls) >= at - 1
    monkeypatch.setattr(loop.Run, "_is_sound", is_sound)
    twin, other = started()
    whole = optimizer.steps // 2
    if whole:
        twin.fit(X, Y, epochs=whole, optimizer=other, **options)
    assert everything(net, optimizer)[:2] == everything(twin, other)[:2]


def test_a_state_that_is_no_longer_finite_is_divergence(backend):
    """g^2 overflows in float32, and v stays infinite: Adam would stand still for ever."""
    net = fastnn.MLP([1, 1], output="linear", dtype="float32", init="zeros")
    optimizer = fastnn.optimizers.Adam()
    before = everything(net, optimizer)
    with pytest.raises(ValueError, match="non-finite"):
        net.fit([[1e12]], [[1e12]], epochs=1, optimizer=optimizer)
    assert everything(net, optimizer) == before


def test_an_error_in_step_leaves_the_generator(backend, monkeypatch):
    net, X, Y, optimizer = started(used=True)
    before = everything(net, optimizer)

    class NoMemory:
        parameters = net.parameter_vector

        def accepts(self, *arguments):
            return False

        accepts_examples = accepts

        def try_step(self, *arguments):
            return None

        def train(self, *arguments):
            raise MemoryError("none left")

    net.engine  # noqa: B018  (made before it is replaced)
    monkeypatch.setattr(net, "_engine", NoMemory())
    with pytest.raises(MemoryError, match="none left"):
        net.step(X, Y, optimizer=optimizer)
    assert everything(net, optimizer) == before


def test_divergence_says_what_to_look_at(backend):
    net = fastnn.MLP([1, 1], output="linear", dtype="float32")
    words = (
        "non-finite cost or non-finite parameters by epoch 1 with learning_rate=1e.30: try a "
        "smaller learning_rate, and look at X and Y, whose largest absolute values are 1e.15 and "
        "2e.15 .*the parameters and the optimizer are as they were before"
    )
    with pytest.raises(ValueError, match=words):
        net.fit([[1e15, 0.0]], [[-2e15, 0.0]], epochs=1, learning_rate=1e30)


# --- errors and warnings ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [None, 10])
def test_divergence_goes_back(backend, dtype, batch_size):
    rng = np.random.default_rng(0)
    net = fastnn.MLP([3, 8, 1], hidden="relu", output="linear", dtype=dtype)
    X, Y = rng.normal(size=(3, 50)), rng.normal(size=(1, 50))
    twin = copy.deepcopy(net)
    with pytest.raises(ValueError, match="non-finite.*learning_rate=1000") as caught:
        net.fit(X, Y, epochs=2000, learning_rate=1000, batch_size=batch_size)
    whole = last_finite(caught)
    if whole:
        twin.fit(X, Y, epochs=whole, learning_rate=1000, batch_size=batch_size)
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()
    assert net.generator.bit_generator.state == twin.generator.bit_generator.state


def test_divergence_at_the_last_update(backend):
    """The costs are finite, the parameters after the last step are not."""
    net = fastnn.MLP([1, 1], output="linear", dtype="float32")
    before = net.parameter_vector.copy()
    with pytest.raises(ValueError, match="non-finite.*learning_rate"):
        net.fit([[1e15]], [[-1e15]], epochs=1, learning_rate=1e30)
    assert net.parameter_vector.tobytes() == before.tobytes()


def test_parameters_that_are_not_finite_are_refused(backend):
    net, X, Y = flower()
    net.parameter_vector[3] = np.nan
    before = net.parameter_vector.copy()
    with pytest.raises(ValueError, match="parameters.*NaN or infinity"):
        net.fit(X, Y)
    assert net.parameter_vector.tobytes() == before.tobytes()


def test_batch_size_above_m_is_clipped_aloud(backend):
    net, X, Y = flower()
    twin, _, _ = flower()
    with pytest.warns(UserWarning, match="batch_size 101 is larger.*clipped to 100") as caught:
        net.fit(X, Y, epochs=2, batch_size=101)
    assert [warning.filename for warning in caught] == [__file__], "it names the caller's line"
    twin.fit(X, Y, epochs=2)
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()


def test_arrays_are_left_alone(backend):
    net, X, Y = flower()
    before = X.copy(), Y.copy()
    net.fit(X, Y, epochs=3, batch_size=7)
    assert X.tobytes() == before[0].tobytes() and Y.tobytes() == before[1].tobytes()


def test_own_parameters_as_examples(backend):
    """X is a view of the parameters: it is read as it was when the training began."""
    net = fastnn.MLP([2, 3, 1], output="linear", dtype="float64")
    twin = fastnn.MLP([2, 3, 1], output="linear", dtype="float64")
    X = net.parameters["W1"].T
    net.fit(X, np.ones((1, 3)), epochs=4)
    twin.fit(twin.parameters["W1"].T.copy(), np.ones((1, 3)), epochs=4)
    assert net.parameter_vector.tobytes() == twin.parameter_vector.tobytes()


@pytest.mark.parametrize("epochs", [1, 2, 17])
@pytest.mark.parametrize("m, batch_size", [(1, None), (1, 1), (2, 1), (5, 2)])
def test_smallest_cases(backend, epochs, m, batch_size):
    net = fastnn.MLP([1, 1], output="linear", dtype="float64")
    X = np.arange(1.0, m + 1)[None, :] / m
    history = net.fit(X, 2 * X, epochs=epochs, batch_size=batch_size)
    assert history.cost.shape == (epochs,)
    assert np.isfinite(history.cost).all()
