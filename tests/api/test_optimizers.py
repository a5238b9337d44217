"""Optimizers, penalties, sample weights and dropout: in `fit`, `step` and a loop of one's own."""

# ruff: noqa: E501  (a row of a table is one line)

import copy
import io
import pickle

import numpy as np
import pytest
from support import harness
from support.tables import BACKENDS

import fastnn
from fastnn import datasets, loop, optimizers
from fastnn.optimizers import OPTIMIZERS, Adam, GradientDescent

NAMES = tuple(OPTIMIZERS)
RATES = {"gradient_descent": 0.3, "momentum": 0.03, "rmsprop": 0.01, "adam": 0.01, "adamw": 0.01}


def flower(dtype="float64", hidden=(6,), **options):
    X, Y = datasets.planar_flower(100)
    net = fastnn.MLP([2, *hidden, 1], seed=1, dtype=dtype, **options)
    return net, X.astype(dtype), Y.astype(dtype)


def bits(net, optimizer):
    return net.parameter_vector.tobytes(), {
        k: np.asarray(v).tobytes() for k, v in optimizer.state.items()
    }


def test_the_table_lists_what_type_checkers_know():
    from typing import get_args

    assert get_args(optimizers.OptimizerName) == NAMES
    for name, row in OPTIMIZERS.items():
        assert row.name == name and row.formula and row.learning_rate > 0 and row.__doc__


# --- by name, and as an object ------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, {"batch_size": 30}])
def test_name_and_object(backend, dtype, name, options):
    by_name, X, Y = flower(dtype)
    by_object, _, _ = flower(dtype)
    optimizer = OPTIMIZERS[name]()
    costs = by_name.fit(X, Y, epochs=5, optimizer=name, **options).cost
    again = by_object.fit(X, Y, epochs=5, optimizer=optimizer, **options).cost
    harness.assert_same_bits(by_name.parameter_vector, by_object.parameter_vector)
    harness.assert_same_bits(costs, again)
    assert optimizer.state["steps"] == 5 * (4 if options else 1)
    assert optimizer.name == name


def test_default_learning_rates(backend):
    """Each row's own: 0.1 for gradient descent, 0.001 for Adam."""
    for name, rate in (("gradient_descent", 0.1), ("adam", 0.001)):
        default, X, Y = flower()
        given, _, _ = flower()
        default.fit(X, Y, epochs=3, optimizer=name)
        given.fit(X, Y, epochs=3, optimizer=name, learning_rate=rate)
        harness.assert_same_bits(default.parameter_vector, given.parameter_vector, name)
        default.step(X, Y, optimizer=name)
        given.step(X, Y, learning_rate=rate, optimizer=name)
        harness.assert_same_bits(default.parameter_vector, given.parameter_vector, name)


def test_first_step_of_adam(backend):
    """m' = g and v' = g^2, so each parameter moves by the learning rate, against its gradient."""
    net, X, Y = flower()
    before = net.parameter_vector.copy()
    _, gradients = net.gradients(X, Y)
    net.step(X, Y, learning_rate=0.01, optimizer=Adam(epsilon=1e-300))
    moved = net.parameter_vector - before
    np.testing.assert_allclose(moved, -0.01 * np.sign(gradients.vector), rtol=1e-9)


def test_adam_by_hand(backend):
    """Three steps on one weight and one bias, in Python, from algorithm 1 of the paper."""
    net = fastnn.MLP([1, 1], output="linear", init={"W1": [[0.5]], "b1": [[0.25]]}, dtype="float64")
    optimizer = Adam(beta1=0.8, beta2=0.9, epsilon=1e-3)
    w, m, v = np.array([0.5, 0.25]), np.zeros(2), np.zeros(2)
    for t in (1, 2, 3):
        residual = w[0] * 2.0 + w[1] - 3.0  # x = 2, y = 3
        g = np.array([residual * 2.0, residual])
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        w = w - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        J = net.step([[2.0]], [[3.0]], learning_rate=0.1, optimizer=optimizer)
        harness.assert_number_within("step", J, residual**2 / 2, np.float64)
        harness.assert_norm_within("step", net.parameter_vector, w, f"step {t}")
        harness.assert_norm_within("step", optimizer.state["m"], m, f"m of step {t}")
        harness.assert_norm_within("step", optimizer.state["v"], v, f"v of step {t}")
    assert optimizer.state["steps"] == 3


def test_the_backends_agree():
    """On Adam, with every penalty, mask and weight at once."""
    ends = []
    for name in BACKENDS:
        with fastnn.use_backend(name):
            net, X, Y = flower(hidden=(6, 5), dropout=0.25)
            net.fit(
                X, Y, epochs=5, batch_size=30, optimizer="adam", l2=1e-3, clip_norm=0.5,
                sample_weight=np.linspace(0, 2, 100), learning_rate=0.01,
            )  # fmt: skip
            ends.append(net.parameter_vector.copy())
    for end in ends[1:]:
        harness.assert_norm_within("rule", end, ends[0], "parameters")


# --- the state ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, {"batch_size": 30, "shuffle": False}])
def test_an_object_goes_on_where_it_stopped(backend, dtype, name, options):
    whole, X, Y = flower(dtype)
    parts, _, _ = flower(dtype)
    one, other = OPTIMIZERS[name](), OPTIMIZERS[name]()
    cost = whole.fit(X, Y, epochs=10, optimizer=one, **options).cost
    pieces = [parts.fit(X, Y, epochs=5, optimizer=other, **options).cost for _ in range(2)]
    harness.assert_same_bits(np.concatenate(pieces), cost)
    assert bits(whole, one) == bits(parts, other)


def test_a_name_starts_anew(backend):
    named, X, Y = flower()
    renewed, _, _ = flower()
    for _ in range(2):
        named.fit(X, Y, epochs=5, optimizer="adam")
        renewed.fit(X, Y, epochs=5, optimizer=Adam())
    harness.assert_same_bits(named.parameter_vector, renewed.parameter_vector)


def saved(state):
    """Through a file and back."""
    file = io.BytesIO()
    np.savez(file, **state)
    file.seek(0)
    return dict(np.load(file))


@pytest.mark.parametrize("keep", [copy.deepcopy, saved], ids=["copied", "saved"])
def test_state_can_be_put_back(backend, dtype, keep):
    net, X, Y = flower(dtype)
    optimizer = Adam()
    assert optimizer.state == {"steps": 0}
    net.fit(X, Y, epochs=3, optimizer=optimizer)
    assert list(optimizer.state) == ["steps", "m", "v"]
    for name in ("m", "v"):
        assert optimizer.state[name].shape == net.parameter_vector.shape
        assert optimizer.state[name].dtype == dtype
    parameters, state = net.parameter_vector.copy(), keep(optimizer.state)
    net.fit(X, Y, epochs=4, optimizer=optimizer)
    expected = bits(net, optimizer)
    for again in (optimizer, Adam()):
        net.parameter_vector[:] = parameters
        again.state = state
        net.fit(X, Y, epochs=4, optimizer=again)
        assert bits(net, again) == expected
    assert state["steps"] == 3, "what was set was copied"


def test_state_is_a_view(backend):
    net, X, Y = flower()
    optimizer = Adam()
    net.step(X, Y, optimizer=optimizer)
    held = optimizer.state["m"]
    net.step(X, Y, optimizer=optimizer)
    assert np.shares_memory(held, optimizer.state["m"])
    np.testing.assert_array_equal(held, optimizer.state["m"])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_of_an_optimizer(backend, duplicate):
    net, X, Y = flower()
    optimizer = Adam(beta1=0.8)
    net.fit(X, Y, epochs=3, optimizer=optimizer)
    net_twin, twin = duplicate((net, optimizer))
    assert repr(twin) == repr(optimizer) == "Adam(beta1=0.8, beta2=0.999, epsilon=1e-08)"
    for a, b in ((net, optimizer), (net_twin, twin)):
        a.fit(X, Y, epochs=3, optimizer=b)
    assert bits(net_twin, twin) == bits(net, optimizer)
    assert not np.shares_memory(twin.state["m"], optimizer.state["m"])


def test_repr():
    assert repr(GradientDescent()) == "GradientDescent()"
    assert repr(optimizers.resolve("adam")) == "Adam(beta1=0.9, beta2=0.999, epsilon=1e-08)"


ok = np.zeros(3)
STATES = [
    ("none", None, TypeError, "the state of 'adam' must be a dictionary with 'steps', got None"),
    ("no steps", {"m": ok, "v": ok}, TypeError, "must be a dictionary with 'steps'"),
    ("steps", {"steps": -1}, ValueError, "steps must be an integer >= 0, got -1"),
    ("half a step", {"steps": 1.5}, TypeError, "steps must be an integer"),
    ("one missing", {"steps": 1, "m": ok}, ValueError, r"has the vectors \['m'\], wanted \['m', 'v'\]"),
    ("another", {"steps": 1, "m": ok, "velocity": ok}, ValueError, "has the vectors"),
    ("lengths", {"steps": 1, "m": ok, "v": ok[:2]}, ValueError, "v must be a flat vector.*like the others"),
    ("integers", {"steps": 1, "m": [1, 2], "v": [1, 2]}, ValueError, "m must be a flat vector of float32 or"),
    ("2-D", {"steps": 1, "m": ok[None], "v": ok[None]}, ValueError, "m must be a flat vector"),
    ("NaN", {"steps": 1, "m": ok, "v": ok * np.nan}, ValueError, "v contains NaN"),
]  # fmt: skip


@pytest.mark.parametrize("state, error, words", [pytest.param(*s[1:], id=s[0]) for s in STATES])
def test_bad_states_are_refused(state, error, words):
    optimizer = Adam()
    optimizer.state = {"steps": 7, "m": ok, "v": ok + 1}
    before = {name: np.copy(value) for name, value in optimizer.state.items()}
    with pytest.raises(error, match=words):
        optimizer.state = state
    for name, value in before.items():
        np.testing.assert_array_equal(optimizer.state[name], value)


@pytest.mark.parametrize("method", ["fit", "step", "update"])
@pytest.mark.parametrize("other", [{"hidden": (7,)}, {"dtype": "float32"}])
def test_the_state_of_another_network_is_refused(backend, method, other):
    net, X, Y = flower()
    optimizer = Adam()
    net.step(X, Y, optimizer=optimizer)
    stranger, X, Y = flower(**{"dtype": "float64", **other})
    calls = {
        "fit": lambda: stranger.fit(X, Y, epochs=2, optimizer=optimizer),
        "step": lambda: stranger.step(X, Y, optimizer=optimizer),
        "update": lambda: optimizer.update(stranger, stranger.gradients(X, Y)[1]),
    }
    before = bits(stranger, optimizer)
    words = "Adam has the state of a network with 25 parameters of float64, got one with"
    with pytest.raises(ValueError, match=words):
        calls[method]()
    assert bits(stranger, optimizer) == before


# --- a loop of one's own ------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_update_in_a_loop_is_fit(backend, dtype, name):
    fitted, X, Y = flower(dtype)
    looped, _, _ = flower(dtype)
    one, other = OPTIMIZERS[name](), OPTIMIZERS[name]()
    history = fitted.fit(X, Y, epochs=12, learning_rate=RATES[name], optimizer=one)
    costs = []
    for _ in range(12):
        J, gradients = looped.gradients(X, Y)
        other.update(looped, gradients, learning_rate=RATES[name])
        costs.append(J)
    harness.assert_norm_within("trace", np.array(costs, dtype), history.cost.astype(dtype), "costs")
    harness.assert_norm_within("trace", looped.parameter_vector, fitted.parameter_vector, name)
    assert one.state["steps"] == other.state["steps"] == 12
    for slot in OPTIMIZERS[name].slots:
        harness.assert_norm_within("trace", other.state[slot], one.state[slot], slot)


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_fit(backend, dtype, name):
    fitted, X, Y = flower(dtype)
    stepped, _, _ = flower(dtype)
    one, other = OPTIMIZERS[name](), OPTIMIZERS[name]()
    fitted.fit(X, Y, epochs=12, learning_rate=RATES[name], optimizer=one)
    for _ in range(12):
        stepped.step(X, Y, learning_rate=RATES[name], optimizer=other)
    harness.assert_norm_within("trace", stepped.parameter_vector, fitted.parameter_vector, name)
    assert one.state["steps"] == other.state["steps"] == 12


def test_update_takes_any_dictionary(backend):
    """As `MLP.gradients` returns it, or any other of these names: in any order, copies, lists."""
    net, X, Y = flower()
    _, gradients = net.gradients(X, Y)
    others = (
        {name: array.copy() for name, array in reversed(gradients.items())},
        {name: array.tolist() for name, array in gradients.items()},
        copy.deepcopy(gradients),
    )
    twin = copy.deepcopy(net)
    GradientDescent().update(twin, gradients)
    for other in others:
        again = copy.deepcopy(net)
        GradientDescent().update(again, other)
        harness.assert_same_bits(again.parameter_vector, twin.parameter_vector)


def test_gradients_can_be_changed_before_the_update(backend):
    net, X, Y = flower()
    _, gradients = net.gradients(X, Y)
    before = net.parameter_vector.copy()
    expected = gradients.vector.copy()
    expected[:12] = 1.0
    gradients["dW1"] = np.ones((6, 2))
    gradients["db1"] *= 2
    expected[12:18] *= 2
    GradientDescent().update(net, gradients, learning_rate=0.5)
    harness.assert_norm_within("step", net.parameter_vector, before - 0.5 * expected, "changed")


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda g: {**g, "db2": g["db2"] * np.nan}, ValueError, "Input db2 contains NaN"),
        (lambda g: {k: v for k, v in g.items() if k != "dW1"}, ValueError, "gradient 'dW1' is missing"),
        (lambda g: {**g, "W1": g["dW1"]}, ValueError, "unknown gradient 'W1'"),
        (lambda g: {**g, "dW1": g["dW1"].T}, ValueError, r"dW1 has shape \(2, 6\), wanted \(6, 2\)"),
        (lambda g: list(g.values()), TypeError, "gradients must be a dictionary of arrays, got list"),
        (lambda g: None, TypeError, "gradients must be a dictionary"),
    ],
)  # fmt: skip
def test_bad_gradients_are_refused(backend, change, error, words):
    net, X, Y = flower()
    _, gradients = net.gradients(X, Y)
    optimizer = Adam()
    before = bits(net, optimizer)
    with pytest.raises(error, match=words):
        optimizer.update(net, change(gradients))
    assert bits(net, optimizer) == before


def test_gradients_that_became_nan_are_refused(backend):
    """Also in the fast way, where the gradients are one vector already."""
    net, X, Y = flower()
    _, gradients = net.gradients(X, Y)
    gradients.vector[-1] = np.inf
    before = bits(net, GradientDescent())
    with pytest.raises(ValueError, match="Input db2 contains infinity"):
        GradientDescent().update(net, gradients)
    assert bits(net, GradientDescent()) == before


# --- l2 and clipping ----------------------------------------------------------------------


def gradient_of_fit(net, X, Y, **options):
    """What one step of gradient descent follows, and the cost before it."""
    before = net.parameter_vector.copy()
    history = net.fit(X, Y, epochs=1, learning_rate=1.0, **options)
    gradient = before - net.parameter_vector
    net.parameter_vector[:] = before
    return float(history.cost[0]), gradient


@pytest.mark.parametrize("l2", [0.03, 1.0])
def test_l2_is_the_penalty(backend, l2):
    """J + l2 / 2 sum(W^2): its value, and its slope by central differences."""
    net, X, Y = flower()
    net.parameters["b1"] = np.full((6, 1), 0.5)

    def penalized():
        W1, b1, W2, b2 = net.parameters.values()
        return net.cost(X, Y) + l2 / 2 * ((W1**2).sum() + (W2**2).sum())

    J, gradient = gradient_of_fit(net, X, Y, l2=l2)
    harness.assert_number_within("step", J, penalized(), np.float64, "cost")
    slopes, w, h = np.empty_like(gradient), net.parameter_vector, 1e-5
    for i, value in enumerate(w.copy()):
        w[i] = value + h
        above = penalized()
        w[i] = value - h
        slopes[i] = (above - penalized()) / (2 * h)
        w[i] = value
    harness.assert_norm_within("central difference", gradient, slopes, f"l2={l2}")


def test_clip_norm(backend, dtype):
    net, X, Y = flower(dtype)
    _, gradient = gradient_of_fit(net, X, Y)
    norm = float(np.linalg.norm(gradient))
    _, clipped = gradient_of_fit(net, X, Y, clip_norm=norm / 4)
    harness.assert_norm_within("step", clipped, gradient / 4, "a quarter")
    _, whole = gradient_of_fit(net, X, Y, clip_norm=norm * 4)
    harness.assert_norm_within("step", whole, gradient, "not clipped")


def test_clipping_is_of_the_penalized_gradient(backend):
    net, X, Y = flower()
    _, penalized = gradient_of_fit(net, X, Y, l2=1.0)
    _, clipped = gradient_of_fit(net, X, Y, l2=1.0, clip_norm=0.01)
    expected = penalized * (0.01 / np.linalg.norm(penalized))
    harness.assert_norm_within("step", clipped, expected, "clipped last")


# --- sample weights -----------------------------------------------------------------------


def test_a_weight_is_a_number_of_copies(backend, dtype):
    weighted, X, Y = flower(dtype)
    copied, _, _ = flower(dtype)
    times = np.random.default_rng(0).integers(1, 4, 100)
    cost = weighted.fit(X, Y, epochs=20, sample_weight=times).cost
    expected = copied.fit(np.repeat(X, times, axis=1), np.repeat(Y, times, axis=1), epochs=20).cost
    harness.assert_norm_within("trace", cost.astype(dtype), expected.astype(dtype), "costs")
    harness.assert_norm_within(
        "trace", weighted.parameter_vector, copied.parameter_vector, "parameters"
    )


def test_a_weight_of_0_is_absence(backend, dtype):
    weighted, X, Y = flower(dtype)
    without, _, _ = flower(dtype)
    some = np.random.default_rng(0).integers(0, 2, 100).astype(bool)
    weighted.fit(X, Y, epochs=20, sample_weight=some)
    without.fit(X[:, some], Y[:, some], epochs=20)
    harness.assert_norm_within(
        "trace", weighted.parameter_vector, without.parameter_vector, "parameters"
    )


def test_weights_count_relative_to_each_other(backend):
    """Their sum divides: equal ones are none, of whatever size."""
    plain, X, Y = flower()
    for weight in (1.0, 1e-3, 1e6):
        net, _, _ = flower()
        net.fit(X, Y, epochs=10, sample_weight=np.full(100, weight))
        fresh, _, _ = flower()
        fresh.fit(X, Y, epochs=10)
        harness.assert_norm_within("trace", net.parameter_vector, fresh.parameter_vector, weight)


def test_weights_go_with_their_examples(backend):
    """In shuffled mini-batches too: examples of weight 0 leave no trace, whatever they hold."""
    ends = []
    weights = np.arange(100) % 2
    for value in (0.0, 5.0):
        net, X, Y = flower()
        X[:, weights == 0] = value
        net.fit(X, Y, epochs=5, batch_size=30, sample_weight=weights, seed=3)
        ends.append(net.parameter_vector.copy())
    harness.assert_norm_within("trace", ends[0], ends[1], "parameters")


# --- dropout ------------------------------------------------------------------------------


def test_dropout_is_off_outside_of_training(backend, dtype):
    dropped, X, Y = flower(dtype, dropout=0.5)
    plain, _, _ = flower(dtype)
    assert dropped.dropout == (0.5,) and plain.dropout == (0.0,)
    for method in ("forward", "predict"):
        harness.assert_same_bits(getattr(dropped, method)(X), getattr(plain, method)(X), method)
    assert dropped.cost(X, Y) == plain.cost(X, Y)
    assert dropped.score(X, Y) == plain.score(X, Y)
    harness.assert_same_bits(dropped.gradients(X, Y)[1].vector, plain.gradients(X, Y)[1].vector)
    assert dropped.check_gradients(X[:, :5], Y[:, :5]) < 1e-7
    dropped.fit(X, Y, epochs=1)
    plain.fit(X, Y, epochs=1)
    assert (dropped.parameter_vector != plain.parameter_vector).any(), "and on in training"


def dropped(**options):
    net, X, Y = flower(hidden=(6, 5), dropout=[0.2, 0.5])
    cost = net.fit(X, Y, epochs=6, learning_rate=0.3, **options).cost
    return net.parameter_vector.tobytes(), cost.tobytes()


@pytest.mark.parametrize(
    "options", [{}, {"batch_size": 16}, {"batch_size": 16, "optimizer": "adam"}]
)
def test_same_seed_same_masks(backend, options, monkeypatch):
    """However many epochs a call of the kernel takes, and however many threads."""
    first = dropped(seed=3, **options)
    assert dropped(seed=4, **options) != first
    for seconds, elements in ((1e-9, 1 << 18), (10.0, 250), (10.0, 1)):
        monkeypatch.setattr(loop, "CALL_SECONDS", seconds)
        monkeypatch.setattr(loop, "ORDER_ELEMENTS", elements)
        assert dropped(seed=3, **options) == first
    assert dropped(seed=3, threads=2, **options) == first


def test_masks_of_the_networks_own_generator(backend):
    """One seed, the network's, makes a script reproducible; two steps differ in their masks."""
    ends = []
    for _ in range(2):
        net, X, Y = flower(dropout=0.5)
        start, steps = net.parameter_vector.copy(), []
        for _ in range(2):
            net.parameter_vector[:] = start
            net.step(X, Y)
            steps.append(net.parameter_vector.tobytes())
        assert steps[0] != steps[1]
        ends.append(steps)
    assert ends[0] == ends[1]


def test_dropout_keeps_the_mean(backend):
    """The kept are scaled by 1 / (1 - dropout): over many steps the first costs average to that
    of a network whose output is linear in its hidden layer, plus their variance."""
    net = fastnn.MLP([1, 1, 1], "linear", "linear", init={
        "W1": [[1.0]], "b1": [[0.0]], "W2": [[1.0]], "b2": [[0.0]],
    }, dropout=0.25, dtype="float64")  # fmt: skip
    m = 20_000
    X, Y = np.ones((1, m)), np.zeros((1, m))
    J = net.step(X, Y, learning_rate=1e-300)
    # a = 0 with 1/4, 4/3 with 3/4: the mean of a^2 / 2 is 2/3, its deviation 0.385 / sqrt(m).
    assert abs(J - 2 / 3) < 4 * 0.385 / m**0.5


def test_dropout_of_each_layer(backend):
    """A list has one for each hidden layer, and 0 leaves a layer alone."""
    assert flower(hidden=(6, 5), dropout=0.3)[0].dropout == (0.3, 0.3)
    assert flower(hidden=(6, 5), dropout=(0.3, 0))[0].dropout == (0.3, 0.0)
    ends = []
    for dropout in (0.0, [0.0, 0.0], [0.0, 0.4]):
        net, X, Y = flower(hidden=(6, 5), dropout=dropout)
        net.fit(X, Y, epochs=3)
        ends.append(net.parameter_vector.tobytes())
    assert ends[0] == ends[1] != ends[2]


# --- huber and gelu -----------------------------------------------------------------------


def test_huber_by_hand(backend, dtype):
    """r^2 / 2 up to delta, then delta (|r| - delta / 2)."""
    A, Y = np.array([[0.5, 3.0, -4.0]], dtype), np.zeros((1, 3), dtype)
    assert fastnn.cost(A, Y, "huber") == (0.125 + 2.5 + 3.5) / 3
    assert fastnn.cost(A, Y, ("huber", 2.0)) == (0.125 + 4.0 + 6.0) / 3
    assert fastnn.cost(A, Y, ("huber", 100.0)) == fastnn.cost(A, Y, "mse")


def test_huber_minds_outliers_less(backend):
    X = np.linspace(-1, 1, 41)[None]
    Y = 2 * X
    Y[0, 3] = 50.0
    slopes = {}
    for loss in ("mse", ("huber", 0.1)):
        net = fastnn.MLP([1, 1], output="linear", loss=loss, init="zeros", dtype="float64")
        assert net.loss == loss
        net.fit(X, Y, epochs=3000, learning_rate=0.3)
        slopes[loss] = float(net.parameters["W1"][0, 0])
    assert abs(slopes["huber", 0.1] - 2) < 0.1 < 1 < abs(slopes["mse"] - 2)


def test_gelu_learns(backend):
    net, X, Y = flower("float32", hidden=(16,))
    gelu = fastnn.MLP([2, 16, 1], "gelu", seed=1)
    assert gelu.activations == ("gelu", "sigmoid")
    history = gelu.fit(X, Y, epochs=500, optimizer="adam", learning_rate=0.02)
    assert history.cost[-1] < 0.6 * history.cost[0]
    assert gelu.score(X, Y) > 0.85
    gelu64 = copy.deepcopy(gelu)
    assert gelu64.check_gradients(X[:, :10], Y[:, :10]) < 1e-7


# --- copies of networks with all of it ----------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_of_all_that_is_new(backend, duplicate):
    net = fastnn.MLP(
        [2, 6, 5, 1], ["gelu", ("leaky_relu", 0.1)], "linear", ("huber", 0.5), dropout=[0.2, 0.1]
    )
    _, X, Y = flower("float32")
    net.fit(X, Y, epochs=2, optimizer="adam")
    twin = duplicate(net)
    for name in ("layer_sizes", "activations", "loss", "dropout", "dtype"):
        assert getattr(twin, name) == getattr(net, name), name
    for each in (net, twin):
        each.fit(X, Y, epochs=3, batch_size=20, l2=0.01, clip_norm=1.0, optimizer="adam")
    harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)
