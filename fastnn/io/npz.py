"""The npz format of NumPy: a zip archive that is not compressed, of one npy file for each array.

The text is one of them, an array of bytes: ``np.load(path)["fastnn"].item()``.  Reading looks at
what the archive claims before it believes any of it, and knows no pickle.
"""

from __future__ import annotations

import re
import struct
from os import SEEK_END
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from fastnn import checks
from fastnn.io.arrays import from_bytes, little_endian
from fastnn.io.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zipfile import ZipFile, ZipInfo

    from numpy.typing import NDArray

__all__ = ["MAGIC", "read", "write"]

TEXT = "fastnn"
"""The name of the array that holds the text."""

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""What a zip archive begins with, and an empty one."""

LONGEST_HEADER = 10_000
"""Bytes of the header of an npy file, as NumPy has it."""

HEADER = re.compile(
    r"\{'descr': '([<>]f[48]|\|S[0-9]{1,9}|\|O)', 'fortran_order': (False|True), "
    r"'shape': \(((?:[0-9]{1,19}, ?)*[0-9]{0,19})\), \} *\n"
)
"""As `numpy.lib.format` writes it; nothing in it is evaluated."""


def write(file: BinaryIO, tensors: Mapping[str, NDArray[Any]], text: str) -> None:
    """Write arrays and a text.

    Parameters
    ----------
    file : file object
        Open for writing bytes.
    tensors : dict of ndarray
        float32 and float64.
    text : str

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write(file, {"W1": np.ones((1, 2))}, "{}")
    >>> read(file)
    ({'W1': array([[1., 1.]])}, '{}')
    """
    from zipfile import ZIP_STORED, ZipFile, ZipInfo

    arrays = {TEXT: np.array(text.encode("ascii"))} | {
        name: little_endian(array) for name, array in tensors.items()
    }
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, array in arrays.items():
            # A ZipInfo has the same date always: the same network gives the same bytes.
            with archive.open(ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def read(file: BinaryIO) -> tuple[dict[str, NDArray[Any]], str]:
    """Return the arrays and the text of a file.

    Nothing is read that has not been held against the size of the file.

    Parameters
    ----------
    file : file object
        Open for reading bytes.

    Raises
    ------
    FormatError
        It is no such file; the message says what is wrong, without the file's name.
    """
    arrays = {name: _array(name, member) for name, member in _members(file).items()}
    text = arrays.pop(TEXT, None)
    if text is None or text.dtype.kind != "S" or text.ndim:
        raise FormatError(f"the archive has no text {TEXT!r}: it was not written by fastnn")
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise FormatError(f"tensor {checks.shown(name)} must be of float32 or float64")
    content: bytes = text.item()
    try:
        return arrays, content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"the text {TEXT!r} is not UTF-8 ({error})") from None


def _members(file: BinaryIO) -> dict[str, bytes]:
    """The files of an archive, which together are no larger than itself, by name without .npy."""
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(file) as archive:
            return _unpacked(archive, file.seek(0, SEEK_END))
    except FormatError:
        raise
    # What zipfile lets out where an archive is damaged.
    except (
        BadZipFile, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError,
        struct.error, ValueError,
    ) as error:  # fmt: skip
        raise FormatError(f"it is no whole zip archive ({error})") from None


def _unpacked(archive: ZipFile, size: int) -> dict[str, bytes]:
    members: dict[str, ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename or name in members:
            raise FormatError(
                f"the archive has {checks.shown(member.filename)}, which is twice there or no .npy"
            )
        if member.compress_type or member.compress_size != member.file_size:
            raise FormatError(f"the member {checks.shown(name)} is compressed, wanted plain bytes")
        members[name] = member
    claimed = sum(member.file_size for member in members.values())
    if claimed > size:
        raise FormatError(f"the members claim {claimed} bytes, but the archive has {size}")
    return {name: archive.read(member) for name, member in members.items()}


def _array(name: str, data: bytes) -> NDArray[Any]:
    """The array of an npy file, as a view."""
    shown, view = checks.shown(name), memoryview(data)
    if data[:6] != b"\x93NUMPY" or len(data) < 12 or data[6] not in (1, 2, 3):
        raise FormatError(f"the member {shown} is no npy file")
    start = 10 if data[6] == 1 else 12
    length = int.from_bytes(data[8:start], "little")
    if length > LONGEST_HEADER:
        raise FormatError(
            f"the header of {shown} would have {length} bytes, more than {LONGEST_HEADER}"
        )
    header = HEADER.fullmatch(data[start : start + length].decode("latin-1"))
    if header is None:
        raise FormatError(
            f"the header of {shown} is damaged, or of something else than plain numbers"
        )
    descr, is_fortran, shape = header[1], header[2] == "True", _shape(header[3])
    if descr == "|O":
        raise FormatError(f"the member {shown} holds Python objects, which are never loaded")
    array = from_bytes(
        name, view[start + length :], np.dtype(descr), shape[::-1] if is_fortran else shape
    )
    return array.T if is_fortran else array


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(",") if n.strip())
