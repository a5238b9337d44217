"""scikit-learn's own checks and tests, every one of them, of fastnn's classes.

Its ``test_mlp.py`` comes with an installed scikit-learn; here it runs with the two classes
exchanged.  The tests that cannot are named in `CANNOT`, each with its reason.
"""

import inspect
import warnings

import pytest
import sklearn.neural_network
from sklearn.utils.estimator_checks import (
    check_param_validation,
    estimator_checks_generator,
)

import fastnn

# --- check_estimator ----------------------------------------------------------------------

ESTIMATORS = [
    fastnn.MLPClassifier(),
    fastnn.MLPRegressor(),
    fastnn.MLPClassifier(max_iter=100),  # the instances of scikit-learn's own suite
    fastnn.MLPRegressor(max_iter=100),
]

ELSEWHERE = {
    # needs an environment variable before SciPy is imported: `test_every_check`
    "check_array_api_input",
    # neither scikit-learn's class nor ours has a decision_function
    "check_classifiers_multilabel_output_format_decision_function",
}


def checks():
    """Each check for itself, by its name."""
    for estimator in ESTIMATORS:
        for instance, check in estimator_checks_generator(estimator):
            name = getattr(check, "func", check).__name__
            if name not in ELSEWHERE:
                yield pytest.param(instance, check, id=f"{estimator}-{name}")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator, check", list(checks()))
def test_check(estimator, check):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # as in scikit-learn's own run
        warnings.filterwarnings("ignore", category=FutureWarning)
        check(estimator)


def test_every_check(run_python):
    """`check_estimator` as anyone would call it, with pandas and the array API there."""
    code = """
        import warnings
        import fastnn
        import array_api_strict, pandas
        from sklearn.utils.estimator_checks import check_estimator

        warnings.simplefilter("ignore")
        for estimator in (fastnn.MLPClassifier(), fastnn.MLPRegressor()):
            results = check_estimator(estimator, on_skip=None)
            assert len(results) > 60
            for result in results:
                if result["status"] != "passed":
                    print(result["check_name"], result["status"])
    """
    left_out = "check_classifiers_multilabel_output_format_decision_function skipped\n"
    assert run_python(code, SCIPY_ARRAY_API="1").stdout == left_out


@pytest.mark.parametrize("estimator", ESTIMATORS[:2], ids=str)
def test_parameters_out_of_range(estimator):
    """Each parameter refuses each kind of wrong value, as scikit-learn's own suite asks."""
    check_param_validation(type(estimator).__name__, estimator)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_same_parameters_and_methods(name):
    ours, theirs = getattr(fastnn, name), getattr(sklearn.neural_network, name)
    mine, wanted = (inspect.signature(cls.__init__).parameters for cls in (ours, theirs))
    beyond = [mine[key].kind for key in mine if key not in wanted]
    assert set(beyond) == {inspect.Parameter.KEYWORD_ONLY}
    kept = [key for key in mine if key in wanted]
    assert kept == list(wanted)
    for key in kept:
        assert (mine[key].default, mine[key].kind) == (wanted[key].default, wanted[key].kind)
    public = {method for method in dir(theirs) if method[0] != "_"}
    assert {method for method in dir(ours) if method[0] != "_"} - public == {"network_"}
    assert public <= set(dir(ours))
    assert repr(ours().__sklearn_tags__().input_tags) == repr(
        theirs().__sklearn_tags__().input_tags
    )


# --- test_mlp.py --------------------------------------------------------------------------

CANNOT = {
    "test_gradient": "calls _loss_grad_lbfgs, a private method; MLP.check_gradients is ours",
}


def exchanged():
    """scikit-learn's test module, imported while its classes are ours."""
    originals = sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor
    sklearn.neural_network.MLPClassifier = fastnn.MLPClassifier
    sklearn.neural_network.MLPRegressor = fastnn.MLPRegressor
    try:
        from sklearn.neural_network.tests import test_mlp
    finally:
        sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor = originals
    return test_mlp


MODULE = exchanged()
THEIRS = {name: test for name, test in vars(MODULE).items() if name.startswith("test_")}
for _name, _test in THEIRS.items():
    if _name not in CANNOT:
        warned = "ignore::sklearn.exceptions.ConvergenceWarning"
        globals()[f"test_theirs{_name[4:]}"] = pytest.mark.filterwarnings(warned)(_test)


@pytest.fixture
def global_random_seed():
    """One of the seeds that scikit-learn's suite runs with."""
    return 42


def test_the_classes_are_exchanged():
    assert (MODULE.MLPClassifier, MODULE.MLPRegressor) == (
        fastnn.MLPClassifier,
        fastnn.MLPRegressor,
    )
    assert set(CANNOT) <= set(THEIRS) and len(THEIRS) > 40
