"""What is called from Python: functions of given types, compiled once for each dtype.

With these types, arrays of any strides go to the same machine code, read-only ones too.
Where an array may be left out, an empty one stands for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types

from fastnn._numba.blocks import blocks_in, pack, place_of, unpack
from fastnn._numba.compiling import inlined, jit, per_dtype
from fastnn._numba.engine import (
    LAYER,
    Loss,
    Masks,
    Net,
    backward_block,
    derivative_of_layer,
    forward_block,
    gradient_block,
    rows_of,
    update_parameters,
)  # fmt: skip
from fastnn._numba.random import shuffle_rows
from fastnn._specifications import UpdateSpec

__all__ = [
    "PROGRESS",
    "Data",
    "backward",
    "forward",
    "gradients",
    "jacobian",
    "shuffle",
    "train",
    "update",
]


class Data(NamedTuple):
    """The examples of a call; weights may be empty, and so may the rows of order."""

    X: Any
    Y: Any
    weights: Any
    order: Any
    batch_size: int


PROGRESS = np.dtype(
    [(name, np.int64) for name in ("epoch", "block", "step", "packed", "packed_end")]
    + [(name, np.float64) for name in ("batch_cost", "epoch_cost", "total")]
)
"""What training goes on from: the block in the epoch; the step; which blocks are packed, counted
through all epochs; the costs so far, and the total of the batch."""


# --- types of parameters: for an array of `real` numbers, real[:, :] of any strides -------

real = types.float32  # for the eye: `per_dtype` puts each dtype in its place

INT, FLOAT, WORD, BOOL = types.int64, types.float64, types.uint64, types.boolean
LAYERS, AT = numba.from_dtype(LAYER)[::1], numba.from_dtype(PROGRESS)[::1]
LOSS = types.NamedTuple([FLOAT, BOOL, INT, INT], Loss)
RULE = types.NamedTuple([INT, FLOAT[::1], FLOAT, FLOAT, FLOAT, BOOL], UpdateSpec)
MASKS = types.NamedTuple([WORD, INT, INT], Masks)


def NET(real):
    memory = real[::1], real[:, :, ::1], real[:, ::1], real[::1]
    return types.NamedTuple([LAYERS, LOSS, *memory], Net)


def DATA(real):
    return types.NamedTuple([*[real[:, :]] * 3, types.uint32[:, ::1], INT], Data)


# --- some examples, block by block --------------------------------------------------------


@inlined
def pack_examples(net, X, Y, first):
    """The block of X and Y that begins at an example; return how many examples it has."""
    q, order = first // net.packed.shape[2], np.empty(0, np.uint32)
    pack(X, order, X.shape[1], q, q + 1, net.packed, 0)
    pack(Y, order, X.shape[1], q, q + 1, net.packed, X.shape[0])
    return min(net.packed.shape[2], X.shape[1] - first)


@per_dtype
def forward(net: NET(real), X: real[:, :], A: real[:, :], masks: MASKS):
    """A[L] of all examples."""
    x = net.packed[0, : X.shape[0]]
    for first in range(0, X.shape[1], x.shape[1]):
        count = pack_examples(net, X, X[:0], first)
        own = Masks(masks.seed, masks.step, masks.first + first)
        unpack(forward_block(net, x, count, own), first, count, A)


@per_dtype
def gradients(net: NET(real), data: DATA(real), total: FLOAT, gradients: real[::1]):
    """Return what the examples add to the cost; gradients grow by theirs."""
    cost, masks = 0.0, Masks(np.uint64(0), 0, 0)
    width, m = net.packed.shape[2], data.X.shape[1]
    for q in range(blocks_in(m, width)):
        pack_data(net, data, data.order[0], q, q + 1)
        count = min(width, m - q * width)
        cost += gradient_block(net, net.packed[0], count, total, gradients, masks)
    return cost / total


@per_dtype
def backward(
    net: NET(real), X: real[:, :], dA: real[:, :], gradients: real[::1], dX: real[:, :],
    masks: MASKS,
):  # fmt: skip
    """From dA at the output: gradients grow by theirs; dX, unless it is empty."""
    last = net.layers[net.layers.size - 1]
    dZ = rows_of(net.memory, last.dZ, last.n_out)
    x, da = net.packed[0, : X.shape[0]], net.packed[0, X.shape[0] : X.shape[0] + last.n_out]
    for first in range(0, X.shape[1], x.shape[1]):
        count = pack_examples(net, X, dA, first)
        forward_block(net, x, count, Masks(masks.seed, masks.step, masks.first + first))
        dZ[:] = da
        derivative_of_layer(last, dZ, net.memory, count)
        dA_prev = backward_block(net, x, count, gradients, dX.size > 0)
        if dX.size:
            unpack(dA_prev, first, count, dX)


@per_dtype
def jacobian(net: NET(real), X: real[:, :], J: real[:, :, ::1]):
    """From each output, as if it were the cost, back to the examples."""
    last = net.layers[net.layers.size - 1]
    dZ, x = rows_of(net.memory, last.dZ, last.n_out), net.packed[0, : X.shape[0]]
    for first in range(0, X.shape[1], x.shape[1]):
        count = pack_examples(net, X, X[:0], first)
        forward_block(net, x, count, Masks(np.uint64(0), 0, 0))
        for i in range(last.n_out):
            dZ[:] = 0
            dZ[i] = 1
            derivative_of_layer(last, dZ, net.memory, count)
            dX = backward_block(net, x, count, net.scratch[:0], True)
            for j in range(count):
                for k in range(X.shape[0]):
                    J[first + j, i, k] = dX[k, j]


# --- training -----------------------------------------------------------------------------


@inlined
def pack_data(net, data, order, begin, end):
    """The blocks begin ... end of an epoch, with weights of 1 where there are none."""
    n_in = data.X.shape[0]
    pack(data.X, order, data.batch_size, begin, end, net.packed, 0)
    pack(data.Y, order, data.batch_size, begin, end, net.packed, n_in)
    if data.weights.size:
        pack(data.weights, order, data.batch_size, begin, end, net.packed, n_in + data.Y.shape[0])


@jit
def total_of(weights, order, start, stop):
    """What the sums over these examples are divided by."""
    if weights.size == 0:
        return float(stop - start)
    total = 0.0
    for j in range(start, stop):
        total += weights[0, order[j] if order.size else j]
    return total if total != 0 else 1.0


@jit
def keep_epoch(parameters, state, before):
    """Copy the parameters and, row by row, the state."""
    n = parameters.size
    before[:n] = parameters
    for s in range(state.shape[0]):
        before[(s + 1) * n : (s + 2) * n] = state[s]


@per_dtype
def train(
    net: NET(real), data: DATA(real), rule: RULE, scalars: FLOAT[:, :], state: real[:, ::1],
    seed: WORD, first_step: INT, costs: FLOAT[:], gradients: real[::1], before: real[::1],
    progress: AT, blocks: INT,
):  # fmt: skip
    """Go on with training for so many blocks.  before: see `keep_epoch`."""
    at, width, m, batch_size = progress[0], net.packed.shape[2], data.X.shape[1], data.batch_size
    batches = blocks_in(m, batch_size)
    per_epoch = (batches - 1) * blocks_in(batch_size, width)
    per_epoch += blocks_in(m - (batches - 1) * batch_size, width)
    now = np.empty(scalars.shape[1])
    for _ in range(blocks):
        if at.epoch == costs.size:
            return
        order = data.order[at.epoch % data.order.shape[0]]
        q = at.block + (at.epoch * per_epoch if order.size else 0)
        if not at.packed <= q < at.packed_end:
            many = min(net.packed.shape[0], per_epoch - at.block)
            at.packed, at.packed_end = q, q + many
            pack_data(net, data, order, at.block, at.block + many)
        first, count, batch = place_of(at.block, width, batch_size, m)
        start, stop = batch * batch_size, min((batch + 1) * batch_size, m)
        if first == start:
            gradients[:] = 0
            at.batch_cost, at.total = 0, total_of(data.weights, order, start, stop)
        block, masks = net.packed[q - at.packed], Masks(seed, first_step + at.step, first - start)
        at.batch_cost += gradient_block(net, block, count, at.total, gradients, masks) / at.total
        at.block += 1
        if first + count < stop:
            continue
        now[:] = scalars[at.step]
        at.batch_cost += update_parameters(net, gradients, state, now, rule, at.total)
        at.epoch_cost += at.batch_cost * (stop - start if rule.per_example else 1)
        at.step += 1
        if at.block == per_epoch:
            costs[at.epoch] = at.epoch_cost / (m if rule.per_example else batches)
            at.epoch_cost = 0
            keep_epoch(net.parameters, state, before)
            at.epoch, at.block = at.epoch + 1, 0


@per_dtype
def update(
    net: NET(real), gradients: real[::1], state: real[:, ::1], scalars: FLOAT[::1], rule: RULE
):
    """Return what the penalty adds to the cost."""
    return update_parameters(net, gradients, state, scalars, rule, 1.0)


@per_dtype
def shuffle(order: types.uint32[:, :], seed: WORD, epoch: WORD):
    shuffle_rows(order, seed, epoch)
