"""MLP: its parameters, and what can be asked of it, in every backend."""

import copy
import pickle

import numpy as np
import pytest
from support import harness, network_checks
from support.tables import BACKENDS, NETWORKS, PAIRS, SLOPE, NetworkCase

import fastnn
from fastnn import _kernels_numpy as reference


def mlp(case, dtype="float64"):
    """The public network of a case of the table, with its parameters."""

    def named(activation):
        return ("leaky_relu", SLOPE) if activation == "leaky_relu" else activation

    net = fastnn.MLP(
        case.layer_sizes,
        [named(g) for g in case.hidden],
        named(case.output),
        case.loss,
        dtype=dtype,
    )
    net.parameter_vector[:] = network_checks.parameters_of(case, np.dtype(dtype).type)
    return net


SMALL = NetworkCase((3, 5, 2), ("tanh",), "mse", "linear", 8)


# --- parameters ---------------------------------------------------------------------------


def test_parameters_are_views_of_one_vector(backend, dtype):
    net = fastnn.MLP([3, 5, 2], dtype=dtype)
    shapes = {name: array.shape for name, array in net.parameters.items()}
    assert list(shapes.items()) == [("W1", (5, 3)), ("b1", (5, 1)), ("W2", (2, 5)), ("b2", (2, 1))]
    assert net.parameter_vector.shape == (5 * 3 + 5 + 2 * 5 + 2,)
    for array in net.parameters.values():
        assert array.dtype == dtype and array.flags.writeable and array.flags.c_contiguous
        assert np.shares_memory(array, net.parameter_vector)
    flat = np.concatenate([array.ravel() for array in net.parameters.values()])
    harness.assert_same_bits(flat, net.parameter_vector)


def test_writing_into_parameters_changes_the_network(backend):
    net = fastnn.MLP([2, 2], output="linear", dtype="float64")
    net.parameters["W1"][...] = [[1, 2], [3, 4]]
    net.parameters["b1"][...] = [[10], [20]]
    np.testing.assert_array_equal(net.forward([[1.0], [1.0]]), [[13], [27]])
    net.parameter_vector[0] = 5
    np.testing.assert_array_equal(net.forward([[1.0], [1.0]]), [[17], [27]])


def test_set_parameters_copies(backend, dtype):
    net = fastnn.MLP([3, 5, 2], dtype=dtype)
    values = {name: np.full(array.shape, 0.5) for name, array in net.parameters.items()}
    held = net.parameters["W1"]
    net.set_parameters(values)
    values["W1"][...] = 7
    assert (net.parameter_vector == 0.5).all()
    assert (held == 0.5).all(), "views that were taken before stay views"
    net.set_parameters(net.parameters)
    assert (net.parameter_vector == 0.5).all()


def test_set_parameters_from_its_own_views(backend):
    """Reversed views of the vector itself: nothing may be overwritten before it is read."""
    net = fastnn.MLP([1, 2, 1], dtype="float64")
    net.parameter_vector[:] = np.arange(7.0)
    own = net.parameter_vector
    net.set_parameters({
        "W1": own[::-1][:2].reshape(2, 1), "b1": own[::-1][2:4].reshape(2, 1),
        "W2": own[::-1][4:6].reshape(1, 2), "b2": own[::-1][6:].reshape(1, 1),
    })  # fmt: skip
    np.testing.assert_array_equal(net.parameter_vector, np.arange(7.0)[::-1])


def test_attributes():
    net = fastnn.MLP((4, 3, 2), hidden=("leaky_relu", 0.2), output="softmax", dtype="f8")
    assert net.layer_sizes == (4, 3, 2)
    assert net.activations == (("leaky_relu", 0.2), "softmax")
    assert net.loss == "cross_entropy"
    assert net.dtype == np.float64
    assert isinstance(net.generator, np.random.Generator)
    assert "4-3-2" in repr(net) and "softmax" in repr(net)
    assert fastnn.MLP([2, 3, 4, 1], hidden=["relu", ("leaky_relu", 0.5)]).activations == (
        "relu", ("leaky_relu", 0.5), "sigmoid",
    )  # fmt: skip
    assert fastnn.MLP([2, 1]).activations == ("sigmoid",)
    assert fastnn.MLP([2, 1]).dtype == np.float32
    for name in ("layer_sizes", "activations", "loss", "dtype", "parameters"):
        with pytest.raises(AttributeError):
            setattr(net, name, None)


# --- forward and back ---------------------------------------------------------------------


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_forward_and_gradients(backend, dtype, case):
    """Against the reference kernels, through the whole of the public API."""
    net, (X, Y) = mlp(case, dtype), network_checks.examples(case, dtype)
    engine = network_checks.network(reference, case, network_checks.parameters_of(case, dtype))
    A = np.empty((case.layer_sizes[-1], case.m), dtype)
    engine.forward(X, A)
    harness.assert_norm_within("step", net.forward(X), A, case)
    expected = np.empty_like(net.parameter_vector)
    cost = engine.cost_and_gradients(X, Y, expected)
    J, gradients = net.gradients(X, Y)
    harness.assert_number_within("step", J, cost, dtype, case)
    harness.assert_number_within("step", net.cost(X, Y), cost, dtype, case)
    for name, want in network_checks.layers_of(case, expected).items():
        got = gradients[f"d{name}"]
        assert got.shape == net.parameters[name].shape
        harness.assert_norm_within("step", got, want, f"d{name} of {case}")


@pytest.mark.parametrize("case", [NETWORKS[3], NETWORKS[8], NETWORKS[9]], ids=str)
def test_cache_holds_the_equations(backend, dtype, case):
    """Z[l] = W[l] A[l-1] + b[l], A[l] = g(Z[l])."""
    net, (X, _) = mlp(case, dtype), network_checks.examples(case, dtype)
    A, cache = net.forward(X, cache=True)
    layers = range(1, len(case.layer_sizes))
    assert list(cache) == [f"{x}{l}" for l in layers for x in "ZA"]
    before = X
    for l in layers:
        Z = net.parameters[f"W{l}"] @ before + net.parameters[f"b{l}"]
        harness.assert_norm_within("step", cache[f"Z{l}"], Z, f"Z{l} of {case}")
        g = harness.outputs_of(case.activations[l - 1], cache[f"Z{l}"])
        harness.assert_norm_within("step", cache[f"A{l}"], g, f"A{l} of {case}")
        before = cache[f"A{l}"]
    harness.assert_norm_within("step", A, net.forward(X), case)
    harness.assert_same_bits(A, cache[f"A{len(case.layer_sizes) - 1}"])


@pytest.mark.parametrize("m", [1, 2, 100])
def test_out(backend, dtype, m):
    net = mlp(SMALL, dtype)
    (X,) = harness.normal(dtype, (3, m))
    expected = net.forward(X)
    for layout in ("C", "Fortran", "rows reversed", "every second row, third column"):
        out = harness.LAYOUTS[layout](np.full((2, m), np.nan, dtype))
        assert net.forward(X, out=out) is out
        harness.assert_norm_within("step", out, expected, layout)
    out = np.empty((2, m), dtype)
    A, cache = net.forward(X, out=out, cache=True)
    assert A is out
    harness.assert_norm_within("step", cache["A2"], expected, "with cache")


def test_out_that_overlaps(backend):
    net = fastnn.MLP([3, 3], output="tanh", dtype="float64")
    X = np.random.default_rng(0).normal(size=(3, 9))
    expected = net.forward(X.copy())
    assert net.forward(X, out=X) is X
    np.testing.assert_array_equal(X, expected)
    room = np.random.default_rng(0).normal(size=40)
    X, out = room[:27].reshape(3, 9), room[5:32].reshape(3, 9)
    expected = net.forward(X.copy())
    np.testing.assert_array_equal(net.forward(X, out=out), expected)


def test_out_that_is_the_parameters(backend):
    """Strange, but not garbage: as if the parameters had been copied first."""
    net = fastnn.MLP([2, 2], output="tanh", dtype="float64")
    X = np.random.default_rng(0).normal(size=(2, 2))
    expected = net.forward(X)
    np.testing.assert_array_equal(net.forward(X, out=net.parameters["W1"]), expected)


def test_each_example_for_itself(backend, dtype):
    """Vectorised over the columns is the loop over the columns."""
    for case in (NETWORKS[3], NETWORKS[9]):
        net, (X, _) = mlp(case, dtype), network_checks.examples(case, dtype)
        loop = np.hstack([net.forward(X[:, j : j + 1]) for j in range(case.m)])
        harness.assert_norm_within("step", net.forward(X), loop, case)


@pytest.mark.parametrize(
    "kind", ["list", "integers", "other float", "objects", "byte-swapped", "float16"]
)
def test_examples_are_cast(backend, dtype, kind):
    net = mlp(SMALL, dtype)
    X = np.random.default_rng(0).integers(-3, 4, (3, 8)).astype(dtype)
    other = np.float64 if dtype == np.float32 else np.float32
    given = {
        "list": X.tolist(), "integers": X.astype(int), "other float": X.astype(other),
        "objects": X.astype(object), "byte-swapped": X.astype(X.dtype.newbyteorder()),
        "float16": X.astype(np.float16),
    }[kind]  # fmt: skip
    A = net.forward(given)
    assert A.dtype == dtype
    harness.assert_norm_within("step", A, net.forward(X), kind)
    Y = np.ones((2, 8), dtype)
    harness.assert_number_within("step", net.cost(given, Y.astype(other)), net.cost(X, Y), dtype)


def test_examples_that_cannot_be_written(backend, dtype, tmp_path):
    net, (X, Y) = mlp(SMALL, dtype), network_checks.examples(SMALL, dtype)
    expected = net.forward(X), net.gradients(X, Y)[1]["dW1"]
    np.save(tmp_path / "X.npy", X)
    for given in (harness.LAYOUTS["read-only"](X), np.load(tmp_path / "X.npy", mmap_mode="r")):
        harness.assert_norm_within("step", net.forward(given), expected[0], "forward")
        harness.assert_norm_within("step", net.gradients(given, Y)[1]["dW1"], expected[1], "dW1")
        net.fit(given, Y, epochs=2, batch_size=3)
        net.parameter_vector[:] = network_checks.parameters_of(SMALL, dtype)


@pytest.mark.parametrize(
    "layout", ["Fortran", "both reversed, Fortran", "part of a larger array, transposed"]
)
def test_layouts_of_examples(backend, dtype, layout):
    case = NETWORKS[9]
    net, (X, Y) = mlp(case, dtype), network_checks.examples(case, dtype)
    x, y = harness.LAYOUTS[layout](X), harness.LAYOUTS[layout](Y)
    harness.assert_norm_within("step", net.forward(x), net.forward(X), layout)
    for name, want in net.gradients(X, Y)[1].items():
        harness.assert_norm_within("step", net.gradients(x, y)[1][name], want, f"{name}, {layout}")


# --- step ---------------------------------------------------------------------------------


def test_step_is_the_update(backend, dtype):
    """W <- W - learning_rate dW, and the cost before it."""
    case = NETWORKS[9]
    net, (X, Y) = mlp(case, dtype), network_checks.examples(case, dtype)
    J, gradients = net.gradients(X, Y)
    expected = {k: v - dtype(0.25) * gradients[f"d{k}"] for k, v in net.parameters.items()}
    got = net.step(X, Y, learning_rate=0.25)
    harness.assert_number_within("step", got, J, dtype, "the cost before the step")
    for name, want in expected.items():
        harness.assert_norm_within("step", net.parameters[name], want, name)


def test_step_with_its_own_parameters_as_data(backend):
    """X and Y may be views of the parameters: they are read as they were before the step."""
    net = fastnn.MLP([2, 2], output="linear", dtype="float64", seed=3)
    twin = copy.deepcopy(net)
    X, Y = net.parameters["W1"], net.parameters["W1"][::-1]
    net.step(X, Y)
    twin.step(X=twin.parameters["W1"].copy(), Y=twin.parameters["W1"][::-1].copy())
    np.testing.assert_array_equal(net.parameter_vector, twin.parameter_vector)


# --- predict and score --------------------------------------------------------------------


def with_outputs(output, values, **options):
    """A network whose output for any X is g(values): zero weights and these biases."""
    net = fastnn.MLP([1, len(values)], output=output, init="zeros", dtype="float64", **options)
    net.parameters["b1"][...] = np.reshape(values, (-1, 1))
    return net


def test_predict_sigmoid(backend):
    """1 above 0.5, 0 at and below it; one row for each output."""
    P = with_outputs("sigmoid", [1e-9, 0.0, -1e-9, 5.0]).predict([[0.0, 0.0, 0.0]])
    assert P.dtype.kind == "i" and P.shape == (4, 3)
    np.testing.assert_array_equal(P, [[1] * 3, [0] * 3, [0] * 3, [1] * 3])


def test_predict_softmax(backend):
    """The class of the largest output, the first of them in a tie."""
    P = with_outputs("softmax", [0.1, 2.0, 2.0, -1.0]).predict([[0.0, 0.0, 0.0]])
    assert P.dtype.kind == "i" and P.shape == (3,)
    np.testing.assert_array_equal(P, [1, 1, 1])


@pytest.mark.parametrize("output", ["linear", "relu", "leaky_relu", "tanh"])
def test_predict_values(backend, output):
    net = with_outputs(output, [0.3, -0.7])
    X = [[0.0, 0.0]]
    np.testing.assert_array_equal(net.predict(X), net.forward(X))


def test_score_sigmoid(backend):
    net = with_outputs("sigmoid", [1.0, -1.0])
    X = [[0.0] * 4]
    assert net.score(X, [[1, 1, 1, 1], [0, 0, 0, 0]]) == 1.0
    # An example counts when every output of it is right.
    assert net.score(X, [[1, 0, 1, 0], [0, 0, 1, 1]]) == 0.25
    assert net.score(X, [[0.9, 0.9, 0.9, 0.4], [0.1, 0.1, 0.6, 0.4]]) == 0.5


def test_score_softmax(backend):
    net = with_outputs("softmax", [1.0, 3.0, 2.0])
    X = [[0.0] * 4]
    Y = np.eye(3)[:, [1, 1, 2, 0]]
    assert net.score(X, Y) == net.score(X, [1, 1, 2, 0]) == 0.5
    assert net.score(X, np.array([1.0, 1.0, 1.0, 2.0])) == 0.75


def test_score_regression(backend):
    """R^2 = 1 - residual / total, its mean over the outputs."""
    net = with_outputs("linear", [2.0, 0.0])
    Y = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]])
    # First row: total 2, residual 2, R^2 = 0; second: total 2, residual 5, R^2 = -1.5.
    assert net.score([[0.0] * 3], Y) == -0.75
    assert net.score([[0.0] * 3], [[2.0] * 3, [0.0] * 3]) == 1.0
    assert net.score([[0.0] * 3], [[2.0] * 3, [1.0] * 3]) == 0.5
    with pytest.warns(RuntimeWarning, match="one example"):
        assert np.isnan(net.score([[0.0]], [[1.0], [1.0]]))


# --- check_gradients ----------------------------------------------------------------------


@pytest.mark.parametrize("loss, output", PAIRS)
@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "leaky_relu"])
def test_check_gradients(backend, loss, output, hidden):
    """Small for a right gradient, whatever the dtype; and the network stays as it is."""
    case = NetworkCase((3, 4, 3, 2), (hidden, "relu"), loss, output, 6)
    for dtype in ("float32", "float64"):
        net, (X, Y) = mlp(case, dtype), network_checks.examples(case, np.dtype(dtype).type)
        before, state = net.parameter_vector.copy(), net.generator.bit_generator.state
        difference = net.check_gradients(X, Y)
        assert type(difference) is float and 0 <= difference < 1e-7
        harness.assert_same_bits(net.parameter_vector, before)
        assert net.generator.bit_generator.state == state


@pytest.mark.parametrize(
    "wrong", ["missing_one_over_m", "doubled_dW", "one_minus_a", "always_a_minus_y"]
)
def test_check_gradients_is_large_for_a_wrong_gradient(wrong):
    import test_saboteurs

    kernels = test_saboteurs.fresh()
    getattr(test_saboteurs, wrong)(kernels)
    broken = fastnn.backends.Backend("broken", kernels, kernels)
    case = NetworkCase((3, 4, 2), ("tanh",), "mse", "tanh", 6)
    net, (X, Y) = mlp(case), network_checks.examples(case, np.float64)
    with fastnn.use_backend("numpy"):
        assert net.check_gradients(X, Y) < 1e-7
    with fastnn.use_backend(broken):
        assert net.check_gradients(X, Y) > 1e-3


# --- copies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, copy.copy, lambda n: pickle.loads(pickle.dumps(n))]
)
def test_copies(backend, duplicate):
    """A copy answers and trains like the original, and apart from it."""
    net, (X, Y) = mlp(SMALL, "float32"), network_checks.examples(SMALL, np.float32)
    net.fit(X, Y, epochs=3, batch_size=3)  # moves the generator on
    twin = duplicate(net)
    harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)
    assert (twin.layer_sizes, twin.activations, twin.loss, twin.dtype) == (
        net.layer_sizes, net.activations, net.loss, net.dtype,
    )  # fmt: skip
    harness.assert_same_bits(twin.forward(X), net.forward(X))
    if duplicate is copy.copy:
        return
    history = twin.fit(X, Y, epochs=3, batch_size=3)
    assert twin.parameter_vector.tobytes() != net.parameter_vector.tobytes()
    np.testing.assert_array_equal(history.cost, net.fit(X, Y, epochs=3, batch_size=3).cost)
    harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)


def test_pickle_travels_between_backends():
    net, (X, _) = mlp(SMALL), network_checks.examples(SMALL, np.float64)
    expected = net.forward(X)
    for there in BACKENDS:
        with fastnn.use_backend(there):
            packed = pickle.dumps(net)
        for here in BACKENDS:
            with fastnn.use_backend(here):
                twin = pickle.loads(packed)
                harness.assert_norm_within("step", twin.forward(X), expected, (there, here))
                twin.parameters["W1"][...] = 0
                assert not twin.parameters["W1"].any() and net.parameters["W1"].any()


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"layer_sizes": [3]}, ValueError, "at least the inputs and the outputs, got \\[3\\]"),
        ({"layer_sizes": []}, ValueError, "at least the inputs and the outputs"),
        (
            {"layer_sizes": [3, 0, 1]},
            ValueError,
            "layer_sizes\\[1\\] must be an integer >= 1, got 0",
        ),
        ({"layer_sizes": [3, -4, 1]}, ValueError, "layer_sizes\\[1\\].*got -4"),
        ({"layer_sizes": [3, 2.5, 1]}, TypeError, "layer_sizes\\[1\\].*got 2.5"),
        ({"layer_sizes": [3, "4", 1]}, TypeError, "layer_sizes\\[1\\].*got '4'"),
        ({"layer_sizes": [3, True, 1]}, TypeError, "layer_sizes\\[1\\].*got True"),
        ({"layer_sizes": 3}, TypeError, "layer_sizes must be a list"),
        ({"layer_sizes": "341"}, TypeError, "layer_sizes must be a list"),
        ({"layer_sizes": None}, TypeError, "layer_sizes must be a list"),
        ({"layer_sizes": [2**40, 2**40]}, ValueError, "more than an array can hold"),
        ({"hidden": "gelu"}, ValueError, "hidden must be one of.*got 'gelu'"),
        ({"hidden": "softmax"}, ValueError, "'softmax' is for the output layer"),
        ({"hidden": ["relu", "relu"]}, ValueError, "hidden names 2 activations, but there are 1"),
        ({"hidden": []}, ValueError, "hidden names 0 activations"),
        ({"hidden": ["swish"]}, ValueError, "hidden\\[0\\] must be one of"),
        ({"hidden": None}, TypeError, "hidden must be an activation or a list"),
        ({"hidden": ("leaky_relu", -1)}, ValueError, "finite number >= 0, got -1"),
        ({"output": "gelu"}, ValueError, "output must be one of.*got 'gelu'"),
        ({"output": None}, TypeError, "output must be a name"),
        ({"loss": "hinge"}, ValueError, "loss must be one of.*got 'hinge'"),
        (
            {"loss": "cross_entropy"},
            ValueError,
            "needs an output of 'softmax', got output='sigmoid'",
        ),
        ({"loss": 3}, TypeError, "loss must be a name, got 3"),
        ({"init": "glorot"}, ValueError, "init must be a number or one of"),
        ({"seed": -1}, ValueError, "seed must be None, an integer >= 0"),
        ({"seed": "0"}, TypeError, "seed must be None"),
        ({"seed": 1.5}, TypeError, "seed must be None"),
        ({"dtype": "float16"}, TypeError, "dtype must be float32 or float64, got 'float16'"),
        ({"dtype": int}, TypeError, "dtype must be float32 or float64"),
        ({"dtype": None}, TypeError, "dtype must be float32 or float64"),
        ({"dtype": "nonsense"}, TypeError, "dtype must be float32 or float64"),
    ],
    ids=str,
)
def test_constructor_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        fastnn.MLP(**{"layer_sizes": [3, 4, 1], **arguments})


def test_parameters_that_do_not_fit_into_memory():
    with pytest.raises(MemoryError, match="Unable to allocate"):
        fastnn.MLP([2**29, 2**31])
