"""Training: what `MLP.fit` and `MLP.step` are asked for, and who does it.

Here arguments are checked and resolved.  The loop itself runs in the kernels, many epochs in one
call; what stands around it is in rooms of its own:

| room | what it does |
|---|---|
| `loop` | epochs, calls of the kernels, and the way back |
| `schedules` | the learning rate of each step |
| `validation` | what is held out, and what is looked at after each epoch |
| `standardized` | the loop on standardised data, `scaling` |
| `own_losses` | the loop for a loss that is a function |
| `lbfgs` | the loop that SciPy runs |
| `history`, `progress` | what is left, and what is shown |
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastnn import backends, checks, lbfgs, optimizers, own_losses, schedules, short, validation
from fastnn import metrics as metrics_table
from fastnn.history import History
from fastnn.loop import Rule, Run, draw_seed
from fastnn.progress import reporting
from fastnn.standardized import Standardized

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Never

    from numpy.typing import ArrayLike, NDArray

    from fastnn._specifications import UpdateSpec
    from fastnn.metrics import Measure
    from fastnn.network import MLP
    from fastnn.optimizers import Optimizer, OptimizerLike
    from fastnn.progress import Report
    from fastnn.schedules import ScheduleLike

    Examples = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]

__all__ = ["History", "fit", "step"]

NOTHING: tuple[Any, ...] = ()
NOT_ANY = 0.0
MAX_MEMORY = 1 << 28
"""The defaults of `fit` that are told by their identity."""


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
    used, spec, scalars, vectors = short.rule(net, learning_rate, optimizer)
    J = short.try_step(net, X, Y, spec, scalars, vectors)
    if J is None:
        J = _step(net, X, Y, spec, scalars, vectors)
    if used is not None:
        used.keep(vectors, 1)
    return J


def _step(
    net: MLP, X: Any, Y: Any, spec: UpdateSpec, scalars: NDArray[Any], vectors: NDArray[Any]
) -> float:
    """Take a step on whatever may be converted, with dropout and a loss of one's own."""
    x, y = net.examples_and_targets(X, Y)
    costs = np.empty(1)
    draws = any(net.dropout)
    drawn = net.generator.bit_generator.state if draws else {}
    try:
        own_losses.trainer(net)(
            x, y, None, None, x.shape[1], spec, scalars, vectors,
            draw_seed(net.generator) if draws else 0, 0, costs, backends.num_threads,
        )  # fmt: skip
    except BaseException:
        if draws:
            net.generator.bit_generator.state = drawn
        raise
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
    optimizer: OptimizerLike = "gradient_descent",
    schedule: ScheduleLike | None = None,
    l2: float = NOT_ANY,
    clip_norm: float | None = None,
    sample_weight: ArrayLike | None = None,
    class_weight: Mapping[int, float] | Literal["balanced"] | None = None,
    validation_data: tuple[ArrayLike, ArrayLike] | None = None,
    validation_fraction: float = NOT_ANY,
    metrics: Sequence[str | Measure] | str | Measure = NOTHING,
    patience: int | None = None,
    restore_best: bool = True,
    callbacks: Sequence[Any] = NOTHING,
    max_memory: int = MAX_MEMORY,
    standardize: bool | None = None,
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
        For what is held out, the order of examples and the dropout.  None continues the
        network's own `generator`.
    progress : bool or callable, optional
        True shows a bar, by tqdm or rich where one of them is installed, else one line, on the
        standard error stream; None and False show nothing.  A function is called as
        ``progress(epoch, cost)`` with the number of epochs done and the cost of the last of
        them: some seven times a second or after each epoch, whichever is less often, and
        after the last one.
    threads : int, optional
        The most threads to use; None takes `get_num_threads()`.  The results have
        the same bits for any number.
    optimizer : str or Optimizer
        "gradient_descent", "momentum", "rmsprop", "adam" or "adamw", which start anew in each
        call, or an object such as ``fastnn.optimizers.Adam(beta1=0.8)``, which goes on where it
        stopped.  "lbfgs" or ``fastnn.optimizers.LBFGS()`` minimises by SciPy (the extra
        ``scipy``), in at most `epochs` iterations.
    schedule : str, Schedule or callable, optional
        How the learning rate changes: "inverse_scaling", "step", "exponential", "cosine",
        "one_cycle", "reduce_on_plateau", or an object such as
        ``fastnn.schedules.Cosine(warmup=100)``; or a function of the step number 0, 1, ...,
        which returns the learning rate itself.
    l2 : float
        >= 0: ``l2 / 2 sum(W^2)`` is added to the cost, over the weights and not the
        biases (the weight decay of PyTorch's optimizers).
    clip_norm : float, optional
        > 0: a gradient whose norm, over all parameters, is larger is scaled to it.
    sample_weight : array_like, optional
        (m,), >= 0: the cost of a batch is the weighted mean over its examples.  A
        weight of 2 is the same as the example twice, a weight of 0 as if absent.
    class_weight : dict or "balanced", optional
        {class: weight}, 1 for a class that is not named, of a softmax output or a single sigmoid
        output (0 and 1): multiplies the weights of its examples.  "balanced" is
        m / (classes * examples of the class), as in scikit-learn.
    validation_data : (X, Y), optional
        Examples on which the cost is looked at after each epoch: without dropout, penalty and
        weights.
    validation_fraction : float
        In [0, 1): instead of them, this share of the examples, drawn at random and of each class
        alike, is held out.
    metrics : sequence of str or function
        What else to look at, on the validation data, or without any on the training data:
        "accuracy", "log_loss", "r2", "mean_squared_error", "root_mean_squared_error",
        "mean_absolute_error", or functions ``metric(Y, A) -> float`` of targets and outputs,
        (n[L], m), in scikit-learn's order (y_true, y_pred).
    patience : int, optional
        >= 1: stop after so many epochs in a row without a new lowest validation cost.
    restore_best : bool
        With `patience`: end with the parameters, and the state of the optimizer, of the best
        epoch.
    callbacks : sequence
        Functions ``callback(epoch, history)`` or objects with ``on_epoch_end(epoch, history)``,
        called after each epoch 1, 2, ... with the history so far.  One that returns True, and
        nothing else, stops the training.
    max_memory : int
        >= 0: the most bytes for a copy of X whose examples are contiguous, from which shuffled
        mini-batches are gathered faster; the results have the same bits without it.  An X that
        has them so already, such as ``rows.T``, is not copied.
    standardize : bool, optional
        True trains on inputs of mean 0 and standard deviation 1 and, where the loss is "mse",
        "mae" or "huber" and the output linear, on such targets too; see the notes.  False trains
        on X and Y as they are.  None, the default, is True where the network has a `scaling`
        already, and else False.

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
    ImportError
        "lbfgs" without SciPy.

    Warns
    -----
    UserWarning
        `batch_size` is larger than m; or the cost has not moved at all, and inputs or targets are
        far from unit scale.

    Notes
    -----
    **One rule for whatever ends it early.**  After Ctrl-C (KeyboardInterrupt, noticed within
    half a second) all is as after a `fit` of the epochs that were whole by then: the
    parameters, the state of the optimizer and of the schedule, the generator.  When the cost or
    the parameters are no longer finite, all is as after the last epoch that was.  After any
    other exception, one from a function of yours too, all is as it was before.

    **Standardised data.**  The first `fit` with ``standardize=True`` learns mean and scale, on
    the examples that it trains on (what is held out does not count, `sample_weight` does), and
    keeps them: `MLP.scaling`.  It is the same as standardising by hand: the parameters that the
    network has are taken for those of standardised data, the penalty and the delta of "huber" are
    of standardised data, and so are `History.cost` and `History.validation_cost`, which is what
    is minimised and waited for.  Metrics get targets and outputs in the units of Y.
    Afterwards, and wherever a callback looks, mean and scale are folded into the first and the last
    layer: `MLP.parameters` always are those of X and Y as they are, and so are `forward`, `cost`,
    `gradients`, `step` and ``optimizer.update``.  A further `fit` unfolds them and goes on in the
    same mean and scale, which it does not learn anew; an optimizer's object goes on with it, and
    belongs to this way of training.  A standardised copy of the data is held while it trains.
    In float32 a column whose mean is very much larger than its spread, such as a year, loses
    digits, in X itself and in the sums: subtract a constant from it first.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear")
    >>> history = net.fit([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]], epochs=500)
    >>> net.predict([[10.0]]).round(2)
    array([[21.]], dtype=float32)
    """
    if unknown:
        raise checks.unexpected_keyword(fit, unknown)
    if (
        (type(epochs) is int and epochs == 1 and shuffle is True and restore_best is True)
        and (batch_size is None and seed is None and progress is None and threads is None)
        and (schedule is None and clip_norm is None and l2 is NOT_ANY)
        and (sample_weight is None and class_weight is None and validation_data is None)
        and (validation_fraction is NOT_ANY and patience is None)
        and (metrics is NOTHING and callbacks is NOTHING and max_memory is MAX_MEMORY)
        and (standardize is None and net.scaling is None)
    ):
        history = short.one_epoch(net, X, Y, learning_rate, optimizer)
        if history is not None:
            return history
    epochs = checks.epochs(epochs)
    optimizer = optimizers.resolve(optimizer)
    goal = _Goal(net, optimizer, learning_rate, schedule, l2, clip_norm)
    shuffle = checks.boolean("shuffle", shuffle)
    if standardize is None:
        standardize = net.scaling is not None
    standardize = checks.boolean("standardize", standardize)
    if threads is not None:
        threads = checks.integer("threads", threads, 1, backends.MAX_THREADS)
    threads = threads or backends.num_threads
    max_memory = checks.integer("max_memory", max_memory, 0)
    view = _View(
        net, validation_data, validation_fraction, metrics, patience, restore_best, callbacks
    )
    generator = net.generator if seed is None else checks.generator(seed)
    X, Y = net.examples_and_targets(X, Y)
    weights = checks.sample_weights(sample_weight, X.shape[1], net.dtype)
    if not net.kernels.all_finite(net.parameter_vector[np.newaxis]):
        raise ValueError("the parameters of the network contain NaN or infinity before training")
    draws = view.fraction or any(net.dropout) or (shuffle and batch_size is not None)
    run, drawn = None, generator.bit_generator.state if draws else None
    try:
        examples, data = view.split(X, Y, weights, generator)
        place = Standardized(net, examples, data, optimizer) if standardize else None
        if place:
            examples, data = place.examples, place.data
            goal.net = place.net
            view.look_at(place)
        examples = _weighted(net, examples, class_weight)
        run = goal.run(examples, batch_size, shuffle, generator, threads, epochs, max_memory)
        watch = view.watch(examples, data, goal.plateau, threads)
        train = partial(place.train, run) if place else run.train
        if progress is None:
            return train(epochs, None, watch)
        with reporting(progress, epochs) as report:
            return train(epochs, report, watch)
    except BaseException:
        if drawn and not (run and run.done):
            generator.bit_generator.state = drawn
        raise


def _weighted(net: MLP, examples: Examples, class_weight: Any) -> Examples:
    """The examples with the weights of their classes multiplied into theirs."""
    X, Y, weights = examples
    of_classes = checks.class_weights(class_weight, Y, net)
    if of_classes is not None:
        of_classes = of_classes if weights is None else of_classes * weights[0]
        if not of_classes.any():
            raise ValueError(
                "class_weight: every example has the weight 0: there is nothing to learn from"
            )
        weights = checks.sample_weights(of_classes, X.shape[1], net.dtype)
    if weights is not None and net.loss_row.function:
        raise ValueError(
            f"sample_weight and class_weight need a loss of the table: {net.loss_row.name!r}, a "
            "function, weighs its examples itself"
        )
    return X, Y, weights


class _Goal:
    """What the training minimises, and by which rule."""

    def __init__(
        self,
        net: MLP,
        optimizer: Optimizer,
        learning_rate: float | None,
        schedule: Any,
        l2: float,
        clip_norm: float | None,
    ) -> None:
        self.net, self.optimizer = net, optimizer
        self.l2 = checks.number_in(net.dtype, "l2", l2, positive=False)
        self.longest = math.inf
        if clip_norm is not None:
            self.longest = checks.number_in(net.dtype, "clip_norm", clip_norm)
        self.schedule = schedules.resolve(schedule)
        self.plateau = None
        if isinstance(optimizer, optimizers.LBFGS):
            lbfgs.refuse(net, learning_rate=learning_rate, schedule=schedule, clip_norm=clip_norm)
            return
        if isinstance(self.schedule, schedules.ReduceOnPlateau):
            self.plateau = self.schedule
        if not isinstance(self.schedule, schedules.Schedule) and self.schedule is not None:
            if learning_rate is not None:
                raise ValueError(
                    "learning_rate must not be given where schedule is a function: it returns the "
                    f"learning rate itself; got learning_rate={checks.shown(learning_rate)}"
                )
        self.rate = optimizer.rate(learning_rate, net.dtype)

    def run(
        self,
        examples: Examples,
        batch_size: int | None,
        shuffle: bool,
        generator: np.random.Generator,
        threads: int,
        epochs: int,
        max_memory: int,
    ) -> Run | lbfgs.Minimization:
        """Return the training, ready to start."""
        net, optimizer, m = self.net, self.optimizer, examples[0].shape[1]
        vectors = optimizer.vectors_for(net.parameter_vector)
        if isinstance(optimizer, optimizers.LBFGS):
            lbfgs.refuse(net, batch_size=batch_size)
            return lbfgs.Minimization(net, examples, optimizer, self.l2, threads)
        batch_size = checks.batch_size(batch_size, m)
        shuffle = shuffle and batch_size < m
        if shuffle:
            checks.integer("the number of examples to shuffle", m, 1, 1 << 32)
            if examples[0].nbytes <= max_memory:
                examples = net.engine.example_major(examples[0], batch_size), *examples[1:]
        pace = None
        if self.schedule is not None:
            length = epochs * -(-m // batch_size)
            pace = schedules.Pace(self.schedule, self.rate, optimizer.steps, length, net.dtype)
        spec = optimizer.specification(self.l2, self.longest)
        rule = Rule(optimizer, self.rate, pace, spec, vectors)
        train = own_losses.trainer(net)
        return Run(net, examples, batch_size, rule, train, shuffle, generator, threads)


class _View:
    """What is looked at after each epoch, if anything is."""

    def __init__(
        self,
        net: MLP,
        validation_data: Any,
        validation_fraction: Any,
        metrics: Any,
        patience: Any,
        restore_best: Any,
        callbacks: Any,
    ) -> None:
        self.net = net
        self.fraction = checks.validation_fraction(validation_fraction)
        self.data = None
        if validation_data is not None:
            if self.fraction:
                raise ValueError("give validation_data or validation_fraction, not both")
            self.data = net.examples_and_targets(*checks.validation_data(validation_data))
        self.patience = None
        if patience is not None:
            self.patience = checks.integer("patience", patience, 1)
            if not (self.fraction or self.data):
                raise ValueError(
                    "patience waits for a lower validation cost: give validation_data or "
                    "validation_fraction too"
                )
        self.restore_best = checks.boolean("restore_best", restore_best)
        self.measures = metrics_table.resolve(metrics, net.output_row.answer)
        self.callbacks = checks.callbacks(callbacks)

    def split(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        weights: NDArray[Any] | None,
        generator: np.random.Generator,
    ) -> tuple[Examples, tuple[NDArray[Any], NDArray[Any]] | None]:
        """Return the examples to train on, and the validation data."""
        if not self.fraction:
            return (X, Y, weights), self.data
        m = X.shape[1]
        if m < 2:
            raise ValueError(
                "validation_fraction needs 2 examples at least, one of them to train on; X has 1"
            )
        labels = checks.classes_of(Y, self.net)
        training, held_out = validation.hold_out(self.fraction, labels, m, generator)
        examples = X[:, training], Y[:, training], None if weights is None else weights[:, training]
        if examples[2] is not None and not examples[2].any():
            raise ValueError(
                "sample_weight is 0 for every example that validation_fraction leaves for the "
                "training: there is nothing to learn from"
            )
        return examples, (X[:, held_out], Y[:, held_out])

    def look_at(self, place: Standardized) -> None:
        """Look at the network that is trained there; functions see that of the user."""
        self.net = place.net
        self.measures = place.measures(self.measures)
        self.callbacks = place.callbacks(self.callbacks)

    def watch(
        self,
        examples: Examples,
        data: tuple[NDArray[Any], NDArray[Any]] | None,
        plateau: schedules.ReduceOnPlateau | None,
        threads: int,
    ) -> validation.Watch | None:
        """Return what looks, or None where there is nothing to look at."""
        if not (data or self.measures or self.callbacks or plateau):
            return None
        return validation.Watch(
            self.net, data or examples[:2], data is not None, self.measures, self.patience,
            self.restore_best, self.callbacks, plateau, threads,
        )  # fmt: skip
