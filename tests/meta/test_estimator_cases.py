"""The cases of `bench.estimators` run, in small, and a result that differs is told."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn


@pytest.fixture
def bench(monkeypatch):
    """The benchmark: `bench` is found as its command line lets it be."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).resolve().parents[2])])
    from bench import estimators

    return estimators


@pytest.fixture
def once(bench):
    """A single round."""
    from bench.timing import Effort

    return Effort(0.0, 0.0, 1, 1)


def test_names_are_unique(bench):
    names = [case.name for case in bench.CASES]
    assert len(set(names)) == len(names)
    assert int(np.prod([len(values) for values in bench.GRID.values()])) == 24


def test_cases_run(bench, once):
    """Each with few examples, epochs and rows, and a search over two settings."""
    for case in bench.CASES:
        small = case._replace(max_iter=3, rows=min(case.rows, 50))
        row = bench.measure(small, once, grid={"alpha": [1e-4, 1e-2]}, examples=90)
        assert not row.wrong, f"{case.name}: {row.wrong}"
        assert len(row.times) == len(row.scores) == 2 and row.ratio > 0
        assert row.epochs == ((3, 3) if case.kind == "fit" else ())


def test_another_curve_is_told(bench, once, monkeypatch):
    case = bench.CASES[0]._replace(max_iter=3)
    whole = fastnn.MLPClassifier.__init__

    def penalized(self, **arguments):
        whole(self, **arguments | {"alpha": 1.0})

    monkeypatch.setattr(fastnn.MLPClassifier, "__init__", penalized)
    row = bench.measure(case, once, examples=90)
    assert "loss curves differ" in row.wrong and row.times == ()


def test_another_score_is_told(bench, once, monkeypatch):
    case = bench.CASES[0]._replace(max_iter=3, settings="lbfgs")
    monkeypatch.setattr(fastnn.MLPClassifier, "score", lambda self, x, y: 1.5)
    assert "score 1.5" in bench.measure(case, once, examples=90).wrong
