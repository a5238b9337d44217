"""The loop over the cases: make the numbers, verify every contender, then time them all."""

from typing import NamedTuple

from bench import timing, verify
from bench.contenders.fastnn_backends import Fastnn
from bench.work import work_of
from fastnn import backends

__all__ = ["Row", "rows"]

MOVED = 10
"""Training that is verified must move each array so many times further than the tolerance."""


class Row(NamedTuple):
    """One case in one dtype."""

    case: object
    dtype: str
    times: dict
    """{name of the contender: Time}."""
    wrong: dict
    """{name of the contender: what is wrong with its result}; it was not timed."""


def rows(cases, dtypes, contenders, effort):
    """Yield a `Row` for each case and dtype as it is done."""
    for dtype in dtypes:
        bound = verify.tolerance(dtype)
        for case in cases:
            yield _row(case, dtype, contenders, effort, bound)


def _row(case, dtype, contenders, effort, bound):
    work, bound = work_of(case, dtype), verify.bound_of(case, bound)
    expected = _expected(work, bound)
    runners, wrong = {}, {}
    for contender in contenders:
        runner = contender.prepare(work)
        if runner is None:
            continue
        try:
            verify.check(case, expected, runner.results(), bound)
        except verify.WrongResult as error:
            wrong[contender.name] = str(error)
        else:
            runners[contender.name] = runner
    if case.kind in ("step", "epoch"):
        # What `fit` does once, its checks, should weigh as little as in a real training.
        effort = effort._replace(round_seconds=10 * effort.round_seconds)
    times = timing.interleaved(list(runners.values()), effort, getattr(case, "least", 1))
    return Row(case, dtype, dict(zip(runners, times, strict=True)), wrong)


def _expected(work, bound):
    """The results of the reference."""
    expected = Fastnn(backends.load("numpy")).prepare(work).results()
    if work.case.kind in ("step", "epoch"):
        moved = verify.moved(work.parameters, expected, bound)
        if not moved > MOVED:
            raise RuntimeError(f"{work.case.name}: {moved:.3g}: training too short to be verified")
    return expected
