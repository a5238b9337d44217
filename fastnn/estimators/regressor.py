"""The regressor: numbers in, numbers out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from fastnn.estimators.base import MultilayerPerceptron, has_partial_fit
from fastnn.estimators.constraints import REGRESSOR
from fastnn.metrics import r_squared

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["MLPRegressor"]


class MLPRegressor(RegressorMixin, MultilayerPerceptron):  # type: ignore[misc]
    """A multi-layer perceptron that predicts numbers: scikit-learn's, trained by fastnn.

    The output is linear; with the Poisson loss it is the exponential, and y >= 0.

    Parameters
    ----------
    loss : str, tuple or callable, default="squared_error"
        "squared_error", "poisson", "absolute_error", "huber" or ``("huber", delta)``; or a
        function ``loss(A, Y) -> (J, dA)`` as for `fastnn.MLP`, whose columns are examples.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        The widths of the hidden layers, of which there may be none.
    activation : str, tuple or list, default="relu"
        Of the hidden layers: "identity", "logistic", "tanh", "relu"; or any that `fastnn.MLP`
        knows, such as "silu" or ``("leaky_relu", 0.1)``; or a list with one for each layer.
    solver : str or fastnn.optimizers.Optimizer, default="adam"
        "adam", "sgd" (with momentum), "lbfgs" (by SciPy, over all examples at once), "adamw",
        "rmsprop"; or an object such as ``fastnn.optimizers.RMSprop(rho=0.95)``, of which each
        `fit` takes a copy.
    alpha : float, default=1e-4
        ``alpha / 2 sum(W^2)``, divided by the weight of the batch, is added to its loss.
    batch_size : int or "auto", default="auto"
        Examples for each step; "auto" is 200, or all of them where there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        What becomes of the learning rate of "sgd": nothing; divided by ``t^power_t`` after t
        examples; divided by 5 where the training would end for want of progress.
    learning_rate_init : float, default=0.001
        The learning rate, or the first one.
    power_t : float, default=0.5
        Of "invscaling".
    max_iter : int, default=200
        The most epochs, or iterations of "lbfgs".
    shuffle : bool, default=True
        Take the examples in a new random order in each epoch.
    random_state : int, RandomState instance or None, default=None
        For the initial weights, the validation part, and the order of the examples: with the
        same numbers from the same generator as in scikit-learn.
    tol : float, default=1e-4
        What counts as progress, of the loss or of the validation score.
    verbose : bool, default=False
        Print the loss of each epoch.
    warm_start : bool, default=False
        `fit` goes on where the one before ended.
    momentum : float, default=0.9
        Of "sgd", from 0 to 1.
    nesterovs_momentum : bool, default=True
        Look ahead along the momentum.
    early_stopping : bool, default=False
        Hold a part of the examples out, watch the score on it instead of the loss, and end with
        the parameters of the best epoch.
    validation_fraction : float, default=0.1
        How much is held out.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of "adam" and "adamw".
    n_iter_no_change : int, default=10
        After how many epochs without progress the training ends.
    max_fun : int, default=15000
        The most evaluations of the loss by "lbfgs".
    dropout : float or sequence of float, default=0.0
        The share of each hidden layer's outputs that every step leaves out.
    schedule : str, fastnn.schedules.Schedule or callable, default=None
        How the learning rate changes from step to step, as for `MLP.fit`; in place of
        `learning_rate`.
    clip_norm : float, default=None
        A gradient whose norm is larger is scaled to it.
    threads : int, default=None
        The most threads to use; None takes `fastnn.get_num_threads`.

    Attributes
    ----------
    loss_ : float
        Of the last epoch.
    best_loss_ : float or None
        The lowest; None with `early_stopping`.
    loss_curve_ : list of float
        Of each epoch; not with "lbfgs".
    validation_scores_ : list of float or None
        Of each epoch, where there is something to look at.
    best_validation_score_ : float or None
        The highest.
    coefs_, intercepts_ : list of ndarray
        The weights, (n_in, n_out), and biases, (n_out,), of each layer: views of the parameters
        of `network_`.  Arrays that are assigned in their place are copied into it.
    network_ : fastnn.MLP
        The network underneath, for calls without any detour.
    n_iter_, t_, n_layers_, n_outputs_ : int
        Epochs of the last `fit`, examples seen in all, layers with the input, and outputs.
    out_activation_ : str
        Of the output layer, in scikit-learn's words.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Of the X that it was trained on; the names where it had any.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 2)
    >>> y = np.sin(3 * X[:, 0])
    >>> model = fastnn.MLPRegressor(solver="lbfgs", tol=1e-3, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.99
    True
    """

    _allowed = REGRESSOR

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        schedule: Any = None,
        clip_norm: float | None = None,
        threads: int | None = None,
    ) -> None:
        self.__dict__.update({k: v for k, v in locals().items() if k != "self"})

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch more; not with "lbfgs".

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError, TypeError
            As for `fit`.

        Examples
        --------
        >>> fastnn.MLPRegressor(random_state=0).partial_fit([[0.0], [1.0]], [0.0, 1.0]).t_
        2
        """
        self._partial_fit(X, y, sample_weight)
        return self

    # --- answers --------------------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the prediction for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)

        Returns
        -------
        y : ndarray of shape (m,) or (m, n_outputs)
            In the dtype of the network.

        Raises
        ------
        ValueError, TypeError
            X is not as described, or the estimator is not fitted.

        Examples
        --------
        >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 2.0, 3.0]
        >>> model = fastnn.MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
        >>> model.predict([[0.5]]).round(1)
        array([1.5])
        """
        A = self._outputs(X)
        return A[0] if len(A) == 1 else A.T

    # --- what the base asks for -----------------------------------------------------------

    def _checks_of_y(self) -> dict[str, Any]:
        return {"y_numeric": True}

    def _encoded(self, y: Any, incremental: bool) -> NDArray[Any]:
        """The targets, (m, n_outputs)."""
        return self._known(y)

    def _known(self, y: Any) -> NDArray[Any]:
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(f"y must be >= 0 with loss='poisson', got {y.min()}")
        Y: NDArray[Any] = y.reshape(len(y), -1)
        return Y

    def _decoded(self, Y: NDArray[Any]) -> NDArray[Any]:
        return Y

    def _score(self, A: NDArray[Any], y: NDArray[Any], weights: Any) -> float:
        if not np.isfinite(A).all():
            return np.nan
        if weights is None:
            return r_squared([(A, y.T)])
        return float(r2_score(y, A.T, sample_weight=weights))

    def _judge(self, y: NDArray[Any], weights: Any) -> Callable[[NDArray[Any]], float]:
        """R^2 of a single output, where the half of it that is of y alone is done once."""
        judge = super()._judge(y, weights)
        target = y[:, 0].astype(np.float64)
        total = float(np.square(target - target.mean()).sum())
        if weights is not None or y.shape[1] > 1 or (y == y[0]).all() or not 0 < total < np.inf:
            return judge

        def r_squared_of(A: NDArray[Any]) -> float:
            error = target - A[0]
            found = 1 - float(error @ error) / total
            return found if math.isfinite(found) else judge(A)

        return r_squared_of

    def _output_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _strata(self, Y: NDArray[Any]) -> None:
        return None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
