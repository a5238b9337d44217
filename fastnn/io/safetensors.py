"""The safetensors format: a header in JSON, and the arrays one after another.

    8 bytes    the length n of the header, little-endian
    n bytes    {"__metadata__": {name: text}, tensor: {"dtype", "shape", "data_offsets"}, ...},
               padded with spaces
    the rest   the bytes of the tensors, in little-endian order, without holes or overlaps

(https://huggingface.co/docs/safetensors, "Format".)  The package `safetensors` reads and writes
the same files; what it refuses is refused here, and names that stand twice too.
"""

from __future__ import annotations

import struct
from os import SEEK_END
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard

import numpy as np

from fastnn import checks
from fastnn.io import strict_json
from fastnn.io.arrays import from_bytes, little_endian
from fastnn.io.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["read", "write"]

TEXT = "fastnn"
"""The name in the metadata under which the text stands."""

DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

LARGEST = 1 << 63
"""No offset and no length is larger."""


def write(file: BinaryIO, tensors: Mapping[str, NDArray[Any]], text: str) -> None:
    """Write arrays and a text.

    Parameters
    ----------
    file : file object
        Open for writing bytes.
    tensors : dict of ndarray
        float32 and float64.
    text : str

    Raises
    ------
    ValueError
        The header would be longer than `read` takes.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write(file, {"W1": np.ones((1, 2))}, "{}")
    >>> read(file)
    ({'W1': array([[1., 1.]])}, '{}')
    """
    # Those of eight bytes first, so that every element lies at a multiple of its size.
    arrays = {name: little_endian(array) for name, array in tensors.items()}
    names = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    entries: dict[str, Any] = {"__metadata__": {TEXT: text}}
    start = 0
    for name in names:
        array = arrays[name]
        stop = start + array.nbytes
        entries[name] = {
            "dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": (start, stop),
        }  # fmt: skip
        start = stop
    header = strict_json.dumps(entries).encode("ascii")
    header += b" " * (-len(header) % 8)  # so that the arrays begin at a multiple of 8 too
    file.write(struct.pack("<Q", len(header)))
    file.write(header)
    for name in names:
        file.write(arrays[name].data.cast("B"))


def read(file: BinaryIO) -> tuple[dict[str, NDArray[Any]], str]:
    """Return the arrays and the text of a file.

    Nothing is read that has not been held against the size of the file.

    Parameters
    ----------
    file : file object
        Open for reading bytes, anywhere.

    Raises
    ------
    FormatError
        It is no such file; the message says what is wrong, without the file's name.
    """
    header, size = _header(file)
    text = _text(header.pop("__metadata__", {}))
    entries = sorted((_entry(name, entry) for name, entry in header.items()), key=_place)
    end = 0
    for name, _, _, start, stop in entries:
        if start != end:
            what = "overlaps the one before it" if start < end else "follows a hole"
            raise FormatError(f"tensor {checks.shown(name)} {what}, at byte {start} of the data")
        if stop > size:
            raise FormatError(
                f"tensor {checks.shown(name)} ends at byte {stop} of the data, which has {size}: "
                "the file is truncated"
            )
        end = stop
    if end != size:
        raise FormatError(f"{size - end} bytes follow the last tensor")
    tensors = {
        name: from_bytes(name, file.read(stop - start), dtype, shape)
        for name, dtype, shape, start, stop in entries
    }
    return tensors, text


def _header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes are behind it, where the file stands then."""
    size = file.seek(0, SEEK_END) - 8
    file.seek(0)
    if size < 0:
        raise FormatError(f"the file has {size + 8} bytes: it is truncated, or no model")
    (length,) = struct.unpack("<Q", file.read(8))
    if length > strict_json.LONGEST:
        raise FormatError(
            f"the header would have {length} bytes, more than {strict_json.LONGEST}: the file is "
            "damaged, or neither a safetensors nor an npz file"
        )
    if length > size:
        raise FormatError(
            f"the header would have {length} bytes, but only {size} follow: the file is truncated"
        )
    return strict_json.loads("the header", file.read(length)), size - length


def _text(metadata: Any) -> str:
    """Our text in the metadata, which are texts by name."""
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise FormatError("__metadata__ must hold texts by name")
    if TEXT not in metadata:
        raise FormatError(
            f"the metadata have no {TEXT!r}: these tensors were not written by fastnn"
        )
    text: str = metadata[TEXT]
    return text


def _entry(name: str, entry: Any) -> tuple[str, np.dtype[Any], list[int], int, int]:
    """What the header says of one tensor: its name, dtype, shape, start and stop."""
    shown = checks.shown(name)
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"tensor {shown} must have dtype, shape and data_offsets, and no more")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise FormatError(f"tensor {shown} must be of F32 or F64, got {checks.shown(dtype)}")
    if not _are_sizes(shape):
        raise FormatError(f"tensor {shown} has the shape {checks.shown(shape)}")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise FormatError(f"tensor {shown} has the data_offsets {checks.shown(offsets)}")
    start, stop = offsets
    return name, DTYPES[dtype], shape, start, stop


def _place(entry: tuple[str, np.dtype[Any], list[int], int, int]) -> tuple[int, int]:
    return entry[3:]


def _are_sizes(value: Any) -> TypeGuard[list[int]]:
    """Whether it is a list of integers that may be lengths; True and False are not."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < LARGEST for n in value)
