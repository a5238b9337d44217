"""Ctrl-C in a test: sent when it is due, noticed within what is promised."""

import signal
import threading
import time
from contextlib import contextmanager

import pytest

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
