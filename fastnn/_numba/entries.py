"""What is called from Python: functions with given types, compiled once for each dtype.

With these types, arrays of any layout go to the same machine code, read-only ones too.
Where an array may be left out, an empty one stands for it.
"""

import numpy as np
from numba import types

from fastnn._numba.activations import CODES_FROM_Z, activate_panels, derivative_panels
from fastnn._numba.compiling import per_dtype
from fastnn._numba.engine import (
    CODE,
    N_OUT,
    D_of,
    Data,
    Masks,
    Plan,
    Rule,
    Work,
    backward_block,
    block_of,
    forward_block,
    gradient_block,
    keep_epoch,
    pack_data,
    sum_of_differences,
    take_step,
    total_of,
)  # fmt: skip
from fastnn._numba.layers import sum_of_row
from fastnn._numba.losses import output_cost, output_derivative
from fastnn._numba.panels import clear_padding, pack, panels_of, unpack
from fastnn._numba.random import shuffle_rows
from fastnn._numba.tile import panel_of
from fastnn._numba.updates import decay_run, update_run
from fastnn._specifications import LossSpec

__all__ = [
    "activate",
    "activation_backward",
    "all_finite",
    "backward",
    "forward",
    "gradients",
    "output",
    "shuffle",
    "train",
    "update",
]

INT, FLOAT, WORD = types.int64, types.float64, types.uint64
INTEGERS, FLOATS = types.Array(INT, 1, "C"), types.Array(FLOAT, 1, "A")
ORDER = types.Array(types.uint32, 1, "C")
LOSS = types.NamedTuple([INT, FLOAT, types.boolean], LossSpec)
PLAN = types.NamedTuple([types.Array(INT, 2, "C"), types.Array(FLOAT, 2, "C"), LOSS], Plan)
RULE = types.NamedTuple([INT, types.Array(FLOAT, 1, "C"), FLOAT, FLOAT, FLOAT], Rule)


def _matrix(real):
    return types.Array(real, 2, "A")


def _flat(real):
    return types.Array(real, 1, "C")


def _data(real):
    return types.NamedTuple([_matrix(real), _matrix(real), _matrix(real), ORDER, INT], Data)


def _work(real):
    return types.NamedUniTuple(_flat(real), len(Work._fields), Work)


# What training goes on from: the epoch and the panel in it; the panels that are packed; the
# step; and, as float64, the cost of the batch and of the epoch, and the total of the batch.
EPOCH, PANEL, PACKED, PACKED_END, STEP = range(5)
BATCH_COST, EPOCH_COST, TOTAL = range(3)


# --- networks -----------------------------------------------------------------------------


@per_dtype(
    lambda real: (
        PLAN, _flat(real), _matrix(real), _matrix(real), INT, _work(real), types.boolean,
    )
)  # fmt: skip
def forward(plan, parameters, X, A, columns, work, check):
    """A[L] of all examples.  Return False if `check` and X is not finite."""
    order, masks = np.empty(0, np.uint32), Masks(False, np.uint64(0), 0, 0)
    m, panel = X.shape[1], panel_of(parameters)
    for first in range(0, m, columns):
        count = min(columns, m - first)
        begin, panels = first // panel, panels_of(count, panel)
        x = work.X[: X.shape[0] * panels * panel]
        pack(X, order, m, begin, begin + panels, x)
        if check and not np.isfinite(sum_of_differences(x)):
            return False
        unpack(forward_block(plan, parameters, x, count, work, False, masks), first, count, A)
    return True


@per_dtype(
    lambda real: (
        PLAN, _flat(real), _data(real), FLOAT, INT, INT, INT, _flat(real), _work(real),
    )
)  # fmt: skip
def gradients(plan, parameters, data, total, begin, end, columns, gradients, work):
    """Return what the examples begin ... end add to the cost, and add to the gradients."""
    masks = Masks(False, np.uint64(0), 0, 0)
    panel, cost = panel_of(parameters), 0.0
    for first in range(begin, end, columns):
        count = min(columns, end - first)
        at, panels = first // panel, panels_of(count, panel)
        pack_data(data, at, at + panels, work)
        x, y, weights = block_of(work, plan, 0, panels, panel)
        cost += gradient_block(
            plan, parameters, x, y, weights, count, work, 1 / total, first > 0, gradients, masks
        )
    return cost / total


@per_dtype(
    lambda real: (
        PLAN, _flat(real), _matrix(real), _matrix(real), INT, INT, INT, types.boolean, FLOAT,
        _flat(real), _matrix(real), _work(real),
    )
)  # fmt: skip
def backward(plan, parameters, X, dA, begin, end, columns, forward, scale, gradients, dX, work):
    """From dA at the output: gradients grow by scale * their sums; dX, unless it is empty."""
    order, masks = np.empty(0, np.uint32), Masks(False, np.uint64(0), 0, 0)
    panel, m, last = panel_of(parameters), X.shape[1], len(plan.layers) - 1
    n, code, alpha = plan.layers[last, N_OUT], plan.layers[last, CODE], plan.numbers[last, 0]
    for first in range(begin, end, columns):
        count = min(columns, end - first)
        at, panels = first // panel, panels_of(count, panel)
        x, dZ = work.X[: X.shape[0] * panels * panel], work.dZ[: n * panels * panel]
        pack(X, order, m, at, at + panels, x)
        pack(dA, order, m, at, at + panels, dZ)
        if forward:
            A = forward_block(plan, parameters, x, count, work, True, masks)
            D = D_of(plan, last, work, panels * panel, masks)
            derivative_panels(dZ, A, D, n, code, alpha)
            clear_padding(dZ, n, count)
        below = backward_block(
            plan, parameters, x, count, work, scale, first > 0, gradients, dX.size > 0, masks
        )
        if dX.size:
            unpack(below, first, count, dX)


@per_dtype(
    lambda real: (
        PLAN, _flat(real), _data(real), RULE, types.Array(FLOAT, 2, "A"), types.Array(real, 2, "C"),
        types.boolean, WORD, INT, FLOATS, INT, INT, _flat(real), _flat(real), _work(real), INTEGERS,
        types.Array(FLOAT, 1, "C"), INT,
    )
)  # fmt: skip
def train(
    plan, parameters, data, rule, scalars, state, dropping, seed, first_step, costs, block_panels,
    chunk_panels, gradients, before, work, progress, sums, blocks,
):  # fmt: skip
    """Go on with training for so many blocks, from where `progress` and `sums` say.

    before: the parameters and, row by row, the state of the last whole epoch.
    """
    panel, m = panel_of(parameters), data.X.shape[1]
    per_batch = panels_of(data.batch_size, panel)
    batches = (m + data.batch_size - 1) // data.batch_size
    last_batch = m - (batches - 1) * data.batch_size
    per_epoch = (batches - 1) * per_batch + panels_of(last_batch, panel)
    for _ in range(blocks):
        if progress[EPOCH] == costs.size:
            return
        p, step = progress[PANEL], progress[STEP]
        batch = p // per_batch
        first = (p - batch * per_batch) * panel
        size = data.batch_size if batch < batches - 1 else last_batch
        count = min(size - first, block_panels * panel)
        own = data
        if data.order.size:
            order = data.order[progress[EPOCH] * m : (progress[EPOCH] + 1) * m]
            own = Data(data.X, data.Y, data.weights, order, data.batch_size)
        panels = panels_of(count, panel)
        if p < progress[PACKED] or p + panels > progress[PACKED_END]:
            progress[PACKED], progress[PACKED_END] = p, min(p + chunk_panels, per_epoch)
            pack_data(own, p, progress[PACKED_END], work)
        if first == 0:
            sums[BATCH_COST], sums[TOTAL] = 0, total_of(own, batch * data.batch_size, size)
        x, y, weights = block_of(work, plan, p - progress[PACKED], panels, panel)
        masks = Masks(dropping, seed, first_step + step, first)
        sums[BATCH_COST] += (
            gradient_block(
                plan,
                parameters,
                x,
                y,
                weights,
                count,
                work,
                1 / sums[TOTAL],
                first > 0,
                gradients,
                masks,
            )
            / sums[TOTAL]
        )
        progress[PANEL] += panels
        if first + count < size:
            continue
        sums[EPOCH_COST] += sums[BATCH_COST] + take_step(
            plan, parameters, gradients, state, scalars[step], rule
        )
        progress[STEP] += 1
        if progress[PANEL] == per_epoch:
            costs[progress[EPOCH]] = sums[EPOCH_COST] / batches
            sums[EPOCH_COST] = 0
            keep_epoch(parameters, state, before)
            progress[EPOCH], progress[PANEL] = progress[EPOCH] + 1, 0
            if data.order.size:
                progress[PACKED_END] = 0


# --- single kernels, some columns at a time -----------------------------------------------


@per_dtype(
    lambda real: (
        _matrix(real), types.boolean, INT, FLOAT, _matrix(real), _matrix(real), INT,
    )
)  # fmt: skip
def activate(Z, from_output, activation, alpha, A, D, columns):
    """A = g(Z) and D = g'(Z); with `from_output`, Z is A, and D alone is written."""
    n, m = Z.shape
    memory, order = np.empty((2, n * columns), Z.dtype), np.empty(0, np.uint32)
    from_z = activation in CODES_FROM_Z
    for first in range(0, m, columns):
        count, panel = min(columns, m - first), panel_of(Z)
        panels = panels_of(count, panel)
        z, d = memory[0, : n * panels * panel], memory[1, : n * panels * panel]
        pack(Z, order, m, first // panel, first // panel + panels, z)
        if not from_output:
            activate_panels(activation, z, n, alpha, d if D.size else d[:0])
            unpack(z, first, count, A)
        if D.size and not from_z:
            d[:] = 1
            derivative_panels(d, z, d[:0], n, activation, alpha)
        if D.size:
            unpack(d, first, count, D)


@per_dtype(
    lambda real: (
        _matrix(real), _matrix(real), types.boolean, INT, FLOAT, FLOAT, _matrix(real), _flat(real),
        INT,
    )
)  # fmt: skip
def activation_backward(dA, A, is_derivative, activation, alpha, total, dZ, db, columns):
    """dZ = dA g'(Z), with g' from A, or with A as g' itself; db = sum(dZ) / total."""
    n, m = dA.shape
    memory, order = np.empty((2, n * columns), dA.dtype), np.empty(0, np.uint32)
    db[:] = 0
    for first in range(0, m, columns):
        count, panel = min(columns, m - first), panel_of(dA)
        panels = panels_of(count, panel)
        a, d = memory[0, : n * panels * panel], memory[1, : n * panels * panel]
        pack(A, order, m, first // panel, first // panel + panels, a)
        pack(dA, order, m, first // panel, first // panel + panels, d)
        derivative_panels(d, a, a if is_derivative else a[:0], n, activation, alpha)
        clear_padding(d, n, count)
        for i in range(n):
            db[i] += sum_of_row(d, i * panel, n * panel)
        unpack(d, first, count, dZ)
    for i in range(n):
        db[i] /= total


@per_dtype(
    lambda real: (
        _matrix(real), _matrix(real), _matrix(real), _matrix(real), LOSS, INT, FLOAT,
        _matrix(real), INT,
    )
)  # fmt: skip
def output(A, D, Y, weights, loss, activation, alpha, dZ, columns):
    """The weighted sum of the losses, and dZ, unless that is empty."""
    n, m = A.shape
    memory, order = np.empty((4, n * columns), A.dtype), np.empty(0, np.uint32)
    lanes, total = np.ones(columns, A.dtype), 0.0
    for first in range(0, m, columns):
        count, panel = min(columns, m - first), panel_of(A)
        panels, begin = panels_of(count, panel), first // panel
        size = n * panels * panel
        a, y, d, delta = memory[0, :size], memory[1, :size], memory[2, :size], memory[3, :size]
        pack(A, order, m, begin, begin + panels, a)
        pack(Y, order, m, begin, begin + panels, y)
        if weights.size:
            pack(weights, order, m, begin, begin + panels, lanes)
        own_lanes = lanes[: panels * panel]
        total += output_cost(a, y, own_lanes, n, count, loss)
        if dZ.size:
            if D.size:
                pack(D, order, m, begin, begin + panels, d)
            own_d = d if D.size else d[:0]
            output_derivative(a, own_d, y, own_lanes, n, loss, activation, alpha, delta)
            unpack(delta, first, count, dZ)
    return total


# --- flat vectors -------------------------------------------------------------------------


@per_dtype(
    lambda real: (
        _flat(real), _flat(real), types.Array(real, 2, "C"), FLOATS, RULE, types.boolean,
    )
)  # fmt: skip
def update(w, gradient, state, scalars, rule, decays):
    if decays and rule.decay != 0:
        decay_run(w, scalars[0] * rule.decay)
    update_run(rule.code, w, gradient, state, scalars, rule.constants)


@per_dtype(lambda real: (_flat(real),))
def all_finite(x):
    return np.isfinite(sum_of_differences(x))


@per_dtype(lambda real: (types.Array(types.uint32, 2, "A"), WORD, WORD))
def shuffle(order, seed, epoch):
    shuffle_rows(order, seed, epoch)
