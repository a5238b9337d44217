"""What the network kernels of a module must do, as functions that raise AssertionError.

As in `layer_checks.py`, on a whole `Network`: forward, gradients, and training.
"""

import numpy as np

from fastnn import _kernels_numpy as reference
from support.harness import (
    CODES,
    LAYOUTS,
    LOSSES,
    assert_cost_within,
    assert_norm_within,
    assert_same_bits,
    call,
    normal,
    targets,
)
from support.tables import SLOPE, TOLERANCES


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
    (expected,) = call(network(reference, case, parameters).forward, X, out=[out_shape(case)])
    net = network(kernels, case, parameters.copy())
    (actual,) = call(net.forward, X, out=[out_shape(case)], case=case)
    assert_norm_within("step", actual, expected, case)
    (single,) = call(net.forward, X[:, :1].copy(), out=[(out_shape(case)[0], 1)], case=case)
    assert_norm_within("step", single, expected[:, :1], f"{case}, first example alone")
    tried = net.try_forward(X)
    assert tried is None or tried.tobytes() == actual.tobytes(), f"try_forward {case}"
    assert_same_bits(np.asarray(net.parameters), parameters, f"parameters of {case}")


def out_shape(case):
    """(n[L], m)."""
    return case.layer_sizes[-1], case.m


def check_gradients(kernels, dtype, case):
    """One step's cost and gradients, with and without the gradients asked for."""
    parameters, (X, Y) = parameters_of(case, dtype), examples(case, dtype)
    J, gradients = call(
        network(reference, case, parameters).cost_and_gradients, X, Y, out=[parameters.shape]
    )
    net = network(kernels, case, parameters.copy())
    got_J, actual = call(net.cost_and_gradients, X, Y, out=[parameters.shape], case=case)
    assert_cost_within(got_J, J, TOLERANCES["step"].at(dtype) * abs(J), dtype, case)
    assert_layers_within("step", case, actual, gradients)
    alone = net.cost_and_gradients(X, Y, None)
    assert_cost_within(
        alone, J, TOLERANCES["step"].at(dtype) * abs(J), dtype, f"{case}, cost alone"
    )
    assert_same_bits(np.asarray(net.parameters), parameters, f"parameters of {case}")


def check_held_parameters(kernels, dtype, case):
    """The network computes with what the caller writes into the vector that it gave."""
    parameters, (X, _) = parameters_of(case, dtype), examples(case, dtype)
    held = np.zeros_like(parameters)
    net = network(kernels, case, held)
    call(net.forward, X, out=[out_shape(case)])
    held[:] = parameters
    (actual,) = call(net.forward, X, out=[out_shape(case)])
    (expected,) = call(network(reference, case, parameters).forward, X, out=[out_shape(case)])
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
        A, gradients = np.empty(out_shape(case), dtype), np.empty_like(parameters)
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
        "None": None, "list": X.tolist(), "1-D": X[0], "3-D": X[None],
        "other dtype": X.astype(other), "integers": X.astype(int), "objects": X.astype(object),
        "byte-swapped": X.astype(X.dtype.newbyteorder()), "misaligned": misaligned,
        "no examples": X[:, :0], "a row too many": np.vstack([X, X[:1]]),
        "masked": np.ma.masked_array(X),
    }  # fmt: skip
    if X.shape[0] > 1:
        not_plain["a row too few"] = X[1:]
    for name, bad in (("NaN", np.nan), ("inf", np.inf)):
        not_plain[name] = X.copy()
        not_plain[name][-1, -1] = bad
    for name, value in not_plain.items():
        assert net.try_forward(value) is None, f"try_forward took {name}"
    many = np.tile(X, 1 + 1000 // X.shape[1])  # several blocks of examples
    for where in (0, many.shape[1] // 2, -1):
        for threads in (1, 2):
            bad = many.copy()
            bad[0, where] = np.nan
            assert net.try_forward(bad, threads) is None, f"try_forward took NaN at {where}"
    for plain in LAYOUTS.values():
        A = net.try_forward(plain(X))
        assert A is not None and A.flags.owndata and A.flags.c_contiguous
        assert_norm_within("step", A, net.try_forward(X), case)
