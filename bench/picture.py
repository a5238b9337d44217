"""Pictures of a document (report.py): ratios and shares as bars, and time against size.

Left: how many times faster ours is than the fastest rival, row by row.  Right: the share
of the machine's limit that ours reaches, with a mark for the rival's.  Below: the time of
one example as the number of examples grows, with the limit as a line.
"""

import itertools

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.cases import NETWORK_KINDS

__all__ = ["draw"]

OURS, SLOWER, RIVAL, INK, GRID = "#1b6ca8", "#c8553d", "#e08e2b", "#22272e", "#e4e7eb"
LINES = ("#8a8f98", "#e08e2b", "#4c9f70", "#8e5ea2", "#b5485d", "#3aa6b9")
MARKERS = "sD^vPX"
LEAST_POINTS = 3
"""Of a network timed with so many numbers of examples there is a curve."""

STYLE = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(document, file):
    """Draw a document into a picture file, for the first dtype in it."""
    dtype = document["rows"][0]["dtype"]
    rows = [r for r in document["rows"] if r["dtype"] == dtype and document["ours"] in r["results"]]
    compared = [row for row in rows if row["best_rival"]]
    networks = [row for kind in NETWORK_KINDS for row in compared if row["kind"] == kind]
    with rc_context(STYLE):
        _figure(document, dtype, networks or compared or rows).savefig(
            file, dpi=150, facecolor="white"
        )


def _figure(document, dtype, rows):
    curves = _curves(rows)
    inches = [0.9, 0.25 * len(rows) + 1.0] + [3.8] * bool(curves)  # title, bars, curves
    figure = Figure(figsize=(11.5, sum(inches)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1)
    title, bars, *rest = figure.subfigures(len(inches), 1, height_ratios=inches)
    _title(title, document, dtype)
    ratio, share = bars.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    places = _places(rows)
    _draw_ratios(ratio, document, rows, places)
    _draw_shares(share, document, rows, places)
    if curves:
        _draw_curves(rest[0], document, curves)
    return figure


def _title(figure, document, dtype):
    about = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    where = f"{dtype}, {about['cpu']}, {document['run']}"
    figure.text(0.01, 0.66, document["title"], fontsize=15, weight="bold")
    figure.text(0.01, 0.12, f"{where}\n{versions}", fontsize=9)


# --- bars -------------------------------------------------------------------------------------


def _places(rows):
    """Where each row stands: one below the other, with a gap between the kinds."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    return [place + 0.6 * kinds.index(row["kind"]) for place, row in enumerate(rows)]


def _draw_ratios(axis, document, rows, places):
    """Bars of the ratio to the fastest rival, which is named unless it is always the same."""
    ours, one_rival = document["ours"], len(document["baseline"]) == 1
    ratios = [row["results"][ours]["ratio"] or 1.0 for row in rows]
    colors = [OURS if ratio >= 1 else SLOWER for ratio in ratios]
    axis.barh(places, [ratio - 1 for ratio in ratios], left=1, height=0.74, color=colors)
    for place, ratio, row in zip(places, ratios, rows, strict=True):
        number = f"{ratio:.{2 if ratio < 2 else 1 if ratio < 9.95 else 0}f} ×"
        label = number if one_rival else f"{number}  {row['best_rival']}"
        _write(axis, label, max(ratio, 1), place)
    axis.set_xscale("log")
    axis.set_xlim(min(0.6, *ratios) * 0.9, max(3, *ratios) * (1.6 if one_rival else 4))
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g} ×"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.axvline(1, color=INK, linewidth=1)
    axis.set_yticks(places, [row["case"] for row in rows])
    axis.set_ylim(places[-1] + 0.7, -0.7)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
    axis.set_title(f"Speed of {ours} relative to {document['against']}")


def _draw_shares(axis, document, rows, places):
    """Bars of the share of the limit, with a mark where the fastest rival's bar would end."""
    for place, row in zip(places, rows, strict=True):
        share = row["results"][document["ours"]]["share_of_limit"]
        if share is None:
            continue
        axis.barh(place, 100 * share, height=0.74, color=OURS)
        _write(axis, f"{100 * share:.0f} %", 101, place)
        rival = row["results"].get(row["best_rival"])
        if rival:
            x = 100 * rival["share_of_limit"]
            axis.plot([x, x], [place - 0.37, place + 0.37], color=RIVAL, linewidth=3)
    axis.set_xlim(0, 115)
    axis.set_xticks(range(0, 101, 20))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.0f} %"))
    axis.axvline(100, color=INK, linewidth=1)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
    axis.set_title(f"Share of the limit\n(orange: {document['against']})")


def _write(axis, label, x, y):
    """A label to the right of a point."""
    axis.annotate(
        label, (x, y), (4, 0), textcoords="offset points", va="center_baseline", fontsize=8.5
    )


# --- curves -----------------------------------------------------------------------------------


def _curves(rows):
    """[(kind and sizes, rows by growing m)] of what was timed with enough numbers of examples."""
    groups = {}
    for row in rows:  # the first of so many examples: plain, before those with other rules
        groups.setdefault(f"{row['kind']} {row['sizes']}", {}).setdefault(row["m"], row)
    return [
        (name, [group[m] for m in sorted(group)])
        for name, group in groups.items()
        if len(group) >= LEAST_POINTS
    ]


def _draw_curves(figure, document, curves):
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, (name, rows) in zip(axes, curves, strict=True):
        for contender, look in _looks(document).items():
            _draw_line(axis, rows, contender, look)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(_time))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("number of examples")
        axis.set_title(f"Time of one example, {name}")
        axis.grid()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)


def _looks(document):
    """How the line of each contender is drawn; ours and the limit last, on top."""
    others = [name for name in document["contenders"] if name != document["ours"]]
    pairs = zip(itertools.cycle(LINES), itertools.cycle(MARKERS), strict=False)
    looks = {
        name: {"color": color, "marker": marker, "linewidth": 1.3}
        for name, (color, marker) in zip(others, pairs, strict=False)
    }
    looks[document["ours"]] = {"color": OURS, "marker": "o", "linewidth": 2.4}
    looks["the limit"] = {"color": INK, "linestyle": "--", "linewidth": 1.2}
    return looks


def _draw_line(axis, rows, contender, look):
    points = []
    for row in rows:
        result = row["results"].get(contender, {})
        seconds = row["limit_seconds"] if contender == "the limit" else result.get("seconds")
        if seconds is not None:
            points.append((row["m"], seconds / row["m"]))
    if points:
        axis.plot(*zip(*points, strict=True), markersize=5, label=contender, **look)


def _time(value, _):
    """A tick's seconds with a unit."""
    for scale, unit in ((1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if value >= 0.999 * scale:
            return f"{value / scale:g} {unit}"
    return f"{value / 1e-9:g} ns"
