"""What the estimators have beyond scikit-learn, and the network underneath."""

import warnings

import numpy as np
import pytest
import sklearn.neural_network as theirs
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


def classifier(**settings):
    return fastnn.MLPClassifier(
        **{"hidden_layer_sizes": (12,), "max_iter": 40, "random_state": 0} | settings
    )


def regressor(**settings):
    return fastnn.MLPRegressor(
        **{"hidden_layer_sizes": (12,), "max_iter": 40, "random_state": 0} | settings
    )


# --- the network underneath ---------------------------------------------------------------


@pytest.mark.parametrize("model", [classifier(), regressor()], ids=["classifier", "regressor"])
def test_network(model):
    """It is a `fastnn.MLP`, and its parameters are the estimator's: one memory."""
    model.fit(X, Y)
    network = model.network_
    assert type(network) is fastnn.MLP and network.layer_sizes[:2] == (4, 12)
    assert model.network_ is network
    A = network.forward(X.T)
    wanted = model.predict_proba(X).T if hasattr(model, "predict_proba") else model.predict(X)[None]
    np.testing.assert_array_equal(A, wanted)
    for l, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_), start=1):
        assert np.shares_memory(coef, network.parameters[f"W{l}"])
        np.testing.assert_array_equal(coef, network.parameters[f"W{l}"].T)
        np.testing.assert_array_equal(intercept, network.parameters[f"b{l}"][:, 0])
    model.coefs_[0][:] = 0
    assert not network.parameters["W1"].any()


def test_parameters_that_are_assigned():
    """As people do to scikit-learn's, to average models or to prune them."""
    one, other = (classifier(random_state=seed).fit(X, Y) for seed in (1, 2))
    one.coefs_ = [np.array(coef) for coef in other.coefs_]
    one.intercepts_ = [np.array(intercept) for intercept in other.intercepts_]
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    one.coefs_[1] = np.zeros((12, 3))
    np.testing.assert_array_equal(np.ptp(one.predict_proba(X), axis=0), 0)
    assert np.shares_memory(one.coefs_[1], one.network_.parameter_vector)
    one.partial_fit(X, Y)
    assert one.coefs_[1].any()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_from_sklearn(dtype):
    """`MLP.from_sklearn` of scikit-learn's models, and of ours."""
    x, labels = X.astype(dtype), np.array(["a", "b", "c"])[Y]
    for module in (theirs, fastnn):
        for target in (labels, labels == "a", np.eye(3, dtype=int)[Y]):
            fitted = module.MLPClassifier((5, 4), "tanh", max_iter=5).fit(x, target)
            net = fastnn.MLP.from_sklearn(fitted)
            assert net.dtype == dtype and net.layer_sizes[1:3] == (5, 4)
            A = net.forward(x.T)
            # the same sums in another order, of numbers near 1
            np.testing.assert_allclose(
                A[-1], fitted.predict_proba(x)[:, -1], atol=1e-6 if dtype == "f4" else 1e-14
            )
            assert not np.shares_memory(net.parameter_vector, fitted.coefs_[0])
        for loss in ("squared_error", "poisson"):
            fitted = module.MLPRegressor(loss, (6,), "logistic", max_iter=5).fit(x, Y)
            net = fastnn.MLP.from_sklearn(fitted)
            np.testing.assert_allclose(net.predict(x.T)[0], fitted.predict(x), rtol=1e-6, atol=1e-6)
            assert net.loss == {"squared_error": "mse"}.get(loss, loss)
            assert net.activations[0] == "sigmoid"


@pytest.mark.parametrize(
    "wrong", [None, theirs.MLPClassifier(), theirs.MLPClassifier, fastnn.MLPClassifier()],
    ids=["None", "not fitted", "a class", "ours, not fitted"],
)  # fmt: skip
def test_from_what_is_not_fitted(wrong):
    with pytest.raises(TypeError, match="fitted must be a fitted MLPClassifier or MLPRegressor"):
        fastnn.MLP.from_sklearn(wrong)


def test_new_backend():
    """A fitted estimator follows `set_backend`, as a network does."""
    model = classifier().fit(X, Y)
    wanted = model.predict_proba(X)
    with fastnn.use_backend("numpy"):
        np.testing.assert_allclose(model.predict_proba(X), wanted, atol=1e-14)
        again = classifier().fit(X, Y)
    np.testing.assert_allclose(again.loss_curve_, model.loss_curve_, rtol=1e-9)


def test_what_does_not_fit_is_refused():
    """Before a kernel, which checks nothing, reads beyond an array."""
    model = regressor().fit(X, Y)
    for change, sentence in (
        (lambda m: m.partial_fit(X, np.stack([Y, Y], 1)), "ask for layers of .* goes on training"),
        (lambda m: m.set_params(hidden_layer_sizes=(3,)).partial_fit(X, Y), "ask for layers of"),
    ):
        with pytest.raises(ValueError, match=sentence):
            change(model)
    model.set_params(hidden_layer_sizes=(12,))
    wanted = model.predict(X)
    model.coefs_[0] = np.zeros((5, 12))
    for ask in (model.predict, lambda x: model.partial_fit(x, Y)):
        with pytest.raises(ValueError, match="coefs_.0. expects 5|ask for layers"):
            ask(X)
    model.coefs_ = [np.zeros((4, 12)), np.zeros((3, 1))]
    with pytest.raises(ValueError, match=r"coefs_\[1\] and intercepts_\[1\] must have the shapes"):
        model.predict(X)
    assert wanted.any()


def test_parameters_that_change_between_fits():
    """Another loss, activation or dropout counts from the next `partial_fit` on."""
    model = regressor().fit(X, Y)
    model.set_params(activation="tanh", loss="huber", dropout=0.5).partial_fit(X, Y)
    network = model.network_
    assert (network.activations[0], network.loss, network.dropout) == (
        "tanh",
        ("huber", 1.0),
        (0.5,),
    )
    model = classifier(warm_start=True, solver="lbfgs", max_iter=2).fit(X.astype("f4"), Y)
    model.set_params(solver="adam", early_stopping=True).fit(X.astype("f4"), Y)
    assert len(model.loss_curve_) == model.n_iter_ == 2
    model.set_params(early_stopping=False).fit(X, Y)
    assert model.best_loss_ < np.inf
    single = classifier(warm_start=True, max_iter=2).fit(X.astype("f4"), Y)
    before = single.loss_
    single.set_params(solver="lbfgs", max_iter=30).fit(X, Y, np.ones(150, "f4"))
    assert single.network_.dtype == np.float32 and single.loss_ < before


def test_layouts_of_every_kind():
    """Misaligned, of another byte order, weights of another dtype."""
    memory = np.zeros(X.nbytes + 1, np.uint8)
    misaligned = memory[1:].view(np.float64).reshape(X.shape)
    misaligned[:] = X
    weights = np.random.RandomState(0).uniform(1, 2, 150).astype("f4")
    for settings in ({"shuffle": False, "max_iter": 5}, {"solver": "lbfgs", "max_iter": 5}):
        wanted = classifier(**settings).fit(X, Y, weights.astype("f8"))
        for x in (misaligned, X.astype(">f8"), X.astype("longdouble")):
            again = classifier(**settings).fit(x, Y, weights)
            np.testing.assert_array_equal(again.coefs_[0], wanted.coefs_[0])
            np.testing.assert_array_equal(again.predict_proba(x), wanted.predict_proba(X))


@pytest.mark.parametrize(
    "y", [Y, Y.astype("u1"), Y.astype(">i8"), 3 - 2 * Y, Y > 0, Y * 0 + 7], ids=range(6)
)
def test_plain_labels(y):
    """Arrays of whole numbers are encoded here; their classes are those of scikit-learn's way."""
    plain, listed = classifier(max_iter=3).fit(X, y), classifier(max_iter=3).fit(X, y.tolist())
    wanted = theirs.MLPClassifier((12,), max_iter=3, random_state=0).fit(X, y)
    assert plain.classes_.dtype == wanted.classes_.dtype
    for other in (listed, wanted):
        np.testing.assert_array_equal(plain.classes_, other.classes_)
        np.testing.assert_array_equal(plain.predict(X), other.predict(X))
        assert plain.out_activation_ == other.out_activation_
    np.testing.assert_array_equal(plain.coefs_[0], listed.coefs_[0])
    for true in (y, y.tolist(), y + np.uint8(1), y.astype(float)):
        assert plain.score(X, true) == accuracy_score(true, plain.predict(X))
    weights = np.arange(150)
    assert plain.score(X, y, weights) == accuracy_score(y, plain.predict(X), sample_weight=weights)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[149, 150\]"):
        plain.score(X, y[1:])


def test_plain_arrays_and_names():
    """Names of features are forgotten with a fit on an array, and missed in a call between."""
    import pandas

    model = classifier(max_iter=3).fit(pandas.DataFrame(X, columns=list("abcd")), Y)
    assert list(model.feature_names_in_) == list("abcd")
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.partial_fit(X, Y)
    model.fit(X[:, :3], Y)
    assert model.n_features_in_ == 3 and not hasattr(model, "feature_names_in_")


# --- the generator ------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [40, 150])
@pytest.mark.parametrize("cls", ["MLPClassifier", "MLPRegressor"])
def test_a_generator_goes_on_as_in_scikit_learn(cls, batch_size):
    """Also where the order of the examples does not matter, and only then is it not drawn."""
    after, settings = [], {"batch_size": batch_size, "max_iter": 7}
    for module in (fastnn, theirs):
        generator = np.random.RandomState(4)
        model = getattr(module, cls)(random_state=generator, **settings).fit(X, Y)
        after.append(generator.randint(1 << 30, size=3).tolist())
        if module is fastnn:
            again = getattr(module, cls)(random_state=4, **settings).fit(X, Y)
            np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])
    assert after[0] == after[1]


# --- further parameters -------------------------------------------------------------------


def test_defaults_change_nothing():
    plain = classifier().fit(X, Y)
    spelled = classifier(dropout=0.0, schedule=None, clip_norm=None, threads=1).fit(X, Y)
    np.testing.assert_array_equal(plain.coefs_[0], spelled.coefs_[0])
    loose = classifier(clip_norm=1e9, dropout=(0.0,), schedule="constant").fit(X, Y)
    np.testing.assert_allclose(loose.loss_curve_, plain.loss_curve_, rtol=1e-12)


def test_activations():
    each = classifier(hidden_layer_sizes=(8, 6), activation=["silu", ("leaky_relu", 0.2)])
    assert each.fit(X, Y).network_.activations == ("silu", ("leaky_relu", 0.2), "softmax")
    assert classifier(activation="gelu").fit(X, Y).network_.activations[0] == "gelu"
    same = classifier(activation=["logistic"]).fit(X, Y), classifier(activation="sigmoid").fit(X, Y)
    for model in same:
        assert model.network_.activations[0] == "sigmoid"
    np.testing.assert_array_equal(same[0].coefs_[0], same[1].coefs_[0])


def test_no_hidden_layer():
    model = classifier(hidden_layer_sizes=()).fit(X, Y)
    assert model.n_layers_ == 2 and model.network_.layer_sizes == (4, 3)
    assert model.score(X, Y) > 0.5


def test_dropout():
    half, none = classifier(dropout=0.5).fit(X, Y), classifier().fit(X, Y)
    assert half.network_.dropout == (0.5,)
    assert half.loss_ > none.loss_  # of what was left in
    np.testing.assert_array_equal(half.predict_proba(X), half.predict_proba(X))
    np.testing.assert_array_equal(half.coefs_[0], classifier(dropout=0.5).fit(X, Y).coefs_[0])
    each = classifier(hidden_layer_sizes=(8, 6), dropout=(0.2, 0.0)).fit(X, Y)
    assert each.network_.dropout == (0.2, 0.0)


def test_schedule():
    """Each step has its own learning rate; at 0 nothing moves."""
    model = classifier(schedule=fastnn.schedules.Step(every=3, factor=1e-30), batch_size=50)
    few = classifier(max_iter=1, batch_size=50).fit(X, Y)
    np.testing.assert_allclose(model.fit(X, Y).coefs_[0], few.coefs_[0], rtol=1e-12)
    assert model.loss_curve_[2] == pytest.approx(model.loss_curve_[-1], rel=1e-9)
    cosine = classifier(schedule="cosine", learning_rate_init=0.05, max_iter=60).fit(X, Y)
    assert cosine.score(X, Y) > 0.95
    own = classifier(schedule=lambda t: 0.05, learning_rate_init=1e-9).fit(X, Y)
    constant = classifier(learning_rate_init=0.05).fit(X, Y)
    np.testing.assert_array_equal(own.coefs_[0], constant.coefs_[0])
    falling = classifier(
        schedule=fastnn.schedules.ReduceOnPlateau(patience=0, threshold=0.5), max_iter=40
    ).fit(X, Y)
    assert falling.loss_curve_[-2] - falling.loss_ < 1e-9


def test_clip_norm():
    """With plain descent a step is no longer than the learning rate times the norm."""
    model = classifier(
        solver="sgd", momentum=0.0, clip_norm=1e-3, learning_rate_init=1.0, max_iter=1,
        batch_size=150, alpha=0.0, warm_start=True,
    ).fit(X, Y)  # fmt: skip
    before = model.network_.parameter_vector.copy()
    model.fit(X, Y)
    step = np.linalg.norm(model.network_.parameter_vector - before)
    assert step == pytest.approx(1e-3, rel=1e-6)


def test_solvers():
    for solver in ("adamw", "rmsprop", fastnn.optimizers.RMSprop(rho=0.95)):
        model = classifier(solver=solver, learning_rate_init=0.02).fit(X, Y)
        assert model.score(X, Y) > 0.9, solver
        model.partial_fit(X, Y)
    mine = fastnn.optimizers.Momentum(0.5)
    model = classifier(solver=mine, learning_rate_init=0.1).fit(X, Y)
    assert mine.steps == 0  # `fit` takes a copy
    wanted = classifier(
        solver="sgd", momentum=0.5, nesterovs_momentum=False, learning_rate_init=0.1
    )
    np.testing.assert_array_equal(model.coefs_[0], wanted.fit(X, Y).coefs_[0])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_losses(solver):
    y = X[:, 3].copy()
    y[::10] += 30  # outliers
    squared = regressor(solver=solver, max_iter=100).fit(X[:, :3], y)
    inner = np.arange(len(y)) % 10 != 0
    for loss in ("absolute_error", "huber", ("huber", 0.5)):
        robust = regressor(loss=loss, solver=solver, max_iter=100).fit(X[:, :3], y)
        error = np.abs(robust.predict(X[:, :3]) - y)[inner].mean()
        assert error < np.abs(squared.predict(X[:, :3]) - y)[inner].mean(), loss
    for loss in ("squared_error", "huber", "absolute_error"):
        assert classifier(loss=loss, solver=solver, max_iter=100).fit(X, Y).score(X, Y) > 0.6


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_own_loss(solver):
    """A function (A, Y) -> (J, dA): half the squared error, as the table has it."""

    def half_squares(A, Y):
        return np.square(A - Y).sum() / 2 / Y.shape[1], (A - Y) / Y.shape[1]

    mine = regressor(loss=half_squares, solver=solver, max_iter=10).fit(X, Y)
    wanted = regressor(solver=solver, max_iter=10).fit(X, Y)
    np.testing.assert_allclose(mine.loss_, wanted.loss_, rtol=1e-9)


def test_class_weight():
    """It is the sample weights that it stands for."""
    y, weights = (Y == 0).astype(int), {0: 0.25, 1: 3.0}
    named = classifier(class_weight=weights).fit(X, y)
    by_hand = classifier().fit(X, y, np.where(y == 1, 3.0, 0.25))
    np.testing.assert_array_equal(named.coefs_[0], by_hand.coefs_[0])
    balanced = classifier(class_weight="balanced").fit(X, y, np.full(150, 2.0))
    by_hand = classifier().fit(X, y, 2 * np.where(y == 1, 150 / 100, 150 / 200))
    np.testing.assert_array_equal(balanced.coefs_[0], by_hand.coefs_[0])


@pytest.mark.parametrize("make", [classifier, regressor])
def test_validation_data(make):
    """Scores are kept; with early stopping they decide, and nothing is held out."""
    training, data = (X[::2], Y[::2]), (X[1::2], Y[1::2])
    plain = make().fit(*training)
    looked = make().fit(*training, validation_data=data)
    np.testing.assert_array_equal(plain.coefs_[0], looked.coefs_[0])
    assert len(looked.validation_scores_) == looked.n_iter_
    assert looked.validation_scores_[-1] == pytest.approx(looked.score(*data), abs=1e-12)
    assert looked.best_validation_score_ == max(looked.validation_scores_)
    settings = {"early_stopping": True, "learning_rate_init": 0.05, "n_iter_no_change": 3}
    stopped = make(max_iter=500, **settings).fit(*training, validation_data=data)
    assert stopped.n_iter_ < 500
    assert stopped.score(*data) == pytest.approx(stopped.best_validation_score_, abs=1e-12)
    assert stopped.t_ == 75 * stopped.n_iter_


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    "y", [Y, Y * 0 + 2, 1e-9 * Y, Y + 1e8, np.stack([Y, X[:, 0]], 1)],
    ids=["plain", "constant", "tiny", "far", "two outputs"],
)  # fmt: skip
def test_validation_scores_of_numbers(y, dtype):
    """What is of y alone is done once, where that is safe; it is R^2 all the same."""
    y = y.astype(float)
    looked = regressor(max_iter=3).fit(X.astype(dtype), y, validation_data=(X.astype(dtype), y))
    wanted = r2_score(y, looked.predict(X.astype(dtype)))
    bound = 1e-9 if dtype == "f8" else 1e-4
    assert looked.validation_scores_[-1] == pytest.approx(wanted, rel=bound, abs=bound)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_validation_scores_that_overflow():
    """Outputs that are no numbers count nan, as in scikit-learn; what is only far off does not."""
    for scale, wanted in ((1e200, -np.inf), (np.inf, np.nan)):
        model = regressor(max_iter=1).fit(X, Y)
        judge = model._judge(Y[:, np.newaxis].astype(float), None)
        assert np.array_equal(judge(np.full((1, 150), scale)), wanted, equal_nan=True)


def test_scores_are_those_of_scikit_learn():
    weights = np.random.RandomState(0).uniform(0, 1, 150)
    for model, metric, y in (
        (classifier(), accuracy_score, Y),
        (regressor(), r2_score, np.stack([Y, X[:, 0]], 1)),
    ):
        model.fit(X, y)
        A = model.network_.forward(X.T)
        for w in (None, weights):
            assert model._score(A, y, w) == pytest.approx(
                metric(y, model.predict(X), sample_weight=w)
            )


def test_weight_is_repetition():
    """Where all examples make one batch: 2 is twice, 0 is absent."""
    times = np.random.RandomState(0).randint(0, 3, 150)
    settings = {"batch_size": 1000, "alpha": 0.1, "shuffle": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weighted = classifier(**settings).fit(X, Y, times)
        repeated = classifier(**settings).fit(X.repeat(times, 0), Y.repeat(times))
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)


def test_a_batch_without_weight():
    """Weights of 0 may fill a batch: it has no loss, and no penalty."""
    weights = np.r_[np.zeros(100), np.ones(50)]
    model = classifier(batch_size=50, shuffle=False, solver="sgd", momentum=0.0, max_iter=1)
    model.fit(X, Y, weights)
    alone = classifier(batch_size=50, shuffle=False, solver="sgd", momentum=0.0, max_iter=1)
    alone.fit(X[100:], np.r_[[0, 1], Y[102:]])  # all classes must be there
    assert np.isfinite(model.loss_) and model.loss_ < alone.loss_


# --- Ctrl-C -------------------------------------------------------------------------------


class Interrupting(np.random.RandomState):
    """Presses Ctrl-C where the fourth epoch begins to be shuffled."""

    count = 0

    def shuffle(self, x):
        self.count += 1
        if self.count == 4:
            raise KeyboardInterrupt
        super().shuffle(x)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_interrupted(solver):
    """As in scikit-learn a warning, and what the last whole epoch left."""
    settings = {"solver": solver, "batch_size": 40, "n_iter_no_change": 2}  # three go together
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        stopped = classifier(random_state=Interrupting(0), **settings).fit(X, Y)
    assert stopped.n_iter_ == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        whole = classifier(random_state=np.random.RandomState(0), max_iter=3, **settings)
        whole.fit(X, Y)
    np.testing.assert_array_equal(stopped.coefs_[0], whole.coefs_[0])
    assert stopped._optimizer.optimizer.steps == whole._optimizer.optimizer.steps == 12


def test_interrupted_between_the_epochs_of_a_call(monkeypatch):
    """The kernels end with the last whole epoch; its loss is there, and its steps are counted."""
    from fastnn.estimators.epochs import Epochs

    wanted = classifier(batch_size=40, max_iter=2).fit(X, Y)
    whole = Epochs._call

    def call(self, X, Y, weights, order, costs):
        whole(self, X, Y, weights, order[:2], costs[:2])
        self._keep(-2 * self.batches.steps)  # as if it had not come back
        raise KeyboardInterrupt

    monkeypatch.setattr(Epochs, "_call", call)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        stopped = classifier(batch_size=40).fit(X, Y)
    assert stopped.n_iter_ == 2 and stopped.loss_curve_ == wanted.loss_curve_
    assert stopped._optimizer.optimizer.steps == wanted._optimizer.optimizer.steps == 8
    np.testing.assert_array_equal(stopped.coefs_[0], wanted.coefs_[0])


@pytest.mark.parametrize("patience", [1, 3, np.inf])
def test_epochs_together_end_where_single_ones_do(patience, capsys):
    """What falls between two epochs is not passed by: `verbose` trains them one by one."""
    ends = []
    for verbose in (False, True):
        for schedule in ("constant", "adaptive"):
            model = classifier(
                solver="sgd", learning_rate=schedule, learning_rate_init=0.5, tol=1e-2,
                n_iter_no_change=patience, max_iter=60, verbose=verbose, warm_start=True,
            )  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                first = model.fit(X, Y).n_iter_
                model.fit(X, Y)
            ends.append((first, model.n_iter_, model.loss_curve_, model.coefs_[0].tolist()))
    assert ends[:2] == ends[2:]
    assert (ends[0][0] < 60) == (patience < np.inf)


def test_interrupted_in_the_middle_of_an_epoch(monkeypatch):
    """In the second of its calls of the kernels, which those of a sparse X are."""
    from fastnn.estimators import batches

    monkeypatch.setattr(batches, "ELEMENTS", 2 * 10 * 4)
    x = sparse.csr_array(X)
    wanted = classifier(batch_size=10, max_iter=2).fit(x, Y)
    whole, count = batches.Batches._drawn, 0

    def drawn(self, rows, n):
        nonlocal count
        count += 1
        if count == 2 * 8 + 2:
            raise KeyboardInterrupt
        return whole(self, rows, n)

    monkeypatch.setattr(batches.Batches, "_drawn", drawn)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        stopped = classifier(batch_size=10).fit(x, Y)
    assert stopped.n_iter_ == 2 and stopped._optimizer.optimizer.steps == 30
    np.testing.assert_array_equal(stopped.coefs_[0], wanted.coefs_[0])


def test_lbfgs_interrupted(monkeypatch, capsys):
    """KeyboardInterrupt comes through, as in scikit-learn, after the last whole iteration."""
    lines = []

    def show(line):
        lines.append(line)
        if len(lines) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", show)
    model = classifier(solver="lbfgs", verbose=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    monkeypatch.undo()
    wanted = classifier(solver="lbfgs", max_iter=3).fit(X, Y)
    assert model.n_iter_ == 3 and model.loss_ == wanted.loss_
    np.testing.assert_array_equal(model.predict_proba(X), wanted.predict_proba(X))
