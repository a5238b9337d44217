"""The loop over the epochs of the stochastic solvers, and what ends it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastnn import own_losses
from fastnn.estimators.accounts import Account
from fastnn.estimators.solvers import pace_of
from fastnn.schedules import ReduceOnPlateau

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fastnn.estimators.batches import Batches
    from fastnn.estimators.solvers import Solver
    from fastnn.network import MLP

__all__ = ["Epochs"]


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
        self.order = np.arange(batches.m) if estimator.shuffle else None
        self.seed = int(random_state.randint(1 << 31)) if any(net.dropout) else 0
        self.longest = np.inf if estimator.clip_norm is None else float(estimator.clip_norm)
        self.pace = pace_of(estimator, solver, estimator.max_iter * batches.steps, net.dtype)
        self.done = 0
        """Steps."""
        self.cost = np.empty(1)
        self.is_whole = True
        """Whether the parameters are those after a whole epoch."""

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
        before, steps = (self.w.copy(), self.vectors.copy()), self.solver.optimizer.steps
        try:
            with np.errstate(all="ignore"):  # what overflows is reported at the end
                for _ in range(epochs):
                    before[0][:], before[1][...] = self.w, self.vectors
                    steps, self.is_whole = self.solver.optimizer.steps, False
                    loss = self._epoch()
                    self.is_whole = True
                    if self._ends(loss):
                        return
        except KeyboardInterrupt:
            if not self.is_whole:
                self.w[:], self.vectors[...] = before
                self.solver.optimizer.keep(self.vectors, steps - self.solver.optimizer.steps)
            warnings.warn("Training interrupted by user.", stacklevel=5)
            return
        if warns:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({epochs}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )

    # --- one epoch ------------------------------------------------------------------------

    def _epoch(self) -> float:
        """Train for one epoch, and return its loss: the mean over the examples."""
        if self.order is not None:
            self.random_state.shuffle(self.order)
        optimizer, alpha, account = self.solver.optimizer, self.estimator.alpha, self.account
        loss = 0.0
        for stretch in self.batches.stretches(self.order):
            l2 = alpha / stretch.total if stretch.total else 0.0
            penalty = l2 / 2 * account.squares() if account.separates else 0.0
            scalars = optimizer.scalars_of_next(stretch.steps, self._rates(stretch.steps))
            self.kernel(
                stretch.X, stretch.Y, stretch.weights, None, self.batches.batch_size,
                optimizer.specification(l2, self.longest), scalars, self.vectors,
                self.seed, self.done, self.cost, self.threads,
            )  # fmt: skip
            optimizer.keep(self.vectors, stretch.steps)
            self.done += stretch.steps
            part = account.loss(float(self.cost[0]), penalty)
            if self.constants is not None:
                weights = None if stretch.weights is None else stretch.weights[0]
                part += float(np.average(self.constants[stretch.rows], weights=weights))
            loss += part * stretch.m
        return loss / self.batches.m

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
