"""How the checks call a kernel and judge what it returns, and the data that they use."""

import numpy as np

from fastnn import _kernels_numpy as reference
from fastnn._specifications import LossSpec
from fastnn.losses import LOSSES as LOSS_TABLE
from support.tables import FROM_Z, PARAMETERS, SLOPE, TOLERANCES

CODES = reference.ACTIVATION_CODES
LOSSES = reference.LOSS_CODES
UPDATES = reference.UPDATE_CODES
FENCE = 67
"""Elements before and after each array of a call; odd, so that nothing is aligned to 64 bytes."""
SENTINEL = -12345.0

WORST = {}
"""(tolerance, dtype) -> the largest error met by a test that passed, as a share of the bound."""


# --- how a result is judged ---------------------------------------------------------------


def assert_within(tolerance, actual, expected, bound, case):
    """Each element of `actual` lies within `bound` of `expected`; NaN and inf are the same.

    The largest error, as a share of the bound, goes into the summary of the run.
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{case}: shape {actual.shape}"
    assert actual.dtype == expected.dtype, f"{case}: dtype {actual.dtype}"
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite], err_msg=str(case))
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(actual[finite].astype(np.float64) - expected[finite])
        share = np.where(error == 0, 0.0, error / np.broadcast_to(bound, actual.shape)[finite])
    worst = share.max(initial=0.0)
    assert worst <= 1, f"{case}: {worst:.3g} times the tolerance {TOLERANCES[tolerance]}"
    record(tolerance, actual.dtype, worst)


def assert_norm_within(tolerance, actual, expected, case):
    """The whole of `actual` is near `expected`: norm of the difference over norm."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{case}: shape {actual.shape}"
    assert actual.dtype == expected.dtype, f"{case}: dtype {actual.dtype}"
    error = np.linalg.norm((actual - expected).astype(np.float64))
    allowed = TOLERANCES[tolerance].at(actual.dtype) * np.linalg.norm(expected.astype(np.float64))
    worst = 0.0 if error == 0 else error / allowed if allowed else np.inf
    assert worst <= 1, f"{case}: {worst:.3g} times the tolerance {TOLERANCES[tolerance]}"
    record(tolerance, actual.dtype, worst)


def assert_number_within(tolerance, actual, expected, dtype, case=""):
    """The same for a number, such as a cost, that comes from arrays of `dtype`."""
    assert type(actual) is float, f"{case}: a {type(actual)}"
    assert_norm_within(tolerance, np.array([actual], dtype), np.array([expected], dtype), case)


def assert_on_paper(actual, expected, dtype=None):
    """Numbers are those that were worked out on paper, but for a handful of roundings."""
    actual = np.asarray(actual)
    allowed = TOLERANCES["paper"].at(dtype or actual.dtype) * eps(dtype or actual.dtype)
    np.testing.assert_allclose(actual, expected, rtol=allowed)


def assert_same_bits(actual, expected, case=""):
    """Not one bit differs, signs of zero and NaN included."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, f"{case}: dtype {actual.dtype}"
    assert actual.shape == expected.shape, f"{case}: shape {actual.shape}"
    assert actual.tobytes() == expected.tobytes(), f"{case}: the bits differ"


def record(tolerance, dtype, share):
    key = tolerance, dtype.name
    WORST[key] = max(WORST.get(key, 0.0), float(share))


def eps(dtype):
    return float(np.finfo(dtype).eps)


def assert_cost_within(actual, expected, bound, dtype, case):
    assert np.isfinite(actual), f"{case}: cost {actual}"
    error = abs(actual - expected)
    assert error <= bound, f"{case}: cost {actual}, expected {expected}"
    record("cost", np.dtype(dtype), error / bound if bound else 0.0)


# --- how a kernel is called ---------------------------------------------------------------


class Fenced:
    """An array with `FENCE` elements of `SENTINEL` on either side of it in memory."""

    def __init__(self, values):
        self.block = np.full(values.size + 2 * FENCE, SENTINEL, values.dtype)
        self.array = self.block[FENCE : FENCE + values.size].reshape(values.shape)
        self.array[...] = values
        self.before = self.block.copy()

    def assert_untouched(self, case):
        assert_same_bits(self.block, self.before, f"{case}: an input was written")

    def assert_fences_stand(self, case):
        for fence in (self.block[:FENCE], self.block[self.block.size - FENCE :]):
            assert (fence == SENTINEL).all(), f"{case}: written outside an output"


def call(function, *inputs, out, dtype=None, case=""):
    """Call a kernel and return its outputs, one for each shape in `out`.

    Every array lies between fences; inputs must come back as they were; outputs are NaN
    before.  A kernel that reads past an end sees -12345.
    """
    dtype = dtype or next(x.dtype for x in inputs if isinstance(x, np.ndarray))
    given = [Fenced(x) if isinstance(x, np.ndarray) else x for x in inputs]
    wanted = [None if shape is None else Fenced(np.full(shape, np.nan, dtype)) for shape in out]
    arguments = [x.array if isinstance(x, Fenced) else x for x in (*given, *wanted)]
    with np.errstate(all="ignore"):
        returned = function(*arguments)
    for x in given:
        if isinstance(x, Fenced):
            x.assert_untouched(case)
    for x in wanted:
        if x is not None:
            x.assert_fences_stand(case)
    results = [None if x is None else x.array for x in wanted]
    return results if returned is None else [returned, *results]


def normal(dtype, *shapes, seed=0):
    """Arrays of N(0, 1) numbers, the same for the same arguments."""
    rng = np.random.default_rng([seed, *(n for shape in shapes for n in shape)])
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def outputs_of(activation, Z):
    """g(Z) by the reference."""
    A, _ = call(reference.activate, Z, CODES[activation], SLOPE, out=[Z.shape, None])
    return A


def derivative_of(activation, Z):
    """g'(Z) by the reference where a layer has to keep it, else None."""
    if activation not in FROM_Z:
        return None
    _, D = call(reference.activate, Z, CODES[activation], SLOPE, out=[Z.shape, Z.shape])
    return D


def loss_spec(loss, output):
    """What the kernels are told of a loss at an output activation."""
    row = LOSS_TABLE[loss]
    return LossSpec(LOSSES[loss], PARAMETERS.get(loss, 0.0), row.paired == output, row.targets)


# --- data ---------------------------------------------------------------------------------


def targets(loss, n, m, dtype, seed=0):
    """Targets that suit the loss, hard and soft labels both."""
    rng = np.random.default_rng([seed, n, m])
    if loss == "poisson":
        return rng.poisson(1.5, (n, m)).astype(dtype)
    if loss in ("mse", "huber", "mae"):
        return rng.normal(size=(n, m)).astype(dtype)
    if loss == "binary_cross_entropy":
        Y = rng.integers(0, 2, (n, m)).astype(dtype)
        Y[:, ::3] = rng.uniform(size=Y[:, ::3].shape)
        return Y
    Y = np.eye(n, dtype=dtype)[:, rng.integers(0, n, m)]
    soft = rng.uniform(0.1, 1, Y[:, ::3].shape)
    Y[:, ::3] = soft / soft.sum(axis=0)
    return Y


def saturated(output, A):
    """A, with some outputs at the ends of the range and next to them."""
    info = np.finfo(A.dtype)
    if output in ("sigmoid", "softmax"):
        ends = [0.0, 1.0, info.smallest_subnormal, info.tiny, info.eps, 1 - info.epsneg, 0.5]
        A.flat[: min(A.size, len(ends))] = ends[: A.size]
    return A


# --- layouts ------------------------------------------------------------------------------


def _strided(x):
    frame = np.full((2 * x.shape[0] + 1, 3 * x.shape[1] + 2), SENTINEL, x.dtype)
    view = frame[1::2, 1 : 3 * x.shape[1] + 1 : 3]
    view[...] = x
    return view


def _framed(x):
    frame = np.full((x.shape[0] + 2, x.shape[1] + 5), SENTINEL, x.dtype)
    view = frame[1:-1, 2:-3]
    view[...] = x
    return view


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "rows reversed": lambda x: x[::-1].copy()[::-1],
    "columns reversed": lambda x: x[:, ::-1].copy()[:, ::-1],
    "both reversed, Fortran": lambda x: np.asfortranarray(x[::-1, ::-1])[::-1, ::-1],
    "every second row, third column": _strided,
    "part of a larger array": _framed,
    "part of a larger array, transposed": lambda x: _framed(x.T).T,
    "read-only": _read_only,
}
"""Functions that return the same values in another layout."""
