"""What a module of kernels must do, as functions that raise AssertionError.

Each `check_...` takes a module of kernels and a dtype, so that the same checks serve for
every backend (`test_kernels.py`, `test_network_kernels.py`) and for the backends that are
broken on purpose (`test_saboteurs.py`).  The measure is `fastnn._kernels_numpy`, which
`test_reference.py` holds against independent truth.
"""

import numpy as np
import truth
from conftest import LARGE_SHAPES, PAIRS, SHAPES, SIZES, SLOPE, TOLERANCES, WORST

from fastnn import _kernels_numpy as reference

CODES = reference.ACTIVATION_CODES
LOSSES = reference.LOSS_CODES
FENCE = 67
"""Elements before and after each array of a call; odd, so that nothing is aligned to 64 bytes."""
SENTINEL = -12345.0


# --- how a result is judged ----------------------------------------------------------------


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
    _record(tolerance, actual.dtype, worst)


def assert_norm_within(tolerance, actual, expected, case):
    """The whole of `actual` is near `expected`: norm of the difference over norm."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{case}: shape {actual.shape}"
    assert actual.dtype == expected.dtype, f"{case}: dtype {actual.dtype}"
    error = np.linalg.norm((actual - expected).astype(np.float64))
    allowed = TOLERANCES[tolerance].at(actual.dtype) * np.linalg.norm(expected.astype(np.float64))
    worst = 0.0 if error == 0 else error / allowed if allowed else np.inf
    assert worst <= 1, f"{case}: {worst:.3g} times the tolerance {TOLERANCES[tolerance]}"
    _record(tolerance, actual.dtype, worst)


def assert_same_bits(actual, expected, case=""):
    """Not one bit differs, signs of zero and NaN included."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, f"{case}: dtype {actual.dtype}"
    assert actual.shape == expected.shape, f"{case}: shape {actual.shape}"
    assert actual.tobytes() == expected.tobytes(), f"{case}: the bits differ"


def _record(tolerance, dtype, share):
    key = tolerance, dtype.name
    WORST[key] = max(WORST.get(key, 0.0), float(share))


def eps(dtype):
    return float(np.finfo(dtype).eps)


# --- how a kernel is called ------------------------------------------------------------------


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
    (A,) = call(reference.activate, Z, CODES[activation], SLOPE, out=[Z.shape])
    return A


# --- activations -----------------------------------------------------------------------------


def check_activation_ulps(kernels, dtype, activation):
    """sigmoid and tanh keep the promised ULP over all binades and densely where they bend."""
    Z = truth.grid(dtype)
    (A,) = call(kernels.activate, Z, CODES[activation], SLOPE, out=[Z.shape])
    error = truth.ulps(A, *truth.curve(activation, dtype))
    allowed = TOLERANCES["activation"].at(dtype)
    worst = np.nanargmax(error) if not np.isnan(error).any() else np.argmax(np.isnan(error))
    assert error.flat[worst] <= allowed, (
        f"{activation}({Z.flat[worst]!r}) = {A.flat[worst]!r} is {error.flat[worst]:.2f} ULP off"
    )
    _record("activation", A.dtype, error.max() / allowed)


def check_activate(kernels, dtype, activation):
    """A = g(Z) for every size, into another array and in place."""
    for n, m in [(n, m) for n in SIZES for m in SIZES] + [(5, 3001), (1030, 3)]:
        (Z,) = normal(dtype, (n, m))
        case = f"{activation} {Z.shape}"
        expected = outputs_of(activation, Z)
        (A,) = call(kernels.activate, Z, CODES[activation], SLOPE, out=[Z.shape], case=case)
        tolerance, bound = activation_bound(activation, Z, expected)
        assert_within(tolerance, A, expected, bound, case)
        kernels.activate(Z, CODES[activation], SLOPE, Z)
        assert_same_bits(Z, A, f"{case} in place")


def activation_bound(activation, Z, A):
    """The tolerance and what it allows between two implementations of A = g(Z)."""
    if activation == "softmax":
        terms = 4 + Z.shape[0] / 4 + Z.max(axis=0, initial=-np.inf) - Z
        return "softmax", 2 * TOLERANCES["softmax"].at(A.dtype) * np.spacing(A) * terms
    if activation in ("sigmoid", "tanh"):
        return "activation", 2 * TOLERANCES["activation"].at(A.dtype) * np.spacing(np.abs(A))
    return "activation", 0  # one operation at most: the same number


SPECIAL = {
    "linear": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, -np.inf)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (np.inf, 1.0), (-np.inf, 0.0), (1e3, 1.0), (-1e3, 0.0)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (np.inf, 1.0), (-np.inf, -1.0), (1e3, 1.0), (-1e3, -1.0)],
    "relu": [(0.0, 0.0), (-0.0, 0.0), (np.inf, np.inf), (-np.inf, 0.0)],
    "leaky_relu": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, -np.inf)],
}
"""g at special values, as C99 has it for tanh.  The sign of relu(-0.0) is left open."""


def check_special_values(kernels, dtype, activation):
    """Zeros with their signs, infinities, NaN, and the smallest numbers that there are."""
    for position in range(9):  # in each lane of a vector, and in the tail after it
        for z, a in [*SPECIAL[activation], (np.nan, np.nan)]:
            Z = np.zeros((1, 9), dtype)
            Z[0, position] = z
            (A,) = call(kernels.activate, Z, CODES[activation], SLOPE, out=[Z.shape])
            got, case = A[0, position], f"{activation}({z}) at {position}"
            np.testing.assert_array_equal(got, dtype(a), err_msg=case)
            if activation != "relu":
                assert np.isnan(a) or np.signbit(got) == np.signbit(a), f"{case}: sign of {got}"
            assert np.isfinite(np.delete(A, position)).all(), f"{case} spread"


def check_subnormals(kernels, dtype, activation):
    """Subnormal numbers are not flushed to zero: near 0 these curves are z, z, slope z."""
    info = np.finfo(dtype)
    Z = (info.smallest_subnormal * np.array([[1, 2, 3, 1000, 2**20 + 1]])).astype(dtype)
    (A,) = call(kernels.activate, Z, CODES[activation], SLOPE, out=[Z.shape])
    np.testing.assert_array_equal(A, Z)
    (A,) = call(kernels.activate, -Z, CODES[activation], SLOPE, out=[Z.shape])
    expected = {"relu": 0 * Z, "leaky_relu": dtype(SLOPE) * -Z}.get(activation, -Z)
    np.testing.assert_array_equal(A, expected)


def check_odd(kernels, dtype):
    """tanh(-z) is -tanh(z) to the last bit."""
    Z = truth.grid(dtype)
    (A,) = call(kernels.activate, Z, CODES["tanh"], 0.0, out=[Z.shape])
    (opposite,) = call(kernels.activate, -Z, CODES["tanh"], 0.0, out=[Z.shape])
    assert_same_bits(opposite, -A, "tanh(-z)")


def check_softmax(kernels, dtype):
    """Columns sum to 1, however large z is; NaN and inf spoil their own column only."""
    for n in SIZES:
        Z = normal(dtype, (n, 17))[0] * 30
        Z[0, 3], Z[:, 5] = 1e4, -1e4
        (A,) = call(kernels.activate, Z, CODES["softmax"], 0.0, out=[Z.shape])
        assert (A >= 0).all() and (A <= 1).all(), f"n={n}: outside [0, 1]"
        bound = TOLERANCES["softmax"].at(dtype) * eps(dtype) * (4 + n / 4)
        assert_within("softmax", A.sum(axis=0), np.ones(17, dtype), bound, f"sums, n={n}")
        assert_within("softmax", A[:, 5], np.full(n, 1 / n, dtype), bound / n, f"equal, n={n}")
        for bad in (np.nan, np.inf):
            Z[n // 2, 16] = bad
            (A,) = call(kernels.activate, Z, CODES["softmax"], 0.0, out=[Z.shape])
            assert np.isnan(A[:, 16]).all(), f"n={n}: {bad} must spoil its column"
            assert np.isfinite(A[:, :16]).all(), f"n={n}: {bad} spread to other columns"
    Z = np.array([[0.0], [-np.inf], [0.0]], dtype)
    (A,) = call(kernels.activate, Z, CODES["softmax"], 0.0, out=[Z.shape])
    np.testing.assert_array_equal(A, np.array([[0.5], [0.0], [0.5]], dtype))


def check_derivative(kernels, dtype, activation):
    """g' from the output A, for every size and at the ends of the range."""
    for n, m in [(n, m) for n in SIZES for m in SIZES] + [(3, 3001)]:
        A = outputs_of(activation, normal(dtype, (n, m))[0] * 3)
        A.flat[: min(A.size, 3)] = [0.0, np.nan, 1.0][: A.size]
        case, code = f"{activation} {A.shape}", CODES[activation]
        (expected,) = call(reference.activation_derivative, A, code, SLOPE, out=[A.shape])
        (actual,) = call(kernels.activation_derivative, A, code, SLOPE, out=[A.shape], case=case)
        bound = TOLERANCES["derivative"].at(dtype) * eps(dtype)
        assert_within("derivative", actual, expected, bound, case)


def check_activation_backward(kernels, dtype, activation):
    """dZ = dA g'(Z) and db = sum(dZ) / m."""
    for n, m in [(n, m) for n in SIZES for m in SIZES] + [(3, 3001), (129, 33)]:
        Z, dA = normal(dtype, (n, m), (n, m))
        A = outputs_of(activation, 2 * Z)
        case, rest = f"{activation} {A.shape}", (CODES[activation], SLOPE)
        shapes = [(n, m), (n, 1)]
        dZ, db = call(reference.activation_backward, dA, A, *rest, out=shapes)
        got_dZ, got_db = call(kernels.activation_backward, dA, A, *rest, out=shapes, case=case)
        spread = np.abs(dA)
        if activation == "softmax":  # the sum over the classes errs too
            spread = A * (spread + n * np.sum(A * spread, axis=0, keepdims=True))
        bound = TOLERANCES["derivative"].at(dtype) * eps(dtype) * spread
        assert_within("derivative", got_dZ, dZ, bound, f"dZ {case}")
        sums = np.sum(np.abs(dZ), axis=1, keepdims=True)
        bound = bound.sum(axis=1, keepdims=True) / m + TOLERANCES["product"].at(dtype) * eps(dtype) * sums
        assert_within("product", got_db, db, bound, f"db {case}")


# --- one layer ---------------------------------------------------------------------------------


def check_dense_forward(kernels, dtype, activation):
    """A = g(W A_prev + b) for every size."""
    for n_out, n_in, m in (*SHAPES, *LARGE_SHAPES):
        W, b, A_prev = normal(dtype, (n_out, n_in), (n_out, 1), (n_in, m))
        W /= dtype(n_in**0.5)
        case = f"{activation} n_out={n_out} n_in={n_in} m={m}"
        inputs = W, b, A_prev, CODES[activation], SLOPE
        (expected,) = call(reference.dense_forward, *inputs, out=[(n_out, m)])
        (actual,) = call(kernels.dense_forward, *inputs, out=[(n_out, m)], case=case)
        bound = forward_bound(W, b, A_prev, activation, expected)
        assert_within("product", actual, expected, bound, case)


def forward_bound(W, b, A_prev, activation, A):
    """What the product and the activation together allow; no curve is steeper than 1."""
    k, step = W.shape[1] + 1, eps(W.dtype)
    in_Z = TOLERANCES["product"].at(W.dtype) * k * step * (np.abs(W) @ np.abs(A_prev) + np.abs(b))
    if activation == "softmax":
        in_Z = 2 * A * in_Z.max(axis=0, keepdims=True)
    return in_Z + activation_bound(activation, W @ A_prev + b, A)[1]


def check_dense_backward(kernels, dtype):
    """dW = dZ A_prev^T / m, db = sum(dZ) / m, dA_prev = W^T dZ, for every size."""
    for n_out, n_in, m in (*SHAPES, *LARGE_SHAPES):
        dZ, W, A_prev = normal(dtype, (n_out, m), (n_out, n_in), (n_in, m))
        case = f"n_out={n_out} n_in={n_in} m={m}"
        shapes = [(n_out, n_in), (n_out, 1), (n_in, m)]
        expected = call(reference.dense_backward, dZ, W, A_prev, out=shapes)
        actual = call(kernels.dense_backward, dZ, W, A_prev, out=shapes, case=case)
        unit = TOLERANCES["product"].at(dtype) * eps(dtype)
        size = np.abs(dZ)
        bounds = {
            "dW": unit * m * (size @ np.abs(A_prev).T) / m,
            "db": unit * m * size.sum(axis=1, keepdims=True) / m,
            "dA_prev": unit * n_out * (np.abs(W).T @ size),
        }
        for got, want, (name, bound) in zip(actual, expected, bounds.items(), strict=True):
            assert_within("product", got, want, bound, f"{name} {case}")
        without = call(kernels.dense_backward, dZ, W, A_prev, out=[*shapes[:2], None], case=case)
        for got, want, bound in zip(without[:2], expected[:2], bounds.values()):
            assert_within("product", got, want, bound, f"without dA_prev {case}")


def check_small_integers(kernels, dtype):
    """Products of small integers are exact: every sum fits the mantissa."""
    for n_out, n_in, m in (*SHAPES, *LARGE_SHAPES, (17, 9, 1024), (3, 50, 64)):
        rng = np.random.default_rng([n_out, n_in, m])
        integers = [rng.integers(-8, 9, s) for s in ((n_out, n_in), (n_out, 1), (n_in, m), (n_out, m))]
        W, b, A_prev, dZ = (x.astype(dtype) for x in integers)
        case = f"n_out={n_out} n_in={n_in} m={m}"
        (A,) = call(kernels.dense_forward, W, b, A_prev, CODES["linear"], 0.0, out=[(n_out, m)])
        np.testing.assert_array_equal(A, integers[0] @ integers[2] + integers[1], err_msg=case)
        shapes = [(n_out, n_in), (n_out, 1), (n_in, m)]
        dW, db, dA_prev = call(kernels.dense_backward, dZ, W, A_prev, out=shapes)
        np.testing.assert_array_equal(dA_prev, integers[0].T @ integers[3], err_msg=case)
        # 1 / m is exact where m is a power of two; elsewhere each block of examples rounds once.
        bound = 0 if m & (m - 1) == 0 else 8 * 8 * eps(dtype) * (2 + m / 512)
        sums = (integers[3] @ integers[2].T, integers[3].sum(axis=1, keepdims=True))
        for got, total, largest in zip((dW, db), sums, (8, 1)):
            error = np.abs(got - (total / m).astype(dtype))
            assert (error <= bound * largest / 8).all(), f"{case}: off by {error.max()}"


def check_not_finite(kernels, dtype):
    """NaN and inf reach the results that depend on them, and no others."""
    for bad in (np.nan, np.inf, -np.inf):
        for n_out, n_in, m in ((9, 17, 49), (3, 65, 7), (16, 48, 16)):
            W, b, A_prev, dZ = normal(dtype, (n_out, n_in), (n_out, 1), (n_in, m), (n_out, m))
            A_prev[n_in - 1, m - 1] = dZ[n_out - 1, m // 2] = bad
            case = f"{bad} n_out={n_out} n_in={n_in} m={m}"
            rest, shapes = (CODES["linear"], 0.0), [(n_out, n_in), (n_out, 1), (n_in, m)]
            for name, inputs, out in (
                ("dense_forward", (W, b, A_prev, *rest), [(n_out, m)]),
                ("dense_backward", (dZ, W, A_prev), shapes),
            ):
                expected = call(getattr(reference, name), *inputs, out=out)
                actual = call(getattr(kernels, name), *inputs, out=out, case=case)
                for got, want in zip(actual, expected, strict=True):
                    kinds = [np.isnan(got), np.isposinf(got), np.isneginf(got)]
                    wanted = [np.isnan(want), np.isposinf(want), np.isneginf(want)]
                    np.testing.assert_array_equal(kinds, wanted, err_msg=f"{name} {case}")


def check_zero_sizes(kernels, dtype):
    """m = 0 gives empty results, zero gradients and no cost; width 0 gives Z = b."""
    W, b = normal(dtype, (3, 2), (3, 1))
    for code in CODES.values():
        (A,) = call(kernels.dense_forward, W, b, np.empty((2, 0), dtype), code, SLOPE, out=[(3, 0)])
        assert A.shape == (3, 0)
        (A,) = call(kernels.activate, np.empty((0, 4), dtype), code, SLOPE, out=[(0, 4)])
        assert A.shape == (0, 4)
        nothing = np.empty((3, 0), dtype)
        dZ, db = call(kernels.activation_backward, nothing, nothing, code, SLOPE, out=[(3, 0), (3, 1)])
        np.testing.assert_array_equal(db, np.zeros((3, 1), dtype))
    no_inputs = np.empty((3, 0), dtype), b, np.empty((0, 4), dtype)
    (Z,) = call(kernels.dense_forward, *no_inputs, CODES["linear"], 0.0, out=[(3, 4)])
    np.testing.assert_array_equal(Z, np.repeat(b, 4, axis=1))
    shapes = [(3, 2), (3, 1), (2, 0)]
    dW, db, dA_prev = call(kernels.dense_backward, nothing, W, np.empty((2, 0), dtype), out=shapes)
    np.testing.assert_array_equal(dW, np.zeros((3, 2), dtype))
    np.testing.assert_array_equal(db, np.zeros((3, 1), dtype))
    for loss, output in PAIRS:
        J, dZ = call(
            kernels.output_cost, nothing, nothing, LOSSES[loss], CODES[output], SLOPE, out=[(3, 0)]
        )
        assert J == 0.0 and dZ.shape == (3, 0), f"cost of nothing, {loss}"
    assert kernels.all_finite(nothing)


# --- the cost ----------------------------------------------------------------------------------


def targets(loss, n, m, dtype, seed=0):
    """Targets that suit the loss, hard and soft labels both."""
    rng = np.random.default_rng([seed, n, m])
    if loss == "mse":
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


def check_output_cost(kernels, dtype, loss, output):
    """J, and dZ at the output, for every size and for saturated outputs."""
    for n, m in [(n, m) for n in SIZES for m in SIZES] + [(2, 3001)]:
        A = saturated(output, outputs_of(output, 3 * normal(dtype, (n, m))[0]))
        Y = targets(loss, n, m, dtype)
        case = f"{loss}/{output} {A.shape}"
        inputs = A, Y, LOSSES[loss], CODES[output], SLOPE
        J, dZ = call(reference.output_cost, *inputs, out=[(n, m)])
        got_J, got_dZ = call(kernels.output_cost, *inputs, out=[(n, m)], case=case)
        assert type(got_J) is float, f"{case}: cost is a {type(got_J)}"
        bound = TOLERANCES["cost"].at(dtype) * eps(dtype) * abs(J)
        _assert_cost(got_J, J, bound, dtype, case)
        error = n * np.sum(np.abs(A), axis=0, keepdims=True) if output == "softmax" else 1
        bound = TOLERANCES["derivative"].at(dtype) * eps(dtype) * error * (1 + np.abs(A - Y))
        assert_within("derivative", got_dZ, dZ, bound, f"dZ {case}")
        (alone,) = call(kernels.output_cost, *inputs, out=[None], case=case)[:1]
        assert alone == got_J, f"{case}: the cost alone differs"


def _assert_cost(actual, expected, bound, dtype, case):
    assert np.isfinite(actual), f"{case}: cost {actual}"
    error = abs(actual - expected)
    assert error <= bound, f"{case}: cost {actual}, expected {expected}"
    _record("cost", np.dtype(dtype), error / bound if bound else 0.0)


def check_all_finite(kernels, dtype):
    """A NaN or an infinity is found wherever it is; large finite numbers are not one."""
    for shape in ((1, 1), (1, 9), (9, 1), (7, 17), (3, 130)):
        X = np.full(shape, np.finfo(dtype).max)
        X[::2] *= -1
        assert X.dtype == dtype and kernels.all_finite(X) and kernels.all_finite(X.T)
        for position in range(X.size):
            for bad in (np.nan, np.inf, -np.inf):
                Y = X.copy()
                Y.flat[position] = bad
                assert not kernels.all_finite(Y), f"{bad} at {position} of {shape} missed"
                assert not kernels.all_finite(Y.T), f"{bad} at {position} of {shape}.T missed"
    X = np.full((6, 34), np.nan, dtype)
    X[::2, ::3] = 1
    assert kernels.all_finite(X[::2, ::3]) and kernels.all_finite(X[::-2, ::-3][:, :0])


def check_shuffle(kernels):
    """The permutations of the contract, number for number, however they are drawn."""
    for m in (0, 1, 2, 3, 17, 100):
        for seed, epoch in ((0, 0), (1, 0), (0, 1), (2**63 + 11, 5), (2**64 - 1, 3)):
            order = np.full((3, m), 4_000_000_000, np.uint32)
            kernels.shuffle(order, seed, epoch)
            expected = [truth.shuffled(m, seed, epoch + r) for r in range(3)]
            np.testing.assert_array_equal(order, np.reshape(expected, (3, m)))


# --- the whole network ---------------------------------------------------------------------------


def parameters_of(case, dtype):
    """A flat vector of random weights and biases for a case (biases are not 0 here)."""
    rng = np.random.default_rng(case.layer_sizes)
    layers = []
    for n_in, n_out in zip(case.layer_sizes, case.layer_sizes[1:]):
        layers += [rng.normal(0, n_in**-0.5, n_out * n_in), rng.normal(0, 0.3, n_out)]
    return np.concatenate(layers).astype(dtype)


def network(kernels, case, parameters):
    """The kernels' Network for a case, made by keyword: the names are part of the contract."""
    return kernels.Network(
        layer_sizes=case.layer_sizes,
        activations=tuple(CODES[name] for name in case.activations),
        slopes=tuple(SLOPE if name == "leaky_relu" else 0.0 for name in case.activations),
        loss=LOSSES[case.loss],
        parameters=parameters,
    )


def examples(case, dtype):
    """X and Y for a case."""
    (X,) = normal(dtype, (case.layer_sizes[0], case.m))
    return X, targets(case.loss, case.layer_sizes[-1], case.m, dtype)


def layers_of(case, flat):
    """The arrays W1, b1, W2, ... that a flat vector holds, by name."""
    start, arrays = 0, {}
    for l, (n_in, n_out) in enumerate(zip(case.layer_sizes, case.layer_sizes[1:]), start=1):
        arrays[f"W{l}"] = flat[start : start + n_out * n_in].reshape(n_out, n_in)
        start += n_out * n_in
        arrays[f"b{l}"] = flat[start : start + n_out].reshape(n_out, 1)
        start += n_out
    assert start == flat.size, "the flat vector has another length"
    return arrays


def assert_layers_within(tolerance, case, actual, expected):
    """Each W and each b is near the expected one, norm-wise."""
    for name, want in layers_of(case, expected).items():
        assert_norm_within(tolerance, layers_of(case, actual)[name], want, f"{name} of {case}")


def check_network_forward(kernels, dtype, case):
    """A[L] of the whole network, from X of any kind, and the parameters left alone."""
    parameters, (X, _) = parameters_of(case, dtype), examples(case, dtype)
    (expected,) = call(network(reference, case, parameters).forward, X, out=[_out(case)])
    net = network(kernels, case, parameters.copy())
    (actual,) = call(net.forward, X, out=[_out(case)], case=case)
    assert_norm_within("step", actual, expected, case)
    (single,) = call(net.forward, X[:, :1].copy(), out=[(_out(case)[0], 1)], case=case)
    assert_norm_within("step", single, expected[:, :1], f"{case}, first example alone")
    tried = net.try_forward(X)
    assert tried is None or tried.tobytes() == actual.tobytes(), f"try_forward {case}"
    assert_same_bits(np.asarray(net.parameters), parameters, f"parameters of {case}")


def _out(case):
    return case.layer_sizes[-1], case.m


def check_gradients(kernels, dtype, case):
    """One step's cost and gradients, with and without the gradients asked for."""
    parameters, (X, Y) = parameters_of(case, dtype), examples(case, dtype)
    J, gradients = call(
        network(reference, case, parameters).cost_and_gradients, X, Y, out=[parameters.shape]
    )
    net = network(kernels, case, parameters.copy())
    got_J, actual = call(net.cost_and_gradients, X, Y, out=[parameters.shape], case=case)
    _assert_cost(got_J, J, TOLERANCES["step"].at(dtype) * abs(J), dtype, case)
    assert_layers_within("step", case, actual, gradients)
    alone = net.cost_and_gradients(X, Y, None)
    _assert_cost(alone, J, TOLERANCES["step"].at(dtype) * abs(J), dtype, f"{case}, cost alone")
    assert_same_bits(np.asarray(net.parameters), parameters, f"parameters of {case}")


def check_held_parameters(kernels, dtype, case):
    """The network computes with what the caller writes into the vector that it gave."""
    parameters, (X, _) = parameters_of(case, dtype), examples(case, dtype)
    held = np.zeros_like(parameters)
    net = network(kernels, case, held)
    call(net.forward, X, out=[_out(case)])
    held[:] = parameters
    (actual,) = call(net.forward, X, out=[_out(case)])
    (expected,) = call(network(reference, case, parameters).forward, X, out=[_out(case)])
    assert_norm_within("step", actual, expected, case)


def trained(kernels, case, dtype, epochs, batch_size=None, rate=0.1, seed=3, **options):
    """Costs and parameters after `epochs`: shuffled batches, or the full batch."""
    X, Y = examples(case, dtype)
    parameters, costs, order = parameters_of(case, dtype), np.full(epochs, np.nan), None
    if batch_size is not None:
        order = np.empty((epochs, case.m), np.uint32)
        reference.shuffle(order, seed, 0)
    net = network(kernels, case, parameters)
    inputs = X, Y, order, batch_size or case.m, rate
    before = [None if x is None else x.copy() for x in (X, Y, order)]
    net.train(*inputs, costs, **options)
    for x, was in zip((X, Y, order), before):
        assert x is None or x.tobytes() == was.tobytes(), f"{case}: an input was written"
    return costs, parameters


def check_trace(kernels, dtype, case, batch_size=None):
    """50 epochs of gradient descent follow the reference: every cost, and where they end."""
    expected, end = trained(reference, case, dtype, 50, batch_size)
    costs, parameters = trained(kernels, case, dtype, 50, batch_size)
    assert expected[-1] < expected[0], f"{case}: the reference itself does not learn"
    assert_norm_within("trace", costs.astype(dtype), expected.astype(dtype), f"costs of {case}")
    assert_norm_within("trace", parameters, end, f"parameters of {case}")


def check_epoch_by_hand(kernels, dtype, case, batch_size):
    """One epoch is the batches of `order` one after another, the last one smaller.

    Each is W <- W - alpha dW with the kernels' own gradients; the cost is the plain mean.
    """
    assert case.m % batch_size, "the last batch must be a smaller one"
    X, Y = examples(case, dtype)
    order = np.random.default_rng(5).permutation(case.m).astype(np.uint32)
    by_hand, gradients, batch_costs = parameters_of(case, dtype), None, []
    for start in range(0, case.m, batch_size):
        columns = order[start : start + batch_size]
        gradients = np.empty_like(by_hand)
        net = network(kernels, case, by_hand)
        batch_costs.append(net.cost_and_gradients(X[:, columns], Y[:, columns], gradients))
        by_hand -= dtype(0.3) * gradients
    parameters, costs = parameters_of(case, dtype), np.full(1, np.nan)
    network(kernels, case, parameters).train(X, Y, order[None, :], batch_size, 0.3, costs)
    mean = np.array([np.mean(batch_costs)])
    assert_norm_within("step", costs.astype(dtype), mean.astype(dtype), f"cost of {case}")
    assert_norm_within("step", parameters, by_hand, f"parameters of {case}")


def check_unshuffled(kernels, dtype, case, batch_size):
    """Without an order the columns come as they are: the same as the order 0, 1, 2, ..."""
    X, Y = examples(case, dtype)
    in_order = np.arange(case.m, dtype=np.uint32)[None, :].repeat(3, axis=0)
    ends = []
    for order in (None, in_order):
        parameters, costs = parameters_of(case, dtype), np.full(3, np.nan)
        network(kernels, case, parameters).train(X, Y, order, batch_size, 0.1, costs)
        ends.append(np.append(parameters, costs))
    assert_norm_within("step", ends[0].astype(dtype), ends[1].astype(dtype), case)


def check_same_bits(kernels, dtype, case, batch_size=None):
    """The same call gives the same bits again, whatever the number of threads."""
    parameters, (X, Y) = parameters_of(case, dtype), examples(case, dtype)
    runs = []
    for threads in (1, 1, 2, 3):
        net = network(kernels, case, parameters.copy())
        A, gradients = np.empty(_out(case), dtype), np.empty_like(parameters)
        net.forward(X, A, threads)
        J = net.cost_and_gradients(X, Y, gradients, threads)
        costs, end = trained(kernels, case, dtype, 2, batch_size, threads=threads)
        runs.append((threads, [A, gradients, np.float64(J), costs, end]))
    for threads, results in runs[1:]:
        for name, got, want in zip(("A", "gradients", "J", "costs", "end"), results, runs[0][1]):
            assert_same_bits(got, want, f"{name} of {case} with {threads} threads")


def check_try_forward(kernels, dtype, case):
    """None for an X that is not plain, so that the caller looks closer; else A[L]."""
    net, (X, _) = network(kernels, case, parameters_of(case, dtype)), examples(case, dtype)
    other = np.float64 if dtype == np.float32 else np.float32
    misaligned = np.empty(X.nbytes + 1, np.uint8)[1:].view(dtype).reshape(X.shape)
    misaligned[...] = X
    not_plain = {
        "None": None, "list": X.tolist(), "1-D": X[0], "3-D": X[None], "other dtype": X.astype(other),
        "integers": X.astype(int), "byte-swapped": X.astype(X.dtype.newbyteorder()),
        "objects": X.astype(object), "misaligned": misaligned, "no examples": X[:, :0],
        "a row too many": np.vstack([X, X[:1]]), "masked": np.ma.masked_array(X),
    }  # fmt: skip
    if X.shape[0] > 1:
        not_plain["a row too few"] = X[1:]
    for name, bad in (("NaN", np.nan), ("inf", np.inf)):
        not_plain[name] = X.copy()
        not_plain[name][-1, -1] = bad
    for name, value in not_plain.items():
        assert net.try_forward(value) is None, f"try_forward took {name}"
    for plain in LAYOUTS.values():
        A = net.try_forward(plain(X))
        assert A is not None and A.flags.owndata and A.flags.c_contiguous
        assert_norm_within("step", A, net.try_forward(X), case)


# --- layouts -------------------------------------------------------------------------------------


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


def relaid(function, inputs, outputs, layouts):
    """Call a kernel with arrays in `layouts` (names; None leaves an array as it is).

    Returns the outputs; what lies between the elements of a view must stay.
    """
    arrays = [*inputs, *outputs]
    names = iter(layouts)
    laid = [LAYOUTS[next(names)](x) if isinstance(x, np.ndarray) else x for x in arrays]
    frames = [x.base for x in laid if isinstance(x, np.ndarray) and x.base is not None]
    sentinels = [(frame, frame == SENTINEL) for frame in frames]
    with np.errstate(all="ignore"):
        returned = function(*laid)
    for frame, was in sentinels:
        assert (frame[was] == SENTINEL).all(), f"{layouts}: written between the elements"
    return [*([] if returned is None else [returned]), *laid[len(inputs) :]]


def layout_calls(dtype, n_out, n_in, m):
    """(kernel, inputs, shapes of the outputs, arrays that must stay C-contiguous)."""
    integers = np.random.default_rng([n_out, n_in, m])

    def small(*shape):
        return integers.integers(-4, 5, shape).astype(dtype)

    W, b, A_prev, dZ = small(n_out, n_in), small(n_out, 1), small(n_in, m), small(n_out, m)
    relu, slope = CODES["relu"], 0.0
    return {
        "activate": ((dZ, relu, slope), [dZ.shape], ()),
        "activation_derivative": ((dZ, relu, slope), [dZ.shape], ()),
        "activation_backward": ((dZ, small(n_out, m), relu, slope), [dZ.shape, b.shape], (3,)),
        "dense_forward": ((W, b, A_prev, relu, slope), [dZ.shape], (0, 1)),
        "dense_backward": ((dZ, W, A_prev), [W.shape, b.shape, A_prev.shape], (1, 3, 4)),
        "output_cost": ((dZ, small(n_out, m), LOSSES["mse"], relu, slope), [dZ.shape], ()),
    }


def check_layouts(kernels, dtype, n_out, n_in, m, choose):
    """Small integers through every kernel, the arrays in the layouts that `choose` gives.

    `choose(i)` names the layout of the i-th array.  The numbers are small integers, so
    that there is no rounding but in the division by m, and no tolerance.
    """
    for name, (inputs, shapes, contiguous) in layout_calls(dtype, n_out, n_in, m).items():
        outputs = [np.full(shape, np.nan, dtype) for shape in shapes]
        expected = call(getattr(reference, name), *inputs, out=shapes)
        arrays = sum(isinstance(x, np.ndarray) for x in inputs) + len(outputs)
        writes = range(arrays - len(outputs), arrays)
        layouts = ["C" if i in contiguous else choose(i) for i in range(arrays)]
        layouts = ["C" if i in writes and x == "read-only" else x for i, x in enumerate(layouts)]
        actual = relaid(getattr(kernels, name), inputs, outputs, layouts)
        for got, want in zip(actual, expected, strict=True):
            np.testing.assert_allclose(
                got, want, rtol=2 * eps(dtype), err_msg=f"{name} {layouts} {n_out, n_in, m}"
            )


def check_network_layouts(kernels, dtype, case, X_layout, Y_layout):
    """forward, gradients and train take X and Y in any layout."""
    parameters, (X, Y) = parameters_of(case, dtype), examples(case, dtype)
    X_laid, Y_laid = LAYOUTS[X_layout](X), LAYOUTS[Y_layout](Y)
    what, order = f"{case} X {X_layout}, Y {Y_layout}", np.arange(case.m, dtype=np.uint32)[None]
    results = []
    for x, y in ((X, Y), (X_laid, Y_laid)):
        net = network(kernels, case, parameters.copy())
        A = np.empty(_out(case), dtype) if x is X else LAYOUTS["Fortran"](np.empty(_out(case), dtype))
        gradients, costs = np.empty_like(parameters), np.empty(1)
        net.forward(x, A)
        J = net.cost_and_gradients(x, y, gradients)
        net.train(x, y, order, max(case.m // 3, 1), 0.1, costs)
        results.append((A, gradients, np.asarray(net.parameters), np.array([J]), costs))
    for got, want in zip(results[1], results[0], strict=True):
        assert_norm_within("step", got, want, what)
