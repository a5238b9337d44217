"""Validation: examples that are held out, and what is looked at after each epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import checks, losses
from fastnn.history import Recorder
from fastnn.loop import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fastnn.history import History
    from fastnn.loop import Training
    from fastnn.metrics import Measure
    from fastnn.network import MLP
    from fastnn.schedules import ReduceOnPlateau

    Callback = Callable[[int, History], object]

__all__ = ["Watch", "hold_out"]


# --- what is held out ---------------------------------------------------------------------


def hold_out(
    fraction: float, labels: NDArray[np.integer[Any]] | None, m: int, generator: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose, at random, the examples that are held out.

    Parameters
    ----------
    fraction : float
        In (0, 1): the share of the examples, rounded, but one at least, and not all.
    labels : ndarray or None
        (m,), the class of each example: each class gives its share, and keeps an example for the
        training wherever there are enough of them.  None: there are no classes.
    m : int
        >= 2.
    generator : numpy.random.Generator

    Returns
    -------
    training, held_out : ndarray
        The numbers of the examples, in ascending order.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 0, 1, 1])
    >>> training, held_out = hold_out(0.5, labels, 6, np.random.default_rng(0))
    >>> labels[training], labels[held_out]
    (array([0, 0, 1]), array([0, 0, 1]))
    """
    count = min(max(round(fraction * m), 1), m - 1)
    order = generator.permutation(m)
    if labels is None:
        chosen = order[:count]
    else:
        _, classes, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
        takes = _shares(count, sizes)
        chosen = np.concatenate([order[classes == c][:take] for c, take in enumerate(takes)])
    is_held_out = np.zeros(m, bool)
    is_held_out[chosen] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _shares(count: int, sizes: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many of each class make up `count`: by largest remainder, each keeping one if it can."""
    shares = count * sizes / sizes.sum()
    room = np.where(sizes > 1, sizes - 1, 0)
    if room.sum() < count:
        room = sizes
    takes = np.minimum(np.floor(shares).astype(np.intp), room)
    while takes.sum() < count:
        takes[np.where(takes < room, shares - takes, -np.inf).argmax()] += 1
    return np.asarray(takes)


# --- what is looked at --------------------------------------------------------------------


class Watch:
    """What is looked at after each epoch, and what may end the training.

    Parameters
    ----------
    net : MLP
    data : (X, Y)
        As the kernels take them: the validation data, or else the training data.
    validates : bool
        Whether they are validation data.
    measures : dict
        {name: function (Y, A) -> float}.
    patience : int or None
    restore_best : bool
    callbacks : sequence of function
        Each called with (epoch, history).
    plateau : ReduceOnPlateau or None
    threads : int
    """

    def __init__(
        self,
        net: MLP,
        data: tuple[NDArray[Any], NDArray[Any]],
        validates: bool,
        measures: dict[str, Measure],
        patience: int | None,
        restore_best: bool,
        callbacks: tuple[Callback, ...],
        plateau: ReduceOnPlateau | None,
        threads: int,
    ) -> None:
        self.net, self.engine, self.threads = net, net.engine, threads
        self.X, self.Y = data
        self.lent = self.Y.view()  # to functions of the user's
        self.lent.flags.writeable = False
        self.validates, self.measures = validates, measures
        self.patience = patience
        self.restores = restore_best and patience is not None
        self.callbacks = callbacks
        self.plateau = plateau
        self.best_epoch: int | None = None
        self.lowest = math.inf
        self.best: Snapshot | None = None

    def recorder(self, epochs: int) -> Recorder:
        """Return the arrays for what is seen."""
        self.seen = Recorder(epochs, self.measures, self.validates)
        return self.seen

    def look(self, run: Training, e: int) -> None:
        """Look at epoch e = 0, 1, ..., which has just been trained."""
        seen, A = self.seen, None
        if self.measures or self.net.loss_row.function:
            A = np.empty(self.Y.shape, self.Y.dtype)
            self.engine.forward(self.X, A, self.threads)
        cost = float(seen.cost[e])
        if seen.validation_cost is not None:
            cost = seen.validation_cost[e] = self._cost(A)
            if cost < self.lowest:
                self.lowest, self.best_epoch = cost, e + 1
                if self.restores:
                    self._remember(run)
        for name, measure in self.measures.items():
            seen.metrics[name][e] = checks.metric_value(name, measure(self.lent, A))
        if self.plateau:
            self.plateau.observe(cost, run.rule.learning_rate)

    def _cost(self, A: NDArray[Any] | None) -> float:
        """The validation cost."""
        row = self.net.loss_row
        if row.function and A is not None:
            return losses.evaluate(row, A, self.Y)[0]
        cost: float = self.engine.cost_and_gradients(self.X, self.Y, None, None, self.threads)
        return cost

    def _remember(self, run: Training) -> None:
        if self.best is None:
            self.best = Snapshot(run.parameters, run.rule)
        else:
            self.best.take()

    def stops(self, epoch: int, history: History) -> bool:
        """Ask patience and every callback whether the training ends after this epoch."""
        history.best_epoch = self.best_epoch
        stop = self.patience is not None and epoch - (self.best_epoch or 0) >= self.patience
        for callback in self.callbacks:
            if callback(epoch, history) is True:
                stop = True
        return stop

    def end(self, run: Training, epochs: int) -> None:
        """The training has ended: say so in the history, and go back to the best epoch."""
        self.seen.history.stopped_early = run.done < epochs
        if self.best is None or self.best_epoch == run.done:
            return
        try:
            self.best.restore()
        except BaseException:  # Ctrl-C: it is done at once
            self.best.restore()
            raise
