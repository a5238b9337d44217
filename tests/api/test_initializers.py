"""The initial weights: their distribution, and that a seed means the same everywhere."""

import numpy as np
import pytest
from support.tables import BACKENDS

import fastnn
from fastnn import initializers


def weights(init, n_in=300, n_out=400, **options):
    net = fastnn.MLP([n_in, n_out], init=init, **options)
    assert not net.parameters["b1"].any(), "biases start at zero"
    return net.parameters["W1"]


@pytest.mark.parametrize(
    "init, scale",
    [
        ("small_normal", 0.01),
        ("he", (2 / 300) ** 0.5),
        ("xavier", 300**-0.5),
        (0.01, 0.01),
        (2, 2.0),
    ],
)
def test_normal_with_the_scale_of_the_table(init, scale):
    W = weights(init, dtype="float64", seed=1) / scale
    # 120 000 numbers: the mean is N(0, 1/346), the deviation 1 + N(0, 1/490); four sigma.
    assert abs(W.mean()) < 4 / 346
    assert abs(W.std() - 1) < 4 / 490
    # Shape: shares of a normal distribution within one and two deviations.
    assert abs((np.abs(W) < 1).mean() - 0.6827) < 0.006
    assert abs((np.abs(W) < 2).mean() - 0.9545) < 0.003
    # And no two units are alike.
    assert len(np.unique(W)) == W.size


def test_zeros():
    assert not weights("zeros").any()
    assert not weights(0).any()


@pytest.mark.parametrize(
    "hidden, output, scales",
    [
        ("relu", "linear", ["he", "xavier"]),
        (("leaky_relu", 0.1), "softmax", ["he", "xavier"]),
        ("tanh", "sigmoid", ["xavier", "xavier"]),
        ("sigmoid", "relu", ["xavier", "he"]),
        ("linear", "tanh", ["xavier", "xavier"]),
    ],
)
def test_auto_suits_each_layer(hidden, output, scales):
    auto, by_name = fastnn.MLP([5, 6, 7], hidden, output), []
    for init in scales:
        by_name.append(fastnn.MLP([5, 6, 7], hidden, output, init=init))
    for l, net in enumerate(by_name, start=1):
        np.testing.assert_array_equal(auto.parameters[f"W{l}"], net.parameters[f"W{l}"])


def test_same_seed_same_parameters_in_every_backend(dtype):
    vectors = []
    for name in BACKENDS:
        with fastnn.use_backend(name):
            net = fastnn.MLP([7, 5, 3], hidden="relu", seed=42, dtype=dtype)
            vectors.append(net.parameter_vector.tobytes())
    assert vectors[0] == vectors[1] == vectors[2]


def test_seeds():
    def first(seed):
        return weights("he", 3, 2, seed=seed).tobytes()

    assert first(0) == weights("he", 3, 2).tobytes(), "0 is the default"
    assert first(1) != first(0)
    assert first(None) != first(None)
    assert first(np.random.default_rng(5)) == first(5)
    generator = np.random.default_rng(5)
    assert first(generator) != first(generator), "a generator goes on"


def test_float32_is_float64_rounded():
    single, double = (weights("he", seed=3, dtype=d) for d in ("float32", "float64"))
    np.testing.assert_array_equal(single, double.astype(np.float32))


def test_the_global_generator_is_left_alone():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fastnn.MLP([3, 2], seed=None)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(
    "init, error",
    [
        ("glorot", ValueError),
        (1e300, ValueError),
        (1e38, ValueError),
        (np.inf, ValueError),
        (b"0.1", TypeError),
        (-0.1, ValueError),
        (float("nan"), ValueError),
        (None, TypeError),
        (True, TypeError),
    ],
)
def test_unknown_initial_weights_are_refused(init, error):
    with pytest.raises(error, match="init must be"):
        fastnn.MLP([2, 1], init=init)


@pytest.mark.parametrize("init, dtype", [(1e300, "float32"), (1e37, "float32"), (1e308, "float64")])
def test_infinite_weights_are_refused(init, dtype):
    """A draw of N(0, 1) may be as far out as 40; no generator has moved."""
    generator = np.random.default_rng(0)
    before = generator.bit_generator.state
    with pytest.raises(ValueError, match=f"init must be .* finite in {dtype}"):
        fastnn.MLP([2, 1], init=init, dtype=dtype, seed=generator)
    assert generator.bit_generator.state == before


def test_weights_that_would_vanish_are_refused():
    with pytest.raises(ValueError, match="init: 1e-60 becomes 0 in float32"):
        fastnn.MLP([2, 1], init=1e-60)
    assert fastnn.MLP([2, 1], init=1e-60, dtype="float64").parameters["W1"].any()
    assert np.isfinite(fastnn.MLP([20, 30], init=8e36).parameters["W1"]).all()


def test_rows_say_what_they_are_for():
    assert list(initializers.INITIALIZERS) == ["small_normal", "he", "xavier", "zeros"]
    for row in initializers.INITIALIZERS.values():
        assert row.formula and row.use
        assert row.scale(8) >= 0


def test_zeros_never_break_the_symmetry(backend):
    """The course's question: units that start equal stay equal for ever."""
    net = fastnn.MLP([2, 4, 1], init="zeros", seed=0)
    X, Y = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0.0, 1, 1, 1]])
    net.fit(X, Y, epochs=200, learning_rate=1.0)
    W1, W2 = net.parameters["W1"], net.parameters["W2"]
    assert (W1 == W1[0]).all() and (W2 == W2[0, 0]).all()
