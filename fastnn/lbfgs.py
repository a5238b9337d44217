"""Training by L-BFGS: SciPy's loop around the cost and its gradient, over all examples at once.

(Byrd, Lu, Nocedal and Zhu, "A limited memory algorithm for bound constrained optimization", 1995;
SciPy is the extra ``scipy``.)
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _hints, checks
from fastnn._specifications import Targets
from fastnn.history import Recorder
from fastnn.loop import Rule, Snapshot
from fastnn.own_losses import cost_and_gradients
from fastnn.parameters import of_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn.history import History
    from fastnn.network import MLP
    from fastnn.optimizers import LBFGS
    from fastnn.progress import Report
    from fastnn.validation import Watch

__all__ = ["Minimization", "refuse"]

WHY_NOT = {
    "learning_rate": "it searches for the length of each step itself",
    "schedule": "it searches for the length of each step itself",
    "clip_norm": "it needs the gradient as it is",
    "batch_size": "it takes all examples at once",
}


def refuse(net: MLP, **options: Any) -> None:
    """Refuse options that are not None, and dropout.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> refuse(fastnn.MLP([1, 1]), batch_size=3)
    Traceback (most recent call last):
    ValueError: optimizer 'lbfgs' has no batch_size, got 3: it takes all examples at once
    """
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"optimizer 'lbfgs' has no {name}, got {checks.shown(value)}: {WHY_NOT[name]}"
            )
    if any(net.dropout):
        raise ValueError(
            f"optimizer 'lbfgs' cannot train with dropout, got {net.dropout}: it needs the same "
            "cost for the same parameters"
        )


def _minimize() -> Any:
    """SciPy's function, or the error that says how to get it."""
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise ImportError(
            f"optimizer 'lbfgs' needs SciPy, which does not load ({error}); "
            f"{_hints.install('scipy')} brings it"
        ) from error
    return minimize


class Minimization:
    """One call of `fit` with L-BFGS, after its checks.

    Parameters
    ----------
    net : MLP
    examples : (X, Y, weights)
        As the kernels take them.
    optimizer : LBFGS
    l2 : float
    threads : int
    """

    def __init__(
        self,
        net: MLP,
        examples: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
        optimizer: LBFGS,
        l2: float,
        threads: int,
    ) -> None:
        self.minimize = _minimize()
        self.net, self.engine, self.kernels = net, net.engine, net.kernels
        self.examples, self.l2, self.threads = examples, l2, threads
        self.parameters = net.parameter_vector
        vectors = optimizer.vectors_for(self.parameters)
        self.rule = Rule(optimizer, math.nan, None, optimizer.specification(l2), vectors)
        self.gradients = np.empty_like(self.parameters)
        self.weights = of_weights(net.layer_sizes)
        self.done = 0

    def train(self, epochs: int, report: Report | None, watch: Watch | None) -> History:
        """Train in place, one iteration for an epoch, and return the history.

        `done` is 0 afterwards where all is as it was before.
        """
        self.recorder = watch.recorder(epochs) if watch else Recorder(epochs)
        self.report, self.watch, self.epochs = report, watch, epochs
        optimizer = self.rule.optimizer
        began = optimizer.checkpoint()
        before = self.last = Snapshot(self.parameters, self.rule)
        self.has_diverged, self.started = False, time.perf_counter()
        try:
            self._train(epochs)
        except BaseException as error:
            self.done = 0
            if isinstance(error, KeyboardInterrupt) or self.has_diverged:
                self.last.restore()
                self.done = optimizer.steps - began.steps
            if not self.done:
                before.restore()
                optimizer.roll_back(began)
            raise
        return self.recorder.history

    def _train(self, epochs: int) -> None:
        optimizer: Any = self.rule.optimizer
        start = self.parameters.astype(np.float64)
        result = self.minimize(
            self._cost_and_gradients, start, jac=True, method="L-BFGS-B", callback=self._iteration,
            options={
                "maxcor": optimizer.memory, "gtol": optimizer.tolerance,
                "ftol": optimizer.cost_tolerance, "maxiter": epochs, "maxfun": 1 << 60,
                "maxls": 50,
            },
        )  # fmt: skip
        if not self.done:  # there was nothing to be gained
            try:
                self._iteration(result)
            except StopIteration:
                pass
        self.last.restore()
        history = self.recorder.show(self.done)
        history.learning_rate = None
        history.stopped_early = self.done < epochs
        if self.watch:
            self.watch.end(self, epochs)

    def _cost_and_gradients(self, w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        X, Y, weights = self.examples
        with np.errstate(all="ignore"):  # what overflows is reported
            self.parameters[:] = w
            if self.net.loss_row.function:
                A = np.empty(Y.shape, Y.dtype)
                J = cost_and_gradients(self.net, X, Y, A, self.gradients, self.threads)
            else:
                J = self.engine.cost_and_gradients(X, Y, weights, self.gradients, self.threads)
            gradients = self.gradients.astype(np.float64)
            if self.l2:
                W = w * self.weights
                J += self.l2 / 2 * float(W @ W)
                gradients += self.l2 * W
        return J, gradients

    def _iteration(self, intermediate_result: Any) -> None:
        """What follows an iteration; SciPy knows the argument by its name."""
        e, J = self.done, float(intermediate_result.fun)
        with np.errstate(over="ignore"):
            self.parameters[:] = intermediate_result.x
        if not (math.isfinite(J) and self.kernels.all_finite(self.parameters[np.newaxis])):
            self.has_diverged = True
            is_scaled = self.net.loss_row.targets >= Targets.PROBABILITIES
            raise checks.diverged(e, None, *self.examples[:2], is_scaled)
        self.recorder.cost[e] = J
        if self.watch:
            self.watch.look(self, e)
        now = time.perf_counter()
        self.recorder.seconds[e], self.started = now - self.started, now
        self.rule.optimizer.keep(self.rule.vectors, 1)
        self.last = Snapshot(self.parameters, self.rule)
        self.done = e + 1
        if self.report:
            self.report(self.done, J)
        if self.watch:
            history = self.recorder.show(self.done)
            history.learning_rate = None
            if self.watch.stops(self.done, history):
                raise StopIteration
