"""What the layer kernels of a module must do, as functions that raise AssertionError.

Each `check_...` takes a module of kernels and a dtype, so that the same checks serve for
every backend (`test_kernels.py`) and for the backends that are broken on purpose
(`test_saboteurs.py`).  The measure is `fastnn._kernels_numpy`, which `test_reference.py`
holds against independent truth.
"""

import numpy as np

from fastnn import _kernels_numpy as reference
from fastnn._specifications import LayerSpec, UpdateSpec
from support import truth
from support.harness import (
    CODES,
    assert_cost_within,
    assert_norm_within,
    assert_same_bits,
    assert_within,
    call,
    derivative_of,
    eps,
    loss_spec,
    normal,
    outputs_of,
    record,
    saturated,
    targets,
)
from support.tables import CURVES, FROM_Z, LARGE_SHAPES, PAIRS, SHAPES, SIZES, SLOPE, TOLERANCES

# --- activations --------------------------------------------------------------------------


def check_activation_ulps(kernels, dtype, activation):
    """sigmoid and tanh keep the promised ULP over all binades and densely where they bend."""
    Z = truth.grid(dtype)
    A, _ = call(kernels.activate, Z, CODES[activation], SLOPE, out=[Z.shape, None])
    error = truth.ulps(A, *truth.curve(activation, dtype))
    allowed = TOLERANCES["activation"].at(dtype)
    worst = np.nanargmax(error) if not np.isnan(error).any() else np.argmax(np.isnan(error))
    assert error.flat[worst] <= allowed, (
        f"{activation}({Z.flat[worst]!r}) = {A.flat[worst]!r} is {error.flat[worst]:.2f} ULP off"
    )
    record("activation", A.dtype, error.max() / allowed)


def check_activate(kernels, dtype, activation):
    """A = g(Z) for every size, into another array and in place."""
    for n, m in [(n, m) for n in SIZES for m in SIZES] + [(5, 3001), (1030, 3)]:
        (Z,) = normal(dtype, (n, m))
        case = f"{activation} {Z.shape}"
        expected = outputs_of(activation, Z)
        A, _ = call(kernels.activate, Z, CODES[activation], SLOPE, out=[Z.shape, None], case=case)
        tolerance, bound = activation_bound(activation, Z, expected)
        assert_within(tolerance, A, expected, bound, case)
        if activation != "softmax":
            compare_with_derivative(kernels, activation, Z, A, case)
        kernels.activate(Z, CODES[activation], SLOPE, Z, None)
        assert_same_bits(Z, A, f"{case} in place")


def compare_with_derivative(kernels, activation, Z, A, case):
    """D = g'(Z) beside A, which is not changed by it; in place as well."""
    inputs, shapes = (Z, CODES[activation], SLOPE), [Z.shape, Z.shape]
    again, D = call(kernels.activate, *inputs, out=shapes, case=case)
    assert_same_bits(again, A, f"{case}, with its derivative")
    if activation in FROM_Z:
        _, expected = call(reference.activate, *inputs, out=shapes)
    else:  # the kernel's own A may be a few ULP from the reference's
        rest = CODES[activation], SLOPE
        (expected,) = call(reference.activation_derivative, A, *rest, out=[Z.shape])
    bound = TOLERANCES["derivative"].at(Z.dtype) * eps(Z.dtype)
    assert_within("derivative", D, expected, bound, f"derivative of {case}")
    in_place, D_in_place = Z.copy(), np.full_like(Z, np.nan)
    kernels.activate(in_place, CODES[activation], SLOPE, in_place, D_in_place)
    assert_same_bits(in_place, A, f"{case} in place, with its derivative")
    assert_same_bits(D_in_place, D, f"derivative of {case} in place")


def activation_bound(activation, Z, A):
    """The tolerance and what it allows between two implementations of A = g(Z)."""
    if activation == "softmax":
        terms = 4 + Z.shape[0] / 4 + Z.max(axis=0, initial=-np.inf) - Z
        return "softmax", 2 * TOLERANCES["softmax"].at(A.dtype) * np.spacing(A) * terms
    if activation in CURVES:
        return "activation", 2 * TOLERANCES["activation"].at(A.dtype) * np.spacing(np.abs(A))
    return "activation", 0  # one operation at most: the same number


HALVES = ("gelu", "silu", "gelu_tanh")
"""Those that are z / 2 near 0, and 0 far below it."""
SPECIAL = {
    "linear": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, -np.inf)],
    "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (np.inf, 1.0), (-np.inf, 0.0), (1e3, 1.0), (-1e3, 0.0)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (np.inf, 1.0), (-np.inf, -1.0), (1e3, 1.0), (-1e3, -1.0)],
    "gelu": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, 0.0), (1e3, 1e3), (-1e3, 0.0)],
    "silu": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, 0.0), (1e3, 1e3), (-1e3, 0.0)],
    "gelu_tanh": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, 0.0), (1e3, 1e3)],
    "elu": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, -SLOPE), (-1e3, -SLOPE)],
    "softplus": [(np.inf, np.inf), (-np.inf, 0.0), (1e3, 1e3), (-1e3, 0.0)],
    "exponential": [(0.0, 1.0), (-0.0, 1.0), (np.inf, np.inf), (-np.inf, 0.0), (1e3, np.inf)],
    "relu": [(0.0, 0.0), (-0.0, 0.0), (-1.0, 0.0), (np.inf, np.inf), (-np.inf, 0.0)],
    "leaky_relu": [(0.0, 0.0), (-0.0, -0.0), (np.inf, np.inf), (-np.inf, -np.inf)],
}
"""g at special values, as C99 has it for tanh.  relu(-0.0) is +0.0, as IEEE 754-2019's
maximum(z, 0) has it; the sign of gelu's limit 0 is left open."""


def check_special_values(kernels, dtype, activation):
    """Zeros with their signs, infinities, NaN, and the smallest numbers that there are."""
    for position in range(9):  # in each lane of a vector, and in the tail after it
        for z, a in [*SPECIAL[activation], (np.nan, np.nan)]:
            Z = np.zeros((1, 9), dtype)
            Z[0, position] = z
            A, _ = call(kernels.activate, Z, CODES[activation], SLOPE, out=[Z.shape, None])
            got, case = A[0, position], f"{activation}({z}) at {position}"
            np.testing.assert_array_equal(got, dtype(a), err_msg=case)
            if not (activation in HALVES and z < 0):
                assert np.isnan(a) or np.signbit(got) == np.signbit(a), f"{case}: sign of {got}"
            assert np.isfinite(np.delete(A, position)).all(), f"{case} spread"


def check_subnormals(kernels, dtype, activation):
    """Subnormal numbers are not flushed to zero: near 0 these curves are z, slope z, z / 2."""
    info = np.finfo(dtype)
    Z = (info.smallest_subnormal * np.array([[1, 2, 3, 1000, 2**20 + 1]])).astype(dtype)
    A, _ = call(kernels.activate, Z, CODES[activation], SLOPE, out=[Z.shape, None])
    half = dtype(0.5 if activation in HALVES else 1)
    np.testing.assert_array_equal(A, half * Z)
    A, _ = call(kernels.activate, -Z, CODES[activation], SLOPE, out=[Z.shape, None])
    kinked = dict.fromkeys(("leaky_relu", "elu"), dtype(SLOPE) * -Z) | {"relu": 0 * Z}
    expected = kinked.get(activation, half * -Z)
    np.testing.assert_array_equal(A, expected)


def check_odd(kernels, dtype):
    """tanh(-z) is -tanh(z) to the last bit."""
    Z = truth.grid(dtype)
    A, _ = call(kernels.activate, Z, CODES["tanh"], 0.0, out=[Z.shape, None])
    opposite, _ = call(kernels.activate, -Z, CODES["tanh"], 0.0, out=[Z.shape, None])
    assert_same_bits(opposite, -A, "tanh(-z)")


def check_softmax(kernels, dtype):
    """Columns sum to 1, however large z is; NaN and inf spoil their own column only."""
    for n in SIZES:
        Z = normal(dtype, (n, 17))[0] * 30
        Z[0, 3], Z[:, 5] = 1e4, -1e4
        A, _ = call(kernels.activate, Z, CODES["softmax"], 0.0, out=[Z.shape, None])
        assert (A >= 0).all() and (A <= 1).all(), f"n={n}: outside [0, 1]"
        bound = TOLERANCES["softmax"].at(dtype) * eps(dtype) * (4 + n / 4)
        assert_within("softmax", A.sum(axis=0), np.ones(17, dtype), bound, f"sums, n={n}")
        assert_within("softmax", A[:, 5], np.full(n, 1 / n, dtype), bound / n, f"equal, n={n}")
        for bad in (np.nan, np.inf):
            Z[n // 2, 16] = bad
            A, _ = call(kernels.activate, Z, CODES["softmax"], 0.0, out=[Z.shape, None])
            assert np.isnan(A[:, 16]).all(), f"n={n}: {bad} must spoil its column"
            assert np.isfinite(A[:, :16]).all(), f"n={n}: {bad} spread to other columns"
    Z = np.array([[0.0], [-np.inf], [0.0]], dtype)
    A, _ = call(kernels.activate, Z, CODES["softmax"], 0.0, out=[Z.shape, None])
    np.testing.assert_array_equal(A, np.array([[0.5], [0.0], [0.5]], dtype))


def check_largest_class(kernels, dtype):
    """Whichever class is far ahead gets all of the probability: in a kernel, in a network of
    many examples, and in a network of one."""
    for n in SIZES:
        ahead, certain = np.eye(n, dtype=dtype) * dtype(1e4), np.eye(n, dtype=dtype)
        A, _ = call(kernels.activate, ahead, CODES["softmax"], 0.0, out=[(n, n), None])
        np.testing.assert_array_equal(A, certain, err_msg=f"n={n}")
        parameters = np.append(ahead.ravel(), np.zeros(n, dtype))
        layers = (LayerSpec(n, n, CODES["softmax"]),)
        net = kernels.Network(layers, loss_spec("cross_entropy", "softmax"), parameters)
        (A,) = call(net.forward, certain, out=[(n, n)])
        np.testing.assert_array_equal(A, certain, err_msg=f"network, n={n}")
        for j in range(n):
            (a,) = call(net.forward, certain[:, j : j + 1].copy(), out=[(n, 1)])
            np.testing.assert_array_equal(a, certain[:, j : j + 1], err_msg=f"class {j} of {n}")


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
    """dZ = dA g'(Z), from the output or from D, and db = sum(dZ) / total."""
    for n, m in [(n, m) for n in SIZES for m in SIZES] + [(3, 3001), (129, 33)]:
        Z, dA = normal(dtype, (n, m), (n, m))
        A, D = outputs_of(activation, 2 * Z), derivative_of(activation, 2 * Z)
        for total in (float(m), 2.5):
            inputs = dA, A, D, CODES[activation], SLOPE, total
            case, shapes = f"{activation} {A.shape} total={total}", [(n, m), (n, 1)]
            dZ, db = call(reference.activation_backward, *inputs, out=shapes)
            got_dZ, got_db = call(kernels.activation_backward, *inputs, out=shapes, case=case)
            spread = np.abs(dA)
            if activation == "softmax":  # the sum over the classes errs too
                spread = A * (spread + n * np.sum(A * spread, axis=0, keepdims=True))
            bound = TOLERANCES["derivative"].at(dtype) * eps(dtype) * spread
            assert_within("derivative", got_dZ, dZ, bound, f"dZ {case}")
            sums = np.sum(np.abs(dZ), axis=1, keepdims=True)
            bound = (
                bound.sum(axis=1, keepdims=True)
                + TOLERANCES["product"].at(dtype) * m * eps(dtype) * sums
            ) / total
            assert_within("product", got_db, db, bound, f"db {case}")


def check_backward_from_D(kernels, dtype):
    """Where D is given it is all that counts: dZ = dA * D, whatever the activation."""
    for n, m in ((1, 1), (3, 17), (9, 48), (65, 130)):
        dA, D = normal(dtype, (n, m), (n, m))
        for code in CODES.values():
            inputs = dA, np.full_like(dA, 0.3), D, code, SLOPE, 2.0
            dZ, _ = call(kernels.activation_backward, *inputs, out=[(n, m), (n, 1)])
            np.testing.assert_array_equal(dZ, dA * D, err_msg=f"code {code}, {n, m}")


# --- one layer ----------------------------------------------------------------------------


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
    """What the product and the activation together allow; no curve but exp is steeper than 1."""
    k, step = W.shape[1] + 1, eps(W.dtype)
    in_Z = TOLERANCES["product"].at(W.dtype) * k * step * (np.abs(W) @ np.abs(A_prev) + np.abs(b))
    if activation == "softmax":
        in_Z = 2 * A * in_Z.max(axis=0, keepdims=True)
    elif activation == "exponential":
        in_Z = A * in_Z
    return in_Z + activation_bound(activation, W @ A_prev + b, A)[1]


def check_dense_backward(kernels, dtype):
    """dW = dZ A_prev^T / total, db = sum(dZ) / total, dA_prev = W^T dZ, for every size."""
    for n_out, n_in, m in (*SHAPES, *LARGE_SHAPES):
        dZ, W, A_prev = normal(dtype, (n_out, m), (n_out, n_in), (n_in, m))
        case = f"n_out={n_out} n_in={n_in} m={m}"
        shapes = [(n_out, n_in), (n_out, 1), (n_in, m)]
        total = float(m) if (n_out + m) % 2 else 0.75 * m
        expected = call(reference.dense_backward, dZ, W, A_prev, total, out=shapes)
        actual = call(kernels.dense_backward, dZ, W, A_prev, total, out=shapes, case=case)
        unit = TOLERANCES["product"].at(dtype) * eps(dtype)
        size = np.abs(dZ)
        bounds = {
            "dW": unit * m * (size @ np.abs(A_prev).T) / total,
            "db": unit * m * size.sum(axis=1, keepdims=True) / total,
            "dA_prev": unit * n_out * (np.abs(W).T @ size),
        }
        for got, want, (name, bound) in zip(actual, expected, bounds.items(), strict=True):
            assert_within("product", got, want, bound, f"{name} {case}")
        inputs = dZ, W, A_prev, total
        without = call(kernels.dense_backward, *inputs, out=[*shapes[:2], None], case=case)
        for got, want, bound in zip(without[:2], expected[:2], bounds.values()):
            assert_within("product", got, want, bound, f"without dA_prev {case}")


def check_small_integers(kernels, dtype):
    """Products of small integers are exact: every sum fits the mantissa."""
    for n_out, n_in, m in (*SHAPES, *LARGE_SHAPES, (17, 9, 1024), (3, 50, 64)):
        rng = np.random.default_rng([n_out, n_in, m])
        integers = [
            rng.integers(-8, 9, s) for s in ((n_out, n_in), (n_out, 1), (n_in, m), (n_out, m))
        ]
        W, b, A_prev, dZ = (x.astype(dtype) for x in integers)
        case = f"n_out={n_out} n_in={n_in} m={m}"
        (A,) = call(kernels.dense_forward, W, b, A_prev, CODES["linear"], 0.0, out=[(n_out, m)])
        np.testing.assert_array_equal(A, integers[0] @ integers[2] + integers[1], err_msg=case)
        shapes = [(n_out, n_in), (n_out, 1), (n_in, m)]
        dW, db, dA_prev = call(kernels.dense_backward, dZ, W, A_prev, float(m), out=shapes)
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
                ("dense_backward", (dZ, W, A_prev, float(m)), shapes),
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
    nothing = np.empty((3, 0), dtype)
    for name, code in CODES.items():
        (A,) = call(kernels.dense_forward, W, b, np.empty((2, 0), dtype), code, SLOPE, out=[(3, 0)])
        assert A.shape == (3, 0)
        A, _ = call(kernels.activate, np.empty((0, 4), dtype), code, SLOPE, out=[(0, 4), None])
        assert A.shape == (0, 4)
        D = nothing if name in FROM_Z else None
        dZ, db = call(
            kernels.activation_backward,
            nothing,
            nothing,
            D,
            code,
            SLOPE,
            1.0,
            out=[(3, 0), (3, 1)],
        )
        np.testing.assert_array_equal(db, np.zeros((3, 1), dtype))
    no_inputs = np.empty((3, 0), dtype), b, np.empty((0, 4), dtype)
    (Z,) = call(kernels.dense_forward, *no_inputs, CODES["linear"], 0.0, out=[(3, 4)])
    np.testing.assert_array_equal(Z, np.repeat(b, 4, axis=1))
    shapes = [(3, 2), (3, 1), (2, 0)]
    inputs = nothing, W, np.empty((2, 0), dtype), 1.0
    dW, db, dA_prev = call(kernels.dense_backward, *inputs, out=shapes)
    np.testing.assert_array_equal(dW, np.zeros((3, 2), dtype))
    np.testing.assert_array_equal(db, np.zeros((3, 1), dtype))
    for loss, output in PAIRS:
        for weights in (None, np.empty((1, 0), dtype)):
            D = nothing if output in FROM_Z else None
            inputs = nothing, D, nothing, weights, loss_spec(loss, output), CODES[output], SLOPE
            J, dZ = call(kernels.output_cost, *inputs, out=[(3, 0)])
            assert J == 0.0 and dZ.shape == (3, 0), f"cost of nothing, {loss}"
    assert kernels.all_finite(nothing)


# --- the cost -----------------------------------------------------------------------------


def check_output_cost(kernels, dtype, loss, output):
    """J, and dZ at the output, for every size, for saturated outputs, and with weights."""
    for n, m in [(n, m) for n in SIZES for m in SIZES] + [(2, 3001)]:
        Z = 3 * normal(dtype, (n, m))[0]
        A, D = saturated(output, outputs_of(output, Z)), derivative_of(output, Z)
        Y = targets(loss, n, m, dtype)
        weights = np.random.default_rng([n, m]).integers(0, 4, (1, m)).astype(dtype)
        spec = loss_spec(loss, output)
        for w in (None, weights):
            case = f"{loss}/{output} {A.shape}" + ("" if w is None else " weighted")
            inputs = A, D, Y, w, spec, CODES[output], SLOPE
            J, dZ = call(reference.output_cost, *inputs, out=[(n, m)])
            got_J, got_dZ = call(kernels.output_cost, *inputs, out=[(n, m)], case=case)
            assert type(got_J) is float, f"{case}: cost is a {type(got_J)}"
            bound = TOLERANCES["cost"].at(dtype) * eps(dtype) * size_of_cost(J, A, Y, w, loss)
            assert_cost_within(got_J, J, bound, dtype, case)
            error = n * np.sum(np.abs(A), axis=0, keepdims=True) if output == "softmax" else 1
            bound = TOLERANCES["derivative"].at(dtype) * eps(dtype) * error * (1 + np.abs(A - Y))
            assert_within("derivative", got_dZ, dZ, bound * (1 if w is None else w), f"dZ {case}")
            (alone,) = call(kernels.output_cost, *inputs, out=[None], case=case)[:1]
            assert alone == got_J, f"{case}: the cost alone differs"


def size_of_cost(J, A, Y, weights, loss):
    """J, with the terms of either sign of poisson made positive."""
    if loss != "poisson":
        return abs(J)
    terms = A + Y * np.abs(np.log(np.maximum(A, np.finfo(A.dtype).tiny)))
    if weights is not None and not weights.any():
        return 0.0
    return np.average(terms.sum(axis=0), weights=None if weights is None else weights[0])


def check_unpaired(kernels, dtype, loss, output):
    """Through dA and g' the cross-entropies come to A - Y too, where nothing saturates."""
    Z = normal(dtype, (4, 49))[0]
    A, Y = outputs_of(output, Z), targets(loss, 4, 49, dtype)
    spec = loss_spec(loss, output)._replace(paired=False)
    inputs = A, None, Y, None, spec, CODES[output], SLOPE
    _, dZ = call(kernels.output_cost, *inputs, out=[A.shape])
    bound = 16 * TOLERANCES["derivative"].at(dtype) * eps(dtype)  # a quotient and a sum more
    assert_within("derivative", dZ, A - Y, np.full(A.shape, bound), f"{loss}/{output} unpaired")


def check_cost_of_one(kernels, dtype, loss, output):
    """The cost of one output alone: no large term hides the error of a small one."""
    info = np.finfo(dtype)
    small = [0.0, info.smallest_subnormal, info.tiny, info.eps, *(10.0**k for k in range(-12, 0))]
    for a in [*small, *(1 - x for x in small), 0.3, 0.5]:
        for y in (0.0, 0.25, 1.0):
            A, Y = np.full((1, 1), a, dtype), np.full((1, 1), y, dtype)
            inputs = A, None, Y, None, loss_spec(loss, output), CODES[output], SLOPE, None
            J = reference.output_cost(*inputs)
            bound = TOLERANCES["cost"].at(dtype) * eps(dtype) * abs(J)
            case = f"{loss} of {a} for {y}"
            assert_cost_within(kernels.output_cost(*inputs), J, bound, dtype, case)
            assert kernels.output_cost(*inputs) >= 0, f"{case}: a negative cost"


# --- the update ---------------------------------------------------------------------------

RULES = {
    "gradient_descent": ((), (0.3,), 0),
    "momentum": ((0.9,), (0.3, 0.2, 0.1), 1),
    "rmsprop": ((0.9, 1e-7), (0.3,), 1),
    "adam": ((0.9, 0.99, 1e-8), (0.3, 0.5, 1.7), 2),
}
"""name -> (constants, scalars of a step, slots), one for each row of the table."""


def check_update(kernels, dtype, name):
    """One step on vectors of every size: w and the state, with and without decay."""
    constants, scalars, slots = RULES[name]
    spec = UpdateSpec(kernels.UPDATE_CODES[name], constants, decay=0.05)
    for n in (*SIZES, 1000, 200_003):
        w, gradient, *state = normal(dtype, (n,), (n,), *[(n,)] * slots)
        state = np.abs(np.array(state, dtype).reshape(slots, n))
        for decays in (True, False):
            results = []
            for module in (reference, kernels):
                end, end_state, given = w.copy(), state.copy(), gradient.copy()
                module.update(end, given, end_state, np.array(scalars), spec, decays)
                assert_same_bits(given, gradient, "the gradient")
                results.append((end, end_state))
            case = f"{name} n={n} decays={decays}"
            assert_norm_within("step", results[1][0], results[0][0], case)
            assert_norm_within("step", results[1][1], results[0][1], f"state of {case}")


# --- the rest -----------------------------------------------------------------------------


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
