"""The command ``fastnn``: ``fastnn demo`` and ``fastnn info``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

import fastnn
from fastnn import backends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.backends.report import BackendInfo

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed (one line on stderr says why), 130 stopped by Ctrl-C.

    Raises
    ------
    SystemExit
        From argparse: code 2 for arguments that make no sense, 0 after a help text.

    Examples
    --------
    >>> from fastnn import cli
    >>> cli.main(["info"])  # doctest: +SKIP
    0
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        return code
    except KeyboardInterrupt:
        print("\nfastnn: stopped by Ctrl-C", file=sys.stderr)
        return 130
    except (ImportError, OSError) as error:
        return _failed(error)


def _failed(error: Exception | str) -> int:
    print(f"fastnn: {error}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastnn", description="Dense neural networks on a CPU.")
    parser.add_argument("--version", action="version", version=f"fastnn {fastnn.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser("demo", help="train on real data in every backend, and compare")
    demo.add_argument(
        "--backend", choices=backends.NAMES, help="run this one and NumPy only (default: all)"
    )
    demo.add_argument(
        "--output",
        default="fastnn-demo",
        metavar="DIR",
        help="folder for the pictures (%(default)s)",
    )
    demo.add_argument("--no-plots", action="store_true", help="draw no pictures")
    demo.add_argument(
        "--seed", type=_seed, default=1, help="for weights and order of examples (%(default)s)"
    )
    demo.set_defaults(command=_demo)

    info = commands.add_parser("info", help="say which backend runs, and why the others do not")
    info.add_argument("--json", action="store_true", help="for a machine to read")
    info.set_defaults(command=_info)
    return parser


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"must be an integer >= 0, got {text!r}")
    return int(text)


def _demo(options: argparse.Namespace) -> int:
    from fastnn import demo  # `fastnn info` need not wait for it

    refused = backends.backend_info()["refused"]
    if refused is not None:
        return _failed(refused)
    return demo.run(options.backend, options.output, not options.no_plots, options.seed)


def _info(options: argparse.Namespace) -> int:
    report = backends.backend_info()
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print(report)
    return 0 if report["refused"] is None else _failed(report["refused"])


def _print(report: BackendInfo) -> None:
    versions = ", ".join(f"{name} {found or 'none'}" for name, found in report["versions"].items())
    levels = report["simd_levels"]
    print(f"versions        {versions}")
    print(
        f"backend in use  {report['active'] or 'none: what was asked for cannot be had'}"
        + (f" ({report['simd']})" if report["simd"] else "")
    )
    print(f"available       {', '.join(report['available'])}")
    for name, reason in report["unavailable"].items():
        print(f"not available   {name}: {reason}")
    if levels["cpu"]:
        print(f"SIMD levels     built {', '.join(levels['built'])}; this CPU runs {levels['cpu']}")
    print(f"threads         at most {report['threads']}")
