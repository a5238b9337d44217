"""Arrays: what is one, what can be made of it, and whether it can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from fastnn.checks.numbers import FLOAT32, FLOAT64
from fastnn.checks.sentences import kind, not_finite, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "apart",
    "cast",
    "cost_and_derivative",
    "finite_matrix",
    "floats",
    "is_plain",
    "may_overlap",
    "output",
    "real",
]


def is_plain(array: Any, dtype: np.dtype[Any]) -> TypeGuard[NDArray[Any]]:
    """Whether the kernels can take `array` as it is."""
    return type(array) is np.ndarray and array.dtype == dtype and bool(array.flags.aligned)


def may_overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays may share memory; two that own theirs do not (and this is quick)."""
    return a is b or ((a.base is not None or b.base is not None) and np.may_share_memory(a, b))


def _is_special(array: NDArray[Any]) -> bool:
    """Whether an array gives its elements another meaning than the kernels would."""
    return isinstance(array, (np.matrix, np.ma.MaskedArray))


def _as_array(name: str, value: Any) -> NDArray[Any]:
    """`value` as an ndarray, refusing None, np.matrix and masked arrays."""
    if value is None:
        raise TypeError(f"{name} must be an array, got None")
    if isinstance(value, np.ndarray) and _is_special(value):
        wanted = "use np.asarray(...)" if isinstance(value, np.matrix) else "use .filled(...)"
        raise TypeError(f"{name} must be a plain array, got {kind(value)}: {wanted}")
    try:
        return np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name}: {error}") from None


def _float(name: str, value: Any) -> NDArray[Any]:
    """`value` as a native float32 or float64 array; integers and booleans become float64."""
    array = _as_array(name, value)
    if array.dtype.char in "fd":
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind in "biu":
        return array.astype(FLOAT64)
    raise TypeError(
        f"{name} has dtype {array.dtype}, wanted float32 or float64 "
        "(integers and booleans are converted)"
    )


def real(name: str, value: Any) -> NDArray[Any]:
    """`value` as an array of a dtype that can be cast to float, not yet cast."""
    array = _as_array(name, value)
    letter = array.dtype.kind
    if letter == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}")
    if letter in "UST":
        raise ValueError(f"could not convert string to float: {name} has dtype {array.dtype}")
    if letter not in "biufO" or (letter == "O" and array.ndim == 0):
        raise TypeError(f"{name} must be an array of numbers, got {kind(value)} ({array.dtype})")
    return array


def cast(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array from `real` as a plain one of `dtype`; without a copy if it is one."""
    if is_plain(array, dtype):
        return array
    if array.dtype.kind == "O":
        for value in array.flat:
            if isinstance(value, (str, bytes)):
                raise ValueError(f"could not convert string to float: {value!r} in {name}")
    try:
        with np.errstate(
            over="ignore", under="ignore"
        ):  # too large becomes infinite, and is refused as such
            return array.astype(dtype)
    except OverflowError:  # a Python integer of hundreds of digits
        raise not_finite(name, np.array(np.inf, dtype)) from None
    except TypeError as error:  # an object that is not a number
        raise TypeError(f"{name}: {error}") from None
    except ValueError as error:  # an object that is a sequence
        raise ValueError(f"{name}: {error}") from None


def floats(**arrays: Any) -> list[NDArray[Any]]:
    """Return the arrays as plain ones of their common dtype, float32 or float64.

    Integers and booleans count as float64.  NaN and infinity pass.
    """
    dtype = None
    for array in arrays.values():
        if type(array) is not np.ndarray or not array.flags.aligned:
            break
        if dtype is None:
            dtype = array.dtype
        if array.dtype is not dtype or (dtype is not FLOAT32 and dtype is not FLOAT64):
            break
    else:
        return list(arrays.values())
    plain = [_float(name, array) for name, array in arrays.items()]
    dtype = np.result_type(*plain)
    return [
        array if array.dtype == dtype and array.flags.aligned else array.astype(dtype)
        for array in plain
    ]


def output(
    out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], *inputs: NDArray[Any]
) -> NDArray[Any]:
    """Return the array for a kernel to write: `out` if it can, else a new one.

    The caller copies a new one to `out` when the kernel is done (casting="same_kind").
    It is needed where `out` overlaps an input, has another dtype, or is not aligned.
    """
    if not isinstance(out, np.ndarray) or (type(out) is not np.ndarray and _is_special(out)):
        raise TypeError(f"out must be a numpy.ndarray or None, got {kind(out)}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, wanted {shape}")
    if not out.flags.writeable:
        raise ValueError("output array is read-only")
    if out.dtype != dtype and not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(
            f"Cannot cast output from {dtype!r} to {out.dtype!r} with casting rule 'same_kind'"
        )
    if out.dtype == dtype and out.flags.aligned:
        if not any(may_overlap(out, array) for array in inputs):
            return out
    return np.empty(shape, dtype)


def finite_matrix(
    name: str,
    array: Any,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    all_finite: Callable[[NDArray[Any]], bool],
) -> NDArray[Any]:
    """Return `array` as a plain finite one of this shape and dtype."""
    found = array if is_plain(array, dtype) else real(name, array)
    if found.shape != shape:
        raise ValueError(f"{name} has shape {found.shape}, wanted {shape}")
    found = cast(name, found, dtype)
    if not all_finite(found):
        raise not_finite(name, found)
    return found


def cost_and_derivative(
    name: str, J: Any, dA: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[float, NDArray[Any]]:
    """Return J as a float and dA as an array of this shape and dtype; NaN and infinity pass."""
    number = np.asarray(J)
    if number.ndim or number.dtype.kind not in "iuf":
        raise TypeError(f"{name} must return a number J first, got {shown(J)}")
    derivative = real(f"dA of {name}", dA)
    if derivative.shape != shape:
        raise ValueError(f"{name} must return dA of shape {shape}, got {derivative.shape}")
    return float(number), cast(f"dA of {name}", derivative, dtype)


def apart(array: NDArray[Any], flat: NDArray[Any]) -> NDArray[Any]:
    """Return `array`, or a copy of it where it overlaps `flat`, which is about to change."""
    return array.copy() if may_overlap(array, flat) else array
