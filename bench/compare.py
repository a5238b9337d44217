"""``python -m bench.compare REV``: is anything slower than it was at revision REV?

Builds the commit REV in a folder of its own outside the project, and times every row of
the table under both, in two processes that are pinned to the same core and take turns,
round by round.  Results are verified to agree first; the best round counts.  A row that
looks slower than the limit is measured again in new processes, where the memory lies
elsewhere, and its best ratio counts: so it is slower only if it was so every time.

"now" is the fastnn that this Python imports, or with ``--now`` another revision.  The exit
code is 1 if a row is slower or a result differs.  ``FASTNN_SIMD`` holds for both.
"""

import argparse
import hashlib
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench import machine
from bench.cases import CASES, LAYERS, NETWORK_KINDS, Case
from bench.command import QUICK_FLOPS
from bench.timing import FULL, QUICK

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
IMPORT_RUNS = 21
IMPORT = """
import time
import numpy
started = time.perf_counter()
import fastnn
print(time.perf_counter() - started)
"""


class Ratio(NamedTuple):
    """Seconds for one unit of work at REV and now, each from its best round."""

    then: float
    now: float

    @property
    def value(self):
        return self.now / self.then


def main(arguments=None):
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    for name in ("FASTNN_BACKEND", "PYTHONDONTWRITEBYTECODE"):  # an import is not to compile
        os.environ.pop(name, None)
    pinned = machine.confine(options.threads, options.pin)
    then = build(options.revision)
    now = build(options.now) if options.now else _installed()
    print(f"then: {options.revision}, {then}\nnow:  {options.now or 'as installed'}, {now}")
    print(f"{pinned}; {machine.cpu_name()}\n", flush=True)
    if options.imports:
        return _compare_imports(then, now, options.limit)
    failures = []
    for backend in options.backend:
        if not options.no_bits:
            _compare_bits(backend, then, now, options)
        failures += _compare_times(backend, then, now, options)
    print(f"\n{len(failures)} rows beyond {options.limit:g}, or wrong:", *failures, sep="\n  ")
    return int(bool(failures))


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("revision", metavar="REV", help="a commit, tag or branch to compare with")
    parser.add_argument("--now", metavar="REV", help="compare this one (default: the installed)")
    parser.add_argument("--rows", default="", metavar="TEXT", help="rows with this in the name")
    parser.add_argument(
        "--backend", nargs="+", choices=("cython", "numba", "numpy"), default=["cython", "numpy"],
        help="(default: cython numpy)",
    )  # fmt: skip
    parser.add_argument(
        "--dtype", nargs="+", choices=("float32", "float64"), default=["float32", "float64"],
        help="(default: both)",
    )  # fmt: skip
    parser.add_argument("--layers", action="store_true", help="the functions of one layer too")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(%(default)s)")
    parser.add_argument("--limit", type=float, default=1.03, help="now / then (%(default)s)")
    parser.add_argument("--retries", type=int, default=4, help="for a slower row (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="short rounds, no large cases")
    parser.add_argument("--no-bits", action="store_true", help="do not compare bits")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="leave the cores alone")
    parser.add_argument(
        "--import", dest="imports", action="store_true", help="compare the time of an import alone"
    )
    return parser


# --- two revisions, each in a folder of its own -------------------------------------------


def build(revision):
    """Install a revision into a folder, unless it is there already; return that folder."""
    commit = _run("git", "-C", str(ROOT), "rev-parse", f"{revision}^{{commit}}").strip()
    python = f"{sys.executable} {sys.version}"
    key = f"{commit[:12]}-{hashlib.sha1(python.encode()).hexdigest()[:8]}"
    home = Path(tempfile.gettempdir()) / f"fastnn-revisions-{os.getuid()}"
    site = home / key
    if not site.exists():
        print(f"building {revision} ...", flush=True)
        home.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home) as work:
            source, made = Path(work) / "source", Path(work) / "made"
            source.mkdir()
            archive = subprocess.run(
                ["git", "-C", str(ROOT), "archive", commit], check=True, stdout=subprocess.PIPE
            )
            subprocess.run(["tar", "-x", "-C", str(source)], check=True, input=archive.stdout)
            _run(
                sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                "--disable-pip-version-check", "--target", str(made), str(source),
            )  # fmt: skip
            made.rename(site)
    return site


def _installed():
    """The folder of the fastnn that this Python imports."""
    return Path(
        _run(sys.executable, "-c", "import fastnn; print(fastnn.__path__[0])").strip()
    ).parent


def _run(*command, **keywords):
    done = subprocess.run(command, capture_output=True, text=True, **keywords)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def _environment(site, **more):
    """Python finds fastnn in `site`, and NumPy where it always does."""
    return os.environ | {"PYTHONPATH": str(site)} | more


class Revision:
    """A process that runs one revision on one backend (compare_worker.py)."""

    def __init__(self, site, backend):
        worker = Path(__file__).with_name("compare_worker.py")
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(worker), str(ROOT)],
            env=_environment(site, FASTNN_BACKEND=backend),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        about = self("about")
        if Path(about["from"]).parent.resolve() != site.resolve() or about["active"] != backend:
            raise SystemExit(f"bench.compare: asked for {backend} of {site}, got {about}")

    def __call__(self, name, *arguments):
        """Ask, and return the answer; `Refused` where it is none."""
        pickle.dump((name, arguments), self.process.stdin, pickle.HIGHEST_PROTOCOL)
        self.process.stdin.flush()
        try:
            result, error = pickle.load(self.process.stdout)
        except EOFError:
            raise SystemExit(f"bench.compare: a worker died over {name} {arguments}") from None
        if error:
            raise Refused(error)
        return result

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Refused(Exception):
    """A revision cannot do what it was asked; the other one may."""


class Unknown(Exception):
    """The earlier revision has no such row: there is nothing to compare with."""


def _known(earlier, *question):
    """The earlier revision's answer."""
    try:
        return earlier(*question)
    except Refused as error:
        raise Unknown(str(error)) from None


class Pair:
    """Both revisions, as a context."""

    def __init__(self, backend, then, now):
        self.sites = then, now
        self.backend = backend

    def __enter__(self):
        self.revisions = [Revision(site, self.backend) for site in self.sites]
        return self.revisions

    def __exit__(self, *error):
        for revision in self.revisions:
            revision.close()


# --- times --------------------------------------------------------------------------------


def _compare_times(backend, then, now, options):
    """Print the table of a backend; return a line for each row that is slower or wrong."""
    from bench import verify  # it imports NumPy: only after `machine.confine`

    rows = _rows(options)
    width = max(len(case.name) for case, _ in rows)
    print(f"\n{backend:{width}}  {'dtype':8} {'then':>14} {'now':>14}  now/then")
    measured, failures, again = {}, [], []
    with Pair(backend, then, now) as revisions:
        for case, dtype in rows:
            try:
                ratio = _measure(revisions, case, dtype, options)
            except Unknown:
                print(f"{case.name:{width}}  {dtype:8} not there at the earlier revision")
                continue
            except (Refused, verify.WrongResult) as error:
                print(f"{case.name:{width}}  {dtype:8} {error}", flush=True)
                failures.append(f"{backend} {dtype} {case.name}: {error}")
                continue
            measured[case, dtype] = ratio
            if ratio.value > options.limit:
                again.append((case, dtype))
            print(_line(case, dtype, ratio, width), flush=True)
    for attempt in range(options.retries):
        if not again:
            break
        print(f"again, {attempt + 1} of {options.retries}:")
        with Pair(backend, then, now) as revisions:
            for key in again:
                ratio = _measure(revisions, *key, options)
                measured[key] = min(measured[key], ratio, key=lambda ratio: ratio.value)
                print(_line(*key, ratio, width), flush=True)
        again = [key for key in again if measured[key].value > options.limit]
    if measured:
        values = [ratio.value for ratio in measured.values()]
        print(f"{backend}: median {statistics.median(values):.3f}, worst {max(values):.3f}")
    return failures + [f"{backend} {_line(*key, measured[key], 0)}" for key in again]


def _rows(options):
    cases = [*CASES, *LAYERS] if options.layers else CASES
    rows = [
        (case, dtype)
        for dtype in options.dtype
        for case in cases
        if options.rows in case.name and not (options.quick and case.flops > QUICK_FLOPS)
    ]
    if not rows:
        raise SystemExit(f"no row has {options.rows!r} in its name")
    return rows


def _line(case, dtype, ratio, width):
    then, now = (f"{1e6 * seconds:,.2f} us" for seconds in ratio)
    return f"{case.name:{width}}  {dtype:8} {then:>14} {now:>14}  {ratio.value:.3f}"


def _measure(revisions, case, dtype, options):
    """Verify that the results agree, then time them in turns."""
    from bench import verify

    expected = _known(revisions[0], "prepare", case, dtype)
    actual = revisions[1]("prepare", case, dtype)
    verify.check(case, expected, actual, verify.tolerance(dtype))
    effort = QUICK if options.quick else FULL
    # What `fit` does once, its checks, should weigh as little as in a real training.
    round_seconds = effort.round_seconds * (10 if case.kind in NETWORK_KINDS[1:] else 1)
    n, seconds = 1, revisions[0]("seconds", 1)
    while seconds < round_seconds:
        n = max(n + 1, int(n * min(8, 1.2 * round_seconds / max(seconds, 1e-9))))
        seconds = revisions[0]("seconds", n)
    rounds = int(effort.seconds / seconds)
    rounds = min(max(rounds, effort.least_rounds), effort.most_rounds)
    best = [float("inf")] * 2
    for turn in range(rounds):
        for i in (0, 1) if turn % 2 else (1, 0):
            best[i] = min(best[i], revisions[i]("seconds", n) / n)
    return Ratio(*best)


# --- bits ---------------------------------------------------------------------------------


def _compare_bits(backend, then, now, options):
    """Print whether plain gradient descent gives the same bits on the tests' networks."""
    same, count, different, unknown = 0, 0, [], set()
    with Pair(backend, then, now) as revisions:
        for case, dtype in ((case, dtype) for case in _test_networks() for dtype in options.dtype):
            try:
                prints = [_known(revisions[0], "bits", case, dtype)]
                prints.append(revisions[1]("bits", case, dtype))
            except Unknown:
                unknown.add(case.name)
                continue
            except Refused as error:
                different.append(f"{case.name} {dtype}: {error}")
                continue
            unlike = [name for name, digest in prints[0].items() if prints[1][name] != digest]
            count += len(prints[0])
            same += len(prints[0]) - len(unlike)
            if unlike:
                different.append(f"{case.name} {dtype}: {', '.join(unlike)}")
    print(f"{backend}: {same} of {count} outputs and trainings have the same bits")
    for line in different:
        print(f"  not the same: {line}")
    for name in sorted(unknown):
        print(f"  not there at the earlier revision: {name}")


def _test_networks():
    """The networks of the tests' table, as plain cases."""
    from bench import verify

    for network in verify.test_tables().NETWORKS:
        yield Case(
            str(network), "bits", network.layer_sizes, network.activations, network.loss, network.m
        )


# --- import -------------------------------------------------------------------------------


def _compare_imports(then, now, limit):
    """Print the time of ``import fastnn`` after NumPy; return the exit code."""
    seconds = {site: [] for site in (then, now)}
    for turn in range(IMPORT_RUNS + 1):
        for site, times in seconds.items():
            answer = _run(sys.executable, "-P", "-c", IMPORT, env=_environment(site))
            if turn:  # the first one may have written the bytecode
                times.append(float(answer))
    for name, times in zip(("then", "now"), seconds.values(), strict=True):
        median, best = 1e3 * statistics.median(times), 1e3 * min(times)
        print(f"import fastnn, {name}: median {median:.1f} ms, best {best:.1f} ms")
    ratio = Ratio(*map(min, seconds.values())).value
    print(f"now/then: {ratio:.3f}")
    return int(ratio > limit)


if __name__ == "__main__":
    sys.exit(main())
