"""Whole networks: blocks of examples through all layers and back, mini-batches, epochs."""

from typing import Any, NamedTuple

import numpy as np

from fastnn._numba.blocks import clear_padding
from fastnn._numba.compiling import inlined, jit, reduction
from fastnn._numba.layers import add_gradients, dense_backward, dense_forward
from fastnn._numba.random import drop
from fastnn._numba.tile import call
from fastnn._numba.updates import clip, decay, penalize

__all__ = [
    "LAYER", "Loss", "Masks", "Net", "backward_block", "derivative_of_layer",
    "forward_block", "gradient_block", "rows_of", "update_parameters",
]  # fmt: skip

LAYER = np.dtype(
    [(name, np.int64) for name in ("n_in", "n_out", "W", "b", "A", "D", "dZ", "dA_prev")]
    + [(name, np.float64) for name in ("alpha", "keep")]
    + [(name, np.int64) for name in ("activate", "backward")]
)
"""A layer: where W and b begin in the flat vector; in which row of a block's memory A, D, dZ and
dA_prev begin, D = -1 for a layer that has none; and the addresses of its activation's loops."""


class Loss(NamedTuple):
    """The loss: a LossSpec, with the addresses of its loops."""

    alpha: float
    paired: bool
    sums: int
    derivatives: int


class Net(NamedTuple):
    """A network, and the memory of a block."""

    layers: Any
    loss: Loss
    parameters: Any
    packed: Any
    """(blocks, n[0] + n[L] + 1, width): X, Y and the weights of some blocks of examples."""
    memory: Any
    """(rows, width): see `LAYER`; the last row is for the losses of the examples."""
    scratch: Any
    """Flat."""


class Masks(NamedTuple):
    """What the masks of dropout of a block depend on, beside the layer."""

    seed: int
    step: int
    first: int


@inlined
def rows_of(memory, start, n):
    return memory[start : start + n]


@inlined
def W_of(layer, flat):
    return flat[layer.W : layer.b]


@inlined
def b_of(layer, flat):
    return flat[layer.b : layer.b + layer.n_out]


# --- one block ----------------------------------------------------------------------------


@inlined
def forward_block(net, x, count, masks):
    """A of all layers, and D of those that have one; return A of the last."""
    A_prev = x
    for l in range(net.layers.size):
        layer = net.layers[l]
        n, width = layer.n_out, x.shape[1]
        A = rows_of(net.memory, layer.A, n)
        W, b = W_of(layer, net.parameters), b_of(layer, net.parameters)
        dense_forward(W, b, A_prev, A)
        if layer.D < 0:
            call(layer.activate, (A, A, A, n, width, layer.alpha))
        else:
            D = rows_of(net.memory, layer.D, n)
            call(layer.activate, (A, A, D, n, width, layer.alpha))
            if layer.keep < 1:
                drop(A, D, layer.keep, l + 1, masks)
        clear_padding(A, count)
        A_prev = A
    return A_prev


@jit
def derivative_of_layer(layer, x, memory, count):
    """x becomes x g'(Z), from D where the layer has one, else from A."""
    if layer.D < 0:
        A = rows_of(memory, layer.A, layer.n_out)
        call(layer.backward, (x, A, A, layer.n_out, x.shape[1], layer.alpha))
    else:
        D = rows_of(memory, layer.D, layer.n_out)
        for k in range(x.shape[0]):
            for j in range(x.shape[1]):
                x[k, j] *= D[k, j]
    clear_padding(x, count)


@inlined
def backward_block(net, x, count, gradients, needs_dX):
    """From dZ of the last layer those of all others; return dX, if it is needed.

    gradients grow by those of the block, unless they have no numbers.
    """
    dA_prev = x
    for l in range(net.layers.size - 1, -1, -1):
        layer = net.layers[l]
        dZ = rows_of(net.memory, layer.dZ, layer.n_out)
        if gradients.size:
            A_prev = rows_of(net.memory, net.layers[l - 1].A, layer.n_in) if l else x
            dW, db = W_of(layer, gradients), b_of(layer, gradients)
            add_gradients(dZ, A_prev, dW, db, net.scratch)
        if l or needs_dX:
            dA_prev = rows_of(net.memory, layer.dA_prev, layer.n_in)
            dense_backward(W_of(layer, net.parameters), dZ, dA_prev)
        if l:
            derivative_of_layer(net.layers[l - 1], dA_prev, net.memory, count)
    return dA_prev


@reduction
def weighted_sum(weights, losses, count):
    total = 0.0
    for j in range(count):
        total += float(weights[j]) * float(losses[j])
    return total


@jit
def output_derivative(loss, layer, A, y, weights, total, memory, count):
    """dZ = weights (A - Y) / total where paired, else weights dA g'(Z) / total."""
    n, width = A.shape
    dZ = rows_of(memory, layer.dZ, n)
    if loss.paired:
        for i in range(n):
            for j in range(width):
                dZ[i, j] = A[i, j] - y[i, j]
    else:
        call(loss.derivatives, (A, y, dZ, n, width, loss.alpha))
        derivative_of_layer(layer, dZ, memory, count)
    scale = A.dtype.type(1 / total)
    for i in range(n):
        for j in range(width):
            dZ[i, j] *= weights[j] * scale
    clear_padding(dZ, count)


@inlined
def gradient_block(net, block, count, total, gradients, masks):
    """Return the sum of the weighted losses of one block.

    gradients grow by those of this sum / total, unless they have no numbers.
    """
    last = net.layers[net.layers.size - 1]
    n_in, n_out = net.layers[0].n_in, last.n_out
    x, y, weights = block[:n_in], block[n_in : n_in + n_out], block[n_in + n_out]
    A = forward_block(net, x, count, masks)
    losses = net.memory[net.memory.shape[0] - 1]
    call(net.loss.sums, (A, y, losses, n_out, x.shape[1], net.loss.alpha))
    if gradients.size:
        output_derivative(net.loss, last, A, y, weights, total, net.memory, count)
        backward_block(net, x, count, gradients, False)
    return weighted_sum(weights, losses, count)


# --- the update ---------------------------------------------------------------------------


@inlined
def update_parameters(net, gradients, state, scalars, rule, total):
    """One step of the optimizer; return what the penalty adds to the cost.

    rule: an UpdateSpec, with the address of its loop for its code; total: that of the batch.
    """
    penalty, l2 = 0.0, rule.l2 / total if rule.per_example else rule.l2
    if l2 != 0:
        for layer in net.layers:
            W = W_of(layer, net.parameters)
            penalty += penalize(W, l2, W_of(layer, gradients))
    if rule.clip_norm < np.inf:
        clip(gradients, rule.clip_norm)
    if rule.decay != 0:
        for layer in net.layers:
            decay(W_of(layer, net.parameters), scalars[0] * rule.decay)
    call(
        rule.code,
        (net.parameters, gradients, state, net.parameters.size, scalars, rule.constants),
    )
    return penalty
