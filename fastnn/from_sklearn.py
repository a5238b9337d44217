"""From a fitted MLPClassifier or MLPRegressor of scikit-learn to a network.

scikit-learn's rows are examples, ours are columns: its ``coefs_[i]``, (n_in, n_out), is the
transpose of W[i + 1].  Nothing of scikit-learn is imported: what counts are the attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import checks

if TYPE_CHECKING:
    from fastnn.network import MLP

__all__ = ["ACTIVATIONS", "LOSSES", "activation", "from_sklearn"]

ACTIVATIONS = {
    "identity": "linear",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "softmax": "softmax",
    "exp": "exponential",
}
"""Its names and ours."""

LOSSES = {
    "squared_error": "mse",
    "absolute_error": "mae",
    "log_loss": None,  # the cross-entropy that pairs with the output
}
"""Its names and ours, where they differ."""

FITTED = ("coefs_", "intercepts_", "activation", "out_activation_")
"""What a fitted estimator has."""


def activation(given: Any) -> Any:
    """Return an activation in our words: scikit-learn's names, or ours, or one for each layer.

    Examples
    --------
    >>> activation(["logistic", ("leaky_relu", 0.1)])
    ['sigmoid', ('leaky_relu', 0.1)]
    """
    if isinstance(given, (list, np.ndarray)):
        return [activation(one) for one in given]
    return ACTIVATIONS.get(given, given) if isinstance(given, str) else given


def from_sklearn(cls: type[MLP], fitted: Any) -> MLP:
    """Return the network of a fitted MLPClassifier or MLPRegressor of scikit-learn.

    Parameters
    ----------
    fitted : estimator
        From `sklearn.neural_network`, or one of fastnn's own; it stays as it is.

    Returns
    -------
    net : MLP
        With copies of its parameters, in their dtype.  What the estimator's `predict` decides
        is the network's `predict` of the transposed rows; the classes 0, 1, ... are numbers
        into its ``classes_``.

    Raises
    ------
    TypeError
        `fitted` has not the attributes of a fitted multi-layer perceptron.
    ValueError
        Its parameters do not fit together.

    Examples
    --------
    >>> from sklearn.neural_network import MLPRegressor
    >>> X = np.linspace(-1, 1, 20).reshape(-1, 1)
    >>> fitted = MLPRegressor(solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2)
    >>> net = fastnn.MLP.from_sklearn(fitted)
    >>> net.layer_sizes, np.allclose(net.forward(X.T)[0], fitted.predict(X))
    ((1, 100, 1), True)
    """
    missing = [name for name in FITTED if not hasattr(fitted, name)]
    if missing or isinstance(fitted, type):
        raise TypeError(
            "fitted must be a fitted MLPClassifier or MLPRegressor, got "
            f"{checks.kind(fitted)} without {missing[0] if missing else 'a fit'}"
        )
    coefs = [np.asarray(coef) for coef in fitted.coefs_]
    loss = getattr(fitted, "loss", None)
    network = cls(
        [len(coefs[0]), *(coef.shape[1] for coef in coefs)],
        activation(fitted.activation),
        ACTIVATIONS[fitted.out_activation_],  # type: ignore[arg-type]  # a name of the table
        LOSSES.get(loss, loss) if isinstance(loss, str) else loss,  # type: ignore[arg-type]
        init="zeros",
        dtype=np.result_type(np.float32, *coefs),
        dropout=getattr(fitted, "dropout", 0.0),
    )
    views = network.parameters
    for l, (coef, intercept) in enumerate(zip(coefs, fitted.intercepts_, strict=True), start=1):
        W, b = views[f"W{l}"], views[f"b{l}"]
        if coef.shape != W.T.shape or np.shape(intercept) != b.shape[:1]:
            raise ValueError(
                f"coefs_[{l - 1}] and intercepts_[{l - 1}] must have the shapes {W.T.shape} and "
                f"{b.shape[:1]}, got {coef.shape} and {np.shape(intercept)}"
            )
        W[...], b[:, 0] = coef.T, intercept
    return network
