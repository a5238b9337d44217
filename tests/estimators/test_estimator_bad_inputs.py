"""Wrong input gets scikit-learn's error, in its words or better ones, and changes nothing."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError

import fastnn
from fastnn.estimators import InvalidParameterError

RANDOM = np.random.RandomState(0)
X = RANDOM.normal(size=(20, 3))
Y = (X[:, 0] > 0).astype(int)
BOTH = pytest.mark.parametrize("cls", [fastnn.MLPClassifier, fastnn.MLPRegressor])
OF_X = {
    "nan": (lambda x: np.where(x == x[1, 1], np.nan, x), ValueError, "Input X contains NaN."),
    "infinity": (
        lambda x: np.where(x == x[1, 1], -np.inf, x).astype("f4"), ValueError,
        r"Input X contains infinity or a value too large for dtype\('float(32|64)'\).",
    ),
    "one dimension": (lambda x: x[0], ValueError, "Expected 2D array, got 1D array instead"),
    "three dimensions": (
        lambda x: x[np.newaxis], ValueError,
        "Found array with dim 3, while dim <= 2 is required by MLP",
    ),
    "no rows": (
        lambda x: x[:0], ValueError,
        r"Found array with 0 sample\(s\) \(shape=\(0, 3\)\) while a minimum of 1 is required",
    ),
    "no columns": (
        lambda x: x[:, :0], ValueError, r"0 feature\(s\) .* while a minimum of 1 is required"
    ),
    "complex": (lambda x: x + 1j, ValueError, "Complex data not supported"),
    "strings": (lambda x: x.astype(str) + "a", ValueError, "could not convert string to float"),
    "dictionaries": (
        lambda x: np.full(x.shape, {}, object), TypeError, r"float\(\) argument must be"
    ),
    "a matrix": (lambda x: matrix(x), TypeError, "np.matrix is not supported"),
}  # fmt: skip


def matrix(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.matrix(x)


def fitted(cls, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(max_iter=3, random_state=0, **settings).fit(X, Y)


def state(model):
    return pickle.dumps(model)


@BOTH
@pytest.mark.parametrize("method", ["fit", "predict", "partial_fit"])
@pytest.mark.parametrize("case", OF_X)
def test_X(cls, method, case):
    """Rows 1 to 6, 8 to 11: in `fit` and in `predict`, and the estimator stays as it was."""
    spoil, error, sentence = OF_X[case]
    model = fitted(cls)
    before = state(model)
    x = spoil(X)
    with pytest.raises(error, match=sentence):
        getattr(model, method)(*((x,) if method == "predict" else (x, Y[: len(x)])))
    assert state(model) == before


@BOTH
def test_too_large_for_the_network(cls):
    """Row 2, in predict: what float32 cannot hold is refused, where scikit-learn goes on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = cls(max_iter=2).fit(X.astype("f4"), Y)
    with pytest.raises(ValueError, match=r"value too large for dtype\('float32'\)"):
        model.predict(X * 1e200)


@BOTH
def test_objects_that_are_numbers(cls):
    """Row 10."""
    np.testing.assert_array_equal(fitted(cls).predict(X.astype(object)), fitted(cls).predict(X))


@BOTH
@pytest.mark.parametrize(
    "y, sentence",
    [
        (Y[:5], r"Found input variables with inconsistent numbers of samples: \[20, 5\]"),
        (None, "requires y to be passed, but the target y is None"),
        (np.where(Y, np.nan, 1.0), "Input y contains NaN."),
    ],
    ids=["length", "None", "nan"],
)
def test_y(cls, y, sentence):
    """Rows 7, 12, 13."""
    model = fitted(cls)
    before = state(model)
    with pytest.raises(ValueError, match=sentence):
        model.fit(X, y)
    assert state(model) == before


def test_labels_that_are_numbers():
    """Row 14."""
    with pytest.raises(ValueError, match="Unknown label type"):
        fastnn.MLPClassifier().fit(X, X[:, 0])


def test_a_single_class():
    """Row 15."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fastnn.MLPClassifier(max_iter=3).fit(X, ["only"] * 20)
    assert set(model.predict(X)) == {"only"}


@BOTH
def test_a_column(cls):
    """Row 16."""
    with pytest.warns(DataConversionWarning), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = cls(max_iter=3, random_state=0).fit(X, Y[:, np.newaxis])
    np.testing.assert_array_equal(model.predict(X), fitted(cls).predict(X))


@BOTH
def test_before_fit(cls):
    """Row 17."""
    model = cls()
    for ask in (model.predict, lambda x: model.network_):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            ask(X)
    assert not hasattr(model, "network_")


@BOTH
def test_another_number_of_features(cls):
    """Row 18."""
    model = fitted(cls)
    sentence = f"X has 2 features, but {cls.__name__} is expecting 3 features as input."
    for ask in (model.predict, lambda x: model.partial_fit(x, Y)):
        with pytest.raises(ValueError, match=sentence):
            ask(X[:, :2])


@BOTH
@pytest.mark.parametrize(
    "name, value, wanted",
    [
        ("alpha", -1, r"a float in the range \[0.0, inf\). Got -1"),
        ("alpha", np.nan, r"a float in the range \[0.0, inf\). Got nan"),
        ("batch_size", 0, r"'auto'} or an int in the range \[1, inf\). Got 0"),
        ("learning_rate_init", 0, r"a float in the range \(0.0, inf\). Got 0"),
        ("max_iter", 2.5, r"an int in the range \[1, inf\). Got 2.5"),
        ("solver", "x", "'lbfgs'.* Got 'x'"),
        ("hidden_layer_sizes", ("a",), "an int or an array-like of ints. Got"),
        ("activation", "softmax", "'relu'.* Got 'softmax'"),
        ("dropout", 1.0, r"range \[0.0, 1.0\).* Got 1.0"),
        ("clip_norm", 0, "Got 0"),
        ("threads", 0, "Got 0"),
        ("schedule", "x", "'cosine'.* Got 'x'"),
    ],
)
def test_parameters(cls, name, value, wanted):
    """Rows 19, 21: from `fit`, and never before it."""
    model = fitted(cls).set_params(**{name: value})
    before = state(model)
    with pytest.raises(InvalidParameterError, match=f"(?s)The '{name}' parameter.*{wanted}"):
        model.fit(X, Y)
    assert state(model) == before


@BOTH
def test_a_hidden_layer_without_units(cls):
    """Row 20."""
    with pytest.raises(ValueError, match=r"hidden_layer_sizes must be > 0, got \[0\]"):
        cls((0,) if cls is fastnn.MLPClassifier else "squared_error").set_params(
            hidden_layer_sizes=(0,)
        ).fit(X, Y)


@BOTH
def test_unknown_parameter(cls):
    """Row 22."""
    with pytest.raises(ValueError, match="Invalid parameter 'foo'"):
        cls().set_params(foo=1)


@BOTH
def test_batch_size_above_m(cls):
    """Row 23."""
    with pytest.warns(UserWarning, match="larger than sample size. It is going to be clipped"):
        clipped = cls(batch_size=21, max_iter=3, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            clipped.fit(X, Y)
    np.testing.assert_array_equal(clipped.coefs_[0], fitted(cls, batch_size=20).coefs_[0])


def test_partial_fit_and_classes():
    """Rows 24, 25: and a first call that is refused leaves no classes behind."""
    model = fastnn.MLPClassifier()
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        model.partial_fit(X, Y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.partial_fit(X * np.nan, Y, classes=[0, 1])
    assert not hasattr(model, "classes_")
    model.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        model.partial_fit(X, Y + 1)
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        model.partial_fit(X, Y, classes=[1, 2])


@BOTH
def test_no_partial_fit_with_lbfgs(cls):
    """Row 26; scikit-learn's regressor has one all the same."""
    model = cls(solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        model.partial_fit  # noqa: B018


@BOTH
def test_no_partial_fit_with_early_stopping(cls):
    """Row 27."""
    model = fitted(cls).set_params(early_stopping=True)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        model.partial_fit(X, Y)


@BOTH
@pytest.mark.parametrize(
    "weights, sentence",
    [
        (np.ones(3), r"sample_weight.shape == \(3,\), expected \(20,\)!"),
        (np.ones((20, 2)), "Sample weights must be 1D array or scalar, got 2D array."),
        (np.full(20, np.nan), "Input sample_weight contains NaN."),
        (np.zeros(20), "Sample weights must contain at least one non-zero number."),
        (-np.ones(20), "Negative values in data passed to `sample_weight`"),
    ],
    ids=["length", "2-D", "nan", "zeros", "negative"],
)
def test_sample_weights(cls, weights, sentence):
    """Row 28, each with a sentence of its own."""
    model = fitted(cls)
    before = state(model)
    with pytest.raises(ValueError, match=sentence):
        model.fit(X, Y, weights)
    assert state(model) == before


def test_early_stopping_with_too_few():
    """Row 29."""
    with pytest.raises(
        ValueError, match="The least populated classes? in y ha(s|ve) only 1 member"
    ):
        fastnn.MLPClassifier(early_stopping=True).fit(X[:4], [0, 0, 0, 1])
    with pytest.raises(ValueError, match="The validation set is too small"):
        fastnn.MLPRegressor(early_stopping=True).fit(X[:10], Y[:10])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@BOTH
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_divergence(cls, method):
    """Row 30: what was learned before is still there."""
    model = fitted(cls).set_params(
        solver="sgd", learning_rate_init=1e200, warm_start=True, batch_size=1
    )
    w, curve = model.network_.parameter_vector.copy(), [*model.loss_curve_]
    del model._optimizer  # Adam's; `partial_fit` would go on with it
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        getattr(model, method)(X, Y)
    np.testing.assert_array_equal(model.network_.parameter_vector, w)
    assert model.loss_curve_ == curve and not hasattr(model, "_optimizer")


@BOTH
def test_max_iter_reached(cls):
    """Row 31."""
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        cls(max_iter=2).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 2 iteration"):
        cls(max_iter=2, solver="lbfgs").fit(X, Y)


# --- what scikit-learn does not have ------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"dropout": 0.5, "solver": "lbfgs"}, "dropout must be 0 with solver='lbfgs'"),
        ({"schedule": "cosine", "solver": "lbfgs"}, "schedule must be None with solver='lbfgs'"),
        ({"clip_norm": 1.0, "solver": "lbfgs"}, "clip_norm must be None with solver='lbfgs'"),
        (
            {"schedule": "cosine", "learning_rate": "adaptive", "solver": "sgd"},
            "give learning_rate='adaptive' or schedule, not both",
        ),
        ({"activation": ["relu", "tanh"]}, "names 2 activations, but there are 1 hidden layers"),
        ({"activation": ["silly"]}, "silly"),
        ({"loss": ("hubert", 1.0)}, "hubert"),
        ({"dropout": (0.1, 0.2)}, "dropout"),
    ],
    ids=str,
)
def test_settings_beyond(cls, settings, sentence):
    """In a sentence that names the parameter; a fitted estimator stays as it was."""
    model = fitted(cls).set_params(**settings)
    before = state(model)
    with pytest.raises(ValueError, match=sentence):
        model.fit(X, Y)
    assert state(model) == before


def test_poisson_and_negative_counts():
    with pytest.raises(ValueError, match="y must be >= 0 with loss='poisson', got -1"):
        fastnn.MLPRegressor("poisson").fit(X, Y - 1.0)


@pytest.mark.parametrize(
    "data, error", [((X,), TypeError), (X, TypeError), ((X, Y + 1), ValueError)]
)
def test_validation_data(data, error):
    with pytest.raises(error, match="validation_data must be a pair|classes not in"):
        fastnn.MLPClassifier().fit(X, Y, validation_data=data)


def test_balanced_classes_have_no_part(cls=fastnn.MLPClassifier):
    model = cls(class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight='balanced' needs all examples"):
        model.partial_fit(X, Y, classes=[0, 1])
