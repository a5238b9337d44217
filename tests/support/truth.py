"""Independent truth: nothing here is computed the way that fastnn computes it."""

import math
from functools import lru_cache

import mpmath
import numpy as np

from support.tables import DELTA, SLOPE

PRECISE = mpmath.MPContext()
PRECISE.prec = 160

GOLDEN = 0x9E3779B97F4A7C15
"""2^64 times the golden section: a stride that visits all mantissas."""


def every(step, dtype):
    """Finite numbers of both signs, one of `step` bit patterns: every binade, subnormals too."""
    bits = np.dtype(f"u{np.dtype(dtype).itemsize}")
    last = np.array(np.finfo(dtype).max, dtype).view(bits)
    positive = np.arange(0, int(last), step, dtype=bits).view(dtype)
    return np.concatenate([positive, -positive])


def grid(dtype):
    """A row of inputs for an activation: all binades, and densely where the curve bends."""
    rng = np.random.default_rng(1)
    if dtype == np.float32:
        parts = [every(9_973, dtype), rng.uniform(-120, 120, 100_000), rng.normal(size=100_000)]
    else:
        parts = [every(GOLDEN >> 12, dtype), rng.uniform(-760, 760, 4_000), rng.normal(size=8_000)]
    # An odd length, so that the last vector is not full.
    return np.concatenate([*parts, [0.625]]).astype(dtype)[None, :]


@lru_cache
def curve(activation, dtype):
    """g of `grid(dtype)` as an unevaluated sum (high, low) of two float64 arrays."""
    Z = grid(dtype)
    if dtype == np.float32:
        # float64 is 2^29 times as fine as needed, and is itself checked against mpmath.
        Z = Z.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            high = _CURVES[activation](Z)
        return high, np.zeros_like(high)
    exact = [_PRECISE_CURVES[activation](PRECISE.mpf(z)) for z in Z.ravel().tolist()]
    high = np.array([float(value) for value in exact])
    low = np.array([float(value - PRECISE.mpf(h)) for value, h in zip(exact, high.tolist())])
    return high.reshape(Z.shape), low.reshape(Z.shape)


_ROOT = math.sqrt(8 / math.pi)
_erfc = np.frompyfunc(math.erfc, 1, 1)
_CURVES = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "gelu": lambda z: z * _erfc(-z / math.sqrt(2)).astype(np.float64) / 2,
    "elu": lambda z: np.where(z > 0, z, float(np.float32(SLOPE)) * np.expm1(np.minimum(z, 0))),
    "softplus": lambda z: np.logaddexp(0, z),
    "silu": lambda z: z / (1 + np.exp(-z)),
    "gelu_tanh": lambda z: z / (1 + np.exp(-(_ROOT * z * (1 + 0.044715 * z * z)))),
    "exponential": np.exp,
}
_PRECISE_CURVES = {
    "sigmoid": lambda z: 1 / (1 + PRECISE.exp(-z)),
    "tanh": PRECISE.tanh,
    # Beyond 60 mpmath's erfc gives up; there gelu is z, or 0, in either dtype.
    "gelu": lambda z: z * (PRECISE.erfc(-z / PRECISE.sqrt(2)) / 2 if abs(z) < 60 else z > 0),
    "elu": lambda z: z if z > 0 else PRECISE.mpf(SLOPE) * PRECISE.expm1(z),
    "softplus": lambda z: max(z, 0) + PRECISE.log1p(PRECISE.exp(-abs(z))),
    "silu": lambda z: z / (1 + PRECISE.exp(-z)),
    "gelu_tanh": lambda z: z / (1 + PRECISE.exp(-_twice_u(z))),
    "exponential": PRECISE.exp,
}


def _twice_u(z):
    return PRECISE.sqrt(8 / PRECISE.pi) * (z + PRECISE.mpf("0.044715") * z**3)


def ulps(actual, high, low=0.0):
    """|actual - (high + low)| in units of the last place of the true value."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = high.astype(actual.dtype)
        ulp = np.spacing(np.abs(rounded)).astype(np.float64)
        error = np.abs((actual.astype(np.float64) - high) - low) / ulp
    return np.where(np.isinf(rounded) & (actual == rounded), 0.0, error)


def cost(A, Y, loss):
    """The cost of small arrays with 160 bits, and the same with all terms made positive.

    Logarithms see tiny and 1 - eps/2 at most.
    """
    info = np.finfo(A.dtype)
    tiny, below_1 = PRECISE.mpf(float(info.tiny)), 1 - PRECISE.mpf(float(info.epsneg))
    log, total, size = PRECISE.log, PRECISE.mpf(0), PRECISE.mpf(0)
    for a, y in zip(A.ravel().tolist(), Y.ravel().tolist()):
        a, y = PRECISE.mpf(a), PRECISE.mpf(y)
        if loss == "mse":
            total += (a - y) ** 2 / 2
        elif loss == "mae":
            total += abs(a - y)
        elif loss == "poisson":
            total += a - y * log(max(a, tiny))
            size += a + abs(y * log(max(a, tiny)))
        elif loss == "huber":
            r, delta = abs(a - y), PRECISE.mpf(DELTA)
            total += r**2 / 2 if r <= delta else delta * (r - delta / 2)
        elif loss == "binary_cross_entropy":
            total -= y * log(max(a, tiny)) + (1 - y) * log(1 - min(a, below_1))
        else:
            total -= y * log(max(a, tiny))
    return float(total / A.shape[1]), float(max(total, size) / A.shape[1])


MASK = (1 << 64) - 1


def splitmix64(seed, count):
    """The first `count` numbers of SplitMix64, in Python's integers of any size."""
    numbers, state = [], seed & MASK
    for _ in range(count):
        state = (state + GOLDEN) & MASK
        numbers.append(_mix64(state))
    return numbers


def _mix64(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def shuffled(m, seed, epoch):
    """The permutation that the contract of `shuffle` describes, one swap at a time."""
    order = list(range(m))
    numbers = splitmix64(_mix64((seed + epoch) & MASK), m)
    for i in reversed(range(1, m)):
        j = (numbers[i] >> 32) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def mask(seed, step, layer, keep, n, columns):
    """The mask of dropout that the contract describes, one number at a time."""
    stream = _mix64((_mix64((seed + step * GOLDEN) & MASK) + layer) & MASK)

    def kept(i, j):
        word = _mix64((stream + ((i << 32) + (j >> 1)) * GOLDEN) & MASK)
        return (word >> 32 if j % 2 else word & 0xFFFFFFFF) < math.floor(keep * 2**32)

    return np.array([[1 / keep if kept(i, j) else 0.0 for j in columns] for i in range(n)])
