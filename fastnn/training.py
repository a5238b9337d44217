"""The loop of gradient descent: epochs, batches, the order of examples, the history.

The loop itself runs in the kernels, many epochs in one call.  Here is what stands
around it: the checks, the choice of how many epochs a call takes, the random order of
the examples, the progress report, and the way back if the training diverges.
"""

import sys
import time

import numpy as np

from fastnn import backends, checks, losses, optimizers

__all__ = ["History", "fit"]

CALL_SECONDS = 0.15
"""What one call of the kernel should last: long enough for the cost of a call to vanish,
short enough for a progress line that moves."""

ORDER_ELEMENTS = 1 << 18
"""Elements of the order of examples drawn at a time (1 MB), but one epoch at least."""


class History:
    """What a training run leaves behind.

    Attributes
    ----------
    cost : ndarray
        float64, (epochs,): the mean of the batch costs as computed in each epoch.  With
        full batches this is the cost before that epoch's update.
    """

    def __init__(self, cost):
        self.cost = cost

    def __repr__(self):
        first, last = self.cost[0], self.cost[-1]
        return f"<History of {len(self.cost)} epochs, cost {first:.6g} to {last:.6g}>"


def fit(
    network,
    X,
    Y,
    epochs=1000,
    learning_rate=0.1,
    batch_size=None,
    shuffle=True,
    seed=None,
    progress=None,
    threads=None,
):
    """Train a network; this is `MLP.fit`, which describes the parameters."""
    epochs = checks.integer("epochs", epochs, 1)
    rates = optimizers.hyper_parameters("gradient_descent", learning_rate=learning_rate)
    shuffle = checks.boolean("shuffle", shuffle)
    if threads is None:
        threads = backends.get_num_threads()
    threads = checks.integer("threads", threads, 1, backends.MAX_THREADS)
    report = _reporter(progress, epochs)
    generator = network.generator if seed is None else checks.generator(seed)

    kernels = backends.current.kernels(network.dtype)
    parameters = network.parameter_vector
    X, Y = checks.examples_and_targets(
        X, Y, network.layer_sizes, losses.LOSSES[network.loss], network.dtype, kernels.all_finite
    )
    m = X.shape[1]
    batch_size = checks.batch_size(batch_size, m)
    shuffle = shuffle and batch_size < m
    if shuffle:
        checks.integer("the number of examples to shuffle", m, 1, 1 << 32)
    if not kernels.all_finite(parameters[np.newaxis]):
        raise ValueError("the parameters of the network contain NaN or infinity before training")
    X, Y = checks.apart(X, parameters), checks.apart(Y, parameters)

    run = _Run(network.engine, kernels, parameters, X, Y, batch_size, threads, **rates)
    if not shuffle:
        return History(run.train(epochs, None, report))
    state = generator.bit_generator.state
    try:
        return History(run.train(epochs, int(generator.integers(1 << 63)), report))
    except BaseException:
        generator.bit_generator.state = state
        raise


class _Run:
    """One call of `fit` after its checks."""

    def __init__(self, engine, kernels, parameters, X, Y, batch_size, threads, learning_rate):
        self.engine = engine
        self.kernels = kernels
        self.parameters = parameters
        self.before = parameters.copy()
        self.X, self.Y = X, Y
        self.batch_size = batch_size
        self.threads = threads
        self.learning_rate = learning_rate

    def train(self, epochs, seed, report):
        """Train in place and return the cost of each epoch; seed None: no shuffling."""
        m = self.X.shape[1]
        most = epochs if seed is None else max(ORDER_ELEMENTS // m, 1)
        costs = np.empty(epochs)
        done, chunk = 0, 1
        while done < epochs:
            stop = min(done + chunk, epochs)
            order = None
            if seed is not None:
                order = np.empty((stop - done, m), np.uint32)
                self.kernels.shuffle(order, seed, done)
            started = time.perf_counter()
            self._call(order, costs[done:stop], done)
            seconds = max(time.perf_counter() - started, 1e-9)
            chunk = min(max(int((stop - done) * CALL_SECONDS / seconds), 1), 8 * chunk, most)
            done = stop
            report(done, float(costs[done - 1]))
        return costs

    def _call(self, order, costs, first):
        """Train for the epochs from `first` on, or put the parameters back and raise."""
        try:
            with np.errstate(all="ignore"):  # what overflows is reported below
                self.engine.train(
                    self.X, self.Y, order, self.batch_size, self.learning_rate, costs, self.threads
                )
        except BaseException as error:
            # Ctrl-C leaves the last whole epoch, which is worth keeping if it is sound.
            if not (isinstance(error, KeyboardInterrupt) and self._sound()):
                self.parameters[:] = self.before
            raise
        finite = np.isfinite(costs)
        if not finite.all() or not self._sound():
            self.parameters[:] = self.before
            epoch = first + (len(costs) if finite.all() else int(finite.argmin()) + 1)
            raise ValueError(
                f"training produced a non-finite cost or parameters by epoch {epoch} with "
                f"learning_rate={self.learning_rate:g}: try a smaller learning_rate, or smaller "
                "values in X; the parameters are as they were before"
            )

    def _sound(self):
        return self.kernels.all_finite(self.parameters[np.newaxis])


# --- progress -----------------------------------------------------------------------------


def _reporter(progress, epochs):
    """The function to call with (epoch, cost) after each call of the kernel."""
    if progress is None or progress is False:
        return lambda epoch, cost: None
    if progress is True:
        return _ProgressLine(epochs)
    if not callable(progress):
        raise TypeError(f"progress must be None, True, False or a function, got {progress!r}")
    return progress


class _ProgressLine:
    """One line on the standard error stream that is written again and again."""

    def __init__(self, epochs):
        self.epochs = epochs
        self.started = time.perf_counter()

    def __call__(self, epoch, cost):
        seconds = time.perf_counter() - self.started
        line = f"epoch {epoch}/{self.epochs}  cost {cost:<12.6g} {seconds:.1f} s"
        end = "\n" if epoch == self.epochs else ""
        print(f"\r{line}", end=end, file=sys.stderr, flush=True)
