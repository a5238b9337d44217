"""The course's plain NumPy: one textbook function for each equation, nothing clever.

This is the contender that the ratios to NumPy refer to.  It takes any number of layers;
``parameters`` is {"W1": ..., "b1": ..., "W2": ...}, a column is an example.
"""

import numpy as np

__all__ = ["ACTIVATIONS", "COSTS", "DERIVATIVES", "gradient_descent", "mini_batches", "predict"]


def sigmoid(Z):
    return 1 / (1 + np.exp(-Z))


def relu(Z):
    return np.maximum(0, Z)


def leaky_relu(Z):
    return np.where(Z > 0, Z, 0.01 * Z)


def linear(Z):
    return Z


def softmax(Z):
    E = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return E / np.sum(E, axis=0, keepdims=True)


ACTIVATIONS = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "softmax": softmax,
}

DERIVATIVES = {
    "sigmoid": lambda dA, A: dA * A * (1 - A),
    "tanh": lambda dA, A: dA * (1 - A**2),
    "relu": lambda dA, A: dA * (A > 0),
    "leaky_relu": lambda dA, A: np.where(A > 0, dA, 0.01 * dA),
    "linear": lambda dA, A: dA,
    "softmax": lambda dA, A: A * (dA - np.sum(dA * A, axis=0, keepdims=True)),
}
"""dZ from dA and the output A."""

COSTS = {
    "mse": lambda A, Y: np.sum((A - Y) ** 2) / (2 * Y.shape[1]),
    "binary_cross_entropy": lambda A, Y: (
        -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / Y.shape[1]
    ),
    "cross_entropy": lambda A, Y: -np.sum(Y * np.log(A)) / Y.shape[1],
}


def forward_propagation(X, parameters, activations):
    """Return [X, A1, ..., AL]."""
    A = [X]
    for l, g in enumerate(activations, start=1):
        Z = np.dot(parameters[f"W{l}"], A[-1]) + parameters[f"b{l}"]
        A.append(ACTIVATIONS[g](Z))
    return A


def predict(X, parameters, activations):
    """Return AL."""
    return forward_propagation(X, parameters, activations)[-1]


def backward_propagation(A, Y, parameters, activations):
    """Return {"dW1": ..., "db1": ...}, for an output activation that pairs with its cost."""
    m = Y.shape[1]
    gradients = {}
    dZ = A[-1] - Y
    for l in range(len(activations), 0, -1):
        gradients[f"dW{l}"] = np.dot(dZ, A[l - 1].T) / m
        gradients[f"db{l}"] = np.sum(dZ, axis=1, keepdims=True) / m
        if l > 1:
            dA = np.dot(parameters[f"W{l}"].T, dZ)
            dZ = DERIVATIVES[activations[l - 2]](dA, A[l - 1])
    return gradients


def gradient_descent(X, Y, parameters, activations, loss, learning_rate):
    """Take one step on all of X, change `parameters`, and return the cost before."""
    A = forward_propagation(X, parameters, activations)
    cost = COSTS[loss](A[-1], Y)
    gradients = backward_propagation(A, Y, parameters, activations)
    for name in parameters:
        parameters[name] = parameters[name] - learning_rate * gradients["d" + name]
    return cost


def mini_batches(X, Y, order, batch_size):
    """Yield the batches of X and Y with their columns in the given order."""
    X, Y = X[:, order], Y[:, order]
    for start in range(0, X.shape[1], batch_size):
        stop = start + batch_size
        yield X[:, start:stop], Y[:, start:stop]
