"""Any layout of the arrays gives the same numbers, and nothing else is touched."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import harness, layout_checks, network_checks
from support.tables import NETWORKS, NetworkCase

NAMES = list(harness.LAYOUTS)
sizes = st.integers(1, 70)


@pytest.mark.parametrize("layout", NAMES)
def test_every_array_in_one_layout(kernels, dtype, layout):
    for n_out, n_in, m in ((3, 9, 17), (17, 8, 48), (49, 65, 7)):
        layout_checks.check_layouts(kernels, dtype, n_out, n_in, m, lambda i: layout)


@pytest.mark.parametrize("position", range(4))
def test_one_array_in_another_layout(kernels, dtype, position):
    """The array at `position` alone: a mix-up of two arrays' strides shows here."""
    for layout in NAMES:
        chosen = ["C"] * position + [layout] + ["C"] * 5
        layout_checks.check_layouts(kernels, dtype, 9, 17, 33, chosen.__getitem__)


@settings(
    derandomize=True, database=None, max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    shape=st.tuples(sizes, sizes, sizes),
    layouts=st.lists(st.sampled_from(NAMES), min_size=6, max_size=6),
)
def test_any_mixture(kernels, dtype, shape, layouts):
    layout_checks.check_layouts(kernels, dtype, *shape, lambda i: layouts[i])


@pytest.mark.parametrize("layout", NAMES)
def test_networks(kernels, dtype, layout):
    for case in (NETWORKS[3], NETWORKS[9], NetworkCase((2, 4, 1), ("tanh",), "mse", "linear", 1)):
        other = NAMES[(NAMES.index(layout) + 4) % len(NAMES)]
        layout_checks.check_network_layouts(kernels, dtype, case, layout, other)


def test_strides_of_more_than_32_bits(kernels, dtype, tmp_path):
    """The last column lies 2^31 elements after the first, in a file that is almost all hole."""
    m, apart = 9, (1 << 28) + 1
    shape = 3, (m - 1) * apart + 1
    rows = np.memmap(tmp_path / "sparse", dtype, "w+", shape=(1, shape[1] + 2))
    # Three rows that start one element after another: row i, column j is at i + j * apart.
    X = np.lib.stride_tricks.as_strided(
        np.asarray(rows), (3, m), (rows.itemsize, apart * rows.itemsize)
    )
    (values,) = harness.normal(dtype, X.shape)
    X[...] = values
    case = NetworkCase((3, 5, 2), ("tanh",), "mse", "linear", m)
    net = network_checks.network(kernels, case, network_checks.parameters_of(case, dtype))
    A, expected, Y = np.empty((2, m), dtype), np.empty((2, m), dtype), np.ones((2, m), dtype)
    net.forward(X, A)
    net.forward(values, expected)
    harness.assert_norm_within("step", A, expected, "forward")
    ends = []
    for x in (X, values):
        net = network_checks.network(kernels, case, network_checks.parameters_of(case, dtype))
        order = np.arange(m, dtype=np.uint32)[None, ::-1].copy()
        network_checks.train_plainly(net, x, Y, order, 4, 0.1, np.empty(1))
        ends.append(np.asarray(net.parameters))
    harness.assert_norm_within("step", ends[0], ends[1], "train")
    W, b = harness.normal(dtype, (4, 3), (4, 1))
    A, expected = np.empty((4, m), dtype), np.empty((4, m), dtype)
    kernels.dense_forward(W, b, X, harness.CODES["relu"], 0.0, A)
    kernels.dense_forward(W, b, values, harness.CODES["relu"], 0.0, expected)
    harness.assert_norm_within("step", A, expected, "dense_forward")
    assert kernels.all_finite(X)
    X[2, m - 1] = np.nan
    assert not kernels.all_finite(X)


def test_repeated_column(kernels, dtype):
    """A stride of zero: one example, broadcast to many without a copy."""
    case = NETWORKS[3]
    net = network_checks.network(kernels, case, network_checks.parameters_of(case, dtype))
    (x,) = harness.normal(dtype, (case.layer_sizes[0], 1))
    X = np.broadcast_to(x, (x.shape[0], 19))
    many, one = np.empty((3, 19), dtype), np.empty((3, 1), dtype)
    net.forward(X, many)
    net.forward(x, one)
    harness.assert_norm_within("step", many, np.repeat(one, 19, axis=1), case)
