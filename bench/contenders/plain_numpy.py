"""The course's plain NumPy (plain.py): what the ratios to NumPy refer to."""

from itertools import repeat

import numpy as np

from bench import plain
from bench.cases import NETWORK_KINDS, Layer
from bench.contenders import VERIFIED_STEPS, epoch_order
from bench.work import LEARNING_RATE
from fastnn.losses import default_for

__all__ = ["Plain"]


class Plain:
    """The same work as the course writes it (plain.py)."""

    name = "plain NumPy"
    versions = {"NumPy": np.__version__}

    def __init__(self, threads=1):
        self.threads = threads  # of its BLAS, settled before NumPy was imported

    def prepare(self, work):
        if isinstance(work.case, Layer):
            return _PlainKernelRunner(work)
        known = {work.case.loss, *work.case.activations} <= {*plain.COSTS, *plain.ACTIVATIONS}
        if work.case.rule != "plain" or work.case.kind not in NETWORK_KINDS or not known:
            return None
        return _PlainForwardRunner(work) if work.case.kind == "forward" else _PlainTrainRunner(work)


class _PlainForwardRunner:
    def __init__(self, work):
        self.work = work

    def results(self):
        return {"A": self._forward()}

    def reset(self):
        pass

    def run(self, n):
        for _ in repeat(None, n):
            self._forward()

    def _forward(self):
        return plain.predict(self.work.X, self.work.parameters, self.work.case.activations)


class _PlainTrainRunner:
    def __init__(self, work):
        self.work = work
        self.rng = np.random.default_rng(0)

    def results(self):
        self.reset()
        if self.work.case.batch_size:
            self._epoch(epoch_order(self.work.case.m))
        else:
            self._steps(VERIFIED_STEPS)
        return self.parameters

    def reset(self):
        self.parameters = self.work.copy_parameters()

    def run(self, n):
        if self.work.case.batch_size is None:
            self._steps(n)
            return
        for _ in range(n):
            self._epoch(self.rng.permutation(self.work.case.m))

    def _steps(self, n):
        for _ in range(n):
            self._step(self.work.X, self.work.Y)

    def _epoch(self, order):
        for X, Y in plain.mini_batches(self.work.X, self.work.Y, order, self.work.case.batch_size):
            self._step(X, Y)

    def _step(self, X, Y):
        case = self.work.case
        plain.gradient_descent(X, Y, self.parameters, case.activations, case.loss, LEARNING_RATE)


class _PlainKernelRunner:
    def __init__(self, work):
        self.function = _plain_expressions(work)[work.case.kind]

    def results(self):
        return self.function()

    def reset(self):
        pass

    def run(self, n):
        for _ in repeat(None, n):
            self.function()


def _plain_expressions(work):
    """What the course writes for each layer kernel."""
    g, m = work.case.activation, work.case.m
    activate, derivative = plain.ACTIVATIONS[g], plain.DERIVATIVES[g]
    cost = plain.COSTS[default_for(g).name]

    def activation_backward():
        dZ = derivative(work.dA, work.A)
        return {"dZ": dZ, "db": np.sum(dZ, axis=1, keepdims=True) / m}

    def dense_backward():
        return {
            "dW": np.dot(work.dZ, work.A_prev.T) / m,
            "db": np.sum(work.dZ, axis=1, keepdims=True) / m,
            "dA_prev": np.dot(work.W.T, work.dZ),
        }

    return {
        "activate": lambda: {"A": activate(work.Z)},
        "activation_backward": activation_backward,
        "output_cost": lambda: {"J": np.array([cost(work.A, work.Y)]), "dZ": work.A - work.Y},
        "dense_forward": lambda: {"A": activate(np.dot(work.W, work.A_prev) + work.b)},
        "dense_backward": dense_backward,
    }
