"""The loop around the kernels: some epochs in each call, and the way back.

The kernels train many epochs in one call.  Here is what stands around it: how many epochs a
call takes, the order of the examples and the learning rates that are made for it, what is
looked at between two calls, and what is left of a training that does not reach its end.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from fastnn import checks
from fastnn._specifications import Targets
from fastnn.history import Recorder
from fastnn.schedules import ReduceOnPlateau

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fastnn._specifications import UpdateSpec
    from fastnn.history import History
    from fastnn.network import MLP
    from fastnn.optimizers import Optimizer
    from fastnn.progress import Report
    from fastnn.schedules import Pace
    from fastnn.validation import Watch

__all__ = ["Rule", "Run", "Snapshot", "Training", "draw_seed"]

CALL_SECONDS = 0.15
"""What one call of the kernel should last: long enough for the cost of a call to vanish,
short enough for a progress line that moves."""

ORDER_ELEMENTS = 1 << 18
"""What is drawn or computed beforehand for one call, in elements (1 to 2 MB): the order of the
examples, the optimizer's scalars.  One epoch's at least."""


FIRST_PRODUCTS = 1 << 16
"""Products of a parameter and an example in the first call, or one epoch: some milliseconds."""


SOME = 1000
"""Examples whose answers are looked at where the cost has stopped moving."""

ALIKE = 1e-3
"""How much answers that are alike may differ, as a share of the largest."""


class Rule(NamedTuple):
    """How the parameters follow their gradient."""

    optimizer: Optimizer
    learning_rate: float
    pace: Pace | None
    """None: a constant learning rate."""
    spec: UpdateSpec
    vectors: NDArray[Any]
    """The optimizer's state."""


class Training(Protocol):
    """What runs: a `Run`, or a minimisation."""

    parameters: NDArray[Any]
    rule: Rule
    done: int
    """Whole epochs that the parameters have behind them."""


def draw_seed(generator: np.random.Generator) -> int:
    """Return a seed for an order of examples, or for masks of dropout."""
    return int(generator.integers(1 << 63))


class Snapshot:
    """The parameters, the optimizer's state and the schedule's, to go back to."""

    def __init__(self, parameters: NDArray[Any], rule: Rule) -> None:
        self.live, self.rule = parameters, rule
        self.parameters, self.vectors = parameters.copy(), rule.vectors.copy()
        self.steps = rule.optimizer.steps
        schedule = rule.pace.schedule if rule.pace else None
        self.plateau = schedule if isinstance(schedule, ReduceOnPlateau) else None
        self.seen = self.plateau.state if self.plateau else None

    def take(self) -> None:
        """Take another, in the same memory."""
        self.parameters[:], self.vectors[...] = self.live, self.rule.vectors
        self.steps = self.rule.optimizer.steps
        self.seen = self.plateau.state if self.plateau else None

    def restore(self) -> None:
        """Go back."""
        optimizer, vectors = self.rule.optimizer, self.rule.vectors
        self.live[:], vectors[...] = self.parameters, self.vectors
        optimizer.keep(vectors, self.steps - optimizer.steps)
        if self.plateau and self.seen:
            self.plateau.state = self.seen


class Run:
    """One call of `fit` after its checks.

    Parameters
    ----------
    net : MLP
    examples : (X, Y, weights)
        As the kernels take them.
    batch_size : int
    rule : Rule
    train : callable
        ``Network.train`` of the contract, or what stands in for it.
    shuffle : bool
    generator : numpy.random.Generator
    threads : int
    """

    def __init__(
        self,
        net: MLP,
        examples: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
        batch_size: int,
        rule: Rule,
        train: Callable[..., None],
        shuffle: bool,
        generator: np.random.Generator,
        threads: int,
    ) -> None:
        self.net = net
        self.kernels = net.kernels
        self.parameters = net.parameter_vector
        self.examples = examples
        self.m = examples[0].shape[1]
        self.batch_size = batch_size
        self.steps = -(-self.m // batch_size)
        """In an epoch."""
        self.rule = rule
        self.kernel = train
        self.shuffle = shuffle
        self.generator = generator
        self.threads = threads
        self.has_scaled_targets = net.loss_row.targets >= Targets.PROBABILITIES
        self.first = max(FIRST_PRODUCTS // (self.m * self.parameters.size), 1)
        """Epochs in the first call, of which nobody knows how long it lasts."""
        self.done = 0
        """Whole epochs that the parameters have behind them."""
        self.begun = 0
        """Epochs that the kernel has been asked for."""

    def train(self, epochs: int, report: Report | None, watch: Watch | None) -> History:
        """Train in place and return the history.

        `done` is 0 afterwards where all is as it was before.
        """
        self.recorder = watch.recorder(epochs) if watch else Recorder(epochs)
        self.watch = watch
        began = self.rule.optimizer.checkpoint()
        self.before = self.last = Snapshot(self.parameters, self.rule)
        self.has_diverged = self.has_ended = False
        try:
            self._train(epochs, report)
            history = self.recorder.show(self.done)
            X, Y, _ = self.examples
            checks.warn_if_stuck(history.cost, X, Y, self.has_scaled_targets, self._answers_alike)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self.has_ended:
                raise  # with the best epoch, or the last
            if isinstance(error, KeyboardInterrupt):
                self._keep_whole_epochs(began.steps)
            elif not self.has_diverged:
                self.done = 0
            if not self.done:
                self.before.restore()
                self.rule.optimizer.roll_back(began)
            raise
        return history

    def _train(self, epochs: int, report: Report | None) -> None:
        """Some epochs in each call of the kernel: what `CALL_SECONDS` says."""
        self.order_seed = draw_seed(self.generator) if self.shuffle else 0
        self.mask_seed = draw_seed(self.generator) if any(self.net.dropout) else 0
        recorder, watch = self.recorder, self.watch
        most = 1 if watch else max(ORDER_ELEMENTS // (self.m if self.shuffle else self.steps), 1)
        done, some = 0, min(self.first, most)
        while done < epochs:
            stop = min(done + some, epochs)
            started = time.perf_counter()
            self._call(done, stop)
            if watch:
                watch.look(self, done)
            seconds = max(time.perf_counter() - started, 1e-9)
            recorder.seconds[done:stop] = seconds / (stop - done)
            some = min(max(int((stop - done) * CALL_SECONDS / seconds), 1), 8 * some, most)
            self.done = done = stop
            if report:
                report(done, float(recorder.cost[done - 1]))
            if watch and watch.stops(done, recorder.show(done)):
                break
        self.has_ended = True
        if watch:
            watch.end(self, epochs)

    # --- one call -------------------------------------------------------------------------

    def _call(self, start: int, stop: int) -> None:
        """The epochs from `start` to `stop`, in one call of the kernel, if they stay finite."""
        if start:
            self._take_snapshot()
        costs = self.recorder.cost[start:stop]
        costs.fill(np.nan)
        self.begun = stop
        self.recorder.learning_rate[start:stop] = self._kernel(start, stop, costs)
        finite = np.isfinite(costs)
        if not (finite.all() and self._is_sound()):
            first = stop - 1 if finite.all() else start + int(finite.argmin())
            self._go_back_to_finite(start, first)
            rate = float(self.recorder.learning_rate[self.done])
            raise checks.diverged(self.done, rate, *self.examples[:2], self.has_scaled_targets)

    def _kernel(self, start: int, stop: int, costs: NDArray[np.float64]) -> Any:
        """Train these epochs, and return the learning rate of each one's last step."""
        optimizer, rate, pace, spec, vectors = self.rule
        count = (stop - start) * self.steps
        rates: Any = rate if pace is None else pace.rates(start * self.steps, count)
        order = None
        if self.shuffle:
            order = np.empty((stop - start, self.m), np.uint32)
            self.kernels.shuffle(order, self.order_seed, start)
        scalars = optimizer.scalars_of_next(count, rates)
        with np.errstate(all="ignore"):  # what overflows is reported
            self.kernel(
                *self.examples, order, self.batch_size, spec, scalars, vectors,
                self.mask_seed, start * self.steps, costs, self.threads,
            )  # fmt: skip
        optimizer.keep(vectors, count)
        return rate if pace is None else rates[self.steps - 1 :: self.steps]

    def _answers_alike(self) -> bool:
        """Whether the first examples get the same answer, nearly: the inputs do not count."""
        X, Y, _ = self.examples
        A = np.empty((len(Y), min(self.m, SOME)), Y.dtype)
        self.net.engine.forward(X[:, :SOME], A, self.threads)
        return self.m > 1 and bool(np.ptp(A, axis=1).max() <= ALIKE * np.abs(A).max())

    # --- the way back ---------------------------------------------------------------------

    def _take_snapshot(self) -> None:
        """Of the last epoch; the one of before the first stays."""
        if self.last is self.before:
            self.last = Snapshot(self.parameters, self.rule)
        else:
            self.last.take()

    def _is_sound(self) -> bool:
        """Whether the parameters and the optimizer's state are finite."""
        finite, vectors = self.kernels.all_finite, self.rule.vectors
        return finite(self.parameters[np.newaxis]) and (not vectors.size or finite(vectors))

    def _go_back_to_finite(self, start: int, last: int) -> None:
        """Train again, up to the last epoch with finite parameters, which is `last` at most.

        The same order, masks and rates give the same bits; what is not finite stays so, and the
        search halves the epochs that are left each time.
        """
        self.has_diverged = True
        self.last.restore()
        stop = last
        while start < last:
            self._kernel(start, stop, np.empty(stop - start))
            if self._is_sound():
                self.last, start = Snapshot(self.parameters, self.rule), stop
            else:
                self.last.restore()
                last = stop - 1
            stop = (start + last + 1) // 2
        self.done = start

    def _keep_whole_epochs(self, steps: int) -> None:
        """After Ctrl-C: `done`, and the optimizer's steps, of which there were `steps` before."""
        if self.begun > self.done:
            if self.watch or self.has_diverged:  # what follows an epoch belongs to it
                self.last.restore()
                self.done = (self.last.steps - steps) // self.steps
            else:
                costs = self.recorder.cost[self.done : self.begun]
                self.done += int(np.count_nonzero(~np.isnan(costs)))
        if not self._is_sound():
            self.done = 0
        optimizer = self.rule.optimizer
        optimizer.keep(self.rule.vectors, steps + self.done * self.steps - optimizer.steps)
