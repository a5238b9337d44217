"""``python -m bench``: every kernel and network, in every backend, against the limit.

First each result is verified against the NumPy reference, then it is timed.  Contenders
take turns and the best round counts; steps and epochs are timed inside ``fit``.

The columns: GFLOP/s of the multiply-adds that have to be done; their share of the core's
peak; the share of the limit, which also counts memory and activations (see limits.py); the
ratio to plain NumPy; and the spread, how far the median round lies above the best.
"""

import sys

from bench import command, machine
from bench.cases import CASES, LAYERS


def main(arguments=None):
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    cases = command.choose((*LAYERS, *CASES), options)
    pinned = machine.confine(max(options.threads), options.pin)
    from bench.contenders.plain_numpy import Plain  # NumPy loads here, with its threads set

    ours, notes = _backends(options)
    heading = {
        "title": "fastnn: kernels and networks against plain NumPy and the limit",
        "ours": ours[0].name,
        "baseline": [Plain.name],
        "against": Plain.name,
        "run": f"{pinned}; threads: {', '.join(map(str, options.threads))}",
        "notes": notes,
    }
    return command.run(heading, cases, [Plain(max(options.threads)), *reversed(ours)], options)


def _parser():
    parser = command.parser("python -m bench", __doc__)
    parser.add_argument(
        "--backend", nargs="+", choices=("cython", "numba", "numpy"), help="(default: all)"
    )
    parser.add_argument(
        "--simd",
        nargs="+",
        choices=("v2", "v3", "v4", "baseline"),
        default=[None],
        help="levels of the Cython backend, first the one to report on (default: the one in use)",
    )
    parser.add_argument(
        "--threads", nargs="+", type=int, default=[1], metavar="N", help="(default: 1)"
    )
    return parser


def _backends(options):
    """The backends to time, the fastest first, and what there is to say about them."""
    from bench.contenders.fastnn_backends import Fastnn, warm_up
    from fastnn import backends

    ours, notes = [], []
    for name in options.backend or backends.NAMES:
        for simd in options.simd if name == "cython" else [None]:
            try:
                backend = backends.load(name, simd)
            except ImportError as error:
                if options.backend or simd:
                    raise SystemExit(f"bench: {error}") from error
                notes.append(f"missing   {name}: {error}")
                continue
            ours += [Fastnn(backend, threads) for threads in options.threads]
            if name == "numba":
                dtypes = ("float32", "float64") if options.dtype == "both" else (options.dtype,)
                seconds = sum(warm_up(ours[-1], dtype) for dtype in dtypes)
                notes.append(f"Numba     {seconds:.1f} s to compile or load, not in the times")
    if len(options.threads) > 1:
        for contender in ours:
            contender.name += f" x{contender.threads}"
    return ours, notes


if __name__ == "__main__":
    sys.exit(main())
