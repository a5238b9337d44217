"""History: what a training leaves behind, epoch by epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["History"]


class History:
    """What a training run leaves behind.

    Each array is float64 and has one element per epoch, up to the last epoch that was trained.

    Attributes
    ----------
    cost : ndarray
        The mean of the batch costs as computed in each epoch.  With full batches this is the
        cost before that epoch's update.
    validation_cost : ndarray or None
        The cost on the validation data after each epoch: without dropout, penalty and weights.
    metrics : dict
        {name: ndarray}, what was asked for, after each epoch; of the validation data where there
        are any, else of the training data.
    learning_rate : ndarray
        That of each epoch's last step.
    seconds : ndarray
        How long each epoch took, its validation included.  Epochs that one call of the kernels
        trained share the time of the call.
    stopped_early : bool
        Whether there are fewer epochs than were asked for: `patience` or a callback ended the
        training, or L-BFGS arrived.
    best_epoch : int or None
        The epoch, from 1 on, with the lowest validation cost.
    """

    validation_cost: Floats | None = None
    stopped_early = False
    best_epoch: int | None = None

    def __init__(
        self,
        cost: float | Floats,
        learning_rate: float | Floats | None = None,
        seconds: float | Floats = math.nan,
    ) -> None:
        # A number, of one epoch or of all alike, is made an array when it is looked at.
        self._cost, self._learning_rate, self._seconds = cost, learning_rate, seconds
        self.metrics: dict[str, Floats] = {}

    @property
    def cost(self) -> Floats:
        """(epochs,)."""
        if isinstance(self._cost, float):
            self._cost = np.array([self._cost])
        return self._cost

    @cost.setter
    def cost(self, value: Floats) -> None:
        self._cost = value

    @property
    def learning_rate(self) -> Floats | None:
        """(epochs,), or None where there is none, with L-BFGS."""
        if isinstance(self._learning_rate, float):
            self._learning_rate = np.full(len(self.cost), self._learning_rate)
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float | Floats | None) -> None:
        self._learning_rate = value

    @property
    def seconds(self) -> Floats:
        """(epochs,)."""
        if isinstance(self._seconds, float):
            self._seconds = np.full(len(self.cost), self._seconds)
        return self._seconds

    @seconds.setter
    def seconds(self, value: float | Floats) -> None:
        self._seconds = value

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the cost of each epoch, and beside it the validation cost and the best epoch.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], output="linear")
        >>> ax = net.fit([[0.0, 1.0]], [[1.0, 3.0]], epochs=20).plot()  # doctest: +SKIP
        """
        from fastnn import plot  # matplotlib is an extra, and takes long to import

        return plot.plot_history(self, ax)

    def __repr__(self) -> str:
        cost = self.cost
        if not len(cost):
            return "<History of 0 epochs>"
        text = f"<History of {len(cost)} epochs, cost {cost[0]:.6g} to {cost[-1]:.6g}"
        if self.validation_cost is not None and self.best_epoch is not None:
            lowest = self.validation_cost[self.best_epoch - 1]
            text += f", validation cost {lowest:.6g} in epoch {self.best_epoch}"
        return text + (", stopped early>" if self.stopped_early else ">")


class Recorder:
    """The arrays of a `History` while they grow.

    Parameters
    ----------
    epochs : int
        As many as there may be.
    names : sequence of str
        Of the metrics.
    validates : bool
        Whether there is a validation cost.
    """

    def __init__(self, epochs: int, names: Any = (), validates: bool = False) -> None:
        self.cost = np.empty(epochs)
        self.learning_rate = np.empty(epochs)
        self.seconds = np.empty(epochs)
        self.validation_cost = np.empty(epochs) if validates else None
        self.metrics = {name: np.empty(epochs) for name in names}
        self.history = History(self.cost[:0])

    def show(self, epochs: int) -> History:
        """Return the history of the first `epochs` epochs, always the same object."""
        history = self.history
        history.cost = self.cost[:epochs]
        history.learning_rate = self.learning_rate[:epochs]
        history.seconds = self.seconds[:epochs]
        if self.validation_cost is not None:
            history.validation_cost = self.validation_cost[:epochs]
        if self.metrics:
            history.metrics = {name: values[:epochs] for name, values in self.metrics.items()}
        return history
