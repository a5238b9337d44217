"""The document (report.py) as Markdown tables, for a README."""

from bench.cases import NETWORK_KINDS
from bench.report import percent, seconds

__all__ = ["markdown"]


def markdown(document):
    """One table for each dtype, and one for the layer kernels; losses are marked, not hidden."""
    rows = document["rows"]
    parts = [f"<!-- {document['title']} -->", _heading(document)]
    for dtype in dict.fromkeys(row["dtype"] for row in rows):
        for title, kernels in (("networks", False), ("layer kernels", True)):
            chosen = [
                row
                for row in rows
                if row["dtype"] == dtype and (row["kind"] not in NETWORK_KINDS) == kernels
            ]
            if chosen:
                parts.append(f"**{dtype}, {title}**\n\n{_table(document, chosen)}")
    return "\n\n".join(parts) + "\n"


def _heading(document):
    about, ours = document["machine"], document["ours"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    peaks = ", ".join(
        f"{limits['peak'] / 1e9:.1f} GFLOP/s in {dtype}"
        for dtype, limits in document["limits"].items()
        if limits
    )
    return (
        f"{about['cpu']}, {document['run']}; "
        f"Python {about['python']}, {versions}."
        + (f" Peak of the core: {peaks}." if peaks else "")
        + f" GFLOP/s, shares and ratio are those of {ours}; the best time of each row is bold."
    )


def _table(document, rows):
    ran = {name for row in rows for name in (*row["results"], *row["wrong"])}
    names = [name for name in document["contenders"] if name in ran]
    against = document["against"]
    head = ["work", *names, "GFLOP/s", "of peak", "of limit", f"ratio to {against}"]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    lines += [_line(_cells(row, names, document["ours"])) for row in rows]
    return "\n".join(lines)


def _cells(row, names, ours):
    results = row["results"]
    best = min(results, key=lambda name: results[name]["seconds"], default=None)
    cells = [row["case"]]
    for name in names:
        if name in row["wrong"]:
            cells.append("wrong")
        elif name not in results:
            cells.append("-")
        else:
            time = seconds(results[name]["seconds"])
            cells.append(f"**{time}**" if name == best else time)
    result = results.get(ours)
    if result is None:
        return [*cells, "-", "-", "-", "-"]
    return [
        *cells,
        f"{result['gflops']:.1f}" if result["gflops"] else "-",
        percent(result["share_of_peak"]),
        percent(result["share_of_limit"]),
        _ratio(result["ratio"]),
    ]


def _ratio(ratio):
    if ratio is None:
        return "-"
    digits = 1 if ratio >= 2 else 2
    return f"{ratio:.{digits}f}" + " (slower)" * (round(ratio, 2) < 1)


def _line(cells):
    return "| " + " | ".join(cells) + " |"
