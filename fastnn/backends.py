"""Which kernels run: choose a backend, report on it, refuse what cannot be had.

Three modules export the same kernels (the contract is the docstring of
``_kernels_numpy``): the compiled ones, Numba's, and NumPy's, which are the reference.
`current` is the backend in use.  It is chosen when fastnn is imported, from the
environment:

FASTNN_BACKEND
    "auto" (the default), "cython", "numba" or "numpy".  "auto" is Cython if the compiled
    extension loads, else NumPy, with a warning if the extension should have loaded; it
    never imports Numba.  Anything else is an explicit request: fastnn is not imported
    if it cannot be met.
FASTNN_SIMD
    "v2", "v3" or "v4" on x86-64, "baseline" elsewhere: the SIMD level of the compiled
    kernels, in place of the highest that was built and that this CPU runs.
FASTNN_NUM_THREADS, OMP_NUM_THREADS
    The most threads that a call may use.  The first that is set counts; if neither is,
    it is the number of CPUs that this process may run on.  A value that is not an
    integer >= 1 is ignored with a warning.
"""

import importlib
import os
import sys
import warnings
from contextlib import contextmanager

import numpy as np

from fastnn import _kernels_numpy, checks
from fastnn.activations import ACTIVATIONS
from fastnn.losses import LOSSES

__all__ = [
    "Backend",
    "available_backends",
    "backend_info",
    "current",
    "get_num_threads",
    "load",
    "set_backend",
    "set_num_threads",
    "simd_levels",
    "use_backend",
]

NAMES = ("cython", "numba", "numpy")
LEVELS = ("v2", "v3", "v4")
"""x86-64 microarchitecture levels, each including the one before: v3 has AVX2 and FMA,
v4 AVX-512.  Other processors have the one level "baseline"."""
MAX_THREADS = 1024
_GET_NUMBA = "pip install 'fastnn[numba]' brings it"


class Backend:
    """One set of kernels.

    Parameters
    ----------
    name : str
        "cython", "numba" or "numpy"; a test may give another.
    float32, float64 : module
        The kernels for each dtype; they may be the same module.
    simd : str, optional
        SIMD level for which they were compiled.

    Raises
    ------
    ImportError
        A kernel is missing, or the codes of the activations or losses are not those of
        the tables: such kernels would compute something else than was asked for.
    """

    __slots__ = ("_kernels", "name", "simd")

    def __init__(self, name, float32, float64, simd=None):
        for module in (float32, float64):
            _check_contract(name, module)
        self.name = name
        self.simd = simd
        self._kernels = {np.dtype(np.float32): float32, np.dtype(np.float64): float64}

    def kernels(self, dtype):
        """Return the module of the kernels for `dtype`, a numpy.dtype."""
        return self._kernels[dtype]

    def __str__(self):
        return f"{self.name} ({self.simd})" if self.simd else self.name

    def __repr__(self):
        return f"<Backend {self}>"


def _check_contract(name, module):
    for kernel in _kernels_numpy.__all__:
        if not hasattr(module, kernel):
            raise ImportError(f"the {name} backend lacks the kernel {kernel!r}")
    for codes, table in (("ACTIVATION_CODES", ACTIVATIONS), ("LOSS_CODES", LOSSES)):
        wanted = {row.name: row.code for row in table.values()}
        found = dict(getattr(module, codes))
        if found != wanted:
            raise ImportError(
                f"the {name} backend has {codes} {found}, wanted {wanted}: "
                "its extension is of another version, build it again"
            )


# --- load ---------------------------------------------------------------------------------


def load(name="auto", simd=None):
    """Return a backend without making it the one in use.

    Parameters
    ----------
    name : {"auto", "cython", "numba", "numpy"}
    simd : {"v2", "v3", "v4", "baseline"}, optional
        SIMD level of the compiled kernels.  Default: FASTNN_SIMD as it was when fastnn
        was imported, else the highest level that was built and that this CPU runs.

    Returns
    -------
    Backend
        The same object at each call.

    Raises
    ------
    ImportError
        The backend cannot be had here; the message says why.  A level that this CPU
        does not run is refused before its module is imported.
    TypeError, ValueError
        `name` or `simd` is not one of those above, or a level is asked for with "numba"
        or "numpy".

    Examples
    --------
    >>> fastnn.backends.load("numpy")
    <Backend numpy>
    """
    _check_name("backend", name, ("auto", *NAMES))
    if simd is not None:
        _check_name("simd", simd, (*LEVELS, "baseline"))
        if name in ("numba", "numpy"):
            raise ValueError(f"simd is for the Cython backend alone, got {simd!r} with {name!r}")
    simd = simd or _simd_wanted
    if name == "auto":
        try:
            return _load("cython", simd)
        except ImportError:
            if simd:  # an explicit request
                raise
            return _load("numpy", None)
    return _load(name, simd if name == "cython" else None)


def _check_name(argument, name, names):
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a name, got {name!r}")
    if name not in names:
        raise ValueError(f"{argument} must be one of {', '.join(map(repr, names))}, got {name!r}")


_loaded: dict = {}


def _load(name, simd):
    if (name, simd) not in _loaded:
        _loaded[name, simd] = _LOADERS[name](simd)
    return _loaded[name, simd]


def _load_numpy(simd):
    return Backend("numpy", _kernels_numpy, _kernels_numpy)


def _load_numba(simd):
    try:
        module = importlib.import_module("fastnn._kernels_numba")
    except Exception as error:
        hint = f"; {_GET_NUMBA}" if _is_missing(error, "numba") else ""
        raise ImportError(f"the Numba backend does not load: {_sentence(error)}{hint}") from error
    return Backend("numba", module, module)


def _load_cython(simd):
    levels = _runnable(_cpu_level())
    if simd and simd not in levels:
        raise ImportError(
            f"this CPU does not run SIMD level {simd!r}; it runs {', '.join(map(repr, levels))}"
        )
    for level in (simd,) if simd else reversed(levels):
        try:
            float32 = importlib.import_module(f"fastnn._simd.{level}_float32")
            float64 = importlib.import_module(f"fastnn._simd.{level}_float64")
        except Exception as error:
            if _is_missing(error, f"fastnn._simd.{level}_"):
                continue  # not built for this level
            raise ImportError(
                f"the compiled extension does not load at SIMD level {level!r}: {_sentence(error)}"
            ) from error
        backend = Backend("cython", float32, float64, level)
        return _loaded.setdefault(("cython", level), backend)
    wanted = f"for SIMD level {simd!r}" if simd else "for any SIMD level that this CPU runs"
    raise ImportError(f"the compiled extension was not built {wanted}")


_LOADERS = {"cython": _load_cython, "numba": _load_numba, "numpy": _load_numpy}


def _cpu_level():
    """The highest SIMD level of this CPU, from a module that every CPU can run."""
    try:
        return importlib.import_module("fastnn._cpu").simd_level()
    except Exception as error:
        if not _is_missing(error, "fastnn._cpu"):
            raise ImportError(
                f"the compiled extension does not load: {_sentence(error)}"
            ) from error
    if _in_source_tree():
        raise ImportError("the compiled extension is not built in this source tree")
    if _has_extension_files():
        raise ImportError("the compiled extension was built for another Python or platform")
    raise ImportError("fastnn was installed without its compiled extension")


def _runnable(level):
    return LEVELS[: LEVELS.index(level) + 1] if level in LEVELS else (level,)


def _is_missing(error, prefix):
    """Whether `error` says that the module is not there, rather than that it is broken."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(prefix)


def _sentence(error):
    return f"{type(error).__name__}: {error}"


def _in_source_tree():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return all(os.path.exists(os.path.join(root, name)) for name in ("setup.py", "pyproject.toml"))


def _has_extension_files():
    package = os.path.dirname(os.path.abspath(__file__))
    folders = [package, os.path.join(package, "_simd")]
    files = [name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    return any(name.endswith((".so", ".pyd")) for name in files)


# --- choose -------------------------------------------------------------------------------


def set_backend(backend):
    """Choose the kernels that everything in this process runs on from now on.

    Parameters
    ----------
    backend : {"auto", "cython", "numba", "numpy"} or Backend
        "auto" is Cython if its extension loads, else NumPy.  A `Backend` from `load`
        is taken as it is.

    Raises
    ------
    ImportError
        The backend cannot be had here; the message says why.  The one in use stays.
    TypeError, ValueError
        `backend` is not one of those above.

    See Also
    --------
    use_backend : for the length of a ``with`` block.

    Notes
    -----
    The choice holds for the whole process, in all its threads.  Networks that exist
    keep their parameters and run on the new kernels at their next call.

    Examples
    --------
    >>> fastnn.set_backend("numpy")
    """
    global current
    current = backend if isinstance(backend, Backend) else load(backend)


@contextmanager
def use_backend(backend):
    """Run a ``with`` block on another backend, and go back to the one before.

    Parameters
    ----------
    backend : {"auto", "cython", "numba", "numpy"} or Backend
        As for `set_backend`, with the same errors and for the whole process too.

    Examples
    --------
    >>> with fastnn.use_backend("numpy"):
    ...     fastnn.activate([[-1.0, 2.0]], "relu")
    array([[0., 2.]])
    """
    global current
    before = current
    set_backend(backend)
    try:
        yield
    finally:
        current = before


# --- threads ------------------------------------------------------------------------------


def set_num_threads(n):
    """Set the most threads that a call may use.

    Parameters
    ----------
    n : int
        From 1 to 1024.  Work that is too small to gain from `n` threads runs on fewer,
        and the results have the same bits for any number.

    Examples
    --------
    >>> fastnn.set_num_threads(2)
    >>> fastnn.get_num_threads()
    2
    """
    global num_threads
    num_threads = checks.integer("n", n, 1, MAX_THREADS)


def get_num_threads():
    """Return the most threads that a call may use; see `set_num_threads`."""
    return num_threads


def _initial_num_threads():
    for variable in ("FASTNN_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(variable, "").strip()
        if not text:
            continue
        first = text.split(",")[0].strip()  # OpenMP allows a list, one for each nesting level
        if first.isascii() and first.isdigit() and int(first) >= 1:
            return min(int(first), MAX_THREADS)
        warnings.warn(
            f"{variable} must be an integer >= 1, got {text!r}: it is ignored",
            RuntimeWarning,
            stacklevel=4,  # the line that imports fastnn
        )
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)


# --- report -------------------------------------------------------------------------------


def available_backends():
    """Return the names of the backends that can be had here, the fastest first.

    Numba counts if it is installed; it is not imported to find out.

    Examples
    --------
    >>> "numpy" in fastnn.available_backends()
    True
    """
    return tuple(name for name in NAMES if _why_not(name) is None)


def simd_levels():
    """Return what is known of the SIMD levels of the compiled kernels.

    Returns
    -------
    dict
        "cpu": the highest level that this CPU runs, None if the extension is missing;
        "built": the levels there are modules for; "runnable": those that this CPU runs.
        `load` takes each runnable one as `simd`.
    """
    built = [
        level
        for level in (*LEVELS, "baseline")
        if all(_exists(f"fastnn._simd.{level}_{dtype}") for dtype in ("float32", "float64"))
    ]
    try:
        cpu = _cpu_level()
    except ImportError:
        return {"cpu": None, "built": built, "runnable": []}
    return {"cpu": cpu, "built": built, "runnable": [n for n in built if n in _runnable(cpu)]}


def backend_info():
    """Return what runs, and why the rest does not.

    Returns
    -------
    dict
        "active": name of the backend in use;
        "simd": SIMD level of its kernels, None where there is none;
        "simd_levels": see `backends.simd_levels`;
        "available": list of the backends that can be had here;
        "unavailable": {name: why not} of the others;
        "threads": the most threads that a call may use;
        "versions": {"fastnn", "python", "numpy", "numba"}; None if not installed.

    Examples
    --------
    >>> with fastnn.use_backend("numpy"):
    ...     fastnn.backend_info()["active"]
    'numpy'
    """
    reasons = {name: _why_not(name) for name in NAMES}
    return {
        "active": current.name,
        "simd": current.simd,
        "simd_levels": simd_levels(),
        "available": [name for name, reason in reasons.items() if reason is None],
        "unavailable": {name: reason for name, reason in reasons.items() if reason is not None},
        "threads": get_num_threads(),
        "versions": {
            "fastnn": sys.modules["fastnn"].__version__,
            "python": sys.version.split()[0],
            "numpy": np.__version__,
            "numba": _numba_version(),
        },
    }


def _why_not(name):
    """Why a backend cannot be had, or None.  Numba is looked for, not imported."""
    if name == "numba" and "fastnn._kernels_numba" not in sys.modules:
        if not _exists("numba"):
            return f"Numba is not installed; {_GET_NUMBA}"
        if not _exists("fastnn._kernels_numba"):
            return "fastnn was installed without its Numba kernels"
        return None
    try:
        _load(name, None)
    except ImportError as error:
        return str(error)
    return None


def _exists(module):
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its package is missing or broken
        return False


def _numba_version():
    if "numba" in sys.modules:
        return sys.modules["numba"].__version__
    from importlib import metadata

    try:
        return metadata.version("numba")
    except metadata.PackageNotFoundError:
        return None


# --- at import ----------------------------------------------------------------------------


def _initial_backend():
    name = os.environ.get("FASTNN_BACKEND") or "auto"
    _check_name("FASTNN_BACKEND", name, ("auto", *NAMES))
    if _simd_wanted:
        _check_name("FASTNN_SIMD", _simd_wanted, (*LEVELS, "baseline"))
    backend = load(name)
    if name == "auto" and backend.name != "cython":
        _warn_if_broken(_why_not("cython"))
    return backend


def _warn_if_broken(reason):
    """A build that is broken must not look merely slow; one that was left out may."""
    if _in_source_tree():
        command = "pip install -e ."
    elif _has_extension_files():
        command = "pip install --force-reinstall --no-cache-dir fastnn"
    else:
        return
    warnings.warn(
        f"{reason}: fastnn runs on its slow NumPy backend. Build it with: {command} "
        "(FASTNN_BACKEND=numpy asks for NumPy without this warning)",
        RuntimeWarning,
        stacklevel=5,  # the line that imports fastnn
    )


_simd_wanted = os.environ.get("FASTNN_SIMD") or None
num_threads = _initial_num_threads()
current = _initial_backend()
"""The backend in use.  Read it as ``backends.current``: `set_backend` changes it."""
