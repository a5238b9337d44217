"""Every check of an argument, and every error sentence, in one place.

A check returns the argument in the form that the kernels want, or raises before
anything has changed.  The functional API behaves like a ufunc of NumPy (`floats`,
`output`); the methods of a network refuse what scikit-learn's would (`examples`,
`targets`).  Arrays that are plain already pass through untouched and uncopied.
"""

from __future__ import annotations

import math
import operator
import sys
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "apart",
    "batch_size",
    "boolean",
    "class_labels",
    "cost_arrays",
    "dense_backward_shapes",
    "dense_forward_shapes",
    "examples",
    "examples_and_targets",
    "float_dtype",
    "floats",
    "generator",
    "integer",
    "layer_sizes",
    "number",
    "output",
    "parameter_count",
    "parameters",
    "same_shape",
    "targets",
]

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

SUM_TOLERANCE = 1e-4
"""How far the classes' probabilities of one example may sum from 1: float32 targets and
smoothed labels stay within it, a forgotten class does not."""

BLOCK = 1 << 16
"""Columns looked at together, so that a check needs no memory that grows with m."""


# --- numbers and names --------------------------------------------------------------------


def integer(name, value, minimum, maximum=None):
    """Return `value` as an int of the range; a bool is not an integer here."""
    wanted = f"an integer >= {minimum}"
    if maximum is not None:
        wanted = f"an integer from {minimum} to {maximum}"
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be {wanted}, got {value!r}") from None
    if number < minimum or (maximum is not None and number > maximum):
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return number


def number(name, value, positive=True):
    """Return `value` as a finite float > 0, or >= 0 where it need not be positive."""
    if type(value) is float and 0 < value < math.inf:
        return value
    wanted = f"a finite number {'>' if positive else '>='} 0"
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)) or (
            isinstance(value, np.ndarray) and value.ndim > 0
        ):
            raise TypeError
        result = float(value)
    except OverflowError:  # an integer of hundreds of digits
        result = math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {wanted}, got {value!r}") from None
    if not 0 <= result < math.inf or (positive and result == 0):
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return result


def boolean(name, value):
    """Return `value`, which must be True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def float_dtype(dtype):
    """Return the native dtype float32 or float64 that `dtype` names."""
    try:
        kind = np.dtype(dtype).str if dtype is not None else ""  # np.dtype(None) is float64
    except (TypeError, ValueError):
        kind = ""
    for wanted in (FLOAT32, FLOAT64):
        if kind == wanted.str:
            return wanted
    raise TypeError(f"dtype must be float32 or float64, got {dtype!r}")


def generator(seed):
    """Return a generator of NumPy: None, an integer >= 0, a SeedSequence, or a Generator."""
    message = f"seed must be None, an integer >= 0 or a numpy Generator, got {seed!r}"
    if isinstance(seed, (bool, np.bool_, str, bytes)):
        raise TypeError(message)
    try:
        return np.random.default_rng(seed)
    except TypeError:
        raise TypeError(message) from None
    except ValueError:
        raise ValueError(message) from None


# --- the shape of a network ---------------------------------------------------------------


def layer_sizes(sizes):
    """Return (n[0], ..., n[L]) as a tuple of ints >= 1, L >= 1."""
    if isinstance(sizes, (str, bytes, dict, set)) or not hasattr(sizes, "__iter__"):
        raise TypeError(f"layer_sizes must be a list of integers, got {sizes!r}")
    result = tuple(integer(f"layer_sizes[{i}]", n, 1) for i, n in enumerate(sizes))
    if len(result) < 2:
        raise ValueError(
            f"layer_sizes must name at least the inputs and the outputs, got {list(result)}"
        )
    return result


def parameter_count(sizes, dtype):
    """Return how many weights and biases layers of these sizes have, if an array can be so long."""
    count = sum(n_out * (n_in + 1) for n_in, n_out in pairwise(sizes))
    if count > sys.maxsize // dtype.itemsize:
        raise ValueError(
            f"layer_sizes {list(sizes)} asks for {count} parameters, more than an array can hold"
        )
    return count


def parameters(values, views):
    """Return the arrays of the dictionary `values`, each as its view in `views` wants it."""
    if not hasattr(values, "keys"):
        raise TypeError(f"parameters must be a dictionary of arrays, got {_kind(values)}")
    for name in values.keys():
        if name not in views:
            raise ValueError(f"unknown parameter {name!r}; this network has {', '.join(views)}")
    for name in views:
        if name not in values:
            raise ValueError(f"parameter {name!r} is missing; wanted {', '.join(views)}")
    arrays = {}
    for name, view in views.items():
        array = _real(name, values[name])
        if array.shape != view.shape:
            raise ValueError(f"{name} has shape {array.shape}, wanted {view.shape}")
        arrays[name] = _cast(name, array, view.dtype)
        if not np.isfinite(arrays[name]).all():
            raise _not_finite(name, arrays[name])
    return arrays


# --- arrays of the functional API: as a ufunc takes them ----------------------------------


def floats(**arrays) -> list[NDArray]:
    """Return the arrays as plain ones of their common dtype, float32 or float64.

    Integers and booleans count as float64.  NaN and infinity pass.
    """
    dtype = None
    for array in arrays.values():
        if type(array) is not np.ndarray or not array.flags.aligned:
            break
        if dtype is None:
            dtype = array.dtype
        if array.dtype is not dtype or (dtype is not FLOAT32 and dtype is not FLOAT64):
            break
    else:
        return list(arrays.values())
    plain = [_float(name, array) for name, array in arrays.items()]
    dtype = np.result_type(*plain)
    return [
        array if array.dtype == dtype and array.flags.aligned else array.astype(dtype)
        for array in plain
    ]


def same_shape(**arrays):
    """Refuse arrays whose shapes differ."""
    (name, first), (other, second) = arrays.items()
    if first.shape != second.shape:
        raise ValueError(
            f"{name} of shape {first.shape} and {other} of shape {second.shape} "
            "must have the same shape"
        )


def dense_forward_shapes(W, b, A_prev):
    """Refuse what ``W A_prev + b`` cannot be computed from."""
    if W.ndim != 2 or A_prev.ndim != 2 or W.shape[1] != A_prev.shape[0]:
        _matrices(W=W, A_prev=A_prev)
        raise ValueError(
            f"W of shape {W.shape} cannot multiply A_prev of shape {A_prev.shape}: "
            f"W has {W.shape[1]} columns, A_prev {A_prev.shape[0]} rows"
        )
    if b.shape != (W.shape[0], 1):
        raise ValueError(
            f"b of shape {b.shape} could not be broadcast: "
            f"W of shape {W.shape} wants b of shape {(W.shape[0], 1)}"
        )


def dense_backward_shapes(dZ, W, A_prev):
    """Refuse what dW, db and dA_prev cannot be computed from."""
    _matrices(dZ=dZ, W=W, A_prev=A_prev)
    if dZ.shape != (W.shape[0], A_prev.shape[1]) or W.shape[1] != A_prev.shape[0]:
        raise ValueError(
            f"dZ of shape {dZ.shape}, W of shape {W.shape} and A_prev of shape {A_prev.shape} "
            "do not belong together: wanted (n_out, m), (n_out, n_in) and (n_in, m)"
        )


def cost_arrays(A, Y, loss):
    """Refuse outputs and targets from which `loss` cannot be computed; NaN passes."""
    _matrices(A=A, Y=Y)
    same_shape(A=A, Y=Y)
    if loss.probabilities and Y.size:
        _in_unit_interval("A", A, loss, tolerance=SUM_TOLERANCE)
        _in_unit_interval("Y", Y, loss)
        if loss.name == "cross_entropy":
            _columns_sum_to_one(Y, loss)


def output(out, shape, dtype, *inputs) -> NDArray:
    """Return the array for a kernel to write: `out` if it can, else a new one.

    The caller copies a new one to `out` when the kernel is done (casting="same_kind").
    It is needed where `out` overlaps an input, has another dtype, or is not aligned.
    """
    if not isinstance(out, np.ndarray) or (type(out) is not np.ndarray and _is_special(out)):
        raise TypeError(f"out must be a numpy.ndarray or None, got {_kind(out)}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, wanted {shape}")
    if not out.flags.writeable:
        raise ValueError("output array is read-only")
    if out.dtype != dtype and not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TypeError(
            f"Cannot cast output from {dtype!r} to {out.dtype!r} with casting rule 'same_kind'"
        )
    if out.dtype == dtype and out.flags.aligned:
        if not any(_may_overlap(out, array) for array in inputs):
            return out
    return np.empty(shape, dtype)


# --- arrays of a network: finite numbers, one column for each example ---------------------


def examples(X, n_inputs, dtype, all_finite) -> NDArray:
    """Return X as a plain finite array (n_inputs, m >= 1) of the network's dtype.

    `all_finite` is the kernel of that name.
    """
    if not _is_plain(X, dtype) or X.ndim != 2 or X.shape[0] != n_inputs or X.shape[1] == 0:
        X = _convert_examples(X, n_inputs, dtype)
    if not all_finite(X):
        raise _not_finite("X", X)
    return X


def _convert_examples(X, n_inputs, dtype):
    """X as a plain array (n_inputs, m >= 1), or the error that says what is wrong with it."""
    X = _real("X", X)
    if X.ndim != 2:
        raise _wrong_dimensions("X", X, f"({n_inputs}, m)")
    if X.shape[0] != n_inputs:
        hint = ": did you mean X.T?" if X.shape[1] == n_inputs else "."
        raise ValueError(
            f"X has {X.shape[0]} features (rows), but this network expects {n_inputs}: "
            f"X has shape {X.shape}, wanted ({n_inputs}, m), one column per example{hint}"
        )
    if X.shape[1] == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required: "
            "X has no columns."
        )
    return _cast("X", X, dtype)


def targets(Y, shape, loss, dtype, all_finite) -> NDArray:
    """Return Y as a plain array of this shape and dtype, with values that `loss` allows."""
    if not _is_plain(Y, dtype) or Y.shape != shape:
        Y = _convert_targets(Y, shape, dtype)
    if not loss.probabilities:
        if not all_finite(Y):
            raise _not_finite("Y", Y)
    elif not _in_unit_interval("Y", Y, loss):
        raise _not_finite("Y", Y)
    if loss.name == "cross_entropy":
        _columns_sum_to_one(Y, loss)
    return Y


def _convert_targets(Y, shape, dtype):
    """Y as a plain array of this shape, or the error that says what is wrong with it."""
    if Y is None:
        raise ValueError("this method requires Y to be passed, but the target Y is None")
    Y = _real("Y", Y)
    if Y.shape != shape:
        raise _wrong_targets(Y, shape)
    return _cast("Y", Y, dtype)


def examples_and_targets(X, Y, sizes, loss, dtype, all_finite) -> tuple[NDArray, NDArray]:
    """Return X and Y as `examples` and `targets` do, for a network of these layer sizes."""
    X = examples(X, sizes[0], dtype, all_finite)
    return X, targets(Y, (sizes[-1], X.shape[1]), loss, dtype, all_finite)


def class_labels(Y, n_classes, m):
    """Return Y, (m,), as integers 0 ... n_classes - 1."""
    Y = _real("Y", Y)
    if Y.shape != (m,):
        raise ValueError(
            f"Y has shape {Y.shape}, wanted ({n_classes}, {m}), one-hot, "
            f"or ({m},), the class of each example"
        )
    Y = _cast("Y", Y, FLOAT64)
    if not np.isfinite(Y).all():
        raise _not_finite("Y", Y)
    if (Y != np.floor(Y)).any() or Y.min() < 0 or Y.max() >= n_classes:
        raise ValueError(
            f"the classes in Y must be integers from 0 to {n_classes - 1}, "
            f"got values from {Y.min():g} to {Y.max():g}"
        )
    return Y.astype(np.intp)


def batch_size(size, m):
    """Return the number of examples in a batch, at most m; None means all of them."""
    if size is None:
        return m
    size = integer("batch_size", size, 1)
    if size > m:
        warnings.warn(
            f"batch_size {size} is larger than the number of examples, {m}: it is clipped to {m}.",
            UserWarning,
            stacklevel=4,  # the caller of MLP.fit
        )
    return min(size, m)


def apart(array, flat) -> NDArray:
    """Return `array`, or a copy of it where it overlaps `flat`, which is about to change."""
    return array.copy() if _may_overlap(array, flat) else array


# --- the sentences ------------------------------------------------------------------------


def _kind(value):
    """What to call the type of `value` in a message."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _may_overlap(a, b):
    """Whether two arrays may share memory; two that own theirs do not (and this is quick)."""
    return a is b or ((a.base is not None or b.base is not None) and np.may_share_memory(a, b))


def _is_plain(array, dtype):
    """Whether the kernels can take `array` as it is."""
    return type(array) is np.ndarray and array.dtype == dtype and array.flags.aligned


def _is_special(array):
    """Whether an array gives its elements another meaning than the kernels would."""
    return isinstance(array, (np.matrix, np.ma.MaskedArray))


def _as_array(name, value):
    """`value` as an ndarray, refusing None, np.matrix and masked arrays."""
    if value is None:
        raise TypeError(f"{name} must be an array, got None")
    if isinstance(value, np.ndarray) and _is_special(value):
        wanted = "use np.asarray(...)" if isinstance(value, np.matrix) else "use .filled(...)"
        raise TypeError(f"{name} must be a plain array, got {_kind(value)}: {wanted}")
    try:
        return np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name}: {error}") from None


def _float(name, value):
    """`value` as a native float32 or float64 array; integers and booleans become float64."""
    array = _as_array(name, value)
    if array.dtype.char in "fd":
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind in "biu":
        return array.astype(FLOAT64)
    raise TypeError(
        f"{name} has dtype {array.dtype}, wanted float32 or float64 "
        "(integers and booleans are converted)"
    )


def _real(name, value):
    """`value` as an array of a dtype that can be cast to float, not yet cast."""
    array = _as_array(name, value)
    kind = array.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}")
    if kind in "UST":
        raise ValueError(f"could not convert string to float: {name} has dtype {array.dtype}")
    if kind not in "biufO" or (kind == "O" and array.ndim == 0):
        raise TypeError(f"{name} must be an array of numbers, got {_kind(value)} ({array.dtype})")
    return array


def _cast(name, array, dtype):
    """An array from `_real` as a plain one of `dtype`; without a copy if it is one."""
    if _is_plain(array, dtype):
        return array
    if array.dtype.kind == "O":
        for value in array.flat:
            if isinstance(value, (str, bytes)):
                raise ValueError(f"could not convert string to float: {value!r} in {name}")
    try:
        with np.errstate(over="ignore"):  # too large becomes infinite, and is refused as such
            return array.astype(dtype)
    except OverflowError:  # a Python integer of hundreds of digits
        raise _not_finite(name, np.array(np.inf, dtype)) from None
    except TypeError as error:  # an object that is not a number
        raise TypeError(f"{name}: {error}") from None
    except ValueError as error:  # an object that is a sequence
        raise ValueError(f"{name}: {error}") from None


def _not_finite(name, array):
    """The error for an array that is known to hold NaN or infinity."""
    if np.isnan(array).any():
        return ValueError(f"Input {name} contains NaN.")
    return ValueError(f"Input {name} contains infinity or a value too large for {array.dtype!r}.")


def _wrong_dimensions(name, array, wanted):
    """The error for an array that is not 2D."""
    if array.ndim > 2:
        return ValueError(
            f"Found array with dim {array.ndim}, while dim <= 2 is required: "
            f"{name} has shape {array.shape}, wanted {wanted}, one column per example."
        )
    found = "1D array" if array.ndim else "scalar array"
    return ValueError(
        f"Expected 2D array, got {found} instead: "
        f"{name} has shape {array.shape}, wanted {wanted}, one column per example."
    )


def _wrong_targets(Y, shape):
    """The error for targets that are not of this shape."""
    if Y.ndim != 2:
        return _wrong_dimensions("Y", Y, shape)
    found = f"Y has shape {Y.shape}, wanted {shape}, one column per example."
    if Y.shape[1] != shape[1] and Y.shape != shape[::-1]:
        samples = [shape[1], Y.shape[1]]
        found = f"Found input variables with inconsistent numbers of samples: {samples}: {found}"
    return ValueError(found)


def _matrices(**arrays):
    """Refuse arrays that are not 2D."""
    for name, array in arrays.items():
        if array.ndim != 2:
            raise _wrong_dimensions(name, array, "two axes")


def _in_unit_interval(name, array, loss, tolerance=0.0):
    """Refuse values outside [0, 1]; return False if there is a NaN and no such value."""
    lowest = np.minimum.reduce(array, axis=None)
    highest = np.maximum.reduce(array, axis=None)
    if lowest >= 0 and highest <= 1 + tolerance:
        return True
    if math.isnan(lowest):
        lowest, highest = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
        if not (lowest < 0 or highest > 1 + tolerance):
            return False
    if math.isinf(lowest) or math.isinf(highest):
        raise _not_finite(name, array)
    raise ValueError(
        f"{name} must hold probabilities in [0, 1] for loss {loss.name!r}, "
        f"got values from {lowest:g} to {highest:g}"
    )


def _columns_sum_to_one(Y, loss):
    """Refuse targets of which an example's probabilities do not sum to 1; NaN passes."""
    for start in range(0, Y.shape[1], BLOCK):
        sums = np.add.reduce(Y[:, start : start + BLOCK], axis=0)
        wrong = np.abs(sums - 1) > SUM_TOLERANCE
        if wrong.any():
            column = int(wrong.argmax())
            raise ValueError(
                f"each column of Y must sum to 1 for loss {loss.name!r}, "
                f"column {start + column} sums to {sums[column]:g}"
            )
