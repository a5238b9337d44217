"""What runs, and why the rest does not."""

from __future__ import annotations

import sys
from typing import TypedDict

import numpy as np

from fastnn import backends
from fastnn.backends.choice import Refused
from fastnn.backends.levels import SimdLevels, simd_levels
from fastnn.backends.loading import NAMES, why_not

__all__ = ["BackendInfo", "available_backends", "backend_info"]


class BackendInfo(TypedDict):
    """What `backend_info` returns."""

    active: str | None
    simd: str | None
    refused: str | None
    simd_levels: SimdLevels
    available: list[str]
    unavailable: dict[str, str]
    threads: int
    versions: dict[str, str | None]


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that can be had here, the fastest first.

    Numba counts if it is installed; it is not imported to find out.

    Examples
    --------
    >>> "numpy" in fastnn.available_backends()
    True
    """
    return tuple(name for name in NAMES if why_not(name) is None)


def backend_info() -> BackendInfo:
    """Return what runs, and why the rest does not.

    Returns
    -------
    dict
        "active": name of the backend in use;
        "simd": SIMD level of its kernels, None where there is none;
        "refused": why the environment's request cannot be met, and None where it is met:
        only ``fastnn info`` sees anything else, with None as "active";
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
    reasons = {name: why_not(name) for name in NAMES}
    current = backends.current
    refused = str(current.reason) if isinstance(current, Refused) else None
    return {
        "active": current.name if refused is None else None,
        "simd": current.simd,
        "refused": refused,
        "simd_levels": simd_levels(),
        "available": [name for name, reason in reasons.items() if reason is None],
        "unavailable": {name: reason for name, reason in reasons.items() if reason is not None},
        "threads": backends.num_threads,
        "versions": {
            "fastnn": sys.modules["fastnn"].__version__,
            "python": sys.version.split()[0],
            "numpy": np.__version__,
            "numba": _numba_version(),
        },
    }


def _numba_version() -> str | None:
    from importlib import metadata  # Numba itself would take half a second to say it

    try:
        return metadata.version("numba")
    except metadata.PackageNotFoundError:
        return None
