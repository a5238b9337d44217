"""The steps of the stochastic solvers, as scikit-learn takes them.

The formulas are those of `fastnn.optimizers`; what differs is a matter of the numbers that go
with each step.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import optimizers, schedules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn.optimizers import Optimizer
    from fastnn.schedules import Pace

__all__ = ["EpsilonBesideRoot", "Solver", "pace_of", "solver_of"]

SLOWEST = 1e-6
"""The learning rate at which "adaptive" ends the training instead of reducing it."""

REDUCTION = 5.0
"""By how much "adaptive" reduces it."""

LEAST = 1e-20
"""Of the first learning rate: less is taken as that, so that a momentum can be told in its unit."""


class EpsilonBesideRoot(optimizers.Adam):
    """Adam with epsilon beside the root of v, not of the corrected v.

    ``w <- w - learning_rate c m / (sqrt(v) + epsilon)``, ``c = sqrt(1 - beta2^t) /
    (1 - beta1^t)``: the efficient version at the end of section 2 of Kingma and Ba, "Adam: a
    method for stochastic optimization", 2015.

    Examples
    --------
    >>> EpsilonBesideRoot(0.9, 0.999, 1e-8).scalars(np.array([0.1]), np.array([1.0])).round(4)
    array([[0.1   , 0.0316, 1.    ]])
    """

    def scalars(self, rates: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[Any]:
        correction = np.sqrt(1 - self.beta2**steps) / (1 - self.beta1**steps)
        return np.stack([rates, rates * correction, np.ones_like(rates)], axis=1)


class Solver:
    """An optimizer, and the learning rate that it has now.

    Parameters
    ----------
    optimizer : Optimizer
    learning_rate : float
        The first one.
    schedule : str
        "constant", "invscaling" or "adaptive".
    power : float
        Of "invscaling".

    Attributes
    ----------
    optimizer : Optimizer
    learning_rate : float
    """

    def __init__(
        self,
        optimizer: Optimizer,
        learning_rate: float,
        schedule: str = "constant",
        power: float = 0.5,
    ) -> None:
        self.optimizer = optimizer
        self.first = self.learning_rate = float(learning_rate)
        self.schedule = schedule
        self.power = power

    def end_epoch(self, seen: int) -> None:
        """An epoch has ended; `seen` examples have been passed in all."""
        if self.schedule == "invscaling":
            self._go_on_at(max(self.first / (seen + 1) ** self.power, LEAST * self.first))

    def slows_down(self) -> bool:
        """Reduce the learning rate where that is what "adaptive" does instead of stopping."""
        if self.schedule != "adaptive" or self.learning_rate <= SLOWEST:
            return False
        self._go_on_at(self.learning_rate / REDUCTION)
        return True

    def _go_on_at(self, learning_rate: float) -> None:
        """Change the learning rate.

        scikit-learn's velocity is a sum of steps, each taken at its own learning rate, ours one
        of gradients, which counts them all at the rate of now.
        """
        if isinstance(self.optimizer, optimizers.Momentum):
            vectors = self.optimizer.checkpoint().vectors
            if vectors is not None:
                vectors *= self.learning_rate / learning_rate
        self.learning_rate = learning_rate


def solver_of(estimator: Any) -> Solver:
    """Return a new solver, as the parameters of an estimator say.

    Examples
    --------
    >>> solver_of(fastnn.MLPClassifier(solver="sgd", momentum=0.5)).optimizer
    Momentum(momentum=0.5, nesterov=True)
    """
    name, rate = estimator.solver, estimator.learning_rate_init
    optimizer: Optimizer
    if name == "sgd":
        optimizer = _descent(estimator.momentum, estimator.nesterovs_momentum)
        return Solver(optimizer, rate, estimator.learning_rate, estimator.power_t)
    if name in ("adam", "adamw"):
        kind = EpsilonBesideRoot if name == "adam" else optimizers.AdamW
        optimizer = kind(beta1=estimator.beta_1, beta2=estimator.beta_2, epsilon=estimator.epsilon)
    else:
        optimizer = optimizers.resolve(copy.deepcopy(name))
    return Solver(optimizer, rate)


def _descent(momentum: float, nesterov: bool) -> Optimizer:
    if not momentum:
        return optimizers.GradientDescent()
    optimizer = optimizers.Momentum(nesterov=bool(nesterov))
    optimizer.momentum = float(momentum)  # scikit-learn allows 1
    return optimizer


def pace_of(estimator: Any, solver: Solver, steps: int, dtype: np.dtype[Any]) -> Pace | None:
    """Return the learning rate of each of the steps of a training, where `schedule` is given.

    Raises
    ------
    ValueError
        `learning_rate` says something too.

    Examples
    --------
    >>> estimator = fastnn.MLPClassifier(schedule="cosine", learning_rate_init=0.5)
    >>> pace = pace_of(estimator, solver_of(estimator), 4, np.dtype("float64"))
    >>> pace.rates(0, 3)
    array([0.5       , 0.4267767, 0.25     ])
    """
    if estimator.schedule is None:
        return None
    if estimator.learning_rate != "constant":
        raise ValueError(
            f"give learning_rate={estimator.learning_rate!r} or schedule, not both; got "
            f"schedule={estimator.schedule!r}"
        )
    found = schedules.resolve(copy.deepcopy(estimator.schedule))
    assert found is not None
    return schedules.Pace(found, solver.first, solver.optimizer.steps, steps, dtype)
