"""The short way: one step on all examples, where everything is plain and nothing is asked for.

On a small network a step takes a microsecond, so what stands around it must not take ten.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastnn import backends, optimizers
from fastnn.history import History

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn._specifications import UpdateSpec
    from fastnn.network import MLP
    from fastnn.optimizers import Optimizer

__all__ = ["one_epoch", "rule", "try_step"]


def rule(
    net: MLP, learning_rate: float | None, optimizer: Any
) -> tuple[Optimizer | None, UpdateSpec, NDArray[Any], NDArray[Any]]:
    """Return what the kernels are told of one step.

    Parameters
    ----------
    net : MLP
    learning_rate, optimizer
        As for `MLP.step`.

    Returns
    -------
    used : Optimizer or None
        Which keeps the vectors; None for a name.
    spec : UpdateSpec
    scalars : ndarray
    vectors : ndarray

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1])
    >>> rule(net, 0.5, "adam")[3].shape
    (2, 2)
    """
    if type(optimizer) is str and (learning_rate is None or type(learning_rate) is float):
        slots, spec, scalars, none = optimizers.first_step(optimizer, learning_rate, net.dtype)
        vectors = optimizers.zeros(slots, net.engine.parameters) if slots else none
        return None, spec, scalars, vectors
    used = optimizers.resolve(optimizer)
    scalars = used.scalars_of_next(1, used.rate(learning_rate, net.dtype))
    return used, used.specification(), scalars, used.vectors_for(net.engine.parameters)


def one_epoch(
    net: MLP, X: Any, Y: Any, learning_rate: float | None, optimizer: Any
) -> History | None:
    """Return the history of ``net.fit(X, Y, 1, learning_rate, optimizer=optimizer)``, or None.

    None: it is to go the long way, and nothing has changed.  Whatever may be wrong is left to that
    way to find and to say, even a cost that is not finite.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
    >>> one_epoch(net, [[1.0]], [[1.0]], 0.5, "gradient_descent") is None  # a list
    True
    """
    if (type(optimizer) is str and optimizer == "lbfgs") or isinstance(optimizer, optimizers.LBFGS):
        return None
    used, spec, scalars, vectors = rule(net, learning_rate, optimizer)
    started = time.perf_counter()
    J = try_step(net, X, Y, spec, scalars, vectors)
    if J is None:
        return None
    seconds = time.perf_counter() - started
    if used is not None:
        used.keep(vectors, 1)
    return History(J, scalars.item(0), seconds)


def try_step(
    net: MLP, X: Any, Y: Any, spec: UpdateSpec, scalars: NDArray[Any], vectors: NDArray[Any]
) -> float | None:
    """Return the cost of a step that was taken, or None: it is to go the long way.

    Parameters
    ----------
    net : MLP
    X, Y
        Anything.
    spec, scalars, vectors
        As `rule` returns them.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
    >>> try_step(net, [[1.0]], [[1.0]], *rule(net, 0.5, "gradient_descent")[1:]) is None  # a list
    True
    """
    if net.loss_row.function is not None:
        return None
    return net.engine.try_step(X, Y, spec, scalars, vectors, backends.num_threads)
