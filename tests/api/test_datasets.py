"""The data that comes along, and the helpers that prepare it."""

import numpy as np
import pytest

from fastnn import datasets


def test_digits():
    X, labels = datasets.load_digits()
    assert X.shape == (64, 1797) and X.dtype == np.float32 and X.flags.c_contiguous
    assert labels.shape == (1797,) and labels.dtype == np.int64
    assert X.min() == 0 and X.max() == 1
    # Seventeen levels of ink, and the class counts that the source states.
    assert set(np.unique(X * 16)) <= set(range(17))
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(labels).tolist() == counts
    assert labels[:10].tolist() == list(range(10))
    # The first image is a zero: ink all around, none in the middle.
    image = X[:, 0].reshape(8, 8)
    assert image[3:5, 3:5].sum() == 0 and image[:, 2].sum() > 2


def test_digits_are_new_arrays():
    X, _ = datasets.load_digits()
    X[...] = 7
    assert datasets.load_digits()[0].max() == 1


def test_flower():
    X, Y = datasets.planar_flower()
    assert X.shape == (2, 400) and Y.shape == (1, 400)
    assert X.dtype == Y.dtype == np.float32
    assert set(np.unique(Y)) == {0, 1} and Y.mean() == 0.5
    assert 3 < np.abs(X).max() < 6
    again, _ = datasets.planar_flower()
    np.testing.assert_array_equal(X, again)
    assert (datasets.planar_flower(seed=6)[0] != X).any()
    assert datasets.planar_flower(7)[1].sum() == 3


def test_one_hot():
    Y = datasets.one_hot([0, 2, 1])
    np.testing.assert_array_equal(Y, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert Y.dtype == np.float32
    assert datasets.one_hot([1], n_classes=4).shape == (4, 1)
    assert datasets.one_hot(np.empty(0, int), n_classes=2).shape == (2, 0)


@pytest.mark.parametrize("make", [list, tuple, np.array, lambda x: np.array(x, object)])
def test_one_hot_of_names(make):
    names = make(["dog", "cat", "dog", "mouse"])
    expected = [[0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(datasets.one_hot(names), expected)
    classes = make(["mouse", "cat", "dog", "owl"])
    Y = datasets.one_hot(names, classes=classes)
    np.testing.assert_array_equal(Y, [[0, 0, 0, 1], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    assert Y.dtype == np.float32
    assert np.asarray(classes)[Y.argmax(axis=0)].tolist() == list(names)
    Y = datasets.one_hot([7, 3], classes=[3, 5, 7])
    np.testing.assert_array_equal(Y, [[0, 1], [0, 0], [1, 0]])


@pytest.mark.parametrize("seed", range(3))
def test_stratified_split(seed):
    """Two parts, nothing twice, nothing lost, the same mixture of classes in both."""
    _, labels = datasets.load_digits()
    train, test = datasets.stratified_split(labels, test_share=0.2, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))
    share = np.bincount(labels[test]) / np.bincount(labels)
    assert np.abs(share - 0.2).max() < 0.005
    again = datasets.stratified_split(labels, test_share=0.2, seed=seed)
    np.testing.assert_array_equal(test, again[1])
    other = datasets.stratified_split(labels, test_share=0.2, seed=seed + 10)
    assert not np.array_equal(test, other[1])


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: datasets.planar_flower(1), ValueError, "m must be an integer >= 2, got 1"),
        (lambda: datasets.planar_flower(2.5), TypeError, "m must be an integer"),
        (lambda: datasets.planar_flower(seed=-1), ValueError, "seed must be"),
        (lambda: datasets.one_hot([0.5]), TypeError, "labels must be integers"),
        (lambda: datasets.one_hot([[0]]), ValueError, "labels must be 1-D"),
        (lambda: datasets.one_hot([-1]), ValueError, "must not be negative, got -1"),
        (lambda: datasets.one_hot([3], 3), ValueError, "smaller than n_classes=3, got 3"),
        (lambda: datasets.one_hot([["a"]]), ValueError, "labels must be 1-D"),
        (lambda: datasets.one_hot(["a"], 3), TypeError, "n_classes is for classes that are num"),
        (lambda: datasets.one_hot(["a"], classes=["b"]), ValueError, "'a' is not one of the cla"),
        (lambda: datasets.one_hot([1], classes=["b"]), TypeError, "integers or strings, as the"),
        (lambda: datasets.one_hot(["a"], classes=["a", "a"]), ValueError, "name each class once"),
        (lambda: datasets.one_hot(["a"], classes=[]), TypeError, "integers or strings, as the"),
        (lambda: datasets.one_hot([0.5], classes=[1]), TypeError, "integers or strings, as the"),
        (
            lambda: datasets.stratified_split([0, 1], 1.5),
            ValueError,
            "test_share must be at most 1",
        ),
        (lambda: datasets.stratified_split([0, 1], -0.5), ValueError, "test_share"),
    ],
)
def test_bad_arguments(call, error, words):
    with pytest.raises(error, match=words):
        call()
