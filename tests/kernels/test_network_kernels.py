"""The network kernels of every backend and SIMD level: forward, gradients, training."""

from itertools import cycle

import numpy as np
import pytest
from support import harness, network_checks
from support.tables import NETWORKS, PAIRS, NetworkCase, bench_cases

MINI_BATCH = 16
LEARNING = [
    NetworkCase((7, 9, 3), (hidden,), loss, output, 61)
    for (loss, output), hidden in zip(PAIRS, cycle(("tanh", "leaky_relu", "sigmoid", "relu")))
]
"""Each loss with each of its outputs, and each hidden activation; 61 leaves a small last batch."""

BENCHED = [
    NetworkCase(case.layer_sizes, case.activations[:-1], case.loss, case.activations[-1], case.m)
    for case in bench_cases().small(12e6)
    if case.kind != "forward"
]
"""The benchmarks' own networks that take no more than 12 million flops a step."""

LARGE = NetworkCase((800, 5, 1), ("tanh",), "binary_cross_entropy", "sigmoid", 2011)
"""6 MB of float32 examples."""

THREADED = [
    NetworkCase((37, 53, 7), ("relu",), "cross_entropy", "softmax", 1613),
    NetworkCase((64, 128, 128, 10), ("tanh", "relu"), "cross_entropy", "softmax", 1061),
    NetworkCase((2, 4, 1), ("tanh",), "binary_cross_entropy", "sigmoid", 400),
]
"""Large enough to be worth several threads, and small enough not to be."""


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_forward(kernels, dtype, case):
    network_checks.check_network_forward(kernels, dtype, case)


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_cost_and_gradients(kernels, dtype, case):
    network_checks.check_gradients(kernels, dtype, case)


@pytest.mark.parametrize("case", BENCHED, ids=str)
def test_benchmarked_networks(kernels, dtype, case):
    network_checks.check_gradients(kernels, dtype, case)


def test_parameters_are_held_not_copied(kernels, dtype):
    network_checks.check_held_parameters(kernels, dtype, NETWORKS[3])


@pytest.mark.parametrize("batch_size", [None, MINI_BATCH])
@pytest.mark.parametrize("case", LEARNING, ids=str)
def test_trace(kernels, dtype, case, batch_size):
    network_checks.check_trace(kernels, dtype, case, batch_size)


@pytest.mark.parametrize("case", BENCHED[:1], ids=str)
def test_trace_of_the_flower(kernels, dtype, case):
    network_checks.check_trace(kernels, dtype, case)


@pytest.mark.parametrize("batch_size", [2, 7, MINI_BATCH, 60])
def test_one_epoch_by_hand(kernels, dtype, batch_size):
    network_checks.check_epoch_by_hand(kernels, dtype, LEARNING[7], batch_size)


@pytest.mark.parametrize("batch_size", [1, 7, 61, 100])
def test_without_order(kernels, dtype, batch_size):
    network_checks.check_unshuffled(kernels, dtype, LEARNING[0], batch_size)


@pytest.mark.parametrize("batch_size", [64, 700])
def test_more_than_the_caches_hold(kernels, dtype, batch_size):
    """Batches too many to be packed at one time, and batches of several blocks."""
    network_checks.check_epoch_by_hand(kernels, dtype, LARGE, batch_size)
    network_checks.check_unshuffled(kernels, dtype, LARGE, batch_size)


def test_no_epochs_change_nothing(kernels, dtype):
    case = LEARNING[0]
    costs, parameters, _ = network_checks.trained(kernels, case, dtype, 0)
    assert costs.size == 0
    harness.assert_same_bits(parameters, network_checks.parameters_of(case, dtype))


@pytest.mark.parametrize("batch_size", [None, 64])
@pytest.mark.parametrize("case", THREADED, ids=str)
def test_same_bits_for_any_threads(kernel_set, dtype, case, batch_size, monkeypatch):
    kernels = kernel_set.module(dtype)
    if kernel_set.backend == "cython":  # which else takes no more threads than processors
        monkeypatch.setattr(kernels, "sched_getaffinity", lambda process: range(8))
    for rule in ("plain", "all"):
        network_checks.check_same_bits(kernels, dtype, case, batch_size, rule)


@pytest.mark.parametrize("case", [NETWORKS[i] for i in (2, 9, 14, 15, 16)], ids=str)
def test_try_forward(kernels, dtype, case):
    network_checks.check_try_forward(kernels, dtype, case)


@pytest.mark.parametrize("case", [NETWORKS[i] for i in (2, 9, 14, 16)], ids=str)
def test_try_forward_into(kernels, dtype, case):
    network_checks.check_try_forward_into(kernels, dtype, case)


RULED = [
    NetworkCase((7, 17, 9, 3), ("tanh", "gelu"), "cross_entropy", "softmax", 61),
    NetworkCase((7, 9, 1), ("leaky_relu",), "huber", "linear", 61),
    NetworkCase((3, 9, 17, 2), ("sigmoid", "relu"), "mse", "gelu", 700),
]
"""Two hidden layers, with and without D; one; and batches of several blocks."""


@pytest.mark.parametrize("batch_size", [None, MINI_BATCH])
@pytest.mark.parametrize("name", network_checks.RULES)
@pytest.mark.parametrize("case", RULED, ids=str)
def test_rules(kernels, dtype, case, name, batch_size):
    network_checks.check_rule(kernels, dtype, case, name, batch_size)


@pytest.mark.parametrize("name", network_checks.RULES)
def test_steps_in_calls(kernels, dtype, name):
    network_checks.check_steps_in_calls(kernels, dtype, RULED[0], name)


@pytest.mark.parametrize("case", [NETWORKS[i] for i in (0, 3, 9, 14, 18)], ids=str)
def test_weights(kernels, dtype, case):
    network_checks.check_weights(kernels, dtype, case)


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_backward(kernels, dtype, case):
    network_checks.check_backward(kernels, dtype, case)


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_jacobian(kernels, dtype, case):
    network_checks.check_jacobian(kernels, dtype, case)


WIDE = NetworkCase((75, 12, 3), ("tanh",), "cross_entropy", "softmax", 101)


@pytest.mark.parametrize("batch_size", [7, 16, 45, 101])
@pytest.mark.parametrize("case", [WIDE, WIDE._replace(layer_sizes=(32, 40, 3))], ids=str)
def test_example_major(kernels, dtype, case, batch_size):
    network_checks.check_example_major(kernels, dtype, case, batch_size)


OWN = NetworkCase((7, 17, 9, 3), ("tanh", "silu"), "mse", "linear", 61)


@pytest.mark.parametrize("name", [n for n, r in network_checks.RULES.items() if not r.weighted])
@pytest.mark.parametrize("case", [OWN, OWN._replace(m=1500)], ids=str)
def test_own_loop(kernels, dtype, case, name):
    network_checks.check_own_loop(kernels, dtype, case, name)


@pytest.mark.parametrize("case", [c for c in NETWORKS if 2 < c.m < 100], ids=str)
def test_accepts(kernels, dtype, case):
    network_checks.check_accepts(kernels, dtype, case)


@pytest.mark.parametrize("name", ["plain", "adam"])
@pytest.mark.parametrize("case", [c for c in NETWORKS if 2 < c.m < 100], ids=str)
def test_try_step(kernels, dtype, case, name):
    network_checks.check_try_step(kernels, dtype, case, name)


@pytest.mark.parametrize("case", [*NETWORKS[:4], *RULED], ids=str)
def test_no_examples(kernels, dtype, case):
    network_checks.check_no_examples(kernels, dtype, case)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_stays_in_its_column(kernels, dtype, bad):
    """Kernels do not check: a bad example spoils its own output and no other."""
    case = NETWORKS[9]
    X, _ = network_checks.examples(case, dtype)
    net = network_checks.network(kernels, case, network_checks.parameters_of(case, dtype))
    expected, actual = np.empty((10, case.m), dtype), np.empty((10, case.m), dtype)
    net.forward(X, expected)
    X[5, 41] = bad
    with np.errstate(invalid="ignore"):
        net.forward(X, actual)
    assert np.isnan(actual[:, 41]).all() or bad == np.inf
    others = np.delete(np.arange(case.m), 41)
    harness.assert_norm_within("step", actual[:, others], expected[:, others], case)
