"""The benchmarks' table of cases, which the tests share."""

import numpy as np
from support import harness
from support.tables import ACTIVATIONS, PAIRS, bench_cases

import fastnn

cases = bench_cases()


def test_names_are_unique():
    names = [case.name for case in cases.CASES]
    assert len(set(names)) == len(names)


def test_rows_make_sense():
    for case in cases.CASES:
        assert case.kind in ("forward", "step", "epoch")
        assert len(case.activations) == len(case.layer_sizes) - 1
        assert set(case.activations) <= set(ACTIVATIONS)
        assert (case.loss, case.activations[-1]) in PAIRS
        assert case.m >= 1
        assert (case.batch_size is not None) == (case.kind == "epoch")
        assert case.kind in case.name and f"m={case.m}" in case.name


def test_counts():
    """Parameters as the network counts them; flops by hand for one case of each kind."""
    for case in cases.small(1e9):
        net = fastnn.MLP(case.layer_sizes)
        assert case.parameters == net.parameter_vector.size
    by_name = {case.name: case for case in cases.CASES}
    assert by_name["forward 4-16-1 m=1"].flops == 2 * (4 * 16 + 16 * 1)
    # A step: three products for layer 2, two for layer 1, which needs no dA_prev.
    assert by_name["step 2-4-1 m=400"].flops == 2 * 400 * (2 * 2 * 4 + 3 * 4 * 1)


def test_from_the_flower_to_the_machines_peak():
    sizes = {case.layer_sizes for case in cases.CASES}
    assert (2, 4, 1) in sizes and (784, 1024, 1024, 10) in sizes
    assert {case.kind for case in cases.CASES} == {"forward", "step", "epoch"}


def test_small():
    assert cases.small(1e4) and all(case.flops <= 1e4 for case in cases.small(1e4))
    assert len(cases.small(float("inf"))) == len(cases.CASES)


def test_epochs_of_the_table(backend):
    """The mini-batch cases, as the benchmark will run them, against NumPy's kernels."""
    for case in cases.small(60e6):
        if case.kind != "epoch":
            continue
        ends = []
        for name in ("numpy", backend):
            rng = np.random.default_rng(0)
            X = rng.normal(size=(case.layer_sizes[0], case.m)).astype("f4")
            Y = harness.targets(case.loss, case.layer_sizes[-1], case.m, np.float32)
            with fastnn.use_backend(name):
                net = fastnn.MLP(
                    case.layer_sizes, list(case.activations[:-1]), case.activations[-1], case.loss
                )
                net.fit(X, Y, epochs=1, learning_rate=0.1, batch_size=case.batch_size, seed=1)
            ends.append(net.parameter_vector)
        harness.assert_norm_within("trace", ends[1], ends[0], case.name)
