"""How the functions of the Numba kernels are compiled, and when."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from types import FunctionType

import numba
import numpy as np
from numba import carray, types

__all__ = [
    "OPTIONS",
    "c_function",
    "codes_of",
    "formula",
    "inlined",
    "jit",
    "on_blocks",
    "on_vectors",
    "per_dtype",
    "reduction",
]

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


def _kept(compiler, signature, function, **options):
    """Compile, or take the result from the disk, if there is a folder that one may write to."""
    try:
        return compiler(signature, cache=True, **options)(function)
    except RuntimeError:  # no folder
        return compiler(signature, **options)(function)


def _signature(function, real):
    """The types of the parameters, from their annotations, which may name the dtype `real`."""
    names = function.__globals__ | {"real": real}
    return tuple(eval(kind, names) for kind in function.__annotations__.values())


def per_dtype(function):
    """Decorator of an entry from Python: ``function("f")`` is compiled when first asked for."""
    function.__qualname__ = f"{function.__name__}_{EDITION}"

    @functools.cache
    def compiled(char):
        signature = _signature(function, types.float32 if char == "f" else types.float64)
        # The function itself: its types are known, Numba need not look at them in each call.
        return _kept(numba.njit, signature, function, **OPTIONS).overloads[signature].entry_point

    return compiled


# --- rows of the tables: C functions, called by their address -----------------------------

ARRAY, INT, FLOAT = types.voidptr, types.intp, types.float64
loop = real = None  # in the templates: the loop of the row, and the dtype


def on_blocks(x: ARRAY, y: ARRAY, out: ARRAY, n: INT, width: INT, alpha: FLOAT):
    """``loop(x, y, out, n, width, alpha)`` on arrays (n, width), flat."""
    size = n * width
    x, y, out = carray(x, size, real), carray(y, size, real), carray(out, size, real)
    loop(x, y, out, n, width, real(alpha))


def on_vectors(w: ARRAY, gradient: ARRAY, state: ARRAY, n: INT, scalars: ARRAY, constants: ARRAY):
    """The same on flat vectors; the loop knows how many there are in state."""
    scalars, constants = carray(scalars, 3, np.float64), carray(constants, 3, np.float64)
    w, gradient, state = carray(w, n, real), carray(gradient, n, real), carray(state, (3, n), real)
    loop(w, gradient, state, scalars, constants)


MADE = []


def c_function(template, name, char, loop):
    """A template with the loop that was made for a row, compiled: for a row of a network, when
    it is first asked for, so that a network waits for its own rows and not for all."""
    names = template.__globals__ | {"loop": formula(loop), "real": np.dtype(char).type}
    function = FunctionType(template.__code__, names, template.__name__)
    # Numba counts functions of one name, and code from the cache, where another process counted
    # them, would take one row's loop for another's.
    function.__qualname__ = f"{name}_{char}_{EDITION}"
    options = {name: value for name, value in OPTIONS.items() if name != "nogil"}
    made = _kept(numba.cfunc, types.void(*_signature(template, None)), function, **options)
    MADE.append(made)  # its address is good for as long as it lives
    return made


def codes_of(formulas, table):
    """The code of each formula's row: None where the table has no such row."""
    return {name: table[name].code if name in table else None for name in formulas}
