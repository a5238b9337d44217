"""The loop of training: epochs, batches, the order of examples, the history.

The loop itself runs in the kernels, many epochs in one call.  Here is what stands
around it: the checks, the choice of how many epochs a call takes, the random order of
the examples, the progress report, and the way back if the training does not reach its end.
"""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastnn import backends, checks, optimizers

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Never

    from numpy.typing import ArrayLike, NDArray

    from fastnn._specifications import UpdateSpec
    from fastnn.network import MLP

    Report = Callable[[int, float], object]

__all__ = ["History", "fit", "step"]

CALL_SECONDS = 0.15
"""What one call of the kernel should last: long enough for the cost of a call to vanish,
short enough for a progress line that moves."""

ORDER_ELEMENTS = 1 << 18
"""What is drawn or computed beforehand for one call, in elements (1 to 2 MB): the order of the
examples, the optimizer's scalars.  One epoch's at least."""


class History:
    """What a training run leaves behind.

    Attributes
    ----------
    cost : ndarray
        float64, (epochs,): the mean of the batch costs as computed in each epoch.  With
        full batches this is the cost before that epoch's update.
    """

    def __init__(self, cost: NDArray[np.float64]) -> None:
        self.cost = cost

    def __repr__(self) -> str:
        first, last = self.cost[0], self.cost[-1]
        return f"<History of {len(self.cost)} epochs, cost {first:.6g} to {last:.6g}>"


def step(
    net: MLP,
    X: ArrayLike,
    Y: ArrayLike,
    learning_rate: float | None = None,
    *,
    optimizer: optimizers.OptimizerName | optimizers.Optimizer = "gradient_descent",
    **unknown: Never,
) -> float:
    """Take one step of an optimizer on the batch.

    Parameters
    ----------
    X, Y : array_like
        As for `cost`.
    learning_rate : float, optional
        Finite and > 0; by default the optimizer's own, 0.1 for gradient descent.
    optimizer : str or Optimizer
        As for `fit`.  A name starts anew in each call: for an optimizer that keeps
        something from step to step, give an object.

    Returns
    -------
    J : float
        The cost on the batch before the step.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; nothing has changed then.

    Notes
    -----
    A step keeps no copy of the parameters: where `fit` would put them back, a
    learning rate that is far too large leaves non-finite ones here.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
    >>> [net.step([[1.0]], [[2.0]], learning_rate=0.25) for _ in range(3)]
    [2.0, 0.5, 0.125]
    """
    if unknown:
        raise checks.unexpected_keyword(step, unknown)
    rule = _rule(net, optimizer, learning_rate)
    X, Y = _examples_and_targets(net, X, Y)
    costs = np.empty(1)
    scalars = rule.optimizer.scalars_of_next(1, rule.learning_rate)
    draws = any(net.dropout)
    drawn = net.generator.bit_generator.state if draws else {}
    try:
        net.engine.train(
            X, Y, None, None, X.shape[1], rule.spec, scalars, rule.vectors,
            _draw_seed(net.generator) if draws else 0, 0, costs, backends.get_num_threads(),
        )  # fmt: skip
    except BaseException:
        if draws:
            net.generator.bit_generator.state = drawn
        raise
    rule.optimizer.keep(rule.vectors, 1)
    return float(costs[0])


def fit(
    net: MLP,
    X: ArrayLike,
    Y: ArrayLike,
    epochs: int = 1000,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: Any = None,
    progress: bool | Report | None = None,
    threads: int | None = None,
    *,
    optimizer: optimizers.OptimizerName | optimizers.Optimizer = "gradient_descent",
    l2: float = 0.0,
    clip_norm: float | None = None,
    sample_weight: ArrayLike | None = None,
    **unknown: Never,
) -> History:
    """Train: gradient descent, or another optimizer, on mini-batches or on all examples.

    Parameters
    ----------
    X, Y : array_like
        As for `cost`.
    epochs : int
        How often to go through all examples, >= 1.
    learning_rate : float, optional
        Finite and > 0; by default the optimizer's own, 0.1 for gradient descent.
    batch_size : int, optional
        Examples for each step; None takes all of them.  The last batch of an epoch
        is smaller if need be, and a size above m is clipped with a UserWarning.
    shuffle : bool
        Take the examples in a new random order in each epoch.  Full batches are
        not shuffled.
    seed : int, numpy.random.Generator or None
        For the order of examples and the dropout.  None continues the network's own
        `generator`.
    progress : bool or callable, optional
        True keeps one line on the standard error stream up to date.  A function is
        called as ``progress(epoch, cost)`` with the number of epochs done and the
        cost of the last of them: some seven times a second or after each epoch,
        whichever is less often, and after the last one.
    threads : int, optional
        The most threads to use; None takes `get_num_threads()`.  The results have
        the same bits for any number.
    optimizer : str or Optimizer
        "gradient_descent" or "adam", which start anew in each call, or an object such
        as ``fastnn.optimizers.Adam(beta1=0.8)``, which goes on where it stopped.
    l2 : float
        >= 0: ``l2 / 2 sum(W^2)`` is added to the cost, over the weights and not the
        biases (the weight decay of PyTorch's optimizers).
    clip_norm : float, optional
        > 0: a gradient whose norm, over all parameters, is larger is scaled to it.
    sample_weight : array_like, optional
        (m,), >= 0: the cost of a batch is the weighted mean over its examples.  A
        weight of 2 is the same as the example twice, a weight of 0 as if absent.

    Returns
    -------
    History
        Its `cost` has one value per epoch: the mean of the batch costs as computed
        in it (with full batches: the cost before that epoch's update).

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.
    ValueError
        The cost or the parameters became non-finite: the learning rate is too large, or
        X or Y are.

    Notes
    -----
    **One rule for whatever ends it early.**  After Ctrl-C (KeyboardInterrupt, noticed within
    half a second) all is as after a `fit` of the epochs that were whole by then: the
    parameters, the state of the optimizer, the generator.  After any other exception, one
    from `progress` too, all is as it was before.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear")
    >>> history = net.fit([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]], epochs=500)
    >>> net.predict([[10.0]]).round(2)
    array([[21.]], dtype=float32)
    """
    if unknown:
        raise checks.unexpected_keyword(fit, unknown)
    epochs = checks.epochs(epochs)
    l2 = checks.number_in(net.dtype, "l2", l2, positive=False)
    longest = math.inf
    if clip_norm is not None:
        longest = checks.number_in(net.dtype, "clip_norm", clip_norm)
    rule = _rule(net, optimizer, learning_rate, l2, longest)
    shuffle = checks.boolean("shuffle", shuffle)
    if threads is not None:
        threads = checks.integer("threads", threads, 1, backends.MAX_THREADS)
    report = _reporter(progress, epochs)
    generator = net.generator if seed is None else checks.generator(seed)
    X, Y = _examples_and_targets(net, X, Y)
    m = X.shape[1]
    weights = checks.sample_weights(sample_weight, m, net.dtype)
    batch_size = checks.batch_size(batch_size, m)
    shuffle = shuffle and batch_size < m
    if shuffle:
        checks.integer("the number of examples to shuffle", m, 1, 1 << 32)
    if not net.kernels.all_finite(net.parameter_vector[np.newaxis]):
        raise ValueError("the parameters of the network contain NaN or infinity before training")
    threads = threads or backends.get_num_threads()
    run = _Run(net, (X, Y, weights), batch_size, rule, shuffle, generator, threads)
    return History(run.train(epochs, report))


# --- what a step is made of ---------------------------------------------------------------


class _Rule(NamedTuple):
    """How the parameters follow their gradient."""

    optimizer: optimizers.Optimizer
    learning_rate: float
    spec: UpdateSpec
    vectors: NDArray[Any]


def _rule(
    net: MLP,
    optimizer: Any,
    learning_rate: float | None,
    l2: float = 0.0,
    clip_norm: float = math.inf,
) -> _Rule:
    optimizer = optimizers.resolve(optimizer)
    rate = optimizer.rate(learning_rate, net.dtype)
    spec = optimizer.specification(l2, clip_norm)
    return _Rule(optimizer, rate, spec, optimizer.vectors_for(net.parameter_vector))


def _examples_and_targets(net: MLP, X: Any, Y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """X and Y, checked, and apart from the parameters, which are about to change."""
    w = net.parameter_vector
    X, Y = checks.examples_and_targets(
        X, Y, net.layer_sizes, net.loss_row, net.dtype, net.kernels.all_finite
    )
    return checks.apart(X, w), checks.apart(Y, w)


def _draw_seed(generator: np.random.Generator) -> int:
    """A seed for an order of examples, or for masks of dropout."""
    return int(generator.integers(1 << 63))


# --- the run ------------------------------------------------------------------------------


class _Run:
    """One call of `fit` after its checks."""

    def __init__(
        self,
        net: MLP,
        examples: tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None],
        batch_size: int,
        rule: _Rule,
        shuffle: bool,
        generator: np.random.Generator,
        threads: int,
    ) -> None:
        self.net = net
        self.engine, self.kernels = net.engine, net.kernels
        self.parameters = net.parameter_vector
        self.examples = examples
        self.m = examples[0].shape[1]
        self.batch_size = batch_size
        self.steps = -(-self.m // batch_size)
        """In an epoch."""
        self.rule = rule
        self.shuffle = shuffle
        self.generator = generator
        self.threads = threads
        self.begun = 0
        """Epochs whose costs are NaN, or there: the kernel has had them."""

    def train(self, epochs: int, report: Report) -> NDArray[np.float64]:
        """Train in place and return the cost of each epoch."""
        costs = np.empty(epochs)
        optimizer = self.rule.optimizer
        parameters, state = self.parameters.copy(), optimizer.checkpoint()
        draws = self.shuffle or any(self.net.dropout)
        drawn = self.generator.bit_generator.state if draws else {}
        try:
            self._train(costs, report)
        except BaseException as error:
            whole = 0
            if isinstance(error, KeyboardInterrupt) and self._is_sound():
                whole = int(np.count_nonzero(~np.isnan(costs[: self.begun])))
            if whole:
                optimizer.keep(
                    self.rule.vectors, state.steps + whole * self.steps - optimizer.steps
                )
            else:
                self.parameters[:] = parameters
                optimizer.roll_back(state)
                if draws:
                    self.generator.bit_generator.state = drawn
            raise
        return costs

    def _train(self, costs: NDArray[np.float64], report: Report) -> None:
        """Some epochs in each call of the kernel: what `CALL_SECONDS` says."""
        order_seed = _draw_seed(self.generator) if self.shuffle else 0
        mask_seed = _draw_seed(self.generator) if any(self.net.dropout) else 0
        epochs = len(costs)
        most = max(ORDER_ELEMENTS // (self.m if self.shuffle else self.steps), 1)
        done, some = 0, 1
        while done < epochs:
            stop = min(done + some, epochs)
            started = time.perf_counter()
            self._call(costs, done, stop, order_seed, mask_seed)
            seconds = max(time.perf_counter() - started, 1e-9)
            some = min(max(int((stop - done) * CALL_SECONDS / seconds), 1), 8 * some, most)
            done = stop
            report(done, float(costs[done - 1]))

    def _call(
        self, costs: NDArray[np.float64], done: int, stop: int, order_seed: int, mask_seed: int
    ) -> None:
        """The epochs from `done` to `stop`, in one call of the kernel."""
        optimizer, rate, spec, vectors = self.rule
        order = None
        if self.shuffle:
            order = np.empty((stop - done, self.m), np.uint32)
            self.kernels.shuffle(order, order_seed, done)
        count = (stop - done) * self.steps
        scalars = optimizer.scalars_of_next(count, rate)
        costs[done:stop] = np.nan
        self.begun = stop
        with np.errstate(all="ignore"):  # what overflows is reported below
            self.engine.train(
                *self.examples, order, self.batch_size, spec, scalars, vectors,
                mask_seed, done * self.steps, costs[done:stop], self.threads,
            )  # fmt: skip
        optimizer.keep(vectors, count)
        finite = np.isfinite(costs[done:stop])
        if not finite.all() or not self._is_sound():
            first = stop if finite.all() else done + int(finite.argmin()) + 1
            raise checks.diverged(first, rate, *self.examples[:2])

    def _is_sound(self) -> bool:
        """Whether the parameters and the optimizer's state are finite."""
        finite, vectors = self.kernels.all_finite, self.rule.vectors
        return finite(self.parameters[np.newaxis]) and (not vectors.size or finite(vectors))


# --- progress -----------------------------------------------------------------------------


def _reporter(progress: Any, epochs: int) -> Report:
    """The function to call with (epoch, cost) after each call of the kernel."""
    if progress is None or progress is False:
        return lambda epoch, cost: None
    if progress is True:
        return _ProgressLine(epochs)
    if not callable(progress):
        raise TypeError(
            f"progress must be None, True, False or a function, got {checks.shown(progress)}"
        )
    report: Report = progress
    return report


class _ProgressLine:
    """One line on the standard error stream that is written again and again."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.started = time.perf_counter()

    def __call__(self, epoch: int, cost: float) -> None:
        seconds = time.perf_counter() - self.started
        line = f"epoch {epoch}/{self.epochs}  cost {cost:<12.6g} {seconds:.1f} s"
        end = "\n" if epoch == self.epochs else ""
        print(f"\r{line}", end=end, file=sys.stderr, flush=True)
