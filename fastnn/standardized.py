"""Training on standardised data: what ``fit(..., standardize=True)`` puts around the loop.

A copy of the network is trained on copies of the data, which are standardised; after it, and
wherever a function of the user's may look, its parameters are folded into the network itself
(`scaling`).  So the loop, the kernels and `forward` know nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fastnn import checks, scaling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fastnn.history import History
    from fastnn.metrics import Measure
    from fastnn.network import MLP
    from fastnn.optimizers import Optimizer
    from fastnn.progress import Report
    from fastnn.validation import Callback, Watch

    Examples = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]
    Data = tuple[NDArray[Any], NDArray[Any]]

__all__ = ["Standardized"]


class Loop(Protocol):
    """What trains: a `Run` or a `Minimization`."""

    done: int

    def train(self, epochs: int, report: Report | None, watch: Watch | None) -> History: ...


class Standardized:
    """One call of `fit` on standardised data.

    Parameters
    ----------
    net : MLP
        Where it has a scaling, the training goes on in it, from the parameters unfolded; otherwise
        the scaling is learnt from the examples, and the parameters are taken as they are.
    examples : (X, Y, weights)
        To train on, as the kernels take them.
    data : (X, Y) or None
        To validate on.
    optimizer : Optimizer

    Attributes
    ----------
    net : MLP
        The copy that is trained.
    examples, data
        The same, standardised.

    Raises
    ------
    ValueError
        As for `scaling.learn`.

    Examples
    --------
    >>> net, X = fastnn.MLP([1, 1], output="linear"), np.array([[1.0, 3.0]], "f4")
    >>> place = Standardized(net, (X, X, None), None, fastnn.optimizers.Adam())
    >>> place.examples[0]
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self, net: MLP, examples: Examples, data: Data | None, optimizer: Optimizer
    ) -> None:
        X, Y, weights = examples
        self.own, self.net, self.sizes = net, net.copy(), net.layer_sizes
        self.before, self.is_first = net.parameter_vector.copy(), net.scaling is None
        self.scaling = net.scaling or scaling.learn(net, X, Y, weights)
        if net.scaling:
            self.net.parameter_vector[:] = self.scaling.unfolded(self.before, self.sizes)
        self.examples = (*self._pair(X, Y), weights)
        self.data = None if data is None else self._pair(*data)
        self.own_targets = (Y if data is None else data[1]).view()  # lent to functions
        self.own_targets.flags.writeable = False
        self.optimizer, self.state = optimizer, dict(optimizer.state)
        for name in optimizer.slots:
            if name in self.state:
                self.state[name] = self.state[name].copy()

    def _pair(self, X: NDArray[Any], Y: NDArray[Any]) -> Data:
        of_X, of_Y = self.scaling
        return of_X.standardized(X), Y if of_Y is None else of_Y.standardized(Y)

    # --- where the user looks -------------------------------------------------------------

    def show(self, *_: object) -> None:
        """Fold what has been trained into the network itself."""
        self.shown = self.scaling.folded(self.net.parameter_vector, self.sizes)
        self.own.parameter_vector[:] = self.shown
        if self.own.scaling is None:
            self.own.scaling = self.scaling

    def take_over(self, *_: object) -> None:
        """Train on with what a function of the user's has written into the network."""
        now = self.own.parameter_vector
        if now.tobytes() != self.shown.tobytes():
            self.net.parameter_vector[:] = self.scaling.unfolded(now, self.sizes)

    def callbacks(self, callbacks: Sequence[Callback]) -> tuple[Callback, ...]:
        """Return what the loop is to call for these: they see the network as it is after it."""
        return (self.show, *callbacks, self.take_over) if callbacks else ()

    def measures(self, measures: dict[str, Measure]) -> dict[str, Measure]:
        """Return metrics of standardised arrays for those that get targets and outputs as given."""
        return {name: self._in_own_units(measure) for name, measure in measures.items()}

    def _in_own_units(self, measure: Measure) -> Measure:
        def measure_in_own_units(Y: Any, A: NDArray[Any]) -> float:
            of_Y = self.scaling.Y
            return measure(self.own_targets, A if of_Y is None else of_Y.restored(A))

        return measure_in_own_units

    # --- the training ---------------------------------------------------------------------

    def train(self, loop: Loop, epochs: int, report: Report | None, watch: Watch | None) -> History:
        """Train the copy by `loop`, and leave in the network itself what the loop leaves."""

        def shown(epoch: int, cost: float) -> None:
            self.show()
            if report:
                report(epoch, cost)
            self.take_over()

        try:
            return loop.train(epochs, report and shown, watch)
        finally:
            self._leave(loop)

    def _leave(self, loop: Loop) -> None:
        """The end, also where Ctrl-C falls into it: it is done at once."""
        try:
            self._fold(loop)
        except KeyboardInterrupt:
            self._fold(loop)
            raise

    def _fold(self, loop: Loop) -> None:
        if loop.done:
            self.show()
            if np.isfinite(self.shown).all():
                return
            self.optimizer.state = self.state
        self.own.parameter_vector[:] = self.before
        if self.is_first:
            self.own.scaling = None
        if loop.done:
            loop.done = 0
            raise checks.overflow_when_folded(self.own.dtype)
