"""JSON of strangers: no name twice, no NaN, no endless digits, nesting within reason."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NoReturn

from fastnn import checks
from fastnn.io.errors import FormatError

__all__ = ["dumps", "loads"]

LONGEST = 1 << 22
"""Characters of a text: read, it takes some twenty times as much memory."""

MOST_DIGITS = 40
"""Of an integer: those of 128 bits, which a generator's state has, are 39."""


def loads(what: str, text: bytes | str) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Parameters
    ----------
    what : str
        What to call the text in the message of an error.
    text : bytes or str
        In UTF-8; nothing stands before its first brace.

    Raises
    ------
    FormatError
        It is no such text.

    Examples
    --------
    >>> loads("the header", b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> loads("the header", b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    fastnn.io.errors.FormatError: the header has 'a' twice
    """
    if len(text) > LONGEST:
        raise FormatError(f"{what} would have {len(text)} bytes, more than {LONGEST}")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        if text[:1] != "{":
            raise FormatError(f"{what} does not begin with '{{'")
        found: dict[str, Any] = DECODER.decode(text)
    except FormatError as error:
        raise FormatError(str(error).replace(DECODED, what)) from None
    except RecursionError:
        raise FormatError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise FormatError(f"{what} is not valid JSON ({error})") from None
    return found


def dumps(value: Any) -> str:
    """Return a value as JSON, in ASCII and without spaces.

    Raises
    ------
    ValueError
        `loads` would not take it.

    Examples
    --------
    >>> dumps({"a": [1, 2.5]})
    '{"a":[1,2.5]}'
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    if len(text) > LONGEST:
        raise ValueError(
            f"a network of so many layers cannot be saved: its description has {len(text)} "
            f"characters, more than {LONGEST}"
        )
    return text


DECODED = "\0"
"""Stands for the name of the text in what the decoder's functions say."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise FormatError(f"{DECODED} has {checks.shown(names.most_common(1)[0][0])} twice")
    return found


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise FormatError(f"{DECODED} has an integer of {len(digits)} digits")
    return int(digits)


def _constant(name: str) -> NoReturn:
    raise FormatError(f"{DECODED} has {name}, which is no JSON")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_constant=_constant)
