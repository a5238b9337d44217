"""Before a time counts, the result must be right: the tests' own tolerances.

The measure is fastnn's NumPy backend, which the tests hold against independent truth.
"""

import importlib.util
from pathlib import Path

import numpy as np

__all__ = ["WrongResult", "bound_of", "check", "moved", "test_tables", "tolerance"]


class WrongResult(Exception):
    """A contender's result is not that of the reference."""


def test_tables():
    """The tests' own tables (tests/support/tables.py), loaded from their file."""
    path = Path(__file__).resolve().parents[1] / "tests" / "support" / "tables.py"
    spec = importlib.util.spec_from_file_location("tests_tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tolerance(dtype):
    """What the tests allow one step to differ, norm-wise."""
    return test_tables().TOLERANCES["step"].at(dtype)


EDGE = 100
"""What a row by Adam may differ more: an example on the edge of a relu falls on either side by a
rounding, and Adam's steps for that unit are as large as any.  (In float64 they agree to 1e-14.)"""


def bound_of(case, bound):
    """What `bound`, that of one step, is for a case."""
    return bound * EDGE if getattr(case, "rule", "plain") != "plain" else bound


def check(case, expected, actual, bound):
    """Raise `WrongResult` unless each array is within `bound` of the expected one, norm-wise.

    Parameters
    ----------
    expected, actual : dict
        Named arrays; `actual` may have fewer of them.
    bound : float

    Returns
    -------
    float
        The largest error, as a share of the bound.
    """
    worst = 0.0
    for name, array in actual.items():
        wanted = expected[name]
        if array.shape != wanted.shape or not np.isfinite(array).all():
            raise WrongResult(f"{case.name}: {name} is not finite or has shape {array.shape}")
        error = distance(array, wanted) / (bound * norm(wanted))
        if not error <= 1:
            raise WrongResult(f"{case.name}: {name} is {error:.3g} times the tolerance off")
        worst = max(worst, error)
    return worst


def moved(initial, trained, bound):
    """How much further training moved the parameters than the tolerance lets errors go."""
    return min(
        distance(trained[name], initial[name]) / (bound * norm(trained[name])) for name in trained
    )


def distance(a, b):
    return norm(np.subtract(a, b, dtype=np.float64))


def norm(a):
    return float(np.linalg.norm(np.asarray(a, np.float64)))
