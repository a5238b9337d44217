"""Who does the work: the backends of fastnn, plain NumPy, and the peers.

A **contender** has a ``name``, ``threads``, ``versions`` ({library: version}) and
``prepare(work)``, which returns a **runner** (None: it cannot do this kind of work).  A
runner has

* ``results()``: do the work once from the initial parameters and return named arrays, in
  fastnn's shapes, to be verified: the outputs, or the parameters after `VERIFIED_STEPS`
  steps or after one epoch in the order `epoch_order`, or what a kernel writes;
* ``reset()``: go back to the initial parameters and get ready; this is not timed;
* ``run(n)``: do the work n times; this is timed.
"""

import numpy as np

from bench.work import EPOCH_SEED
from fastnn import _kernels_numpy

__all__ = ["VERIFIED_STEPS", "epoch_order"]

VERIFIED_STEPS = 3


def epoch_order(m):
    """The order in which `fit` takes the examples in the epoch that is verified."""
    order = np.empty((1, m), np.uint32)
    _kernels_numpy.shuffle(order, int(np.random.default_rng(EPOCH_SEED).integers(1 << 63)), 0)
    return order[0]
