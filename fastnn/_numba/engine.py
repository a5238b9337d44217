"""Whole networks: a block of examples through all layers and back, and the update."""

from typing import Any, NamedTuple

import numpy as np

from fastnn._numba.activations import softmax_backward
from fastnn._numba.blocks import clear_padding
from fastnn._numba.compiling import inlined, jit
from fastnn._numba.layers import add_gradients, dense_backward, dense_forward
from fastnn._numba.random import drop
from fastnn._numba.tile import call
from fastnn._numba.updates import add_scaled, clip, inner_product

__all__ = ["LAYER", "Net", "pass_block", "update_parameters"]

LAYER = np.dtype(
    [(name, np.int64) for name in ("n_in", "n_out", "W", "b", "A", "D", "dZ", "dA_prev")]
    + [("activate", np.int64), ("alpha", np.float64), ("keep", np.float64)]
)
"""A layer: where W and b begin in the flat vector; in which row of a block's memory A, D, dZ and
dA_prev begin, D = A for a layer that has none; and the address of its activation's loop."""


class Net(NamedTuple):
    """A network, and the memory of a block."""

    layers: Any
    loss: Any
    """A LossSpec, with the address of its loop for its code, or 0 for no loss."""
    parameters: Any
    packed: Any
    """(blocks, n[0] + n[L] + 1, width): X, Y and the weights of some blocks of examples."""
    memory: Any
    """(rows, width): see `LAYER`; the last row is for the losses of the examples."""
    scratch: Any
    """Flat."""


# --- one block ----------------------------------------------------------------------------


@inlined
def forward_block(net, x, count, masks):
    """A of all layers, and D of those that have one; return A of the last."""
    A_prev = x
    for l in range(net.layers.size):
        layer = net.layers[l]
        n, width, w = layer.n_out, x.shape[1], net.parameters
        A, D = net.memory[layer.A : layer.A + n], net.memory[layer.D : layer.D + n]
        dense_forward(w[layer.W : layer.b], w[layer.b : layer.b + n], A_prev, A)
        has_D = layer.D != layer.A
        call(layer.activate, (A.ctypes.data, D.ctypes.data, n, width, layer.alpha, has_D))
        if layer.keep < 1:
            drop(A, D, layer.keep, l + 1, masks)
        clear_padding(A, count)
        A_prev = A
    return A_prev


@jit
def derivative_of_layer(layer, x, memory, count):
    """x becomes x g'(Z), which is D, or for softmax no product."""
    D = memory[layer.D : layer.D + layer.n_out]
    if layer.D == layer.A:
        softmax_backward(x, D)
    else:
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
        dZ = net.memory[layer.dZ : layer.dZ + layer.n_out]
        if gradients.size:
            start = net.layers[l - 1].A
            A_prev = net.memory[start : start + layer.n_in] if l else x
            dW, db = gradients[layer.W : layer.b], gradients[layer.b : layer.b + layer.n_out]
            add_gradients(dZ, A_prev, dW, db, net.scratch)
        if l or needs_dX:
            dA_prev = net.memory[layer.dA_prev : layer.dA_prev + layer.n_in]
            dense_backward(net.parameters[layer.W : layer.b], dZ, dA_prev)
        if l:
            derivative_of_layer(net.layers[l - 1], dA_prev, net.memory, count)
    return dA_prev


@jit
def weighted_output(net, A, y, dZ, weights, total, count):
    """dZ = weights (A - Y) / total where paired, else weights dA g'(Z) / total."""
    if net.loss.paired:
        for i in range(dZ.shape[0]):
            for j in range(dZ.shape[1]):
                dZ[i, j] = A[i, j] - y[i, j]
    else:
        derivative_of_layer(net.layers[net.layers.size - 1], dZ, net.memory, count)
    scale = A.dtype.type(1 / total)
    for i in range(dZ.shape[0]):
        for j in range(dZ.shape[1]):
            dZ[i, j] *= weights[j] * scale
    clear_padding(dZ, count)


@inlined
def pass_block(net, block, count, total, gradients, needs_dX, masks):
    """Return the sum of the weighted losses, A of the last layer, and dX if it is needed.

    gradients grow by those of this sum / total, unless they have no numbers.
    """
    last, width = net.layers[net.layers.size - 1], block.shape[1]
    n_in, n, cost = net.layers[0].n_in, last.n_out, 0.0
    x, y, weights = block[:n_in], block[n_in : n_in + n], block[n_in + n]
    dX = A = forward_block(net, x, count, masks)
    back = gradients.size > 0 or needs_dX
    if net.loss.code:
        losses, dZ = net.memory[net.memory.shape[0] - 1], net.memory[last.dZ : last.dZ + n]
        arrays = A.ctypes.data, y.ctypes.data, losses.ctypes.data, dZ.ctypes.data
        unpaired = back and not net.loss.paired
        call(net.loss.code, (*arrays, n, width, net.loss.alpha, unpaired))
        cost = inner_product(weights, losses, count)
        if back:
            weighted_output(net, A, y, dZ, weights, total, count)
            dX = backward_block(net, x, count, gradients, needs_dX)
    return cost, A, dX


# --- the update ---------------------------------------------------------------------------


@inlined
def update_parameters(net, gradients, state, scalars, rule, total):
    """One step of the optimizer; return what the penalty adds to the cost.

    rule: an UpdateSpec, with the address of its loop for its code; total: that of the batch.
    """
    w, penalty, l2 = net.parameters, 0.0, rule.l2 / total if rule.per_example else rule.l2
    for layer in net.layers:
        if l2 != 0:
            W = w[layer.W : layer.b]
            add_scaled(W, l2, gradients[layer.W : layer.b])
            penalty += l2 / 2 * inner_product(W, W, W.size)
    if rule.clip_norm < np.inf:
        clip(gradients, rule.clip_norm)
    for layer in net.layers:
        if rule.decay != 0:
            W = w[layer.W : layer.b]
            add_scaled(W, -scalars[0] * rule.decay, W)
    vectors = w.ctypes.data, gradients.ctypes.data, state.ctypes.data, w.size
    call(rule.code, (*vectors, scalars.ctypes.data, rule.constants.ctypes.data))
    return penalty
