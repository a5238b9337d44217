"""Whole networks: blocks of examples through all layers and back, mini-batches, epochs."""

from typing import Any, NamedTuple

import numpy as np

from fastnn._numba.activations import activate_panels, derivative_panels
from fastnn._numba.compiling import inlined, jit, reduction
from fastnn._numba.layers import add_gradients, dense_backward, dense_forward
from fastnn._numba.losses import output_cost, output_derivative
from fastnn._numba.panels import clear_padding, pack, panels_of
from fastnn._numba.random import drop
from fastnn._numba.tile import panel_of
from fastnn._numba.updates import clip, decay_run, penalize, update_run

__all__ = [
    "B_START", "CODE", "D_of", "Data", "Masks", "N_IN", "N_OUT", "Plan", "Rule", "W_START", "Work",
    "backward_block", "block_of", "forward_block", "gradient_block", "keep_epoch", "pack_data",
    "sum_of_differences", "take_step", "total_of",
]  # fmt: skip


class Plan(NamedTuple):
    """What a network is made of."""

    layers: Any
    """int64: a row for each layer, as `LAYER` names it."""
    numbers: Any
    """float64: alpha and keep of each layer."""
    loss: Any
    """(code, alpha, paired)."""


# Of a row of `Plan.layers`: the places of W and b in the flat vector; the features of A and of
# D that come before, which are kept for the layers from z alone, or in dropout.
N_IN, N_OUT, CODE, FROM_Z, W_START, B_START, A_START, D_START = range(8)


class Data(NamedTuple):
    """The examples of a call; weights and order may be empty."""

    X: Any
    Y: Any
    weights: Any
    order: Any
    batch_size: int


class Work(NamedTuple):
    """The memory of a block, in panels, and of the blocks that are packed ahead."""

    X: Any
    Y: Any
    weights: Any
    A: Any
    D: Any
    dZ: Any
    dZ_prev: Any
    features: Any
    slab: Any


class Rule(NamedTuple):
    """How the parameters follow their gradient: an UpdateSpec, with an array of constants."""

    code: int
    constants: Any
    l2: float
    decay: float
    clip_norm: float


class Masks(NamedTuple):
    """Of dropout: whether there is any, and what the masks of a block depend on."""

    on: bool
    seed: int
    step: int
    first: int


@inlined
def panels_in(memory, start, n, columns):
    """The panels of one layer's n features in the memory of all layers."""
    return memory[start * columns : (start + n) * columns]


@inlined
def D_of(plan, l, work, columns, masks):
    """D of a layer; no numbers where g' comes from the output."""
    n, start = plan.layers[l, N_OUT], plan.layers[l, D_START]
    if plan.layers[l, FROM_Z] or (masks.on and plan.numbers[l, 1] < 1):
        return work.D[start * columns : (start + n) * columns]
    return work.D[:0]


# --- one block ----------------------------------------------------------------------------


@inlined
def forward_block(plan, parameters, x, count, work, training, masks):
    """A of all layers, and the D that training needs; return A of the last."""
    panels = panels_of(count, panel_of(x))
    columns = panels * panel_of(x)
    A_prev = x
    for l in range(len(plan.layers)):
        n_in, n_out, code = plan.layers[l, N_IN], plan.layers[l, N_OUT], plan.layers[l, CODE]
        alpha, keep = plan.numbers[l, 0], plan.numbers[l, 1]
        W, b = parameters[plan.layers[l, W_START] :], parameters[plan.layers[l, B_START] :]
        A = panels_in(work.A, plan.layers[l, A_START], n_out, columns)
        D = D_of(plan, l, work, columns, masks) if training else work.D[:0]
        dense_forward(W, b, n_in, n_out, A_prev, panels, A, work.slab)
        activate_panels(code, A, n_out, alpha, D)
        if masks.on and keep < 1:
            if not plan.layers[l, FROM_Z]:
                D[:] = 1
                derivative_panels(D, A, D[:0], n_out, code, alpha)
            drop(A, D, n_out, keep, l + 1, masks)
        if training:
            clear_padding(A, n_out, count)
        A_prev = A
    return A_prev


@inlined
def backward_block(plan, parameters, x, count, work, scale, add, gradients, needs_dX, masks):
    """From dZ of the last layer those of all others; gradients, unless they have no numbers.

    Return the panels of dX.
    """
    panels = panels_of(count, panel_of(x))
    columns = panels * panel_of(x)
    dZ, dZ_prev = work.dZ, work.dZ_prev
    for l in range(len(plan.layers) - 1, -1, -1):
        n_in, n_out = plan.layers[l, N_IN], plan.layers[l, N_OUT]
        delta, below = dZ[: n_out * columns], dZ_prev[: n_in * columns]
        A_prev = panels_in(work.A, plan.layers[l - 1, A_START], n_in, columns) if l else x
        if l or needs_dX:
            W = parameters[plan.layers[l, W_START] :]
            dense_backward(W, n_in, n_out, delta, panels, below, work.slab)
        if gradients.size:
            dW, db = gradients[plan.layers[l, W_START] :], gradients[plan.layers[l, B_START] :]
            add_gradients(
                delta, n_out, A_prev, n_in, panels, scale, add, dW, db, work.features, work.slab
            )
        if l:
            D = D_of(plan, l - 1, work, columns, masks)
            code, alpha = plan.layers[l - 1, CODE], plan.numbers[l - 1, 0]
            derivative_panels(below, A_prev, D, n_in, code, alpha)
            clear_padding(below, n_in, count)
        dZ, dZ_prev = dZ_prev, dZ
    return dZ


@inlined
def gradient_block(plan, parameters, x, y, weights, count, work, scale, add, gradients, masks):
    """Return the sum of the losses of one block; gradients become, or grow by, scale * dJ."""
    A = forward_block(plan, parameters, x, count, work, gradients.size > 0, masks)
    last = len(plan.layers) - 1
    n = plan.layers[last, N_OUT]
    cost = output_cost(A, y, weights, n, count, plan.loss)
    if gradients.size:
        D, dZ = D_of(plan, last, work, weights.size, masks), work.dZ[: A.size]
        code, alpha = plan.layers[last, CODE], plan.numbers[last, 0]
        output_derivative(A, D, y, weights, n, plan.loss, code, alpha, dZ)
        clear_padding(dZ, n, count)
        backward_block(plan, parameters, x, count, work, scale, add, gradients, False, masks)
    return cost


# --- all blocks of a call -----------------------------------------------------------------


@reduction
def sum_of_differences(x):
    """The sum of x - x: 0, or NaN if there is a NaN or an infinity."""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] - x[i]
    return total


@inlined
def pack_weights(data, begin, end, out):
    """Those of the examples in the panels begin ... end, 1 where there are none; 0 elsewhere."""
    if data.weights.size:
        pack(data.weights, data.order, data.batch_size, begin, end, out)
    else:
        out[:] = 1


@inlined
def pack_data(data, begin, end, work):
    """The panels begin ... end of an epoch."""
    pack(data.X, data.order, data.batch_size, begin, end, work.X)
    pack(data.Y, data.order, data.batch_size, begin, end, work.Y)
    pack_weights(data, begin, end, work.weights[: (end - begin) * panel_of(work.X)])


@inlined
def total_of(data, first, count):
    """What the sums over so many examples are divided by."""
    if data.weights.size == 0:
        return float(max(count, 1))
    total = 0.0
    for j in range(first, first + count):
        total += data.weights[0, data.order[j] if data.order.size else j]
    return total if total != 0 else 1.0


@inlined
def block_of(work, plan, at, panels, panel):
    """X, Y and weights of the block that begins at a panel of those that are packed."""
    n_x, n_y = plan.layers[0, N_IN], plan.layers[len(plan.layers) - 1, N_OUT]
    start, stop = at * panel, (at + panels) * panel
    return (
        work.X[n_x * start : n_x * stop],
        work.Y[n_y * start : n_y * stop],
        work.weights[start:stop],
    )


# --- training -----------------------------------------------------------------------------


@inlined
def take_step(plan, parameters, gradients, state, scalars, rule):
    """One step of the optimizer; return what the penalty adds to the cost."""
    penalty = 0.0
    if rule.l2 != 0:
        for l in range(len(plan.layers)):
            W = slice(plan.layers[l, W_START], plan.layers[l, B_START])
            penalty += penalize(parameters[W], rule.l2, gradients[W])
    if rule.clip_norm < np.inf:
        clip(gradients, rule.clip_norm)
    if rule.decay != 0:
        for l in range(len(plan.layers)):
            W = slice(plan.layers[l, W_START], plan.layers[l, B_START])
            decay_run(parameters[W], scalars[0] * rule.decay)
    update_run(rule.code, parameters, gradients, state, scalars, rule.constants)
    return penalty


@jit
def keep_epoch(parameters, state, before):
    """Copy the parameters and the state."""
    n = parameters.size
    for i in range(n):
        before[i] = parameters[i]
    for s in range(state.shape[0]):
        row, copy = state[s], before[(s + 1) * n : (s + 2) * n]
        for i in range(n):
            copy[i] = row[i]
