"""The project's chores: ``nox -l`` lists them, ``nox -s NAME`` does one, ``nox`` the quick ones.

Each session has an environment of its own under ``.nox/``; what follows ``--`` goes to pytest:
``nox -s tests -- tests/kernels -k softmax``.  Times are of two cores.
"""

import os
import platform
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_external_run = True

OLDEST = ("numpy==2.0.*", "cython==3.1.*", "numba==0.61.*", "setuptools==77.*")
PYTORCH = "torch==2.13.*"  # the judge stays the same until somebody changes it
PYTORCH_WITHOUT_CUDA = "https://download.pytorch.org/whl/cpu"
SYSTEM = {"external": True}


def build(session, *requirements, env=None):
    """Build in a copy of the project, with this environment's tools; the session goes on there.

    What the project's own folder holds was built otherwise, and stays as it is.
    """
    copy = copy_of_the_project(session)
    session.chdir(copy)
    session.install("wheel", *(requirements or ("cython>=3.1", "numpy>=2.0", "setuptools>=77")))
    session.install("--no-build-isolation", "-e", ".[test]", *requirements, env=env)


def copy_of_the_project(session):
    """What git tracks or would track, in a folder of this session."""
    copy = Path(session.create_tmp()).resolve() / "project"
    shutil.rmtree(copy, ignore_errors=True)
    listing = session.run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", silent=True, **SYSTEM
    )
    for name in filter(os.path.isfile, listing.splitlines()):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, copy / name)
    return copy


def kernel_level():
    """The SIMD level that this CPU runs: the one to build where one is enough."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return "baseline"
    flags = Path("/proc/cpuinfo").read_text().split()
    return "v4" if "avx512vl" in flags else "v3" if "avx2" in flags else "v2"


# --- the tests ----------------------------------------------------------------------------


@nox.session
def tests(session):
    """The whole suite against an editable installation (8 minutes)."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def wheel(session):
    """The whole suite against the wheel, outside the checkout (9 minutes)."""
    outside = Path(session.create_tmp()) / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    session.run("pip", "wheel", "--quiet", "--no-deps", "-w", str(outside / "dist"), ".")
    (built,) = (outside / "dist").glob("*.whl")
    session.install(f"{built}[test]")
    for name in ("tests", "bench", "examples"):
        shutil.copytree(name, outside / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("pyproject.toml", outside)
    session.chdir(outside)
    session.run("pytest", *session.posargs)


@nox.session
def oldest(session):
    """The kernels and the API with the oldest NumPy, Cython and Numba allowed (8 minutes)."""
    build(session, *OLDEST)
    session.run("pytest", *(session.posargs or ["tests/kernels", "tests/api"]))


@nox.session
def truth(session):
    """The optimizers and all derivatives against PyTorch's, for every backend (2 minutes)."""
    # What PyTorch itself needs comes with it from the usual index; where the other cannot be
    # reached, so does PyTorch, which may be gigabytes then.
    session.install("--no-deps", PYTORCH, "--extra-index-url", PYTORCH_WITHOUT_CUDA)
    session.install(PYTORCH)
    build(session, env={"FASTNN_SIMD_LEVELS": kernel_level()})
    session.run("pytest", *(session.posargs or ["tests/truth"]))


@nox.session
def clang(session):
    """The kernels, compiled by clang (4 minutes)."""
    if not shutil.which("clang"):
        session.error("clang is missing: apt-get install clang")
    build(session, env={"CC": "clang", "LDSHARED": "clang -shared"})
    session.run("pytest", *(session.posargs or ["tests/kernels", "-k", "not numba"]))


@nox.session
def fuzz(session):
    """A million damaged and hostile files for `fastnn.load` (2 minutes)."""
    session.install("-e", ".", env={"FASTNN_SIMD_LEVELS": kernel_level()})
    session.run("python", "tests/fuzz/fuzz_files.py", *session.posargs)


@nox.session
def coverage(session):
    """The suite's coverage of the Python files, as a table (10 minutes)."""
    session.install("-e", ".[test]", "coverage[toml]")
    session.run("coverage", "run", "-m", "pytest", "-q", *session.posargs)
    session.run("coverage", "report")


@nox.session
def docs_blocks(session):
    """Every block of code in the README, the docs, the docstrings, and every example (1 minute)."""
    session.install("-e", ".[test,plot]")
    session.run("pytest", "tests/meta", "-k", "readme or docs or docstring or example")


# --- what reads the sources ---------------------------------------------------------------


@nox.session
def lint(session):
    """ruff and cython-lint (half a minute)."""
    session.install("ruff", "cython-lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("cython-lint", "fastnn")


@nox.session
def types(session):
    """mypy --strict, and the stubs against the compiled modules (2 minutes)."""
    session.install("mypy", "-e", ".[numba,plot]", env={"FASTNN_SIMD_LEVELS": kernel_level()})
    session.run("mypy")
    level = kernel_level()
    session.run(
        "stubtest", "--mypy-config-file", "pyproject.toml",
        "--allowlist", "tests/meta/stubtest_allowlist.txt", "fastnn._cpu",
        f"fastnn._simd.{level}_float32", f"fastnn._simd.{level}_float64",
    )  # fmt: skip


# --- sanitizers ---------------------------------------------------------------------------


def sanitized(session, flags):
    """Build the CPU's own level with a sanitizer of GCC, and nothing else of it."""
    options = f"-fsanitize={flags} -fno-omit-frame-pointer -fno-sanitize-recover=all"
    env = {
        "CC": "gcc",
        "CFLAGS": options,
        "LDFLAGS": options,
        "FASTNN_SIMD_LEVELS": kernel_level(),
    }
    build(session, env=env)


def runtime(session, *names):
    """The sanitizers' libraries, for a Python that was linked without them."""
    return " ".join(
        session.run("gcc", f"-print-file-name={name}", silent=True, **SYSTEM).strip()
        for name in names
    )


@nox.session
def sanitizers(session):
    """The kernels' tests under AddressSanitizer and UBSan (6 minutes)."""
    sanitized(session, "address,undefined")
    env = {
        # libstdc++ comes along, so that exceptions of other libraries find their handlers.
        "LD_PRELOAD": runtime(session, "libasan.so", "libubsan.so", "libstdc++.so"),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps what it has until it ends
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",  # so that each object has fences of its own
    }
    python = Path(session.virtualenv.bin) / "python"
    keep = f"cython-{kernel_level()} or team"
    session.run(
        str(python), "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider",
        *(session.posargs or ["tests/kernels", "-k", keep]), env=env,
    )  # fmt: skip


@nox.session
def races(session):
    """Teams of threads that form and dissolve, under ThreadSanitizer (4 minutes)."""
    sanitized(session, "thread")
    env = {
        "LD_PRELOAD": runtime(session, "libtsan.so"),
        "TSAN_OPTIONS": "halt_on_error=1:exitcode=66:report_signal_unsafe=0",
        "OPENBLAS_NUM_THREADS": "1",
    }
    python = Path(session.virtualenv.bin) / "python"
    # Without random addresses: ThreadSanitizer of GCC 12 wants memory where it used to be.
    session.run("setarch", "-R", str(python), "tests/support/many_teams.py", env=env, **SYSTEM)


# --- another architecture -----------------------------------------------------------------

ARM = "aarch64-linux-gnu"
ARM_PACKAGES = (
    "libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5 libsqlite3-0 "
    "libuuid1 libcrypt1 libncursesw6 libtinfo6 libreadline8 libpython3.11-minimal "
    "libpython3.11-stdlib python3.11-minimal libpython3.11-dev"
).split()
ARM_BUILD = """
import platform, runpy, sys
platform.machine = lambda: "aarch64"
sys.argv = ["setup.py", "build_ext", "--inplace"]
runpy.run_path("setup.py", run_name="__main__")
"""


@nox.session
def emulation(session):
    """The kernels at the baseline level, cross-built for ARM, under qemu (25 minutes).

    Debian 12 or a child of it, with qemu-user-static and gcc-aarch64-linux-gnu installed.
    """
    for tool in ("qemu-aarch64-static", f"{ARM}-gcc"):
        if not shutil.which(tool):
            session.error("missing: apt-get install qemu-user-static gcc-aarch64-linux-gnu")
    work = Path(session.create_tmp()).resolve()
    root, site = work / "root", work / "site"
    if not root.exists():
        _unpack_arm_python(session, work / "debs", root)
    shutil.rmtree(site, ignore_errors=True)
    project = copy_of_the_project(session)
    session.install("pip", "cython>=3.1", "numpy>=2.0", "setuptools>=77")
    session.run(
        "pip", "install", "--quiet", "--target", str(site), "--python-version", "3.11",
        "--platform", "manylinux_2_28_aarch64", "--platform", "manylinux_2_27_aarch64",
        "--platform", "manylinux2014_aarch64", "--only-binary", ":all:",
        "numpy", "pytest", "hypothesis", "mpmath",
    )  # fmt: skip
    session.chdir(project)
    session.run(
        "python", "-c", ARM_BUILD,
        env={
            "CC": f"{ARM}-gcc",
            "LDSHARED": f"{ARM}-gcc -shared",
            "CFLAGS": f"-I{root}/usr/include -I{root}/usr/include/python3.11",
            "SETUPTOOLS_EXT_SUFFIX": f".cpython-311-{ARM}.so",
        },
    )  # fmt: skip
    session.run(
        "qemu-aarch64-static", "-L", str(root), str(root / "usr/bin/python3.11"), "-m", "pytest",
        "-q", "-p", "no:cacheprovider", *(session.posargs or ["tests/kernels", "-k", "baseline"]),
        env={"PYTHONPATH": f"{project}:{site}", "OPENBLAS_NUM_THREADS": "1"},
        **SYSTEM,
    )  # fmt: skip


def _unpack_arm_python(session, debs, root):
    """Debian's Python for ARM, unpacked rather than installed."""
    debs.mkdir(exist_ok=True)
    session.run("dpkg", "--add-architecture", "arm64", **SYSTEM)
    session.run("apt-get", "update", "-qq", **SYSTEM)
    with session.chdir(debs):
        session.run("apt-get", "download", *(f"{name}:arm64" for name in ARM_PACKAGES), **SYSTEM)
    for deb in debs.glob("*.deb"):
        session.run("dpkg-deb", "-x", str(deb), str(root), **SYSTEM)
