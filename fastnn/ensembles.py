"""Many networks at once: trained side by side, and asked together.

A network of a few thousand parameters keeps one core busy and no more.  `fit_many` gives each
core a network of its own; the kernels hold no lock of Python's while they train.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import backends, checks, metrics, optimizers, training
from fastnn.network import MLP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fastnn._kernels import Network as Engine
    from fastnn.activations import Activation
    from fastnn.losses import Loss

    Report = Callable[[int, int], object]

__all__ = ["Ensemble", "fit_many"]

FOR_ALL = ("callbacks", "class_weight", "metrics", "validation_data")
"""Options of `fit` that are lists or pairs themselves: such a one is for all networks."""


# --- training -----------------------------------------------------------------------------


def fit_many(
    networks: Iterable[MLP],
    X: ArrayLike,
    Y: ArrayLike,
    *,
    threads: int | None = None,
    progress: bool | Report | None = None,
    **options: Any,
) -> list[training.History]:
    """Train independent networks on the same examples, as many at a time as there are threads.

    Parameters
    ----------
    networks : iterable of MLP
        Each of them once: members of an ensemble, a grid of hyper-parameters, other seeds.
    X, Y : array_like
        As for `MLP.fit`.
    threads : int, optional
        The most networks to train at a time, one thread for each; None takes
        `get_num_threads()`.
    progress : bool or callable, optional
        True keeps one line on the standard error stream up to date.  A function is called as
        ``progress(done, count)`` with the number of networks that are trained, after each.
    **options
        Those of `MLP.fit`.  A list, a tuple or an array has one value for each network:
        ``learning_rate=[0.1, 0.01]``, ``seed=range(2)``, ``optimizer=["adam", "rmsprop"]``.
        `metrics`, `callbacks`, `class_weight` and `validation_data` are the same for all;
        `sample_weight` is for all where it is (m,), and one row for each network where it is
        (networks, m), as for bagging.

    Returns
    -------
    histories : list of History
        What `MLP.fit` returns for each network.  Every network has the bits of its own `fit`.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described; nothing has changed then.
    Exception
        What the `fit` of a network raised.  The message names the network, the first that
        failed; it is as its own `fit` leaves it, and **the others are trained**: one learning
        rate that is too large does not cost a grid.

    Notes
    -----
    After Ctrl-C, or an error from `progress`, the networks that are being trained stop at the end
    of the epoch that they are in, as after a `fit` of so many epochs; those that have not begun
    stay as they are.  Callbacks and functions run in the thread that trains their network.

    Examples
    --------
    >>> X, Y = np.linspace(-1, 1, 50).reshape(1, 50), np.linspace(-1, 1, 50) ** 2
    >>> networks = [fastnn.MLP([1, 16, 1], output="linear", seed=seed) for seed in range(4)]
    >>> histories = fastnn.fit_many(networks, X, Y, epochs=200, optimizer="adam")
    >>> len(histories), histories[0].cost.shape
    (4, (200,))
    """
    nets = _networks(networks)
    if threads is None:
        threads = backends.get_num_threads()
    threads = checks.integer("threads", threads, 1, backends.MAX_THREADS)
    report = _reporter(progress)
    options_of = _options_of_each(options, len(nets))
    examples = _examples_of_each(nets, X, Y)
    is_over = threading.Event()

    def stop_where_it_is_over(*_: object) -> None:
        if is_over.is_set():
            raise KeyboardInterrupt

    def fit(i: int) -> training.History:
        call: dict[str, Any] = {"threads": 1, "progress": stop_where_it_is_over}
        return nets[i].fit(*examples[i], **(call | options_of[i]))

    return _in_threads(fit, nets, min(threads, len(nets)), report, is_over)


def _in_threads(
    fit: Callable[[int], training.History],
    networks: Sequence[MLP],
    threads: int,
    report: Report,
    is_over: threading.Event,
) -> list[training.History]:
    """Return ``fit(i)`` of each network, whatever order they come in."""
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    with ThreadPoolExecutor(threads, "fastnn") as pool:
        futures = [pool.submit(fit, i) for i in range(len(networks))]
        try:
            pending, done = set(futures), 0
            while pending:  # not one long wait: a signal that another thread gets does not end it
                finished, pending = wait(pending, 0.1, FIRST_COMPLETED)
                for _ in finished:
                    done += 1
                    report(done, len(networks))
        except BaseException:
            is_over.set()
            pool.shutdown(cancel_futures=True)
            raise
    for i, future in enumerate(futures):
        error = future.exception()
        if error is not None:
            raise _named(error, i)
    return [future.result() for future in futures]


def _named(error: BaseException, i: int) -> BaseException:
    """The error, which says whose it is."""
    if type(error) in (TypeError, ValueError):
        named = type(error)(f"networks[{i}]: {error}")
        named.__cause__ = error
        return named
    error.add_note(f"It comes from the training of networks[{i}].")
    return error


# --- what is given ------------------------------------------------------------------------


def _networks(networks: Any) -> list[MLP]:
    """The networks as a list, each of them once."""
    if isinstance(networks, MLP) or not hasattr(networks, "__iter__"):
        raise TypeError(f"networks must be a list of MLPs, got {checks.shown(networks)}")
    nets = list(networks)
    if not nets:
        raise ValueError("networks is empty")
    places: dict[int, int] = {}
    for i, net in enumerate(nets):
        if not isinstance(net, MLP):
            raise TypeError(f"networks[{i}] must be an MLP, got {checks.kind(net)}")
        if places.setdefault(id(net), i) != i:
            raise ValueError(
                f"networks[{i}] is networks[{places[id(net)]}]: each must be one of its own; use "
                "net.copy()"
            )
    return nets


def _options_of_each(options: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The options of `fit` for each network."""
    names = training.fit.__code__.co_varnames
    known = training.fit.__code__.co_argcount + training.fit.__code__.co_kwonlyargcount
    unknown = [name for name in options if name not in names[3:known]]
    if unknown:
        raise checks.unexpected_keyword(training.fit, unknown)
    of_each: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, value in options.items():
        values = _one_for_each(name, value, count)
        kept = [id(v) for v in values if isinstance(v, (optimizers.Optimizer, np.random.Generator))]
        if len(set(kept)) < len(kept):
            raise ValueError(
                f"{name}: networks cannot share {checks.shown(value)}, which keeps a state; give a "
                "list with one for each network"
            )
        for option, of_one in zip(of_each, values, strict=True):
            option[name] = of_one
    return of_each


def _one_for_each(name: str, value: Any, count: int) -> list[Any]:
    if name == "sample_weight":
        is_list = np.ndim(value) == 2
    else:
        is_list = name not in FOR_ALL and isinstance(value, (list, tuple, range, np.ndarray))
    if not is_list:
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} values, but there are {count} networks")
    return list(value)


def _examples_of_each(
    networks: Sequence[MLP], X: Any, Y: Any
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """X and Y as each network takes them; converted once for all that take the same."""
    converted: dict[Any, tuple[NDArray[Any], NDArray[Any]]] = {}
    of_each = []
    for i, net in enumerate(networks):
        what_counts = (
            net.layer_sizes[0], net.layer_sizes[-1], net.dtype, net.output_row.answer,
            net.loss_row.targets,
        )  # fmt: skip
        if what_counts not in converted:
            try:
                converted[what_counts] = net.examples_and_targets(X, Y)
            except (TypeError, ValueError) as error:
                raise _named(error, i) from error
        of_each.append(converted[what_counts])
    return of_each


def _reporter(progress: Any) -> Report:
    """The function to call with (done, count) after each network."""
    if progress is None or progress is False:
        return lambda done, count: None
    if progress is True:
        return _ProgressLine()
    if not callable(progress):
        raise TypeError(
            f"progress must be None, True, False or a function, got {checks.shown(progress)}"
        )
    report: Report = progress
    return report


class _ProgressLine:
    """One line on the standard error stream that is written again and again."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    def __call__(self, done: int, count: int) -> None:
        seconds = time.perf_counter() - self.started
        end = "\n" if done == count else ""
        print(f"\rnetwork {done}/{count}  {seconds:.1f} s", end=end, file=sys.stderr, flush=True)


# --- answers ------------------------------------------------------------------------------


class Ensemble:
    """Networks that answer together: the mean of their outputs, and how far they differ.

    Parameters
    ----------
    networks : iterable of MLP
        With the same numbers of inputs and of outputs, the same output activation and dtype;
        hidden layers may differ.  They are held, not copied.

    Attributes
    ----------
    networks : tuple of MLP
    layer_sizes : tuple of int
    dtype : numpy.dtype

    Raises
    ------
    TypeError, ValueError
        `networks` is not as described.

    Examples
    --------
    >>> networks = [fastnn.MLP([1, 1], output="linear", init=s, seed=0) for s in (1.0, 3.0)]
    >>> ensemble = fastnn.Ensemble(networks)
    >>> bool(ensemble.forward([1.0]) == 2 * networks[0].forward([1.0]))
    True
    """

    def __init__(self, networks: Iterable[MLP]) -> None:
        self.networks = tuple(_networks(networks))
        first, *others = self.networks
        for i, net in enumerate(others, start=1):
            for what, mine, theirs in (
                ("number of inputs", first.layer_sizes[0], net.layer_sizes[0]),
                ("number of outputs", first.layer_sizes[-1], net.layer_sizes[-1]),
                ("output activation", first.activations[-1], net.activations[-1]),
                ("dtype", first.dtype, net.dtype),
            ):
                if mine != theirs:
                    raise ValueError(
                        f"networks[{i}] has another {what} than networks[0]: {theirs}, "
                        f"wanted {mine}"
                    )

    # --- what metrics and checks ask of it ------------------------------------------------

    @property
    def layer_sizes(self) -> tuple[int, int]:
        """(n[0], n[L]): the numbers of inputs and of outputs."""
        return self.networks[0].layer_sizes[0], self.networks[0].layer_sizes[-1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.networks[0].dtype

    @property
    def output_row(self) -> Activation:
        """The output activation's row of the table."""
        return self.networks[0].output_row

    @property
    def loss_row(self) -> Loss:
        """The row of the first network's loss."""
        return self.networks[0].loss_row

    @property
    def kernels(self) -> Any:
        """The module of kernels for this dtype, of the backend in use; unchecked."""
        return self.networks[0].kernels

    @property
    def engine(self) -> MeanOfEngines:
        """What runs all networks forward; unchecked."""
        return MeanOfEngines([net.engine for net in self.networks])

    def examples_and_targets(self, X: ArrayLike, Y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return X and Y as the kernels take them, see `MLP.examples_and_targets`."""
        return self.networks[0].examples_and_targets(X, Y)

    # --- answers --------------------------------------------------------------------------

    def forward(self, X: ArrayLike) -> NDArray[Any]:
        """Return the mean of the networks' outputs.

        Parameters
        ----------
        X : array_like
            (n[0], m), one column per example; or (n[0],), one example.

        Returns
        -------
        A : ndarray
            (n[L], m), or (n[L],) for a vector.

        Raises
        ------
        TypeError, ValueError
            X is not as described.

        Examples
        --------
        >>> networks = [fastnn.MLP([1, 1], "tanh", "linear", seed=seed) for seed in range(3)]
        >>> fastnn.Ensemble(networks).forward([[0.0, 0.0]])
        array([[0., 0.]], dtype=float32)
        """
        X, is_vector = checks.examples(X, self)
        A = np.empty((self.layer_sizes[1], X.shape[1]), self.dtype)
        self.engine.forward(X, A, backends.num_threads)
        return A[:, 0] if is_vector else A

    def std(self, X: ArrayLike) -> NDArray[Any]:
        """Return how far the networks differ: the standard deviation of their outputs.

        That of the networks at hand, ``sqrt(mean((a - mean(a))^2))``, as ``numpy.std`` has it
        (ddof=0); put together one network at a time (Welford, "Note on a method for calculating
        corrected sums of squares and products", 1962).

        Parameters
        ----------
        X : array_like
            (n[0], m), one column per example; or (n[0],), one example.

        Returns
        -------
        spread : ndarray
            (n[L], m), or (n[L],) for a vector; with classes the spread of their probabilities.

        Raises
        ------
        TypeError, ValueError
            X is not as described.

        Examples
        --------
        >>> networks = [fastnn.MLP([1, 1], output="linear", init="zeros") for _ in range(2)]
        >>> networks[1].parameters["b1"] = [[1.0]]
        >>> fastnn.Ensemble(networks).std([0.0])
        array([0.5], dtype=float32)
        """
        X, is_vector = checks.examples(X, self)
        shape = self.layer_sizes[1], X.shape[1]
        mean, squares = np.zeros(shape, self.dtype), np.zeros(shape, self.dtype)
        for count, A in enumerate(self.engine.outputs(X, backends.num_threads), start=1):
            A -= mean
            step = A / count
            mean += step
            squares += A * (A - step)
        spread = np.sqrt(squares / len(self.networks))
        return spread[:, 0] if is_vector else spread

    predict = metrics.predict
    score = metrics.score

    def __len__(self) -> int:
        return len(self.networks)

    def __repr__(self) -> str:
        n_in, n_out = self.layer_sizes
        return f"<Ensemble of {len(self)} networks, {n_in}-...-{n_out}, {self.output_row.name}>"


class MeanOfEngines:
    """Engines of networks as if they were that of one, whose output is the mean of theirs."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.engines = engines

    def accepts_examples(self, X: Any) -> bool:
        """Return whether X can be computed with as it is."""
        return self.engines[0].accepts_examples(X)

    def outputs(self, X: NDArray[Any], threads: int) -> Iterator[NDArray[Any]]:
        """Yield A[L] of each network, each in the same memory."""
        A = np.empty((self.engines[0].layers[-1].n_out, X.shape[1]), X.dtype)
        for engine in self.engines:
            engine.forward(X, A, threads)
            yield A

    def forward(self, X: NDArray[Any], A: NDArray[Any], threads: int = 1) -> None:
        """Write the mean of A[L] over the networks.  OUT: A, (n[L], m)."""
        A[...] = 0
        for of_one in self.outputs(X, threads):
            A += of_one
        A /= len(self.engines)
