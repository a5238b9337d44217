"""Many networks at once: each trains as it would alone, and together they answer."""

# ruff: noqa: E501  (a row of a table is one line)

import threading

import numpy as np
import pytest
from support import harness
from support.interruption import ctrl_c_after

import fastnn
from fastnn.optimizers import Adam


def networks(count=5, dtype="float32", **options):
    return [fastnn.MLP([4, 7, 2], seed=seed, dtype=dtype, **options) for seed in range(count)]


def examples(dtype="float32", m=60):
    X, Y = harness.normal(np.dtype(dtype).type, (4, m), (2, m))
    return X, (Y > 0).astype(dtype)


# --- training -----------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, None])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 16, "optimizer": "adam", "l2": 0.01, "clip_norm": 1.0},
        {"batch_size": 25, "seed": 3, "sample_weight": np.arange(60) % 4},
    ],
    ids=["plain", "everything", "one seed for all"],
)
def test_each_network_as_if_alone(backend, dtype, threads, options):
    """Not one bit differs from its own `fit`: parameters, costs, generator."""
    X, Y = examples(dtype)
    alone, together = (networks(dtype=dtype, dropout=0.3) for _ in range(2))
    expected = [net.fit(X, Y, epochs=4, **options) for net in alone]
    histories = fastnn.fit_many(together, X, Y, epochs=4, threads=threads, **options)
    for i, (net, twin) in enumerate(zip(alone, together, strict=True)):
        harness.assert_same_bits(twin.parameter_vector, net.parameter_vector, i)
        harness.assert_same_bits(histories[i].cost, expected[i].cost, i)
        assert twin.generator.bit_generator.state == net.generator.bit_generator.state


def test_a_list_has_one_value_for_each(backend):
    X, Y = examples()
    options = {
        "learning_rate": np.array([0.1, 0.01, 0.5]), "seed": range(3), "epochs": [2, 3, 4],
        "optimizer": ["adam", Adam(beta1=0.5), "gradient_descent"], "batch_size": (16, None, 7),
        "shuffle": [True, True, False],
    }  # fmt: skip
    together = networks(3)
    histories = fastnn.fit_many(together, X, Y, **options)
    assert [len(history.cost) for history in histories] == [2, 3, 4]
    assert options["optimizer"][1].steps == 3
    options["optimizer"][1] = Adam(beta1=0.5)
    for i, net in enumerate(networks(3)):
        net.fit(X, Y, **{name: values[i] for name, values in options.items()})
        harness.assert_same_bits(together[i].parameter_vector, net.parameter_vector, i)


def test_weights_for_each_network(backend):
    """As for bagging: how often each network sees each example."""
    X, Y = examples()
    weights = np.random.default_rng(0).integers(0, 3, (3, 60))
    together = networks(3)
    fastnn.fit_many(together, X, Y, epochs=3, sample_weight=weights)
    for net, twin, of_one in zip(networks(3), together, weights, strict=True):
        net.fit(X, Y, epochs=3, sample_weight=of_one)
        harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)


def test_networks_of_all_kinds(backend):
    """Other sizes, dtypes, losses: what X and Y are converted to is each network's own."""
    X, _ = examples()
    labels = np.arange(60) % 3

    def make():
        return [
            fastnn.MLP([4, 5, 3], output="softmax"),
            fastnn.MLP([4, 8, 8, 3], "relu", "softmax", dtype="float64"),
            fastnn.MLP([4, 3], output="softmax", loss="mse"),
        ]

    together = make()
    fastnn.fit_many(together, X.tolist(), labels, epochs=3)
    for net, twin in zip(make(), together, strict=True):
        net.fit(X, labels, epochs=3)
        harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)


def test_several_networks_train_at_a_time(backend):
    """Two threads: the second network starts before the first has ended."""
    X, Y = examples()
    both = threading.Barrier(2, timeout=60)

    class Meeting(Adam):
        def specification(self, *arguments):
            both.wait()
            return super().specification(*arguments)

    fastnn.fit_many(networks(2), X, Y, epochs=1, threads=2, optimizer=[Meeting(), Meeting()])
    assert not both.broken


def test_progress_over_all_networks(backend, capsys):
    X, Y = examples()
    seen = []
    here = threading.get_ident()

    def progress(done, count):
        assert threading.get_ident() == here
        seen.append((done, count))

    fastnn.fit_many(networks(3), X, Y, epochs=2, progress=progress)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert capsys.readouterr() == ("", "")
    fastnn.fit_many(networks(3), X, Y, epochs=2, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "network 1/3" in err and "network 3/3" in err and err.count("\n") == 1


# --- what ends it early -------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_names_the_network_and_the_others_are_trained(backend, threads):
    X, Y = examples()
    nets, alone = networks(4, output="linear"), networks(4, output="linear")
    rates = [0.1, 1e30, 0.1, 0.05]
    with pytest.raises(
        ValueError, match=r"^networks\[1\]: training produced a non-finite"
    ) as error:
        fastnn.fit_many(nets, X, Y, epochs=3, learning_rate=rates, threads=threads)
    assert isinstance(error.value.__cause__, ValueError)
    for i in (0, 2, 3):
        alone[i].fit(X, Y, epochs=3, learning_rate=rates[i])
    with pytest.raises(ValueError, match="non-finite"):
        alone[1].fit(X, Y, epochs=3, learning_rate=rates[1])
    for net, twin in zip(alone, nets, strict=True):
        harness.assert_same_bits(twin.parameter_vector, net.parameter_vector)


def test_other_errors_have_a_note(backend):
    X, Y = examples()

    class Broken(Adam):
        def specification(self, *arguments):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken") as error:
        fastnn.fit_many(networks(2), X, Y, epochs=1, optimizer=["adam", Broken()])
    assert error.value.__notes__ == ["It comes from the training of networks[1]."]


def assert_whole_epochs(nets, optimizers, X, Y, started):
    """Each network of `started` is as after a whole number of epochs, the others are fresh."""
    for i, (net, optimizer, twin) in enumerate(zip(nets, optimizers, networks(len(nets)))):
        assert (optimizer.steps > 0) == (i in started), f"networks[{i}]: {optimizer.steps} steps"
        assert optimizer.steps % 4 == 0, f"{optimizer.steps} steps of 4 to an epoch"
        if optimizer.steps:
            again = Adam()
            twin.fit(X, Y, epochs=optimizer.steps // 4, batch_size=16, optimizer=again)
            harness.assert_same_bits(optimizer.state["v"], again.state["v"], i)
        harness.assert_same_bits(net.parameter_vector, twin.parameter_vector, i)


def test_ctrl_c_leaves_whole_epochs(backend):
    X, Y = examples()
    nets, optimizers = networks(4), [Adam() for _ in range(4)]
    fastnn.fit_many(networks(1), X, Y, epochs=2, batch_size=16, optimizer="adam")  # compiled now
    with ctrl_c_after(0.3):
        fastnn.fit_many(
            nets, X, Y, epochs=10**7, batch_size=16, threads=2, optimizer=optimizers
        )  # fmt: skip
    assert_whole_epochs(nets, optimizers, X, Y, {0, 1})


def test_an_error_from_progress_stops_all(backend):
    X, Y = examples()
    nets, optimizers = networks(3), [Adam() for _ in range(3)]

    def progress(done, count):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        fastnn.fit_many(
            nets, X, Y, epochs=[4, 10**7, 10**7], batch_size=16, threads=2,
            optimizer=optimizers, progress=progress,
        )  # fmt: skip
    assert optimizers[0].steps == 16
    started = {i for i in range(3) if optimizers[i].steps}
    assert_whole_epochs(nets, optimizers, X, Y, started)


NETS = networks(3)
BAD = [
    ("a network", dict(networks=NETS[0]), TypeError, "networks must be a list of MLPs, got <MLP"),
    ("nothing", dict(networks=None), TypeError, "networks must be a list of MLPs, got None"),
    ("empty", dict(networks=[]), ValueError, "networks is empty"),
    ("twice", dict(networks=[NETS[0], NETS[1], NETS[0]]), ValueError, r"networks\[2\] is networks\[0\]: each must be one of its own"),
    ("something else", dict(networks=[NETS[0], "net"]), TypeError, r"networks\[1\] must be an MLP, got str"),
    ("other inputs", dict(networks=[NETS[0], fastnn.MLP([3, 2])]), ValueError, r"^networks\[1\]: X has 4 features \(rows\), but this network expects 3"),
    ("X", dict(X=np.full((4, 60), np.nan)), ValueError, r"^networks\[0\]: Input X contains NaN"),
    ("too few values", dict(learning_rate=[0.1, 0.2]), ValueError, "learning_rate has 2 values, but there are 3 networks"),
    ("too many seeds", dict(seed=range(4)), ValueError, "seed has 4 values"),
    ("weights", dict(sample_weight=np.ones((2, 60))), ValueError, "sample_weight has 2 values"),
    ("one optimizer", dict(optimizer=Adam()), ValueError, r"optimizer: networks cannot share Adam\(.*keeps a state"),
    ("one optimizer twice", dict(optimizer=[Adam()] * 2 + ["adam"]), ValueError, "optimizer: networks cannot share"),
    ("one generator", dict(seed=np.random.default_rng(0)), ValueError, "seed: networks cannot share Generator"),
    ("unknown", dict(lr=0.1), TypeError, r"fit\(\) got an unexpected keyword argument 'lr'; did you mean 'learning_rate'"),
    ("epochs", dict(epochs=0), ValueError, r"^networks\[0\]: epochs must be an integer >= 1, got 0"),
    ("threads", dict(threads=0), ValueError, "^threads must be an integer from 1 to"),
    ("progress", dict(progress=3), TypeError, "progress must be None, True, False or a function"),
]  # fmt: skip


@pytest.mark.parametrize("given, error, words", [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_what_fit_many_refuses(given, error, words):
    X, Y = examples()
    before = [net.parameter_vector.copy() for net in NETS]
    call = {"networks": NETS, "X": X, "Y": Y, "epochs": 2, **given}
    with pytest.raises(error, match=words):
        fastnn.fit_many(**call)
    for net, vector in zip(NETS, before, strict=True):
        harness.assert_same_bits(net.parameter_vector, vector)


# --- answers ------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["linear", "sigmoid", "softmax"])
def test_mean_and_spread(backend, dtype, output):
    nets, (X, _) = networks(dtype=dtype, output=output), examples(dtype)
    nets[2] = fastnn.MLP([4, 9, 9, 2], "relu", output, seed=7, dtype=dtype)  # hidden layers differ
    ensemble = fastnn.Ensemble(nets)
    outputs = np.stack([net.forward(X) for net in nets])
    harness.assert_norm_within("step", ensemble.forward(X), outputs.mean(axis=0), "mean")
    harness.assert_norm_within("step", ensemble.std(X), outputs.std(axis=0), "spread")
    x = X[:, 3].copy()
    harness.assert_norm_within("step", ensemble.forward(x), outputs[:, :, 3].mean(axis=0), "mean")
    harness.assert_norm_within("step", ensemble.std(x), outputs[:, :, 3].std(axis=0), "spread")
    assert ensemble.std(x).dtype == ensemble.forward(x.tolist()).dtype == dtype


def test_spread_keeps_its_digits(backend):
    """Outputs of 1000 that differ by 0.001: their squares would not show it in float32."""
    nets = [fastnn.MLP([1, 1], output="linear", init="zeros") for _ in range(3)]
    for net, b in zip(nets, (1000.0, 1000.001, 1000.002)):
        net.parameters["b1"] = [[b]]
    expected = np.std([net.forward([[0.0]]) for net in nets], dtype=np.float64)
    np.testing.assert_allclose(fastnn.Ensemble(nets).std([[0.0]]), expected, rtol=1e-3)
    assert fastnn.Ensemble(nets[:1]).std([0.0]) == 0


@pytest.mark.parametrize("output", ["linear", "sigmoid", "softmax"])
def test_answers_are_those_of_the_mean(backend, output, monkeypatch):
    nets, (X, Y) = networks(output=output), examples()
    ensemble = fastnn.Ensemble(nets)
    A = ensemble.forward(X)
    expected = {
        "linear": A, "sigmoid": (A > 0.5).astype(int), "softmax": A.argmax(axis=0)
    }[output]  # fmt: skip
    if output == "softmax":
        Y = np.arange(60) % 2
    score = ensemble.score(X, Y)
    for size in (7, 1000):
        monkeypatch.setattr(fastnn.metrics, "BLOCK", size)
        for given in (X, X.tolist(), X.astype("f8")):
            P = ensemble.predict(given)
            harness.assert_norm_within("step", P.astype("f4"), expected.astype("f4"), output)
            np.testing.assert_allclose(ensemble.score(given, Y), score, rtol=1e-5)
    if output != "linear":
        right = (expected == Y) if output == "softmax" else (expected == Y).all(axis=0)
        assert score == right.mean()
    assert np.allclose(ensemble.predict(X[:, 0]), ensemble.predict(X)[..., 0], rtol=1e-5)


def test_an_ensemble_is_better_than_its_members(backend):
    """On noisy data the mean of networks errs less than they do on average."""
    rng = np.random.default_rng(0)
    x = np.linspace(-2, 2, 80)[np.newaxis]
    nets = [fastnn.MLP([1, 20, 1], output="linear", seed=seed) for seed in range(6)]
    fastnn.fit_many(
        nets,
        x,
        np.sin(2 * x) + 0.3 * rng.normal(size=x.shape),
        epochs=300,
        optimizer="adam",
        learning_rate=0.02,
    )
    ensemble = fastnn.Ensemble(nets)
    assert ensemble.score(x, np.sin(2 * x)) > np.mean([net.score(x, np.sin(2 * x)) for net in nets])
    assert len(ensemble) == 6 and "6 networks" in repr(ensemble) and ensemble.layer_sizes == (1, 1)


@pytest.mark.parametrize("others, words", [
    ([fastnn.MLP([3, 7, 2])], r"networks\[1\] has another number of inputs than networks\[0\]: 3, wanted 4"),
    ([fastnn.MLP([4, 7, 2]), fastnn.MLP([4, 7, 1])], r"networks\[2\] has another number of outputs.*: 1, wanted 2"),
    ([fastnn.MLP([4, 2], output="tanh")], "another output activation.*: tanh, wanted sigmoid"),
    ([fastnn.MLP([4, 2], dtype="f8")], "another dtype than.*: float64, wanted float32"),
])  # fmt: skip
def test_networks_that_cannot_answer_together(others, words):
    with pytest.raises(ValueError, match=words):
        fastnn.Ensemble([fastnn.MLP([4, 5, 2]), *others])


def test_bad_inputs_of_an_ensemble(backend):
    ensemble = fastnn.Ensemble(networks())
    for call in (ensemble.forward, ensemble.std, ensemble.predict):
        with pytest.raises(ValueError, match=r"X has 60 features.*did you mean X\.T\?"):
            call(examples()[0].T)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            call([np.nan] * 4)
    with pytest.raises(ValueError, match=r"Y has shape \(1, 60\), wanted \(2, 60\)"):
        ensemble.score(examples()[0], np.ones((1, 60)))


def test_it_loads_when_it_is_asked_for(run_python):
    done = run_python("""
        import sys
        import fastnn

        assert "fastnn.ensembles" not in sys.modules and "concurrent.futures" not in sys.modules
        assert "fit_many" in dir(fastnn)
        fastnn.fit_many, fastnn.Ensemble, fastnn.ensembles
        print("loaded" if "fastnn.ensembles" in sys.modules else "not there")
    """)
    assert done.stdout == "loaded\n"
