"""``python -m bench.estimators``: the estimators beside those of scikit-learn.

The same class by name, with the same arguments, on the same data: `fit`, `predict` and a
`GridSearchCV` in two processes.  Before anything is timed the two must agree: in float64 loss
curves to rounding, and everywhere the scores on a quarter of the examples that is held out, to
within the noise of so many examples.  The table of cases is in estimator_cases.py.
"""

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

from bench import machine
from bench.estimator_cases import CASES, DATA, GRID

__all__ = ["Row", "main", "measure"]

CURVE = 1e-6
"""How much loss curves may differ, as a share: rounding, that grows from step to step."""

NOISE = 2
"""Standard errors of a score that scores may differ."""

JOBS = 2


class Row(NamedTuple):
    """What was found about a case; what belongs to both is (scikit-learn's, ours)."""

    case: object
    times: tuple
    scores: tuple
    epochs: tuple
    flops: float
    """Of our `fit`: multiplies and adds of its products; 0.0 for other kinds."""
    wrong: str = ""

    @property
    def ratio(self):
        theirs, ours = self.times
        return theirs.best / ours.best


def main(arguments=None):
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    cases = [c for c in CASES if options.filter in c.name and not (options.quick and c.is_large)]
    if options.list or not cases:
        print("\n".join(case.name for case in cases or CASES))
        return int(not cases)
    allowed = getattr(os, "sched_getaffinity", lambda _: range(JOBS))(0)
    pinned = machine.confine(1, options.pin)
    from bench import timing

    effort = timing.QUICK if options.quick else timing.FULL._replace(seconds=3, least_rounds=3)
    peaks = _peaks()
    about = _about(pinned, peaks)
    print(f"{about}\n\n{_line(HEAD)}", flush=True)
    rows = []
    for case in cases:
        if case.kind == "search" and len(allowed) < JOBS:
            print(f"{case.name}: needs {JOBS} cores, there is {len(allowed)}")
            continue
        rows.append(measure(case, effort, sorted(allowed)))
        print(_line(_cells(rows[-1], peaks)), flush=True)
    if options.markdown:
        Path(options.markdown).write_text(_markdown(about, rows, peaks))
    return int(any(row.wrong for row in rows))


def _peaks():
    """{dtype: FLOP/s of multiply-adds on this core}, or None where nothing compiled tells."""
    import numpy as np

    from bench import limits
    from fastnn import backends

    backend = backends.load("auto")
    return {d: limits.peak([backend.kernels(np.dtype(d))]) for d in ("float64", "float32")}


def _about(pinned, peaks):
    """What ran where."""
    import fastnn

    info = fastnn.backend_info()
    found = machine.versions(["scikit-learn", "numpy", "scipy"])
    software = ", ".join(f"{name} {version}" for name, version in found.items())
    peak = ", ".join(f"{p / 1e9:.1f} GFLOP/s in {dtype}" for dtype, p in peaks.items() if p)
    runs_on = " ".join(filter(None, (info["active"], info["simd"])))
    return (
        f"{machine.cpu_name()}, {pinned}; fastnn {fastnn.__version__} runs on {runs_on}; "
        f"{software}; peak of the core: {peak or 'not known'}"
    )


def _parser():
    parser = argparse.ArgumentParser(prog="python -m bench.estimators", description=__doc__)
    parser.add_argument("--filter", default="", metavar="TEXT", help="cases with this in the name")
    parser.add_argument("--quick", action="store_true", help="short rounds, no large cases")
    parser.add_argument("--list", action="store_true", help="name the cases, and stop")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="leave the cores alone")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables")
    return parser


# --- a case -------------------------------------------------------------------------------


def measure(case, effort, cores=(), grid=GRID, examples=None):
    """Verify and time a case; return its `Row`.

    Parameters
    ----------
    case : Case
    effort : timing.Effort
    cores : list of int
        Those that a search may use; none: all of now, in one process.
    grid : dict
        Of a search.
    examples : int, optional
        The most to take.
    """
    from bench import timing

    parts = load(case, examples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that max_iter was reached
        runners = [Runner(case, package, parts, grid, cores) for package in ("sklearn", "fastnn")]
        scores = tuple(runner.score() for runner in runners)
        epochs = tuple(runner.fitted.n_iter_ for runner in runners if case.kind == "fit")
        wrong = disagreement(case, *runners, *scores)
        times = () if wrong else tuple(timing.interleaved(runners, effort))
    flops = runners[1].flops() if case.kind == "fit" and case.settings != "lbfgs" else 0.0
    return Row(case, times, scores, epochs, flops, wrong)


def load(case, examples=None):
    """Return X, held-out x, y, held-out y; X standardized by the training part."""
    import numpy as np
    from sklearn import datasets
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler

    if case.data == "20,000 x 50":
        X, y = datasets.make_classification(20_000, 50, n_informative=20, random_state=0)
    elif case.data == "50,000 x 6":
        X, y = datasets.make_friedman1(50_000, 6, noise=1.0, random_state=0)
    else:
        X, y = getattr(datasets, f"load_{case.data}")(return_X_y=True)
    if DATA[case.data] == "regressor":
        y = (y - y.mean()) / y.std()
    strata = y if DATA[case.data] == "classifier" else None
    parts = train_test_split(X, y, random_state=0, stratify=strata)
    scaler = StandardScaler().fit(parts[0])
    dtype = np.float32 if case.settings == "float32" else np.float64
    both = (scaler.transform(part).astype(dtype) for part in parts[:2])
    return tuple(part[:examples] for part in (*both, *parts[2:]))


class Runner:
    """The work of a case by one of the two packages, as `timing.interleaved` takes it."""

    def __init__(self, case, package, parts, grid, cores):
        from sklearn import neural_network

        import fastnn

        module = {"sklearn": neural_network, "fastnn": fastnn}[package]
        self.case, self.grid, self.cores = case, grid, cores
        self.X, self.x, self.y, self.held_out = parts
        self.kind = getattr(module, f"MLP{DATA[case.data].capitalize()}")
        if case.kind == "predict":
            self.rows = self.x.repeat(-(-case.rows // len(self.x)), axis=0)[: case.rows].copy()
        self.fitted = self._search() if case.kind == "search" else self._fit()

    def reset(self):
        pass

    def run(self, n):
        work = {"fit": self._fit, "predict": self._predict, "search": self._search}[self.case.kind]
        for _ in range(n):
            work()

    def score(self):
        """On the examples that were held out."""
        return float(self.fitted.score(self.x, self.held_out))

    def flops(self):
        """Of all epochs: three products for each layer, and one less for the first."""
        products = [coef.size for coef in self.fitted.coefs_]
        return 2.0 * self.fitted.t_ * (3 * sum(products) - products[0])

    def _fit(self):
        return self.kind(**self.case.arguments).fit(self.X, self.y)

    def _predict(self):
        return self.fitted.predict(self.rows)

    def _search(self):
        from sklearn.model_selection import GridSearchCV

        estimator, jobs = self.kind(**self.case.arguments), JOBS if self.cores else None
        search = GridSearchCV(estimator, self.grid, cv=3, n_jobs=jobs)
        if not (jobs and hasattr(os, "sched_setaffinity")):
            return search.fit(self.X, self.y)
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.cores[-JOBS:])  # which new processes inherit
        try:
            return search.fit(self.X, self.y)
        finally:
            os.sched_setaffinity(0, before)


def disagreement(case, theirs, ours, score, our_score):
    """Say where the two do not agree, or return ""."""
    import numpy as np

    if case.settings in ("default", "sgd", "early_stopping") and case.kind != "search":
        curves = (np.array(runner.fitted.loss_curve_) for runner in (theirs, ours))
        wanted, curve = curves
        if len(curve) != len(wanted):
            return f"{len(curve)} epochs, not {len(wanted)}"
        error = float(np.max(np.abs(curve - wanted) / np.abs(wanted)))
        if not error <= CURVE:
            return f"loss curves differ by {error:.1e}"
    m = len(theirs.held_out)
    spread = score * (1 - score) if DATA[case.data] == "classifier" else 4 * (1 - score) ** 2
    if not abs(our_score - score) <= NOISE * max(spread, 1 / m) ** 0.5 / m**0.5:
        return f"score {our_score:.4f}, not {score:.4f}"
    return ""


# --- the table ----------------------------------------------------------------------------

HEAD = ["work", "scikit-learn", "fastnn", "ratio", "scores", "epochs", "GFLOP/s", "of peak"]


def _cells(row, peaks):
    from bench.report import percent, seconds

    scores = " / ".join(f"{score:.4f}" for score in row.scores)
    epochs = " / ".join(map(str, row.epochs)) or "-"
    if row.wrong:
        return [row.case.name, "-", "-", f"WRONG: {row.wrong}", scores, epochs, "-", "-"]
    theirs, ours = (seconds(time.best) for time in row.times)
    rate = row.flops / row.times[1].best
    peak = peaks["float32" if row.case.settings == "float32" else "float64"]
    return [
        row.case.name, theirs, ours, f"{row.ratio:.1f}", scores, epochs,
        f"{rate / 1e9:.1f}" if rate else "-", percent(rate / peak if rate and peak else None),
    ]  # fmt: skip


def _markdown(about, rows, peaks):
    """Two tables: of the default settings, and of the others."""
    tables = []
    for title, is_default in (("default settings", True), ("other settings", False)):
        chosen = [row for row in rows if (row.case.settings == "default") == is_default]
        lines = [HEAD, ["---", *["---:"] * (len(HEAD) - 1)], *(_cells(r, peaks) for r in chosen)]
        if chosen:
            tables.append(f"**{title}**\n\n" + "\n".join(map(_line, lines)))
    note = "Scores on held-out examples, and epochs: scikit-learn's / fastnn's."
    return "\n\n".join([f"{about}. {note}", *tables]) + "\n"


def _line(cells):
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
