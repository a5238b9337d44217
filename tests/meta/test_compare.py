"""The comparison of two revisions: each kind of request is answered, and rightly."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from support.tables import bench_cases

import fastnn

SMALL = [
    case.name
    for case in (*bench_cases().CASES, *bench_cases().LAYERS)
    if case.flops < 5e6 and case.m > 1
]


@pytest.fixture
def worker(monkeypatch):
    """The worker, in this process: `bench` is found as its command line lets it be."""
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setattr(sys, "path", [*sys.path, str(root)])
    path = root / "bench" / "compare_worker.py"
    spec = importlib.util.spec_from_file_location("compare_worker", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Worker()


@pytest.mark.parametrize("name", SMALL)
def test_rows(worker, name):
    """Results are arrays that training or a kernel has filled, and the row runs n times."""
    cases = importlib.import_module("bench.cases")
    (case,) = (case for case in (*cases.CASES, *cases.LAYERS) if case.name == name)
    results = worker.prepare(case, "float64")
    assert all(np.isfinite(array).all() and np.any(array) for array in results.values())
    again = worker.prepare(case, "float64")
    assert {name: array.tobytes() for name, array in results.items()} == {
        name: array.tobytes() for name, array in again.items()
    }
    assert worker.seconds(2) > 0


def test_bits_tell_backends_apart(worker):
    """The fingerprints stay the same in one backend, and show another order of summation."""
    case = bench_cases().Case(
        "bits", "bits", (30, 40, 3), ("relu", "softmax"), "cross_entropy", 100
    )
    found = {}
    for name in ("cython", "numpy"):
        with fastnn.use_backend(name):
            found[name] = worker.bits(case, "float32")
            assert worker.bits(case, "float32") == found[name]
    assert all(found["cython"][name] != found["numpy"][name] for name in found["cython"])
