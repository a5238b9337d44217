"""Load a backend by its name, or say why it cannot be had."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from fastnn import _hints, _kernels_numpy
from fastnn.backends.contract import Backend
from fastnn.backends.levels import ALL_LEVELS, cpu_level, exists, is_missing, runnable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["NAMES", "check_name", "load", "why_not"]

NAMES = ("cython", "numba", "numpy")

default_simd: str | None = None
"""FASTNN_SIMD as it was when fastnn was imported; set by `choice.initial_backend`."""


def load(name: str = "auto", simd: str | None = None) -> Backend:
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
    check_name("backend", name, ("auto", *NAMES))
    if simd is not None:
        check_name("simd", simd, ALL_LEVELS)
        if name in ("numba", "numpy"):
            raise ValueError(f"simd is for the Cython backend alone, got {simd!r} with {name!r}")
    simd = simd or default_simd
    if name == "auto":
        try:
            return _load("cython", simd)
        except ImportError:
            if simd:  # an explicit request
                raise
            return _load("numpy", None)
    return _load(name, simd if name == "cython" else None)


def check_name(argument: str, name: object, names: Iterable[str]) -> None:
    """Raise unless `name` is one of `names`."""
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a name, got {name!r}")
    if name not in names:
        raise ValueError(f"{argument} must be one of {', '.join(map(repr, names))}, got {name!r}")


def why_not(name: str) -> str | None:
    """Why a backend cannot be had, or None.  Numba is looked for, not imported."""
    if name == "numba" and ("numba", None) not in _loaded:
        if not exists("numba"):
            return f"Numba is not installed; {_hints.install('numba')} brings it"
        if not exists("fastnn._kernels_numba"):
            return "fastnn was installed without its Numba kernels"
        return None
    try:
        _load(name, None)
    except ImportError as error:
        return str(error)
    return None


_loaded: dict[tuple[str, str | None], Backend] = {}


def _load(name: str, simd: str | None) -> Backend:
    if (name, simd) not in _loaded:
        _loaded[name, simd] = _LOADERS[name](simd)
    return _loaded[name, simd]


def _load_numpy(simd: str | None) -> Backend:
    return Backend("numpy", _kernels_numpy, _kernels_numpy)


def _load_numba(simd: str | None) -> Backend:
    try:
        module = importlib.import_module("fastnn._kernels_numba")
    except Exception as error:
        brings = f"; {_hints.install('numba')} brings it" if is_missing(error, "numba") else ""
        raise ImportError(f"the Numba backend does not load: {_sentence(error)}{brings}") from error
    return Backend("numba", module, module)


def _load_cython(simd: str | None) -> Backend:
    levels = runnable(cpu_level())
    if simd and simd not in levels:
        raise ImportError(
            f"this CPU does not run SIMD level {simd!r}; it runs {', '.join(map(repr, levels))}"
        )
    for level in (simd,) if simd else reversed(levels):
        try:
            float32 = importlib.import_module(f"fastnn._simd.{level}_float32")
            float64 = importlib.import_module(f"fastnn._simd.{level}_float64")
        except Exception as error:
            if is_missing(error, f"fastnn._simd.{level}_"):
                continue  # not built for this level
            raise ImportError(
                f"the compiled extension does not load at SIMD level {level!r}: {_sentence(error)}"
            ) from error
        backend = Backend("cython", float32, float64, level)
        return _loaded.setdefault(("cython", level), backend)
    wanted = f"for SIMD level {simd!r}" if simd else "for any SIMD level that this CPU runs"
    raise ImportError(f"the compiled extension was not built {wanted}")


_LOADERS: dict[str, Callable[[str | None], Backend]] = {
    "cython": _load_cython,
    "numba": _load_numba,
    "numpy": _load_numpy,
}


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
