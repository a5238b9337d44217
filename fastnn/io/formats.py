"""The table of formats: by the end of a name where a file is written, by its content where read."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

from fastnn import checks
from fastnn.io import npz, safetensors

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["FORMATS", "of_content", "of_name"]

FORMATS: dict[str, ModuleType] = {".safetensors": safetensors, ".npz": npz}
"""Each has ``write(file, tensors, text)`` and ``read(file) -> (tensors, text)``."""


def of_name(path: str) -> Any:
    """Return the format that the end of a path names.

    Raises
    ------
    ValueError
        It names none.

    Examples
    --------
    >>> of_name("model.npz").__name__
    'fastnn.io.npz'
    """
    suffix = PurePath(path).suffix.lower()
    if suffix not in FORMATS:
        known = " or ".join(FORMATS)
        raise ValueError(f"path must end in {known}, got {checks.shown(path)}")
    return FORMATS[suffix]


def of_content(file: BinaryIO) -> Any:
    """Return the format that a file's first bytes look like, whatever its name.

    A safetensors file begins with the length of its header, for which `npz.MAGIC` is too much.

    Examples
    --------
    >>> import io
    >>> of_content(io.BytesIO(b"PK\x03\x04")).__name__
    'fastnn.io.npz'
    """
    file.seek(0)
    return npz if file.read(4) in npz.MAGIC else safetensors
