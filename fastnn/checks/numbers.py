"""Numbers: integers, floats, shares, switches, seeds, and the dtypes that hold them."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.checks.sentences import shown

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = [
    "FLOAT32",
    "FLOAT64",
    "boolean",
    "epochs",
    "float_dtype",
    "fraction",
    "generator",
    "integer",
    "learning_rate",
    "number",
    "number_in",
    "positive_share",
    "representable",
    "share",
]

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

SMALLEST, LARGEST = 1.2e-38, 3.4e38
"""What lies between them is a normal number in either dtype."""

MOST_EPOCHS = 1 << 40
"""More than anyone will wait for; their costs alone would fill the memory."""


def integer(name: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """Return `value` as an int of the range; a bool is not an integer here."""
    wanted = f"an integer >= {minimum}"
    if maximum is not None:
        wanted = f"an integer from {minimum} to {maximum}"
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {wanted}, got {shown(value)}") from None
    if result < minimum or (maximum is not None and result > maximum):
        raise ValueError(f"{name} must be {wanted}, got {shown(value)}")
    return result


def number(name: str, value: Any, positive: bool = True) -> float:
    """Return `value` as a finite float > 0, or >= 0 where it need not be positive."""
    if type(value) is float and (0 < value < math.inf or (value == 0 and not positive)):
        return value
    wanted = f"a finite number {'>' if positive else '>='} 0"
    try:
        if not _is_number(value):
            raise TypeError
        result = float(value)
    except OverflowError:  # an integer of hundreds of digits
        result = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {wanted}, got {shown(value)}") from None
    if not 0 <= result < math.inf or (positive and result == 0):
        raise ValueError(f"{name} must be {wanted}, got {shown(value)}")
    return result


def _is_number(value: Any) -> bool:
    """Whether `value` is a real number, of Python or NumPy: not a bool, nor text of digits."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return not isinstance(value, bool) and (
        hasattr(value, "__float__") or hasattr(value, "__index__")
    )


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1)."""
    result = number(name, value, positive=False)
    if result >= 1:
        raise ValueError(f"{name} must be a number >= 0 and < 1, got {shown(value)}")
    return result


def share(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1]."""
    result = number(name, value, positive=False)
    if result > 1:
        raise ValueError(f"{name} must be a number from 0 to 1, got {shown(value)}")
    return result


def positive_share(name: str, value: Any) -> float:
    """Return `value` as a float in (0, 1]."""
    result = number(name, value)
    if result > 1:
        raise ValueError(f"{name} must be a number > 0 and <= 1, got {shown(value)}")
    return result


def representable(name: str, value: float, dtype: np.dtype[Any], positive: bool = True) -> float:
    """Return `value`, a finite number >= 0, unless it overflows in `dtype`.

    Where it has to be positive, it must not become 0 there either.
    """
    if SMALLEST <= value <= LARGEST or value == 0 or dtype == FLOAT64:
        return value
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(dtype.type(value))
    if math.isinf(rounded):
        raise ValueError(f"{name}: {value!r} overflows in {dtype}")
    if positive and rounded == 0:
        raise ValueError(f"{name}: {value!r} becomes 0 in {dtype}")
    return value


def number_in(dtype: np.dtype[Any], name: str, value: Any, positive: bool = True) -> float:
    """Return `value` as a finite float > 0, or >= 0, that is one in `dtype` too."""
    return representable(name, number(name, value, positive), dtype, positive)


def learning_rate(value: Any, dtype: np.dtype[Any]) -> float:
    """Return a learning rate as a finite float > 0 that does not vanish in `dtype`."""
    if type(value) is float and SMALLEST <= value <= LARGEST:
        return value
    return number_in(dtype, "learning_rate", value)


def epochs(value: Any) -> int:
    """Return a number of epochs, >= 1, that memory can hold the costs of."""
    count = integer("epochs", value, 1)
    if count > MOST_EPOCHS:
        raise ValueError(f"epochs must be at most {MOST_EPOCHS}, got {shown(value)}")
    return count


def boolean(name: str, value: Any) -> bool:
    """Return `value`, which must be True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the native dtype float32 or float64 that `dtype` names."""
    try:
        found = np.dtype(dtype).str if dtype is not None else ""  # np.dtype(None) is float64
    except (TypeError, ValueError):
        found = ""
    for wanted in (FLOAT32, FLOAT64):
        if found == wanted.str:
            return wanted
    raise TypeError(f"dtype must be float32 or float64, got {shown(dtype)}")


def generator(seed: Any) -> np.random.Generator:
    """Return a generator of NumPy: None, an integer >= 0, a SeedSequence, or a Generator."""
    message = "seed must be None, an integer >= 0 or a numpy Generator, got "
    if isinstance(seed, (bool, np.bool_, str, bytes)):
        raise TypeError(message + shown(seed))
    try:
        return np.random.default_rng(seed)
    except TypeError:
        raise TypeError(message + shown(seed)) from None
    except ValueError:
        raise ValueError(message + shown(seed)) from None
