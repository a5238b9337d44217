"""The short way: one step on all examples, where everything is plain and nothing is asked for.

On a small network a step takes a microsecond, so what stands around it must not take ten.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import backends, optimizers
from fastnn.history import History

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn._specifications import UpdateSpec
    from fastnn.network import MLP
    from fastnn.optimizers import Optimizer

__all__ = ["one_epoch", "rule"]


def rule(
    net: MLP, w: NDArray[Any], learning_rate: float | None, optimizer: Any
) -> tuple[Optimizer | None, UpdateSpec, NDArray[Any], NDArray[Any]]:
    """Return what the kernels are told of one step.

    Parameters
    ----------
    net : MLP
    w : ndarray
        Its parameters, flat.
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
    >>> rule(net, net.parameter_vector, 0.5, "adam")[3].shape
    (2, 2)
    """
    if type(optimizer) is str and (learning_rate is None or type(learning_rate) is float):
        slots, spec, scalars = optimizers.first_step(optimizer, learning_rate, net.dtype)
        return None, spec, scalars, optimizers.zeros(slots, w)
    used = optimizers.resolve(optimizer)
    scalars = used.scalars_of_next(1, used.rate(learning_rate, net.dtype))
    return used, used.specification(), scalars, used.vectors_for(w)


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
    engine = net.engine
    if (
        not engine.accepts(X, Y)
        or (type(optimizer) is str and optimizer == "lbfgs")
        or isinstance(optimizer, optimizers.LBFGS)
        or any(net.dropout)
        or net.loss_row.function
        or backends.current.name == "numpy"  # whose warnings must be silenced, which takes longer
    ):
        return None
    w, finite = net.parameter_vector, net.kernels.all_finite
    used, spec, scalars, vectors = rule(net, w, learning_rate, optimizer)
    costs, before = np.empty(1), w.copy()
    state = vectors.copy() if len(vectors) else vectors
    whole = False
    started = time.perf_counter()
    try:
        engine.train(
            X, Y, None, None, X.shape[1], spec, scalars, vectors, 0, 0, costs, backends.num_threads
        )  # fmt: skip
        whole = (
            math.isfinite(costs[0])
            and finite(w[np.newaxis])
            and (state is vectors or finite(vectors))
        )
    finally:
        if not whole:
            w[:], vectors[...] = before, state
    if not whole:
        return None
    seconds = time.perf_counter() - started
    if used is not None:
        used.keep(vectors, 1)
    return History(costs, float(scalars[0, 0]), seconds)
