"""The examples that `fit` is given: scikit-learn's checks, and a look at what is plain already."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.validation import check_non_negative, column_or_1d, validate_data

from fastnn import backends

__all__ = ["SPARSE", "are_plain_labels", "checked_examples", "checked_weights"]

SPARSE = ["csr", "csc"]
"""Kinds of sparse X that are taken as they are."""

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))
"""Dtypes of X that are kept; the first is that of all others."""


def checked_examples(
    estimator: Any, X: Any, y: Any, reset: bool, **of_y: Any
) -> tuple[Any, NDArray[Any]]:
    """Return X and y as scikit-learn's `validate_data` leaves them, and note the features.

    It takes a quarter of a millisecond, as long as twenty epochs of a small network; where there
    is nothing to convert or to refuse, a look tells so in some microseconds.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X, y : object
        As for `fit`.
    reset : bool
        Whether the features may be others than before.
    **of_y
        What else scikit-learn is told about y.

    Raises
    ------
    ValueError, TypeError
        In scikit-learn's words.

    Examples
    --------
    >>> model = fastnn.MLPRegressor()
    >>> checked_examples(model, [[1, 2]], [3.0], True)
    (array([[1., 2.]]), array([3.]))
    >>> model.n_features_in_
    2
    """
    if _are_plain(X, y) and "feature_names_in_" not in vars(estimator):
        if reset or X.shape[1] == estimator.n_features_in_:
            estimator.n_features_in_ = X.shape[1]
            return X, y
    X, y = validate_data(
        estimator, X, y, accept_sparse=SPARSE, multi_output=True, reset=reset, dtype=FLOATS, **of_y
    )
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y


def _are_plain(X: Any, y: Any) -> bool:
    """Whether these are arrays of numbers, and all of them finite."""
    return (
        (type(X) is np.ndarray and type(y) is np.ndarray)
        and (X.ndim == 2 and X.size > 0 and y.shape == X.shape[:1])
        and _are_finite_floats(X)
        and (y.dtype.kind in "biu" or _are_finite_floats(y[np.newaxis]))
    )


def _are_finite_floats(array: NDArray[Any]) -> bool:
    """Of an array that has two dimensions."""
    if array.dtype not in FLOATS or not array.flags.aligned:
        return False
    return bool(backends.current.kernels(array.dtype).all_finite(array))


def are_plain_labels(y: Any) -> bool:
    """Whether these are labels that NumPy can sort and compare: integers or booleans in a row.

    Examples
    --------
    >>> are_plain_labels(np.array([3, 1])), are_plain_labels(np.array([3.0, 1.5]))
    (True, False)
    """
    is_row = type(y) is np.ndarray and y.ndim == 1
    return is_row and y.dtype.kind in "biu" and y.dtype.isnative


def checked_weights(sample_weight: Any, m: int) -> NDArray[Any]:
    """Return the weights of m examples.

    Raises
    ------
    ValueError, TypeError
        In scikit-learn's words, or those of the same kind.

    Examples
    --------
    >>> checked_weights(2.0, 3)
    array([2., 2., 2.])
    """
    if np.isscalar(sample_weight):
        sample_weight = np.full(m, sample_weight)
    weights: NDArray[Any] = check_array(
        sample_weight, ensure_2d=False, dtype=FLOATS, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. Expected "
            f"either a scalar value or a 1D array of length {m}."
        )
    if weights.shape != (m,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(m,)}!")
    check_non_negative(weights, "`sample_weight`")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights
