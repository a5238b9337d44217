"""scikit-learn's own checks and tests, every one of them, of fastnn's classes.

Its ``test_mlp.py`` comes with an installed scikit-learn; here it runs with the two classes
exchanged.  The tests that cannot are named in `CANNOT`, each with its reason.
"""

import inspect
import re
import warnings

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.utils.estimator_checks import estimator_checks_generator

import fastnn
from fastnn.estimators import InvalidParameterError

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


# --- parameters ---------------------------------------------------------------------------

VALUES = (
    None, True, False, np.True_, -1, 0, 1, 3, 2**32, np.int64(2), -0.5, 0.0, 0.5, 1.0, 2.5,
    np.float32(0.5), np.nan, np.inf, 1j, "", "auto", "relu", "constant", b"auto", (), (2,), [2, 3],
    {}, np.array([2]), np.random.RandomState, np.random.RandomState(0), object(), len,
)  # fmt: skip

WIDER = {"activation", "solver", "loss"}
"""Parameters that have further values here; none is refused that scikit-learn takes."""

NARROWER = {"hidden_layer_sizes"}
"""What scikit-learn leaves to NumPy (row 21 of the bad inputs), and True for 1."""


def refusal(cls, settings):
    """What `fit` says of parameters that are no such, or "" where it takes them."""
    model = cls(**{"max_iter": 1, "hidden_layer_sizes": 1, **settings})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
    except (ValueError, TypeError) as error:  # also what data and parameters say together
        found = re.match("The '.*' parameter of MLP.* must be .* Got .* instead", str(error))
        assert cls.__module__.startswith("sklearn") or isinstance(error, InvalidParameterError) == (
            found is not None
        )
        # the options are those of a set
        return re.sub("{(.*?)}", lambda m: str(sorted(m[1].split(", "))), found[0] if found else "")
    return ""


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_out_of_range(name):
    """Every parameter takes, and refuses, what it does in scikit-learn, in the same words."""
    ours, theirs = getattr(fastnn, name), getattr(sklearn.neural_network, name)
    shared = set(inspect.signature(theirs).parameters) - NARROWER
    refused = 0
    for parameter in inspect.signature(ours).parameters:
        assert refusal(ours, {parameter: object()}), f"{parameter} takes anything"
        for value in VALUES if parameter in shared else ():
            if parameter == "loss" and callable(value):  # called, and its error let out
                continue
            said = refusal(ours, {parameter: value})
            wanted = refusal(theirs, {parameter: value})
            refused += bool(said)
            if parameter in WIDER:
                assert wanted or not said, (parameter, value)
            else:
                assert said == wanted, (parameter, value)
    assert refused > 300


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
