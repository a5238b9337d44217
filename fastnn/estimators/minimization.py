"""L-BFGS by SciPy, with the settings that scikit-learn gives it, over all examples at once.

(Byrd, Lu, Nocedal and Zhu, "A limited memory algorithm for bound constrained optimization",
1995.)  It works in float64, whatever the dtype of X: the line search needs it.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from fastnn import own_losses
from fastnn.estimators.accounts import Account
from fastnn.estimators.batches import ELEMENTS, dense_rows
from fastnn.parameters import of_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn.network import MLP

__all__ = ["Minimization"]


class Minimization:
    """One call of `fit` with L-BFGS, ready to run.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    net : MLP
        Is trained in place.
    X : ndarray or sparse array
        (m, n_in).
    Y : ndarray
        (m, n_out).
    weights : ndarray or None
        (m,).
    threads : int
    """

    def __init__(
        self,
        estimator: Any,
        net: MLP,
        X: Any,
        Y: NDArray[Any],
        weights: NDArray[Any] | None,
        threads: int,
    ) -> None:
        self.estimator, self.net, self.threads = estimator, net, threads
        self.X, self.Y, self.weights = X, Y, weights
        self.total = float(len(Y) if weights is None else weights.sum())
        self.w = net.parameter_vector
        self.account = Account(net, estimator.loss)
        constants = self.account.constants(Y)
        self.constant = 0.0
        if constants is not None:
            self.constant = float(np.average(constants, weights=weights))
        self.has_penalty = of_weights(net.layer_sizes)
        size = max(ELEMENTS // X.shape[1], 1) if hasattr(X, "toarray") else len(Y)
        self.parts = [slice(i, min(i + size, len(Y))) for i in range(0, len(Y), size)]

    def run(self) -> None:
        """Minimise the loss, and leave the results in the attributes of the estimator."""
        estimator = self.estimator
        last = self.w.astype(np.float64)

        def remember(intermediate_result: Any) -> None:
            last[:] = intermediate_result.x
            estimator.n_iter_ += 1
            estimator.loss_ = float(intermediate_result.fun)
            if estimator.verbose:
                print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")

        estimator.n_iter_ = 0
        try:
            with np.errstate(all="ignore"):  # what overflows is reported at the end
                result = minimize(
                    self.loss_and_gradients, last.copy(), jac=True, method="L-BFGS-B",
                    callback=remember,
                    options={
                        "maxfun": estimator.max_fun, "maxiter": estimator.max_iter,
                        "gtol": estimator.tol,
                    },
                )  # fmt: skip
        except BaseException:  # Ctrl-C too: the last whole iteration
            self.w[:] = last
            raise
        self.w[:] = result.x
        estimator.n_iter_ = min(result.nit, estimator.max_iter)
        estimator.loss_ = float(result.fun)
        if result.status != 0:
            self._warn(result)

    def loss_and_gradients(self, w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its gradients, at the parameters w."""
        self.w[:] = w
        J, gradients = 0.0, np.zeros_like(w)
        for part in self.parts:
            x, y = dense_rows(self.X, part).T, self.Y[part].T
            weights = None if self.weights is None else self.weights[np.newaxis, part]
            share = (y.shape[1] if weights is None else float(weights.sum())) / self.total
            some = np.empty_like(self.w)
            if self.net.loss_row.function:
                A = np.empty_like(y)
                cost = own_losses.cost_and_gradients(self.net, x, y, A, some, self.threads)
            else:
                cost = self.account.engine.cost_and_gradients(x, y, weights, some, self.threads)
            J += share * cost
            gradients += share * some
        W = w * self.has_penalty
        l2 = self.estimator.alpha / self.total
        penalty = l2 / 2 * float(W @ W)
        return self.account.loss(J + penalty, penalty) + self.constant, gradients + l2 * W

    def _warn(self, result: Any) -> None:
        n_iter, most = self.estimator.n_iter_, self.estimator.max_iter
        advice = "scale the data: https://scikit-learn.org/stable/modules/preprocessing.html"
        if n_iter == most:
            advice = f"increase the number of iterations (max_iter={most}), or {advice}"
        warnings.warn(
            f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}): "
            f"{result.message}. You might want to {advice}",
            ConvergenceWarning,
            stacklevel=5,
        )
