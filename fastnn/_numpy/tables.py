"""What the tables of formulas have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["codes_of"]


def codes_of(formulas: Iterable[str], table: Mapping[str, Any]) -> dict[str, Any]:
    """The code of each formula's row: None where the table has no such row."""
    return {name: table[name].code if name in table else None for name in formulas}
