"""Columns of an argument, some at a time: what is converted on the way does not grow with m."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["Columns"]


class Columns:
    """An array, or a list of rows, whose columns are taken some at a time.

    Parameters
    ----------
    value : array_like
        One column for each example; or flat, one number for each.

    Attributes
    ----------
    m : int
        The number of examples; 0 where none are to be found.
    is_flat : bool
        Whether there is one number for each example.
    """

    def __init__(self, value: Any) -> None:
        self._whole = self._value = value
        self._rows = _rows_of(value)
        if self._rows:
            self.m, self.is_flat = len(self._rows[0]), False
        elif _is_flat_list(value):
            self.m, self.is_flat = len(value), True
        else:
            self._value = array = _array_of(value)
            self.m, self.is_flat = array.shape[-1] if array.ndim else 0, array.ndim == 1

    def blocks(
        self, size: int, check: Callable[[Any, int], NDArray[Any]]
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield (columns, block), at most `size` columns at a time.

        Each block is what ``check(block, width)`` makes of it; what that refuses is said of
        the whole.
        """
        if not self.m:
            check(self._whole, 0)
        for start in range(0, self.m, size):
            columns = slice(start, min(start + size, self.m))
            try:
                block = check(self._take(columns), columns.stop - start)
            except (TypeError, ValueError):
                check(self._whole, self.m)
                raise
            yield columns, block

    def _take(self, columns: slice) -> Any:
        if self._rows:
            return [row[columns] for row in self._rows]
        return self._value[columns] if self.is_flat else self._value[..., columns]


def _rows_of(value: Any) -> list[Any]:
    """The rows of a list of rows of one length; empty where `value` is anything else."""
    if not isinstance(value, (list, tuple)):
        return []
    for row in value:
        if not isinstance(row, (list, tuple)) and not (isinstance(row, np.ndarray) and row.ndim):
            return []
    return list(value) if len(set(map(len, value))) == 1 else []


def _is_flat_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and not any(hasattr(x, "__len__") for x in value)


def _array_of(value: Any) -> NDArray[Any]:
    """`value` as an array; without axes where it is none, which a check will say."""
    if isinstance(value, np.ndarray):
        return value
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        return np.array(None)
