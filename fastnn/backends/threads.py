"""How many threads a call may use."""

from __future__ import annotations

import os
import warnings

from fastnn import backends, checks

__all__ = ["MAX_THREADS", "get_num_threads", "initial_num_threads", "set_num_threads"]

MAX_THREADS = 1024


def set_num_threads(n: int) -> None:
    """Set the most threads that a call may use.

    Parameters
    ----------
    n : int
        From 1 to 1024.  Work that is too small to gain from `n` threads runs on fewer,
        and the results have the same bits for any number.

    Raises
    ------
    TypeError, ValueError
        `n` is not such an integer.  The number stays.

    Examples
    --------
    >>> fastnn.set_num_threads(2)
    >>> fastnn.get_num_threads()
    2
    """
    backends.num_threads = checks.integer("n", n, 1, MAX_THREADS)


def get_num_threads() -> int:
    """Return the most threads that a call may use; see `set_num_threads`."""
    return backends.num_threads


def initial_num_threads() -> int:
    """The number of threads that the environment asks for, else of CPUs to be had."""
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
            stacklevel=4,  # past start and fastnn: the line that imports fastnn
        )
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)
