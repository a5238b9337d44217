"""The cost and its derivatives: of the parameters, of the inputs, and put to the proof.

All are methods of `MLP`.  A loss that is a function of the user's, ``loss(A, Y) -> (J, dA)``,
stands between a pass forward and one back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastnn import backends, checks, losses
from fastnn._specifications import UpdateSpec
from fastnn.activations import ACTIVATIONS
from fastnn.optimizers import OPTIMIZERS
from fastnn.parameters import ParameterDict

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fastnn.network import MLP

__all__ = ["DIFFERENCE_STEP", "backward", "check_gradients", "cost", "gradients", "jacobian"]

DIFFERENCE_STEP = 1e-5
"""Step of the central differences: near the cube root of eps in float64, where the errors
of rounding and of truncation balance."""


# --- of the parameters --------------------------------------------------------------------


def cost(net: MLP, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the cost J on X and Y: the mean over the examples of the loss.

    Parameters
    ----------
    X : array_like
        (n[0], m), one column per example; or (n[0],), one example.
    Y : array_like
        (n[L], m), the targets: for the cross-entropies probabilities in [0, 1], for
        "cross_entropy" with columns that sum to 1, for "poisson" >= 0.  With a softmax output
        also the class of each example, integers (m,) from 0 to n[L] - 1; with a single output
        of any kind one number for each, (m,).  With a vector X also (n[L],), or one number.
    sample_weight : array_like, optional
        (m,), >= 0: J is the weighted mean then.

    Returns
    -------
    J : float

    Raises
    ------
    TypeError, ValueError
        X, Y or `sample_weight` is not as described.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
    >>> net.cost([[1.0, 2.0]], [[2.0, 4.0]])
    5.0
    >>> net.cost([[1.0, 2.0]], [2.0, 4.0], sample_weight=[1, 0])
    2.0
    """
    X, Y = net.examples_and_targets(X, Y)
    weights = _weights(net, sample_weight, X.shape[1])
    if net.loss_row.function is not None:
        return _own_loss(net, X, Y)[0]
    return net.engine.cost_and_gradients(X, Y, weights, None, backends.num_threads)


def gradients(
    net: MLP, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, ParameterDict]:
    """Return the cost J and its derivatives with respect to the parameters.

    Parameters
    ----------
    X, Y, sample_weight : array_like
        As for `cost`.

    Returns
    -------
    J : float
    gradients : dict
        {"dW1": (n[1], n[0]), "db1": (n[1], 1), "dW2": ...}: views of one flat vector
        in the order of `parameter_vector`, which is ``gradients.vector``.

    Raises
    ------
    TypeError, ValueError
        X, Y or `sample_weight` is not as described.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
    >>> J, gradients = net.gradients([[1.0, 2.0]], [[2.0, 4.0]])
    >>> gradients["dW1"], gradients["db1"]
    (array([[-5.]], dtype=float32), array([[-3.]], dtype=float32))
    """
    X, Y = net.examples_and_targets(X, Y)
    weights = None if sample_weight is None else _weights(net, sample_weight, X.shape[1])
    engine = net.engine
    vector = np.empty(engine.parameters.size, X.dtype)
    if net.loss_row.function is None:
        J = engine.cost_and_gradients(X, Y, weights, vector, backends.num_threads)
    else:
        J, dA = _own_loss(net, X, Y)
        engine.backward(X, dA, vector, None, backends.num_threads)
    return J, ParameterDict(vector, net.layer_sizes, "d")


def _weights(net: MLP, sample_weight: Any, m: int) -> NDArray[Any] | None:
    """The weights of m examples, (1, m), checked; None where there are none."""
    if sample_weight is not None and net.loss_row.function is not None:
        raise ValueError(
            "sample_weight: a loss function of your own weighs the examples itself, in J and in dA"
        )
    return checks.sample_weights(sample_weight, m, net.dtype)


def _own_loss(net: MLP, X: NDArray[Any], Y: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """J and dA = dJ/dA[L] by the loss that is a function of the user's."""
    A = np.empty(Y.shape, net.dtype)
    net.engine.forward(X, A, backends.num_threads)
    return losses.evaluate(net.loss_row, A, Y)


# --- of the inputs ------------------------------------------------------------------------


def backward(
    net: MLP, X: ArrayLike, dA: ArrayLike, of: Literal["A", "Z"] = "A"
) -> tuple[ParameterDict, NDArray[Any]]:
    """Go back from the derivatives of a cost of your own with respect to the outputs.

    Parameters
    ----------
    X : array_like
        (n[0], m), one column per example; or (n[0],), one example.
    dA : array_like
        (n[L], m), or (n[L],) for a vector X: dJ/dA[L], its own 1/m included.
    of : {"A", "Z"}
        "Z": what is given is dJ/dZ[L], with respect to what the output activation gets.

    Returns
    -------
    gradients : dict
        As `gradients` returns them: the derivatives of J, summed over the examples.
    dX : ndarray
        Of the shape of X: dJ/dX.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear", init={"W1": [[3.0]], "b1": [[0.0]]})
    >>> gradients, dX = net.backward([[1.0, 2.0]], [[1.0, 1.0]])
    >>> gradients["dW1"], dX
    (array([[3.]], dtype=float32), array([[3., 3.]], dtype=float32))
    """
    engine = net.engine if of == "A" else _up_to_Z(net, of)
    X, is_vector = checks.examples(X, net)
    dA = checks.matrix_of_outputs("dA", dA, net, X.shape[1], is_vector)
    vector, dX = np.empty(engine.parameters.size, X.dtype), np.empty(X.shape, X.dtype)
    engine.backward(X, dA, vector, dX, backends.num_threads)
    return ParameterDict(vector, net.layer_sizes, "d"), dX[:, 0] if is_vector else dX


def _up_to_Z(net: MLP, of: str) -> Any:
    """The engine of the network without its output activation."""
    if of != "Z":
        raise ValueError(f"of must be 'A' or 'Z', got {checks.shown(of)}")
    engine = net.engine
    *hidden, last = engine.layers
    linear = last._replace(activation=ACTIVATIONS["linear"].code, alpha=0.0)
    mse = losses.specification(losses.LOSSES["mse"], 0.0, "linear")
    return net.kernels.Network((*hidden, linear), mse, engine.parameters)


def jacobian(net: MLP, X: ArrayLike) -> NDArray[Any]:
    """Return the derivatives of each output with respect to each input, ``dA[L] / dX``.

    Parameters
    ----------
    X : array_like
        (n[0], m), one column per example; or (n[0],), one example.

    Returns
    -------
    J : ndarray
        (m, n[L], n[0]): ``J[j, i, k] = dA[L][i, j] / dX[k, j]``; (n[L], n[0]) for a vector.

    Raises
    ------
    TypeError, ValueError
        X is not as described.

    Examples
    --------
    >>> net = fastnn.MLP([2, 1], output="linear", init={"W1": [[3.0, -1.0]], "b1": [[0.0]]})
    >>> net.jacobian([0.5, 1.0])
    array([[ 3., -1.]], dtype=float32)
    """
    X, is_vector = checks.examples(X, net)
    sizes = net.layer_sizes
    J = np.empty((X.shape[1], sizes[-1], sizes[0]), X.dtype)
    net.engine.jacobian(X, J, backends.num_threads)
    return J[0] if is_vector else J


# --- put to the proof ---------------------------------------------------------------------


def check_gradients(
    net: MLP,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    l2: float = 0.0,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compare the gradients with central differences of the cost, in float64.

    Parameters
    ----------
    X, Y, sample_weight : array_like
        As for `cost`; a few examples are enough.
    l2 : float
        >= 0: the penalty ``l2 / 2 sum(W^2)`` of `fit` is part of the cost.

    Returns
    -------
    difference : float
        ``||g - d|| / (||g|| + ||d||)``, where g is the gradient by backward
        propagation and d that by differences,
        ``d[i] = (J(w[i] + h) - J(w[i] - h)) / 2h`` with h = 1e-5.

    Raises
    ------
    TypeError, ValueError
        An argument is not as described.

    Notes
    -----
    A right gradient gives 1e-11 to 1e-8, a wrong one more than 1e-4.  In between,
    relu and leaky_relu may have a unit whose z is within h of the kink at 0, or the loss
    "mae" an output as near its target.  The network itself is not touched: a copy in float64 is
    compared, on the backend in use, without dropout.  Each parameter takes two passes forward,
    so this is for small networks.

    Examples
    --------
    >>> net = fastnn.MLP([2, 3, 1])
    >>> net.check_gradients([[0.5, -1.0], [2.0, 0.1]], [[1, 0]]) < 1e-7
    True
    """
    l2 = checks.number("l2", l2, positive=False)
    net = net.copy(dtype=checks.FLOAT64)
    X, Y = net.examples_and_targets(X, Y)
    gradient = net.gradients(X, Y, sample_weight)[1].vector
    _add_penalty(net, l2, gradient)
    weights = [view for name, view in net.parameters.items() if name[0] == "W"]

    def penalized() -> float:
        J = net.cost(X, Y, sample_weight)
        return J + l2 / 2 * sum(float(np.square(W).sum()) for W in weights) if l2 else J

    differences, w = np.empty_like(gradient), net.parameter_vector
    for i, value in enumerate(w.copy()):
        w[i] = value + DIFFERENCE_STEP
        above = penalized()
        w[i] = value - DIFFERENCE_STEP
        below = penalized()
        w[i] = value
        differences[i] = (above - below) / (2 * DIFFERENCE_STEP)
    scale = np.linalg.norm(gradient) + np.linalg.norm(differences)
    return float(np.linalg.norm(gradient - differences) / scale) if scale else 0.0


def _add_penalty(net: MLP, l2: float, gradient: NDArray[Any]) -> None:
    """Let the kernels add the penalty's derivative: a step of plain descent of length 0."""
    spec = UpdateSpec(OPTIMIZERS["gradient_descent"].code, l2=l2)
    net.engine.update(gradient, spec, np.zeros(1), np.empty((0, gradient.size)))
