"""What to type where something is missing: every hint to install is built here.

The distribution is called ``fastnn-kernels``, because the name ``fastnn`` on the package
index belongs to another project; what is imported is ``fastnn``.
"""

__all__ = ["BUILD", "DISTRIBUTION", "install", "reinstall"]

DISTRIBUTION = "fastnn-kernels"

BUILD = "pip install -e ."
"""In a source tree whose extension is not built."""


def install(extra: str) -> str:
    """Return the command that brings an extra.

    Examples
    --------
    >>> from fastnn import _hints
    >>> _hints.install("plot")
    "pip install 'fastnn-kernels[plot]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def reinstall() -> str:
    """Return the command that replaces a broken build."""
    return f"pip install --force-reinstall --no-cache-dir {DISTRIBUTION}"
