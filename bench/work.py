"""The numbers of a case: the same data and initial parameters for every contender."""

import statistics
from itertools import pairwise

import numpy as np

from bench.cases import Layer
from fastnn import datasets

__all__ = ["EPOCH_SEED", "LEARNING_RATE", "LayerWork", "NetworkWork", "work_of"]

LEARNING_RATE = 0.01
"""Small enough for every case to stay finite however many steps a round takes."""

EPOCH_SEED = 7
"""Of the order of examples in the epoch that is verified."""


def work_of(case, dtype):
    """Return the arrays of a case: a `LayerWork`, a `NetworkWork` or an `UntilWork`."""
    if isinstance(case, Layer):
        return LayerWork(case, dtype)
    return (UntilWork if case.kind == "until" else NetworkWork)(case, dtype)


class NetworkWork:
    """Parameters, examples and targets of a network.

    Attributes
    ----------
    case : Case
    dtype : numpy.dtype
    parameters : dict
        {"W1": (n[1], n[0]), "b1": (n[1], 1), ...}; the biases are not zero, so that a
        contender that leaves them out is found out.
    X : ndarray
        (n[0], m), one column per example.
    Y : ndarray
        (n[L], m): one-hot columns for cross_entropy, 0 or 1 for binary_cross_entropy.
    """

    def __init__(self, case, dtype):
        self.case = case
        self.dtype = np.dtype(dtype)
        rng = np.random.default_rng([case.m, *case.layer_sizes])
        self.parameters = {}
        for l, (n_in, n_out) in enumerate(pairwise(case.layer_sizes), start=1):
            self.parameters[f"W{l}"] = self._normal(rng, n_out, n_in) / self.dtype.type(n_in**0.5)
            self.parameters[f"b{l}"] = self._normal(rng, n_out, 1) / self.dtype.type(10)
        self.X = self._normal(rng, case.layer_sizes[0], case.m)
        self.Y = self._targets(rng, case.layer_sizes[-1], case.m)

    @property
    def L(self):
        """Number of layers."""
        return len(self.case.activations)

    def copy_parameters(self):
        """Return the initial parameters as arrays that may be written."""
        return {name: array.copy() for name, array in self.parameters.items()}

    def rows(self):
        """Return X and Y with one row per example, as the peers want them."""
        return np.ascontiguousarray(self.X.T), np.ascontiguousarray(self.Y.T)

    def _normal(self, rng, *shape):
        return rng.standard_normal(shape, dtype=self.dtype)

    def _targets(self, rng, n, m):
        if self.case.loss == "cross_entropy":
            return np.eye(n, dtype=self.dtype)[rng.integers(n, size=m)].T.copy()
        if self.case.loss == "binary_cross_entropy":
            return rng.integers(2, size=(n, m)).astype(self.dtype)
        return self._normal(rng, n, m)


class UntilWork(NetworkWork):
    """A training until a score on held-out examples: digits, or a smooth function of six inputs.

    Attributes
    ----------
    X_test, Y_test : ndarray
        Are held out.
    goal : float
        97 % right, or 1 - R^2 = 1e-3.
    """

    SEEDS, MOST = range(5), 500

    def __init__(self, case, dtype):
        super().__init__(case, dtype)
        if case.loss == "cross_entropy":
            self.goal = 0.97
            X, labels = datasets.load_digits()
            train, test = datasets.stratified_split(labels, seed=1)
            X, Y = X.astype(self.dtype), datasets.one_hot(labels).astype(self.dtype)
        else:
            self.goal = 0.999
            X = np.random.default_rng(2).uniform(-1, 1, (6, case.m + 1000)).astype(self.dtype)
            Y = np.stack([
                np.sin(2 * X[0]) * X[1] + X[2] ** 2, np.exp(-X[3] ** 2) + X[4] * X[5],
                np.tanh(X[0] + 2 * X[5]) - X[1] * X[2],
            ])  # fmt: skip
            train, test = np.arange(case.m), np.arange(case.m, case.m + 1000)
        self.X, self.Y, self.X_test, self.Y_test = X[:, train], Y[:, train], X[:, test], Y[:, test]

    def epochs_until(self, scores):
        """Return the median, over some seeds, of the epochs until the goal.

        scores : function
            ``scores(seed)`` yields the score after each epoch.
        """
        return int(statistics.median(self._epochs(scores(seed)) for seed in self.SEEDS))

    def _epochs(self, scores):
        for epoch, score in enumerate(scores, start=1):
            if score >= self.goal:
                return epoch
            if epoch == self.MOST:
                raise RuntimeError(f"{self.case.name}: {score:.4f} after {epoch} epochs")
        raise AssertionError("there is no end of scores")


class LayerWork:
    """Arguments of a layer kernel, inputs and then outputs.

    Attributes
    ----------
    case : Layer
    dtype : numpy.dtype
    W, b, A_prev, dZ, dA, A, Z, Y : ndarray
        Those that the kernel reads; A is an output of the activation, in its range.
    """

    def __init__(self, case, dtype):
        self.case = case
        self.dtype = np.dtype(dtype)
        rng = np.random.default_rng([case.n_in, case.n_out, case.m])
        n_in, n_out, m = case.n_in, case.n_out, case.m

        def normal(*shape):
            return rng.standard_normal(shape, dtype=self.dtype)

        self.W = normal(n_out, n_in) / self.dtype.type(max(n_in, 1) ** 0.5)
        self.b = normal(n_out, 1)
        self.A_prev = normal(n_in, m)
        self.Z = self.dZ = self.dA = normal(n_out, m)
        exponentials = np.exp(normal(n_out, m))
        share = exponentials / (exponentials.sum(axis=0) + (n_out == 1))
        self.A = share if case.activation in ("sigmoid", "softmax") else np.tanh(self.dA)
        self.Y = np.roll(self.A, 1, axis=1)
