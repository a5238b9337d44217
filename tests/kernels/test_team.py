"""Teams of threads in the compiled kernels: formed, too late, dissolved, or never started.

What a user sees is the same bits, whatever becomes of the helpers.  So that each of these
surely happens, the tests stand between the kernels and Python's ``start_new_thread``, and say
how many processors there are.
"""

import os
import threading
import time
import tracemalloc
from _thread import start_new_thread
from contextlib import contextmanager

import numpy as np
import pytest
from support.interruption import ctrl_c_after

import fastnn

SECONDS = 20
"""A helper that has not ended by then never will."""

ATTEMPTS = 20
"""A busy machine may keep a helper out of its team, but not every time."""


class Office:
    """Stands for ``start_new_thread``: keeps each team that asks for helpers, and each helper.

    Parameters
    ----------
    most : int, optional
        Helpers that a team gets; for the next one it gets `error`.
    error : Exception, optional
    late : bool
        Helpers wait until `close`; else each is on its way into its team before the caller
        goes on.

    Attributes
    ----------
    requests : dict
        {team: how many helpers it has asked for}.
    """

    def __init__(self, most=None, error=None, late=False):
        self.most, self.error, self.late = most, error, late
        self.requests = {}
        self.ended = []
        self.door = threading.Event()

    def start(self, team, arguments):
        self.requests[team] = self.requests.get(team, 0) + 1
        if self.most is not None and self.requests[team] > self.most:
            raise self.error
        ready, end = threading.Event(), threading.Event()
        self.ended.append(end)

        def helper():
            if self.late:
                self.door.wait(SECONDS)
            ready.set()
            team(*arguments)
            end.set()

        number = start_new_thread(helper, ())
        if not self.late:
            ready.wait(SECONDS)
            time.sleep(1e-3)  # let go of the processor, which may be the helper's too
        return number

    def close(self):
        """Let the late ones in, and wait until every helper has ended."""
        self.door.set()
        assert all(end.wait(SECONDS) for end in self.ended), "a helper never ends"


@pytest.fixture
def install(monkeypatch, dtype):
    """A function that puts an Office, and a number of processors, into the kernels in use."""
    with fastnn.use_backend("cython"):
        module = fastnn.backends.current.kernels(np.dtype(dtype))

        def install(office, processors=2, pauses=None):
            monkeypatch.setattr(module, "start_new_thread", office.start)
            monkeypatch.setattr(module, "sched_getaffinity", lambda pid: set(range(processors)))
            monkeypatch.setattr(module, "pauses", pauses)
            return office

        install(Office())
        outcome("gradients", dtype, 2)  # what teams of other tests have taught is forgotten
        yield install


def make(dtype, m=2000):
    """A network and examples for which threads pay in every call."""
    rng = np.random.default_rng(0)
    net = fastnn.MLP([64, 128, 128, 3], hidden="relu", output="softmax", seed=0, dtype=dtype)
    X = rng.normal(size=(64, m)).astype(dtype)
    return net, X, np.eye(3, dtype=dtype)[:, rng.integers(0, 3, m)]


CALLS = {
    "forward": lambda net, X, Y: net.forward(X).tobytes(),
    "gradients": lambda net, X, Y: net.gradients(X, Y)[1]["dW1"].base.tobytes(),
    "step": lambda net, X, Y: net.step(X, Y),
    "fit": lambda net, X, Y: net.fit(X, Y, epochs=3, learning_rate=0.01).cost.tobytes(),
    "fit in mini-batches": lambda net, X, Y: net.fit(
        X, Y, epochs=3, learning_rate=0.01, batch_size=256, seed=1
    ).cost.tobytes(),
}


@contextmanager
def num_threads(n):
    """The most threads that a call may use, for the block."""
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(n)
    try:
        yield
    finally:
        fastnn.set_num_threads(before)


def outcome(name, dtype, threads):
    """What a call returns, and the parameters that it leaves."""
    net, X, Y = make(dtype)
    with num_threads(threads):
        return CALLS[name](net, X, Y), net.parameter_vector.tobytes()


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("name", CALLS)
def test_team_forms(install, dtype, name, threads):
    """All helpers are let in, and leave; the bits are those of one thread."""
    alone = outcome(name, dtype, 1)
    for _ in range(ATTEMPTS):
        office = install(Office(), processors=threads)
        assert outcome(name, dtype, threads) == alone
        office.close()
        assert set(office.requests.values()) == {threads - 1}
        if name == "forward" or all(team.members == threads - 1 for team in office.requests):
            return
    pytest.fail(f"no whole team in {ATTEMPTS} calls")


@pytest.mark.parametrize("name", CALLS)
def test_late_helpers(install, dtype, name):
    """Helpers that come when all is done find that out, and touch nothing."""
    alone = outcome(name, dtype, 1)
    office = install(Office(late=True), processors=3)
    assert outcome(name, dtype, 3) == alone
    office.close()
    assert set(office.requests.values()) == {2}
    assert not any(team.members for team in office.requests)


@contextmanager
def one_processor():
    """All threads on one processor, for the block."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def is_dissolved(install, dtype, name, alone, pauses=None):
    """Whether three threads on one processor, which mostly wait, are sent home in time."""
    for _ in range(ATTEMPTS):
        office = install(Office(), processors=3, pauses=pauses)
        with one_processor():
            assert outcome(name, dtype, 3) == alone
        office.close()
        if any(team.dissolved for team in office.requests):
            return True
    return False


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot confine threads")
@pytest.mark.parametrize("name", ["fit", "fit in mini-batches"])
def test_dissolved_team(install, dtype, name):
    """The caller goes on alone, to the same bits."""
    assert is_dissolved(install, dtype, name, outcome(name, dtype, 1))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot confine threads")
def test_pause_after_a_dissolved_team(install, dtype):
    """The calls that follow ask for no helpers, who would only lose time again."""
    alone = outcome("fit", dtype, 1)
    assert is_dissolved(install, dtype, "fit", alone, pauses=(SECONDS, SECONDS))
    office = install(Office(), pauses=(SECONDS, SECONDS))
    assert outcome("fit", dtype, 2) == alone
    assert not office.requests
    office = install(Office(), pauses=None)
    assert outcome("fit", dtype, 2) == alone
    office.close()
    assert office.requests


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cannot confine threads")
def test_far_helpers(install, dtype):
    """A helper that takes long to answer, as from a core that shares no cache, is not let in where
    barriers follow close upon each other; nor asked for again at once."""

    def cost(threads):
        net, X, Y = make(dtype)
        options = {"epochs": 12, "learning_rate": 0.01, "batch_size": 64, "seed": 1}
        return net.fit(X, Y, threads=threads, **options).cost.tobytes()

    alone = cost(1)
    for _ in range(ATTEMPTS):
        office = install(Office(), processors=3, pauses=(SECONDS, SECONDS))
        with one_processor():
            assert cost(3) == alone
        office.close()
        if any(team.far for team in office.requests):
            break
        assert office.requests
    else:
        pytest.fail(f"no helper was too far in {ATTEMPTS} calls")
    assert not any(team.members for team in office.requests if team.far)
    office = install(Office(), pauses=(SECONDS, SECONDS))
    assert cost(2) == alone
    assert not office.requests


@pytest.mark.parametrize("started", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_no_more_threads(install, dtype, name, started):
    """Where the system has no more threads, fewer do the work."""
    alone = outcome(name, dtype, 1)
    error = RuntimeError("can't start new thread")
    office = install(Office(most=started, error=error), processors=3)
    assert outcome(name, dtype, 3) == alone
    office.close()
    assert set(office.requests.values()) == {started + 1}


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, PermissionError])
@pytest.mark.parametrize("started", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_failure_to_start(install, dtype, name, started, error):
    """Any other error ends the call: the helpers leave, nothing has changed, and the next call
    finds the working memory free."""
    net, X, Y = make(dtype)
    start = net.parameter_vector.copy()
    office = install(Office(), processors=3)
    with num_threads(3):
        CALLS[name](net, X, Y)  # the working memory is there from now on
        net.parameter_vector[:] = start
        usual = peak_of(CALLS[name], net, X, Y)
    office.close()
    after = net.parameter_vector.copy()
    net.parameter_vector[:] = start

    office = install(Office(most=started, error=error("no")), processors=3)
    with num_threads(3), pytest.raises(error, match="no"):
        CALLS[name](net, X, Y)
    office.close()
    assert len(office.ended) == started
    assert net.parameter_vector.tobytes() == start.tobytes()

    office = install(Office(), processors=3)
    with num_threads(3):
        # It takes hundreds of kilobytes; the order of the examples some, as many as time allows.
        assert peak_of(CALLS[name], net, X, Y) < usual + 65536, "the working memory is not free"
    office.close()
    assert net.parameter_vector.tobytes() == after.tobytes()


def peak_of(call, net, X, Y):
    """Bytes that a call needs beyond what is there; of the kernels too, by PyMem_RawMalloc."""
    tracemalloc.start()
    try:
        call(net, X, Y)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("batch_size", [None, 256])
def test_ctrl_c_in_a_team(install, dtype, batch_size):
    """The helpers leave with the caller, after a whole number of epochs."""
    net, X, Y = make(dtype)
    fresh, _, _ = make(dtype)
    options = {"learning_rate": 1e-3, "batch_size": batch_size, "shuffle": False}
    office = install(Office())
    with ctrl_c_after(0.3):
        net.fit(X, Y, epochs=1_000_000, threads=2, **options)
    office.close()
    assert any(team.members for team in office.requests)
    for _ in range(10_000):
        if fresh.parameter_vector.tobytes() == net.parameter_vector.tobytes():
            break
        fresh.fit(X, Y, epochs=1, threads=1, **options)
    else:
        pytest.fail("no whole number of epochs leads there")
