"""scikit-learn's multi-layer perceptron, in its plainest form: SGD without momentum.

Steps and epochs run inside one ``fit`` with ``warm_start``, as fastnn's do.  Layers share
one activation there, and a regression has a linear output: that covers all cases here.
"""

import warnings
from itertools import repeat

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bench.cases import NETWORK_KINDS, RULES
from bench.contenders import VERIFIED_STEPS, epoch_order
from bench.work import LEARNING_RATE

__all__ = ["Contender"]

ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "logistic", "linear": "identity"}


class Contender:
    """scikit-learn."""

    name = "scikit-learn"
    versions = {"scikit-learn": sklearn.__version__}

    def __init__(self, threads=1):
        self.threads = threads

    def prepare(self, work):
        case = work.case
        if case.kind == "until":
            return _Until(work)
        plain = case.rule == "plain" and case.kind in NETWORK_KINDS
        if not plain or not {*case.activations[:-1]} <= {*ACTIVATIONS}:
            return None
        return _Forward(work) if work.case.kind == "forward" else _Training(work)


class _Estimator:
    """An estimator that has the case's parameters, and the data as it wants them."""

    def __init__(self, work):
        self.work, self.case = work, work.case
        self.X, self.Y = work.rows()
        if self.case.loss != "mse":
            self.Y = self.Y.argmax(axis=1) if self.Y.shape[1] > 1 else self.Y[:, 0]
        elif self.Y.shape[1] == 1:
            self.Y = self.Y[:, 0]
        kind = MLPRegressor if self.case.loss == "mse" else MLPClassifier
        self.estimator = kind(
            hidden_layer_sizes=self.case.layer_sizes[1:-1],
            activation=ACTIVATIONS[self.case.activations[0]],
            solver="sgd",
            alpha=0.0,
            batch_size=self.case.batch_size or self.case.m,
            learning_rate_init=LEARNING_RATE,
            momentum=0.0,
            nesterovs_momentum=False,
            n_iter_no_change=np.inf,
            tol=0.0,
            warm_start=True,
        )

    def reset(self):
        p, L = self.work.copy_parameters(), self.work.L
        self.estimator.coefs_ = [np.ascontiguousarray(p[f"W{l}"].T) for l in range(1, L + 1)]
        self.estimator.intercepts_ = [p[f"b{l}"][:, 0].copy() for l in range(1, L + 1)]

    def fit(self, X, Y, epochs):
        self.estimator.max_iter = epochs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs asked for are over
            self.estimator.fit(X, Y)


class _Until:
    """Adam with our settings, as many epochs as the score takes."""

    def __init__(self, work):
        self.work, self.case = work, work.case
        is_class = self.case.loss == "cross_entropy"
        self.kind = MLPClassifier if is_class else MLPRegressor
        self.X, self.X_test = (np.ascontiguousarray(X.T) for X in (work.X, work.X_test))
        self.Y, self.Y_test = (
            Y.argmax(axis=0) if is_class else np.ascontiguousarray(Y.T)
            for Y in (work.Y, work.Y_test)
        )

    def results(self):
        self.epochs = self.work.epochs_until(self._scores)
        return {}

    def reset(self):
        pass

    def run(self, n):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for seed in range(n):
                self._estimator(seed).fit(self.X, self.Y)

    def _estimator(self, seed):
        return self.kind(
            hidden_layer_sizes=self.case.layer_sizes[1:-1],
            activation=ACTIVATIONS[self.case.activations[0]], solver="adam", alpha=0.0,
            batch_size=self.case.batch_size, random_state=seed, tol=0.0, n_iter_no_change=np.inf,
            learning_rate_init=RULES[self.case.rule]["learning_rate"],
            max_iter=getattr(self, "epochs", 1),
        )  # fmt: skip

    def _scores(self, seed):
        estimator = self._estimator(seed)
        while True:
            classes = {"classes": np.unique(self.Y)} if self.kind is MLPClassifier else {}
            estimator.partial_fit(self.X, self.Y, **classes)
            yield estimator.score(self.X_test, self.Y_test)


class _Forward(_Estimator):
    def __init__(self, work):
        super().__init__(work)
        # It predicts only after a fit; one on each class gives it the shapes.
        n = work.case.layer_sizes[-1]
        X = np.zeros((n, self.X.shape[1]), self.X.dtype)
        Y = np.arange(n) if work.case.loss != "mse" else np.zeros((n, n), self.X.dtype)
        self.estimator.batch_size, self.estimator.warm_start = n, False
        self.fit(X, Y[:, 0] if Y.shape == (1, 1) else Y, 1)
        self.reset()
        forward = "predict" if work.case.loss == "mse" else "predict_proba"
        self.forward = getattr(self.estimator, forward)

    def results(self):
        return {"A": self.forward(self.X).reshape(self.case.m, -1).T}

    def run(self, n):
        for _ in repeat(None, n):
            self.forward(self.X)


class _Training(_Estimator):
    def __init__(self, work):
        super().__init__(work)
        self.fit(self.X, self.Y, 1)  # the attributes that a warm start expects

    def results(self):
        self.reset()
        if self.case.batch_size:
            order = epoch_order(self.case.m)
            self.estimator.shuffle = False
            self.fit(self.X[order], self.Y[order], 1)
            self.estimator.shuffle = True
        else:
            self.fit(self.X, self.Y, VERIFIED_STEPS)
        arrays = {}
        for l, (W, b) in enumerate(
            zip(self.estimator.coefs_, self.estimator.intercepts_, strict=True), start=1
        ):
            arrays[f"W{l}"], arrays[f"b{l}"] = W.T, b[:, np.newaxis]
        return arrays

    def run(self, n):
        self.fit(self.X, self.Y, n)
