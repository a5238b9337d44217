"""What the commands share: their options, and the run itself."""

import argparse
from importlib.util import find_spec

from bench import machine

__all__ = ["choose", "parser", "run"]

QUICK_FLOPS = 2e9
"""``--quick`` leaves out the cases that take more."""


def parser(prog, description):
    """The options that all commands have."""
    options = argparse.ArgumentParser(prog=prog, description=description)
    options.add_argument(
        "--dtype", choices=("float32", "float64", "both"), default="both", help="(%(default)s)"
    )
    options.add_argument("--filter", default="", metavar="TEXT", help="cases with this in the name")
    options.add_argument("--quick", action="store_true", help="short rounds, no large cases")
    options.add_argument("--list", action="store_true", help="name the cases, and stop")
    options.add_argument("--no-pin", dest="pin", action="store_false", help="leave the cores alone")
    options.add_argument("--json", metavar="FILE", help="write all numbers")
    options.add_argument("--markdown", metavar="FILE", help="write the tables")
    options.add_argument("--picture", metavar="FILE", help="draw (needs matplotlib)")
    return options


def choose(cases, options):
    """The cases that the options ask for; with ``--list``, name them and stop.

    What is not installed is missed here, not at the end of a long run: the tolerances come
    from the tests' conftest.py, which imports pytest.
    """
    chosen = [
        case
        for case in cases
        if options.filter in case.name and not (options.quick and case.flops > QUICK_FLOPS)
    ]
    if options.list:
        print("\n".join(case.name for case in chosen))
        raise SystemExit(0)
    if not chosen:
        raise SystemExit(f"no case has {options.filter!r} in its name; --list names them")
    for module, needed in (("pytest", True), ("matplotlib", options.picture)):
        if needed and find_spec(module) is None:
            from fastnn import _hints  # not before NumPy's threads are set

            raise SystemExit(f"this needs {module}: {_hints.install('bench')}")
    return chosen


def run(heading, cases, contenders, options):
    """Verify and time the cases, print as it goes, and write the files asked for.

    Parameters
    ----------
    heading : dict
        The first entries of the document (report.py): "title"; "run", on which cores and
        threads; "ours", the name of the contender that it is about; "baseline", the names
        of those that it is compared with, and "against", what to call the fastest of them;
        "notes", lines for the head of the table.
    cases : list
    contenders : list
    options : argparse.Namespace

    Returns
    -------
    int
        Exit code: 1 if a result was wrong, or with ``--gate`` if a rival is ahead.
    """
    from bench import limits, report, session, timing
    from bench.contenders.fastnn_backends import kernel_modules

    dtypes = ("float32", "float64") if options.dtype == "both" else (options.dtype,)
    modules = {dtype: kernel_modules(contenders, dtype) for dtype in dtypes}
    yardsticks = {dtype: limits.measure(dtype, modules[dtype]) for dtype in dtypes}
    document = {
        **heading,
        "contenders": [contender.name for contender in contenders],
        "machine": machine.describe(),
        "versions": {name: v for c in contenders for name, v in c.versions.items()},
        "limits": {dtype: limit and limit._asdict() for dtype, limit in yardsticks.items()},
        "rows": [],
    }
    print(report.heading(document), flush=True)
    effort = timing.QUICK if options.quick else timing.FULL
    for row in session.rows(cases, dtypes, contenders, effort):
        entry = report.entry(row, yardsticks[row.dtype], contenders, document)
        document["rows"].append(entry)
        print(report.text(entry), flush=True)
    document["peak_at_the_end"] = {dtype: limits.peak(modules[dtype]) for dtype in dtypes}
    print(report.closing(document))
    report.write(document, options.json, options.markdown, options.picture)
    behind = [row["case"] for row in document["rows"] if _is_behind(row, heading["ours"])]
    if getattr(options, "gate", False) and behind:
        print(f"a rival is ahead: {', '.join(behind)}")
        return 1
    return int(any(row["wrong"] for row in document["rows"]))


def _is_behind(row, ours):
    ratio = row["results"].get(ours, {}).get("ratio")
    return ratio is not None and ratio < 1
