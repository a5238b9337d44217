"""The command line: `fastnn info` and `fastnn demo`."""

import json
import subprocess
import sys

import numpy as np
import pytest
from support.tables import BACKENDS, cpu_level

import fastnn
from fastnn import cli


def test_info(capsys):
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert fastnn.__version__ in out and np.__version__ in out
    assert f"cython ({cpu_level()})" in out
    assert all(name in out for name in BACKENDS)


def test_info_for_machines(capsys):
    assert cli.main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == fastnn.backend_info()


@pytest.mark.parametrize("module", ["fastnn", "fastnn.cli"])
def test_python_m(module, tmp_path):
    """`python -m fastnn` is the command too."""
    command = [sys.executable, "-m", "fastnn", "info"]
    if module == "fastnn.cli":
        command = [
            sys.executable,
            "-c",
            "from fastnn.cli import main; raise SystemExit(main())",
            "info",
        ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "backend in use" in done.stdout


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert fastnn.__version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["train"], ["demo", "--backend", "torch"], ["demo", "--seed", "-1"], ["info", "x"]],
)
def test_senseless_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage: fastnn" in capsys.readouterr().err


def test_demo(capsys, tmp_path, monkeypatch):
    """The main job, in every backend: it reaches the accuracies that it names."""
    monkeypatch.chdir(tmp_path)
    before = fastnn.backends.current
    assert cli.main(["demo", "--no-plots"]) == 0
    out = capsys.readouterr().out
    assert fastnn.backends.current is before
    assert "Every accuracy is what it should be." in out and "MISSED" not in out
    for name in BACKENDS:
        assert sum(line.strip().startswith(name) for line in out.splitlines()) == 4, out
    assert not list(tmp_path.iterdir()), "--no-plots writes nothing"


def test_demo_of_a_backend_that_cannot_be_had(capsys, monkeypatch):
    monkeypatch.setitem(fastnn.backends.loading._LOADERS, "numba", _refuse)
    monkeypatch.setattr(fastnn.backends.loading, "_loaded", {})
    assert cli.main(["demo", "--no-plots", "--backend", "numba"]) == 1
    assert "fastnn: not here today" in capsys.readouterr().err


def _refuse(simd):
    raise ImportError("not here today")
