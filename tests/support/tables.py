"""The tables that the whole suite shares.

The **kernel sets** (which backends, at which SIMD levels), the **cases** (sizes,
activations, losses, networks), and the **tolerances** (each with its unit and its reason).
A test names what it needs; nothing else in the suite knows a number.
"""

import importlib
import importlib.util
import pkgutil
import platform
from pathlib import Path
from typing import NamedTuple

import numpy as np

# --- what runs: backends and SIMD levels --------------------------------------------------

X86_LEVELS = ("v2", "v3", "v4")


class KernelSet(NamedTuple):
    """One backend at one SIMD level; `simd` is None where there is no choice of it."""

    backend: str
    simd: str | None = None

    def __str__(self):
        return f"{self.backend}-{self.simd}" if self.simd else self.backend

    def module(self, dtype):
        """The module of kernels for `dtype`; an ImportError is a failure of the test."""
        if self.backend == "cython":
            return importlib.import_module(f"fastnn._simd.{self.simd}_{np.dtype(dtype)}")
        return importlib.import_module(f"fastnn._kernels_{self.backend}")


def cpu_level():
    """The highest SIMD level that this CPU runs, or None if fastnn was not built."""
    try:
        return importlib.import_module("fastnn._cpu").simd_level()
    except ImportError:
        return None


def runnable_levels():
    """The levels to test: all up to the CPU's own.

    Where nothing was built this still asks for the lowest level, so that the tests of the
    compiled kernels fail instead of vanishing.
    """
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    level = cpu_level() or ("v2" if on_x86 else "baseline")
    if level in X86_LEVELS:
        return X86_LEVELS[: X86_LEVELS.index(level) + 1]
    return (level,)


def built_levels():
    """The levels for which there are modules, whether this CPU can run them or not."""
    try:
        package = importlib.import_module("fastnn._simd")
    except ImportError:
        return ()
    return sorted({found.name.split("_")[0] for found in pkgutil.iter_modules(package.__path__)})


REFERENCE = KernelSet("numpy")
COMPILED = tuple(KernelSet("cython", level) for level in runnable_levels())
KERNEL_SETS = (*COMPILED, KernelSet("numba"), REFERENCE)
BACKENDS = ("cython", "numba", "numpy")
DTYPES = (np.float32, np.float64)


# --- the table of cases -------------------------------------------------------------------

SIZES = (1, 3, 7, 8, 9, 15, 16, 17, 47, 48, 49, 65)
"""Around the vector widths (8, 16) and the widest tile (48)."""

SHAPES = tuple(
    (SIZES[i], SIZES[j], SIZES[(i + j) % len(SIZES)])
    for i in range(len(SIZES))
    for j in range(len(SIZES))
)
"""(n_out, n_in, m): a Latin square, so any two sizes meet on any two axes."""

LARGE_SHAPES = ((130, 785, 33), (10, 1030, 257), (33, 515, 1025), (5, 1, 3001), (1, 129, 2049))
"""Past one panel, past one block of k (384 to 512), past one block of examples."""

SLOPE, DELTA = 0.2, 0.7
"""The parameters of leaky_relu and of elu, and of huber, in all cases."""
PARAMETERS = {"leaky_relu": SLOPE, "elu": SLOPE, "huber": DELTA}
ACTIVATIONS = (
    "linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax", "gelu", "elu", "softplus", "silu",
    "gelu_tanh", "exponential",
)  # fmt: skip
ELEMENTWISE = tuple(name for name in ACTIVATIONS if name != "softmax")
FROM_Z = ("gelu", "elu", "softplus", "silu", "gelu_tanh")
"""Those whose derivative cannot be told from the output."""
FROM_OUTPUT = tuple(name for name in ELEMENTWISE if name not in FROM_Z)
CURVES = ("sigmoid", "tanh", *FROM_Z, "exponential")
"""Those that are not a single operation: their accuracy is promised in ULP."""
LOSSES = ("mse", "binary_cross_entropy", "cross_entropy", "huber", "mae", "poisson")
PAIRS = (
    ("mse", "linear"),
    ("mse", "relu"),
    ("mse", "leaky_relu"),
    ("mse", "tanh"),
    ("mse", "sigmoid"),
    ("mse", "softmax"),
    ("binary_cross_entropy", "sigmoid"),
    ("cross_entropy", "softmax"),
    ("mse", "gelu"),
    ("huber", "linear"),
    ("huber", "tanh"),
    ("huber", "softmax"),
    ("huber", "gelu"),
    ("mse", "elu"),
    ("mse", "silu"),
    ("mse", "gelu_tanh"),
    ("mae", "linear"),
    ("mae", "sigmoid"),
    ("poisson", "exponential"),
    ("poisson", "softplus"),
)
"""Losses with output activations that they may go with: each pair, and each way to dZ."""


def named(row):
    """What the public functions are given for the name of an activation or of a loss."""
    return (row, PARAMETERS[row]) if row in PARAMETERS else row


class NetworkCase(NamedTuple):
    """A network, and the examples to run it on."""

    layer_sizes: tuple
    hidden: tuple
    loss: str
    output: str
    m: int

    def __str__(self):
        sizes = "-".join(map(str, self.layer_sizes))
        return (
            f"{sizes} {'/'.join(dict.fromkeys(self.hidden))} {self.loss}/{self.output} m={self.m}"
        )

    @property
    def activations(self):
        return (*self.hidden, self.output)


NETWORKS = (
    # One layer, then deeper ones; every pair; every hidden activation; sizes off the tiles.
    NetworkCase((3, 1), (), "mse", "linear", 5),
    NetworkCase((1, 1, 1), ("tanh",), "mse", "linear", 1),
    NetworkCase((2, 4, 1), ("tanh",), "binary_cross_entropy", "sigmoid", 47),
    NetworkCase((9, 7, 3), ("relu",), "cross_entropy", "softmax", 49),
    NetworkCase((7, 17, 2), ("leaky_relu",), "mse", "relu", 65),
    NetworkCase((8, 16, 3), ("sigmoid",), "mse", "leaky_relu", 48),
    NetworkCase((15, 9, 4), ("tanh",), "mse", "tanh", 33),
    NetworkCase((16, 15, 2), ("linear",), "mse", "sigmoid", 17),
    NetworkCase((17, 8, 5), ("relu",), "mse", "softmax", 31),
    NetworkCase((48, 49, 65, 10), ("relu", "tanh"), "cross_entropy", "softmax", 100),
    NetworkCase((5, 47, 3, 48, 1), ("tanh", "leaky_relu", "sigmoid"), "mse", "linear", 64),
    NetworkCase((37, 53, 7), ("relu",), "cross_entropy", "softmax", 1013),
    NetworkCase((64, 130, 3), ("tanh",), "mse", "linear", 1),
    NetworkCase((600, 20, 2), ("relu",), "mse", "linear", 9),
    # A first layer of few rows: X is read as it stands.
    NetworkCase((33, 1), (), "binary_cross_entropy", "sigmoid", 333),
    NetworkCase((9, 2), (), "cross_entropy", "softmax", 50),
    NetworkCase((41, 3, 5), ("tanh",), "mse", "linear", 5000),
    NetworkCase((200, 2), (), "mse", "leaky_relu", 77),
    # A layer that keeps its derivative beside its output, in the middle and at the end.
    NetworkCase((9, 17, 8, 3), ("gelu", "tanh"), "cross_entropy", "softmax", 65),
    NetworkCase((5, 33, 2), ("relu",), "huber", "gelu", 47),
    NetworkCase((16, 7, 1), ("gelu",), "huber", "linear", 300),
    NetworkCase((7, 17, 9, 2), ("elu", "silu"), "poisson", "softplus", 65),
    NetworkCase((9, 16, 3), ("gelu_tanh",), "mae", "tanh", 49),
    NetworkCase((6, 15, 8, 1), ("softplus", "silu"), "poisson", "exponential", 130),
    # Wide: several blocks of examples, several groups of panels for one row of weights.
    NetworkCase((784, 260, 10), ("relu",), "cross_entropy", "softmax", 700),
    NetworkCase((3, 1100, 600, 2), ("tanh", "relu"), "mse", "linear", 70),
)


def bench_cases():
    """The benchmarks' table, loaded from its file: no import path is changed for it."""
    path = Path(__file__).resolve().parents[2] / "bench" / "cases.py"
    spec = importlib.util.spec_from_file_location("bench_cases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("[!_]*.py"))
"""The example scripts, where they lie beside the tests; the header tells if they do not."""


# --- the table of tolerances --------------------------------------------------------------


class Tolerance(NamedTuple):
    """A bound for each dtype, in `unit`; the end of the test run prints the worst met."""

    float32: float
    float64: float
    unit: str
    reason: str

    def at(self, dtype):
        return getattr(self, np.dtype(dtype).name)


TOLERANCES = {
    "activation": Tolerance(
        4, 2, "ULP of the true value",
        "the design's promise for sigmoid and tanh; relu and the others are exact to 1",
    ),
    "softmax": Tolerance(
        1, 1, "eps a (4 + n/4 + |z - max z|)",
        "z - max z is rounded before exp, which makes that error relative; n terms are summed",
    ),
    "derivative": Tolerance(
        2, 2, "eps",
        "1 - a^2 cancels near |a| = 1, so the error is absolute; fused or not, two roundings",
    ),
    "product": Tolerance(
        1, 1, "k eps (|W| |A| + |b|)",
        "the design's c: any order of summation errs by k eps / 2 at most, on each side",
    ),
    "cost": Tolerance(
        8, 8, "eps J",
        "each logarithm errs by a few ULP, the sum over the outputs by less: no term is < 0",
    ),
    "step": Tolerance(
        1e-5, 1e-12, "norm of the array",
        "the design's promise for one step against the reference",
    ),
    "trace": Tolerance(
        1e-5, 1e-12, "norm of the array",
        "the same as one step's: 50 steps at a modest learning rate do not amplify",
    ),
    "rule": Tolerance(
        1e-5, 1e-12, "norm of the array",
        "the design's promise for every optimizer, penalty, mask and weight",
    ),
    "paper": Tolerance(
        8, 8, "eps of the number",
        "numbers worked out by hand, or in Python, pass through a handful of roundings",
    ),
    "central difference": Tolerance(
        float("nan"), 1e-8, "norm of the gradient",
        "with h = 1e-5 the truncation is near h^2 = 1e-10, the rounding near eps / h = 2e-11",
    ),
}  # fmt: skip
