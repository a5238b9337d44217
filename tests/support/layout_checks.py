"""Any layout of the arrays must give the same numbers: checks that raise AssertionError."""

import numpy as np

from fastnn import _kernels_numpy as reference
from support.harness import CODES, LAYOUTS, SENTINEL, assert_norm_within, call, eps, loss_spec
from support.network_checks import examples, network, out_shape, parameters_of, train_plainly


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
    relu, slope, weights = CODES["relu"], 0.0, np.abs(small(1, m))
    return {
        "activate": ((dZ, relu, slope), [dZ.shape, dZ.shape], ()),
        "activation_derivative": ((dZ, relu, slope), [dZ.shape], ()),
        "activation_backward": (
            (dZ, small(n_out, m), None, relu, slope, float(m)),
            [dZ.shape, b.shape],
            (3,),
        ),
        "dense_forward": ((W, b, A_prev, relu, slope), [dZ.shape], (0, 1)),
        "dense_backward": ((dZ, W, A_prev, float(m)), [W.shape, b.shape, A_prev.shape], (1, 3, 4)),
        "output_cost": (
            (dZ, dZ + 1, small(n_out, m), weights, loss_spec("mse", "gelu"), CODES["gelu"], 0.0),
            [dZ.shape],
            (),
        ),
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
        A = (
            np.empty(out_shape(case), dtype)
            if x is X
            else LAYOUTS["Fortran"](np.empty(out_shape(case), dtype))
        )
        gradients, costs = np.empty_like(parameters), np.empty(1)
        net.forward(x, A)
        J = net.cost_and_gradients(x, y, None, gradients)
        train_plainly(net, x, y, order, max(case.m // 3, 1), 0.1, costs)
        numbers = np.array([J, *costs], dtype)  # as exact as the arrays that they come from
        results.append((A, gradients, np.asarray(net.parameters), numbers))
    for got, want in zip(results[1], results[0], strict=True):
        assert_norm_within("step", got, want, what)
