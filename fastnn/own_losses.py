"""Training on a loss that is a function of the user's, ``loss(A, Y) -> (J, dA)``.

The compiled loop cannot call it, so the loop of the contract's ``Network.train`` stands here once
more: a pass forward, the function, a pass back and an update for each batch, with the same
order of the examples and the same masks of dropout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fastnn._specifications import UpdateSpec
    from fastnn.network import MLP

__all__ = ["Trainer", "cost_and_gradients", "trainer"]


def trainer(net: MLP) -> Callable[..., None]:
    """Return what trains the network: the kernels' ``train``, or that of a `Trainer`.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], loss=lambda A, Y: (np.mean(A), np.ones_like(A) / A.size))
    >>> trainer(net).__qualname__
    'Trainer.train'
    """
    return Trainer(net).train if net.loss_row.function else net.engine.train


def cost_and_gradients(
    net: MLP,
    X: NDArray[Any],
    Y: NDArray[Any],
    A: NDArray[Any],
    gradients: NDArray[Any],
    threads: int,
    masks: tuple[int, int] | None = None,
) -> float:
    """Return the cost J of the network's own loss.

    Parameters
    ----------
    X, Y : ndarray
        As the kernels take them.
    A, gradients : ndarray
        Are written: the outputs, and dJ/dw.
    threads : int
    masks : (seed, step) or None
        Of dropout.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], "linear", "linear", lambda A, Y: (A.sum(), np.ones_like(A)))
    >>> X, gradients = np.ones((1, 2), "f4"), np.empty(2, "f4")
    >>> J = cost_and_gradients(net, X, X, np.empty((1, 2), "f4"), gradients, 1)
    >>> gradients
    array([2., 2.], dtype=float32)
    """
    engine = net.engine
    engine.forward(X, A, threads, masks)
    J, dA = losses.evaluate(net.loss_row, A, Y)
    engine.backward(X, dA, gradients, None, threads, masks)
    return J


class Trainer:
    """What trains a network on its own loss."""

    def __init__(self, net: MLP) -> None:
        self.net = net

    def train(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        weights: None,
        order: NDArray[np.uint32] | None,
        batch_size: int,
        spec: UpdateSpec,
        scalars: NDArray[np.float64],
        state: NDArray[Any],
        seed: int,
        first_step: int,
        costs: NDArray[np.float64],
        threads: int = 1,
    ) -> None:
        """Train in place, as ``Network.train`` of the contract; whole epochs or none."""
        net, engine, m = self.net, self.net.engine, X.shape[1]
        w = net.parameter_vector
        gradients, drops, step = np.empty_like(w), any(net.dropout), 0
        for epoch in range(len(costs)):
            before = w.copy(), state.copy()
            try:
                total, shares = 0.0, 0
                for start in range(0, m, batch_size):
                    columns: Any = slice(start, start + batch_size)
                    if order is not None:
                        columns = order[epoch, columns]
                    x, y = (X, Y) if batch_size >= m else (X[:, columns], Y[:, columns])
                    A = np.empty(y.shape, y.dtype)
                    masks = (seed, first_step + step) if drops else None
                    J = cost_and_gradients(net, x, y, A, gradients, threads, masks)
                    count = y.shape[1]
                    J += engine.update(gradients, spec.of_batch(count), scalars[step], state)
                    share = count if spec.per_example else 1
                    total, shares, step = total + share * J, shares + share, step + 1
            except BaseException:
                w[:], state[...] = before
                raise
            costs[epoch] = total / shares
