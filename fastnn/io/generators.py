"""The state of a random generator as numbers of JSON, and back.

A state goes to C code that trusts it: a place in a buffer beyond its end would be read there.  So
every number is held against what NumPy itself may have there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import checks
from fastnn.io.errors import FormatError

__all__ = ["generator", "numbers"]

KINDS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
"""The bit generators of NumPy."""

LARGEST = {
    "has_uint32": 1,
    "uinteger": (1 << 32) - 1,
    "pos": 624,  # of MT19937: in its key of 624
    "buffer_pos": 4,  # of Philox: in its buffer of 4
    "state": (1 << 128) - 1,
    "inc": (1 << 128) - 1,
}
"""Of the integers in a state; arrays hold whatever their dtype does."""


def numbers(generator: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator, its arrays as lists.

    Raises
    ------
    ValueError
        It is of a kind that NumPy does not have.

    Examples
    --------
    >>> numbers(np.random.default_rng(0))["bit_generator"]
    'PCG64'
    """
    state: Any = generator.bit_generator.state
    name = state["bit_generator"]
    if name not in KINDS or type(generator.bit_generator) is not getattr(np.random, name):
        raise ValueError(
            f"the network's generator, a {checks.kind(generator.bit_generator)}, cannot be saved: "
            "it is none of NumPy's"
        )
    found: dict[str, Any] = _plain(state)
    return found


def generator(state: Any) -> np.random.Generator:
    """Return a generator with a state that `numbers` has returned.

    Raises
    ------
    FormatError
        It is no such state.

    Examples
    --------
    >>> twin = generator(numbers(np.random.default_rng(0)))
    >>> twin.random() == np.random.default_rng(0).random()
    True
    """
    name = state.get("bit_generator") if isinstance(state, dict) else None
    if name not in KINDS:
        raise FormatError(f"the generator is of an unknown kind, {checks.shown(name)}")
    bit_generator = getattr(np.random, name)(0)
    template = bit_generator.state
    bit_generator.state = _like("generator", state, template)
    return np.random.Generator(bit_generator)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _like(what: str, value: Any, template: Any) -> Any:
    """`value` as the state of NumPy that `template` is, or the error."""
    if isinstance(template, dict):
        if isinstance(value, dict) and value.keys() == template.keys():
            return {name: _like(name, value[name], template[name]) for name in template}
    elif isinstance(template, np.ndarray):
        most = int(np.iinfo(template.dtype).max)
        if isinstance(value, list) and len(value) == template.size:
            if all(_is_integer(n, most) for n in value):
                return np.array(value, template.dtype)
    elif isinstance(template, str):
        return template
    elif _is_integer(value, LARGEST[what]):
        return value
    raise FormatError(f"the state of the generator has {checks.shown(value)} for {what!r}")


def _is_integer(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most
