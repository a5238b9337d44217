"""The machine: which cores and threads are used, and what it is.

Imported before NumPy: threads are settled when the libraries load.
"""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

__all__ = ["cache_sizes", "confine", "cpu_name", "describe", "versions"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "FASTNN_NUM_THREADS",
)

DEFAULT_CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}
"""Bytes, where the operating system does not say."""


def confine(threads, pin=True):
    """Give all libraries `threads` threads, and this process as many cores.

    Returns
    -------
    str
        What was done, for the heading.
    """
    if "numpy" in sys.modules:
        raise RuntimeError("confine() must run before NumPy is imported")
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    if not pin:
        return "not pinned (asked for)"
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned (this system cannot)"
    allowed = sorted(os.sched_getaffinity(0))
    cores = allowed[-threads:]  # the first core is the one that serves most interrupts
    os.sched_setaffinity(0, cores)
    return f"pinned to core{'s' * (len(cores) > 1)} {', '.join(map(str, cores))}"


def describe():
    """Return what the machine and its software are, as a dictionary of strings and numbers."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "caches": cache_sizes(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions(names):
    """Return {distribution: version} of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_name():
    """The name that the CPU gives itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cache_sizes():
    """Return {"L1": bytes, "L2": ..., "L3": ...} of the data caches that a core sees."""
    sizes = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            level, kind, size = (
                (index / name).read_text().strip() for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K"):
            sizes[f"L{level}"] = int(size[:-1]) << 10
    return {**DEFAULT_CACHES, **dict(sorted(sizes.items()))}
