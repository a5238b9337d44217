"""Where each W and b lies in the flat vector of all parameters.

W[1] row by row, b[1], W[2], b[2], ...: the order that the kernels read and write, in which an
optimizer keeps its vectors and in which gradients lie.
"""

from __future__ import annotations

import math
from functools import lru_cache, wraps
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fastnn import checks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["ParameterDict", "flat", "new_vector", "of_weights", "runs"]

CACHE_LINE = 64  # bytes: of a row of W that begins on one, no register's load lies on two


def new_vector(count: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return zeros for `count` parameters, aligned to a cache line.

    NumPy aligns to 16 bytes: the products of one example with W took up to a third longer.
    """
    dtype = np.dtype(dtype)
    memory = np.zeros(count * dtype.itemsize + CACHE_LINE, np.uint8)
    start = -memory.__array_interface__["data"][0] % CACHE_LINE
    return memory[start : start + count * dtype.itemsize].view(dtype)


@lru_cache(maxsize=64)  # it is asked for at every look at the parameters
def runs(layer_sizes: tuple[int, ...]) -> tuple[tuple[str, slice, tuple[int, int]], ...]:
    """Return the name, the place in the flat vector and the shape of each W and b.

    Examples
    --------
    >>> runs((3, 2))
    (('W1', slice(0, 6, None), (2, 3)), ('b1', slice(6, 8, None), (2, 1)))
    """
    found, start = [], 0
    for l, (n_in, n_out) in enumerate(pairwise(layer_sizes), start=1):
        middle, stop = start + n_out * n_in, start + n_out * (n_in + 1)
        found.append((f"W{l}", slice(start, middle), (n_out, n_in)))
        found.append((f"b{l}", slice(middle, stop), (n_out, 1)))
        start = stop
    return tuple(found)


def of_weights(layer_sizes: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a flat vector with 1 for each weight, which penalties count, and 0 for each bias.

    Examples
    --------
    >>> of_weights((1, 2))
    array([1., 1., 0., 0.])
    """
    return np.concatenate(
        [np.full(math.prod(shape), float(name[0] == "W")) for name, _, shape in runs(layer_sizes)]
    )


class ParameterDict(dict[str, "NDArray[Any]"]):
    """{"W1": (n[1], n[0]), "b1": (n[1], 1), ...}: views of one flat vector.

    What is assigned to a name is copied into the vector, after a check; names are neither
    added nor taken away.  Copies and pickles of it are plain dictionaries.

    The views are made when the first of them is asked for: a loop that only hands gradients on,
    such as ``optimizer.update(net, gradients)``, does not pay for them.

    Parameters
    ----------
    vector : ndarray
        Flat; held, not copied.
    layer_sizes : tuple of int
        (n[0], ..., n[L]).
    prefix : str
        "" for parameters; "d" for their derivatives, {"dW1": ..., ...}.

    Attributes
    ----------
    vector : ndarray
    layer_sizes : tuple of int
    prefix : str

    Examples
    --------
    >>> parameters = fastnn.MLP([1, 1]).parameters
    >>> parameters["W1"] = [[2.0]]
    >>> parameters.vector
    array([2., 0.], dtype=float32)
    """

    __slots__ = ("layer_sizes", "prefix", "vector")

    def __init__(
        self, vector: NDArray[Any], layer_sizes: tuple[int, ...], prefix: str = ""
    ) -> None:
        self.vector = vector
        self.layer_sizes = layer_sizes
        self.prefix = prefix

    def __missing__(self, name: str) -> NDArray[Any]:
        if _is_filled(self):
            raise KeyError(name)
        _fill(self)
        return self[name]

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        self.update({name: value})

    def update(self, *values: Any, **more: ArrayLike) -> None:
        """Copy arrays into the vector: all of them, or, where one is refused, none.

        Raises
        ------
        TypeError, ValueError
            A name is unknown, or an array has the wrong shape, is not real, or holds NaN or
            infinity.
        """
        given: dict[str, Any] = dict(*values, **more)
        arrays = {}
        for name, value in given.items():
            checks.known_parameter(name, self)
            # ``parameters["W1"] += 1`` assigns the view to itself, changed already.
            if value is not self[name]:
                arrays[name] = checks.parameter(name, value, self[name])
        if len(arrays) > 1:  # one of them may be read after another was written
            arrays = {name: checks.apart(array, self.vector) for name, array in arrays.items()}
        for name, array in arrays.items():
            self[name][...] = array

    def _refuse(self, *arguments: Any, **keywords: Any) -> NoReturn:
        """Refuse: a network has the parameters that it has."""
        raise TypeError("the parameters of a network can be set, but not added or taken away")

    __delitem__ = pop = popitem = clear = setdefault = __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


# --- views that are made when they are asked for ------------------------------------------


def _is_filled(parameters: ParameterDict) -> bool:
    """Whether the views have been made."""
    return dict.__len__(parameters) > 0


def _fill(parameters: ParameterDict) -> None:
    """Make the views."""
    put, vector, prefix = dict.__setitem__, parameters.vector, parameters.prefix
    for name, part, shape in runs(parameters.layer_sizes):
        put(parameters, prefix + name, vector[part].reshape(shape))


def _filled_first(name: str) -> Callable[..., Any]:
    """The method of `dict` of this name, for a dictionary whose views are made by then."""
    method = getattr(dict, name)

    @wraps(method)
    def of_the_views(self: ParameterDict, *arguments: Any) -> Any:
        if not _is_filled(self):
            _fill(self)
        return method(self, *arguments)

    return of_the_views


for _name in (
    "__contains__", "__eq__", "__iter__", "__len__", "__ne__", "__or__", "__repr__", "__reversed__",
    "__ror__", "copy", "get", "items", "keys", "values",
):  # fmt: skip
    setattr(ParameterDict, _name, _filled_first(_name))


# --- from arrays to a vector --------------------------------------------------------------


def flat(
    values: Any,
    wanted: ParameterDict,
    all_finite: Callable[[NDArray[Any]], bool],
    argument: str = "parameters",
) -> NDArray[Any]:
    """Return the arrays of a dictionary, one for each in `wanted`, as one flat vector, checked.

    Without a copy where they are the views of one, as `MLP.gradients` returns them.
    `all_finite` is the kernel of that name.
    """
    if (
        type(values) is ParameterDict
        and values.layer_sizes == wanted.layer_sizes
        and values.prefix == wanted.prefix
        and values.vector.dtype == wanted.vector.dtype
        and all_finite(values.vector[np.newaxis])
    ):
        return values.vector
    arrays = checks.parameters(values, wanted, argument)
    return np.concatenate([array.ravel() for array in arrays.values()])
