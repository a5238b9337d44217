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

The rooms, each using those above it: `contract` (what a set of kernels must have),
`levels` (SIMD levels and what was built), `loading`, `threads`, `choice`, `report`.
The two variables that they change stand here, where every call reads them.  (This module
has no ``__getattr__``: Python reads the variables of a module that has one at half the speed.)
"""

from fastnn.backends.choice import (
    Refused,
    initial_backend,
    set_backend,
    started_as_command,
    use_backend,
)
from fastnn.backends.contract import Backend
from fastnn.backends.levels import LEVELS, simd_levels
from fastnn.backends.loading import NAMES, load
from fastnn.backends.report import available_backends, backend_info
from fastnn.backends.threads import (
    MAX_THREADS,
    get_num_threads,
    initial_num_threads,
    set_num_threads,
)

__all__ = [
    "LEVELS",
    "MAX_THREADS",
    "NAMES",
    "Backend",
    "available_backends",
    "backend_info",
    "current",
    "get_num_threads",
    "load",
    "num_threads",
    "set_backend",
    "set_num_threads",
    "simd_levels",
    "use_backend",
]

num_threads: int
"""The most threads that a call may use; `set_num_threads` changes it."""

current: Backend
"""The backend in use.  Read it as ``backends.current``: `set_backend` changes it."""


def start() -> None:
    """Set the variables from the environment; every ``import fastnn`` asks for it.

    An import that was refused may be tried again, with a better environment; one that has
    succeeded stays as it is.

    Raises
    ------
    ImportError, ValueError
        The environment asks for what cannot be had.
    """
    global current, num_threads
    if "current" in globals():
        return
    num_threads = initial_num_threads()
    try:
        current = initial_backend()
    except (ImportError, ValueError) as error:
        if not started_as_command():
            raise
        current = Refused(error)
