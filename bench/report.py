"""What comes out: a document of plain values, and the tables made of it.

The document is what ``--json`` writes.  Text, Markdown and picture are made from it alone,
now or later::

    python -m bench.report RUN.json --markdown TABLE.md --picture PICTURE.png
"""

import argparse
import json
from pathlib import Path

__all__ = ["closing", "entry", "heading", "percent", "seconds", "text", "write"]

# --- the document ---------------------------------------------------------------------------


def entry(row, limit, contenders, document):
    """Return a `session.Row` as plain values.

    Parameters
    ----------
    row : session.Row
    limit : limits.Limits or None
        None where nothing compiled can measure it.
    contenders : list
    document : dict
        With "baseline": ratios are to the fastest of these.
    """
    case, threads = row.case, {contender.name: contender.threads for contender in contenders}
    rivals = [name for name in document["baseline"] if name in row.times]
    against = min(rivals, key=lambda name: row.times[name].best, default=None)
    results = {}
    for name, time in row.times.items():
        flops = case.flops / time.best if case.flops else None
        results[name] = {
            "seconds": time.best,
            "median_seconds": time.median,
            "spread": time.spread,
            "rounds": time.rounds,
            "repetitions": time.repetitions,
            "gflops": flops and flops / 1e9,
            "share_of_peak": flops and limit and flops / limit.peak / threads[name],
            "share_of_limit": limit and limit.seconds(case, threads[name]) / time.best,
            "ratio": row.times[against].best / time.best if against else None,
        }
    return {
        "case": case.name,
        "kind": case.kind,
        "sizes": case.sizes,
        "m": case.m,
        "dtype": row.dtype,
        "flops": case.flops,
        "limit_seconds": limit and limit.seconds(case),
        "best_rival": against,
        "results": results,
        "wrong": row.wrong,
    }


def write(document, json_file=None, markdown_file=None, picture_file=None):
    """Write the files that are asked for, and say which."""
    if json_file:
        Path(json_file).write_text(json.dumps(document, indent=1) + "\n")
    if markdown_file:
        from bench.markdown import markdown

        Path(markdown_file).write_text(markdown(document))
    if picture_file:
        from bench import picture  # matplotlib is needed for nothing else

        picture.draw(document, picture_file)
    for file in filter(None, (json_file, markdown_file, picture_file)):
        print(f"written: {file}")


# --- text -----------------------------------------------------------------------------------

COLUMNS = "{:<30}{:>10}{:>10}{:>9}{:>10}{:>9}{:>9}"


def heading(document):
    """What ran where, and the head of the table."""
    about = document["machine"]
    caches = ", ".join(f"{name} {size >> 10} KB" for name, size in about["caches"].items())
    software = {"Python": about["python"], **document["versions"]}
    lines = [
        document["title"],
        f"  CPU       {about['cpu']}, {about['cores']} cores; {caches}; {about['system']}",
        f"  run       {document['run']}",
        f"  versions  {', '.join(f'{name} {version}' for name, version in software.items())}",
        *(f"  {line}" for line in document["notes"]),
        *(_limits_line(limits) for limits in document["limits"].values() if limits),
        "",
        COLUMNS.format("", "time", "GFLOP/s", "of peak", "of limit", "ratio", "spread"),
    ]
    return "\n".join(lines)


def closing(document):
    """What became of the peak during the run: if it fell, so did the shares."""
    peaks = [f"{dtype} {p / 1e9:.1f}" for dtype, p in document["peak_at_the_end"].items() if p]
    wrong = [row["case"] for row in document["rows"] if row["wrong"]]
    lines = [f"peak at the end of the run, GFLOP/s: {', '.join(peaks) or '-'}"]
    if wrong:
        lines.append(f"WRONG results, not timed: {', '.join(wrong)}")
    return "\n".join(lines)


def _limits_line(limits):
    bandwidth = ", ".join(f"{n} {rate / 1e9:.0f}" for n, (_, rate) in limits["bandwidth"].items())
    activation = ", ".join(f"{g} {s * 1e9:.2f}" for g, s in limits["activation"].items())
    return (
        f"  {limits['dtype']}   peak {limits['peak'] / 1e9:.1f} GFLOP/s; read GB/s {bandwidth}; "
        f"ns per number {activation}; np.add(x, y, out=z) {seconds(limits['numpy_add'])}"
    )


def text(row):
    """One row of the document as lines of text."""
    limit = row["limit_seconds"]
    least = f", limit {seconds(limit)}" if limit else ""
    lines = [f"{row['case']}  {row['dtype']}{least}"]
    for name, result in row["results"].items():
        gflops = result["gflops"]
        lines.append(
            COLUMNS.format(
                f"    {name}",
                seconds(result["seconds"]),
                f"{gflops:.2f}" if gflops else "-",
                percent(result["share_of_peak"]),
                percent(result["share_of_limit"]),
                f"{result['ratio']:.2f} x" if result["ratio"] else "-",
                percent(result["spread"]),
            )
        )
    lines += [f"    {name:<26}WRONG: {why}" for name, why in row["wrong"].items()]
    return "\n".join(lines)


def seconds(value):
    """Three digits and a unit, 12.3 µs."""
    units = ((1, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns"))
    scale, unit = next((u for u in units if value * u[0] >= 0.9995), units[-1])
    number = value * scale
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f} {unit}"


def percent(share):
    """A share in per cent, or a dash where there is none."""
    return "-" if share is None else f"{100 * share:.0f} %"


# --- from a file --------------------------------------------------------------------------------


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=main.__doc__)
    parser.add_argument("json", help="what --json wrote")
    parser.add_argument("--markdown", metavar="FILE")
    parser.add_argument("--picture", metavar="FILE")
    options = parser.parse_args(arguments)
    document = json.loads(Path(options.json).read_text())
    print(heading(document))
    for row in document["rows"]:
        print(text(row))
    write(document, markdown_file=options.markdown, picture_file=options.picture)


if __name__ == "__main__":
    main()
