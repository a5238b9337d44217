"""The classifier: labels in, labels and probabilities out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastnn.estimators.arguments import are_plain_labels
from fastnn.estimators.base import MultilayerPerceptron, has_partial_fit
from fastnn.estimators.constraints import CLASSIFIER
from fastnn.metrics import decide

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, MultilayerPerceptron):  # type: ignore[misc]
    """A multi-layer perceptron that classifies: scikit-learn's, trained by fastnn.

    The output is a softmax over several classes, a sigmoid between two, and a sigmoid for each
    label of a multilabel y; the loss is the cross-entropy.

    Parameters
    ----------
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
    loss : str, tuple or callable, default="log_loss"
        "log_loss", "squared_error", "absolute_error", "huber" or ``("huber", delta)``; or a
        function ``loss(A, Y) -> (J, dA)`` as for `fastnn.MLP`, whose columns are examples.
    class_weight : dict, list of dict, "balanced" or None, default=None
        The weights of the classes, {class: weight}, which multiply the `sample_weight`.
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
    classes_ : ndarray
        The labels, in the order of the outputs.
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
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = fastnn.MLPClassifier((20,), solver="lbfgs", tol=0.01, random_state=0).fit(X, y)
    >>> model.predict(X[:2]), model.score(X, y) > 0.95
    (array([0, 0]), True)
    """

    _allowed = CLASSIFIER

    def __init__(
        self,
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
        loss: Any = "log_loss",
        class_weight: Any = None,
        dropout: Any = 0.0,
        schedule: Any = None,
        clip_norm: float | None = None,
        threads: int | None = None,
    ) -> None:
        self.__dict__.update({k: v for k, v in locals().items() if k != "self"})

    @available_if(has_partial_fit)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Train for one epoch more; not with "lbfgs".

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like, optional
            All classes that there will ever be; needed in the first call.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError, TypeError
            As for `fit`; or `classes` is missing, or y has others.

        Examples
        --------
        >>> model = fastnn.MLPClassifier(random_state=0)
        >>> model.partial_fit([[0.0], [1.0]], ["no", "yes"], classes=["no", "yes"]).n_iter_
        1
        """
        self._partial_fit(X, y, sample_weight, classes)
        return self

    # --- answers --------------------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)

        Returns
        -------
        y : ndarray of shape (m,) or (m, n_classes)
            Labels; label indicators where y had several labels for an example.

        Raises
        ------
        ValueError, TypeError
            X is not as described, or the estimator is not fitted.

        Examples
        --------
        >>> X, y = [[0.0], [1.0]], ["low", "high"]
        >>> fastnn.MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y).predict(X)
        array(['low', 'high'], dtype='<U4')
        """
        return self._decoded(self._outputs(X).T)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each class for each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)

        Returns
        -------
        P : ndarray of shape (m, n_classes)
            In the order of ``classes_``.  They sum to 1, but not where an example has several
            labels.

        Raises
        ------
        ValueError, TypeError
            X is not as described, or the estimator is not fitted.

        Examples
        --------
        >>> X, y = [[0.0], [1.0]], [False, True]
        >>> model = fastnn.MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.predict_proba(X).round(1)
        array([[1., 0.],
               [0., 1.]])
        """
        A = self._outputs(X)
        if len(A) > 1:
            return A.T
        return np.concatenate([1 - A, A]).T

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)

        Returns
        -------
        P : ndarray of shape (m, n_classes)
            -inf, with a RuntimeWarning, for a probability of 0.

        Raises
        ------
        ValueError, TypeError
            X is not as described, or the estimator is not fitted.

        Examples
        --------
        >>> X, y = [[0.0], [1.0]], [False, True]
        >>> model = fastnn.MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
        >>> np.allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))
        True
        """
        P = self.predict_proba(X)
        return np.asarray(np.log(P, out=P))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of the examples whose answer is right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
        y : array-like of shape (m,) or (m, n_classes)
            The true labels.
        sample_weight : array-like of shape (m,), optional

        Returns
        -------
        score : float
            From 0 to 1.  Where an example has several labels, all of them must be right.

        Raises
        ------
        ValueError, TypeError
            As for `predict`; or y does not fit X.

        Examples
        --------
        >>> X, y = [[0.0], [1.0]], [False, True]
        >>> fastnn.MLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y).score(X, y)
        1.0
        """
        answers = self.predict(X)
        if sample_weight is None and are_plain_labels(y) and are_plain_labels(answers):
            if len(y) == len(answers):  # a search scores as often as it fits
                return float((answers == y).mean())
        return float(accuracy_score(y, answers, sample_weight=sample_weight))

    # --- what the base asks for -----------------------------------------------------------

    def _checks_of_y(self) -> dict[str, Any]:
        return {}

    def _announced(self, y: Any, classes: Any) -> None:
        """Keep the classes of the first `partial_fit`; later they must be the same."""
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} needs all examples at once; give partial_fit "
                "a dict of weights"
            )
        known = getattr(self, "classes_", None)
        if known is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self.classes_ = unique_labels(classes)
            is_multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if is_multilabel else classes)
        elif classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{known!r}"
            )

    def _encoded(self, y: Any, incremental: bool) -> NDArray[Any]:
        """The targets, (m, n_outputs) of bool; the classes are kept, or checked."""
        if "classes_" not in vars(self) or not (self.warm_start or incremental):
            if are_plain_labels(y):
                self.classes_, self._label_binarizer = np.unique(y), None
            else:
                self._label_binarizer = LabelBinarizer().fit(y)
                self.classes_ = self._label_binarizer.classes_
            return self._known(y)
        if self.warm_start and set(classes := unique_labels(y)) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        return self._known(y)

    def _known(self, y: Any) -> NDArray[Any]:
        """The targets of labels that are known."""
        index = _places(y, self.classes_)
        if index is not None:  # some microseconds, where scikit-learn takes a millisecond
            wanted = 1 if len(self.classes_) < 3 else np.arange(len(self.classes_))
            return np.asarray(index[:, np.newaxis] == wanted)
        classes = unique_labels(y)
        if len(np.setdiff1d(classes, self.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}."
            )
        Y: NDArray[Any] = self._binarizer().transform(y).astype(bool)
        return Y

    def _decoded(self, Y: NDArray[Any]) -> NDArray[Any]:
        """The labels that outputs, or targets, (m, n_outputs), stand for."""
        if Y.shape[1] == 1 and len(self.classes_) == 2:
            return np.asarray(self.classes_.take((Y[:, 0] > 0.5).astype(np.intp)))
        if self._output_activation() == "softmax":
            return np.asarray(self.classes_.take(decide(Y.T, "class")))
        labels: NDArray[Any] = self._binarizer().inverse_transform(Y)
        return labels

    def _binarizer(self) -> LabelBinarizer:
        """scikit-learn's, of the labels; plain ones can nearly always do without it."""
        return self._label_binarizer or LabelBinarizer().fit(self.classes_)

    def _score(self, A: NDArray[Any], y: NDArray[Any], weights: Any) -> float:
        answers = self._decoded(A.T)
        if answers.ndim == 1 and weights is None:
            return float((answers == y).mean())
        return float(accuracy_score(y, answers, sample_weight=weights))

    def _output_activation(self) -> str:
        is_multiclass = len(self.classes_) > 2
        if self._label_binarizer is not None:
            is_multiclass = self._label_binarizer.y_type_ == "multiclass"
        return "softmax" if is_multiclass else "logistic"

    def _strata(self, Y: NDArray[Any]) -> NDArray[Any] | None:
        """What each part of the examples has the same share of: not of several outputs.

        As text: scikit-learn makes the same of a Y of two dimensions, row by row.
        """
        return Y[:, 0].astype(str) if Y.shape[1] == 1 else None

    def _weights_of_classes(self, y: Any) -> NDArray[Any] | None:
        if self.class_weight is None:
            return None
        weights: NDArray[Any] = compute_sample_weight(self.class_weight, y)
        return weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _places(y: Any, classes: NDArray[Any]) -> NDArray[np.intp] | None:
    """The place of each label in the classes; None where they are not that plain."""
    if not isinstance(y, np.ndarray) or y.ndim != 1 or y.dtype.kind != classes.dtype.kind:
        return None
    if y.dtype.kind not in "biufU":
        return None
    index = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    return index if (classes[index] == y).all() else None
