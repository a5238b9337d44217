"""The estimators among what people use them with."""

import copy
import io
import pickle
import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import DecisionBoundaryDisplay, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
GOOD = 0.9
"""Accuracy on iris; a model that has learned nothing has 0.33."""


def model(**settings):
    return fastnn.MLPClassifier(
        **{"hidden_layer_sizes": (16,), "solver": "lbfgs", "max_iter": 60, "random_state": 0}
        | settings
    )


def fitted(cls=fastnn.MLPClassifier, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(max_iter=20, random_state=0, **settings).fit(X, Y)


def test_pipeline_and_cross_validation():
    pipeline = make_pipeline(StandardScaler(), model())
    assert cross_val_score(pipeline, X, Y, cv=3).min() > GOOD
    probabilities = cross_val_predict(pipeline, X, Y, cv=3, method="predict_proba")
    assert probabilities.shape == (150, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("parallel", ["loky", "threading"])
def test_grid_search(parallel):
    """In processes and in threads the same as one after the other."""
    grid = {"alpha": [1e-4, 10.0], "hidden_layer_sizes": [(4,), (16,)]}
    serial = GridSearchCV(model(), grid, cv=3).fit(X, Y)
    with joblib.parallel_backend(parallel):
        search = GridSearchCV(model(), grid, cv=3, n_jobs=2).fit(X, Y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )
    assert search.score(X, Y) > GOOD


def test_metaestimators():
    assert CalibratedClassifierCV(model(), cv=3).fit(X, Y).score(X, Y) > GOOD
    members = [("a", model()), ("b", LogisticRegression(max_iter=500))]
    assert VotingClassifier(members, voting="soft").fit(X, Y).score(X, Y) > GOOD
    assert BaggingClassifier(model(), n_estimators=3, random_state=0).fit(X, Y).score(X, Y) > GOOD
    regressor = fastnn.MLPRegressor(solver="lbfgs", random_state=0)
    scaled = TransformedTargetRegressor(regressor, transformer=StandardScaler())
    assert scaled.fit(X[:, :3], X[:, 3]).score(X[:, :3], X[:, 3]) > GOOD


def test_inspection():
    trained = model().fit(X[:, 2:], Y)
    importance = permutation_importance(trained, X[:, 2:], Y, n_repeats=3, random_state=0)
    assert importance.importances_mean.max() > 0.2
    display = DecisionBoundaryDisplay.from_estimator(
        trained, X[:, 2:], response_method="predict", grid_resolution=20
    )
    assert display.response.shape == (20, 20)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames(frame):
    """Names are kept and compared; the numbers are those of the array."""
    names = ["a", "b", "c", "d"]
    data = frame(dict(zip(names, X.T, strict=True)))
    labels = np.array(["x", "y", "z"])[Y]
    trained = model().fit(data, labels)
    assert list(trained.feature_names_in_) == names
    plain = model().fit(X, labels)
    np.testing.assert_array_equal(trained.predict(data), plain.predict(X))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        trained.predict(X)
    with pytest.raises(ValueError, match="feature names"):
        trained.predict(data[["d", "c", "b", "a"]])
    for output in ("pandas", "polars"):
        pipeline = make_pipeline(StandardScaler(), model()).set_output(transform=output)
        assert pipeline.fit(data, labels).score(data, labels) > GOOD
        assert list(pipeline[-1].feature_names_in_) == names


def test_memory_maps(tmp_path):
    """Read-only X, read-only parameters: predictions, and training that goes on."""
    joblib.dump(X, tmp_path / "X")
    mapped = joblib.load(tmp_path / "X", mmap_mode="r")
    assert not mapped.flags.writeable
    trained = fitted(solver="adam")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again = fastnn.MLPClassifier(max_iter=20, random_state=0, solver="adam").fit(mapped, Y)
    np.testing.assert_array_equal(again.predict(mapped), trained.predict(X))
    joblib.dump(trained, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not loaded.coefs_[0].flags.writeable
    with pytest.raises(ValueError, match="NaN"):
        loaded.partial_fit(X * np.nan, Y)
    loaded.partial_fit(X, Y)
    trained.partial_fit(X, Y)
    np.testing.assert_array_equal(loaded.predict_proba(X), trained.predict_proba(X))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("cls", [fastnn.MLPClassifier, fastnn.MLPRegressor])
def test_copies(cls, solver):
    """A pickle and a deep copy predict the same, and go on training as the original would."""
    original = fitted(cls, solver=solver)
    wanted = original.predict(X)
    for twin in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
        np.testing.assert_array_equal(twin.predict(X), wanted)
        assert not np.shares_memory(twin.coefs_[0], original.coefs_[0])
        assert np.shares_memory(twin.coefs_[0], twin.network_.parameter_vector)
        if solver != "lbfgs":
            twin.partial_fit(X, Y)
            np.testing.assert_array_equal(original.predict(X), wanted)
            later = pickle.loads(pickle.dumps(original)).partial_fit(X, Y)
            np.testing.assert_array_equal(later.coefs_[0], twin.coefs_[0])
    bare = clone(original)
    assert bare.get_params() == original.get_params() and not hasattr(bare, "coefs_")


def test_pickle_of_another_version(monkeypatch):
    data = pickle.dumps(fitted())
    assert len(data) < 60_000  # the parameters once, and twice in Adam's state
    monkeypatch.setattr(fastnn, "__version__", "99.0")
    with pytest.warns(UserWarning, match="was saved by fastnn .*, and this is 99.0"):
        pickle.loads(data)


def test_skops():
    from skops import io as skops_io

    trained = fitted(solver="adam")
    data = skops_io.dumps(trained)
    unknown = skops_io.get_untrusted_types(data=data)
    assert unknown and all(name.startswith("fastnn.") for name in unknown)
    loaded = skops_io.loads(data, trusted=unknown)
    np.testing.assert_array_equal(loaded.predict_proba(X), trained.predict_proba(X))


def test_metadata_routing():
    """sample_weight and validation_data are routed where they are asked for."""
    weights = np.random.RandomState(0).uniform(0, 1, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = model().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        routed = make_pipeline(scaler, asking).fit(X, Y, sample_weight=weights)
        assert "validation_data" in str(asking.get_metadata_routing())
    by_hand = model().fit(StandardScaler().fit_transform(X), Y, weights)
    np.testing.assert_array_equal(routed[-1].coefs_[0], by_hand.coefs_[0])


def test_representations():
    trained = model(alpha=0.5)
    assert "alpha=0.5" in repr(trained) and "MLPClassifier" in repr(trained)
    html = make_pipeline(StandardScaler(), trained)._repr_html_()
    assert "MLPClassifier" in html and "StandardScaler" in html


def test_threads_at_once():
    """Two fits at once are bit for bit those one after the other."""
    digits, labels = load_digits(return_X_y=True)

    def train(seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fastnn.MLPClassifier((20,), max_iter=5, random_state=seed).fit(digits, labels)

    serial, found = [train(seed) for seed in range(3)], {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        workers = [
            threading.Thread(target=lambda s=seed: found.setdefault(s, train(s)))
            for seed in range(3)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    for seed, one in enumerate(serial):
        np.testing.assert_array_equal(one.coefs_[0], found[seed].coefs_[0])


def test_without_scikit_learn(run_python):
    """`import fastnn` does not import it, and without it there is a hint."""
    code = """
        import sys
        import fastnn
        assert "sklearn" not in sys.modules and "fastnn.estimators" not in sys.modules
        assert {"MLPClassifier", "MLPRegressor", "estimators"} <= set(dir(fastnn))
        sys.modules["sklearn"] = None
        try:
            fastnn.MLPClassifier
        except ImportError as error:
            print(error)
    """
    printed = run_python(code).stdout
    assert printed.startswith("fastnn.estimators needs scikit-learn, which does not load")
    assert printed.endswith("pip install 'fastnn-kernels[sklearn]' brings it\n")


def test_verbose(capsys):
    fitted(verbose=True, early_stopping=True)
    printed = capsys.readouterr().out
    assert "Iteration 1, loss = " in printed and "Validation score: " in printed
    fitted(verbose=True, solver="lbfgs")
    assert "Iteration 1, loss = " in capsys.readouterr().out
    fastnn.MLPClassifier(
        solver="sgd", learning_rate="adaptive", tol=1.0, n_iter_no_change=1, verbose=True
    ).fit(X, Y)
    printed = capsys.readouterr().out
    assert "Training loss did not improve more than tol=1.000000 for 1 consecutive" in printed
    assert "Setting learning rate to 0.000200" in printed and printed.endswith("Stopping.\n")


def test_a_file_in_memory():
    buffer = io.BytesIO()
    joblib.dump(fitted(), buffer)
    buffer.seek(0)
    assert joblib.load(buffer).score(X, Y) > 0.3
