"""What the outputs answer, and how good the answers are.

Examples are taken some at a time, so that nothing but the result grows with their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastnn import backends, checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from fastnn.ensembles import Ensemble
    from fastnn.network import MLP

    Blocks = Iterable[tuple[NDArray[Any], NDArray[Any]]]

__all__ = [
    "METRICS",
    "Measure",
    "Metric",
    "accuracy",
    "decide",
    "predict",
    "r_squared",
    "resolve",
    "score",
]

BLOCK = 1 << 14
"""Examples that are taken at a time, at most."""

BLOCK_ELEMENTS = 1 << 22
"""Elements of X that are taken at a time, but one example at least."""

MANY = 1000
"""Columns from which on some steps along whole rows take less time than one for each column."""


# --- what a network answers ---------------------------------------------------------------


def predict(net: MLP | Ensemble, X: ArrayLike) -> NDArray[Any]:
    """Return the network's answer for each example.

    Parameters
    ----------
    X : array_like
        (n[0], m), one column per example; or (n[0],), one example.

    Returns
    -------
    P : ndarray
        With sigmoid outputs integers (n[L], m), 1 where a > 0.5 and 0 elsewhere (a tie,
        a = 0.5, is 0), each output for itself; with softmax integers (m,), the class of the
        largest output (the first of them in a tie); else the outputs, (n[L], m).  Without
        the m for a vector.

    Raises
    ------
    TypeError, ValueError
        X is not as described.

    Examples
    --------
    >>> net = fastnn.MLP([2, 3], output="softmax", init="zeros")
    >>> net.parameters["b1"] = [[0.0], [1.0], [0.5]]
    >>> net.predict([[0.0, 0.0], [1.0, 2.0]])
    array([1, 1])
    """
    answer, n = net.output_row.answer, net.layer_sizes[-1]
    if type(X) is np.ndarray:
        is_plain = answer == "values" and X.dtype == net.dtype
        if is_plain or X.shape[1:] in ((), (1,)):  # no detour
            return decide(net.forward(X), answer)
    columns = checks.Columns(X)
    if columns.is_flat:
        return decide(net.forward(X), answer)
    shape = columns.m if answer == "class" else (n, columns.m)
    P = np.empty(shape, net.dtype if answer == "values" else np.intp)
    for part, A in _outputs(net, columns):
        P[..., part] = decide(A, answer)
    return P


def score(net: MLP | Ensemble, X: ArrayLike, Y: ArrayLike) -> float:
    """Return the accuracy of a classifier, or R^2 of a regression.

    Parameters
    ----------
    X, Y : array_like
        As for `cost`.

    Returns
    -------
    score : float
        The share of the examples whose answer by `predict` is that of the target: with several
        sigmoid outputs an example counts where **every** one of them is right (the subset
        accuracy of scikit-learn's ``accuracy_score``).  Without classes R^2, see `r_squared`.

    Raises
    ------
    TypeError, ValueError
        X or Y is not as described.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
    >>> net.score([[1.0, 2.0]], [[-1.0, 1.0]])
    0.0
    """
    answer, n = net.output_row.answer, net.layer_sizes[-1]
    examples, targets = checks.Columns(X), checks.Columns(Y)
    if examples.is_flat:
        X, Y = net.examples_and_targets(X, Y)
        examples, targets = checks.Columns(X), checks.Columns(Y)
    are_labels = answer == "class" and targets.is_flat

    def check(y: Any, m: int) -> NDArray[Any]:
        return checks.class_labels(y, n, m) if are_labels else checks.targets(y, net, m)

    if examples.m != targets.m:
        checks.examples(X, net)
        check(Y, examples.m)
    size = _block_size(net)
    blocks = (
        (A, y)
        for (_, A), (_, y) in zip(_outputs(net, examples), targets.blocks(size, check), strict=True)
    )
    if answer == "values":
        return r_squared(blocks)
    return accuracy((decide(A, answer), y if are_labels else decide(y, answer)) for A, y in blocks)


def _outputs(net: MLP | Ensemble, X: checks.Columns) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield (columns, A[L]), some columns at a time, each in the same memory."""
    size = _block_size(net)
    memory = np.empty((net.layer_sizes[-1], min(X.m, size)), net.dtype)
    for columns, x in X.blocks(size, lambda x, _: checks.examples(x, net)[0]):
        A = memory[:, : x.shape[1]]
        net.engine.forward(x, A, backends.num_threads)
        yield columns, A


def _block_size(net: MLP | Ensemble) -> int:
    return min(BLOCK, max(BLOCK_ELEMENTS // net.layer_sizes[0], 1))


# --- answers and their worth --------------------------------------------------------------


def decide(A: NDArray[Any], answer: str) -> NDArray[Any]:
    """Return the answers that outputs, or targets, stand for.

    Parameters
    ----------
    A : ndarray
        (n, m), one column per example; or (n,), one example.
    answer : str
        What the output activation answers (see `activations.Activation`).

    Returns
    -------
    P : ndarray
        "yes or no": integers (n, m), 1 where a > 0.5 and else 0.  "class": integers (m,),
        the row of the largest output, the first of them in a tie.  "values": A itself.
        Without the m where A is a vector.

    Examples
    --------
    >>> decide(np.array([[0.2, 0.5, 0.9]]), "yes or no")
    array([[0, 0, 1]])
    """
    if answer == "yes or no":
        return (A > 0.5).astype(np.intp)
    return _row_of_largest(A) if answer == "class" else A


def _row_of_largest(A: NDArray[Any]) -> Any:
    """``A.argmax(axis=0)``, of many columns in a third of the time: NumPy's looks at them one by
    one, in a copy of A, this at all of them in each step, along the rows as they lie."""
    if A.ndim < 2 or A.shape[1] < MANY or not A.flags.c_contiguous:
        return A.argmax(axis=0)
    n = len(A)
    marks = np.arange(n, 0, -1, dtype=np.min_scalar_type(n))[:, np.newaxis]  # the first: n
    found = (marks * (A == A.max(axis=0))).max(axis=0)
    if not found.all():  # nothing equals NaN
        return A.argmax(axis=0)
    return n - found.astype(np.intp)


def accuracy(blocks: Blocks) -> float:
    """Return the share of the examples whose answers are all right.

    Parameters
    ----------
    blocks : iterable of (predicted, right)
        Answers as `decide` returns them, some examples at a time.

    Examples
    --------
    >>> accuracy([(np.array([0, 1, 2]), np.array([0, 1, 1])), (np.array([1]), np.array([1]))])
    0.75
    """
    right = count = 0
    for predicted, wanted in blocks:
        same = predicted == wanted
        right += int(np.count_nonzero(same if same.ndim == 1 else same.all(axis=0)))
        count += same.shape[-1]
    return right / count


def r_squared(blocks: Blocks) -> float:
    """Return the mean over the outputs of ``R^2 = 1 - sum((y - a)^2) / sum((y - mean(y))^2)``.

    The second sum is put together from those of the blocks, each about its own mean (Chan,
    Golub and LeVeque, "Algorithms for computing the sample variance", 1983, equation 1.5).

    Parameters
    ----------
    blocks : iterable of (A, Y)
        Outputs and targets, (n, ...), some examples at a time.

    Returns
    -------
    float
        An output whose target is constant counts 1 if it is met exactly and else 0; nan
        with a warning if there is one example only.

    Examples
    --------
    >>> Y = np.array([[1.0, 2.0, 3.0]])
    >>> r_squared([(Y + 0.5, Y)])
    0.625
    """
    m = 0
    mean: Any = 0.0
    residual: Any = 0.0
    total: Any = 0.0
    for A, Y in blocks:
        if not m:
            first, constant = Y[:, :1].copy(), np.full(len(Y), True)
        count = Y.shape[1]
        residual += np.square(Y - A, dtype=np.float64).sum(axis=1)
        mean_here = Y.mean(axis=1, keepdims=True, dtype=np.float64)
        total += np.square(Y - mean_here).sum(axis=1)
        shift = mean_here - mean
        total += np.square(shift[:, 0]) * (m * count / (m + count))
        mean = mean + shift * (count / (m + count))
        constant &= (Y == first).all(axis=1)  # by comparing: rounding of the mean must not matter
        m += count
    if m < 2:
        checks.warn("R^2 of one example is not defined", RuntimeWarning)
        return float("nan")
    constant |= total == 0  # squares too small for float64
    scores = np.where(constant, residual == 0, 1 - residual / np.where(constant, 1, total))
    return float(scores.mean())


# --- the table of what `fit` can report ---------------------------------------------------

Measure = Callable[[Any, Any], float]
"""A function (Y, A) -> float of targets and outputs, (n[L], m), in scikit-learn's order."""


class Metric(NamedTuple):
    """One row of the table."""

    name: str
    formula: str
    value: Callable[[Any, Any, str], float]
    """A function of Y, A and what the output activation answers."""
    answers: tuple[str, ...] = ()
    """What the output activation may answer; empty: anything."""
    aliases: tuple[str, ...] = ()


def _log_loss(Y: NDArray[Any], A: NDArray[Any], answer: str) -> float:
    A, end = A.astype(np.float64), float(np.finfo(A.dtype).eps)
    logs = Y * np.log(np.maximum(A, end))
    if answer == "class":
        return float(-logs.sum(axis=0).mean())
    return float(-(logs + (1 - Y) * np.log(np.maximum(1 - A, end))).mean())


def _squared_error(Y: NDArray[Any], A: NDArray[Any], answer: str) -> float:
    return float(np.square(Y - A, dtype=np.float64).mean())


METRICS = {
    row.name: row
    for row in (
        Metric(
            "accuracy", "the share of the examples whose answers are all right",
            lambda Y, A, answer: accuracy([(decide(A, answer), decide(Y, answer))]),
            ("yes or no", "class"), ("acc",),
        ),
        Metric(
            "log_loss", "the mean of -log a of the right class (a >= eps, as in scikit-learn)",
            _log_loss, ("yes or no", "class"),
        ),
        Metric(
            "r2", "1 - sum((y - a)^2) / sum((y - mean(y))^2), the mean over the outputs",
            lambda Y, A, answer: r_squared([(A, Y)]), aliases=("r_squared",),
        ),
        Metric(  # twice the loss "mse", and the mean over the outputs instead of their sum
            "mean_squared_error", "the mean of (y - a)^2", _squared_error, aliases=("mse",),
        ),
        Metric(
            "root_mean_squared_error", "the root of the mean of (y - a)^2",
            lambda Y, A, answer: _squared_error(Y, A, answer) ** 0.5, aliases=("rmse",),
        ),
        Metric(
            "mean_absolute_error", "the mean of |y - a|",
            lambda Y, A, answer: float(np.abs(Y - A).mean(dtype=np.float64)), aliases=("mae",),
        ),
    )
}  # fmt: skip


def resolve(asked: Any, answer: str) -> dict[str, Measure]:
    """Return what is asked for, by name.

    Parameters
    ----------
    asked : sequence of str or function; or a single one
        Names of the table, or functions (Y, A) -> float.
    answer : str
        What the output activation answers.

    Returns
    -------
    measures : dict
        {name: function (Y, A) -> float}; a function has its own ``__name__``.

    Raises
    ------
    TypeError, ValueError
        A metric is neither a name of the table nor a function, or does not suit such outputs, or
        two have the same name.

    Examples
    --------
    >>> measures = resolve(("accuracy", "mae"), "yes or no")
    >>> measures["accuracy"](np.array([[1, 1]]), np.array([[0.9, 0.2]]))
    0.5
    """
    measures: dict[str, Measure] = {}
    for metric in checks.several("metrics", asked):
        if callable(metric):
            name, measure = getattr(metric, "__name__", type(metric).__name__), metric
        else:
            name = metric
            row = checks.choice("metrics", metric, METRICS)
            if row.answers and answer not in row.answers:
                raise ValueError(
                    f"metrics: {name!r} is for classes, and the outputs of this network are "
                    f"{answer}"
                )
            measure = _measure(row, answer)
        if name in measures:
            raise ValueError(f"metrics: two of them are called {name!r}")
        measures[name] = measure
    return measures


def _measure(row: Metric, answer: str) -> Measure:
    return lambda Y, A: row.value(Y, A, answer)
