"""What the two estimators share: `fit`, `partial_fit`, and the network underneath."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

import fastnn
from fastnn import backends
from fastnn.estimators.arguments import SPARSE, checked_examples, checked_weights
from fastnn.estimators.batches import Batches, as_kernels_take_them, outputs
from fastnn.estimators.constraints import STOCHASTIC, Kind, hidden_layer_sizes
from fastnn.estimators.constraints import check as check_parameters
from fastnn.estimators.epochs import Epochs
from fastnn.estimators.minimization import Minimization
from fastnn.estimators.restoring import Before
from fastnn.estimators.solvers import solver_of
from fastnn.from_sklearn import from_sklearn
from fastnn.network import MLP

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["MultilayerPerceptron", "has_partial_fit", "is_stochastic"]


class MultilayerPerceptron(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What `MLPClassifier` and `MLPRegressor` share.

    A class that derives from it says what its targets are (`_encoded`), what its outputs
    answer (`predict`), and how good the answers are (`_score`).
    """

    _allowed: dict[str, tuple[Kind, ...]]

    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None
    ) -> MultilayerPerceptron:
        """Train on the examples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (m, n_features)
            One row per example.  float32 is kept, all else becomes float64.
        y : array-like of shape (m,) or (m, n_outputs)
            Labels or label indicators of a classifier, numbers of a regressor.
        sample_weight : array-like of shape (m,), optional
            >= 0: the loss of a batch is the weighted mean over its examples.
        validation_data : (X, y), optional
            Examples to look at after each epoch: their score is kept in
            ``validation_scores_``, and with `early_stopping` takes the place of the one on
            ``validation_fraction`` of the examples.

        Returns
        -------
        self : estimator
            Trained.

        Raises
        ------
        ValueError, TypeError
            An argument or a parameter of the estimator is not as described, or the parameters
            of the network became non-finite.  The estimator is as it was before.

        Warns
        -----
        ConvergenceWarning
            `max_iter` was reached first.
        UserWarning
            `batch_size` is larger than m; or the training was interrupted: it keeps what the
            last whole epoch left.

        Examples
        --------
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
        >>> model = fastnn.MLPRegressor(solver="lbfgs", random_state=0).fit(X, y)
        >>> model.predict([[1.5]]).round(1)
        array([4.])
        """
        self._check_parameters()
        before = Before(self)
        try:
            self._fit(X, y, sample_weight, validation_data, incremental=False)
        except Exception:
            before.restore()
            raise
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> None:
        """One epoch more, of a stochastic solver."""
        if "coefs_" not in vars(self):
            self._check_parameters()
        before = Before(self)
        try:
            self._announced(y, classes)
            self._fit(X, y, sample_weight, None, incremental=True)
        except Exception:
            before.restore()
            raise

    @property
    def network_(self) -> MLP:
        """The network underneath; its parameters are those of ``coefs_`` and ``intercepts_``.

        Columns are its examples: ``network_.forward(X.T)``.

        Examples
        --------
        >>> X = np.linspace(-1, 1, 20).reshape(-1, 1)
        >>> model = fastnn.MLPRegressor(solver="lbfgs", random_state=0).fit(X, X[:, 0])
        >>> np.shares_memory(model.network_.parameter_vector, model.coefs_[0])
        True
        """
        if "coefs_" not in vars(self):
            check_is_fitted(self)
        shown = vars(self).get("_shown")
        if shown is None or not _are_the_same(shown[1:3], (self.coefs_, self.intercepts_)):
            self._show(from_sklearn(MLP, self))
        network: MLP = self._shown[0]
        return network

    # --- one call of fit ------------------------------------------------------------------

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation: Any, incremental: bool) -> None:
        hidden = hidden_layer_sizes(self.hidden_layer_sizes, type(self).__name__)
        is_first = "coefs_" not in vars(self) or not (self.warm_start or incremental)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = checked_examples(self, X, y, is_first, **self._checks_of_y())
        Y = self._encoded(y, incremental)
        weights = self._weights(sample_weight, X, y)
        if validation is not None:
            validation = self._validation(validation)
        self.n_outputs_ = Y.shape[1]
        self._random_state = check_random_state(self.random_state)
        sizes = (X.shape[1], *hidden, self.n_outputs_)
        if is_first:
            self._initialise(sizes, X.dtype)
        network = self._going_on(sizes)
        threads = self.threads or backends.num_threads
        if is_stochastic(self):
            self._descend(network, X, Y, weights, validation, threads, incremental)
        else:
            self._refuse_for_lbfgs()
            arrays = as_kernels_take_them(X, Y, weights, network.dtype)
            Minimization(self, network, *arrays, threads).run()
        if not network.kernels.all_finite(network.parameter_vector[np.newaxis]):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )

    def _descend(
        self,
        network: MLP,
        X: Any,
        Y: NDArray[Any],
        weights: NDArray[Any] | None,
        validation: Any,
        threads: int,
        incremental: bool,
    ) -> None:
        """Train by a stochastic solver."""
        if "loss_curve_" not in vars(self):  # until now it was L-BFGS
            self._begin_curve()
        if not self.early_stopping and self.best_loss_ is None:
            self.best_loss_ = np.inf
        if not incremental or "_optimizer" not in vars(self):
            self._optimizer = solver_of(self)
        if self.early_stopping and validation is None:
            X, Y, weights, validation = self._split(X, Y, weights)
        score: Callable[[], float] | None = None
        if validation is not None:
            self._begin_scores()
            x, decoded, weights_of_scores = validation
            judge = self._judge(decoded, weights_of_scores)

            def score() -> float:
                return judge(outputs(network, x, threads))

        m, size = Y.shape[0], self.batch_size
        if size == "auto":
            size = min(200, m)
        elif size > m:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                "clipped",
                stacklevel=4,
            )
            size = m
        X, Y, weights = as_kernels_take_them(X, Y, weights, network.dtype)
        alone = self.loss == "poisson" and weights is not None
        if self.loss == "squared_error" and self.out_activation_ == "identity":
            alone = self.n_outputs_ > 1
        batches = Batches(X, Y, weights, int(size), alone)
        epochs = Epochs(
            self, network, self._optimizer, batches, self._random_state, score, threads
        )  # fmt: skip
        epochs.run(1 if incremental else self.max_iter, warns=not incremental)
        if self.early_stopping:
            network.parameter_vector[:] = self._best

    def _initialise(self, sizes: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """A new network, with scikit-learn's initial weights (Glorot and Bengio, 2010)."""
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._output_activation()
        self.n_iter_ = self.t_ = 0
        final = dtype if is_stochastic(self) else np.dtype(np.float64)
        is_logistic = isinstance(self.activation, str) and self.activation == "logistic"
        self.coefs_, self.intercepts_ = [], []
        for n_in, n_out in pairwise(sizes):
            bound = np.sqrt((2.0 if is_logistic else 6.0) / (n_in + n_out))
            coef = self._random_state.uniform(-bound, bound, (n_in, n_out))
            intercept = self._random_state.uniform(-bound, bound, n_out)
            self.coefs_.append(coef.astype(dtype).astype(final))
            self.intercepts_.append(intercept.astype(dtype).astype(final))
        self._show(from_sklearn(MLP, self))
        if is_stochastic(self):
            self._begin_curve()

    def _going_on(self, sizes: tuple[int, ...]) -> MLP:
        """The network to train, with the activation, the loss and the dropout of now."""
        network = self.network_
        if self._shown[3] != self._kind():
            network = from_sklearn(MLP, self)
            self._show(network)
        if network.layer_sizes != sizes:
            raise ValueError(
                f"X, hidden_layer_sizes and y ask for layers of {sizes}, but the network that "
                f"goes on training has {network.layer_sizes}"
            )
        return network

    def _begin_curve(self) -> None:
        """What is kept of each epoch."""
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = None
        self.best_validation_score_ = None

    def _begin_scores(self) -> None:
        """What is kept of the validation, where the training does not go on with it."""
        if self.validation_scores_ is None:
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
            self._best = self._shown[0].parameter_vector.copy()

    # --- arguments and parameters ---------------------------------------------------------

    def _check_parameters(self) -> None:
        """Refuse parameters that are out of range; `get_config` may ask to trust them."""
        if not get_config()["skip_parameter_validation"]:
            check_parameters(vars(self), self._allowed, type(self).__name__)

    def _refuse_for_lbfgs(self) -> None:
        for name, neutral in (("dropout", 0), ("schedule", None), ("clip_norm", None)):
            value = getattr(self, name)
            given = np.any(value) if name == "dropout" else value is not neutral
            if given:
                raise ValueError(
                    f"{name} must be {neutral!r} with solver='lbfgs', which takes all examples "
                    f"at once, got {value!r}"
                )

    def _weights(self, sample_weight: Any, X: Any, y: Any) -> NDArray[Any] | None:
        """The weight of each example, or None."""
        if sample_weight is None:
            return self._weights_of_classes(y)
        weights = checked_weights(sample_weight, X.shape[0])
        of_classes = self._weights_of_classes(y)
        return np.asarray(weights if of_classes is None else weights * of_classes)

    def _announced(self, y: Any, classes: Any) -> None:
        """A classifier keeps the classes that `partial_fit` is given."""

    def _weights_of_classes(self, y: Any) -> NDArray[Any] | None:
        return None

    def _validation(self, data: Any) -> tuple[Any, Any, None]:
        """The examples that `fit` is given to look at, as `_score` takes them."""
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise TypeError(f"validation_data must be a pair (X, y), got {type(data).__name__}")
        X, y = checked_examples(self, data[0], data[1], False, **self._checks_of_y())
        return X, self._decoded(self._known(y)), None

    def _judge(self, y: NDArray[Any], weights: Any) -> Callable[[NDArray[Any]], float]:
        """What tells how good outputs are, epoch after epoch, of the same examples."""
        return lambda A: float(self._score(A, y, weights))

    def _split(self, X: Any, Y: Any, weights: Any) -> tuple[Any, Any, Any, Any]:
        """The training part of the examples, and what is held out of them."""
        arrays = [X, Y] if weights is None else [X, Y, weights]
        parts = train_test_split(
            *arrays,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=self._strata(Y),
        )
        X, x, Y, y, *both = parts
        if x.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        weights, weights_of_scores = both or (None, None)
        return X, Y, weights, (x, self._decoded(y), weights_of_scores)

    # --- the network ----------------------------------------------------------------------

    def _show(self, network: MLP) -> None:
        """Make the parameters of the network the estimator's."""
        views = network.parameters
        layers = range(1, len(network.layer_sizes))
        self.coefs_ = [views[f"W{l}"].T for l in layers]
        self.intercepts_ = [views[f"b{l}"][:, 0] for l in layers]
        self._shown = network, [*self.coefs_], [*self.intercepts_], self._kind()

    def _kind(self) -> str:
        """What the network is made of, besides its sizes."""
        return repr((self.activation, self.dropout, self.loss))

    def _outputs(self, X: Any) -> NDArray[Any]:
        """What the network makes of the rows of X, (n_outputs, m), after a check of X."""
        network = self.network_
        threads = self.threads or backends.num_threads
        if type(X) is np.ndarray and X.ndim == 2 and "feature_names_in_" not in vars(self):
            A = network.engine.try_forward(X.T, None, threads)
            if A is not None:  # X is plain: nothing to check, nothing to convert
                return A
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what is too large for float32 is refused
            X = validate_data(self, X, accept_sparse=SPARSE, reset=False, dtype=network.dtype)
        if X.shape[1] != network.layer_sizes[0]:
            raise ValueError(
                f"X has {X.shape[1]} features, but coefs_[0] expects {network.layer_sizes[0]}"
            )
        return outputs(network, X.tocsr() if hasattr(X, "tocsr") else X, threads)

    # --- copies ---------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_shown", None)  # is made again of the parameters, which it shares
        return state | {"_fastnn_version": fastnn.__version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        version = state.pop("_fastnn_version", "an older version")
        if version != fastnn.__version__:
            warnings.warn(
                f"this {type(self).__name__} was saved by fastnn {version}, and this is "
                f"{fastnn.__version__}: it may not work as it did",
                stacklevel=2,
            )
        super().__setstate__(state)
        if "_optimizer" in state:
            optimizer = self._optimizer.optimizer
            optimizer.state = optimizer.state  # a copy: a memory map may have come back read-only

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def is_stochastic(estimator: Any) -> bool:
    """Whether the solver goes through the examples batch by batch."""
    return not isinstance(estimator.solver, str) or estimator.solver in STOCHASTIC


def has_partial_fit(estimator: Any) -> bool:
    """Whether there is a `partial_fit`, as `available_if` of scikit-learn asks."""
    if not is_stochastic(estimator):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True


def _are_the_same(shown: Any, attributes: Any) -> bool:
    """Whether the attributes are still the arrays that the network showed."""
    return all(
        len(mine) == len(theirs) and all(a is b for a, b in zip(mine, theirs))
        for mine, theirs in zip(shown, attributes)
    )
