"""What is called from Python: functions of given types, compiled once for each dtype.

With these types, arrays of any strides go to the same machine code, read-only ones too.
Where an array may be left out, an empty one stands for it.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from fastnn._numba.blocks import blocks_in, pack, place_of, unpack
from fastnn._numba.compiling import BOOL, FLOAT, INT, inlined, jit, per_dtype
from fastnn._numba.engine import LAYER, Net, pass_block, update_parameters
from fastnn._specifications import LossSpec, UpdateSpec

__all__ = ["run", "train", "update"]

# --- types of parameters: for an array of `real` numbers, real[:, :] of any strides -------

real = types.float32  # for the eye: `per_dtype` puts each dtype in its place

WORD, ORDER, LAYERS = types.uint64, types.uint32[:, ::1], numba.from_dtype(LAYER)[::1]
LOSS = types.NamedTuple([INT, FLOAT, BOOL, INT], LossSpec)
RULE = types.NamedTuple([INT, FLOAT[::1], FLOAT, FLOAT, FLOAT, BOOL], UpdateSpec)


def NET(real):
    memory = real[::1], real[:, :, ::1], real[:, ::1], real[::1]
    return types.NamedTuple([LAYERS, LOSS, *memory], Net)


# --- some blocks of examples --------------------------------------------------------------


@inlined
def pack_blocks(net, X, Y, weights, order, batch_size, begin, end):
    n_in = X.shape[0]
    pack(X, order, batch_size, begin, end, net.packed, 0)
    pack(Y, order, batch_size, begin, end, net.packed, n_in)
    pack(weights, order, batch_size, begin, end, net.packed, n_in + Y.shape[0])


@per_dtype
def run(
    net: NET(real), X: real[:, :], Y: real[:, :], weights: real[:, :], total: FLOAT,
    seed: WORD, step: INT, A: real[:, :], gradients: real[::1], dX: real[:, :],
    begin: INT, end: INT,
):  # fmt: skip
    """Return the sum of the weighted losses; gradients grow by those of this sum / total."""
    cost, order, m = 0.0, np.empty(0, np.uint32), X.shape[1]
    for q in range(begin, end):
        first, count, _ = place_of(q, net.packed.shape[2], m, m)
        pack_blocks(net, X, Y, weights, order, m, q, q + 1)
        masks, needs_dX, block = (seed, step, first), dX.size > 0, net.packed[0]
        added, A_block, dX_block = pass_block(net, block, count, total, gradients, needs_dX, masks)
        cost += added
        unpack(A_block, first, count, A)
        unpack(dX_block, first, count, dX)
    return cost


# --- training -----------------------------------------------------------------------------


@jit
def total_of(weights, order, start, stop):
    """What the sums over these examples are divided by."""
    if weights.size == 0:
        return float(stop - start)
    total = 0.0
    for j in range(start, stop):
        total += weights[0, order[j] if order.size else j]
    return total if total != 0 else 1.0


@per_dtype
def train(
    net: NET(real), X: real[:, :], Y: real[:, :], weights: real[:, :], order: ORDER,
    batch_size: INT, rule: RULE, scalars: FLOAT[:, :], state: real[:, ::1], seed: WORD,
    first_step: INT, costs: FLOAT[:], gradients: real[::1], before: real[:, ::1],
    sums: FLOAT[::1], per_epoch: INT, begin: INT, end: INT,
):  # fmt: skip
    """Train on the blocks begin ... end, counted through all epochs.

    before: the parameters and the state of the last whole epoch.  sums: the total of the batch
    and the cost of the epoch, so far.
    """
    m, (ahead, _, width) = X.shape[1], net.packed.shape
    batches, now = blocks_in(m, batch_size), np.zeros(3)
    for turn in range(begin, end):
        epoch, q = turn // per_epoch, turn % per_epoch
        columns = order[epoch % order.shape[0]]
        # What is not shuffled, and was packed as a whole, is there already.
        if q % ahead == 0 and (epoch == 0 or ahead < per_epoch or columns.size):
            some = min(q + ahead, per_epoch)
            pack_blocks(net, X, Y, weights, columns, batch_size, q, some)
        first, count, batch = place_of(q, width, batch_size, m)
        step, start, stop = epoch * batches + batch, batch * batch_size, (batch + 1) * batch_size
        stop = min(stop, m)
        if first == start:
            gradients[:] = 0
            sums[0] = total_of(weights, columns, start, stop)
        masks = seed, first_step + step, first - start
        cost, _, _ = pass_block(net, net.packed[q % ahead], count, sums[0], gradients, False, masks)
        cost /= sums[0]
        if first + count == stop:
            now[: scalars.shape[1]] = scalars[step]
            cost += update_parameters(net, gradients, state, now, rule, sums[0])
        sums[1] += cost * (stop - start if rule.per_example else 1)
        if q == per_epoch - 1:
            costs[epoch] = sums[1] / (m if rule.per_example else batches)
            sums[1] = 0
            before[0] = net.parameters
            for s in range(state.shape[0]):
                before[1 + s] = state[s]


@per_dtype
def update(
    net: NET(real), gradients: real[::1], state: real[:, ::1], scalars: FLOAT[::1], rule: RULE
):
    """Return what the penalty adds to the cost."""
    return update_parameters(net, gradients, state, scalars, rule, 1.0)
