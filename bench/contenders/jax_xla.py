"""JAX: every call is one compiled XLA program.

Forward is jitted, with the parameters as arguments or as constants, whichever is faster
here; full-batch steps run in a ``fori_loop`` under one jit, an epoch is a ``scan`` over its
batches, gathered inside it, and the parameters are donated.  The order of an epoch is
drawn by NumPy: `jax.random.permutation` takes longer.
"""

import os
from functools import partial
from itertools import repeat

import numpy as np

if os.environ.get("OMP_NUM_THREADS") == "1":  # set by machine.confine
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
from jax import lax, nn
from jax import numpy as jnp

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
    versions = {"JAX": jax.__version__}

    def __init__(self, threads=1):
        self.threads = threads

    def prepare(self, work):
        return _Forward(work) if work.case.kind == "forward" else _Training(work)


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


class _Training:
    def __init__(self, work):
        self.work, self.case = work, work.case
        self.X, self.Y = map(jnp.array, work.rows())
        self.rng = np.random.default_rng(0)
        self.steps, self.epoch = _programs(self.case)

    def results(self):
        self.reset()
        if self.case.batch_size:
            self.parameters = self.epoch(self.parameters, self.X, self.Y, epoch_order(self.case.m))
        else:
            self.run(VERIFIED_STEPS)
        arrays = {}
        for l, (W, b) in enumerate(self.parameters, start=1):
            arrays[f"W{l}"], arrays[f"b{l}"] = np.asarray(W).T, np.asarray(b)[:, np.newaxis]
        return arrays

    def reset(self):
        self.parameters = jax.block_until_ready(_parameters(self.work))

    def run(self, n):
        if self.case.batch_size is None:
            self.parameters = self.steps(self.parameters, self.X, self.Y, n)
        else:
            for _ in range(n):
                order = self.rng.permutation(self.case.m)
                self.parameters = self.epoch(self.parameters, self.X, self.Y, order)
        jax.block_until_ready(self.parameters)


def _programs(case):
    """``steps(parameters, X, Y, n)`` and ``epoch(parameters, X, Y, order)``, jitted."""

    def cost(parameters, X, Y):
        return LOSSES[case.loss](_logits(parameters, X, case.activations), Y) / len(X)

    def update(parameters, X, Y):
        gradients = jax.grad(cost)(parameters, X, Y)
        return jax.tree.map(lambda w, dw: w - LEARNING_RATE * dw, parameters, gradients)

    @partial(jax.jit, donate_argnums=0)
    def steps(parameters, X, Y, n):
        return lax.fori_loop(0, n, lambda _, parameters: update(parameters, X, Y), parameters)

    @partial(jax.jit, donate_argnums=0)
    def epoch(parameters, X, Y, order):
        whole = len(order) - len(order) % case.batch_size
        parameters, _ = lax.scan(
            lambda parameters, batch: (update(parameters, X[batch], Y[batch]), None),
            parameters,
            order[:whole].reshape(-1, case.batch_size),
        )
        rest = order[whole:]  # a smaller batch, if any
        return update(parameters, X[rest], Y[rest]) if len(rest) else parameters

    return steps, epoch
