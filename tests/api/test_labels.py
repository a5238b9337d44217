"""One example as a vector, and what may stand for targets: classes, one number for each example.

Each way to give the same gives the same bits.
"""

import numpy as np
import pytest
from support import harness

import fastnn
from fastnn import metrics

CALLS = {
    "cost": lambda net, X, Y: np.array(net.cost(X, Y)),
    "gradients": lambda net, X, Y: net.gradients(X, Y)[1].vector,
    "step": lambda net, X, Y: (net.step(X, Y), net.parameter_vector)[1],
    "fit": lambda net, X, Y: (net.fit(X, Y, epochs=3, batch_size=4, seed=0), net.parameter_vector)[
        1
    ],
    "score": lambda net, X, Y: np.array(net.score(X, Y)),
    "check_gradients": lambda net, X, Y: np.array(net.check_gradients(X, Y)),
}


def assert_same(net, given, meant):
    """Each call gives with (X, Y) as given the bits of (X, Y) as meant."""
    for name, call in CALLS.items():
        harness.assert_same_bits(call(net.copy(), *given), call(net.copy(), *meant), name)


def assert_same_but_fit(net, given, meant):
    """`fit` would warn of batches of 4."""
    for name, call in CALLS.items():
        if name != "fit":
            harness.assert_same_bits(call(net.copy(), *given), call(net.copy(), *meant), name)


def scene(output, n, dtype, m=10):
    net = fastnn.MLP([3, 4, n], output=output, seed=1, dtype=dtype)
    (X,) = harness.normal(dtype, (3, m))
    return net, X


# --- classes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        np.array,
        list,
        tuple,
        lambda x: np.array(x, np.uint8),
        lambda x: np.array(x, ">i2"),
        lambda x: np.array(x, object),
        lambda x: np.array(x)[::-1].copy()[::-1],
    ],
)
def test_classes_are_one_hot(backend, dtype, make):
    net, X = scene("softmax", 3, dtype)
    labels = [0, 2, 1, 1, 0, 2, 2, 2, 0, 1]
    assert_same(net, (X, make(labels)), (X, np.eye(3, dtype=dtype)[:, labels]))


@pytest.mark.parametrize("n", [1, 2, 10, 300])
def test_the_class_of_many_examples(n):
    """From so many on another way is gone; it finds what NumPy's argmax does, also of ties."""
    A = np.random.default_rng(n).integers(0, 4, (n, metrics.MANY)).astype(float)
    for some in (A, A[:, 1:], A[::-1], np.asfortranarray(A)):
        found = metrics.decide(some, "class")
        assert found.dtype == np.intp
        np.testing.assert_array_equal(found, some.argmax(axis=0))
    A[n // 2, 3] = np.nan
    np.testing.assert_array_equal(metrics.decide(A, "class"), A.argmax(axis=0))


def test_two_classes_may_be_true_and_false(backend, dtype):
    net, X = scene("softmax", 2, dtype)
    labels = np.arange(10) % 3 == 0
    assert_same(net, (X, labels), (X, np.stack([~labels, labels]).astype(dtype)))


def test_classes_with_another_loss(backend, dtype):
    """The classes are those of the output, whatever the loss."""
    net = fastnn.MLP([3, 4, 3], output="softmax", loss="mse", seed=1, dtype=dtype)
    (X,) = harness.normal(dtype, (3, 6))
    labels = np.array([0, 2, 1, 1, 0, 2])
    assert_same(net, (X, labels), (X, np.eye(3, dtype=dtype)[:, labels]))


def test_as_many_examples_as_classes(backend, dtype):
    """A vector of n[L] numbers beside m = n[L] columns is one class for each column."""
    net, X = scene("softmax", 3, dtype, m=3)
    assert_same_but_fit(net, (X, [0, 1, 1]), (X, np.eye(3, dtype=dtype)[:, [0, 1, 1]]))


@pytest.mark.parametrize("output", ["sigmoid", "linear", "tanh", "exponential"])
@pytest.mark.parametrize("kind", [int, bool, float, np.float32, np.uint8])
def test_one_number_for_each_example_of_a_single_output(backend, dtype, output, kind):
    net, X = scene(output, 1, dtype)
    y = (np.arange(10) % 3 == 0).astype(kind)
    column = y[np.newaxis].astype(dtype)
    assert_same(net, (X, y), (X, column))
    assert_same(net, (X, y.tolist()), (X, column))


def test_several_sigmoid_outputs(backend, dtype):
    """Each answers for itself; an example is right where all of its answers are."""
    net, X = scene("sigmoid", 3, dtype)
    Y = np.random.default_rng(0).integers(0, 2, (3, 10))
    for given in (Y, Y.astype(bool), Y.tolist(), Y.astype(np.float16)):
        assert_same(net, (X, given), (X, Y.astype(dtype)))
    P = net.predict(X)
    assert P.shape == (3, 10) and set(np.unique(P)) <= {0, 1}
    np.testing.assert_array_equal(P, net.forward(X) > 0.5)
    right = (P == Y).all(axis=0).mean()
    assert net.score(X, Y) == right
    assert net.score(X, P) == 1
    # The cost is the sum over the questions: that of each one, asked alone.
    A = net.forward(X).astype(float)
    each = -(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    harness.assert_number_within("step", net.cost(X, Y), each.sum() / 10, dtype)


def test_several_questions_are_learnt(backend):
    """Is it above 0, and is it beyond 1: two answers for each number."""
    x = np.linspace(-2, 2, 101)
    Y = np.stack([x > 0, np.abs(x) > 1])
    net = fastnn.MLP([1, 16, 2], seed=0)
    net.fit(x[np.newaxis], Y, epochs=400, optimizer="adam", learning_rate=0.03)
    assert net.score(x[np.newaxis], Y) > 0.95


# --- one example --------------------------------------------------------------------------


@pytest.mark.parametrize("output, n", [("linear", 2), ("sigmoid", 1), ("softmax", 3), ("gelu", 1)])
def test_a_vector_is_one_example(backend, dtype, output, n):
    net, X = scene(output, n, dtype, m=1)
    x = X[:, 0].copy()
    assert net.forward(x).shape == (n,)
    for given in (x, x.tolist(), tuple(x), x.astype("f8"), harness.LAYOUTS["C"](X)[:, 0]):
        harness.assert_same_bits(net.forward(given), net.forward(X)[:, 0])
        harness.assert_same_bits(net.predict(given), net.predict(X)[..., 0])
        harness.assert_same_bits(net.jacobian(given), net.jacobian(X)[0])
    A, cache = net.forward(x, cache=True)
    _, expected = net.forward(X, cache=True)
    assert list(cache) == list(expected)
    for name in cache:
        harness.assert_same_bits(cache[name], expected[name][:, 0], name)
    harness.assert_same_bits(A, cache["A2"])
    dA = np.arange(1, n + 1, dtype=dtype)
    for of in ("A", "Z"):
        gradients, dx = net.backward(x, dA, of)
        want, dX = net.backward(X, dA[:, np.newaxis], of)
        harness.assert_same_bits(gradients.vector, want.vector)
        harness.assert_same_bits(dx, dX[:, 0])


@pytest.mark.parametrize("strided", [False, True])
def test_out_for_a_vector(backend, dtype, strided):
    net, X = scene("linear", 2, dtype, m=1)
    out = np.full(5, np.nan, dtype)[1:4:2] if strided else np.full(2, np.nan, dtype)
    for x in (X[:, 0].copy(), X[:, 0].tolist()):
        assert net.forward(x, out=out) is out
        harness.assert_same_bits(out.copy(), net.forward(X)[:, 0])
        out[...] = np.nan
    A, _ = net.forward(X[:, 0], out=out, cache=True)
    assert A is out
    harness.assert_same_bits(out.copy(), net.forward(X)[:, 0])
    wide = np.empty(2)
    assert net.forward(X[:, 0], out=wide) is wide
    np.testing.assert_array_equal(wide, net.forward(X)[:, 0])
    for wrong in (np.empty((2, 1), dtype), np.empty(3, dtype)):
        with pytest.raises(ValueError, match=r"out has shape \(.*\), wanted \(2,\)"):
            net.forward(X[:, 0], out=wrong)
    with pytest.raises(ValueError, match=r"out has shape \(2,\), wanted \(2, 1\)"):
        net.forward(X, out=np.empty(2, dtype))


def test_one_example_takes_the_short_way(backend, dtype, monkeypatch):
    net, X = scene("linear", 2, dtype, m=1)
    x, out = X[:, 0].copy(), np.empty(2, dtype)

    def never(*arguments):
        raise AssertionError("the long way")

    monkeypatch.setattr(fastnn.checks, "examples", never)
    net.forward(x)
    net.forward(x, out=out)
    with pytest.raises(AssertionError, match="the long way"):
        net.forward(x.tolist())


def test_targets_of_one_example(backend, dtype):
    net, X = scene("linear", 2, dtype, m=1)
    Y = np.array([[0.25], [0.5]], dtype)
    x, y = X[:, 0], Y[:, 0]
    calls = {k: v for k, v in CALLS.items() if k not in ("score", "fit")}
    for given in (y, y.tolist(), Y):
        for name, call in calls.items():
            harness.assert_same_bits(call(net.copy(), x, given), call(net.copy(), X, Y), name)


def test_a_class_of_one_example(backend, dtype):
    net, X = scene("softmax", 3, dtype, m=1)
    Y = np.eye(3, dtype=dtype)[:, [2]]
    for given in (2, np.int64(2), [2], np.array([2]), [0, 0, 1], Y[:, 0], Y):
        assert_same_but_fit(net, (X[:, 0], given), (X, Y))


@pytest.mark.parametrize("output", ["sigmoid", "tanh"])
def test_the_number_of_one_example(backend, dtype, output):
    net, X = scene(output, 1, dtype, m=1)
    for given in (1, True, 1.0, [1], [[1]]):
        if output == "sigmoid":
            assert_same_but_fit(net, (X[:, 0], given), (X, np.ones((1, 1), dtype)))
        else:
            assert net.cost(X[:, 0], given) == net.cost(X, np.ones((1, 1), dtype))


def test_one_input(backend, dtype):
    """A vector of length 1 is one example, and a longer one is refused."""
    net = fastnn.MLP([1, 3, 2], dtype=dtype)
    harness.assert_same_bits(net.forward([0.5]), net.forward([[0.5]])[:, 0])
    with pytest.raises(ValueError, match=r"For 2 examples: X\.reshape\(1, 2\)\."):
        net.forward([0.5, 1.0])
    with pytest.raises(ValueError, match=r"did you mean X\.T\?"):
        net.forward([[0.5], [1.0]])


def test_rows_cost_no_copy(backend, dtype):
    """A batch that has one row for each example is X.T: taken as it lies in memory."""
    net, X = scene("softmax", 3, dtype)
    rows = np.ascontiguousarray(X.T)
    given, _ = net.examples_and_targets(rows.T, np.arange(10) % 3)
    assert given.base is rows
    harness.assert_norm_within("step", net.forward(rows.T), net.forward(X), "rows")


def test_plain_arrays_are_handed_on(backend, dtype):
    net, X = scene("linear", 2, dtype)
    Y = np.ones((2, 10), dtype)
    given = net.examples_and_targets(X, Y)
    assert given[0] is X and given[1] is Y
    x, y = net.examples_and_targets(net.parameters["W1"].T, np.ones((2, 4), dtype))
    assert not np.shares_memory(x, net.parameter_vector)
