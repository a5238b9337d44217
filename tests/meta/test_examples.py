"""The examples run, and print the finding that they promise.

They lie beside the tests.  Beside a copy of the tests alone there is nothing to run: this
file is then left out, and the header of the run says so.
"""

import os
import subprocess
import sys

import pytest
from support.tables import EXAMPLES

FINDINGS = {
    "choose_on_validation.py": "From one unit to two no mean moves",
    "hidden_activations.py": "With sigmoid it vanishes",
    "linear_activations.py": "the boundary stays a straight line",
    "loop_or_vectorised.py": "the\ngradients are the same but for rounding",
    "regression.py": "the relu output is\n0 there, by construction",
    "zero_initialisation.py": "From zero nothing moves",
}


def run(path, folder, **environment):
    command = [sys.executable, path, "--output", folder]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path, tmp_path):
    out = run(path, tmp_path)
    assert FINDINGS[path.name] in out
    (picture,) = tmp_path.iterdir()
    assert picture.suffix == ".png" and picture.stat().st_size > 5_000
    assert f"wrote {picture}" in out


@pytest.mark.parametrize("path", EXAMPLES[:1], ids=lambda path: path.name)
def test_example_without_matplotlib(path, tmp_path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "matplotlib.py").write_text("raise ImportError('not here')")
    (tmp_path / "out").mkdir()
    out = run(path, tmp_path / "out", PYTHONPATH=str(tmp_path / "hidden"))
    assert "No picture" in out and "fastnn-kernels[plot]" in out
    assert not list((tmp_path / "out").iterdir())


def test_every_example_is_known():
    assert {path.name for path in EXAMPLES} == set(FINDINGS)
