"""Ctrl-C in a test: sent when it is due, noticed within what is promised, nothing half done."""

import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from support import network_checks
from support.harness import assert_same_bits

PROMISED = 0.5
"""Seconds from the signal to KeyboardInterrupt.  This is the promise, not a measurement."""


@contextmanager
def ctrl_c_after(seconds):
    """Expect a KeyboardInterrupt from the block, soon after the signal is due.

    As in a terminal: a process started in the background may have SIGINT ignored, and then
    nothing would ever end the training.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(seconds, signal.raise_signal, [signal.SIGINT])
    due = time.perf_counter() + seconds
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
        late = time.perf_counter() - due
    finally:
        timer.cancel()
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert 0 <= late < PROMISED, f"{late:.2f} s after the signal"


def check_interrupted_training(kernels, dtype, case, name):
    """Parameters, optimizer's state and costs are those of the epochs that ended, bit for bit.

    In mini-batches, by a rule of `network_checks.RULES`, as if every step were the first.
    """
    rule, (X, Y) = network_checks.RULES[name], network_checks.examples(case, dtype)
    scalars, batch_size = rule.scalars(1, 1e-3), 2

    def training(epochs):
        """Parameters, state and costs, and the function that trains them."""
        parameters, costs = network_checks.parameters_of(case, dtype), np.full(epochs, np.nan)
        state = np.zeros((rule.slots, parameters.size), dtype)
        net = network_checks.network(kernels, case, parameters)
        steps = np.broadcast_to(scalars, (epochs * -(-case.m // batch_size), scalars.size))
        arguments = X, Y, None, None, batch_size, rule.spec, steps, state, 0, 0, costs
        return (parameters, state, costs), lambda: net.train(*arguments)

    _, warm_up = training(1)
    warm_up()  # what has to be compiled is compiled before the clock
    interrupted, train = training(1_000_000)
    with ctrl_c_after(0.1):
        train()
    done = np.count_nonzero(~np.isnan(interrupted[2]))
    assert done, "nothing was trained"
    whole, train = training(done)
    train()
    for what, got, want in zip(("parameters", "state", "costs"), interrupted, whole, strict=True):
        assert_same_bits(got[..., : want.shape[-1]], want, f"{what} of {case}, {name}")
