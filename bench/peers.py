"""``python -m bench.peers``: whole networks, against whichever peers are installed.

PyTorch, JAX, ONNX Runtime and OpenVINO (both forward only) and scikit-learn in their best usual
form, and plain NumPy as the course writes it; training by Adam and the like also beside our own
without ("fastnn without").  All get the same data and initial parameters, and their results are
verified against the reference before they are timed.  Ratios are to the fastest of them in each
row; with ``--gate`` the exit code is 1 where that is ahead of us (`bench.compare` is the gate
against what we were).  LIBXSMM is not among them: it cannot be installed with pip.
"""

import sys
from importlib import import_module

from bench import command, machine
from bench.cases import CASES, TRAINING

PEERS = {
    "torch": "bench.contenders.pytorch",
    "jax": "bench.contenders.jax_xla",
    "onnxruntime": "bench.contenders.onnx_runtime",
    "openvino": "bench.contenders.openvino_runtime",
    "sklearn": "bench.contenders.scikit_learn",
}


def main(arguments=None):
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    cases = command.choose([*CASES, *TRAINING], options)
    pinned = machine.confine(options.threads, options.pin)
    from bench.contenders.fastnn_backends import Beside, Fastnn  # NumPy loads here, its threads set
    from bench.contenders.plain_numpy import Plain
    from fastnn import backends

    peers, missing = _load(options.peer or PEERS, options.threads)
    backend = backends.load(options.backend, options.simd)
    ours, kernels = Fastnn(backend, options.threads, name="fastnn"), Fastnn(backend).name
    beside = Beside(backend, options.threads, name="fastnn without")
    heading = {
        "title": "fastnn against its peers",
        "ours": ours.name,
        "baseline": [Plain.name, *(peer.name for peer in peers)],
        "against": "the fastest peer",
        "run": f"{pinned}; threads: {options.threads}; fastnn runs on {kernels}",
        "notes": [*missing, "missing   LIBXSMM: it cannot be installed with pip"],
    }
    contenders = [ours, beside, Plain(options.threads), *peers]
    return command.run(heading, cases, contenders, options)


def _parser():
    parser = command.parser("python -m bench.peers", __doc__)
    parser.add_argument("--peer", nargs="+", choices=PEERS, help="(default: all)")
    parser.add_argument(
        "--backend", choices=("auto", "cython", "numba", "numpy"), default="auto", help="of fastnn"
    )
    parser.add_argument("--simd", choices=("v2", "v3", "v4", "baseline"), help="of fastnn")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="(default: 1)")
    parser.add_argument("--gate", action="store_true", help="exit with 1 where a peer is ahead")
    return parser


def _load(names, threads):
    """The peers that are installed, and what to say about the others."""
    peers, missing = [], []
    for name in names:
        try:
            peers.append(import_module(PEERS[name]).Contender(threads))
        except ImportError as error:
            missing.append(f"missing   {name}: {error}")
    return peers, missing


if __name__ == "__main__":
    sys.exit(main())
