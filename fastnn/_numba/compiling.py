"""How the functions of the Numba kernels are compiled, and when."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from types import FunctionType

import numba
import numpy as np
from numba import types

__all__ = [
    "ARRAY", "BOOL", "FLOAT", "INT", "OPTIONS", "c_function", "codes_of", "formula", "inlined",
    "jit", "per_dtype", "reduction",
]  # fmt: skip

# error_model: a division by zero is inf, as in NumPy, and no branch.  contract: a product and a
# sum may become one fused multiply-add.  No other fast-math flag: NaN, infinity, signed zeros
# and subnormal numbers keep their meaning.
OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}

# Inner functions are not called from Python: a wrapper for it would only take time to compile.
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **OPTIONS}

jit = numba.njit(**INNER)
"""Decorator of a function that is called from compiled functions alone."""

formula = numba.njit(forceinline=True, **INNER)
"""The same of a function of single numbers: it becomes part of each loop that calls it, which
LLVM then makes a loop over vectors."""

inlined = numba.njit(inline="always", **INNER)
"""The same of a function that Numba makes part of its callers before it compiles them: a chain
of calls would compile all that is below once more at each of its links."""

reduction = numba.njit(**INNER | {"fastmath": {"contract", "reassoc"}})
"""The same as `jit` of a function whose sums may be added up in vectors, lane by lane."""

ARRAY, INT, FLOAT, BOOL = types.voidptr, types.int64, types.float64, types.boolean


def _edition():
    """A short hash of all sources that compiled code is made of, part of its name in the cache.

    Numba's cache looks at the file of the function that it keeps, and at no other: a new
    edition of a room behind it must not be answered with the old machine code.
    """
    here = Path(__file__).parent
    sources = [*here.glob("*.py"), *here.parent.glob("*.py")]
    joined = b"".join(path.read_bytes() for path in sorted(sources))
    return hashlib.sha256(joined).hexdigest()[:12]


EDITION = _edition()


def _compiled(compiler, function, name, char, result=(), **options):
    """The function for a dtype, compiled, or from the disk, if there is a folder to write to.

    Its annotations are the types of its parameters, and may name the dtype `real`.
    """
    real = types.float64 if char == "d" else types.float32
    scope = function.__globals__ | {"real": real}
    signature = tuple(eval(kind, scope) for kind in function.__annotations__.values())
    # Numba counts functions of one name, and code from the cache, where another process counted
    # them, would take one row's loop for another's.
    function.__qualname__ = f"{name}_{char}_{EDITION}"
    signature = result(*signature) if result else signature
    try:
        return compiler(signature, cache=True, **options)(function), signature
    except RuntimeError:  # no folder
        return compiler(signature, **options)(function), signature


def per_dtype(function):
    """Decorator of an entry from Python: ``function("f")`` is compiled when first asked for."""

    @cache
    def of_dtype(char):
        made, signature = _compiled(numba.njit, function, function.__name__, char, **OPTIONS)
        # The function itself: its types are known, Numba need not look at them in each call.
        return made.overloads[signature].entry_point

    return of_dtype


def c_function(template, name, char, **formulas):
    """A C function for a row of a table: a template with the row's formulas in their places.

    It is compiled when first asked for, so that a network waits for its own rows and not for all.
    """
    formulas = {name: formula(f) if callable(f) else f for name, f in formulas.items()}
    scope = template.__globals__ | formulas | {"real": np.dtype(char).type}
    function = FunctionType(template.__code__, scope, template.__name__)
    function.__annotations__ = template.__annotations__
    options = {name: value for name, value in OPTIONS.items() if name != "nogil"}
    name = f"{template.__name__}_{name}"
    return _compiled(numba.cfunc, function, name, char, types.void, **options)[0]


def codes_of(formulas, table):
    """The code of each formula's row: None where the table has no such row."""
    return {name: table[name].code if name in table else None for name in formulas}
