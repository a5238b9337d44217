"""What bad input must get: one table of calls, exception types, and words of the message.

After each error everything is as it was: the network and its generator, the arrays, `out`.
The numbers are those of the project's list of bad inputs and faults.
"""

# ruff: noqa: E501  (a row of a table is one line)

import numpy as np
import pytest

import fastnn


class Scene:
    """A network (3-4-2, linear) and arrays that fit it, made anew for each row."""

    def __init__(self, output="linear"):
        self.net = fastnn.MLP([3, 4, 2], output=output, seed=1)
        rng = np.random.default_rng(0)
        self.X = rng.normal(size=(3, 8)).astype("f4")
        self.Y = rng.uniform(size=(2, 8)).astype("f4")
        self.Y /= self.Y.sum(axis=0)
        self.W, self.b, self.A_prev = (rng.normal(size=s) for s in ((5, 3), (5, 1), (3, 8)))
        self.dZ = rng.normal(size=(5, 8))
        self.out = np.full((5, 8), 7.0)

    def with_(self, name, value, at=(-1, -1)):
        """The array `name` with one element replaced."""
        array = getattr(self, name).copy()
        array[at] = value
        return array

    def snapshot(self):
        net = self.net
        parts = [
            net.parameter_vector,
            *(v for v in vars(self).values() if isinstance(v, np.ndarray)),
        ]
        return [part.tobytes() for part in parts], net.generator.bit_generator.state


# Every method that takes X alone, and every one that takes X and Y.
OF_X = {
    "forward": lambda s, X: s.net.forward(X),
    "forward with cache": lambda s, X: s.net.forward(X, cache=True),
    "predict": lambda s, X: s.net.predict(X),
}
OF_X_AND_Y = {
    "cost": lambda s, X, Y: s.net.cost(X, Y),
    "gradients": lambda s, X, Y: s.net.gradients(X, Y),
    "step": lambda s, X, Y: s.net.step(X, Y),
    "fit": lambda s, X, Y: s.net.fit(X, Y, epochs=2, batch_size=3),
    "score": lambda s, X, Y: s.net.score(X, Y),
    "check_gradients": lambda s, X, Y: s.net.check_gradients(X, Y),
}

BAD_X = [
    ("1 NaN", lambda s: s.with_("X", np.nan), ValueError, r"Input X contains NaN\."),
    ("1 NaN in a list", lambda s: s.with_("X", np.nan).tolist(), ValueError, r"Input X contains NaN\."),
    ("2 inf", lambda s: s.with_("X", np.inf), ValueError, r"X contains infinity or a value too large for dtype\('float"),
    ("2 -inf", lambda s: s.with_("X", -np.inf, (0, 0)), ValueError, "X contains infinity"),
    ("2 too large", lambda s: s.X * np.longdouble("1e4000"), ValueError, "too large for dtype"),
    ("2 huge integer", lambda s: [[10**400] * 8] * 3, ValueError, "too large for dtype"),
    ("3 1-D", lambda s: s.X[0], ValueError, r"Expected 2D array, got 1D array instead.*X has shape \(8,\)"),
    ("3 scalar", lambda s: 3.0, ValueError, "Expected 2D array, got scalar array instead"),
    ("4 3-D", lambda s: s.X[None], ValueError, "Found array with dim 3, while dim <= 2 is required"),
    ("5 no examples", lambda s: s.X[:, :0], ValueError, r"Found array with 0 sample\(s\) \(shape=\(3, 0\)\) while a minimum of 1"),
    ("6 no features", lambda s: s.X[:0], ValueError, "X has 0 features.*expects 3"),
    ("8 complex", lambda s: s.X.astype(complex), ValueError, "Complex data not supported.*complex128"),
    ("9 strings", lambda s: s.X.astype(str), ValueError, "could not convert string to float"),
    ("9 words", lambda s: [["a", "b"]] * 3, ValueError, "could not convert string to float"),
    ("9 strings as objects", lambda s: s.X.astype(str).astype(object), ValueError, "could not convert string"),
    ("10 dictionaries", lambda s: np.full((3, 8), {}, object), TypeError, r"float\(\) argument must be"),
    ("10 a dictionary", lambda s: {"x": 1}, TypeError, "X must be an array of numbers, got dict"),
    ("10 ragged", lambda s: [[1.0, 2.0], [3.0], [4.0]], ValueError, "X: .*inhomogeneous"),
    ("11 matrix", lambda s: s.X.view(np.matrix), TypeError, r"X must be a plain array, got numpy.*matrix: use np\.asarray"),
    ("45 masked", lambda s: np.ma.masked_array(s.X), TypeError, r"X must be a plain array, got .*MaskedArray: use \.filled"),
    ("39 None", lambda s: None, TypeError, "X must be an array, got None"),
    ("18 other features", lambda s: s.X[:2], ValueError, r"X has 2 features \(rows\), but this network expects 3"),
    ("18 transposed", lambda s: s.X.T, ValueError, r"X has 8 features.*expects 3.*did you mean X\.T\?"),
    ("dates", lambda s: np.zeros((3, 8), "M8[s]"), TypeError, "X must be an array of numbers"),
]  # fmt: skip

BAD_Y = [
    ("12 None", lambda s: None, ValueError, "requires Y to be passed, but the target Y is None"),
    ("13 NaN", lambda s: s.with_("Y", np.nan), ValueError, r"Input Y contains NaN\."),
    ("13 inf", lambda s: s.with_("Y", np.inf), ValueError, "Y contains infinity or a value too large"),
    ("7 other number of examples", lambda s: s.Y[:, :5], ValueError, r"inconsistent numbers of samples: \[8, 5\].*Y has shape \(2, 5\)"),
    ("other number of outputs", lambda s: s.Y[:1], ValueError, r"Y has shape \(1, 8\), wanted \(2, 8\)"),
    ("transposed", lambda s: s.Y.T, ValueError, r"Y has shape \(8, 2\), wanted \(2, 8\)"),
    ("3 1-D", lambda s: s.Y[0], ValueError, "Expected 2D array, got 1D array instead"),
    ("4 3-D", lambda s: s.Y[None], ValueError, "Found array with dim 3"),
    ("8 complex", lambda s: s.Y.astype(complex), ValueError, "Complex data not supported: Y"),
    ("9 strings", lambda s: s.Y.astype(str), ValueError, "could not convert string to float: Y"),
    ("11 matrix", lambda s: s.Y.view(np.matrix), TypeError, "Y must be a plain array"),
    ("45 masked", lambda s: np.ma.masked_array(s.Y), TypeError, "Y must be a plain array"),
]  # fmt: skip


def assert_refused(scene, call, error, words):
    """`call` raises `error` with `words`, and everything is as it was."""
    before = scene.snapshot()
    with np.errstate(all="raise"), pytest.raises(error, match=words) as caught:
        call()
    assert type(caught.value) is error, f"a subclass: {type(caught.value)}"
    assert scene.snapshot() == before


def rows(table):
    return [pytest.param(*row[1:], id=row[0]) for row in table]


@pytest.mark.parametrize("method", OF_X | OF_X_AND_Y)
@pytest.mark.parametrize("make, error, words", rows(BAD_X))
def test_bad_examples(backend, method, make, error, words):
    s = Scene()
    X = make(s)
    if method in OF_X:
        assert_refused(s, lambda: OF_X[method](s, X), error, words)
    else:
        assert_refused(s, lambda: OF_X_AND_Y[method](s, X, s.Y), error, words)


@pytest.mark.parametrize("method", OF_X_AND_Y)
@pytest.mark.parametrize("make, error, words", rows(BAD_Y))
def test_bad_targets(backend, method, make, error, words):
    s = Scene()
    Y = make(s)
    assert_refused(s, lambda: OF_X_AND_Y[method](s, s.X, Y), error, words)


@pytest.mark.parametrize("method", OF_X_AND_Y)
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
@pytest.mark.parametrize("value, words", [
    (-0.01, r"Y must hold probabilities in \[0, 1\].*-0\.01"),
    (1.01, r"Y must hold probabilities in \[0, 1\].*1\.01"),
    (np.nan, "Input Y contains NaN"),
    (np.inf, "Y contains infinity"),
])  # fmt: skip
def test_targets_must_be_probabilities(backend, method, output, value, words):
    s = Scene(output)
    Y = s.with_("Y", value)
    assert_refused(s, lambda: OF_X_AND_Y[method](s, s.X, Y), ValueError, words)


@pytest.mark.parametrize("method", OF_X_AND_Y)
def test_columns_of_classes_must_sum_to_one(backend, method):
    s = Scene("softmax")
    Y = s.with_("Y", 0.0, (slice(None), 5))
    words = "each column of Y must sum to 1.*column 5 sums to 0"
    assert_refused(s, lambda: OF_X_AND_Y[method](s, s.X, Y), ValueError, words)


@pytest.mark.parametrize("labels, words", [
    ([0, 1, 2, 0, 0, 0, 0, 0], "integers from 0 to 1.*0 to 2"),
    ([0, -1, 0, 0, 0, 0, 0, 0], "integers from 0 to 1.*-1 to 0"),
    ([0, 0.5, 0, 0, 0, 0, 0, 0], "integers from 0 to 1"),
    ([0, np.nan, 0, 0, 0, 0, 0, 0], "Y contains NaN"),
    ([0, 1, 1], r"Y has shape \(3,\), wanted \(2, 8\), one-hot, or \(8,\)"),
])  # fmt: skip
def test_bad_class_labels(backend, labels, words):
    s = Scene("softmax")
    assert_refused(s, lambda: s.net.score(s.X, labels), ValueError, words)


OPTIONS = [
    (dict(epochs=0), ValueError, "epochs must be an integer >= 1, got 0"),
    (dict(epochs=-3), ValueError, "epochs must be an integer >= 1, got -3"),
    (dict(epochs=2.5), TypeError, "epochs must be an integer >= 1, got 2.5"),
    (dict(epochs=True), TypeError, "epochs must be an integer"),
    (dict(epochs=None), TypeError, "epochs must be an integer"),
    (dict(learning_rate=0), ValueError, "learning_rate must be a finite number > 0, got 0"),
    (dict(learning_rate=-0.1), ValueError, "learning_rate.*got -0.1"),
    (dict(learning_rate=np.nan), ValueError, "learning_rate.*got nan"),
    (dict(learning_rate=np.inf), ValueError, "learning_rate.*got inf"),
    (dict(learning_rate="0.1"), TypeError, "learning_rate.*got '0.1'"),
    (dict(learning_rate=None), TypeError, "learning_rate.*got None"),
    (dict(learning_rate=[0.1]), TypeError, "learning_rate"),
    (dict(batch_size=0), ValueError, "batch_size must be an integer >= 1, got 0"),
    (dict(batch_size=-1), ValueError, "batch_size.*got -1"),
    (dict(batch_size=2.0), TypeError, "batch_size.*got 2.0"),
    (dict(batch_size="all"), TypeError, "batch_size.*got 'all'"),
    (dict(shuffle=1), TypeError, "shuffle must be True or False, got 1"),
    (dict(shuffle=None), TypeError, "shuffle must be True or False"),
    (dict(seed=-1), ValueError, "seed must be None, an integer >= 0"),
    (dict(seed="1"), TypeError, "seed must be None"),
    (dict(progress=3), TypeError, "progress must be None, True, False or a function, got 3"),
    (dict(threads=0), ValueError, "threads must be an integer from 1 to"),
    (dict(threads=1.5), TypeError, "threads must be an integer"),
]  # fmt: skip


@pytest.mark.parametrize("options, error, words", OPTIONS, ids=str)
def test_bad_options_of_fit(backend, options, error, words):
    s = Scene()
    call = {"epochs": 2, "batch_size": 3, **options}
    assert_refused(s, lambda: s.net.fit(s.X, s.Y, **call), error, words)


@pytest.mark.parametrize(
    "rate, error", [(0, ValueError), (np.nan, ValueError), ("1", TypeError), (None, TypeError)]
)
def test_bad_learning_rate_of_step(backend, rate, error):
    s = Scene()
    words = "learning_rate must be a finite number > 0"
    assert_refused(s, lambda: s.net.step(s.X, s.Y, learning_rate=rate), error, words)


def changed(net, **changes):
    """The network's own parameters with some replaced, or (None) left out."""
    values = {name: array.copy() + 1 for name, array in net.parameters.items()} | changes
    return {name: array for name, array in values.items() if array is not None}


PARAMETERS = [
    ("missing", lambda n: changed(n, b2=None), ValueError, "parameter 'b2' is missing; wanted W1, b1, W2, b2"),
    ("unknown", lambda n: changed(n, W3=np.ones((2, 2))), ValueError, "unknown parameter 'W3'"),
    ("shape", lambda n: changed(n, b2=np.ones(2)), ValueError, r"b2 has shape \(2,\), wanted \(2, 1\)"),
    ("transposed", lambda n: changed(n, W2=np.ones((4, 2))), ValueError, r"W2 has shape \(4, 2\), wanted \(2, 4\)"),
    ("NaN in the last", lambda n: changed(n, b2=np.full((2, 1), np.nan)), ValueError, "b2 contains NaN"),
    ("inf", lambda n: changed(n, b2=np.full((2, 1), np.inf)), ValueError, "b2 contains infinity"),
    ("too large", lambda n: changed(n, b2=np.full((2, 1), 1e300)), ValueError, "b2 contains infinity or a value too large"),
    ("complex", lambda n: changed(n, b2=np.ones((2, 1), complex)), ValueError, "Complex data not supported: b2"),
    ("strings", lambda n: changed(n, b2=[["a"], ["b"]]), ValueError, "could not convert string to float"),
    ("None", lambda n: {**changed(n), "b2": None}, TypeError, "b2 must be an array, got None"),
    ("matrix", lambda n: changed(n, b2=np.ones((2, 1)).view(np.matrix)), TypeError, "b2 must be a plain array"),
    ("a list", lambda n: [1, 2], TypeError, "parameters must be a dictionary of arrays, got list"),
    ("nothing", lambda n: None, TypeError, "parameters must be a dictionary"),
]  # fmt: skip


@pytest.mark.parametrize("make, error, words", rows(PARAMETERS))
def test_set_parameters_is_all_or_nothing(backend, make, error, words):
    s = Scene()
    values = make(s.net)
    assert_refused(s, lambda: s.net.set_parameters(values), error, words)


# --- the functional API: rows 32 to 54 ----------------------------------------------------


def frozen(array):
    array.flags.writeable = False
    return array


FUNCTIONAL = [
    ("32 inner dimensions", lambda s: fastnn.dense_forward(s.W, s.b, s.A_prev[:2]), ValueError, r"W of shape \(5, 3\).*A_prev of shape \(2, 8\)"),
    ("32 backward", lambda s: fastnn.dense_backward(s.dZ, s.W, s.A_prev[:2]), ValueError, r"dZ of shape \(5, 8\), W of shape \(5, 3\) and A_prev of shape \(2, 8\)"),
    ("32 backward, examples", lambda s: fastnn.dense_backward(s.dZ[:, :7], s.W, s.A_prev), ValueError, r"dZ of shape \(5, 7\)"),
    ("32 activation_backward", lambda s: fastnn.activation_backward(s.dZ, s.dZ[:4], "tanh"), ValueError, r"dA of shape \(5, 8\) and A of shape \(4, 8\)"),
    ("32 cost", lambda s: fastnn.cost(s.dZ, s.dZ[:, :7], "mse"), ValueError, r"A of shape \(5, 8\) and Y of shape \(5, 7\)"),
    ("33 bias length", lambda s: fastnn.dense_forward(s.W, s.b[:4], s.A_prev), ValueError, r"b of shape \(4, 1\) could not be broadcast"),
    ("33 bias flat", lambda s: fastnn.dense_forward(s.W, s.b.ravel(), s.A_prev), ValueError, r"b of shape \(5,\) could not be broadcast.*\(5, 1\)"),
    ("34 out shape", lambda s: fastnn.dense_forward(s.W, s.b, s.A_prev, out=s.out[:4]), ValueError, r"out has shape \(4, 8\), wanted \(5, 8\)"),
    ("34 activate", lambda s: fastnn.activate(s.dZ, "tanh", out=s.out[:4]), ValueError, "out has shape"),
    ("34 forward", lambda s: s.net.forward(s.X, out=s.out), ValueError, r"out has shape \(5, 8\), wanted \(2, 8\)"),
    ("35 out of integers", lambda s: fastnn.activate(s.dZ, "tanh", out=np.zeros((5, 8), int)), TypeError, "Cannot cast output from.*float64.*int64.*same_kind"),
    ("35 forward", lambda s: s.net.forward(s.X, out=np.zeros((2, 8), int)), TypeError, "Cannot cast.*same_kind"),
    ("36 out read-only", lambda s: fastnn.activate(s.dZ, "tanh", out=frozen(np.zeros((5, 8)))), ValueError, "output array is read-only"),
    ("36 forward", lambda s: s.net.forward(s.X, out=frozen(np.zeros((2, 8), "f4"))), ValueError, "output array is read-only"),
    ("37 out a list", lambda s: fastnn.activate(s.dZ, "tanh", out=[0.0]), TypeError, r"out must be a numpy\.ndarray or None, got list"),
    ("37 out a number", lambda s: s.net.forward(s.X, out=3), TypeError, r"out must be a numpy\.ndarray or None, got int"),
    ("37 out masked", lambda s: s.net.forward(s.X, out=np.ma.zeros((2, 8))), TypeError, r"out must be a numpy\.ndarray"),
    ("39 None as W", lambda s: fastnn.dense_forward(None, s.b, s.A_prev), TypeError, "W must be an array, got None"),
    ("39 None as Z", lambda s: fastnn.activate(None, "tanh"), TypeError, "Z must be an array, got None"),
    ("39 None as Y", lambda s: fastnn.cost(s.dZ, None, "mse"), TypeError, "Y must be an array, got None"),
    ("44 float16", lambda s: fastnn.activate(s.dZ.astype("f2"), "tanh"), TypeError, "Z has dtype float16, wanted float32 or float64"),
    ("44 longdouble", lambda s: fastnn.activate(s.dZ.astype("g"), "tanh"), TypeError, f"Z has dtype {np.dtype('g')}"),
    ("44 complex", lambda s: fastnn.dense_forward(s.W, s.b, s.A_prev + 0j), TypeError, "A_prev has dtype complex128"),
    ("44 objects", lambda s: fastnn.dense_backward(s.dZ.astype(object), s.W, s.A_prev), TypeError, "dZ has dtype object"),
    ("44 strings", lambda s: fastnn.activation_derivative([["a"]], "tanh"), TypeError, "A has dtype <U1"),
    ("11 matrix", lambda s: fastnn.activate(s.dZ.view(np.matrix), "tanh"), TypeError, "Z must be a plain array"),
    ("45 masked", lambda s: fastnn.cost(np.ma.masked_array(s.dZ), s.dZ, "mse"), TypeError, "A must be a plain array"),
    ("3 1-D W", lambda s: fastnn.dense_forward(s.W[0], s.b, s.A_prev), ValueError, "Expected 2D array, got 1D array instead: W"),
    ("3 1-D A_prev", lambda s: fastnn.dense_forward(s.W, s.b, s.A_prev[:, 0]), ValueError, "got 1D array instead: A_prev"),
    ("ragged", lambda s: fastnn.activate([[1.0], [1.0, 2.0]], "tanh"), ValueError, "Z: .*inhomogeneous"),
    ("unknown activation", lambda s: fastnn.dense_forward(s.W, s.b, s.A_prev, "gelu"), ValueError, "activation must be one of"),
    ("no activation", lambda s: fastnn.activate(s.dZ, None), TypeError, "activation must be a name"),
    ("softmax derivative", lambda s: fastnn.activation_derivative(s.dZ, "softmax"), ValueError, "use activation_backward"),
    ("unknown loss", lambda s: fastnn.cost(s.dZ, s.dZ, "hinge"), ValueError, "loss must be one of"),
    ("no probability A", lambda s: fastnn.cost(s.dZ, 0 * s.dZ), ValueError, r"A must hold probabilities in \[0, 1\]"),
    ("no probability Y", lambda s: fastnn.cost(0 * s.dZ, s.dZ), ValueError, r"Y must hold probabilities in \[0, 1\]"),
    ("no distribution Y", lambda s: fastnn.cost(0 * s.dZ, 0 * s.dZ, "cross_entropy"), ValueError, "each column of Y must sum to 1"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, words", rows(FUNCTIONAL))
def test_functional(backend, call, error, words):
    s = Scene()
    assert_refused(s, lambda: call(s), error, words)


@pytest.mark.parametrize(
    "dtype, error, words",
    [("f4", MemoryError, "Unable to allocate"), ("f8", ValueError, "array is too big")],
)
def test_results_that_no_memory_holds(backend, dtype, error, words):
    """Rows 48 and 49: NumPy's own errors, before anything is computed."""
    shapes = (2**30, 1), (2**30, 1), (1, 2**30)
    W, b, A_prev = (np.broadcast_to(np.ones((1, 1), dtype), shape) for shape in shapes)
    with pytest.raises(error, match=words):
        fastnn.dense_forward(W, b, A_prev)


def test_too_large_for_the_dtype(backend):
    """Row 2: what float32 cannot hold is refused, where float64 takes it."""
    s = Scene()
    X = s.X.astype("f8") * 1e100
    words = r"X contains infinity or a value too large for dtype\('float32'\)"
    assert_refused(s, lambda: s.net.forward(X), ValueError, words)
    assert np.isfinite(fastnn.MLP([3, 4, 2], dtype="float64").forward(X)).all()
