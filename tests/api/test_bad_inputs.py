"""What bad input must get: one table of calls, exception types, and words of the message.

After each error everything is as it was: the network and its generator, the arrays, `out`.
The numbers are those of the project's list of bad inputs and faults.
"""

# ruff: noqa: E501  (a row of a table is one line)

from decimal import Decimal
from fractions import Fraction

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
    "forward into out": lambda s, X: s.net.forward(X, out=np.empty((2, 8), "f4")),
    "predict": lambda s, X: s.net.predict(X),
    "backward": lambda s, X: s.net.backward(X, np.ones((2, 8), "f4")),
    "backward of Z": lambda s, X: s.net.backward(X, np.ones((2, 8), "f4"), of="Z"),
    "jacobian": lambda s, X: s.net.jacobian(X),
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


@pytest.mark.parametrize("method", OF_X_AND_Y)
@pytest.mark.parametrize("labels, words", [
    ([0, 1, 2, 0, 0, 0, 0, 0], "integers from 0 to 1.*0 to 2"),
    ([0, -1, 0, 0, 0, 0, 0, 0], "integers from 0 to 1.*-1 to 0"),
    ([0, 0.5, 0, 0, 0, 0, 0, 0], "integers from 0 to 1, got numbers of dtype float64"),
    ([0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], r"integers from 0 to 1.*float64: convert them by Y\.astype"),
    ([0, np.nan, 0, 0, 0, 0, 0, 0], "Y contains NaN"),
    ([0, 1, 1], r"Y has shape \(3,\), wanted \(2, 8\), one-hot, or \(8,\)"),
    (["cat", "dog"] * 4, r"could not convert string to float: Y .*fastnn\.datasets\.one_hot\(Y\)"),
    (np.array(["cat", "dog"] * 4, object), r"could not convert string to float.*one_hot\(Y\)"),
])  # fmt: skip
def test_bad_class_labels(backend, method, labels, words):
    s = Scene("softmax")
    assert_refused(s, lambda: OF_X_AND_Y[method](s, s.X, labels), ValueError, words)


@pytest.mark.parametrize("method", OF_X_AND_Y)
@pytest.mark.parametrize("labels, words", [
    ([0, 1] * 4, r"Y has shape \(8,\), wanted \(2, 8\).*output='softmax'"),
    (["no", "yes"] * 4, 'could not convert string to float: Y .*Y == "yes"'),
])  # fmt: skip
def test_bad_labels_of_several_questions(backend, method, labels, words):
    s = Scene("sigmoid")
    assert_refused(s, lambda: OF_X_AND_Y[method](s, s.X, labels), ValueError, words)


@pytest.mark.parametrize("method", OF_X_AND_Y)
@pytest.mark.parametrize("output, Y, words", [
    ("sigmoid", [0, 1, 2, 0, 0, 0, 0, 0], r"Y must hold probabilities in \[0, 1\].*from 0 to 2"),
    ("linear", np.ones(5), r"inconsistent numbers of samples: \[8, 5\].*Y has shape \(5,\), wanted \(1, 8\)"),
    ("linear", np.ones((8, 1)), r"Y has shape \(8, 1\), wanted \(1, 8\)"),
    ("linear", 1.0, "got scalar array instead"),
    ("exponential", [-1] * 8, "Y must be >= 0 for loss 'poisson', got -1"),
])  # fmt: skip
def test_bad_targets_of_one_output(backend, method, output, Y, words):
    s = Scene()
    s.net = fastnn.MLP([3, 4, 1], output=output)
    assert_refused(s, lambda: OF_X_AND_Y[method](s, s.X, Y), ValueError, words)


ONE_EXAMPLE = [
    ("another length", np.ones(4), np.ones(2), r"got 1D array instead: X has shape \(4,\), wanted \(3, m\) or, for one example, \(3,\), one column per example\.$"),
    ("NaN", [1.0, np.nan, 0.0], [1.0, 0.0], r"Input X contains NaN\."),
    ("Y of another length", np.ones(3), np.ones(3), r"Y has shape \(3,\), wanted \(2, 1\)"),
    ("one number for two outputs", np.ones(3), 1.0, "Y has shape"),
]  # fmt: skip


@pytest.mark.parametrize("method", OF_X_AND_Y)
@pytest.mark.parametrize("X, Y, words", rows(ONE_EXAMPLE))
def test_bad_vectors(backend, method, X, Y, words):
    s = Scene()
    assert_refused(s, lambda: OF_X_AND_Y[method](s, X, Y), ValueError, words)


@pytest.mark.parametrize("method", OF_X)
def test_a_row_of_numbers_is_no_example_of_one_input(backend, method):
    s = Scene()
    s.net = fastnn.MLP([1, 2])
    words = r"X has shape \(8,\), wanted \(1, m\) or.*For 8 examples: X\.reshape\(1, 8\)\.$"
    assert_refused(s, lambda: OF_X[method](s, s.X[0]), ValueError, words)


@pytest.mark.parametrize("call, error, words", rows([
    ("no tau", lambda n: n.mix(n, 1.5), ValueError, "tau must be a number from 0 to 1, got 1.5"),
    ("negative", lambda n: n.mix(n, -0.5), ValueError, "tau must be a finite number >= 0, got -0.5"),
    ("text", lambda n: n.mix(n, "1"), TypeError, "tau must be a finite number"),
    ("no network", lambda n: n.mix(n.parameters, 0.5), TypeError, "other must be an MLP, got fastnn.*ParameterDict"),
    ("sizes", lambda n: n.mix(fastnn.MLP([3, 5, 2]), 0.5), ValueError, r"other must have the layer_sizes of this network, \(3, 4, 2\), got \(3, 5, 2\)"),
    ("activations", lambda n: n.mix(fastnn.MLP([3, 4, 2]), 0.5), ValueError, "other must have the activations of this network.*'linear'.*'sigmoid'"),
    ("dtype", lambda n: n.mix(n.copy("float64"), 0.5), ValueError, "other must have the dtype of this network, float32, got float64"),
    ("copy", lambda n: n.copy("float16"), TypeError, "dtype must be float32 or float64"),
]))  # fmt: skip
def test_bad_copies(backend, call, error, words):
    s = Scene()
    assert_refused(s, lambda: call(s.net), error, words)


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
    (dict(epochs=2**62), ValueError, f"epochs must be at most {2**40}, got {2**62}"),
    (dict(learning_rate=1e-60), ValueError, "learning_rate: 1e-60 becomes 0 in float32"),
    (dict(learning_rate=1e60), ValueError, r"learning_rate: 1e\+60 overflows in float32"),
    (dict(learning_rate=b"0.1"), TypeError, "learning_rate.*got b'0.1'"),
    (dict(learning_rate=np.True_), TypeError, "learning_rate.*got (np.)?True"),
    (dict(optimizer="sgd"), ValueError, "optimizer must be one of 'gradient_descent', .*'adam', .*got 'sgd'; did you mean 'gradient_descent'"),
    (dict(optimizer="Adam"), ValueError, "got 'Adam'; did you mean 'adam'"),
    (dict(optimizer=None), TypeError, "optimizer must be a name or an Optimizer, got None"),
    (dict(optimizer=fastnn.optimizers.Adam), TypeError, r"got the class Adam: write Adam\(\)"),
    (dict(optimizer=fastnn.optimizers.Adam(epsilon=1e-60)), ValueError, "epsilon: 1e-60 becomes 0 in float32"),
    (dict(l2=-1), ValueError, "l2 must be a finite number >= 0, got -1"),
    (dict(l2=np.nan), ValueError, "l2 must be a finite number >= 0, got nan"),
    (dict(l2="1"), TypeError, "l2 must be a finite number"),
    (dict(l2=None), TypeError, "l2 must be a finite number"),
    (dict(l2=1e60), ValueError, "l2: .*overflows in float32"),
    (dict(clip_norm=0), ValueError, "clip_norm must be a finite number > 0, got 0"),
    (dict(clip_norm=-1.0), ValueError, "clip_norm must be a finite number > 0, got -1.0"),
    (dict(clip_norm=np.inf), ValueError, "clip_norm must be a finite number > 0, got inf"),
    (dict(clip_norm="1"), TypeError, "clip_norm must be a finite number"),
    (dict(clip_norm=1e-60), ValueError, "clip_norm: 1e-60 becomes 0 in float32"),
    (dict(lr=0.1), TypeError, r"fit\(\) got an unexpected keyword argument 'lr'; did you mean 'learning_rate'\?$"),
    (dict(n_epochs=3), TypeError, r"unexpected keyword argument 'n_epochs'; did you mean 'epochs'\?"),
    (dict(epoch=3), TypeError, r"unexpected keyword argument 'epoch'; did you mean 'epochs'\?"),
    (dict(max_iter=3), TypeError, r"'max_iter'; did you mean 'epochs'\?"),
    (dict(weight_decay=3), TypeError, r"'weight_decay'; did you mean 'l2'\?"),
    (dict(xyzzy=3), TypeError, "unexpected keyword argument 'xyzzy'$"),
    (dict(early_stopping=3), TypeError, r"'early_stopping'; did you mean 'patience'\?"),
    (dict(validation_split=0.1), TypeError, r"'validation_split'; did you mean 'validation_fraction'\?"),
    # schedules
    (dict(schedule="cosin"), ValueError, "schedule must be one of 'constant', .*got 'cosin'; did you mean 'cosine'"),
    (dict(schedule=3), TypeError, "schedule must be a name, a Schedule or a function of the step number, got 3"),
    (dict(schedule=fastnn.schedules.Cosine), TypeError, r"got the class Cosine: write Cosine\(\)"),
    (dict(schedule=lambda t: 0.1, learning_rate=0.1), ValueError, "learning_rate must not be given where schedule is a function.*got learning_rate=0.1"),
    (dict(schedule=lambda t: -0.1), ValueError, r"the learning rate that schedule\(0\) returns must be a finite number >= 0, got -0.1"),
    (dict(schedule=lambda t: 0.1 if t < 4 else np.nan), ValueError, r"schedule\(4\) returns.*got nan"),
    (dict(schedule=lambda t: "x"), TypeError, r"schedule\(0\) returns must be a finite number"),
    (dict(schedule=lambda t: 1e60), ValueError, r"schedule\(0\) returns: 1e\+60 overflows in float32"),
    # validation
    (dict(validation_data=3), TypeError, r"validation_data must be a pair \(X, Y\), got int"),
    (dict(validation_data=([1], [2], [3])), TypeError, r"must be a pair \(X, Y\), got tuple of 3"),
    (dict(validation_data=(np.ones((4, 2)), np.ones((2, 2)))), ValueError, "X has 4 features"),
    (dict(validation_data=(np.ones((3, 2)), np.ones((2, 2))), validation_fraction=0.1), ValueError, "validation_data or validation_fraction, not both"),
    (dict(validation_fraction=1), ValueError, "validation_fraction must be a number >= 0 and < 1, got 1"),
    (dict(validation_fraction=-0.1), ValueError, "validation_fraction.*got -0.1"),
    (dict(validation_fraction="a"), TypeError, "validation_fraction.*got 'a'"),
    (dict(patience=3), ValueError, "patience waits for a lower validation cost: give validation_data or"),
    (dict(patience=0, validation_fraction=0.5), ValueError, "patience must be an integer >= 1, got 0"),
    (dict(patience=1.5, validation_fraction=0.5), TypeError, "patience must be an integer >= 1, got 1.5"),
    (dict(restore_best=1), TypeError, "restore_best must be True or False, got 1"),
    (dict(metrics="acuracy"), ValueError, "metrics must be one of 'accuracy'.*got 'acuracy'; did you mean 'accuracy'"),
    (dict(metrics="accuracy"), ValueError, "metrics: 'accuracy' is for classes, and the outputs of this network are values"),
    (dict(metrics=3), TypeError, "metrics must be a sequence, got 3"),
    (dict(metrics=[3]), TypeError, "metrics must be a name, got 3"),
    (dict(metrics=["r2", "r2"]), ValueError, "metrics: two of them are called 'r2'"),
    (dict(metrics=lambda Y, A: Y - A), TypeError, "the metric '<lambda>' must return a number, got array"),
    (dict(metrics=lambda Y, A: None), TypeError, "the metric '<lambda>' must return a number, got None"),
    (dict(callbacks=3), TypeError, "callbacks must be a sequence, got 3"),
    (dict(callbacks=["x"]), TypeError, r"callbacks must be functions \(epoch, history\) or objects with on_epoch_end\(epoch, history\), got 'x'"),
    # classes
    (dict(class_weight="balanced"), ValueError, "class_weight needs classes.*this network has 2 linear outputs: use sample_weight"),
    # L-BFGS
    (dict(optimizer="lbfg"), ValueError, "got 'lbfg'; did you mean 'lbfgs'"),
    (dict(optimizer="lbfgs"), ValueError, "optimizer 'lbfgs' has no batch_size, got 3: it takes all examples at once"),
    (dict(optimizer="lbfgs", batch_size=None, learning_rate=0.1), ValueError, "'lbfgs' has no learning_rate, got 0.1: it searches"),
    (dict(optimizer="lbfgs", batch_size=None, schedule="cosine"), ValueError, "'lbfgs' has no schedule, got 'cosine'"),
    (dict(optimizer="lbfgs", batch_size=None, clip_norm=1.0), ValueError, "'lbfgs' has no clip_norm, got 1.0"),
    (dict(optimizer=fastnn.optimizers.LBFGS), TypeError, r"got the class LBFGS: write LBFGS\(\)"),
]  # fmt: skip

CLASS_WEIGHTS = [
    ("softmax", "unbalanced", TypeError, r'class_weight must be a dict \{class: weight\} or "balanced", got \'unbalanced\''),
    ("softmax", [1.0, 2.0], TypeError, "class_weight must be a dict"),
    ("softmax", {2: 1.0}, ValueError, "class_weight: the classes are integers from 0 to 1, got 2"),
    ("softmax", {"a": 1.0}, ValueError, "the classes are integers from 0 to 1, got 'a'"),
    ("softmax", {0: -1.0}, ValueError, r"class_weight\[0\] must be a finite number >= 0, got -1.0"),
    ("softmax", {0: np.nan}, ValueError, r"class_weight\[0\].*got nan"),
    ("softmax", {0: "1"}, TypeError, r"class_weight\[0\] must be a finite number"),
    ("softmax", {0: 0, 1: 0}, ValueError, "every example has the weight 0: there is nothing to learn from"),
    ("sigmoid", {0: 2.0}, ValueError, "this network has 2 sigmoid outputs: use sample_weight"),
]  # fmt: skip


@pytest.mark.parametrize("output, weights, error, words", CLASS_WEIGHTS, ids=str)
def test_bad_class_weights(backend, output, weights, error, words):
    s = Scene(output)
    options = {"epochs": 2, "batch_size": 3, "class_weight": weights}
    assert_refused(s, lambda: s.net.fit(s.X, s.Y, **options), error, words)


def test_bad_validation_of_one_example(backend):
    s = Scene()
    words = "validation_fraction needs 2 examples at least"
    call = {"validation_fraction": 0.5}
    assert_refused(s, lambda: s.net.fit(s.X[:, :1], s.Y[:, :1], **call), ValueError, words)


def test_weights_that_are_all_held_out(backend):
    s = Scene()
    words = "sample_weight is 0 for every example that validation_fraction leaves"
    for j in range(8):  # some of them are held out
        options = {"validation_fraction": 0.9, "sample_weight": np.eye(8)[j], "seed": 0}
        if j in (fastnn.validation.hold_out(0.9, None, 8, np.random.default_rng(0))[1]):
            assert_refused(s, lambda: s.net.fit(s.X, s.Y, **options), ValueError, words)  # noqa: B023


@pytest.mark.parametrize("call, error, words", rows([
    ("step", lambda n, X, Y: n.step(X, Y, optimizer="lbfgs"), ValueError, "'lbfgs' has no step that could be taken alone: give it to fit"),
    ("update", lambda n, X, Y: fastnn.optimizers.LBFGS().update(n, n.gradients(X, Y)[1]), ValueError, "'lbfgs' has no step"),
    ("memory", lambda n, X, Y: fastnn.optimizers.LBFGS(memory=0), ValueError, "memory must be an integer >= 1, got 0"),
    ("tolerance", lambda n, X, Y: fastnn.optimizers.LBFGS(tolerance=-1), ValueError, "tolerance must be a finite number >= 0, got -1"),
    ("warmup", lambda n, X, Y: fastnn.schedules.Cosine(warmup=-1), ValueError, "warmup must be an integer >= 0, got -1"),
    ("length", lambda n, X, Y: fastnn.schedules.Cosine(length=0), ValueError, "length must be an integer >= 1, got 0"),
    ("final", lambda n, X, Y: fastnn.schedules.Cosine(final=1.5), ValueError, "final must be a number from 0 to 1, got 1.5"),
    ("factor", lambda n, X, Y: fastnn.schedules.Step(factor=0), ValueError, "factor must be a finite number > 0, got 0"),
    ("factor above 1", lambda n, X, Y: fastnn.schedules.Exponential(1.5), ValueError, "factor must be a number > 0 and <= 1, got 1.5"),
    ("every", lambda n, X, Y: fastnn.schedules.Step(every=0), ValueError, "every must be an integer >= 1, got 0"),
    ("power", lambda n, X, Y: fastnn.schedules.InverseScaling(0), ValueError, "power must be a finite number > 0, got 0"),
    ("patience", lambda n, X, Y: fastnn.schedules.ReduceOnPlateau(patience=-1), ValueError, "patience must be an integer >= 0, got -1"),
]))  # fmt: skip
def test_bad_optimizers_and_schedules(backend, call, error, words):
    s = Scene()
    assert_refused(s, lambda: call(s.net, s.X, s.Y), error, words)


@pytest.mark.parametrize("loss, error, words", rows([
    ("a number", lambda A, Y: 1.0, TypeError, r"must return \(J, dA\), got 1.0"),
    ("nothing", lambda A, Y: None, TypeError, r"must return \(J, dA\), got None"),
    ("three", lambda A, Y: (1.0, A, Y), TypeError, r"must return \(J, dA\)"),
    ("J an array", lambda A, Y: (A, A), TypeError, "must return a number J first, got array"),
    ("J text", lambda A, Y: ("1", A), TypeError, "must return a number J first, got '1'"),
    ("dA of another shape", lambda A, Y: (1.0, A[:1]), ValueError, r"must return dA of shape \(2, \d\), got \(1, \d\)"),
    ("dA complex", lambda A, Y: (1.0, A * 1j), ValueError, "Complex data not supported: dA"),
    ("its own error", lambda A, Y: 1 / 0, ZeroDivisionError, "division by zero"),
]))  # fmt: skip
@pytest.mark.parametrize("method", ["fit", "step", "fit lbfgs"])
def test_bad_losses_of_ones_own(backend, loss, error, words, method):
    s = Scene()
    s.net = fastnn.MLP(
        [3, 4, 2], output="linear", loss=loss, dropout=0 if "lbfgs" in method else 0.3
    )
    calls = {
        "fit": lambda: s.net.fit(s.X, s.Y, epochs=2, batch_size=3, optimizer="adam"),
        "step": lambda: s.net.step(s.X, s.Y),
        "fit lbfgs": lambda: s.net.fit(s.X, s.Y, epochs=2, optimizer="lbfgs"),
    }
    assert_refused(s, calls[method], error, words)


@pytest.mark.parametrize("options", [{"sample_weight": np.ones(8)}, {"class_weight": "balanced"}])
def test_losses_of_ones_own_weigh_examples_themselves(backend, options):
    s = Scene()
    s.net = fastnn.MLP([3, 4, 2], output="softmax", loss=lambda A, Y: (1.0, A))
    words = "sample_weight and class_weight need a loss of the table: '<lambda>', a function"
    assert_refused(s, lambda: s.net.fit(s.X, s.Y, epochs=2, **options), ValueError, words)


def test_no_dropout_with_lbfgs(backend):
    s = Scene()
    s.net = fastnn.MLP([3, 4, 2], dropout=0.5)
    words = r"'lbfgs' cannot train with dropout, got \(0.5,\)"
    call = {"optimizer": "lbfgs"}
    s.Y = np.abs(s.Y)
    assert_refused(s, lambda: s.net.fit(s.X, s.Y, **call), ValueError, words)


WEIGHTS = [
    ("28 shape", np.ones(3), ValueError, r"sample_weight has shape \(3,\), wanted \(8,\), one per example"),
    ("28 2-D", np.ones((1, 8)), ValueError, r"Sample weights must be 1D array or None: sample_weight has shape \(1, 8\)"),
    ("28 scalar", 1.0, ValueError, "Sample weights must be 1D array or None"),
    ("28 NaN", np.full(8, np.nan), ValueError, r"Input sample_weight contains NaN\."),
    ("28 inf", np.full(8, np.inf), ValueError, "Input sample_weight contains infinity"),
    ("28 too large", np.full(8, 1e300), ValueError, "sample_weight contains infinity or a value too large"),
    ("28 all 0", np.zeros(8), ValueError, "sample_weight is 0 for every example"),
    ("28 all 0 in float32", np.full(8, 1e-300), ValueError, "sample_weight is 0 for every example"),
    ("28 negative", np.arange(8) - 1.5, ValueError, "sample_weight must not be negative, got -1.5"),
    ("8 complex", np.ones(8, complex), ValueError, "Complex data not supported: sample_weight"),
    ("9 strings", ["1"] * 8, ValueError, "could not convert string to float: sample_weight"),
    ("ragged", [[1.0], [1.0, 2.0]], ValueError, "sample_weight: .*inhomogeneous"),
    ("11 matrix", np.ones((1, 8)).view(np.matrix), TypeError, "sample_weight must be a plain array"),
]  # fmt: skip


@pytest.mark.parametrize("options, error, words", OPTIONS, ids=str)
def test_bad_options_of_fit(backend, options, error, words):
    s = Scene()
    call = {"epochs": 2, "batch_size": 3, **options}
    assert_refused(s, lambda: s.net.fit(s.X, s.Y, **call), error, words)


@pytest.mark.parametrize("weights, error, words", rows(WEIGHTS))
def test_bad_sample_weights(backend, weights, error, words):
    s = Scene()
    call = {"epochs": 2, "batch_size": 3, "sample_weight": weights}
    assert_refused(s, lambda: s.net.fit(s.X, s.Y, **call), error, words)


@pytest.mark.parametrize("options, error, words", [
    (dict(lr=0.1), TypeError, r"step\(\) got an unexpected keyword argument 'lr'; did you mean 'learning_rate'\?"),
    (dict(learningrate=0.1), TypeError, r"did you mean 'learning_rate'\?"),
    (dict(solver="adam"), TypeError, r"did you mean 'optimizer'\?"),
    (dict(optimizer="adma"), ValueError, r"got 'adma'; did you mean 'adam'\?"),
    (dict(learning_rate=1e-60), ValueError, "learning_rate: 1e-60 becomes 0 in float32"),
])  # fmt: skip
def test_bad_options_of_step(backend, options, error, words):
    s = Scene()
    assert_refused(s, lambda: s.net.step(s.X, s.Y, **options), error, words)


DA = [
    ("shape", lambda s: s.Y[:1], ValueError, r"dA has shape \(1, 8\), wanted \(2, 8\)"),
    ("examples", lambda s: s.Y[:, :5], ValueError, r"dA has shape \(2, 5\), wanted \(2, 8\)"),
    ("NaN", lambda s: s.with_("Y", np.nan), ValueError, r"Input dA contains NaN\."),
    ("inf", lambda s: s.with_("Y", np.inf), ValueError, "Input dA contains infinity"),
    ("None", lambda s: None, TypeError, "dA must be an array, got None"),
    ("complex", lambda s: s.Y + 0j, ValueError, "Complex data not supported: dA"),
    ("masked", lambda s: np.ma.masked_array(s.Y), TypeError, "dA must be a plain array"),
]  # fmt: skip


@pytest.mark.parametrize("make, error, words", rows(DA))
def test_bad_derivatives_of_outputs(backend, make, error, words):
    s = Scene()
    dA = make(s)
    assert_refused(s, lambda: s.net.backward(s.X, dA), error, words)


@pytest.mark.parametrize("of", ["X", "z", None, ["A"]])
def test_bad_places_to_go_back_from(backend, of):
    s = Scene()
    assert_refused(
        s, lambda: s.net.backward(s.X, s.Y, of=of), ValueError, "of must be 'A' or 'Z', got"
    )


@pytest.mark.parametrize(
    "rate, error", [(0, ValueError), (np.nan, ValueError), ("1", TypeError), ([0.1], TypeError)]
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
    ("a slope that overflows", lambda s: fastnn.activate(s.dZ, ("leaky_relu", 10**400)), ValueError, "slope of 'leaky_relu' must be a finite number >= 0, got 1000"),
    ("of more digits than are printed", lambda s: fastnn.activate(s.dZ, ("leaky_relu", 10**5000)), ValueError, "got a int of too many digits to print"),
    ("a slope that float32 cannot hold", lambda s: fastnn.activate(s.X, ("leaky_relu", 1e39)), ValueError, r"activation: the slope of 'leaky_relu': 1e\+39 overflows in float32"),
    ("derivative", lambda s: fastnn.activation_derivative(s.X, ("leaky_relu", 1e39)), ValueError, "overflows in float32"),
    ("backward", lambda s: fastnn.activation_backward(s.X, s.X, ("leaky_relu", 1e39)), ValueError, "overflows in float32"),
    ("dense_forward", lambda s: fastnn.dense_forward(s.X, s.X[:, :1], s.X[:1].repeat(8, 0), ("leaky_relu", 1e39)), ValueError, "overflows in float32"),
    ("a slope of bytes", lambda s: fastnn.activate(s.dZ, ("leaky_relu", b"0.5")), TypeError, "slope of 'leaky_relu' must be a finite number >= 0, got b'0.5'"),
    ("a slope of a bool", lambda s: fastnn.activate(s.dZ, ("leaky_relu", np.True_)), TypeError, "must be a finite number >= 0, got (np.)?True"),
    ("a slope of an array of bools", lambda s: fastnn.activate(s.dZ, ("leaky_relu", np.array(True))), TypeError, "must be a finite number"),
    ("a slope of text", lambda s: fastnn.activate(s.dZ, ("leaky_relu", np.str_("1"))), TypeError, "must be a finite number"),
    ("a slope of bytes that change", lambda s: fastnn.activate(s.dZ, ("leaky_relu", bytearray(b"1"))), TypeError, "must be a finite number"),
    ("a complex slope", lambda s: fastnn.activate(s.dZ, ("leaky_relu", np.complex128(1))), TypeError, "must be a finite number"),
    ("no slope", lambda s: fastnn.activate(s.dZ, ("leaky_relu", None)), TypeError, "must be a finite number >= 0, got None"),
    ("a parameter too many", lambda s: fastnn.activate(s.dZ, ("tanh", 1.0)), ValueError, "'tanh' takes no parameter"),
    ("delta of 0", lambda s: fastnn.cost(s.dZ, s.dZ, ("huber", 0)), ValueError, "loss: the delta of 'huber' must be a finite number > 0, got 0"),
    ("delta that becomes 0", lambda s: fastnn.cost(s.X, s.X, ("huber", 1e-60)), ValueError, "loss: the delta of 'huber': 1e-60 becomes 0 in float32"),
    ("derivative of gelu from its output", lambda s: fastnn.activation_derivative(s.dZ, "gelu"), ValueError, "cannot be told from its output.*derivative=True"),
    ("backward of gelu from its output", lambda s: fastnn.activation_backward(s.dZ, s.dZ, "gelu"), ValueError, "cannot be told from its output"),
    ("derivative of softmax beside A", lambda s: fastnn.activate(s.dZ, "softmax", derivative=True), ValueError, "use activation_backward"),
    ("ReLU", lambda s: fastnn.activate(s.dZ, "ReLU"), ValueError, r"'gelu', .*got 'ReLU'; did you mean 'relu'\?"),
    ("identity", lambda s: fastnn.activate(s.dZ, "identity"), ValueError, r"did you mean 'linear'\?"),
    ("logistic", lambda s: fastnn.activate(s.dZ, "logistic"), ValueError, r"did you mean 'sigmoid'\?"),
    ("mean squares", lambda s: fastnn.cost(s.dZ, s.dZ, "MSE"), ValueError, r"did you mean 'mse'\?"),
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
    ("unknown activation", lambda s: fastnn.dense_forward(s.W, s.b, s.A_prev, "selu"), ValueError, "activation must be one of"),
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


def test_slopes_that_float64_holds(backend):
    """Row 2, of parameters: refused in float32, and right in float64."""
    Z = np.array([[-1.0, 0.0, 2.0]])
    np.testing.assert_array_equal(fastnn.activate(Z, ("leaky_relu", 1e39)), [[-1e39, 0, 2]])
    for slope in (0.5, np.float32(0.5), np.array(0.5), Fraction(1, 2), Decimal("0.5")):
        np.testing.assert_array_equal(fastnn.activate(Z, ("leaky_relu", slope)), [[-0.5, 0, 2]])


# --- the parameters, as a dictionary ------------------------------------------------------

ASSIGNMENTS = [
    ("unknown", lambda p: p.__setitem__("W3", np.ones((4, 3))), ValueError, "unknown parameter 'W3'; this network has W1, b1, W2, b2"),
    ("no name", lambda p: p.__setitem__(1, np.ones((4, 3))), ValueError, "unknown parameter 1"),
    ("shape", lambda p: p.__setitem__("W1", np.ones((3, 4))), ValueError, r"W1 has shape \(3, 4\), wanted \(4, 3\)"),
    ("a number", lambda p: p.__setitem__("W1", 1.0), ValueError, r"W1 has shape \(\), wanted \(4, 3\)"),
    ("NaN", lambda p: p.__setitem__("b2", [[1.0], [np.nan]]), ValueError, "b2 contains NaN"),
    ("too large", lambda p: p.__setitem__("b2", [[1.0], [1e300]]), ValueError, "b2 contains infinity or a value too large"),
    ("None", lambda p: p.__setitem__("b2", None), TypeError, "b2 must be an array, got None"),
    ("the second of two", lambda p: p.update(W1=np.ones((4, 3)), b2=[[np.inf]] * 2), ValueError, "b2 contains infinity"),
    ("del", lambda p: p.__delitem__("W1"), TypeError, "can be set, but not added or taken away"),
    ("pop", lambda p: p.pop("W1"), TypeError, "can be set, but not added or taken away"),
    ("popitem", lambda p: p.popitem(), TypeError, "can be set, but not"),
    ("clear", lambda p: p.clear(), TypeError, "can be set, but not"),
    ("setdefault", lambda p: p.setdefault("W3", 1), TypeError, "can be set, but not"),
    ("|=", lambda p: p.__ior__({"W1": np.ones((4, 3))}), TypeError, "can be set, but not"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, words", rows(ASSIGNMENTS))
def test_parameters_cannot_be_lost(backend, call, error, words):
    s = Scene()
    parameters = s.net.parameters
    assert_refused(s, lambda: call(parameters), error, words)
    assert list(parameters) == ["W1", "b1", "W2", "b2"]


def test_what_suggests_names_is_imported_when_it_is_needed(run_python):
    done = run_python("""
        import sys
        import fastnn

        assert "difflib" not in sys.modules
        try:
            fastnn.MLP([2, 1], output="sigmiod")
        except ValueError as error:
            print(error)
        assert "difflib" in sys.modules
    """)
    assert done.stdout.endswith("did you mean 'sigmoid'?\n")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_ends_of_probabilities(backend, dtype):
    """-0.0, subnormals, and 0 and 1 themselves are probabilities; their neighbours are not."""
    tiny, one = np.finfo(dtype).smallest_subnormal, np.ones((), dtype)
    A = np.full((1, 4), 0.5, dtype)
    Y = np.array([[-0.0, 0.0, tiny, 1.0]], dtype)
    assert np.isfinite(fastnn.cost(A, Y))
    for value in (-tiny, np.nextafter(one, one + one), -one, np.inf, -np.inf):
        bad = Y.copy()
        bad[0, 1] = value
        with pytest.raises(ValueError, match="Y must hold probabilities|Y contains infinity"):
            fastnn.cost(A, bad)
    Y[0, 1] = np.nan
    assert np.isnan(fastnn.cost(A, Y))


def test_subnormals_are_kept(run_python):
    """Row 54: importing and running the kernels leaves the arithmetic of the process alone."""
    done = run_python("""
        import numpy as np

        small = np.array([[2.0**-1070, 2.0**-1074]])
        before = [(repr(np.finfo(t)), np.finfo(t).smallest_subnormal) for t in ("f4", "f8")]
        import fastnn

        for name in fastnn.available_backends():
            with fastnn.use_backend(name):
                one = {"W1": [[1.0]], "b1": [[0.0]]}
                net = fastnn.MLP([1, 1], output="linear", dtype="float64", init=one)
                assert (net.forward(small) == small).all(), name
                assert (fastnn.activate(small, "relu") == small).all(), name
                net.fit(small, small, epochs=2)
                assert small[0, 0] / 2 == 2.0**-1071, name
        assert before == [(repr(np.finfo(t)), np.finfo(t).smallest_subnormal) for t in ("f4", "f8")]
        print("kept")
    """)
    assert done.stdout == "kept\n"
