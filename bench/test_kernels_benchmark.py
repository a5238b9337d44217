"""Entries for pytest-benchmark, to compare the kernels of two commits::

    pytest bench --benchmark-autosave          # on the one, then on the other
    pytest-benchmark compare --group-by=name

The backend is the one in use: FASTNN_BACKEND and FASTNN_SIMD choose another.  Each result
is verified before it is timed.  The ordinary ``pytest`` does not collect this file.
"""

import pytest

from bench import verify
from bench.cases import LAYERS, small
from bench.contenders.fastnn_backends import Fastnn
from bench.work import work_of
from fastnn import backends

CASES = (*LAYERS, *small())

EPOCHS = 20
"""Of each timed `fit`, so that its checks do not count."""


@pytest.fixture(autouse=True)
def same_backend():
    """Leave the backend as it was."""
    with backends.use_backend(backends.current):
        yield


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_speed(benchmark, case, dtype):
    work, backend = work_of(case, dtype), backends.current
    expected = Fastnn(backends.load("numpy")).prepare(work).results()
    runner = Fastnn(backend).prepare(work)
    verify.check(case, expected, runner.results(), verify.tolerance(dtype))
    benchmark.group = case.kind
    benchmark.extra_info.update(backend=repr(backend), flops=case.flops)
    runner.reset()
    benchmark(runner.run, EPOCHS if case.kind in ("step", "epoch") else 1)
