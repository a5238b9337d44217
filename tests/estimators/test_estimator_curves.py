"""The same data, seed and settings give scikit-learn's loss curve, to rounding.

It is the strongest test there is: initial weights, order of the examples, losses, penalties,
steps, schedules and the rules that end a training are all in it.
"""

import warnings

import numpy as np
import pytest
import sklearn.neural_network as theirs
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

import fastnn

ROUNDING = 1e-9
"""Relative.  The sums are taken in another order, which costs some 1e-16 in each step; what
training makes of it in some tens of epochs was 1e-12 at most where it was measured."""

RANDOM = np.random.RandomState(3)
X = RANDOM.uniform(-1, 1, (90, 5))
SIGNAL = X[:, 0] + X[:, 1] * X[:, 2]
LABELS = np.array(["low", "middle", "high"])[np.digitize(SIGNAL, [-0.3, 0.3])]
NUMBERS = np.stack([SIGNAL, X[:, 3] ** 2], axis=1)
TARGETS = {
    "binary": ("MLPClassifier", SIGNAL > 0),
    "multiclass": ("MLPClassifier", LABELS),
    "multilabel": ("MLPClassifier", (NUMBERS > 0.2).astype(int)),
    "one class": ("MLPClassifier", np.ones(90, int)),
    "regression": ("MLPRegressor", SIGNAL),
    "several outputs": ("MLPRegressor", NUMBERS),
    "poisson": ("MLPRegressor", RANDOM.poisson(np.exp(SIGNAL)).astype(float)),
}
SOLVERS = {
    "adam": {"max_iter": 25},
    "adam, settings": {
        "max_iter": 10, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "alpha": 0.5,
        "hidden_layer_sizes": (7, 4), "batch_size": 20,
    },
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05, "max_iter": 25, "batch_size": 32},
    "sgd, plain": {"solver": "sgd", "momentum": 0.0, "max_iter": 10, "shuffle": False},
    "sgd, momentum": {
        "solver": "sgd", "momentum": 0.8, "nesterovs_momentum": False, "max_iter": 10,
        "batch_size": 16, "learning_rate_init": 0.1, "alpha": 0.1,
    },
    "sgd, endless momentum": {"solver": "sgd", "momentum": 1.0, "max_iter": 10},
    "sgd, invscaling": {
        "solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "max_iter": 15,
        "learning_rate_init": 0.5, "batch_size": 30,
    },
    "sgd, adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2,
        "max_iter": 200, "learning_rate_init": 0.1,
    },
    "early stopping": {
        "early_stopping": True, "n_iter_no_change": 4, "learning_rate_init": 0.02,
        "max_iter": 100, "batch_size": 25,
    },
    "lbfgs": {"solver": "lbfgs", "max_iter": 15},
}  # fmt: skip
FITTED = (
    "loss_", "best_loss_", "validation_scores_", "best_validation_score_", "n_iter_", "t_",
    "n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "_no_improvement_count",
)  # fmt: skip


def both(name, y, *, x=X, **settings):
    """Ours and theirs, fitted on the same."""
    settings = {"random_state": 5, "hidden_layer_sizes": (12,)} | settings
    weights = settings.pop("sample_weight", None)
    fitted = []
    for module in (fastnn, theirs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted.append(getattr(module, name)(**settings).fit(x, y, weights))
    return fitted


def assert_agree(ours, wanted):
    """Every attribute of the one is that of the other."""
    public = {name for name in vars(wanted) if name[-1] == "_"}
    assert public == {name for name in vars(ours) if name[-1] == "_"}
    np.testing.assert_allclose(
        getattr(ours, "loss_curve_", []), getattr(wanted, "loss_curve_", []), rtol=ROUNDING
    )
    for name in FITTED:
        mine, other = getattr(ours, name, None), getattr(wanted, name, None)
        if isinstance(other, str) or other is None:
            assert mine == other, name
        else:
            np.testing.assert_allclose(mine, other, rtol=ROUNDING, err_msg=name)
    for mine, other in zip(
        ours.coefs_ + ours.intercepts_, wanted.coefs_ + wanted.intercepts_, strict=True
    ):
        assert mine.shape == other.shape and mine.dtype == other.dtype
        # The elements are the results of steps that cancel: absolute, of weights near 1.
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-7)


@pytest.mark.parametrize("setting", [{"alpha": 1.001e-4}, {"random_state": 2}, {"beta_2": 0.998}])
def test_other_settings_are_told_apart(setting):
    """A thousandth of the penalty more is another curve."""
    ours, _ = both("MLPClassifier", LABELS, max_iter=5)
    _, wanted = both("MLPClassifier", LABELS, max_iter=5, **setting)
    with pytest.raises(AssertionError):
        assert_agree(ours, wanted)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("target", TARGETS)
def test_same_curve(target, solver):
    name, y = TARGETS[target]
    loss = {"loss": "poisson"} if target == "poisson" else {}
    ours, wanted = both(name, y, **SOLVERS[solver], **loss)
    assert_agree(ours, wanted)
    assert ours.n_iter_ > 1
    np.testing.assert_array_equal(ours.predict(X).shape, wanted.predict(X).shape)
    if name == "MLPClassifier":
        np.testing.assert_array_equal(ours.predict(X), wanted.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), wanted.predict_proba(X), atol=1e-7)
        np.testing.assert_array_equal(ours.classes_, wanted.classes_)
    else:
        np.testing.assert_allclose(ours.predict(X), wanted.predict(X), atol=1e-7)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("target", ["multiclass", "regression"])
def test_activations(target, activation):
    name, y = TARGETS[target]
    assert_agree(*both(name, y, activation=activation, hidden_layer_sizes=(9, 6), max_iter=20))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("target", TARGETS)
def test_sample_weights(target, solver):
    """The penalty of a batch is divided by its weight, whatever its size."""
    name, y = TARGETS[target]
    loss = {"loss": "poisson"} if target == "poisson" else {}
    weights = np.random.RandomState(0).uniform(0.1, 3, 90)
    ours, wanted = both(
        name, y, solver=solver, sample_weight=weights, alpha=0.3, batch_size=35, max_iter=12,
        early_stopping=solver == "adam", **loss,
    )  # fmt: skip
    assert_agree(ours, wanted)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix])
def test_sparse(kind, solver):
    x = np.where(np.abs(X) > 0.5, X, 0)
    settings = {"solver": solver, "max_iter": 12, "batch_size": 40}
    ours, wanted = both("MLPClassifier", LABELS, x=kind(x), **settings)
    assert_agree(ours, wanted)
    dense, _ = both("MLPClassifier", LABELS, x=x, **settings)
    np.testing.assert_allclose(dense.loss_, ours.loss_, rtol=ROUNDING)
    np.testing.assert_allclose(ours.predict_proba(kind(x)), dense.predict_proba(x), rtol=ROUNDING)


def test_more_rows_than_a_buffer_holds(monkeypatch):
    """An epoch in several calls of the kernels, as that of a sparse X, is the epoch in one."""
    from fastnn.estimators import batches, minimization

    settings = {"batch_size": 8, "max_iter": 5}
    whole, wanted = both("MLPRegressor", SIGNAL, **settings)
    for module in (batches, minimization):
        monkeypatch.setattr(module, "ELEMENTS", 2 * 8 * 5)
    for x in (X, sparse.csr_array(X)):
        parts, _ = both("MLPRegressor", SIGNAL, x=x, **settings)
        assert_agree(parts, wanted)
        np.testing.assert_allclose(parts.predict(x), whole.predict(X), rtol=ROUNDING)
        parts, wanted_too = both("MLPRegressor", SIGNAL, x=x, solver="lbfgs", max_iter=5)
        assert_agree(parts, wanted_too)
        weights = np.random.RandomState(0).uniform(0.1, 3, 90)
        for loss in ("squared_error", "poisson"):
            assert_agree(*both(
                "MLPRegressor", SIGNAL**2, x=x, loss=loss, sample_weight=weights, **settings
            ))  # fmt: skip


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: np.repeat(x, 2, 1)[:, ::2]])
def test_layouts(layout):
    assert_agree(*both("MLPClassifier", LABELS, x=layout(X), max_iter=5))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit(solver):
    """Batch after batch from outside, with a learning rate that falls."""
    parts = [slice(0, 40), slice(40, 75), slice(75, 90)] * 4
    for target in ("multiclass", "multilabel", "regression"):
        name, y = TARGETS[target]
        classes = {"classes": np.arange(2) if y.ndim > 1 else np.unique(y)}
        fitted = []
        for module in (fastnn, theirs):
            model = getattr(module, name)(
                (8,), solver=solver, learning_rate="invscaling", random_state=1, batch_size=15
            ) if name == "MLPClassifier" else getattr(module, name)(
                "squared_error", (8,), solver=solver, random_state=1, batch_size=15
            )  # fmt: skip
            for part in parts:
                model.partial_fit(X[part], y[part], **classes if name == "MLPClassifier" else {})
            fitted.append(model)
        assert_agree(*fitted)
        assert len(fitted[0].loss_curve_) == len(parts)


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_warm_start(settings):
    fitted = []
    for module in (fastnn, theirs):
        model = module.MLPClassifier((8,), warm_start=True, random_state=1, max_iter=6, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, LABELS).fit(X, LABELS)
        fitted.append(model)
    if "early_stopping" not in settings:
        return assert_agree(*fitted)
    # scikit-learn's best parameters are the very arrays that its second `fit` trains on, so that
    # it ends with the last epoch's where there was no better one; ours ends with the best.
    ours, wanted = fitted
    for name in ("loss_curve_", "validation_scores_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(wanted, name), rtol=ROUNDING)
    np.testing.assert_array_equal(ours.network_.parameter_vector, ours._best)


def test_float32_is_kept():
    """As in scikit-learn: the stochastic solvers train in the dtype of X."""
    ours, wanted = both("MLPClassifier", LABELS, x=X.astype("f4"), max_iter=10)
    assert {a.dtype for a in ours.coefs_ + ours.intercepts_} == {np.dtype("f4")}
    assert ours.network_.dtype == np.float32 and ours.predict_proba(X).dtype == np.float32
    # 1e-5: some ten steps of float32's rounding, 6e-8, and its share of cancellation.
    np.testing.assert_allclose(ours.loss_curve_, wanted.loss_curve_, rtol=1e-5)


def test_lbfgs_works_in_float64():
    """So do scikit-learn's parameters; but SciPy looks at its loss where float32 rounds them to."""
    ours, wanted = both("MLPClassifier", LABELS, x=X.astype("f4"), solver="lbfgs", max_iter=5)
    assert {a.dtype for a in ours.coefs_ + wanted.coefs_} == {np.dtype("f8")}
    np.testing.assert_allclose(ours.loss_, wanted.loss_, rtol=1e-6)  # float32's rounding, often
    exact, _ = both("MLPClassifier", LABELS, x=X, solver="lbfgs", max_iter=5)
    np.testing.assert_allclose(ours.loss_, exact.loss_, rtol=1e-6)  # of X alone


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("target", ["binary", "multiclass", "multilabel"])
def test_saturated_outputs(target, kind):
    """Data that nobody scaled: a logarithm ends at the machine epsilon, as in scikit-learn."""
    name, y = TARGETS[target]
    ours, wanted = both(name, y, x=(1e4 * X).astype(kind), max_iter=5)
    assert ours.loss_curve_[0] > 5  # of 36, or of 16 in float32, for an example
    # beside 1 the distance from 1 is known to eps alone, and its logarithm to that share of it
    rounding = 1e-7 if kind == "f8" else 1e-4
    np.testing.assert_allclose(ours.loss_curve_, wanted.loss_curve_, rtol=rounding)
    ours, wanted = both(name, y, x=1e4 * X, solver="lbfgs", max_iter=3)
    np.testing.assert_allclose(ours.loss_, wanted.loss_, rtol=ROUNDING)


def test_same_curve_of_the_digits():
    """Unscaled, of ten classes, in nine batches."""
    digits, labels = load_digits(return_X_y=True)
    ours, wanted = both("MLPClassifier", labels, x=digits, hidden_layer_sizes=(50,), max_iter=15)
    np.testing.assert_allclose(ours.loss_curve_, wanted.loss_curve_, rtol=ROUNDING)
    np.testing.assert_array_equal(ours.predict(digits), wanted.predict(digits))
