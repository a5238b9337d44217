"""Choose, report, refuse; what an import may do; what a broken build must say."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support import harness
from support.tables import BACKENDS, X86_LEVELS, cpu_level, runnable_levels

import fastnn
from fastnn import backends
from fastnn.backends.choice import Refused

# --- in this process ----------------------------------------------------------------------


def test_use_backend_goes_back(backend):
    before = backends.current
    with fastnn.use_backend("numpy"):
        assert backends.current.name == "numpy"
        with fastnn.use_backend("cython"):
            assert backends.current.name == "cython"
        assert backends.current.name == "numpy"
    assert backends.current is before


def test_use_backend_goes_back_after_an_error(backend):
    before = backends.current
    with pytest.raises(LookupError), fastnn.use_backend("numpy"):
        raise LookupError
    assert backends.current is before


def test_set_backend():
    before = backends.current
    try:
        for name in BACKENDS:
            fastnn.set_backend(name)
            assert backends.current.name == name
            assert fastnn.backend_info()["active"] == name
        fastnn.set_backend("auto")
        assert backends.current.name == "cython"
    finally:
        fastnn.set_backend(before)
    assert backends.current is before


@pytest.mark.parametrize(
    "name, error",
    [
        ("tensorflow", ValueError),
        ("Cython", ValueError),
        ("", ValueError),
        (None, TypeError),
        (3, TypeError),
    ],
)
def test_unknown_backends_are_refused(name, error):
    before = backends.current
    with pytest.raises(error, match="backend must be"):
        fastnn.set_backend(name)
    with pytest.raises(error, match="backend must be"), fastnn.use_backend(name):
        raise AssertionError("the block must not run")
    assert backends.current is before


@pytest.mark.parametrize("level", runnable_levels())
def test_load_each_level(level):
    backend = backends.load("cython", simd=level)
    assert (backend.name, backend.simd) == ("cython", level)
    assert backends.load("cython", simd=level) is backend
    for dtype in (np.dtype("f4"), np.dtype("f8")):
        assert backend.kernels(dtype).__name__ == f"fastnn._simd.{level}_{dtype}"


def test_default_level_is_the_highest():
    assert backends.load("cython").simd == cpu_level()


def test_levels_that_cannot_run_are_refused():
    """Before their module is imported: to initialise it could already be fatal."""
    other = "baseline" if cpu_level() in X86_LEVELS else "v2"
    with pytest.raises(ImportError, match=f"does not run SIMD level '{other}'"):
        backends.load("cython", simd=other)
    with pytest.raises(ValueError, match="simd must be one of"):
        backends.load("cython", simd="avx2")
    with pytest.raises(ValueError, match="Cython backend alone"):
        backends.load("numpy", simd=cpu_level())


def test_report():
    info = fastnn.backend_info()
    assert set(info) == {
        "active", "simd", "refused", "simd_levels", "available", "unavailable", "threads",
        "versions",
    }  # fmt: skip
    assert info["available"] == list(BACKENDS) == list(fastnn.available_backends())
    assert info["unavailable"] == {}
    assert info["threads"] == fastnn.get_num_threads() >= 1
    assert info["versions"]["numpy"] == np.__version__
    assert info["simd_levels"]["runnable"] == list(runnable_levels())
    json.dumps(info)  # plain values: `fastnn info --json` prints it


@pytest.mark.parametrize("missing", ["Network", "dense_backward", "shuffle", "all_finite"])
def test_incomplete_kernels_are_refused(missing):
    kernels = SimpleNamespace(**vars(backends.load("numpy").kernels(np.dtype("f4"))))
    delattr(kernels, missing)
    with pytest.raises(ImportError, match=f"lacks the kernel '{missing}'"):
        backends.Backend("broken", kernels, kernels)


@pytest.mark.parametrize("table", ["ACTIVATION_CODES", "LOSS_CODES"])
def test_other_codes_are_refused(table):
    kernels = SimpleNamespace(**vars(backends.load("numpy").kernels(np.dtype("f4"))))
    codes = getattr(kernels, table)
    first, second, *_ = codes
    setattr(kernels, table, codes | {first: codes[second], second: codes[first]})
    with pytest.raises(ImportError, match=table):
        backends.Backend("broken", kernels, kernels)


def test_network_follows_the_backend():
    """A network made in one backend runs, unchanged, in the others."""
    with fastnn.use_backend("numpy"):
        net = fastnn.MLP([5, 7, 2], hidden="relu", output="linear", dtype="float64")
    before = net.parameter_vector.copy()
    X = np.random.default_rng(1).normal(size=(5, 20))
    results = {}
    for name in BACKENDS:
        with fastnn.use_backend(name):
            results[name] = net.forward(X), net.gradients(X, X[:2])[1]["dW1"]
            assert type(net.engine).__module__ == backends.current.kernels(net.dtype).__name__
    for name in BACKENDS:
        for got, want in zip(results[name], results["numpy"], strict=True):
            harness.assert_norm_within("step", got, want, name)
    assert net.parameter_vector.tobytes() == before.tobytes()


def test_threads():
    before = fastnn.get_num_threads()
    try:
        fastnn.set_num_threads(3)
        assert fastnn.get_num_threads() == 3
        for bad, error in (
            (0, ValueError),
            (-1, ValueError),
            (10**9, ValueError),
            (1.5, TypeError),
            (True, TypeError),
            ("2", TypeError),
            (None, TypeError),
        ):
            with pytest.raises(error, match="n must be an integer from 1"):
                fastnn.set_num_threads(bad)
        assert fastnn.get_num_threads() == 3
    finally:
        fastnn.set_num_threads(before)


# --- in new processes ---------------------------------------------------------------------

REPORT = """
    import json, sys, warnings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import fastnn
    modules = [m for m in sys.modules if m.startswith("fastnn._simd.")]
    heavy = [m for m in ("numba", "matplotlib", "scipy", "sklearn") if m in sys.modules]
    print(json.dumps({
        "info": fastnn.backend_info(), "modules": modules, "heavy": heavy,
        "warnings": [str(w.message) for w in caught],
        "files": sorted({w.filename for w in caught}),
    }))
"""


def report(run_python, before="", **options):
    return json.loads(run_python(before + REPORT, **options).stdout)


def test_plain_import(run_python):
    """Cython at the highest level; no other level, no Numba, no pictures, no warning."""
    got = report(run_python)
    assert (got["info"]["active"], got["info"]["simd"]) == ("cython", cpu_level())
    assert sorted(got["modules"]) == [f"fastnn._simd.{cpu_level()}_float{n}" for n in (32, 64)]
    assert got["heavy"] == []
    assert got["warnings"] == []


@pytest.mark.parametrize("name", BACKENDS)
def test_backend_from_the_environment(run_python, name):
    got = report(run_python, FASTNN_BACKEND=name)
    assert got["info"]["active"] == name
    assert got["warnings"] == []


@pytest.mark.parametrize("level", runnable_levels())
def test_level_from_the_environment(run_python, level):
    assert report(run_python, FASTNN_SIMD=level)["info"]["simd"] == level


IMPOSSIBLE = [
    ({"FASTNN_BACKEND": "torch"}, "ValueError: FASTNN_BACKEND must be one of"),
    ({"FASTNN_SIMD": "avx9"}, "ValueError: FASTNN_SIMD must be one of"),
    (
        {"FASTNN_SIMD": "baseline" if cpu_level() in X86_LEVELS else "v2"},
        "ImportError: this CPU does not run SIMD level",
    ),
]


@pytest.mark.parametrize("environment, message", IMPOSSIBLE)
def test_impossible_requests_refuse_the_import(run_python, environment, message):
    done = run_python("import fastnn", check=False, **environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(message)


@pytest.mark.parametrize("how", ["module", "script"])
@pytest.mark.parametrize("environment, message", IMPOSSIBLE)
def test_the_report_outlives_them(run_command, how, environment, message):
    """One sentence on stderr, exit code 1, and the report; the rest of the command refuses."""
    sentence = message.split(": ")[1]
    done = run_command(how, "info", **environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"fastnn: {sentence}") and len(done.stderr.splitlines()) == 1
    assert "backend in use  none" in done.stdout and "available       cython" in done.stdout

    done = run_command(how, "info", "--json", **environment)
    info = json.loads(done.stdout)
    assert done.returncode == 1
    assert info["active"] is None and info["refused"].startswith(sentence)

    done = run_command(how, "demo", "--no-plots", **environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"fastnn: {sentence}") and len(done.stderr.splitlines()) == 1


@pytest.fixture
def run_command(tmp_path):
    """A function that runs the command in a new process, by its module or by its script."""
    names = ("fastnn", "fastnn.exe")
    scripts = [path for name in names if (path := Path(sys.executable).parent / name).exists()]

    def run(how, *arguments, **environment):
        command = [sys.executable, "-m", "fastnn"] if how == "module" else scripts[:1]
        assert command, "the script fastnn is not beside this Python"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("FASTNN_")}
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=inherited | environment, timeout=120,
            capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_what_was_refused_computes_nothing():
    """Should a program pass for the command by its name, its first use is refused instead."""
    with fastnn.use_backend(Refused(ImportError("not here today"))):
        assert fastnn.backend_info()["refused"] == "not here today"
        with pytest.raises(ImportError, match="not here today"):
            fastnn.activate([[1.0]], "relu")
        with pytest.raises(ImportError, match="not here today"):
            fastnn.MLP([2, 1]).forward([[1.0], [2.0]])


def test_a_module_of_another_is_no_command(run_python, tmp_path):
    """`python -m other`, which imports fastnn, is refused like any program."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "__init__.py").write_text("import fastnn\n")
    (tmp_path / "other" / "__main__.py").write_text("print('alive')\n")
    code = """
        import subprocess, sys
        done = subprocess.run([sys.executable, "-m", "other"], capture_output=True, text=True)
        assert done.returncode == 1, done
        print(done.stderr)
    """
    out = run_python(code, FASTNN_BACKEND="torch").stdout
    assert "ValueError: FASTNN_BACKEND must be one of" in out


def test_a_better_request_is_heard(run_python):
    """In a notebook the environment is mended and the import tried again."""
    code = """
        import os
        try:
            import fastnn
        except ValueError as error:
            print(error)
        os.environ["FASTNN_SIMD"] = ""
        import fastnn
        print(fastnn.backend_info()["active"], fastnn.backends.load("cython").name)
    """
    refused, active = run_python(code, FASTNN_SIMD="avx9").stdout.splitlines()
    assert refused.startswith("FASTNN_SIMD must be one of")
    assert active == "cython cython"


@pytest.mark.parametrize(
    "environment, threads",
    [
        ({"FASTNN_NUM_THREADS": "3", "OMP_NUM_THREADS": "5"}, 3),
        ({"OMP_NUM_THREADS": "5,2"}, 5),
        ({"FASTNN_NUM_THREADS": "", "OMP_NUM_THREADS": "4"}, 4),
    ],
)
def test_threads_from_the_environment(run_python, environment, threads):
    got = report(run_python, **environment)
    assert got["info"]["threads"] == threads
    assert got["warnings"] == []


@pytest.mark.parametrize("value", ["many", "0", "-2", "1.5"])
def test_threads_that_make_no_sense_are_ignored_aloud(run_python, value):
    got = report(run_python, FASTNN_NUM_THREADS=value)
    assert got["info"]["threads"] == report(run_python)["info"]["threads"]
    assert len(got["warnings"]) == 1 and "FASTNN_NUM_THREADS" in got["warnings"][0]
    assert got["files"] == ["<string>"], "the line that imports fastnn is the one to look at"


BLOCK = """
    import sys
    class Block:
        def find_spec(self, name, path=None, target=None):
            if name == "{name}" or name.startswith("{name}."):
                raise {error}
    sys.meta_path.insert(0, Block())
"""


@pytest.mark.parametrize("broken", ["fastnn._cpu", "fastnn._simd"])
def test_broken_extension_says_so(run_python, broken):
    """It must not just look slow: one warning, with the reason and the command that helps."""
    block = BLOCK.format(name=broken, error='ImportError("undefined symbol: frobnicate")')
    got = report(run_python, block)
    assert got["info"]["active"] == "numpy"
    assert len(got["warnings"]) == 1
    assert "frobnicate" in got["warnings"][0] and "pip install" in got["warnings"][0]
    assert got["files"] == ["<string>"], "the line that imports fastnn is the one to look at"
    assert "frobnicate" in got["info"]["unavailable"]["cython"]
    done = run_python(block + "\n    import fastnn", check=False, FASTNN_BACKEND="cython")
    assert "ImportError" in done.stderr and "frobnicate" in done.stderr
    assert report(run_python, block, FASTNN_BACKEND="numpy")["warnings"] == []


def test_missing_numba_says_so(run_python):
    block = BLOCK.format(name="numba", error='ModuleNotFoundError("No module", name="numba")')
    got = report(run_python, block)
    assert got["info"]["available"] == ["cython", "numpy"]
    assert "fastnn-kernels[numba]" in got["info"]["unavailable"]["numba"]
    assert got["warnings"] == []
    done = run_python(block + "\n    import fastnn", check=False, FASTNN_BACKEND="numba")
    assert "ImportError" in done.stderr and "fastnn-kernels[numba]" in done.stderr


def test_missing_numba_in_the_report(run_python):
    """As the script `fastnn` runs it, where Numba is asked for and absent."""
    block = BLOCK.format(name="numba", error='ModuleNotFoundError("No module", name="numba")')
    code = (
        block
        + """
    sys.argv = ["/somewhere/bin/fastnn", "info"]
    from fastnn.cli import main
    raise SystemExit(main())
    """
    )
    done = run_python(code, check=False, FASTNN_BACKEND="numba")
    assert done.returncode == 1
    assert done.stderr.startswith("fastnn: the Numba backend does not load")
    assert len(done.stderr.splitlines()) == 1
    assert "pip install 'fastnn-kernels[numba]' brings it" in done.stderr
    assert "backend in use  none" in done.stdout and "available       cython" in done.stdout


@pytest.fixture
def without_extension(tmp_path):
    """A copy of the installed package with everything compiled left out."""
    package = Path(fastnn.__file__).parent
    skip = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(package, tmp_path / "fastnn", ignore=skip)
    return tmp_path


ALONE = {"options": ["-S"], "PYTHONPATH": str(Path(np.__file__).parents[1])}
"""NumPy is found, but no hook of an editable installation that would find the rest of fastnn."""


def test_source_tree_that_is_not_built_says_so(run_python, without_extension):
    for name in ("setup.py", "pyproject.toml"):
        (without_extension / name).touch()
    got = report(run_python, **ALONE)
    assert got["info"]["active"] == "numpy"
    assert len(got["warnings"]) == 1
    assert "not built" in got["warnings"][0] and "pip install -e ." in got["warnings"][0]


def test_installation_without_extension_is_silent(run_python, without_extension):
    """FASTNN_NO_EXTENSIONS=1 was somebody's choice; the report still says what is missing."""
    got = report(run_python, **ALONE)
    assert got["info"]["active"] == "numpy"
    assert got["warnings"] == []
    assert "without its compiled extension" in got["info"]["unavailable"]["cython"]


@pytest.mark.parametrize("name", BACKENDS)
def test_floating_point_environment_is_left_alone(run_python, name):
    """Subnormals are kept by the whole process, as they were before the import."""
    code = """
        import numpy as np
        before = repr(np.finfo("f4")), repr(np.finfo("f8"))
        import fastnn
        net = fastnn.MLP([3, 4, 1])
        net.fit(np.ones((3, 8)), np.ones((1, 8)), epochs=3)
        assert (repr(np.finfo("f4")), repr(np.finfo("f8"))) == before
        for dtype in ("f4", "f8"):
            tiny = np.full(9, np.finfo(dtype).tiny)
            assert (tiny / 2 > 0).all() and (tiny / 4 + tiny / 4 == tiny / 2).all()
        print("kept")
    """
    assert run_python(code, FASTNN_BACKEND=name).stdout == "kept\n"


def test_the_hot_variables_are_read_at_full_speed():
    """Python does not specialise reading from a module that has a __getattr__ of its own."""
    assert {"current", "num_threads"} <= set(vars(backends))
    assert "__getattr__" not in vars(backends)
