"""Which backend is in use: the first choice at import, and every later one."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from fastnn import _hints, backends
from fastnn.backends import loading
from fastnn.backends.contract import Backend
from fastnn.backends.levels import ALL_LEVELS, has_extension_files, in_source_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

__all__ = ["Refused", "initial_backend", "set_backend", "started_as_command", "use_backend"]


def set_backend(backend: str | Backend) -> None:
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
    backends.current = backend if isinstance(backend, Backend) else loading.load(backend)


@contextmanager
def use_backend(backend: str | Backend) -> Iterator[None]:
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
    before = backends.current
    set_backend(backend)
    try:
        yield
    finally:
        backends.current = before


# --- at import ----------------------------------------------------------------------------


class Refused(Backend):
    """No kernels, for the command line alone, which must live to say why.

    Parameters
    ----------
    reason : ImportError or ValueError
        Why the environment's request cannot be met; every use raises it.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: ImportError | ValueError) -> None:
        self.name = "none"
        self.simd = None
        self.reason = reason

    def kernels(self, dtype: np.dtype[Any]) -> NoReturn:
        """Raise the reason."""
        raise self.reason


def initial_backend() -> Backend:
    """Return the backend that the environment asks for.

    Raises
    ------
    ImportError
        It cannot be had here.
    ValueError
        FASTNN_BACKEND or FASTNN_SIMD is not one of the names there are.
    """
    name = os.environ.get("FASTNN_BACKEND") or "auto"
    loading.check_name("FASTNN_BACKEND", name, ("auto", *loading.NAMES))
    simd = os.environ.get("FASTNN_SIMD") or None
    if simd:
        loading.check_name("FASTNN_SIMD", simd, ALL_LEVELS)
    loading.default_simd = simd
    backend = loading.load(name)
    if name == "auto" and backend.name != "cython":
        _warn_if_broken(loading.why_not("cython"))
    return backend


def started_as_command() -> bool:
    """Whether this process is the command ``fastnn`` or ``python -m fastnn``.

    Both import the package before a line of the command runs.  Only what Python says of
    its own start tells them from a program: sys.argv[0] is the script, or "-m" for as
    long as the module is looked for; the word before the arguments then names it.
    """
    if sys.argv[:1] == ["-m"]:
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "fastnn"
    script = os.path.basename(sys.argv[0]) if sys.argv else ""
    return os.path.splitext(script)[0] == "fastnn"


def _warn_if_broken(reason: str | None) -> None:
    """A build that is broken must not look merely slow; one that was left out may."""
    if in_source_tree():
        command = _hints.BUILD
    elif has_extension_files():
        command = _hints.reinstall()
    else:
        return
    warnings.warn(
        f"{reason}: fastnn runs on its slow NumPy backend. Build it with: {command} "
        "(FASTNN_BACKEND=numpy asks for NumPy without this warning)",
        RuntimeWarning,
        stacklevel=5,  # past initial_backend, start and fastnn: the line that imports fastnn
    )
