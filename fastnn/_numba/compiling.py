"""How the functions of the Numba kernels are compiled, and when."""

import hashlib
from pathlib import Path

import numba
from numba import types

__all__ = [
    "OPTIONS",
    "PerDtype",
    "codes_of",
    "dispatch",
    "formula",
    "inlined",
    "jit",
    "jit_for",
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
"""The same of a function that is called at one place: Numba makes it part of that one before it
compiles, and neither LLVM nor the linker sees it twice."""

reduction = numba.njit(**INNER | {"fastmath": {"contract", "reassoc"}})
"""The same as `jit` of a function whose sums may be added up in vectors, lane by lane."""


def jit_for(row):
    """The same as `jit` of a loop that is made for each row of a table, for that row's formula.

    The formula's name becomes part of its own: Numba counts functions of one name, and code from
    the cache, where another process counted them, would take one row's loop for another's.
    """

    def decorate(function):
        maker = function.__qualname__.split(".")[0].strip("_")
        function.__name__ = function.__qualname__ = f"{maker}_of_{row.__name__}"
        return jit(function)

    return decorate


def codes_of(formulas, table):
    """The code of each formula's row: None where the table has no such row."""
    codes = {name: row.code for name, row in table.items()}
    return {name: codes.get(name) for name in formulas}


def dispatch(functions):
    """Make ``f(code, ...)``, which calls ``functions[code](...)``; an unknown code raises.

    Numba has no table of functions: this is a chain of ifs, written as source.  Its name says
    what it chooses from (see `jit_for`).
    """
    name = "_or_".join(function.__name__ for function in functions.values())
    cases = [f"    if code == {code}:\n        return f{code}(*arguments)\n" for code in functions]
    names = {f"f{code}": function for code, function in functions.items()}
    names["__name__"] = __name__
    source = "".join(
        [f"def {name}(code, *arguments):\n", *cases, "    raise ValueError('unknown code')\n"]
    )
    exec(source, names)
    return jit(names[name])


def _edition():
    """A short hash of all sources that compiled code is made of.

    Numba's cache looks at the file of the function that it keeps, and at no other: a new
    edition of a room behind it must not be answered with the old machine code.
    """
    here = Path(__file__).parent
    sources = [*here.glob("*.py"), *here.parent.glob("*.py")]
    joined = b"".join(path.read_bytes() for path in sorted(sources))
    return hashlib.sha256(joined).hexdigest()[:12]


EDITION = _edition()


class PerDtype(dict):
    """A function, compiled for a dtype when first asked for: ``function["f"](...)``.

    Numba keeps the result on disk, if there is a folder that it may write to.
    ``parameters(real)`` are the types of its parameters.
    """

    def __init__(self, parameters, function):
        super().__init__()
        self.parameters, self.function = parameters, function
        function.__qualname__ = f"{function.__name__}_{EDITION}"  # the cache's name for it

    def __missing__(self, char):
        signature = self.parameters(types.float32 if char == "f" else types.float64)
        try:
            compiled = numba.njit(signature, cache=True, **OPTIONS)(self.function)
        except RuntimeError:  # no folder to keep it in
            compiled = numba.njit(signature, **OPTIONS)(self.function)
        # The function itself: its types are known, Numba need not look at them in each call.
        return self.setdefault(char, compiled.overloads[signature].entry_point)


def per_dtype(parameters):
    """Decorator that makes a `PerDtype`."""
    return lambda function: PerDtype(parameters, function)
