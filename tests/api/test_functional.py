"""The functional API: the kernels' results, with the manners of a NumPy ufunc."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import harness, layer_checks
from support.tables import ACTIVATIONS, DTYPES, ELEMENTWISE, FROM_Z, SLOPE, named

import fastnn


def layer(dtype=np.float64, n_out=5, n_in=4, m=7):
    """W, b, A_prev and dZ of one layer."""
    shapes = (n_out, n_in), (n_out, 1), (n_in, m), (n_out, m)
    return harness.normal(dtype, *shapes)


# --- the results --------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_results_are_the_kernels(backend, dtype, activation):
    W, b, A_prev, dA = layer(dtype)
    g, code = named(activation), harness.CODES[activation]
    Z = fastnn.dense_forward(W, b, A_prev, "linear")
    A = fastnn.dense_forward(W, b, A_prev, g)
    kernels = fastnn.backends.current.kernels(W.dtype)
    (expected,) = harness.call(kernels.dense_forward, W, b, A_prev, code, SLOPE, out=[A.shape])
    harness.assert_same_bits(A, expected, "dense_forward")
    tolerance, bound = layer_checks.activation_bound(activation, Z, A)
    harness.assert_within("activation", fastnn.activate(Z, g), A, 4 * bound + 1e-30, activation)
    D, total = harness.derivative_of(activation, Z), float(A.shape[1])
    dZ, _ = harness.call(
        kernels.activation_backward, dA, A, D, code, SLOPE, total,
        out=[A.shape, (A.shape[0], 1)],
    )  # fmt: skip
    if D is None:
        harness.assert_same_bits(fastnn.activation_backward(dA, A, g), dZ, "activation_backward")
    dW, db, dA_prev = fastnn.dense_backward(dZ, W, A_prev)
    shapes = W.shape, b.shape, A_prev.shape
    expected = harness.call(kernels.dense_backward, dZ, W, A_prev, total, out=shapes)
    for got, want in zip((dW, db, dA_prev), expected, strict=True):
        harness.assert_same_bits(got, want, "dense_backward")


def test_one_layer_by_hand(backend):
    W, b, A_prev = [[1.0, -1.0], [2.0, 1.0]], [[1.0], [-2.0]], [[1.0, 2.0], [3.0, -1.0]]
    A = fastnn.dense_forward(W, b, A_prev)
    np.testing.assert_array_equal(A, [[0, 4], [3, 1]])
    dZ = fastnn.activation_backward([[1.0, 2.0], [3.0, 4.0]], A, "relu")
    np.testing.assert_array_equal(dZ, [[0, 2], [3, 4]])
    dW, db, dA_prev = fastnn.dense_backward(dZ, W, A_prev)
    np.testing.assert_array_equal(dW, [[2, -1], [5.5, 2.5]])
    np.testing.assert_array_equal(db, [[1], [3.5]])
    np.testing.assert_array_equal(dA_prev, [[6, 10], [3, 2]])


def test_backward_is_the_slope_of_forward(backend):
    """dW, db and dA_prev against central differences of sum(dA * g(W A_prev + b)) / m."""
    W, b, A_prev, dA = layer()

    def total():
        return np.sum(dA * fastnn.dense_forward(W, b, A_prev, "tanh"))

    A = fastnn.dense_forward(W, b, A_prev, "tanh")
    gradients = fastnn.dense_backward(fastnn.activation_backward(dA, A, "tanh"), W, A_prev)
    for array, gradient, m in zip((W, b, A_prev), gradients, (7, 7, 1), strict=True):
        slopes = np.empty_like(gradient)
        for index in np.ndindex(array.shape):
            value, h = array[index], 1e-5
            array[index] = value + h
            above = total()
            array[index] = value - h
            below = total()
            array[index] = value
            slopes[index] = (above - below) / (2 * h) / m
        harness.assert_norm_within("central difference", gradient, slopes, array.shape)


# --- dtypes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given_dtype, result",
    [
        ("float32", "float32"), ("float64", "float64"), (">f4", "float32"), (">f8", "float64"),
        ("int8", "float64"), ("uint64", "float64"), ("bool", "float64"),
    ],
)  # fmt: skip
def test_result_dtype(backend, given_dtype, result):
    Z = np.array([[0, 1, 1], [1, 0, 1]]).astype(given_dtype)
    for function in (fastnn.activate, fastnn.activation_derivative):
        out = function(Z, "tanh")
        assert out.dtype == result and out.dtype.isnative
        np.testing.assert_array_equal(out, function(Z.astype(result), "tanh"))


def test_mixed_dtypes_meet_in_float64(backend):
    W, b, A_prev, _ = layer(np.float32)
    A = fastnn.dense_forward(W, b.astype(np.float64), A_prev, "tanh")
    assert A.dtype == np.float64
    wide = [x.astype(np.float64) for x in (W, b, A_prev)]
    np.testing.assert_array_equal(A, fastnn.dense_forward(*wide, "tanh"))


def test_lists_and_scalars(backend):
    assert fastnn.activate([[1, -1]], "relu").tolist() == [[1.0, 0.0]]
    assert fastnn.activate(-2.0, "relu") == 0.0 and np.ndim(fastnn.activate(0.5, "tanh")) == 0
    assert fastnn.activate(3, "softmax") == 1.0
    assert fastnn.activation_derivative(0.5, "sigmoid") == 0.25


@pytest.mark.parametrize("shape", [(), (5,), (0,), (2, 3, 4), (2, 0, 4)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_any_number_of_axes(backend, activation, shape):
    """Element by element; softmax along the first axis."""
    (Z,) = harness.normal(np.float64, shape)
    A = fastnn.activate(Z, activation)
    assert A.shape == shape and A.dtype == np.float64
    rows = shape[0] if shape and activation == "softmax" else 1
    matrix = Z.reshape(rows, -1) if Z.size else Z.reshape(rows, 0)
    expected = fastnn.activate(matrix, activation).reshape(shape)
    harness.assert_norm_within("step", A, expected, activation)
    if activation != "softmax":
        again, D = fastnn.activate(Z, activation, derivative=True)
        assert np.shape(D) == shape
        np.testing.assert_array_equal(again, A)
    if activation not in FROM_Z:
        dZ = fastnn.activation_backward(np.ones(shape), A, activation)
        assert dZ.shape == shape


# --- layouts ------------------------------------------------------------------------------


def awkward(x):
    """The same values in layouts that a kernel cannot take as they are, or only just."""
    misaligned = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    misaligned[...] = x
    return {
        **{name: layout(x) for name, layout in harness.LAYOUTS.items()},
        "byte-swapped": x.astype(x.dtype.newbyteorder()),
        "misaligned": misaligned,
    }


@pytest.mark.parametrize("position", range(3))
def test_layouts(backend, dtype, position):
    arrays = list(layer(dtype)[:3])
    expected = fastnn.dense_forward(*arrays, "tanh")
    backward = [layer(dtype)[3], arrays[0], arrays[2]]
    expected_back = fastnn.dense_backward(*backward)
    for name, laid in awkward(arrays[position]).items():
        got = fastnn.dense_forward(*arrays[:position], laid, *arrays[position + 1 :], "tanh")
        harness.assert_norm_within("step", got, expected, name)
    for name, laid in awkward(backward[position]).items():
        got = fastnn.dense_backward(*backward[:position], laid, *backward[position + 1 :])
        for a, b in zip(got, expected_back, strict=True):
            harness.assert_norm_within("step", a, b, name)


@pytest.mark.parametrize("activation", ELEMENTWISE)
def test_layouts_of_activations(backend, dtype, activation):
    (Z,) = harness.normal(dtype, (6, 11))
    for name, laid in awkward(Z).items():
        got = fastnn.activate(laid, activation, derivative=True)
        expected = fastnn.activate(Z, activation, derivative=True)
        np.testing.assert_array_equal(got, expected, err_msg=name)
        if activation not in FROM_Z:
            got = fastnn.activation_derivative(laid, activation)
            expected = fastnn.activation_derivative(Z, activation)
            np.testing.assert_array_equal(got, expected, err_msg=name)


def test_memory_maps(backend, tmp_path):
    """Of files that may not be written."""
    W, b, A_prev, dZ = layer()
    maps = []
    for i, array in enumerate((W, b, A_prev, dZ)):
        np.save(tmp_path / f"{i}.npy", array)
        maps.append(np.load(tmp_path / f"{i}.npy", mmap_mode="r"))
    A = fastnn.dense_forward(*maps[:3], "tanh")
    harness.assert_norm_within("step", A, fastnn.dense_forward(W, b, A_prev, "tanh"), "forward")
    dW = fastnn.dense_backward(maps[3], maps[0], maps[2])[0]
    harness.assert_norm_within("step", dW, fastnn.dense_backward(dZ, W, A_prev)[0], "dW")


# --- out= ---------------------------------------------------------------------------------


def test_out_is_returned(backend, dtype):
    W, b, A_prev, _ = layer(dtype)
    expected = fastnn.dense_forward(W, b, A_prev, "tanh")
    for layout in ("C", "Fortran", "rows reversed", "every second row, third column"):
        out = harness.LAYOUTS[layout](np.full(expected.shape, np.nan, dtype))
        assert fastnn.dense_forward(W, b, A_prev, "tanh", out=out) is out
        harness.assert_norm_within("step", out, expected, layout)
    for function in (fastnn.activate, fastnn.activation_derivative):
        out = np.empty_like(expected)
        assert function(expected, "tanh", out=out) is out
        np.testing.assert_array_equal(out, function(expected, "tanh"))


def test_out_of_another_float(backend):
    """The rule of NumPy, casting='same_kind': a result may be rounded or widened."""
    W, b, A_prev, _ = layer(np.float64)
    expected = fastnn.dense_forward(W, b, A_prev, "tanh")
    out = np.empty(expected.shape, np.float32)
    assert fastnn.dense_forward(W, b, A_prev, "tanh", out=out) is out
    np.testing.assert_array_equal(out, expected.astype(np.float32))
    swapped = np.empty(expected.shape, ">f8")
    fastnn.activate(expected, "tanh", out=swapped)
    np.testing.assert_array_equal(swapped, fastnn.activate(expected, "tanh"))


def test_out_in_place(backend, dtype):
    (Z,) = harness.normal(dtype, (6, 11))
    for activation in ACTIVATIONS:
        A, inside = fastnn.activate(Z, activation), Z.copy()
        assert fastnn.activate(inside, activation, out=inside) is inside
        harness.assert_same_bits(inside, A, activation)


@settings(
    derandomize=True, database=None, max_examples=40, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    offset=st.integers(0, 60),
    step=st.sampled_from([1, -1, 2]),
    of=st.sampled_from(["W", "b", "A_prev"]),
)
def test_out_that_overlaps_an_input(backend, offset, step, of):
    """As if the inputs had been copied first, whichever elements are shared."""
    memory = np.random.default_rng(offset).normal(size=220)

    def views():
        room = memory.copy()
        arrays = {"W": room[:25].reshape(5, 5), "b": room[25:30].reshape(5, 1)}
        arrays["A_prev"] = room[30:65].reshape(5, 7)
        start = {"W": 0, "b": 10, "A_prev": 20}[of] + offset
        return arrays, room[start : start + 35 * abs(step)][::step].reshape(5, 7)

    arrays, out = views()
    copies = [array.copy() for array in arrays.values()]
    expected = fastnn.dense_forward(*copies, "tanh")
    assert fastnn.dense_forward(*arrays.values(), "tanh", out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_activation_out_that_overlaps_its_input(backend):
    memory = np.random.default_rng(0).normal(size=60)
    for shift in (1, 3, 10):
        for reverse in (1, -1):
            room = memory.copy()
            Z, out = room[:40].reshape(4, 10), room[shift : shift + 40][::reverse].reshape(4, 10)
            expected = fastnn.activate(Z.copy(), "tanh")
            np.testing.assert_array_equal(fastnn.activate(Z, "tanh", out=out), expected)


# --- nothing, NaN, and the ends of the range ----------------------------------------------


def test_no_examples(backend, dtype):
    W, b, A_prev, dZ = layer(dtype)
    A = fastnn.dense_forward(W, b, A_prev[:, :0])
    assert A.shape == (5, 0) and A.dtype == dtype
    dW, db, dA_prev = fastnn.dense_backward(dZ[:, :0], W, A_prev[:, :0])
    assert not dW.any() and not db.any() and dA_prev.shape == (4, 0)
    for loss in ("mse", "binary_cross_entropy", "cross_entropy"):
        assert fastnn.cost(A, A, loss=loss) == 0.0


def test_no_inputs(backend, dtype):
    b = np.arange(3, dtype=dtype)[:, None]
    Z = fastnn.dense_forward(np.empty((3, 0), dtype), b, np.empty((0, 4), dtype), "linear")
    np.testing.assert_array_equal(Z, np.repeat(b, 4, axis=1))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_goes_through(backend, dtype, activation):
    Z = np.array([[1.0, np.nan, -1.0, 0.5]], dtype)
    got = np.isnan(fastnn.activate(Z, activation))
    np.testing.assert_array_equal(got, [[False, True, False, False]])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_ends_of_the_range_are_no_reason_to_warn(backend, dtype, activation):
    Z = np.array([[0.0, -0.0, 1000, -1000, 1e4, -1e4, 1e30, -1e30]], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        A = fastnn.activate(Z, activation)
        softmax = fastnn.activate(Z.T.copy(), activation)
    if activation == "exponential":  # beyond the range of the dtype
        A, softmax = (a[a < np.inf] for a in (A, softmax))
    assert np.isfinite(A).all() and np.isfinite(softmax).all()
    if activation == "softmax":
        assert softmax.sum() == 1


def test_inputs_are_never_written(backend):
    arrays = {name: x for name, x in zip(("W", "b", "A_prev", "dZ"), layer(), strict=True)}
    before = {name: x.copy() for name, x in arrays.items()}
    W, b, A_prev, dZ = arrays.values()
    A = fastnn.dense_forward(W, b, A_prev, "softmax")
    fastnn.dense_backward(dZ, W, A_prev)
    fastnn.activation_backward(dZ, A, "softmax")
    fastnn.activation_derivative(dZ, "tanh")
    fastnn.cost(A, A, loss="cross_entropy")
    for name, x in arrays.items():
        harness.assert_same_bits(x, before[name], name)


def test_results_are_new_arrays(backend):
    """Also where the activation is linear and there would be nothing to do."""
    for dtype in DTYPES:
        Z = np.ones((2, 3), dtype)
        A = fastnn.activate(Z, "linear")
        assert not np.shares_memory(A, Z)
        assert A.flags.writeable and A.flags.c_contiguous


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy"])
def test_probabilities_a_rounding_above_1(backend, loss):
    """They are let in, and cost nothing rather than less than that."""
    assert fastnn.cost([[1.00009]], [[1.0]], loss) == 0.0
