"""What the parameters of the estimators may be.

The tables are read by scikit-learn's own check, which words the errors.  The kinds of
constraint have no public name in scikit-learn; this is the one place that imports them.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
)

from fastnn import schedules
from fastnn.activations import ACTIVATIONS
from fastnn.backends import MAX_THREADS
from fastnn.optimizers import Optimizer

__all__ = ["CLASSIFIER", "REGRESSOR", "STOCHASTIC", "hidden_layer_sizes"]

STOCHASTIC = ("sgd", "adam", "adamw", "rmsprop")
"""The solvers that go through the examples batch by batch."""

HIDDEN = {name for name, row in ACTIVATIONS.items() if row.hidden}


def _integers(least: int, most: int | None = None) -> Any:
    return Interval(Integral, least, most, closed="left" if most is None else "both")


def _numbers(least: float, most: float | None, closed: str) -> Any:
    return Interval(Real, least, most, closed=closed)


SHARED: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", _integers(1)],
    "activation": [StrOptions({"identity", "logistic"} | HIDDEN), tuple, list],
    "solver": [StrOptions({"lbfgs", *STOCHASTIC}), Optimizer],
    "alpha": [_numbers(0, None, "left")],
    "batch_size": [StrOptions({"auto"}), _integers(1)],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [_numbers(0, None, "neither")],
    "power_t": [_numbers(0, None, "left")],
    "max_iter": [_integers(1)],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_numbers(0, None, "left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [_numbers(0, 1, "both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_numbers(0, 1, "left")],
    "beta_1": [_numbers(0, 1, "left")],
    "beta_2": [_numbers(0, 1, "left")],
    "epsilon": [_numbers(0, None, "neither")],
    "n_iter_no_change": [_integers(1), Options(Real, {np.inf})],
    "max_fun": [_integers(1)],
    # beyond scikit-learn
    "dropout": [_numbers(0, 1, "left"), tuple, list],
    "schedule": [StrOptions(set(schedules.SCHEDULES)), schedules.Schedule, callable, None],
    "clip_norm": [_numbers(0, None, "neither"), None],
    "threads": [_integers(1, MAX_THREADS), None],
}

CLASSIFIER = {
    **SHARED,
    "loss": [StrOptions({"log_loss", "squared_error", "absolute_error", "huber"}), tuple, callable],
    "class_weight": [dict, list, StrOptions({"balanced"}), None],
}

REGRESSOR = {
    **SHARED,
    "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber"}), tuple, callable],
}


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
