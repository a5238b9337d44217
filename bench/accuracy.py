"""``python -m bench.accuracy``: how far the activations are from the truth, in ULP.

An error is counted in units in the last place of the true value: the distance between the
two numbers of the dtype that enclose it, even where it would round up to a power of two.
The inputs are all 2^32 float32 numbers, or 2 * 10^7 float64 numbers: a comb through every
binade, and densely where the curves bend.  Softmax is that of the two classes (x, 0), whose
first output is sigmoid(x).  Where x is so low that 1 + exp(x) is 1, the kernel's quotient is
its exp(x): that is the row "exp".

The error of a derivative that is computed from the input, such as gelu', is counted in machine
epsilons instead: it may have a zero, near which its error is not relative.

The truth is NumPy's float64 for float32, and for float64 its longdouble, which must be wider
than float64: it is on Linux, not on Windows or macOS with ARM.  Either errs by less than
0.01 ULP of the dtype in question.  (For gelu and gelu_tanh see bench/gelu_truth.py.)

Besides the error: signs of zero and infinities are compared bit by bit, every NaN must stay
a NaN, outputs keep to their range, and in the tails none falls, by more than the bound, while
x rises, or rises where the curve falls.  Any fault, or an error beyond the bound, makes the
exit code 1.
"""

import argparse
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bench import gelu_truth
from fastnn import backends
from fastnn.activations import ACTIVATIONS

__all__ = ["main"]

PROMISED = {"float32": 4, "float64": 2}
"""ULP of an activation: the row "activation" of the tolerances in tests/conftest.py."""

SOFTMAX = {"float32": 4.5, "float64": 4.5}
"""The row "softmax" there, for two classes and an exact z - max z."""

DERIVATIVE = {"float32": 2, "float64": 2}
"""The row "derivative" there, in machine epsilons."""

SLOPE = 0.01
CHUNK = 1 << 14
"""Inputs at a time: the arrays of a chunk stay in the L2 cache."""

QUICK_STEP = 997
FLOAT64_INPUTS = 20_000_000

MOST_FAULTS = 10
"""More of one function are not listed."""

TAIL = 8.0
"""From |x| = 8 on, exp differs between neighbours by 8 ULP or more."""


# --- the truth ------------------------------------------------------------------------------


class Function(NamedTuple):
    """A curve, the activation that computes it, and what it must be."""

    name: str
    activation: str
    truth: Callable
    range: tuple
    at_special: tuple
    """The values at `SPECIAL`; None where the bound says enough."""
    bounds: dict = PROMISED
    highest: float = np.inf
    """The largest x that counts."""
    derivative: bool = False
    """Whether it is the derivative that the activation gives beside its value."""
    tails: tuple = (1, 1)
    """1 where the curve rises, -1 where it falls: to the left and to the right."""


def _sigmoid(x, slope):
    true = np.exp(-x)
    true += 1
    return np.divide(1, true, out=true)


def _silu(x, slope):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, x * e, x) / (1 + e)


def _silu_derivative(x, slope):
    e = np.exp(-np.abs(x))
    tail = e / (1 + e) * (1 - np.minimum(np.abs(x), 1e4) / (1 + e))
    return np.where(x < 0, tail, 1 - tail)


def _softplus(x, slope):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_derivative(x, alpha):
    return np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


def _leaky_relu(x, slope):
    return np.where(x > 0, x, slope * x)


INF, NAN = np.inf, np.nan
SPECIAL = (-0.0, 0.0, -INF, INF)
FUNCTIONS = (
    Function("sigmoid", "sigmoid", _sigmoid, (0, 1), (0.5, 0.5, 0.0, 1.0)),
    Function("tanh", "tanh", lambda x, slope: np.tanh(x), (-1, 1), (-0.0, 0.0, -1.0, 1.0)),
    Function(
        "gelu", "gelu", lambda x, slope: gelu_truth.gelu(x), (-0.17, INF), (-0.0, 0.0, -0.0, INF),
        tails=(-1, 1),
    ),
    Function(
        "gelu'", "gelu", lambda x, slope: gelu_truth.derivative(x), (-0.129, 1.129),
        (0.5, 0.5, 0.0, 1.0), bounds=DERIVATIVE, derivative=True, tails=(-1, -1),
    ),
    Function("elu", "elu", _elu, (-SLOPE, INF), (-0.0, 0.0, -SLOPE, INF)),
    Function(
        "elu'", "elu", _elu_derivative, (0, 1), (SLOPE, SLOPE, 0.0, 1.0), bounds=DERIVATIVE,
        derivative=True,
    ),
    Function("softplus", "softplus", _softplus, (0, INF), (None, None, 0.0, INF)),
    Function(
        "softplus'", "softplus", _sigmoid, (0, 1), (0.5, 0.5, 0.0, 1.0), bounds=DERIVATIVE,
        derivative=True,
    ),
    Function("silu", "silu", _silu, (-0.2785, INF), (-0.0, 0.0, -0.0, INF), tails=(-1, 1)),
    Function(
        "silu'", "silu", _silu_derivative, (-0.1, 1.1), (0.5, 0.5, 0.0, 1.0), bounds=DERIVATIVE,
        derivative=True, tails=(-1, -1),
    ),
    Function(
        "gelu_tanh", "gelu_tanh", lambda x, slope: gelu_truth.tanh_form(x), (-0.171, INF),
        (-0.0, 0.0, -0.0, INF), tails=(-1, 1),
    ),
    Function(
        "gelu_tanh'", "gelu_tanh", lambda x, slope: gelu_truth.tanh_form_derivative(x),
        (-0.13, 1.13), (0.5, 0.5, 0.0, 1.0), bounds=DERIVATIVE, derivative=True, tails=(-1, -1),
    ),
    Function(
        "exponential", "exponential", lambda x, slope: np.exp(x), (0, INF), (1.0, 1.0, 0.0, INF)
    ),
    Function("relu", "relu", lambda x, slope: np.maximum(x, 0), (0, INF), (0.0, 0.0, 0.0, INF)),
    Function("leaky_relu", "leaky_relu", _leaky_relu, (-INF, INF), (-0.0, 0.0, -INF, INF)),
    Function(
        "exp", "softmax", lambda x, slope: np.exp(x), (0, 1), (0.5, 0.5, 0.0, NAN), highest=-38.0
    ),
    Function("softmax", "softmax", _sigmoid, (0, 1), (0.5, 0.5, 0.0, NAN), bounds=SOFTMAX),
)  # fmt: skip
WIDER = {"float32": np.float64, "float64": np.longdouble}


def ulps_of_one(true, dtype):
    """How many ULP of `dtype` at each true value make 1: a power of two."""
    info = np.finfo(dtype)
    size = np.abs(true)
    np.maximum(size, info.tiny, out=size)  # subnormal numbers and 0 are spaced as tiny is
    _, exponent = np.frexp(size)
    np.subtract(info.nmant + 1, exponent, out=exponent)
    return np.ldexp(WIDER[dtype](1), exponent)


# --- the inputs -----------------------------------------------------------------------------


def finite_inputs(dtype, quick):
    """Chunks of finite numbers, in ascending order."""
    if dtype == "float32":
        last = _highest_bits(dtype)
        for k in _chunks(-last, last + 1, QUICK_STEP if quick else 1):
            yield _number(k, dtype)
    else:
        x = _float64_inputs(FLOAT64_INPUTS // (QUICK_STEP if quick else 1))
        yield from (x[i : i + CHUNK] for i in range(0, x.size, CHUNK))


def _float64_inputs(count):
    rng = np.random.default_rng(1)
    last = _highest_bits("float64")
    share = count // 5
    info = np.finfo("float64")
    ends = np.array([info.smallest_subnormal, info.tiny, info.max])
    x = np.concatenate(
        [
            _number(np.arange(-last, last, last // share), "float64"),
            rng.uniform(-760, 760, share),  # exp(x) is subnormal from -708, and 0 from -746
            rng.uniform(-40, 40, share),  # sigmoid(x) is 1 from 37, tanh(x) from 20
            rng.normal(size=share),
            ends,
            -ends,
        ]
    )
    x.sort()
    return x


def nan_inputs(dtype, quick):
    """Chunks of NaNs of both signs, quiet and signalling: all of float32, some of float64."""
    step = {"float32": QUICK_STEP if quick else 1, "float64": 1 << 42}[dtype]
    first = _highest_bits(dtype) + 2  # infinity is between them
    stop = first + (1 << np.finfo(dtype).nmant) - 1
    for k in _chunks(first, stop, step):
        yield _number(k, dtype)
        yield _number(-k, dtype)


def _chunks(first, stop, step):
    """The integers of a range.  (For np.arange the end of float64's would be too large.)"""
    count = len(range(first, stop, step))
    for i in range(0, count, CHUNK):
        yield first + step * np.arange(i, min(i + CHUNK, count))


def _number(k, dtype):
    """The k-th number above zero: bits and numbers have the same order."""
    bits = np.abs(k).astype(f"u{np.dtype(dtype).itemsize}")
    return np.copysign(bits.view(dtype), k.astype(dtype))


def _highest_bits(dtype):
    return int(np.array(np.finfo(dtype).max, dtype).view(f"u{np.dtype(dtype).itemsize}"))


# --- the comparison -------------------------------------------------------------------------


class Tally:
    """What is known of one function of one backend.

    Parameters
    ----------
    function : Function
    backend : fastnn.backends.Backend
    dtype : {"float32", "float64"}
    """

    def __init__(self, function, backend, dtype):
        self.function, self.backend, self.dtype = function, backend, dtype
        self.bound = function.bounds[dtype]
        self.kernels = backend.kernels(np.dtype(dtype))
        self.worst, self.where, self.tried = 0.0, "-", 0
        self.previous = np.dtype(dtype).type(-np.inf * function.tails[0])
        self.faults = []

    def add_finite(self, x, true, scale):
        """Compare g(x) with the truth, which `scale` turns to ULP; each x is above the last."""
        self.tried += x.size
        a = self._activate(x)
        self._compare(x, a, true, scale)
        low, high = self.function.range
        self._check("outside the range", x, (a < low) | (a > high))
        left, right = self.function.tails
        back = (np.append(self.previous, a[:-1]) - a) * np.where(x < 0, left, right)
        back = back > self.bound * np.spacing(np.abs(a))
        self._check("on the wrong side of that of a smaller x", x, back & (np.abs(x) >= TAIL))
        self.previous = a[-1]

    def add_special(self):
        """Compare bit by bit; only a limit 0 that is reached from below may have either sign."""
        self.tried += len(SPECIAL) - 1  # 0.0 is one of the finite inputs
        x = np.array(SPECIAL, self.dtype)
        a = self._activate(x)
        expected = [got if at is None else at for got, at in zip(a, self.function.at_special)]
        expected = np.array(expected, self.dtype)
        wrong = np.signbit(a) != np.signbit(expected)
        wrong[np.isnan(expected)] = False
        if self.function.tails[0] < 0:
            wrong[2] = False
        same = (a == expected) | (np.isnan(a) & np.isnan(expected))
        self._check("wrong", x, wrong | ~same)

    def add_nans(self, x):
        """NaN stays NaN."""
        self.tried += x.size
        self._check("a number", x, ~np.isnan(self._activate(x)))

    @property
    def passed(self):
        return self.worst <= self.bound and not self.faults

    def _activate(self, x):
        """g(x), or g'(x), each x an example; of softmax the first of the classes (x, 0)."""
        Z = np.zeros((2 if self.function.activation == "softmax" else 1, x.size), self.dtype)
        Z[0] = x
        A = np.empty_like(Z)
        D = np.empty_like(Z) if self.function.derivative else None
        self.kernels.activate(Z, ACTIVATIONS[self.function.activation].code, SLOPE, A, D)
        return A[0] if D is None else D[0]

    def _compare(self, x, a, true, scale):
        ulps = a - true
        np.abs(ulps, out=ulps)
        ulps *= scale
        rounded = true.astype(a.dtype)
        ulps[np.isinf(rounded) & (a == rounded)] = 0
        i = np.argmax(ulps)  # of a NaN, if there is one
        worst = np.inf if np.isnan(ulps[i]) else float(ulps[i])
        if worst > self.worst:
            self.worst, self.where = worst, x[i]

    def _check(self, what, x, wrong):
        if wrong.any() and len(self.faults) < MOST_FAULTS:
            i = np.argmax(wrong)
            self.faults.append(f"{self.function.name}({x[i]}) is {what}")


def measure(function, dtype, loaded, quick):
    """Return one `Tally` for each backend; they share the truth."""
    tallies = [Tally(function, backend, dtype) for backend in loaded]
    slope = WIDER[dtype](np.dtype(dtype).type(SLOPE))
    with np.errstate(all="ignore"):
        for x in finite_inputs(dtype, quick):
            x = x[: np.searchsorted(x, x.dtype.type(function.highest), "right")]
            if x.size == 0:
                break
            true = function.truth(x.astype(WIDER[dtype]), slope)
            scale = 1 / np.finfo(dtype).eps if function.derivative else ulps_of_one(true, dtype)
            for tally in tallies:
                tally.add_finite(x, true, scale)
        for x in nan_inputs(dtype, quick):
            for tally in tallies:
                tally.add_nans(x)
        for tally in tallies:
            tally.add_special()
    return tallies


# --- the command ----------------------------------------------------------------------------


def main(arguments=None):
    """Run the command line and return the exit code."""
    options = _parser().parse_args(arguments)
    dtypes = options.dtype or list(PROMISED)
    if "float64" in dtypes and np.finfo(np.longdouble).nmant < 63:
        raise SystemExit("float64 needs a wider longdouble than NumPy has on this system")
    loaded = _backends(options)
    print("function    dtype    kernels         ULP bound        inputs  at")
    passed = True
    for dtype in dtypes:
        for function in FUNCTIONS:
            for tally in measure(function, dtype, loaded, options.quick):
                print(_line(tally), *tally.faults, sep="\n    ", flush=True)
                passed = passed and tally.passed
    return int(not passed)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m bench.accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dtype", action="append", choices=tuple(PROMISED), help="may be repeated (default: both)"
    )
    parser.add_argument("--backend", choices=backends.NAMES, default="cython", help="(%(default)s)")
    parser.add_argument(
        "--simd",
        nargs="+",
        choices=(*backends.LEVELS, "baseline"),
        help="levels of the Cython backend (default: all that this CPU runs)",
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"one of {QUICK_STEP} inputs, evenly chosen"
    )
    return parser


def _backends(options):
    if options.backend != "cython":
        return [backends.load(options.backend)]
    levels = options.simd or reversed(backends.simd_levels()["runnable"])
    try:
        return [backends.load("cython", level) for level in levels]
    except ImportError as error:
        raise SystemExit(f"bench.accuracy: {error}") from error


def _line(tally):
    return (
        f"{tally.function.name:<11} {tally.dtype:<8} {tally.backend!s:<12} {tally.worst:>6.3f} "
        f"{tally.bound:>5} {tally.tried:>13,}  {tally.where}" + ("" if tally.passed else "  BROKEN")
    )


if __name__ == "__main__":
    sys.exit(main())
