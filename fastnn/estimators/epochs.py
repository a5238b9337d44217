"""The loop over the epochs of the stochastic solvers, and what ends it."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastnn import own_losses
from fastnn.estimators.accounts import Account
from fastnn.estimators.solvers import pace_of
from fastnn.schedules import ReduceOnPlateau

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from fastnn.estimators.batches import Batches
    from fastnn.estimators.solvers import Solver
    from fastnn.network import MLP

__all__ = ["Epochs"]

ORDER_ELEMENTS = 1 << 18
"""Of the orders of the examples that are drawn for one call, but one epoch at least."""


class Epochs:
    """One call of `fit` or `partial_fit`, ready to run.

    The results are attributes of the estimator, kept up to date from epoch to epoch.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    net : MLP
        Is trained in place.
    solver : Solver
    batches : Batches
    random_state : numpy.random.RandomState
    score : callable or None
        Returns the score on the validation data.
    threads : int
    """

    def __init__(
        self,
        estimator: Any,
        net: MLP,
        solver: Solver,
        batches: Batches,
        random_state: np.random.RandomState,
        score: Callable[[], float] | None,
        threads: int,
    ) -> None:
        self.estimator, self.net, self.solver, self.batches = estimator, net, solver, batches
        self.random_state, self.score, self.threads = random_state, score, threads
        self.w = net.parameter_vector
        self.vectors = solver.optimizer.vectors_for(self.w)
        self.account = Account(net, estimator.loss)
        is_own = net.loss_row.function is not None
        self.kernel = own_losses.trainer(net) if is_own else self.account.engine.train
        self.constants = self.account.constants(batches.Y)
        self.order = np.arange(batches.m) if self._draws() else None
        self.seed = int(random_state.randint(1 << 31)) if any(net.dropout) else 0
        self.longest = np.inf if estimator.clip_norm is None else float(estimator.clip_norm)
        self.pace = pace_of(estimator, solver, estimator.max_iter * batches.steps, net.dtype)
        self.done = 0
        """Steps."""

    def run(self, epochs: int, warns: bool) -> None:
        """Train for some epochs, or until there is no progress.

        Parameters
        ----------
        epochs : int
        warns : bool
            Whether there is a ConvergenceWarning after the last of them.
        """
        estimator = self.estimator
        estimator.n_iter_ = 0
        try:
            with np.errstate(all="ignore"):  # what overflows is reported at the end
                while estimator.n_iter_ < epochs:
                    for loss in self._train(min(self._ahead(), epochs - estimator.n_iter_)):
                        if self._ends(loss):
                            return
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
            return
        if warns:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )

    # --- some epochs ----------------------------------------------------------------------

    def _ahead(self) -> int:
        """How many epochs no decision falls in: as many as the training cannot end before."""
        estimator, pace = self.estimator, self.pace
        if (
            self.batches.is_in_parts
            or self.score is not None
            or estimator.verbose
            or self.solver.schedule == "invscaling"
            or (pace is not None and isinstance(pace.schedule, ReduceOnPlateau))
        ):
            return 1
        patience = estimator.n_iter_no_change + 1 - estimator._no_improvement_count
        return int(max(min(patience, ORDER_ELEMENTS // self.batches.m), 1))

    def _draws(self) -> bool:
        """Whether orders are drawn: where they matter, or a generator of the user's goes on."""
        estimator = self.estimator
        is_private = isinstance(estimator.random_state, Integral)
        return estimator.shuffle and not (self.batches.steps == 1 and is_private)

    def _orders(self, count: int) -> NDArray[np.uint32] | None:
        """The orders of the examples in the next epochs, (count, m).

        None where they do not matter: that of a single batch is no more than that of its sums.
        """
        if self.order is None:
            return None
        orders = np.empty((count, self.batches.m), np.uint32)
        for row in orders:
            self.random_state.shuffle(self.order)
            row[:] = self.order
        return None if self.batches.steps == 1 else orders

    def _train(self, count: int) -> Iterable[float]:
        """Train for some epochs, and return the loss of each: the mean over the examples."""
        order = self._orders(count)
        if self.batches.is_in_parts:
            return [self._epoch_in_parts(order)]
        batches, costs = self.batches, np.full(count, np.nan)
        weights = None if batches.weights is None else batches.weights[np.newaxis]
        constant = 0.0 if self.constants is None else float(self.constants.mean())
        try:
            self._call(batches.X.T, batches.Y.T, weights, order, costs)
        except KeyboardInterrupt:
            whole = costs[np.isfinite(costs)] + constant
            self._keep(len(whole) * batches.steps)
            for loss in whole.tolist():
                self._ends(loss)
            raise
        losses: list[float] = (costs + constant).tolist()
        return losses

    def _epoch_in_parts(self, order: NDArray[np.uint32] | None) -> float:
        """Train for one epoch, stretch by stretch, and return its loss."""
        account, before = self.account, (self.w.copy(), self.vectors.copy())
        loss, cost, done = 0.0, np.empty(1), self.done
        try:
            for stretch in self.batches.stretches(None if order is None else order[0]):
                penalty = 0.0
                if account.separates:
                    penalty = self.estimator.alpha / stretch.total / 2 * account.squares()
                self._call(stretch.X, stretch.Y, stretch.weights, None, cost)
                part = account.loss(float(cost[0]), penalty)
                if self.constants is not None:
                    weights = None if stretch.weights is None else stretch.weights[0]
                    part += float(np.average(self.constants[stretch.rows], weights=weights))
                loss += part * stretch.m
        except KeyboardInterrupt:
            self.w[:], self.vectors[...] = before
            self._keep(done - self.done)
            raise
        return loss / self.batches.m

    def _call(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        weights: NDArray[Any] | None,
        order: NDArray[np.uint32] | None,
        costs: NDArray[np.float64],
    ) -> None:
        """One call of the kernels, of an epoch for each of the costs."""
        optimizer, size = self.solver.optimizer, self.batches.batch_size
        steps = len(costs) * -(-X.shape[1] // size)
        spec = optimizer.specification(self.estimator.alpha, self.longest, per_example=True)
        scalars = optimizer.scalars_of_next(steps, self._rates(steps))
        self.kernel(
            X, Y, weights, order, size, spec, scalars, self.vectors, self.seed, self.done, costs,
            self.threads,
        )  # fmt: skip
        self._keep(steps)

    def _keep(self, steps: int) -> None:
        """So many steps more have been taken, or fewer."""
        self.solver.optimizer.keep(self.vectors, steps)
        self.done += steps

    def _rates(self, steps: int) -> float | NDArray[np.float64]:
        if self.pace is None:
            return self.solver.learning_rate
        return self.pace.rates(self.done, steps)

    # --- what follows it ------------------------------------------------------------------

    def _ends(self, loss: float) -> bool:
        """Note the loss of an epoch, and return whether the training ends with it."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.batches.m
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        self._count(loss)
        if self.pace is not None and isinstance(self.pace.schedule, ReduceOnPlateau):
            self.pace.schedule.observe(loss, self.solver.first)
        self.solver.end_epoch(estimator.t_)
        if estimator._no_improvement_count <= estimator.n_iter_no_change:
            return False
        stops = not self.solver.slows_down()
        if estimator.verbose:
            self._say_why(stops)
        if not stops:
            estimator._no_improvement_count = 0
        return stops

    def _count(self, loss: float) -> None:
        """Count the epochs without progress: of the score where there is one to look at."""
        estimator = self.estimator
        score = None if self.score is None else self.score()
        if score is not None:
            estimator.validation_scores_.append(score)
            if estimator.verbose:
                print(f"Validation score: {score:f}")
        if score is not None and estimator.early_stopping:
            is_stuck = score < estimator.best_validation_score_ + estimator.tol
        else:
            is_stuck = loss > estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(estimator.best_loss_, loss)
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if is_stuck else 0
        if score is not None and score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            if estimator.early_stopping:
                estimator._best = self.w.copy()

    def _say_why(self, stops: bool) -> None:
        estimator = self.estimator
        what = "Training loss"
        if estimator.early_stopping:
            what = "Validation score"
        then = f"Setting learning rate to {self.solver.learning_rate:f}"
        if stops:
            then = "Stopping."
        print(
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs. {then}"
        )
