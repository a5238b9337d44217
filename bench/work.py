"""The numbers of a case: the same data and initial parameters for every contender."""

from itertools import pairwise

import numpy as np

from bench.cases import Layer

__all__ = ["EPOCH_SEED", "LEARNING_RATE", "LayerWork", "NetworkWork", "work_of"]

LEARNING_RATE = 0.01
"""Small enough for every case to stay finite however many steps a round takes."""

EPOCH_SEED = 7
"""Of the order of examples in the epoch that is verified."""


def work_of(case, dtype):
    """Return the arrays of a case: a `LayerWork` or a `NetworkWork`."""
    return LayerWork(case, dtype) if isinstance(case, Layer) else NetworkWork(case, dtype)


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
