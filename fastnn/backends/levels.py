"""SIMD levels: what this CPU runs, what was built, and how the package was installed."""

from __future__ import annotations

import importlib
import os
from typing import TypedDict

__all__ = [
    "ALL_LEVELS",
    "LEVELS",
    "SimdLevels",
    "cpu_level",
    "exists",
    "has_extension_files",
    "in_source_tree",
    "is_missing",
    "runnable",
    "simd_levels",
]

LEVELS = ("v2", "v3", "v4")
"""x86-64 microarchitecture levels, each including the one before: v3 has AVX2 and FMA,
v4 AVX-512.  Other processors have the one level "baseline"."""
ALL_LEVELS = (*LEVELS, "baseline")

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class SimdLevels(TypedDict):
    """What `simd_levels` returns."""

    cpu: str | None
    built: list[str]
    runnable: list[str]


def simd_levels() -> SimdLevels:
    """Return what is known of the SIMD levels of the compiled kernels.

    Returns
    -------
    dict
        "cpu": the highest level that this CPU runs, None if the extension is missing;
        "built": the levels there are modules for; "runnable": those that this CPU runs.
        `load` takes each runnable one as `simd`.

    Examples
    --------
    >>> sorted(fastnn.backends.simd_levels())
    ['built', 'cpu', 'runnable']
    """
    built = [
        level
        for level in ALL_LEVELS
        if all(exists(f"fastnn._simd.{level}_{dtype}") for dtype in ("float32", "float64"))
    ]
    try:
        cpu = cpu_level()
    except ImportError:
        return {"cpu": None, "built": built, "runnable": []}
    return {"cpu": cpu, "built": built, "runnable": [n for n in built if n in runnable(cpu)]}


def cpu_level() -> str:
    """The highest SIMD level of this CPU, from a module that every CPU can run.

    Raises
    ------
    ImportError
        There is no such module; the message says how that came about.
    """
    try:
        level: str = importlib.import_module("fastnn._cpu").simd_level()
        return level
    except Exception as error:
        if not is_missing(error, "fastnn._cpu"):
            raise ImportError(
                f"the compiled extension does not load: {type(error).__name__}: {error}"
            ) from error
    if in_source_tree():
        raise ImportError("the compiled extension is not built in this source tree")
    if has_extension_files():
        raise ImportError("the compiled extension was built for another Python or platform")
    raise ImportError("fastnn was installed without its compiled extension")


def runnable(level: str) -> tuple[str, ...]:
    """The levels that a CPU of `level` runs, the highest last."""
    return LEVELS[: LEVELS.index(level) + 1] if level in LEVELS else (level,)


def is_missing(error: Exception, prefix: str) -> bool:
    """Whether `error` says that the module is not there, rather than that it is broken."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(prefix)


def exists(module: str) -> bool:
    """Whether a module can be found; it is not imported, though its package is."""
    from importlib.util import find_spec  # costs an import that a plain start does without

    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its package is missing or broken
        return False


def in_source_tree() -> bool:
    """Whether the package is imported from a checkout."""
    root = os.path.dirname(PACKAGE)
    return all(os.path.exists(os.path.join(root, name)) for name in ("setup.py", "pyproject.toml"))


def has_extension_files() -> bool:
    """Whether there is anything compiled, be it for another Python."""
    folders = [PACKAGE, os.path.join(PACKAGE, "_simd")]
    files = [name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    return any(name.endswith((".so", ".pyd")) for name in files)
