"""What the parameters of the estimators may be.

The tables and the sentences are scikit-learn's, and so is the error, by its name and its kinds.
What scikit-learn itself does this with has no public name, and changes from version to version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from fastnn import schedules
from fastnn.activations import ACTIVATIONS
from fastnn.backends import MAX_THREADS
from fastnn.optimizers import Optimizer

__all__ = [
    "CLASSIFIER",
    "REGRESSOR",
    "STOCHASTIC",
    "InvalidParameterError",
    "Kind",
    "check",
    "hidden_layer_sizes",
]

STOCHASTIC = ("sgd", "adam", "adamw", "rmsprop")
"""The solvers that go through the examples batch by batch."""

HIDDEN = {name for name, row in ACTIVATIONS.items() if row.hidden}


class InvalidParameterError(ValueError, TypeError):
    """A parameter of an estimator has not the type, or not the value, that it must have.

    Examples
    --------
    >>> model = fastnn.MLPRegressor(alpha=-1)
    >>> model.fit([[1.0]], [2.0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fastnn.estimators.constraints.InvalidParameterError: The 'alpha' parameter ... Got -1 instead.
    """


# --- kinds of values ----------------------------------------------------------------------


class Kind(NamedTuple):
    """Some of the values that a parameter may have."""

    includes: Callable[[Any], bool]
    words: str


def _integers(least: int, most: int | None = None) -> Kind:
    stop, words = np.inf if most is None else most, "inf)" if most is None else f"{most}]"
    return Kind(
        lambda value: isinstance(value, Integral) and least <= int(value) <= stop,
        f"an int in the range [{least}, {words}",
    )


def _numbers(low: float, high: float, closed: str) -> Kind:
    """Real numbers, of which an end that is not closed is none; nor is NaN."""
    has_low, has_high = closed in ("left", "both"), closed == "both"
    left, right = "[" if has_low else "(", "]" if has_high else ")"

    def includes(value: Any) -> bool:
        return isinstance(value, Real) and (
            (low < value or (has_low and low == value))  # type: ignore[operator]
            and (value < high or (has_high and value == high))
        )

    return Kind(includes, f"a float in the range {left}{float(low)}, {float(high)}{right}")


def _one_of(names: Iterable[str]) -> Kind:
    known = frozenset(names)
    words = f"a str among {{{', '.join(map(repr, sorted(known)))}}}"
    return Kind(lambda value: isinstance(value, str) and value in known, words)


def _instances(cls: type) -> Kind:
    module = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    words = f"an instance of {module + cls.__qualname__!r}"
    return Kind(lambda value: isinstance(value, cls), words)


def _is_array_like(value: Any) -> bool:
    return not np.isscalar(value) and any(
        hasattr(value, name) for name in ("__len__", "shape", "__array__")
    )


ARRAY_LIKE = Kind(_is_array_like, "an array-like")
CALLABLE = Kind(callable, "a callable")
INFINITY = Kind(lambda value: isinstance(value, Real) and value == np.inf, "a float among {inf}")
NONE = Kind(lambda value: value is None, "None")
TUPLE, LIST, DICT = map(_instances, (tuple, list, dict))
BOOLEAN = (_instances(bool), _instances(np.bool_))


# --- the tables ---------------------------------------------------------------------------

SHARED: dict[str, tuple[Kind, ...]] = {
    "hidden_layer_sizes": (ARRAY_LIKE, _integers(1)),
    "activation": (_one_of({"identity", "logistic"} | HIDDEN), TUPLE, LIST),
    "solver": (_one_of({"lbfgs", *STOCHASTIC}), _instances(Optimizer)),
    "alpha": (_numbers(0, np.inf, "left"),),
    "batch_size": (_one_of({"auto"}), _integers(1)),
    "learning_rate": (_one_of({"constant", "invscaling", "adaptive"}),),
    "learning_rate_init": (_numbers(0, np.inf, "neither"),),
    "power_t": (_numbers(0, np.inf, "left"),),
    "max_iter": (_integers(1),),
    "shuffle": BOOLEAN,
    "random_state": (_integers(0, 2**32 - 1), _instances(np.random.RandomState), NONE),
    "tol": (_numbers(0, np.inf, "left"),),
    "verbose": (_integers(0), *BOOLEAN),
    "warm_start": BOOLEAN,
    "momentum": (_numbers(0, 1, "both"),),
    "nesterovs_momentum": BOOLEAN,
    "early_stopping": BOOLEAN,
    "validation_fraction": (_numbers(0, 1, "left"),),
    "beta_1": (_numbers(0, 1, "left"),),
    "beta_2": (_numbers(0, 1, "left"),),
    "epsilon": (_numbers(0, np.inf, "neither"),),
    "n_iter_no_change": (_integers(1), INFINITY),
    "max_fun": (_integers(1),),
    # beyond scikit-learn
    "dropout": (_numbers(0, 1, "left"), TUPLE, LIST),
    "schedule": (_one_of(schedules.SCHEDULES), _instances(schedules.Schedule), CALLABLE, NONE),
    "clip_norm": (_numbers(0, np.inf, "neither"), NONE),
    "threads": (_integers(1, MAX_THREADS), NONE),
}

CLASSIFIER = {
    **SHARED,
    "loss": (_one_of({"log_loss", "squared_error", "absolute_error", "huber"}), TUPLE, CALLABLE),
    "class_weight": (DICT, LIST, _one_of({"balanced"}), NONE),
}

REGRESSOR = {
    **SHARED,
    "loss": (_one_of({"squared_error", "poisson", "absolute_error", "huber"}), TUPLE, CALLABLE),
}


# --- the checks ---------------------------------------------------------------------------


def check(
    parameters: Mapping[str, Any], allowed: Mapping[str, tuple[Kind, ...]], name: str
) -> None:
    """Refuse a parameter that is of none of its kinds.

    Parameters
    ----------
    parameters : dict
        Those that `allowed` does not know are not looked at.
    allowed : dict
        A table of this module.
    name : str
        Of the estimator, for the error.

    Raises
    ------
    InvalidParameterError
        In scikit-learn's words.

    Examples
    --------
    >>> check({"tol": 1e-4, "max_iter": 5}, REGRESSOR, "MLPRegressor")
    """
    for parameter, kinds in allowed.items():
        if parameter not in parameters:  # a class that derives from ours may do without it
            continue
        value = parameters[parameter]
        if not any(kind.includes(value) for kind in kinds):
            *others, last = (kind.words for kind in kinds)
            wanted = f"{', '.join(others)} or {last}" if others else last
            raise InvalidParameterError(
                f"The {parameter!r} parameter of {name} must be {wanted}. Got {value!r} instead."
            )


def hidden_layer_sizes(given: Any, name: str) -> list[int]:
    """Return the widths of the hidden layers, of which there may be none.

    Parameters
    ----------
    given : int or array_like of int
    name : str
        Of the estimator, for the error.

    Raises
    ------
    ValueError
        One of them is no integer (an InvalidParameterError), or not > 0.

    Examples
    --------
    >>> hidden_layer_sizes((50, 20), "MLPClassifier"), hidden_layer_sizes(3, "MLPClassifier")
    ([50, 20], [3])
    """
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise InvalidParameterError(
            f"The 'hidden_layer_sizes' parameter of {name} must be an int or an array-like of "
            f"ints. Got {given!r} instead."
        )
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]
