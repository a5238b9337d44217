"""JAX: every call is one compiled XLA program.

Forward is jitted, with the parameters as arguments or as constants, whichever is faster
here; full-batch steps run in a ``fori_loop`` under one jit, an epoch is a ``scan`` over its
batches, gathered inside it, and the parameters are donated.  The order of an epoch is
drawn by NumPy: `jax.random.permutation` takes longer.  Adam is Optax's.  A Jacobian is
``vmap(jacrev)`` under one jit; many networks are trained in a ``vmap`` of that ``scan``.
"""

import os
from functools import partial
from itertools import repeat

import numpy as np

if os.environ.get("OMP_NUM_THREADS") == "1":  # set by machine.confine
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import optax
from jax import lax, nn
from jax import numpy as jnp

from bench.cases import RULES
from bench.contenders import VERIFIED_STEPS, epoch_order
from bench.timing import fastest
from bench.work import LEARNING_RATE

__all__ = ["Contender"]

jax.config.update("jax_enable_x64", True)  # float64 stays float64; float32 stays float32

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": nn.relu,
    "sigmoid": nn.sigmoid,
    "softmax": partial(nn.softmax, axis=1),
    "linear": lambda Z: Z,
    "gelu": partial(nn.gelu, approximate=False),
}

LOSSES = {
    "mse": lambda Z, Y: jnp.sum((Z - Y) ** 2) / 2,
    "binary_cross_entropy": lambda Z, Y: jnp.sum(jnp.logaddexp(0, Z) - Y * Z),
    "cross_entropy": lambda Z, Y: -jnp.sum(Y * nn.log_softmax(Z, axis=1)),
}
"""From the output before its activation, where the derivative is simple."""


class Contender:
    """JAX on the CPU."""

    name = "JAX"
    versions = {"JAX": jax.__version__, "Optax": optax.__version__}

    def __init__(self, threads=1):
        self.threads = threads

    def prepare(self, work):
        if work.case.rule not in ("plain", "adam") or work.case.kind == "until":
            return None
        runners = {"forward": _Forward, "jacobian": _Jacobian, "many": _Many}
        return runners.get(work.case.kind, _Training)(work)


def _parameters(work):
    """[(W1 transposed, b1), ...] as new arrays, for ``X @ W + b`` with a row per example."""
    p = work.parameters
    return [
        (jnp.array(p[f"W{l}"].T), jnp.array(p[f"b{l}"][:, 0])) for l in range(1, len(p) // 2 + 1)
    ]


def _logits(parameters, X, activations):
    """The output before its activation."""
    for l, (W, b) in enumerate(parameters):
        X = X @ W + b
        if l < len(parameters) - 1:
            X = ACTIVATIONS[activations[l]](X)
    return X


class _Forward:
    def __init__(self, work):
        activations, parameters = work.case.activations, _parameters(work)
        X = jnp.array(work.rows()[0])

        def predict(parameters, X):
            return ACTIVATIONS[activations[-1]](_logits(parameters, X, activations))

        arguments = jax.jit(predict)
        constants = jax.jit(partial(predict, parameters))
        self.forward = fastest(
            [
                lambda: arguments(parameters, X).block_until_ready(),
                lambda: constants(X).block_until_ready(),
            ]
        )

    def results(self):
        return {"A": np.asarray(self.forward()).T}

    def reset(self):
        pass

    def run(self, n):
        for _ in repeat(None, n):
            self.forward()


class _Jacobian:
    def __init__(self, work):
        activations, parameters = work.case.activations, _parameters(work)
        self.X = work.rows()[0]

        def outputs(parameters, x):
            return ACTIVATIONS[activations[-1]](_logits(parameters, x[None], activations))[0]

        rows = jax.vmap(jax.jacrev(outputs, argnums=1), in_axes=(None, 0))
        jitted, constants = jax.jit(rows), jax.jit(partial(rows, parameters))
        self.jacobian = fastest(
            [
                lambda: jitted(parameters, self.X).block_until_ready(),
                lambda: constants(self.X).block_until_ready(),
            ]
        )

    def results(self):
        return {"J": np.asarray(self.jacobian())}

    def reset(self):
        pass

    def run(self, n):
        for _ in repeat(None, n):
            self.jacobian()


class _Training:
    def __init__(self, work):
        self.work, self.case = work, work.case
        self.X, self.Y = map(jnp.array, work.rows())
        self.rng = np.random.default_rng(0)
        self.start, self.steps, self.epoch = _programs(self.case)

    def results(self):
        self.reset()
        if self.case.batch_size:
            self.state = self.epoch(self.state, self.X, self.Y, epoch_order(self.case.m))
        else:
            self.run(VERIFIED_STEPS)
        return _arrays(self.state[0])

    def reset(self):
        self.state = jax.block_until_ready(self.start(_parameters(self.work)))

    def run(self, n):
        if self.case.batch_size is None:
            self.state = self.steps(self.state, self.X, self.Y, n)
        else:
            for _ in range(n):
                order = self.rng.permutation(self.case.m)
                self.state = self.epoch(self.state, self.X, self.Y, order)
        jax.block_until_ready(self.state)


class _Many:
    """All networks side by side, each epoch a scan over the same batches."""

    def __init__(self, work):
        self.work, self.case = work, work.case
        self.X, self.Y = map(jnp.array, work.rows())
        self.start, _, epoch = _programs(self.case)
        order = np.arange(self.case.m)

        def train(parameters):
            state = lax.fori_loop(
                0, self.case.epochs, lambda _, state: epoch(state, self.X, self.Y, order),
                self.start(parameters),
            )  # fmt: skip
            return state[0]

        self.train = jax.jit(jax.vmap(train))

    def results(self):
        self.reset()
        return _arrays([(W[0], b[0]) for W, b in self.train(self.parameters)])

    def reset(self):
        noise = np.random.default_rng(0).normal(0, 0.1, self.case.networks)
        noise[0] = 0
        self.parameters = [
            tuple(jnp.stack([w * (1 + x) for x in noise.astype(self.work.dtype)]) for w in layer)
            for layer in _parameters(self.work)
        ]

    def run(self, n):
        for _ in repeat(None, n):
            jax.block_until_ready(self.train(self.parameters))


def _arrays(parameters):
    """In fastnn's shapes and names."""
    arrays = {}
    for l, (W, b) in enumerate(parameters, start=1):
        arrays[f"W{l}"], arrays[f"b{l}"] = np.asarray(W).T, np.asarray(b)[:, np.newaxis]
    return arrays


def _programs(case):
    """``start(parameters)``, ``steps(state, X, Y, n)`` and ``epoch(state, X, Y, order)``, jitted.

    A state is the parameters, and those of the optimizer.
    """
    optimizer = None
    if case.rule == "adam":
        optimizer = optax.adam(RULES["adam"]["learning_rate"], b1=0.9, b2=0.999, eps=1e-8)

    def cost(parameters, X, Y):
        return LOSSES[case.loss](_logits(parameters, X, case.activations), Y) / len(X)

    def update(state, X, Y):
        parameters, moments = state
        gradients = jax.grad(cost)(parameters, X, Y)
        if optimizer is None:
            return jax.tree.map(lambda w, dw: w - LEARNING_RATE * dw, parameters, gradients), None
        updates, moments = optimizer.update(gradients, moments)
        return optax.apply_updates(parameters, updates), moments

    def start(parameters):
        return parameters, optimizer and optimizer.init(parameters)

    @partial(jax.jit, donate_argnums=0)
    def steps(state, X, Y, n):
        return lax.fori_loop(0, n, lambda _, state: update(state, X, Y), state)

    @partial(jax.jit, donate_argnums=0)
    def epoch(state, X, Y, order):
        whole = len(order) - len(order) % case.batch_size
        state, _ = lax.scan(
            lambda state, batch: (update(state, X[batch], Y[batch]), None),
            state,
            order[:whole].reshape(-1, case.batch_size),
        )
        rest = order[whole:]  # a smaller batch, if any
        return update(state, X[rest], Y[rest]) if len(rest) else state

    return start, steps, epoch
