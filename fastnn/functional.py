"""The equations of one layer, on plain arrays.

These functions behave like ufuncs of NumPy: NaN and infinity propagate, no examples
give empty results, and the result has the common dtype of the inputs, float32 or
float64 (integers and booleans count as float64, any other dtype is a TypeError).
Inputs may have any strides, be read-only, byte-swapped or misaligned.  An `out` that
overlaps an input gives the result as if the inputs had been copied first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from fastnn import activations, backends, checks, losses

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fastnn.activations import Activation, ActivationLike
    from fastnn.losses import LossLike

__all__ = [
    "activate",
    "activation_backward",
    "activation_derivative",
    "cost",
    "dense_backward",
    "dense_forward",
]


# --- activations --------------------------------------------------------------------------


@overload
def activate(
    Z: ArrayLike,
    activation: ActivationLike,
    out: NDArray[Any] | None = None,
    derivative: Literal[False] = False,
) -> NDArray[Any]: ...
@overload
def activate(
    Z: ArrayLike,
    activation: ActivationLike,
    out: NDArray[Any] | None = None,
    *,
    derivative: Literal[True],
) -> tuple[NDArray[Any], NDArray[Any]]: ...
def activate(
    Z: ArrayLike,
    activation: ActivationLike,
    out: NDArray[Any] | None = None,
    derivative: bool = False,
) -> Any:
    """Apply an activation, ``A = g(Z)``.

    Parameters
    ----------
    Z : array_like
        Any shape.  Softmax is taken over the first axis: one column is one example.
    activation : str or tuple
        "linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax" or "gelu";
        ``("leaky_relu", 0.2)`` sets the slope, which is 0.01 by default.
    out : ndarray, optional
        Where to write A; of the shape of Z.  It may be Z itself.
    derivative : bool
        Also return ``D = g'(Z)``, element by element; not for softmax.

    Returns
    -------
    A : ndarray
        Of the shape of Z; `out` if given.
    D : ndarray
        Only with ``derivative=True``: g'(Z), of the shape of Z.

    Raises
    ------
    TypeError
        Z is not an array of float32, float64, integers or booleans, `out` is not an
        ndarray or cannot hold the result, or `activation` is not a name.
    ValueError
        The activation is unknown, or `out` is read-only or has another shape.

    Examples
    --------
    >>> fastnn.activate([[-1.0, 0.0, 2.0]], ("leaky_relu", 0.5))
    array([[-0.5,  0. ,  2. ]])
    """
    (Z,) = checks.floats(Z=Z)
    row, alpha = activations.resolve(activation, dtype=Z.dtype)
    if derivative:
        checks.derivative_of_elements(row)
    if out is None:
        A = np.empty(Z.shape, Z.dtype)
    else:
        A = checks.output(out, Z.shape, Z.dtype, *(() if out is Z else (Z,)))
    columns = _as_matrix(Z, row)
    D = np.empty(columns.shape, Z.dtype) if derivative else None
    if Z.ndim == 2:
        _kernels(Z).activate(Z, row.code, alpha, A, D)
    else:
        result = np.empty(columns.shape, Z.dtype)
        _kernels(Z).activate(columns, row.code, alpha, result, D)
        A[...] = result.reshape(Z.shape)
    A = _deliver(A, out)
    return A if D is None else (A, D.reshape(Z.shape)[()])


def activation_derivative(
    A: ArrayLike, activation: ActivationLike, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Return the derivative ``g'(Z)``, from the **output** ``A = g(Z)``, element by element.

    Parameters
    ----------
    A : array_like
        Any shape: what `activate` returned, not what it was given.
    activation : str or tuple
        As for `activate`, but not "softmax", whose derivative is a matrix for each
        example: `activation_backward` takes it.
    out : ndarray, optional
        Where to write the derivative; of the shape of A.

    Returns
    -------
    derivative : ndarray
        Of the shape of A.  relu and leaky_relu have the derivatives 0 and slope at 0.

    Raises
    ------
    TypeError, ValueError
        As for `activate`; ValueError for softmax.

    Examples
    --------
    >>> A = fastnn.activate([[0.0, 1.0]], "sigmoid")
    >>> fastnn.activation_derivative(A, "sigmoid").round(3)
    array([[0.25 , 0.197]])
    """
    (A,) = checks.floats(A=A)
    row, alpha = activations.resolve(activation, dtype=A.dtype)
    checks.derivative_of_elements(row)
    checks.derivative_from_output(row)
    if out is None:
        derivative = np.empty(A.shape, A.dtype)
    else:
        derivative = checks.output(out, A.shape, A.dtype, A)
    if A.ndim == 2:
        _kernels(A).activation_derivative(A, row.code, alpha, derivative)
    else:
        columns = _as_matrix(A, row)
        result = np.empty(columns.shape, A.dtype)
        _kernels(A).activation_derivative(columns, row.code, alpha, result)
        derivative[...] = result.reshape(A.shape)
    return _deliver(derivative, out)


def activation_backward(dA: ArrayLike, A: ArrayLike, activation: ActivationLike) -> NDArray[Any]:
    """Go back through an activation, ``dZ = dA * g'(Z)``, from its **output** A.

    For softmax, ``dZ = A * (dA - sum(dA * A))`` with the sum over each column.

    Parameters
    ----------
    dA, A : array_like
        (n, m), one column per example: the derivative of the cost with respect to the
        output, and the output.
    activation : str or tuple
        As for `activate`.

    Returns
    -------
    dZ : ndarray
        (n, m).

    Raises
    ------
    TypeError, ValueError
        As for `activate`; ValueError if dA and A have different shapes.

    Examples
    --------
    >>> fastnn.activation_backward([[3.0, 3.0]], [[0.0, 0.5]], "tanh")
    array([[3.  , 2.25]])
    """
    dA, A = checks.floats(dA=dA, A=A)
    row, alpha = activations.resolve(activation, dtype=A.dtype)
    checks.derivative_from_output(row)
    checks.same_shape(dA=dA, A=A)
    columns = _as_matrix(A, row)
    dZ = np.empty(columns.shape, A.dtype)
    db = np.empty((len(columns), 1), A.dtype)
    total = max(columns.shape[1], 1)
    _kernels(A).activation_backward(
        _as_matrix(dA, row), columns, None, row.code, alpha, total, dZ, db
    )
    return dZ.reshape(A.shape)


# --- one dense layer ----------------------------------------------------------------------


def dense_forward(
    W: ArrayLike,
    b: ArrayLike,
    A_prev: ArrayLike,
    activation: ActivationLike = "relu",
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Run one dense layer, ``A = g(W A_prev + b)``.

    Parameters
    ----------
    W : array_like
        (n_out, n_in), the weights.
    b : array_like
        (n_out, 1), the biases.
    A_prev : array_like
        (n_in, m), one column per example.
    activation : str or tuple
        As for `activate`.
    out : ndarray, optional
        Where to write A; (n_out, m).

    Returns
    -------
    A : ndarray
        (n_out, m); `out` if given.

    Raises
    ------
    TypeError, ValueError
        As for `activate`; ValueError if the shapes do not belong together.

    Examples
    --------
    >>> fastnn.dense_forward([[1.0, 2.0]], [[0.5]], [[1.0, -1.0], [1.0, 0.0]])
    array([[3.5, 0. ]])
    """
    W, b, A_prev = checks.floats(W=W, b=b, A_prev=A_prev)
    row, alpha = activations.resolve(activation, dtype=W.dtype)
    checks.dense_forward_shapes(W, b, A_prev)
    shape = (W.shape[0], A_prev.shape[1])
    if out is None:
        A = np.empty(shape, W.dtype)
    else:
        A = checks.output(out, shape, W.dtype, W, b, A_prev)
    _kernels(W).dense_forward(_contiguous(W), _contiguous(b), A_prev, row.code, alpha, A)
    return _deliver(A, out)


def dense_backward(
    dZ: ArrayLike, W: ArrayLike, A_prev: ArrayLike
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the gradients of one dense layer.

    ``dW = dZ A_prev^T / m``, ``db = sum(dZ) / m`` and ``dA_prev = W^T dZ``.

    Parameters
    ----------
    dZ : array_like
        (n_out, m): the derivative of each example's loss with respect to Z.
    W : array_like
        (n_out, n_in), the weights.
    A_prev : array_like
        (n_in, m), what the layer was given.

    Returns
    -------
    dW : ndarray
        (n_out, n_in), the mean over the examples.
    db : ndarray
        (n_out, 1), the mean over the examples.
    dA_prev : ndarray
        (n_in, m), for each example.

    Raises
    ------
    TypeError, ValueError
        As for `dense_forward`.

    Examples
    --------
    >>> dW, db, dA_prev = fastnn.dense_backward([[1.0, 3.0]], [[2.0]], [[1.0, 1.0]])
    >>> dW, db, dA_prev
    (array([[2.]]), array([[2.]]), array([[2., 6.]]))
    """
    dZ, W, A_prev = checks.floats(dZ=dZ, W=W, A_prev=A_prev)
    checks.dense_backward_shapes(dZ, W, A_prev)
    dW = np.empty(W.shape, W.dtype)
    db = np.empty((W.shape[0], 1), W.dtype)
    dA_prev = np.empty(A_prev.shape, W.dtype)
    total = max(dZ.shape[1], 1)
    _kernels(W).dense_backward(dZ, _contiguous(W), A_prev, total, dW, db, dA_prev)
    return dW, db, dA_prev


# --- the cost -----------------------------------------------------------------------------


def cost(A: ArrayLike, Y: ArrayLike, loss: LossLike = "binary_cross_entropy") -> float:
    """Return the cost J: the loss summed over the outputs, and its mean over the examples.

    Parameters
    ----------
    A : array_like
        (n_L, m), the outputs of a network; probabilities for the cross-entropies.
    Y : array_like
        (n_L, m), the targets; probabilities for the cross-entropies, and for
        "cross_entropy" each column sums to 1.
    loss : str or tuple
        "binary_cross_entropy", "cross_entropy", "mse", which is half the squared error,
        "huber" or ``("huber", delta)``.

    Returns
    -------
    J : float
        0.0 where there are no examples.  The logarithms are kept finite at 0 and 1.

    Raises
    ------
    TypeError
        A or Y is not an array of float32, float64, integers or booleans.
    ValueError
        The loss is unknown, the shapes differ, or values are no probabilities.

    Examples
    --------
    >>> round(fastnn.cost([[0.5, 0.5]], [[0, 1]]), 4)
    0.6931
    """
    A, Y = checks.floats(A=A, Y=Y)
    row, alpha = losses.resolve(loss, dtype=A.dtype)
    A = checks.cost_arrays(A, Y, row)
    if row.function is not None:
        return losses.evaluate(row, A, Y)[0]
    linear = activations.ACTIVATIONS["linear"].code  # of no matter: the cost alone is asked for
    spec = losses.specification(row, alpha, "linear")
    J: float = _kernels(A).output_cost(A, None, Y, None, spec, linear, 0.0, None)
    return J


# --- shared -------------------------------------------------------------------------------


def _kernels(array: NDArray[Any]) -> Any:
    return backends.current.kernels(array.dtype)


def _contiguous(array: NDArray[Any]) -> NDArray[Any]:
    """What the kernels want of parameters; a copy only where it is not so already."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _as_matrix(array: NDArray[Any], row: Activation) -> NDArray[Any]:
    """`array` with two axes; for softmax the first one stays, else the last one does."""
    if array.ndim == 2:
        return array
    if row.answer == "class":
        n = array.shape[0] if array.ndim else 1
        return array.reshape(n, math.prod(array.shape[1:]))
    m = array.shape[-1] if array.ndim else 1
    return array.reshape(math.prod(array.shape[:-1]), m)


def _deliver(result: NDArray[Any], out: NDArray[Any] | None) -> NDArray[Any]:
    """Return `out` with the result in it; without `out`, a scalar where NumPy gives one."""
    if out is None:
        return result[()] if result.ndim == 0 else result
    if result is not out:
        np.copyto(out, result, casting="same_kind")
    return out
