"""What a set of kernels must have before anything runs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _kernels_numpy
from fastnn.activations import ACTIVATIONS
from fastnn.losses import LOSSES
from fastnn.optimizers import FORMULAS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

__all__ = ["CODES", "Backend", "check_contract"]

CODES: Mapping[str, Mapping[str, Any]] = {
    "ACTIVATION_CODES": ACTIVATIONS,
    "LOSS_CODES": LOSSES,
    "UPDATE_CODES": FORMULAS,
}
"""The codes that kernels export, and the table whose rows they must name."""


class Backend:
    """One set of kernels.

    Parameters
    ----------
    name : str
        "cython", "numba" or "numpy"; a test may give another.
    float32, float64 : module
        The kernels for each dtype; they may be the same module.
    simd : str, optional
        SIMD level for which they were compiled.

    Raises
    ------
    ImportError
        A kernel is missing, or the codes are not those of the tables: such kernels would
        compute something else than was asked for.
    """

    __slots__ = ("_kernels", "name", "simd")

    def __init__(
        self, name: str, float32: ModuleType, float64: ModuleType, simd: str | None = None
    ) -> None:
        for module in (float32, float64):
            check_contract(name, module)
        self.name = name
        self.simd = simd
        self._kernels: dict[np.dtype[Any], ModuleType] = {
            np.dtype(np.float32): float32,
            np.dtype(np.float64): float64,
        }

    def kernels(self, dtype: np.dtype[Any]) -> ModuleType:
        """Return the module of the kernels for `dtype`, a numpy.dtype."""
        return self._kernels[dtype]

    def __str__(self) -> str:
        return f"{self.name} ({self.simd})" if self.simd else self.name

    def __repr__(self) -> str:
        return f"<Backend {self}>"


def check_contract(name: str, module: ModuleType) -> None:
    """Raise ImportError unless `module` has every kernel, and the codes of the tables."""
    for kernel in _kernels_numpy.__all__:
        if not hasattr(module, kernel):
            raise ImportError(f"the {name} backend lacks the kernel {kernel!r}")
    for codes, table in CODES.items():
        wanted = {row.name: row.code for row in table.values()}
        found = dict(getattr(module, codes))
        if found != wanted:
            raise ImportError(
                f"the {name} backend has {codes} {found}, wanted {wanted}: "
                "its extension is of another version, build it again"
            )
