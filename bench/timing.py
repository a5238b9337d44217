"""How a time is taken: contenders take turns, and the best of many rounds counts.

A shared machine only ever makes work slower, so the fastest round is the nearest to the
truth; contenders that take turns share whatever the machine does meanwhile.
"""

import statistics
import time
from itertools import repeat
from typing import NamedTuple

__all__ = ["FULL", "QUICK", "Call", "Effort", "Time", "fastest", "interleaved"]


class Effort(NamedTuple):
    """How long to measure."""

    round_seconds: float
    """A round repeats the work for at least so long: far more than a tick of the clock, and
    less than the slice of time after which another process may get the core."""
    seconds: float
    """Time for each contender; rounds that take long are fewer."""
    least_rounds: int
    most_rounds: int


FULL = Effort(round_seconds=0.002, seconds=0.6, least_rounds=7, most_rounds=200)
QUICK = Effort(round_seconds=0.001, seconds=0.05, least_rounds=3, most_rounds=20)


class Time(NamedTuple):
    """Seconds for one unit of work."""

    best: float
    median: float
    rounds: int
    repetitions: int

    @property
    def spread(self):
        """How far the median round lies above the best one: the noise of the machine."""
        return self.median / self.best - 1


def interleaved(runners, effort, least=1):
    """Time runners in turns.

    Parameters
    ----------
    runners : list
        Each has ``reset()``, which is not timed, and ``run(n)``: do the work n times.
    effort : Effort
    least : int
        How often each does its work in a round at least.

    Returns
    -------
    list of Time
        One for each runner.
    """
    if not runners:
        return []
    repetitions = [_repetitions(runner, effort.round_seconds, least) for runner in runners]
    rounds = [[] for _ in runners]
    started = time.perf_counter()
    while _go_on(len(rounds[0]), time.perf_counter() - started, len(runners), effort):
        for runner, n, seconds in zip(runners, repetitions, rounds, strict=True):
            seconds.append(_seconds(runner, n) / n)
    return [
        Time(min(seconds), statistics.median(seconds), len(seconds), n)
        for seconds, n in zip(rounds, repetitions, strict=True)
    ]


def _go_on(done, elapsed, runners, effort):
    if done < effort.least_rounds:
        return True
    return done < effort.most_rounds and elapsed < effort.seconds * runners


def _repetitions(runner, round_seconds, least):
    """How many repetitions fill a round; finding out warms the runner up."""
    n = least
    _seconds(runner, n)
    while (seconds := _seconds(runner, n)) < round_seconds:
        n = max(n + 1, int(n * min(8, 1.2 * round_seconds / max(seconds, 1e-9))))
    return n


def _seconds(runner, n):
    runner.reset()
    started = time.perf_counter()
    runner.run(n)
    return time.perf_counter() - started


def fastest(functions, effort=QUICK):
    """Return the one of several functions that do the same work that takes least time."""
    times = interleaved([Call(function) for function in functions], effort)
    return min(zip(times, range(len(functions)), functions, strict=True))[2]


class Call:
    """A function as a runner."""

    def __init__(self, function):
        self.function = function

    def reset(self):
        pass

    def run(self, n):
        for _ in repeat(None, n):
            self.function()
