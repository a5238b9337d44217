"""The fixtures, and what the run says about itself.

The suite runs against whichever fastnn is installed.  It finds `bench/cases.py` beside
its own folder, so that a copy of `tests/` and `bench/` alone tests an installed wheel.
"""

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from support import harness
from support.tables import (
    BACKENDS,
    DTYPES,
    EXAMPLES,
    KERNEL_SETS,
    TOLERANCES,
    built_levels,
    cpu_level,
    runnable_levels,
)

collect_ignore = [] if EXAMPLES else ["meta/test_examples.py"]

# --- fixtures -----------------------------------------------------------------------------


@pytest.fixture(params=DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def dtype(request):
    """float32, float64."""
    return request.param


@pytest.fixture(params=KERNEL_SETS, ids=str)
def kernel_set(request):
    """Every backend at every SIMD level that this CPU runs."""
    return request.param


@pytest.fixture
def kernels(kernel_set, dtype):
    """The module of kernels of each kernel set for each dtype."""
    return kernel_set.module(dtype)


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The public API under each backend, switched with `use_backend`."""
    import fastnn

    with fastnn.use_backend(request.param):
        yield request.param


@pytest.fixture
def run_python(tmp_path):
    """A function that runs code in a new process, in an empty folder, and returns its end.

    Keywords are environment variables; those of fastnn and OpenMP are otherwise not set.
    """

    def run(code, *, check=True, timeout=120, options=(), arguments=(), **environment):
        ours = ("FASTNN_", "OMP_", "PYTHONWARNINGS")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        done = subprocess.run(
            [sys.executable, *options, "-c", textwrap.dedent(code), *arguments],
            cwd=tmp_path, env=inherited | environment, timeout=timeout,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return done

    return run


# --- what the run says about itself -------------------------------------------------------


def pytest_report_header():
    """Say what is tested, and what this machine cannot test."""
    versions = {name: _version(name) for name in ("numpy", "numba", "cython", "hypothesis")}
    here = [level for level in built_levels() if level not in runnable_levels()]
    return [
        f"fastnn {_version('fastnn-kernels')} from {_origin('fastnn')}",
        f"kernels tested: {', '.join(map(str, KERNEL_SETS))} (this CPU: {cpu_level()})",
        f"built, but not runnable on this CPU: {', '.join(here) or 'none'}",
        f"examples: {len(EXAMPLES)}" if EXAMPLES else "examples: none beside the tests, none run",
        "versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]


def pytest_terminal_summary(terminalreporter):
    """Show how much of each tolerance was used."""
    if harness.WORST:
        terminalreporter.section("tolerances: largest error met, as a share of the bound")
    for (name, dtype), worst in sorted(harness.WORST.items()):
        bound = TOLERANCES[name]
        terminalreporter.write_line(
            f"{name:20} {dtype}  {worst:6.1%} of {bound.at(dtype):g} {bound.unit}"
        )


def _version(name):
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _origin(name):
    spec = importlib.util.find_spec(name)
    return "nowhere: it is not installed" if spec is None else Path(spec.origin).parent
