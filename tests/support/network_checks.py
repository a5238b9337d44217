"""What the network kernels of a module must do, as functions that raise AssertionError.

As in `layer_checks.py`, on a whole `Network`: forward, gradients, and training.
"""

from typing import NamedTuple

import numpy as np

import fastnn
from fastnn import _kernels_numpy as reference
from fastnn._specifications import LayerSpec, UpdateSpec
from fastnn.optimizers import OPTIMIZERS
from support.harness import (
    CODES,
    LAYOUTS,
    UPDATES,
    assert_cost_within,
    assert_norm_within,
    assert_same_bits,
    call,
    loss_spec,
    normal,
    targets,
)
from support.tables import PARAMETERS, TOLERANCES, named


def parameters_of(case, dtype):
    """A flat vector of random weights and biases for a case (biases are not 0 here)."""
    rng = np.random.default_rng(case.layer_sizes)
    layers = []
    for n_in, n_out in zip(case.layer_sizes, case.layer_sizes[1:]):
        layers += [rng.normal(0, n_in**-0.5, n_out * n_in), rng.normal(0, 0.3, n_out)]
    return np.concatenate(layers).astype(dtype)


def network(kernels, case, parameters, keep=1.0):
    """The kernels' Network for a case, made by keyword: the names are part of the contract.

    keep: 1 - dropout of the hidden layers.
    """
    layers = [
        LayerSpec(n_in, n_out, CODES[name], PARAMETERS.get(name, 0.0), keep)
        for n_in, n_out, name in zip(case.layer_sizes, case.layer_sizes[1:], case.activations)
    ]
    layers[-1] = layers[-1]._replace(keep=1.0)
    loss = loss_spec(case.loss, case.output)
    return kernels.Network(layers=tuple(layers), loss=loss, parameters=parameters)


def mlp(case, dtype="float64", **options):
    """The public network of a case of the table, with its parameters."""
    net = fastnn.MLP(
        case.layer_sizes,
        [named(g) for g in case.hidden],
        named(case.output),
        named(case.loss),
        dtype=dtype,
        **options,
    )
    net.parameter_vector[:] = parameters_of(case, np.dtype(dtype).type)
    return net


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
        network(reference, case, parameters).cost_and_gradients, X, Y, None, out=[parameters.shape]
    )
    net = network(kernels, case, parameters.copy())
    got_J, actual = call(net.cost_and_gradients, X, Y, None, out=[parameters.shape], case=case)
    assert_cost_within(got_J, J, TOLERANCES["step"].at(dtype) * abs(J), dtype, case)
    assert_layers_within("step", case, actual, gradients)
    alone = net.cost_and_gradients(X, Y, None, None)
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


PLAIN = UpdateSpec(UPDATES["gradient_descent"])


class Rule(NamedTuple):
    """A way to train: what `Network.train` is told beside the examples."""

    spec: UpdateSpec
    slots: int = 0
    keep: float = 1.0
    weighted: bool = False
    options: dict = {}
    """Of the optimizer, where they change its scalars."""

    def scalars(self, steps, rate):
        """What the formula takes in each step, as its row of the table makes it."""
        names = {code: name for name, code in UPDATES.items()}
        optimizer = OPTIMIZERS[names[self.spec.code]](**self.options)
        return optimizer.scalars(np.full(steps, rate), np.arange(1.0, steps + 1))


ADAM, ADAM_SLOTS = UpdateSpec(UPDATES["adam"], (0.9, 0.99, 1e-8)), 2
MOMENTUM = UpdateSpec(UPDATES["momentum"], (0.9,))
RULES = {
    "plain": Rule(PLAIN),
    "momentum": Rule(MOMENTUM, 1),
    "nesterov": Rule(MOMENTUM, 1, options={"nesterov": True}),
    # With a small epsilon a gradient near 0 gives a step of either sign: noise, not the formula.
    "rmsprop": Rule(UpdateSpec(UPDATES["rmsprop"], (0.9, 1e-1)), 1),
    "adam": Rule(ADAM, ADAM_SLOTS),
    "l2": Rule(PLAIN._replace(l2=0.3)),
    "per example": Rule(PLAIN._replace(l2=4.0, per_example=True)),
    "clipped": Rule(PLAIN._replace(clip_norm=0.2)),
    "not clipped": Rule(PLAIN._replace(clip_norm=1e6)),
    "decay": Rule(ADAM._replace(decay=0.1), ADAM_SLOTS),
    "weighted": Rule(PLAIN, weighted=True),
    "dropout": Rule(PLAIN, keep=0.7),
    "all": Rule(ADAM._replace(l2=0.01, decay=0.1, clip_norm=0.5), ADAM_SLOTS, 0.6, True),
    "all per example": Rule(
        ADAM._replace(l2=0.3, decay=0.1, clip_norm=0.5, per_example=True), ADAM_SLOTS, 0.6, True
    ),
}
"""Each place of the contract for itself, and all together."""


def weights_of(case, dtype):
    """Small integers, some of them 0."""
    rng = np.random.default_rng(case.m)
    return rng.integers(0, 4, (1, case.m)).astype(dtype)


def trained(
    kernels, case, dtype, epochs, batch_size=None, rate=0.1, seed=3, rule=RULES["plain"], **options
):
    """Costs, parameters and state after `epochs`: shuffled batches, or the full batch."""
    X, Y = examples(case, dtype)
    parameters, costs, order = parameters_of(case, dtype), np.full(epochs, np.nan), None
    if batch_size is not None:
        order = np.empty((epochs, case.m), np.uint32)
        reference.shuffle(order, seed, 0)
    weights = weights_of(case, dtype) if rule.weighted else None
    net = network(kernels, case, parameters, rule.keep)
    batch_size = batch_size or case.m
    scalars = rule.scalars(epochs * -(-case.m // batch_size), rate)
    state = np.zeros((rule.slots, parameters.size), dtype)
    inputs = X, Y, weights, order, batch_size, rule.spec, scalars, state, 2**63 + 5, 7
    given = X, Y, weights, order, scalars
    before = [None if x is None else x.copy() for x in given]
    net.train(*inputs, costs, **options)
    for x, was in zip(given, before):
        assert x is None or x.tobytes() == was.tobytes(), f"{case}: an input was written"
    return costs, parameters, state


def train_plainly(net, X, Y, order, batch_size, rate, costs, **options):
    """Gradient descent and nothing else, as `trained` does it, on any network."""
    state = np.empty((0, np.size(net.parameters)), X.dtype)
    scalars = np.broadcast_to(rate, (len(costs) * -(-X.shape[1] // batch_size), 1))
    net.train(X, Y, None, order, batch_size, PLAIN, scalars, state, 0, 0, costs, **options)


def check_trace(kernels, dtype, case, batch_size=None):
    """50 epochs of gradient descent follow the reference: every cost, and where they end."""
    expected, end, _ = trained(reference, case, dtype, 50, batch_size)
    costs, parameters, _ = trained(kernels, case, dtype, 50, batch_size)
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
        batch_costs.append(net.cost_and_gradients(X[:, columns], Y[:, columns], None, gradients))
        by_hand -= dtype(0.3) * gradients
    parameters, costs = parameters_of(case, dtype), np.full(1, np.nan)
    train_plainly(network(kernels, case, parameters), X, Y, order[None, :], batch_size, 0.3, costs)
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
        train_plainly(network(kernels, case, parameters), X, Y, order, batch_size, 0.1, costs)
        ends.append(np.append(parameters, costs))
    assert_norm_within("step", ends[0].astype(dtype), ends[1].astype(dtype), case)


def check_example_major(kernels, dtype, case, batch_size):
    """The copy that is gathered faster holds the same examples, and trains to the same bits."""
    X, Y = examples(case, dtype)
    net = network(kernels, case, parameters_of(case, dtype))
    copy = net.example_major(X, batch_size)
    assert_same_bits(copy, X, case)
    assert copy is X or copy.flags.f_contiguous, f"{case}: no contiguous examples"
    order = np.empty((3, case.m), np.uint32)
    reference.shuffle(order, 1, 0)
    ends = []
    for x in (X, np.asfortranarray(X)):
        parameters, costs = parameters_of(case, dtype), np.full(3, np.nan)
        net = network(kernels, case, parameters)
        train_plainly(net, x, Y, order, batch_size, 0.1, costs)
        ends.append(np.append(parameters, costs))
    if copy is not X:
        assert_same_bits(ends[1], ends[0], case)
    assert_norm_within("step", ends[1].astype(dtype), ends[0].astype(dtype), case)


def check_rule(kernels, dtype, case, name, batch_size):
    """Eight epochs of a rule follow the reference: costs, parameters, and the state."""
    rule = RULES[name]
    expected = trained(reference, case, dtype, 8, batch_size, 0.05, rule=rule)
    actual = trained(kernels, case, dtype, 8, batch_size, 0.05, rule=rule)
    for what, got, want in zip(("costs", "parameters", "state"), actual, expected, strict=True):
        case_name = f"{what} of {case}, {name}"
        assert_norm_within("rule", got.astype(dtype), want.astype(dtype), case_name)


def check_steps_in_calls(kernels, dtype, case, name):
    """Epochs in one call or in several: the scalars, the state and the masks go on."""
    rule, (X, Y), m = RULES[name], examples(case, dtype), case.m
    size = max(m // 3, 1)
    per_epoch = -(-m // size)
    scalars = rule.scalars(4 * per_epoch, 0.05)
    weights = weights_of(case, dtype) if rule.weighted else None
    ends = []
    for calls in ([(0, 4)], [(0, 1), (1, 4)]):
        parameters, costs = parameters_of(case, dtype), np.full(4, np.nan)
        state = np.zeros((rule.slots, parameters.size), dtype)
        net = network(kernels, case, parameters, rule.keep)
        for start, stop in calls:
            steps = slice(start * per_epoch, stop * per_epoch)
            net.train(
                X, Y, weights, None, size, rule.spec, scalars[steps], state, 11, steps.start,
                costs[start:stop],
            )  # fmt: skip
        ends.append((parameters, state, costs))
    for name_of, got, want in zip(("parameters", "state", "costs"), *ends, strict=True):
        assert_same_bits(got, want, f"{name_of} of {case}, {name}")


def check_weights(kernels, dtype, case):
    """A weight of k is k copies of the example, a weight of 0 as if it were not there."""
    parameters, (X, Y), weights = (
        parameters_of(case, dtype),
        examples(case, dtype),
        weights_of(case, dtype),
    )
    copies = np.repeat(np.arange(case.m), weights[0].astype(int))
    net = network(kernels, case, parameters)
    J, gradients = call(
        network(reference, case, parameters).cost_and_gradients,
        X[:, copies], Y[:, copies], None, out=[parameters.shape],
    )  # fmt: skip
    got_J, got = call(net.cost_and_gradients, X, Y, weights, out=[parameters.shape], case=case)
    bound = TOLERANCES["step"].at(dtype) * abs(J)
    assert_cost_within(got_J, J, bound, dtype, f"{case} weighted")
    assert_layers_within("step", case, got, gradients)
    alone = net.cost_and_gradients(X, Y, weights, None)
    assert_cost_within(alone, J, bound, dtype, f"{case} weighted, cost alone")
    zero = np.zeros_like(weights)
    J, nothing = call(net.cost_and_gradients, X, Y, zero, out=[parameters.shape], case=case)
    assert J == 0 and not nothing.any(), f"{case}: weights of 0 count"


def check_backward(kernels, dtype, case):
    """From dJ/dA to the parameters and to X, all, or one of the two."""
    parameters, (X, _) = parameters_of(case, dtype), examples(case, dtype)
    (dA,) = normal(dtype, out_shape(case))
    shapes = [parameters.shape, X.shape]
    expected = call(network(reference, case, parameters).backward, X, dA, out=shapes)
    net = network(kernels, case, parameters.copy())
    gradients, dX = call(net.backward, X, dA, out=shapes, case=case)
    assert_layers_within("step", case, gradients, expected[0])
    assert_norm_within("step", dX, expected[1], f"dX of {case}")
    alone, _ = call(net.backward, X, dA, out=[shapes[0], None], case=case)
    _, dX_alone = call(net.backward, X, dA, out=[None, shapes[1]], case=case)
    assert_same_bits(alone, gradients, f"gradients without dX, {case}")
    assert_same_bits(dX_alone, dX, f"dX without gradients, {case}")
    assert_same_bits(np.asarray(net.parameters), parameters, f"parameters of {case}")


def check_jacobian(kernels, dtype, case):
    """dA[L] / dX of each example, of many and of one."""
    parameters, (X, _) = parameters_of(case, dtype), examples(case, dtype)
    X = X[:, :70]
    shape = X.shape[1], case.layer_sizes[-1], case.layer_sizes[0]
    (expected,) = call(network(reference, case, parameters).jacobian, X, out=[shape])
    net = network(kernels, case, parameters.copy())
    (actual,) = call(net.jacobian, X, out=[shape], case=case)
    assert_norm_within("step", actual, expected, f"jacobian of {case}")
    for threads in (2, 3):
        again = np.full(shape, np.nan, dtype)
        net.jacobian(X, again, threads)
        assert_same_bits(again, actual, f"jacobian of {case} with {threads} threads")
    (single,) = call(net.jacobian, X[:, :1].copy(), out=[(1, *shape[1:])], case=case)
    assert_norm_within("step", single, expected[:1], f"jacobian of {case}, first example alone")
    assert_same_bits(np.asarray(net.parameters), parameters, f"parameters of {case}")


def check_own_loop(kernels, dtype, case, name):
    """Two steps with a loss of one's own, half the squared error: forward with the masks of
    dropout, backward from dA, update; and the same by `train`."""
    rule, (X, Y), m = RULES[name], examples(case, dtype), case.m
    assert case.loss == "mse"
    scalars = rule.scalars(2, 0.05)
    ends = []
    for own in (False, True):
        parameters, costs = parameters_of(case, dtype), np.full(2, np.nan)
        state = np.zeros((rule.slots, parameters.size), dtype)
        net = network(kernels, case, parameters, rule.keep)
        if not own:
            net.train(X, Y, None, None, m, rule.spec, scalars, state, 11, 5, costs)
        for step in range(2 * own):
            A, gradients, masks = np.empty_like(Y), np.empty_like(parameters), (11, 5 + step)
            net.forward(X, A, masks=masks)
            net.backward(X, (A - Y) / dtype(m), gradients, None, masks=masks)
            costs[step] = np.square(A - Y).sum() / (2 * m)
            given = gradients.copy()
            penalty = net.update(gradients, rule.spec.of_batch(m), scalars[step], state)
            if not (rule.spec.l2 or rule.spec.clip_norm < np.inf):
                assert_same_bits(gradients, given, f"the gradients, {name}")
            assert type(penalty) is float
            costs[step] += penalty
        ends.append((parameters, state, costs.astype(dtype)))
    for what, got, want in zip(("parameters", "state", "costs"), ends[1], ends[0], strict=True):
        assert_norm_within("rule", got, want, f"{what} of {case}, {name}")


def check_accepts(kernels, dtype, case):
    """True for what is plain, finite and allowed; False, and no error, for anything else."""
    X, Y = examples(case, dtype)
    parameters = np.zeros(max(X.size + Y.size, parameters_of(case, dtype).size), dtype)
    parameters = parameters[: parameters_of(case, dtype).size]
    parameters[:] = parameters_of(case, dtype)
    net, weights = network(kernels, case, parameters), np.ones((1, case.m), dtype)
    for layout in LAYOUTS.values():
        assert net.accepts_examples(layout(X)) is True
        assert net.accepts(layout(X), layout(Y)) is True
        assert net.accepts(X, Y, layout(weights)) is True
    weights[0, 1:] = 0
    assert net.accepts(X, Y, weights) is True
    for name, (x, y, w) in refused_examples(X, Y, weights, case, parameters).items():
        assert net.accepts(x, y, w) is False, f"{case}: accepts {name}"
        assert net.accepts_examples(x) is (x is X), f"{case}: accepts {name}"
    assert_same_bits(np.asarray(net.parameters), parameters_of(case, dtype), case)


def check_try_step(kernels, dtype, case, name="adam"):
    """The step of `train` where all is plain and stays finite; None, and no change, otherwise."""
    rule, (X, Y) = RULES[name], examples(case, dtype)
    costs, expected, vectors = trained(kernels, case, dtype, 1, rule=rule)
    parameters = parameters_of(case, dtype)
    state = np.zeros((rule.slots, parameters.size), dtype)
    net, scalars = network(kernels, case, parameters), rule.scalars(1, 0.1)
    assert net.try_step(X, Y, rule.spec, scalars, state) == costs[0], case
    assert_same_bits(parameters, expected, case)
    assert_same_bits(state, vectors, f"state of {case}")
    refused = refused_examples(X, Y, np.ones((1, case.m), dtype), case, parameters)
    for what, (x, y, w) in refused.items():
        if w is None:
            assert net.try_step(x, y, rule.spec, scalars, state) is None, f"{case}: {what}"
    if case.hidden:
        dropping = network(kernels, case, parameters, keep=0.5)
        assert dropping.try_step(X, Y, rule.spec, scalars, state) is None, case
    beyond = network(kernels, case, parameters)
    assert beyond.try_step(X, Y, rule.spec, np.full_like(scalars, np.inf), state) is None, case
    assert_same_bits(parameters, expected, f"{case} after what was refused")
    assert_same_bits(state, vectors, f"state of {case} after what was refused")


def refused_examples(X, Y, weights, case, parameters):
    """name -> (X, Y, weights) of which one is not plain, or not allowed."""
    n_in, n_out = case.layer_sizes[0], case.layer_sizes[-1]
    other = np.float64 if X.dtype == np.float32 else np.float32

    def holding(array, value, where=-1):
        array = array.copy()
        array[-1, where] = value
        return array

    refused = {
        "a list": (X.tolist(), Y, None), "None": (X, None, None), "1-D": (X[0], Y, None),
        "another dtype": (X, Y.astype(other), None), "integers": (X.astype(int), Y, None),
        "a row too many": (np.vstack([X, X[:1]]), Y, None),
        "an output too many": (X, np.vstack([Y, Y[:1]]), None),
        "no examples": (X[:, :0], Y[:, :0], None), "an example more": (X, Y[:, 1:], None),
        "masked": (np.ma.masked_array(X), Y, None), "byte-swapped": (
            X.astype(X.dtype.newbyteorder()), Y, None),
        "weights of all zeros": (X, Y, 0 * weights), "flat weights": (X, Y, weights[0]),
        "a negative weight": (X, Y, holding(weights, -1)), "weights too few": (
            X, Y, weights[:, 1:]),
    }  # fmt: skip
    for bad in (np.nan, np.inf, -np.inf):
        refused[f"{bad} in X"] = holding(X, bad), Y, None
        refused[f"{bad} in Y"] = X, holding(Y, bad), None
        refused[f"{bad} in weights"] = X, Y, holding(weights, bad)
    if parameters.size >= n_in * 1:
        refused["parameters as X"] = parameters[:n_in, None], Y[:, :1], None
    if case.loss in ("poisson", "binary_cross_entropy", "cross_entropy"):
        refused["a negative target"] = X, holding(Y, -0.25), None
    if case.loss in ("binary_cross_entropy", "cross_entropy"):
        refused["a target above 1"] = X, holding(Y, 1.001), None
    if case.loss == "cross_entropy":
        refused["no distribution"] = X, Y * X.dtype.type(0.99), None
    assert n_out == len(Y)
    return refused


def check_no_examples(kernels, dtype, case):
    """m = 0: no cost, no gradients, nothing trained."""
    parameters = parameters_of(case, dtype)
    state = np.ones((ADAM_SLOTS, parameters.size), dtype)
    X, Y = (np.empty((n, 0), dtype) for n in (case.layer_sizes[0], case.layer_sizes[-1]))
    net = network(kernels, case, parameters.copy())
    gradients, costs = np.full_like(parameters, np.nan), np.full(3, np.nan)
    assert net.cost_and_gradients(X, Y, None, gradients) == 0
    assert not gradients.any(), f"{case}: gradients of nothing"
    gradients[:] = np.nan
    net.backward(X, Y, gradients, X.copy())
    assert not gradients.any(), f"{case}: derivatives of nothing"
    net.forward(X, Y.copy())
    net.train(X, Y, None, None, 1, ADAM, np.empty((0, 3)), state, 0, 0, costs)
    np.testing.assert_array_equal(costs, np.zeros(3))
    assert_same_bits(np.asarray(net.parameters), parameters, f"parameters of {case}")
    assert (state == 1).all(), f"{case}: the state changed"
    net.jacobian(X, np.empty((0, case.layer_sizes[-1], case.layer_sizes[0]), dtype))


def check_same_bits(kernels, dtype, case, batch_size=None, rule="plain"):
    """The same call gives the same bits again, whatever the number of threads."""
    parameters, (X, Y) = parameters_of(case, dtype), examples(case, dtype)
    (dA,) = normal(dtype, out_shape(case))
    runs = []
    for threads in (1, 1, 2, 3):
        net = network(kernels, case, parameters.copy())
        A, gradients = np.empty(out_shape(case), dtype), np.empty_like(parameters)
        net.forward(X, A, threads)
        J = net.cost_and_gradients(X, Y, None, gradients, threads)
        sums, dX = np.empty_like(parameters), np.empty_like(X)
        net.backward(X, dA, sums, dX, threads)
        costs, end, state = trained(
            kernels, case, dtype, 2, batch_size, rule=RULES[rule], threads=threads
        )
        runs.append((threads, [A, gradients, np.float64(J), sums, dX, costs, end, state]))
    names = "A", "gradients", "J", "sums", "dX", "costs", "end", "state"
    for threads, results in runs[1:]:
        for name, got, want in zip(names, results, runs[0][1], strict=True):
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
            assert net.try_forward(bad, None, threads) is None, f"took NaN at {where}"
    for plain in LAYOUTS.values():
        A = net.try_forward(plain(X))
        assert A is not None and A.flags.owndata and A.flags.c_contiguous
        assert_norm_within("step", A, net.try_forward(X), case)


def check_try_forward_into(kernels, dtype, case):
    """An `out` that is plain takes A[L], in any layout; another is refused, untouched."""
    parameters, (X, _) = parameters_of(case, dtype), examples(case, dtype)
    net, shape = network(kernels, case, parameters), out_shape(case)
    expected = net.try_forward(X)
    for name, layout in LAYOUTS.items():
        if name != "read-only":
            out = layout(np.full(shape, np.nan, dtype))
            assert net.try_forward(X, out) is out, f"{case}: out {name}"
            assert_norm_within("step", out, expected, f"{case}, out {name}")
    memory = np.full(X.size + expected.size, np.nan, dtype)
    inside = memory[: X.size].reshape(X.shape)
    inside[...] = X
    overlapping = memory[X.size - 1 : X.size - 1 + expected.size].reshape(shape)
    read_only = np.full(shape, np.nan, dtype)
    read_only.flags.writeable = False
    misaligned = np.full(expected.nbytes + 1, 0, np.uint8)[1:].view(dtype).reshape(shape)
    refused = {
        "list": expected.tolist(), "another shape": np.full((shape[0] + 1, shape[1]), 0, dtype),
        "another dtype": np.full(shape, 0, "f4" if dtype == np.float64 else "f8"),
        "read-only": read_only, "misaligned": misaligned, "flat": np.full(expected.size, 0, dtype),
    }  # fmt: skip
    for name, out in refused.items():
        before = np.array(out)
        assert net.try_forward(X, out) is None, f"{case}: try_forward took an out that is {name}"
        np.testing.assert_array_equal(np.array(out), before)
    assert net.try_forward(inside, overlapping) is None, f"{case}: out overlaps X"
    np.testing.assert_array_equal(inside, X)
    if parameters.size >= expected.size:
        among = net.parameters[: expected.size].reshape(shape)
        assert net.try_forward(X, among) is None, f"{case}: out lies in the parameters"
        assert_same_bits(np.asarray(net.parameters), parameters_of(case, dtype), case)
