"""Arrays from bytes, in little-endian order on every platform."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import checks
from fastnn.io.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["from_bytes", "little_endian"]

MOST_DIMENSIONS = 8


def from_bytes(
    name: str, data: memoryview | bytes, dtype: np.dtype[Any], shape: Sequence[int]
) -> NDArray[Any]:
    """Return an array that lies in `data`, without a copy.

    Parameters
    ----------
    name : str
        For the message of an error.
    data : memoryview or bytes
        As many bytes as the array has.
    dtype : numpy.dtype
    shape : sequence of int
        Of any integers that a file may say.

    Raises
    ------
    FormatError
        The shape does not fit the bytes.

    Examples
    --------
    >>> from_bytes("W1", b"\\0\\0\\0\\0\\0\\0\\x80?", np.dtype("<f4"), (2, 1))
    array([[0.],
           [1.]], dtype=float32)
    """
    wanted = math.prod(shape) * dtype.itemsize if len(shape) <= MOST_DIMENSIONS else -1
    if wanted != len(data) or wanted == 0:
        raise FormatError(
            f"tensor {checks.shown(name)} has the shape {checks.shown(tuple(shape))} of "
            f"{dtype.name}, but {len(data)} bytes"
        )
    return np.frombuffer(data, dtype).reshape(shape)


def little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in the order that files have: row by row, the least byte first.

    Examples
    --------
    >>> little_endian(np.array([[1.0]], ">f4")).dtype.str
    '<f4'
    """
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
