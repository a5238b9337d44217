"""The table of schedules: how the learning rate changes from step to step.

A schedule is a factor of the learning rate, as a function of the number of the step, t = 0, 1,
2, ..., which the optimizer counts: an optimizer that goes on where it stopped goes on with its
schedule too.  T is the schedule's `length` in steps; where none is given it is the training's,
``epochs * steps per epoch``, and t counts from the first step of that training.

`warmup` steps come first, in which the factor grows in a straight line, ``(t + 1) / warmup``
(Goyal et al., "Accurate, large minibatch SGD", 2017); t and T of the formulas count from the
end of it.  The kernels know nothing of this: they get the learning rate of each step.

To add a schedule: one class here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fastnn import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Exponential",
    "InverseScaling",
    "OneCycle",
    "Pace",
    "ReduceOnPlateau",
    "Schedule",
    "ScheduleLike",
    "ScheduleName",
    "Step",
    "resolve",
]

ScheduleName = Literal[
    "constant", "inverse_scaling", "step", "exponential", "cosine", "one_cycle", "reduce_on_plateau"
]
"""The names of the table, for type checkers and editors."""


class Schedule:
    """What all schedules share: the warm-up, and the length where none is given.

    Parameters
    ----------
    warmup : int
        Steps of the warm-up, >= 0.
    """

    name: ClassVar[str]
    formula: ClassVar[str]

    warmup: int = 0
    length: int | None = None
    """Of the whole schedule in steps, the warm-up included; None: the training's."""

    def __init__(self, warmup: int = 0) -> None:
        self.warmup = checks.integer("warmup", warmup, 0)

    @property
    def is_relative(self) -> bool:
        """Whether it has the length of the training, and so begins with it."""
        return False

    def shape(self, t: Floats, T: float) -> Floats:
        """Return the factor of steps t = 0, 1, ... after the warm-up; what a row adds."""
        return np.ones_like(t)

    def factors(self, steps: Floats, length: float) -> Floats:
        """Return the factor of the learning rate in each step.

        Parameters
        ----------
        steps : ndarray
            float64, the number of each step: 0, 1, ...
        length : float
            Of the training, in steps: T where the schedule has no length of its own.

        Returns
        -------
        factors : ndarray
            float64, like `steps`.

        Examples
        --------
        >>> Cosine(warmup=2).factors(np.arange(6.0), 6)
        array([0.5       , 1.        , 1.        , 0.85355339, 0.5       , 0.14644661])
        """
        T = max((self.length or length) - self.warmup, 1)
        factors = self.shape(np.maximum(steps - self.warmup, 0), T)
        if self.warmup:
            factors = np.where(steps < self.warmup, (steps + 1) / self.warmup, factors)
        return factors

    def __repr__(self) -> str:
        values = {k: v for k, v in vars(self).items() if k[0] != "_"}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in values.items())})"


class Constant(Schedule):
    """The learning rate itself, after the warm-up.

    Parameters
    ----------
    warmup : int
        Steps of the warm-up, >= 0.

    Examples
    --------
    >>> fastnn.schedules.Constant(warmup=100)
    Constant(warmup=100)
    """

    name, formula = "constant", "1"


class InverseScaling(Schedule):
    """``(t + 1)^-power``, as scikit-learn's "invscaling" (Robbins and Monro, 1951).

    Parameters
    ----------
    power : float
        > 0.
    warmup : int
        Steps of the warm-up, >= 0.

    Examples
    --------
    >>> fastnn.schedules.InverseScaling().factors(np.arange(4.0), 4)
    array([1.        , 0.70710678, 0.57735027, 0.5       ])
    """

    name, formula = "inverse_scaling", "(t + 1)^-power"

    def __init__(self, power: float = 0.5, warmup: int = 0) -> None:
        self.power = checks.number("power", power)
        super().__init__(warmup)

    def shape(self, t: Floats, T: float) -> Floats:
        return (t + 1) ** -self.power


class Step(Schedule):
    """``factor^floor(t / every)``: from time to time the rate falls to a part of what it was.

    Parameters
    ----------
    every : int, optional
        Steps from one fall to the next, >= 1; by default a third of the training, rounded up.
    factor : float
        In (0, 1].
    warmup : int
        Steps of the warm-up, >= 0.

    Examples
    --------
    >>> fastnn.schedules.Step(every=2, factor=0.5).factors(np.arange(6.0), 6)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
    """

    name, formula = "step", "factor^floor(t / every)"

    def __init__(self, every: int | None = None, factor: float = 0.1, warmup: int = 0) -> None:
        self.every = None if every is None else checks.integer("every", every, 1)
        self.factor = checks.positive_share("factor", factor)
        super().__init__(warmup)

    @property
    def is_relative(self) -> bool:
        return self.every is None

    def shape(self, t: Floats, T: float) -> Floats:
        return self.factor ** np.floor(t / (self.every or math.ceil(T / 3)))


class Exponential(Schedule):
    """``factor^(t / T)``: it falls by the same share in each step, to `factor` in T steps.

    Parameters
    ----------
    factor : float
        In (0, 1].
    length : int, optional
        In steps, >= 1, the warm-up included; by default the training's.
    warmup : int
        Steps of the warm-up, >= 0.

    Examples
    --------
    >>> fastnn.schedules.Exponential(0.01).factors(np.arange(3.0), 2)
    array([1.  , 0.1 , 0.01])
    """

    name, formula = "exponential", "factor^(t / T)"

    def __init__(self, factor: float = 0.01, length: int | None = None, warmup: int = 0) -> None:
        self.factor = checks.positive_share("factor", factor)
        self.length = _length(length)
        super().__init__(warmup)

    @property
    def is_relative(self) -> bool:
        return self.length is None

    def shape(self, t: Floats, T: float) -> Floats:
        return self.factor ** (t / T)


class Cosine(Schedule):
    """``final + (1 - final) (1 + cos(pi t / T)) / 2``: half a wave down, then constant.

    (Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017,
    equation 5, one cycle.)

    Parameters
    ----------
    final : float
        In [0, 1]: the factor from T on.
    length : int, optional
        In steps, >= 1, the warm-up included; by default the training's.
    warmup : int
        Steps of the warm-up, >= 0.

    Examples
    --------
    >>> fastnn.schedules.Cosine().factors(np.arange(5.0), 4)
    array([1.        , 0.85355339, 0.5       , 0.14644661, 0.        ])
    """

    name, formula = "cosine", "final + (1 - final) (1 + cos(pi t / T)) / 2"

    def __init__(self, final: float = 0.0, length: int | None = None, warmup: int = 0) -> None:
        self.final = checks.share("final", final)
        self.length = _length(length)
        super().__init__(warmup)

    @property
    def is_relative(self) -> bool:
        return self.length is None

    def shape(self, t: Floats, T: float) -> Floats:
        return _wave(1.0, self.final, t / T)


class OneCycle(Schedule):
    """Up in half a wave of the cosine, and down in another, far below where it began.

    From `initial` to 1 in the first `peak` of the steps, then to `final` in the last step (Smith
    and Topin, "Super-convergence", 2018; the waves and the defaults are PyTorch's).  The
    learning rate is that of the peak.

    Parameters
    ----------
    peak : float
        In (0, 1): where in the cycle the peak is.
    initial, final : float
        In [0, 1]: the factors of the first and the last step.
    length : int, optional
        In steps, >= 1; by default the training's.

    Examples
    --------
    >>> fastnn.schedules.OneCycle(peak=0.5, initial=0.1).factors(np.arange(6.0), 6).round(2)
    array([0.1 , 0.55, 1.  , 0.75, 0.25, 0.  ])
    """

    name = "one_cycle"
    formula = "initial to 1 to final, each (1 - cos(pi s)) / 2 of the way at a share s of it"

    def __init__(
        self,
        peak: float = 0.3,
        initial: float = 0.04,
        final: float = 4e-6,
        length: int | None = None,
    ) -> None:
        self.peak = checks.positive_share("peak", peak)
        self.initial = checks.share("initial", initial)
        self.final = checks.share("final", final)
        self.length = _length(length)

    @property
    def is_relative(self) -> bool:
        return self.length is None

    def shape(self, t: Floats, T: float) -> Floats:
        last = max(T - 1, 1)
        top = min(max(self.peak * T - 1, 0), last)
        up = _wave(self.initial, 1.0, t / (top or 1))
        return np.where(t < top, up, _wave(1.0, self.final, (t - top) / ((last - top) or 1)))


class ReduceOnPlateau(Schedule):
    """The rate is reduced where the cost has stopped falling, as PyTorch's ReduceLROnPlateau.

    It looks once in each epoch, at the validation cost where there is one, else at the cost.
    Where more than `patience` epochs in a row bring no cost below ``(1 - threshold)`` times the
    lowest so far, the rate falls to `factor` times what it was.  The object remembers what it has
    seen from call to call.

    Parameters
    ----------
    factor : float
        In (0, 1).
    patience : int
        Epochs, >= 0.
    threshold : float
        In [0, 1).
    minimum : float
        >= 0: the lowest learning rate that it goes down to.
    warmup : int
        Steps of the warm-up, >= 0.

    Examples
    --------
    >>> fastnn.schedules.ReduceOnPlateau(patience=3).patience
    3
    """

    name = "reduce_on_plateau"
    formula = "factor^(the number of plateaus so far)"

    def __init__(
        self,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        minimum: float = 0.0,
        warmup: int = 0,
    ) -> None:
        self.factor = checks.positive_share("factor", factor)
        self.patience = checks.integer("patience", patience, 0)
        self.threshold = checks.fraction("threshold", threshold)
        self.minimum = checks.number("minimum", minimum, positive=False)
        super().__init__(warmup)
        self._state = (math.inf, 0, 1.0)

    @property
    def state(self) -> tuple[float, int, float]:
        """The lowest cost so far, the epochs since then, and the factor now."""
        return self._state

    @state.setter
    def state(self, values: tuple[float, int, float]) -> None:
        self._state = values

    def shape(self, t: Floats, T: float) -> Floats:
        return np.full_like(t, self._state[2])

    def observe(self, cost: float, learning_rate: float) -> None:
        """Look at the cost of an epoch."""
        lowest, waited, factor = self._state
        wanted = lowest - self.threshold * abs(lowest) if lowest < math.inf else lowest
        lowest, waited = (cost, 0) if cost < wanted else (lowest, waited + 1)
        if waited > self.patience:
            least = min(self.minimum / learning_rate, factor)
            factor, waited = max(factor * self.factor, least), 0
        self._state = lowest, waited, factor


ScheduleLike = ScheduleName | Schedule | Callable[[int], float]
"""What `resolve` takes."""

SCHEDULES: dict[str, type[Schedule]] = {
    row.name: row
    for row in (Constant, InverseScaling, Step, Exponential, Cosine, OneCycle, ReduceOnPlateau)
}


def resolve(schedule: Any) -> Schedule | Callable[[int], float] | None:
    """Return the schedule that is named, a new one, or the object or function that was given.

    Parameters
    ----------
    schedule : str, Schedule, function or None

    Raises
    ------
    TypeError, ValueError
        `schedule` is none of these.

    Examples
    --------
    >>> fastnn.schedules.resolve("cosine")
    Cosine(final=0.0, length=None, warmup=0)
    """
    if isinstance(schedule, str):
        return checks.choice("schedule", schedule, SCHEDULES)()
    if isinstance(schedule, type) and issubclass(schedule, Schedule):
        name = schedule.__name__
        raise TypeError(f"schedule must be an object, got the class {name}: write {name}()")
    if schedule is None or isinstance(schedule, Schedule) or callable(schedule):
        found: Schedule | Callable[[int], float] | None = schedule
        return found
    raise TypeError(
        f"schedule must be a name, a Schedule or a function of the step number, "
        f"got {checks.shown(schedule)}"
    )


class Pace:
    """The learning rate of each step of one training.

    Parameters
    ----------
    schedule : Schedule or function
    learning_rate : float
        That is multiplied by a `Schedule`'s factors; a function returns the rate itself.
    first : int
        The number of the training's first step, as the optimizer counts.
    length : int
        The steps of the training.
    dtype : numpy.dtype
        In which a rate must be finite.

    Examples
    --------
    >>> pace = Pace(Cosine(), 0.5, 0, 4, np.dtype("float32"))
    >>> pace.rates(1, 2)
    array([0.4267767, 0.25     ])
    """

    def __init__(
        self,
        schedule: Schedule | Callable[[int], float],
        learning_rate: float,
        first: int,
        length: int,
        dtype: np.dtype[Any],
    ) -> None:
        self.schedule, self.learning_rate = schedule, learning_rate
        self.first, self.length, self.dtype = first, length, dtype
        if isinstance(schedule, Schedule) and schedule.is_relative:
            self.first = 0

    def rates(self, start: int, count: int) -> Floats:
        """Return the rates of `count` steps from the training's step `start` on."""
        if isinstance(self.schedule, Schedule):
            steps = np.arange(self.first + start, self.first + start + count, dtype=np.float64)
            return self.learning_rate * self.schedule.factors(steps, self.length)
        first = self.first + start
        return np.array([self._rate(t) for t in range(first, first + count)], np.float64)

    def _rate(self, t: int) -> float:
        name = f"the learning rate that schedule({t}) returns"
        assert not isinstance(self.schedule, Schedule)
        return checks.number_in(self.dtype, name, self.schedule(t), positive=False)


def _length(length: int | None) -> int | None:
    return None if length is None else checks.integer("length", length, 1)


def _wave(start: float, end: float, share: Floats) -> Floats:
    """Half a wave of the cosine from `start` to `end`, and constant after it."""
    return end + (start - end) * (1 + np.cos(np.pi * np.minimum(share, 1.0))) / 2
