"""Small data sets to learn with, one column per example, and two helpers to prepare them.

Nothing is downloaded: the digits lie in ``fastnn/data``, the flower is generated.
Everything is float32, the default dtype of a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import checks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["load_digits", "one_hot", "planar_flower", "stratified_split"]


def load_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Load the 1,797 handwritten digits of 8 by 8 pixels.

    The source is the test part of "Optical Recognition of Handwritten Digits" (Alpaydin
    and Kaynak, UCI Machine Learning Repository, doi 10.24432/C50P49, CC BY 4.0); see
    ``fastnn/data/README.md``.

    Returns
    -------
    X : ndarray of float32, (64, 1797)
        One image per column, row by row, the ink of each pixel from 0 to 1.
    labels : ndarray of int64, (1797,)
        The digit that each image shows.

    Raises
    ------
    FileNotFoundError
        The file is missing from the installation.

    Examples
    --------
    >>> from fastnn import datasets
    >>> X, labels = datasets.load_digits()
    >>> X.shape, labels[:4].tolist()
    ((64, 1797), [0, 1, 2, 3])
    """
    from importlib.resources import files  # costs more to import than this whole module

    with (
        (files("fastnn") / "data" / "digits.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        images, labels = arrays["images"], arrays["labels"]
    X = images.reshape(len(images), 64).T / np.float32(16)
    return np.ascontiguousarray(X), labels.astype(np.int64)


def planar_flower(m: int = 400, seed: Any = 5) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Generate points of two classes that lie on the petals of a flower in turn.

    Class k takes the half turn of angles from k pi to (k + 1) pi, drawn evenly and then
    blurred by 0.25 N(0, 1); the radius is ``4 sin(4 angle) + 0.3 N(0, 1)``, and where it
    is negative the point lies on the petal opposite.  So the classes alternate from
    petal to petal, and no straight line parts them: with the default arguments a linear
    model is right for about 47 % of the points, a 2-4-1 network for about 90 %.

    Parameters
    ----------
    m : int
        Number of points, at least 2; the first half is class 0.
    seed : int, numpy.random.Generator or None
        The same integer gives the same points.

    Returns
    -------
    X : ndarray of float32, (2, m)
        Coordinates of the points.
    Y : ndarray of float32, (1, m)
        0 or 1.

    Raises
    ------
    TypeError, ValueError
        `m` is not an integer >= 2, or `seed` is none of NumPy's.

    Examples
    --------
    >>> from fastnn import datasets
    >>> X, Y = datasets.planar_flower(100)
    >>> X.shape, Y.shape, float(Y.mean())
    ((2, 100), (1, 100), 0.5)
    """
    m = checks.integer("m", m, 2)
    random = checks.generator(seed)
    Y = np.repeat([0, 1], [m - m // 2, m // 2])
    angle = np.pi * (Y + random.random(m)) + 0.25 * random.standard_normal(m)
    radius = 4 * np.sin(4 * angle) + 0.3 * random.standard_normal(m)
    X = np.vstack([radius * np.cos(angle), radius * np.sin(angle)])
    return X.astype(np.float32), Y.astype(np.float32)[np.newaxis]


def one_hot(
    labels: ArrayLike, n_classes: int | None = None, *, classes: ArrayLike | None = None
) -> NDArray[np.float32]:
    """Turn classes into columns with a single 1.

    Parameters
    ----------
    labels : array_like of int or str, (m,)
        Class of each example: its number, from 0 up, or its name.
    n_classes : int, optional
        Number of rows, where classes are numbered; by default the largest label plus 1.
    classes : array_like, optional
        The classes in the order of the rows, each of them once: names, or any integers.  By
        default names are sorted, as ``numpy.unique(labels)`` returns them:
        ``classes[net.predict(X)]`` are the names of a network's answers.

    Returns
    -------
    Y : ndarray of float32, (n_classes, m)
        ``Y[labels[j], j] = 1``, zero elsewhere.

    Raises
    ------
    TypeError
        The labels are neither integers nor strings, or `n_classes` is given for names.
    ValueError
        They are not 1-D, or one is negative, not smaller than `n_classes` or not in `classes`.

    Examples
    --------
    >>> from fastnn import datasets
    >>> datasets.one_hot([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    >>> datasets.one_hot(["dog", "cat", "dog"])
    array([[0., 1., 0.],
           [1., 0., 1.]], dtype=float32)
    """
    numbers: NDArray[np.integer[Any]]
    if classes is not None or _are_names(labels):
        if n_classes is not None:
            raise TypeError("n_classes is for classes that are numbered; names are counted")
        numbers, n_classes = _rows_of_names(labels, classes)
    else:
        numbers = _class_numbers(labels)
        largest = int(numbers.max(initial=0))
        n_classes = largest + 1 if n_classes is None else checks.integer("n_classes", n_classes, 1)
        if largest >= n_classes:
            raise ValueError(f"labels must be smaller than n_classes={n_classes}, got {largest}")
    Y: NDArray[np.float32] = (np.arange(n_classes)[:, np.newaxis] == numbers).astype(np.float32)
    return Y


def stratified_split(
    labels: ArrayLike, test_share: float = 0.2, seed: Any = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part the examples into two sets with the same mixture of classes.

    Parameters
    ----------
    labels : array_like of int, (m,)
        Class of each example.
    test_share : float
        Share of each class, from 0 to 1, that goes into the second set.
    seed : int, numpy.random.Generator or None
        The same integer gives the same split.

    Returns
    -------
    train, test : ndarray of int64
        Numbers of the columns, ascending: ``X[:, train]``, ``X[:, test]``.

    Raises
    ------
    TypeError
        The labels are not integers.
    ValueError
        They are not 1-D, one is negative, or `test_share` is not from 0 to 1.

    Examples
    --------
    >>> from fastnn import datasets
    >>> train, test = datasets.stratified_split([0] * 10 + [1] * 20, test_share=0.1)
    >>> len(train), len(test)
    (27, 3)
    """
    classes = _class_numbers(labels)
    test_share = checks.number("test_share", test_share, positive=False)
    if test_share > 1:
        raise ValueError(f"test_share must be at most 1, got {test_share!r}")
    random = checks.generator(seed)
    in_test = np.zeros(len(classes), np.bool_)
    for one_class in np.unique(classes):
        members = random.permutation(np.flatnonzero(classes == one_class))
        in_test[members[: round(test_share * len(members))]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def _are_names(labels: ArrayLike) -> bool:
    array = np.asarray(labels)
    return array.dtype.kind in "UT" or any(isinstance(x, str) for x in array.ravel()[:1])


def _rows_of_names(labels: Any, classes: Any) -> tuple[NDArray[np.intp], int]:
    """The place of each label in `classes`, by default the sorted labels, and their number."""
    names = np.asarray(np.asarray(labels).tolist())  # objects become what they are
    if names.ndim != 1:
        raise ValueError(f"labels must be 1-D, got shape {names.shape}")
    known = np.unique(names) if classes is None else np.asarray(np.asarray(classes).tolist())
    if names.dtype.kind not in "iuU" or (names.dtype.kind == "U") != (known.dtype.kind == "U"):
        raise TypeError(
            f"labels must be integers or strings, as the classes are, got dtype {names.dtype}"
        )
    order = np.argsort(known, kind="stable")
    if known.ndim != 1 or not known.size or (known[order][1:] == known[order][:-1]).any():
        raise ValueError(f"classes must name each class once, got {checks.shown(classes)}")
    rows = order[np.minimum(np.searchsorted(known, names, sorter=order), len(known) - 1)]
    strange = known[rows] != names
    if strange.any():
        found = names[strange][0].item()
        raise ValueError(f"labels: {found!r} is not one of the classes {checks.shown(classes)}")
    return rows, len(known)


def _class_numbers(labels: ArrayLike) -> NDArray[np.integer[Any]]:
    """Return the labels as an integer vector, or say what is wrong with them."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, got dtype {labels.dtype}")
    if labels.ndim != 1:
        raise ValueError(f"labels must be 1-D, got shape {labels.shape}")
    if labels.min(initial=0) < 0:
        raise ValueError(f"labels must not be negative, got {labels.min()}")
    return labels
