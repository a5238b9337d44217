"""MLP: its parameters, and what can be asked of it, in every backend."""

# ruff: noqa: E501  (a row of a table is one line)

import copy
import pickle

import numpy as np
import pytest
from support import harness, network_checks
from support.network_checks import mlp
from support.tables import BACKENDS, NETWORKS, NetworkCase

import fastnn
from fastnn import _kernels_numpy as reference

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


def test_assigned_parameters_are_copied_into_the_network(backend, dtype):
    net = fastnn.MLP([2, 2], output="linear", dtype=dtype)
    held, W = net.parameters["W1"], np.array([[1.0, 2.0], [3.0, 4.0]])
    net.parameters["W1"] = W
    net.parameters["b1"] = [[10], [20]]
    W[...] = 0
    np.testing.assert_array_equal(net.forward([[1.0], [1.0]]), [[13], [27]])
    np.testing.assert_array_equal(held, [[1, 2], [3, 4]])
    assert net.parameters["W1"].dtype == dtype
    parameters = net.parameters
    parameters["W1"] *= 2
    np.testing.assert_array_equal(net.parameter_vector, [2, 4, 6, 8, 10, 20])
    parameters.update({"b1": [[0], [1]]}, W1=np.eye(2))
    np.testing.assert_array_equal(net.parameter_vector, [1, 0, 0, 1, 0, 1])
    parameters["W1"] = parameters["W1"][::-1, ::-1].T
    parameters["W1"] = parameters["W1"][::-1]
    np.testing.assert_array_equal(net.parameter_vector, [0, 1, 1, 0, 0, 1])


def test_parameters_of_each_other(backend):
    """Two at once are read before either is written."""
    net = fastnn.MLP([2, 2, 2], dtype="float64")
    parameters = net.parameters
    W1, W2 = parameters["W1"].copy(), parameters["W2"].copy()
    parameters.update(W1=parameters["W2"], W2=parameters["W1"])
    np.testing.assert_array_equal(parameters["W1"], W2)
    np.testing.assert_array_equal(parameters["W2"], W1)


@pytest.mark.parametrize(
    "duplicate",
    [dict, copy.copy, copy.deepcopy, lambda p: p.copy(), lambda p: pickle.loads(pickle.dumps(p))],
)
def test_copies_of_parameters_are_plain(backend, duplicate):
    net = fastnn.MLP([3, 5, 2], seed=1)
    assert isinstance(net.parameters, dict)
    copied = duplicate(net.parameters)
    assert type(copied) is dict
    assert list(copied) == ["W1", "b1", "W2", "b2"]
    for name, array in net.parameters.items():
        harness.assert_same_bits(copied[name], array, name)
    copied["W3"] = 1
    del copied["W1"]
    twin = fastnn.MLP([3, 5, 2], init=net.parameters)
    harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)


WAYS = {
    "list": list, "len": len, "bool": bool, "repr": lambda p: len(repr(p)) > 2, "dict": dict,
    "keywords": lambda p: (lambda **given: given)(**p), "unpacked": lambda p: {**p},
    "keys": lambda p: list(p.keys()), "values": lambda p: len(list(p.values())),
    "items": lambda p: dict(p.items()), "in": lambda p: "b1" in p and "x" not in p,
    "get": lambda p: p.get("b1"), "get nothing": lambda p: p.get("x", 7), "copy": lambda p: p.copy(),
    "reversed": lambda p: list(reversed(p)), "|": lambda p: p | {}, "| from the right": lambda p: {} | p,
    "==": lambda p: p == {}, "!=": lambda p: p != {}, "sorted": sorted, "item": lambda p: p["b1"],
}  # fmt: skip
"""Each way to look at a dictionary."""


@pytest.mark.parametrize("way", WAYS)
def test_views_are_there_whatever_asks_for_them_first(way):
    """They are made at the first look: each kind of look must notice."""
    net = fastnn.MLP([2, 3, 1])
    seen, expected = WAYS[way](net.parameters), WAYS[way](
        {"W1": net.parameters["W1"], "b1": net.parameters["b1"],
         "W2": net.parameters["W2"], "b2": net.parameters["b2"]}
    )  # fmt: skip
    assert type(seen) is type(expected)
    if isinstance(seen, dict):
        assert list(seen) == list(expected)
        assert all(np.shares_memory(seen[name], net.parameter_vector) for name in seen)
    else:
        np.testing.assert_array_equal(seen, expected)


def test_a_view_is_made_once():
    parameters = fastnn.MLP([2, 3, 1]).parameters
    assert parameters["W1"] is parameters["W1"]
    for name in ("W3", "dW1", 1):
        with pytest.raises(KeyError):
            parameters[name]


def test_init_takes_all_parameters(backend, dtype):
    values = {"W1": [[1.0, 2.0, 3.0]], "b1": [[4.0]]}
    net = fastnn.MLP([3, 1], output="linear", init=values, dtype=dtype)
    np.testing.assert_array_equal(net.parameter_vector, np.arange(1, 5))
    assert net.forward(np.ones((3, 1))) == 10
    arrays = {name: np.array(array, dtype) for name, array in values.items()}
    again = fastnn.MLP([3, 1], output="linear", init=arrays, dtype=dtype)
    arrays["W1"][...] = 0
    harness.assert_same_bits(again.parameter_vector, net.parameter_vector)


def test_names_for_type_checkers_are_those_of_the_tables():
    from typing import get_args

    from fastnn import activations, initializers, losses

    assert get_args(activations.ActivationName) == tuple(activations.ACTIVATIONS)
    assert get_args(losses.LossName) == tuple(losses.LOSSES)
    assert get_args(initializers.InitializerName) == ("auto", *initializers.INITIALIZERS)


@pytest.mark.parametrize(
    "loss, name",
    [
        ("categorical_cross_entropy", "cross_entropy"),
        ("categorical cross-entropy", "cross_entropy"),
        ("categorical_crossentropy", "cross_entropy"),
        ("mean_squared_error", "mse"),
    ],
)
def test_aliases_of_losses(backend, loss, name):
    net = fastnn.MLP([2, 3], output="softmax", loss=loss)
    assert net.loss == name
    A, Y = net.forward([[0.5], [1.0]]), np.array([[0], [1], [0]], "f4")
    assert fastnn.cost(A, Y, loss) == fastnn.cost(A, Y, name)


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
    cost = engine.cost_and_gradients(X, Y, None, expected)
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


def test_out_takes_the_short_way(backend, dtype, monkeypatch):
    """Where X and `out` are plain, no check in Python is passed through."""
    net = mlp(SMALL, dtype)
    (X,) = harness.normal(dtype, (3, 4))
    expected, out = net.forward(X), np.empty((2, 4), dtype)

    def never(*arguments):
        raise AssertionError("the long way")

    monkeypatch.setattr(fastnn.checks, "examples", never)
    monkeypatch.setattr(fastnn.checks, "output", never)
    assert net.forward(X, out=out) is out
    harness.assert_same_bits(out, expected)
    assert net.forward(X, out) is out
    with pytest.raises(AssertionError, match="the long way"):
        net.forward(X, out=np.empty((2, 4), dtype)[:, ::-1][:1])


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


OTHER = {"f4": "f8", "f8": "f4", "i8": "i1"}
FORMS = {
    "plain": np.asarray,
    "other dtype": lambda x: x.astype(OTHER[x.dtype.str[1:]]),
    "integers": lambda x: x.astype(np.int32),
    "list": lambda x: x.tolist(),
    "tuple of lists": lambda x: tuple(x.tolist()) if x.ndim == 2 else tuple(x),
    "list of arrays": list,
    "list of ranges": lambda x: [Rows(row) for row in x] if x.ndim == 2 else x.tolist(),
    "Fortran": np.asfortranarray,
    "objects": lambda x: x.astype(object),
}


class Rows:
    """A sequence that is no list: it has to be converted as a whole."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("output", ["linear", "sigmoid", "softmax"])
def test_blocks_do_not_show(backend, dtype, form, output, monkeypatch):
    """However many examples are taken at a time, and whatever holds them."""
    net = fastnn.MLP([3, 4, 2], output=output, seed=3, dtype=dtype)
    rng = np.random.default_rng(0)
    X = rng.integers(-3, 4, (3, 50)).astype(dtype)
    labels = rng.integers(0, 2, 50)
    Y = np.stack([labels, 1 - labels]).astype(dtype)
    make = FORMS[form]
    P, scores = net.predict(X), [net.score(X, Y)]
    for size in (1, 7, 50, 1000):
        monkeypatch.setattr(fastnn.metrics, "BLOCK", size)
        got = net.predict(make(X))
        assert got.shape == P.shape and got.dtype == P.dtype
        harness.assert_norm_within("step", got.astype(dtype), P.astype(dtype), form)
        scores.append(net.score(make(X), make(Y)))
        if output == "softmax":
            scores.append(net.score(make(X), make(1 - labels)))
    np.testing.assert_allclose(scores, scores[0], rtol=1e-12 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("form", ["plain", "other dtype", "list"])
@pytest.mark.parametrize("output", ["linear", "sigmoid", "softmax"])
def test_memory_does_not_grow_with_the_examples(backend, form, output):
    """predict takes what its result takes, and score the same for three times the examples.

    Both numbers are beyond the block that NumPy's kernels take whole.
    """
    import tracemalloc

    net = fastnn.MLP([3, 4, 2], output=output, seed=3)

    def peaks(m):
        X = FORMS[form](np.ones((3, m), "f4"))
        Y = FORMS[form](np.repeat(np.eye(2, dtype="f4")[:, :1], m, axis=1))
        net.predict(X), net.score(X, Y)
        found = []
        for call in (lambda: net.predict(X), lambda: net.score(X, Y)):
            tracemalloc.start()
            result = call()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            found.append(peak - getattr(result, "nbytes", 0))
        return found

    some, more = peaks(300_000), peaks(900_000)
    for before, after in zip(some, more, strict=True):
        grown = (after - before) / 600_000  # a bool for each of the examples would be 1
        assert grown < 0.5, f"{before} bytes, then {after}"


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
    assert net.score(X, np.array([1, 1, 1, 2], np.uint8)) == 0.75


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


def test_score_of_tiny_targets(backend):
    """Targets whose squares are too small for float64 count as constant."""
    net = fastnn.MLP([1, 1], output="linear", init="zeros", dtype="float64")
    assert net.score([[0.0, 0.0]], [[1e-200, 2e-200]]) == 1.0  # so is the residual
    net.parameters["b1"] = [[0.5]]
    assert net.score([[0.0, 0.0]], [[1e-200, 2e-200]]) == 0.0


# --- copies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, copy.copy, lambda n: pickle.loads(pickle.dumps(n)), fastnn.MLP.copy],
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


def test_copy_goes_on_as_the_original(backend):
    """The generator too is at the same place: the same order of examples, the same masks."""
    net = fastnn.MLP([3, 6, 2], dropout=0.5, output="linear", seed=4)
    X, Y = network_checks.examples(SMALL, np.float32)
    net.fit(X, Y, epochs=2, batch_size=3)
    twin = net.copy()
    assert type(twin) is fastnn.MLP and twin.dropout == net.dropout
    costs = [n.fit(X, Y, epochs=2, batch_size=3).cost for n in (net, twin)]
    np.testing.assert_array_equal(*costs)
    harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)


def test_copy_of_another_dtype(backend):
    net = mlp(SMALL, "float32")
    wide = net.copy("float64")
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide.parameter_vector, net.parameter_vector)
    harness.assert_same_bits(wide.copy("float32").parameter_vector, net.parameter_vector)


def test_mix(backend, dtype):
    """w <- (1 - tau) w + tau w_other, in place; views that were taken before stay views."""
    net, other = (fastnn.MLP([2, 3, 1], seed=seed, dtype=dtype) for seed in (1, 2))
    own, theirs = net.parameter_vector.copy(), other.parameter_vector.copy()
    held = net.parameters["W1"]
    assert net.mix(other, 0.25) is None
    expected = dtype(0.75) * own + dtype(0.25) * theirs
    harness.assert_same_bits(net.parameter_vector, expected)
    harness.assert_same_bits(other.parameter_vector, theirs)
    harness.assert_same_bits(held, net.parameters["W1"])
    net.mix(other, 0)
    harness.assert_same_bits(net.parameter_vector, expected)
    net.mix(net, 0.5)
    harness.assert_same_bits(net.parameter_vector, expected)
    net.parameter_vector[0] = np.nan
    net.mix(other, 1)
    harness.assert_same_bits(net.parameter_vector, theirs)


def test_repeated_mixing_is_a_moving_average():
    """After k steps of tau towards a fixed network, (1 - tau)^k of the start is left."""
    net, goal = (fastnn.MLP([1, 1], init=init, dtype="float64") for init in ("zeros", 1.0))
    for _ in range(10):
        net.mix(goal, 0.1)
    left = goal.parameter_vector * (1 - 0.9**10)
    harness.assert_norm_within("step", net.parameter_vector, left, "ten steps")


STATES = [
    ("a short vector", lambda s: s | {"vector": s["vector"][:-1]}, ValueError, r"must have 32 parameters, got shape \(31,\)"),
    ("a long vector", lambda s: s | {"vector": np.append(s["vector"], 0)}, ValueError, "must have 32 parameters"),
    ("2-D", lambda s: s | {"vector": s["vector"][None]}, ValueError, r"got shape \(1, 32\)"),
    ("other sizes", lambda s: s | {"layer_sizes": (30, 500, 2)}, ValueError, "must have 16502 parameters"),
    ("an unknown name", lambda s: s | {"activations": ("relu6", "linear")}, ValueError, "hidden.* must be one of"),
    ("an old one", lambda s: {"_" + name: value for name, value in s.items()}, ValueError, "not the state of an MLP of this version of fastnn: it has .*'_dtype'"),
    ("without dropout", lambda s: {k: v for k, v in s.items() if k != "dropout"}, ValueError, "not the state of an MLP of this version"),
    ("nothing", lambda s: None, ValueError, "not the state of an MLP of this version"),
]  # fmt: skip


@pytest.mark.parametrize("change, error, words", [pytest.param(*s[1:], id=s[0]) for s in STATES])
def test_states_that_are_not_those_of_a_network(backend, change, error, words):
    """Nothing is read past the end of a vector, and an old pickle says that it is one."""
    net = fastnn.MLP([3, 5, 2], output="linear")
    state = change(net.__getstate__())
    fresh = fastnn.MLP.__new__(fastnn.MLP)
    with pytest.raises(error, match=words):
        fresh.__setstate__(state)


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
        ({"hidden": "selu"}, ValueError, "hidden must be one of.*got 'selu'.*did you mean"),
        (
            {"hidden": "ReLU"},
            ValueError,
            "^hidden must be one of 'linear', 'sigmoid', 'tanh', 'relu', 'leaky_relu', 'gelu', .*, "
            "got 'ReLU'; did you mean 'relu'\\?$",
        ),
        ({"output": "Softmax"}, ValueError, "'softmax', 'gelu', .*got.*did you mean 'softmax'\\?"),
        ({"hidden": "identity"}, ValueError, "did you mean 'linear'\\?"),
        ({"hidden": ["logistic"]}, ValueError, "hidden\\[0\\] must be.*did you mean 'sigmoid'\\?"),
        ({"hidden": "leaky-relu"}, ValueError, "did you mean 'leaky_relu'\\?"),
        ({"hidden": ["softmax"]}, ValueError, "hidden\\[0\\]: 'softmax' is for the output"),
        ({"hidden": ("softmax", 1.0)}, ValueError, "hidden must be one of"),
        ({"output": "softmax"}, ValueError, "chooses between 2 classes or more, got 1 unit"),
        ({"hidden": ("leaky_relu", 10**400)}, ValueError, "slope of 'leaky_relu' must be a finite"),
        (
            {"hidden": ("leaky_relu", 1e39)},
            ValueError,
            "hidden: the slope of 'leaky_relu': 1e\\+39 overflows in float32",
        ),
        ({"output": ("leaky_relu", 1e39)}, ValueError, "output: the slope.*overflows in float32"),
        ({"hidden": ("leaky_relu", b"0.5")}, TypeError, "finite number >= 0, got b'0.5'"),
        ({"hidden": ("leaky_relu", np.True_)}, TypeError, "finite number >= 0, got (np.)?True"),
        ({"output": "linear", "loss": ("huber", 1e-60)}, ValueError, "delta.*becomes 0 in float32"),
        ({"output": "linear", "loss": ("huber", 0)}, ValueError, "delta of 'huber' must be.*> 0"),
        ({"output": "linear", "loss": ("mse", 1)}, ValueError, "'mse' takes no parameter"),
        ({"loss": "bce"}, ValueError, "did you mean 'binary_cross_entropy'\\?"),
        ({"dropout": 1.0}, ValueError, "dropout must be a number >= 0 and < 1, got 1.0"),
        ({"dropout": -0.1}, ValueError, "dropout must be.*got -0.1"),
        ({"dropout": float("nan")}, ValueError, "dropout must be.*got nan"),
        ({"dropout": "0.5"}, TypeError, "dropout must be.*got '0.5'"),
        ({"dropout": None}, TypeError, "dropout must be.*got None"),
        ({"dropout": True}, TypeError, "dropout must be.*got True"),
        ({"dropout": [0.1, 0.2]}, ValueError, "dropout has 2 values, but there are 1 hidden"),
        ({"dropout": [1]}, ValueError, "dropout\\[0\\] must be a number >= 0 and < 1, got 1"),
        (
            {"lr": 0.1, "dropuot": 0.5},
            TypeError,
            "^MLP\\(\\) got an unexpected keyword argument 'lr'$",
        ),
        ({"dropuot": 0.5}, TypeError, "argument 'dropuot'; did you mean 'dropout'\\?$"),
        ({"random_state": 0}, TypeError, "argument 'random_state'; did you mean 'seed'\\?"),
        ({"activation": "relu"}, TypeError, "argument 'activation'; did you mean 'hidden'\\?"),
        ({"hidden": "softmax"}, ValueError, "'softmax' is for the output layer"),
        ({"hidden": ["relu", "relu"]}, ValueError, "hidden names 2 activations, but there are 1"),
        ({"hidden": []}, ValueError, "hidden names 0 activations"),
        ({"hidden": ["swish"]}, ValueError, "hidden\\[0\\] must be one of"),
        ({"hidden": None}, TypeError, "hidden must be an activation or a list"),
        ({"hidden": ("leaky_relu", -1)}, ValueError, "finite number >= 0, got -1"),
        ({"output": "swish"}, ValueError, "output must be one of.*got 'swish'"),
        ({"output": None}, TypeError, "output must be a name"),
        ({"loss": "hinge"}, ValueError, "loss must be one of.*got 'hinge'"),
        (
            {"loss": "cross_entropy"},
            ValueError,
            "needs an output of 'softmax', got output='sigmoid'",
        ),
        ({"loss": 3}, TypeError, "loss must be a name or .*, got 3"),
        (
            {"init": "glorot"},
            ValueError,
            "init must be a number, a dictionary of arrays or one of 'auto', 'small_normal', 'he', "
            "'xavier', 'zeros', got 'glorot'; did you mean 'xavier'\\?",
        ),
        ({"init": "kaiming"}, ValueError, "did you mean 'he'\\?"),
        ({"init": {"W1": [[1.0]]}}, ValueError, "parameter 'b1' is missing"),
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
