"""What the outputs answer, and how good the answers are.

Examples are taken some at a time, so that nothing but the result grows with their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import backends, checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from fastnn.network import MLP

    Blocks = Iterable[tuple[NDArray[Any], NDArray[Any]]]

__all__ = ["accuracy", "decide", "predict", "r_squared", "score"]

BLOCK = 1 << 14
"""Examples that are taken at a time, at most."""

BLOCK_ELEMENTS = 1 << 22
"""Elements of X that are taken at a time, but one example at least."""


# --- what a network answers ---------------------------------------------------------------


def predict(net: MLP, X: ArrayLike) -> NDArray[Any]:
    """Return the network's answer for each example.

    Parameters
    ----------
    X : array_like
        (n[0], m), one column per example.

    Returns
    -------
    P : ndarray
        With a sigmoid output integers (n[L], m), 1 where a > 0.5 and 0 elsewhere
        (a tie, a = 0.5, is 0); with softmax integers (m,), the class of the largest
        output (the first of them in a tie); else the outputs, (n[L], m).

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
        if is_plain or X.shape[1:] == (1,):  # no detour
            return decide(net.forward(X), answer)
    columns = checks.Columns(X)
    shape = columns.m if answer == "class" else (n, columns.m)
    P = np.empty(shape, net.dtype if answer == "values" else np.intp)
    for part, A in _outputs(net, columns):
        P[..., part] = decide(A, answer)
    return P


def score(net: MLP, X: ArrayLike, Y: ArrayLike) -> float:
    """Return the accuracy of a classifier, or R^2 of a regression.

    Parameters
    ----------
    X : array_like
        (n[0], m), one column per example.
    Y : array_like
        (n[L], m), the targets as for `cost`; with softmax also the class of each
        example, integers (m,).

    Returns
    -------
    score : float
        With a sigmoid output the share of the examples for which **every** output
        is on the target's side of 0.5, and with softmax the share whose largest
        output is the largest target.  Otherwise the mean over the outputs of
        ``R^2 = 1 - sum((y - a)^2) / sum((y - mean(y))^2)``, where an output with a
        constant target counts 1 if it is met exactly and 0 if not; nan with a
        warning if there is one example only.

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
    are_labels = answer == "class" and targets.is_flat
    all_finite = net.kernels.all_finite

    def check(y: Any, m: int) -> NDArray[Any]:
        if are_labels:
            return checks.class_labels(y, n, m)
        return checks.targets(y, (n, m), net.loss_row, net.dtype, all_finite)

    if examples.m != targets.m:
        checks.examples(X, net.layer_sizes[0], net.dtype, all_finite)
        check(Y, examples.m)
    size = _block_size(net)
    blocks = (
        (A, y)
        for (_, A), (_, y) in zip(_outputs(net, examples), targets.blocks(size, check), strict=True)
    )
    if answer == "values":
        return r_squared(blocks)
    return accuracy((decide(A, answer), y if are_labels else decide(y, answer)) for A, y in blocks)


def _outputs(net: MLP, X: checks.Columns) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield (columns, A[L]), some columns at a time, each in the same memory."""
    n_inputs, n_outputs, dtype = net.layer_sizes[0], net.layer_sizes[-1], net.dtype
    all_finite, size = net.kernels.all_finite, _block_size(net)
    memory = np.empty((n_outputs, min(X.m, size)), dtype)
    for columns, x in X.blocks(size, lambda x, _: checks.examples(x, n_inputs, dtype, all_finite)):
        A = memory[:, : x.shape[1]]
        net.engine.forward(x, A, backends.get_num_threads())
        yield columns, A


def _block_size(net: MLP) -> int:
    return min(BLOCK, max(BLOCK_ELEMENTS // net.layer_sizes[0], 1))


# --- answers and their worth --------------------------------------------------------------


def decide(A: NDArray[Any], answer: str) -> NDArray[Any]:
    """Return the answers that outputs, or targets, stand for.

    Parameters
    ----------
    A : ndarray
        (n, m), one column per example.
    answer : str
        What the output activation answers (see `activations.Activation`).

    Returns
    -------
    P : ndarray
        "yes or no": integers (n, m), 1 where a > 0.5 and else 0.  "class": integers (m,),
        the row of the largest output, the first of them in a tie.  "values": A itself.

    Examples
    --------
    >>> decide(np.array([[0.2, 0.5, 0.9]]), "yes or no")
    array([[0, 0, 1]])
    """
    if answer == "yes or no":
        return (A > 0.5).astype(np.intp)
    return A.argmax(axis=0) if answer == "class" else A


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
    scores = np.where(constant, residual == 0, 1 - residual / np.where(constant, 1, total))
    return float(scores.mean())
