"""fit(..., standardize=True): the same as by hand, folded in, and nothing half done."""

import copy
import pickle

import numpy as np
import pytest
from support import harness
from support.interruption import ctrl_c_after

import fastnn
from fastnn.scaling import MeanAndScale, Scaling


def regression(dtype="float64", m=60, n_out=2, seed=0):
    """Inputs and targets far from unit scale, one input of them constant."""
    rng = np.random.default_rng(seed)
    X = rng.normal([[50.0], [-3.0], [1e-3]], [[20.0], [0.1], [1e-4]], (3, m))
    X = np.vstack([X, np.full((1, m), 7.0)]).astype(dtype)
    Y = np.stack([1000 * np.tanh((X[0] - 50) / 20), 1e-2 * X[1]][:n_out])
    return X, Y.astype(dtype)


def mlp(dtype="float64", n_out=2, **options):
    options = {"hidden": "tanh", "output": "linear", "seed": 3} | options
    return fastnn.MLP([4, 6, n_out], dtype=dtype, **options)


def by_hand(X, weights=None):
    """Mean and standard deviation as NumPy has them, 1 for a constant; columns."""
    X = X.astype(np.float64)
    if weights is None:
        mean, scale = X.mean(axis=1, keepdims=True), X.std(axis=1, keepdims=True)
    else:
        mean = np.average(X, axis=1, weights=weights, keepdims=True)
        scale = np.sqrt(np.average((X - mean) ** 2, axis=1, weights=weights, keepdims=True))
    return mean, np.where(np.ptp(X, axis=1, keepdims=True) == 0, 1.0, scale)


# --- the same as by hand ------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", "mae", ("huber", 0.7)])
def test_same_as_by_hand(backend, dtype, loss):
    """The training itself has the bits of one on standardised data; its costs are of them."""
    X, Y = regression(dtype)
    net, twin = mlp(dtype, loss=loss), mlp(dtype, loss=loss)
    options = {"epochs": 5, "batch_size": 16, "learning_rate": 0.05, "l2": 0.01}
    history = net.fit(X, Y, standardize=True, **options)
    of_X, of_Y = net.scaling
    plain = twin.fit(of_X.standardized(X), of_Y.standardized(Y), **options)
    harness.assert_same_bits(history.cost, plain.cost)
    harness.assert_same_bits(
        net.parameter_vector, net.scaling.folded(twin.parameter_vector, net.layer_sizes)
    )
    assert net.generator.bit_generator.state == twin.generator.bit_generator.state
    wanted = of_Y.restored(twin.forward(of_X.standardized(X)))
    np.testing.assert_allclose(
        net.forward(X), wanted, rtol=0, atol=np.abs(wanted).max() * 500 * np.finfo(dtype).eps
    )
    for (mean, scale), data in ((of_X, X), (of_Y, Y)):
        assert mean.dtype == scale.dtype == np.float64
        np.testing.assert_allclose([mean, scale], np.stack(by_hand(data))[:, :, 0], rtol=1e-9)


def test_same_as_numpy_by_hand(backend):
    """With NumPy's own mean and standard deviation, and folded on paper."""
    X, Y = regression()
    net, twin = mlp(), mlp()
    net.fit(X, Y, epochs=20, learning_rate=0.05, standardize=True)
    (x_mean, x_scale), (y_mean, y_scale) = by_hand(X), by_hand(Y)
    twin.fit((X - x_mean) / x_scale, (Y - y_mean) / y_scale, epochs=20, learning_rate=0.05)
    W1, b1, W2, b2 = twin.parameters.values()
    W1 = W1 / x_scale.T
    wanted = W1, b1 - W1 @ x_mean, y_scale * W2, y_scale * b2 + y_mean
    for actual, want in zip(net.parameters.values(), wanted, strict=True):
        np.testing.assert_allclose(actual, want, rtol=1e-9, atol=1e-9 * np.abs(want).max())
    A = net.forward(X)
    by_twin = y_scale * twin.forward((X - x_mean) / x_scale) + y_mean
    harness.assert_norm_within("trace", A, by_twin, "forward")
    assert net.score(X, Y) == pytest.approx(
        twin.score((X - x_mean) / x_scale, (Y - y_mean) / y_scale)
    )


def test_it_is_worth_it():
    """The data are learnt that plain descent cannot learn at any learning rate of its."""
    X, Y = regression(m=200)
    net = mlp()
    net.fit(X, Y, epochs=300, optimizer="adam", learning_rate=0.02, standardize=True)
    assert net.score(X, Y) > 0.9


def test_classes_keep_their_targets(backend, dtype):
    X, _ = regression(dtype)
    labels = (X[0] > 50).astype(int)
    for output in ("sigmoid", "softmax"):
        net, twin = (mlp(dtype, 1 + (output == "softmax"), output=output) for _ in range(2))
        net.fit(X, labels, epochs=4, standardize=True)
        assert net.scaling.Y is None
        twin.fit(net.scaling.X.standardized(X), labels, epochs=4)
        harness.assert_same_bits(
            net.parameter_vector, net.scaling.folded(twin.parameter_vector, net.layer_sizes)
        )


@pytest.mark.parametrize(
    "options, scales_targets",
    [
        ({}, True), ({"loss": "mae"}, True), ({"loss": ("huber", 2.0)}, True),
        ({"output": "softplus", "loss": "mse"}, False), ({"output": "exponential"}, False),
        ({"output": "sigmoid"}, False), ({"output": "relu", "loss": "mae"}, False),
        ({"loss": lambda A, Y: (np.mean((A - Y) ** 2), 2 * (A - Y) / A.size)}, False),
    ],
)  # fmt: skip
def test_which_targets_are_standardised(options, scales_targets):
    X, Y = np.array([[1.0, 2.0, 4.0]]), np.array([[0.1, 0.9, 0.4]])
    net = fastnn.MLP([1, 2, 1], **({"output": "linear", "dtype": "float64"} | options))
    net.fit(X, Y, epochs=2, standardize=True)
    assert (net.scaling.Y is not None) is scales_targets


def test_one_layer(backend):
    """The first layer is the last."""
    X, Y = regression()
    net = fastnn.MLP([4, 2], output="linear", dtype="float64")
    net.fit(X, Y, epochs=400, learning_rate=0.3, standardize=True)
    solution = np.linalg.lstsq(np.vstack([X[:3], np.ones(X.shape[1])]).T, Y.T)[0].T
    np.testing.assert_allclose(
        net.forward(X), solution @ np.vstack([X[:3], np.ones(X.shape[1])]), rtol=1e-6,
        atol=1e-6 * np.abs(Y).max(),
    )  # fmt: skip


def test_lbfgs_and_own_losses_too(backend):
    X, Y = regression()
    net, twin = mlp(), mlp()
    net.fit(X, Y, epochs=30, optimizer="lbfgs", standardize=True)
    twin.fit(*(of.standardized(Z) for of, Z in zip(net.scaling, (X, Y))), 30, optimizer="lbfgs")
    harness.assert_same_bits(
        net.parameter_vector, net.scaling.folded(twin.parameter_vector, net.layer_sizes)
    )

    def quartic(A, Y):
        return ((A - Y) ** 4).mean(), 4 * (A - Y) ** 3 / A.size

    net, twin = mlp(loss=quartic), mlp(loss=quartic)
    net.fit(X, Y / 1000, epochs=3, standardize=True)
    twin.fit(net.scaling.X.standardized(X), Y / 1000, epochs=3)
    harness.assert_same_bits(
        net.parameter_vector, net.scaling.folded(twin.parameter_vector, net.layer_sizes)
    )


# --- mean and scale -----------------------------------------------------------------------


def test_the_training_part_alone_teaches(backend):
    """Not what is held out; and the split is that of a plain training."""
    X, Y = regression()
    X[0, ::7] += 1e4
    net, twin = mlp(), mlp()
    net.fit(X, Y, epochs=2, validation_fraction=0.5, seed=3, standardize=True)
    training, held_out = fastnn.validation.hold_out(0.5, None, 60, np.random.default_rng(3))
    mean, scale = by_hand(X[:, training])
    np.testing.assert_allclose(net.scaling.X.mean, mean[:, 0], rtol=1e-12)
    np.testing.assert_allclose(net.scaling.X.scale, scale[:, 0], rtol=1e-12)
    twin.fit(
        X[:, training], Y[:, training], epochs=2, standardize=True,
        validation_data=(X[:, held_out], Y[:, held_out]),
    )  # fmt: skip
    harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)


def test_weights_count(backend, dtype):
    """An example of weight 2 counts twice, one of weight 0 not at all."""
    X, Y = regression(dtype)
    X[0, 0], X[3, 0] = 1e6, 8.0  # the constant one is constant where it counts
    weights = np.arange(60) % 3 + 0.5
    weights[0] = 0
    net = mlp(dtype)
    net.fit(X, Y, epochs=1, sample_weight=weights, standardize=True)
    mean, scale = by_hand(X[:, 1:], weights[1:])
    np.testing.assert_allclose(net.scaling.X.mean, mean[:, 0], rtol=1e-6)
    np.testing.assert_allclose(net.scaling.X.scale, scale[:, 0], rtol=1e-6)
    assert net.scaling.X.mean[3] == 7 and net.scaling.X.scale[3] == 1


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.3, -1e-300, 0.0, 1e300])
def test_constants_have_the_scale_1(value):
    """Also where their rounded mean is another number."""
    X = np.full((1, 9_999), value)
    net = fastnn.MLP([1, 1], output="linear", dtype="float64")
    net.fit(X, np.linspace(0, 1, 9_999), epochs=1, standardize=True)
    assert net.scaling.X == (np.array([value]), np.array([1.0]))


@pytest.mark.parametrize("unit", [1e-250, 1e-12, 1.0, 1e12, 1e250])
def test_any_unit(unit):
    """No square overflows or vanishes, and a large mean costs no digits of the scale."""
    X = unit * (1e4 + np.linspace(-1, 1, 101)[None])
    of_X, _ = fastnn.scaling.learn(fastnn.MLP([1, 1], dtype="float64"), X, X)
    assert of_X.scale[0] / unit == pytest.approx(np.linspace(-1, 1, 101).std(), rel=1e-9)


def test_all_blocks_are_seen(monkeypatch):
    X, Y = regression()
    whole, weights = fastnn.scaling.learn(mlp(), X, Y), np.ones((1, 60))
    monkeypatch.setattr(fastnn.scaling, "BLOCK", 28)
    for parts in (fastnn.scaling.learn(mlp(), X, Y), fastnn.scaling.learn(mlp(), X, Y, weights)):
        for part, pair in zip(parts, whole, strict=True):
            np.testing.assert_allclose(part, pair, rtol=1e-12)
    harness.assert_same_bits(
        whole.X.standardized(X), (X - whole.X.mean[:, None]) / whole.X.scale[:, None]
    )


def test_layouts_are_kept():
    """Mini-batches want each example contiguous, where the user has it so."""
    of = MeanAndScale(np.zeros(3), np.ones(3))
    for X in (np.ones((3, 5)), np.ones((5, 3)).T):
        assert of.standardized(X).flags.f_contiguous == X.flags.f_contiguous


@pytest.mark.parametrize("X, words", [(1e-33, r"X\[1\] is 1e-33"), (1e33, r"X\[1\]")])
def test_scales_that_cannot_be_folded(X, words):
    net = fastnn.MLP([2, 1], output="linear")
    before = net.parameter_vector.copy()
    words = rf"the standard deviation of {words}.* wanted one from 1e-30 to 1e\+30 .* in float32; a"
    with pytest.raises(ValueError, match=words):
        net.fit([[0, 1.0], [-X, X]], [[0, 1.0]], epochs=1, standardize=True)
    harness.assert_same_bits(net.parameter_vector, before)
    assert net.scaling is None


def test_parameters_that_overflow_when_folded(backend):
    """All is as it was, the optimizer and the generator too."""
    net = fastnn.MLP([1, 4, 1], output="linear")
    net.parameter_vector[:] = 1e12
    before, adam = net.parameter_vector.copy(), fastnn.optimizers.Adam()
    state = net.generator.bit_generator.state
    with pytest.raises(
        ValueError, match="standardize: with the scaling folded .* overflow in float32"
    ):
        net.fit(
            [[0, 2e-29, 4e-29]], [[0, 1.0, 3.0]], epochs=1, batch_size=2, optimizer=adam,
            standardize=True,
        )  # fmt: skip
    harness.assert_same_bits(net.parameter_vector, before)
    assert net.scaling is None and adam.steps == 0 and list(adam.state) == ["steps"]
    assert net.generator.bit_generator.state == state


# --- going on -----------------------------------------------------------------------------


def test_going_on_is_one_training(backend, dtype):
    """Two calls are one, to the rounding of what is folded and unfolded; Adam's object too."""
    X, Y = regression(dtype)
    options = {"learning_rate": 0.01, "shuffle": False, "batch_size": 20}
    once, twice = mlp(dtype), mlp(dtype)
    once.fit(X, Y, epochs=10, optimizer=fastnn.optimizers.Adam(), standardize=True, **options)
    adam = fastnn.optimizers.Adam()
    for standardize in (True, None):
        twice.fit(X, Y, epochs=5, optimizer=adam, standardize=standardize, **options)
    A, wanted = twice.forward(X), once.forward(X)
    tolerance = 1e-3 if dtype == np.float32 else 1e-11  # the sums reach 50 times their spread
    np.testing.assert_allclose(A, wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def test_mean_and_scale_are_learnt_once():
    X, Y = regression()
    net = mlp()
    net.fit(X, Y, epochs=2, standardize=True)
    first = net.scaling
    net.fit(X + 5, Y, epochs=2, standardize=True)
    assert net.scaling is first
    net.fit(X[:, :1], Y[:, :1], epochs=1)
    assert net.scaling is first


def test_plain_training_in_between():
    """standardize=False trains on the data as they are; the scaling stays for later."""
    X, Y = regression()
    net = mlp()
    net.fit(X, Y, epochs=2, standardize=True)
    twin, scaling = net.copy(), net.scaling
    twin.scaling = None
    for each in (net, twin):
        each.fit(X, Y, epochs=2, learning_rate=1e-9, standardize=False)
    harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)
    assert net.scaling is scaling and twin.scaling is None


def test_one_epoch_goes_on_too():
    """Not by the short way, which knows no scaling."""
    X, Y = regression()
    net = mlp()
    net.fit(X, Y, epochs=1, standardize=True)
    twin = net.copy()
    net.fit(X, Y, 1)
    twin.fit(X, Y, 1, standardize=True)
    harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)


# --- what is looked at --------------------------------------------------------------------


def test_costs_are_of_standardised_data_and_metrics_of_ours(backend):
    X, Y = regression()
    seen = []

    def largest(y, A):
        with pytest.raises(ValueError, match="read-only"):
            y[...] = 0
        seen.append(y)
        return np.abs(y - A).max()

    for data in (None, (X[:, :20] * 1.1, Y[:, :20])):
        net = mlp()
        history = net.fit(
            X, Y, epochs=3, standardize=True, validation_data=data,
            metrics=["r2", "mean_absolute_error", largest],
        )  # fmt: skip
        x, y = data or (X, Y)
        A = net.forward(x)
        np.testing.assert_array_equal(seen[-1], y)
        assert history.metrics["mean_absolute_error"][-1] == pytest.approx(
            np.abs(A - y).mean(), rel=1e-9
        )
        assert history.metrics["largest"][-1] == pytest.approx(np.abs(A - y).max(), rel=1e-9)
        assert history.metrics["r2"][-1] == pytest.approx(net.score(x, y), rel=1e-9)
        if data:
            of_Y = net.scaling.Y
            J = ((of_Y.standardized(A) - of_Y.standardized(y)) ** 2).sum(axis=0).mean() / 2
            assert history.validation_cost[-1] == pytest.approx(J, rel=1e-9)


def test_callbacks_and_progress_see_the_network_as_it_is(backend):
    X, Y = regression()
    net, seen = mlp(), []

    def look(epoch, history):
        assert net.scaling is not None
        seen.append((net.score(X, Y), net.forward(X)))

    history = net.fit(
        X, Y, epochs=4, learning_rate=0.05, standardize=True, callbacks=[look], metrics="r2"
    )
    np.testing.assert_allclose([score for score, _ in seen], history.metrics["r2"], rtol=1e-9)
    harness.assert_same_bits(seen[-1][1], net.forward(X))
    seen.clear()
    mlp_of_progress = net = mlp()
    net.fit(X, Y, epochs=2, standardize=True, progress=look)
    harness.assert_same_bits(seen[-1][1], mlp_of_progress.forward(X))


def test_what_a_callback_writes_is_trained_on(backend):
    X, Y = regression()
    net, twin = mlp(), mlp()

    def reset(epoch, history):
        if epoch == 2:
            net.parameters["b2"][...] = net.scaling.Y.mean[:, None]

    net.fit(X, Y, epochs=3, standardize=True, callbacks=[reset])
    twin.fit(X, Y, epochs=2, standardize=True)
    twin.parameters["b2"][...] = twin.scaling.Y.mean[:, None]
    twin.fit(X, Y, epochs=1)
    np.testing.assert_allclose(net.parameter_vector, twin.parameter_vector, rtol=1e-9, atol=1e-9)


def test_patience_goes_back_to_the_best(backend):
    X, Y = regression()
    net = mlp()
    best = []
    history = net.fit(
        X, Y, epochs=60, optimizer="adam", learning_rate=0.3, validation_fraction=0.4, patience=5,
        standardize=True, callbacks=[lambda e, h: best.append(net.parameter_vector.copy())],
    )  # fmt: skip
    assert history.stopped_early
    harness.assert_same_bits(net.parameter_vector, best[history.best_epoch - 1])


# --- nothing half done --------------------------------------------------------------------


def test_an_error_leaves_all_as_it_was(backend):
    X, Y = regression()
    for trained in (False, True):
        net, adam = mlp(), fastnn.optimizers.Adam()
        if trained:
            net.fit(X, Y, epochs=2, optimizer=adam, standardize=True)
        before, scaling, steps = net.parameter_vector.copy(), net.scaling, adam.steps
        state = net.generator.bit_generator.state

        def fail(epoch, history):
            if epoch == 2:
                raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            net.fit(
                X, Y, epochs=4, batch_size=16, optimizer=adam, standardize=True, callbacks=[fail]
            )
        harness.assert_same_bits(net.parameter_vector, before)
        assert net.scaling is scaling and adam.steps == steps
        assert net.generator.bit_generator.state == state


def test_divergence_leaves_the_last_finite_epoch(backend):
    X, Y = regression()
    net = mlp()
    before = net.parameter_vector.copy()
    with pytest.raises(ValueError, match="non-finite"):
        net.fit(X, Y, epochs=2000, learning_rate=1e150, standardize=True)
    assert np.isfinite(net.parameter_vector).all()
    if net.scaling is None:
        harness.assert_same_bits(net.parameter_vector, before)


def test_ctrl_c_leaves_the_last_whole_epoch_folded(backend):
    X, Y = regression(m=600)
    net, adam = mlp(), fastnn.optimizers.Adam()
    mlp().fit(X, Y, epochs=1, optimizer="adam", batch_size=100, standardize=True)  # compiled
    with ctrl_c_after(0.3):
        net.fit(X, Y, 10_000_000, optimizer=adam, batch_size=100, seed=5, standardize=True)
    assert adam.steps > 0 and adam.steps % 6 == 0
    twin = mlp()
    twin.fit(X, Y, adam.steps // 6, optimizer="adam", batch_size=100, seed=5, standardize=True)
    harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)


def test_wrong_switches():
    X, Y = regression()
    for value in (1, "X", [True]):
        with pytest.raises(TypeError, match="standardize must be True or False, got"):
            mlp().fit(X, Y, standardize=value)
    with pytest.raises(TypeError, match="did you mean 'standardize'"):
        mlp().fit(X, Y, normalize=True)


# --- beside the network -------------------------------------------------------------------


def test_forward_costs_nothing_more(backend, monkeypatch):
    """The same engine of the same layers, and one call of it."""
    X, Y = regression()
    net, plain = mlp(), mlp()
    net.fit(X, Y, epochs=1, standardize=True)
    assert type(net.engine) is type(plain.engine) and net.engine.layers == plain.engine.layers
    plain.parameter_vector[:] = net.parameter_vector
    harness.assert_same_bits(net.forward(X), plain.forward(X))
    assert plain.cost(X, Y) == net.cost(X, Y)


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, copy.copy, lambda n: pickle.loads(pickle.dumps(n)), fastnn.MLP.copy],
)
def test_copies_have_it(duplicate):
    X, Y = regression()
    net = mlp()
    net.fit(X, Y, epochs=1, standardize=True)
    twin = duplicate(net)
    for pair, own in zip(twin.scaling, net.scaling, strict=True):
        for array, wanted in zip(pair, own, strict=True):
            harness.assert_same_bits(array, wanted)
            assert not array.flags.writeable
    twin.fit(X, Y, epochs=2)
    if duplicate is not copy.copy:
        assert net.parameter_vector.tobytes() != twin.parameter_vector.tobytes()


def test_it_is_shown():
    X, Y = regression()
    net = mlp("float32")
    assert "standardized" not in repr(net)
    net.fit(X, Y, epochs=1, standardize=True)
    assert "44 parameters, standardized, on" in repr(net)


ZEROS, ONES = np.zeros(4), np.ones(4)
WRONG = [
    ((1, 2), TypeError, "scaling must be None or a Scaling, got tuple"),
    (Scaling(None), TypeError, r"X must be a pair \(mean, scale\), got None"),
    (Scaling((ZEROS, np.ones(3))), ValueError, r"X.scale has shape \(3,\), wanted \(4,\)"),
    (Scaling((np.nan * ONES, ONES)), ValueError, "X.mean contains NaN"),
    (Scaling((ZEROS, ZEROS)), ValueError, r"the standard deviation of X\[0\] is 0"),
    (Scaling((ZEROS, -ONES)), ValueError, r"X\[0\] is -1"),
    (
        Scaling((ZEROS, ONES), (np.zeros(1), np.ones(1))),
        ValueError,
        r"Y.mean has shape \(1,\), wanted \(2,\)",
    ),
]


@pytest.mark.parametrize("value, error, words", WRONG)
def test_wrong_scalings(value, error, words):
    net = mlp()
    with pytest.raises(error, match=words):
        net.scaling = value
    assert net.scaling is None


def test_no_scaling_of_targets_that_are_classes():
    net = mlp(output="sigmoid")
    with pytest.raises(ValueError, match="Y must be None where the targets are no values"):
        net.scaling = Scaling((np.zeros(4), np.ones(4)), (np.zeros(2), np.ones(2)))


def test_many_networks_at_once():
    X, Y = regression()
    networks, alone = [mlp(seed=s) for s in range(3)], [mlp(seed=s) for s in range(3)]
    fastnn.fit_many(networks, X, Y, epochs=3, standardize=True)
    for net, twin in zip(networks, alone, strict=True):
        twin.fit(X, Y, epochs=3, standardize=True)
        harness.assert_same_bits(net.parameter_vector, twin.parameter_vector)
