"""What the machine could do: the lower bound of the time of a piece of work.

``T_limit = max(flops / peak, bytes / bandwidth) + activation time``: every multiply-add
that has to be done at the core's peak, or every byte that has to be moved once, whichever
takes longer, and every activation at the best rate that any backend here reaches.  Kernels
without a product have the longest of the three.  All of it is measured in the run that it
is compared with.
"""

from typing import NamedTuple

import numpy as np

from bench import machine, timing

__all__ = ["Limits", "measure", "peak"]

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "softmax")
DRAM_BYTES = 128 << 20


class Limits(NamedTuple):
    """The yardsticks of one dtype on one core."""

    dtype: str
    peak: float
    """FLOP/s of multiply-adds."""
    bandwidth: dict
    """{"L1": (bytes of the level, bytes per second), ..., "DRAM": ...}, smallest first."""
    activation: dict
    """{"tanh": seconds per number, ...}."""
    numpy_add: float
    """Seconds of ``np.add(x, y, out=z)`` on one number: what a call costs in NumPy."""

    def seconds(self, case, threads=1):
        """The lower bound of the time of a case on `threads` cores."""
        moved = case.elements * np.dtype(self.dtype).itemsize
        products, memory = case.flops / self.peak, moved / self._bandwidth(moved)
        activation = sum(self.activation.get(g, 0.0) * count for g, count in case.activated)
        if case.flops == 0:  # reading and writing are part of the rate of an activation
            return max(memory, activation) / threads
        return (max(products, memory) + activation) / threads

    def _bandwidth(self, moved):
        for size, bandwidth in self.bandwidth.values():
            if moved <= size:
                return bandwidth
        return bandwidth


def measure(dtype, kernel_modules, seconds=4.0):
    """Measure the `Limits` of this core, or return None without a compiled kernel.

    Parameters
    ----------
    dtype : str
    kernel_modules : list
        The kernels of all backends; those that have ``peak`` are the compiled ones.
    seconds : float
        Roughly how long to take.
    """
    compiled = [module for module in kernel_modules if hasattr(module, "peak")]
    if not compiled:
        return None
    effort = timing.Effort(1e-4, seconds / 100, least_rounds=12, most_rounds=400)
    codes = kernel_modules[0].ACTIVATION_CODES
    return Limits(
        dtype,
        peak(compiled, seconds / 5),
        _bandwidths(dtype, compiled, effort),
        {g: _activation(dtype, kernel_modules, codes[g], effort) for g in ACTIVATIONS},
        _numpy_add(dtype, effort),
    )


def peak(kernel_modules, seconds=0.5):
    """FLOP/s of the best of the compiled kernels, or None if there are none."""
    peaks = [module.peak for module in kernel_modules if hasattr(module, "peak")]
    return max((peak(seconds / len(peaks)) for peak in peaks), default=None)


def _rate(make, small, large, effort):
    """Elements per second of ``make(size)()``: what a call costs of itself cancels out."""
    runners = [timing.Call(make(small)), timing.Call(make(large))]
    low, high = (time.best for time in timing.interleaved(runners, effort))
    # A difference that drowns in noise must not make a limit of it.
    return (large - small) / (high - low) if high > 1.02 * low else large / high


def _bandwidths(dtype, compiled, effort):
    """Bytes per second read from each level of memory by whatever reads fastest."""
    itemsize = np.dtype(dtype).itemsize
    caches = machine.cache_sizes()
    # Sizes beyond the cache before this one, and well within it.
    levels = {"L1": (caches["L1"], caches["L1"] // 4, caches["L1"] * 3 // 4)}
    for before, name in (("L1", "L2"), ("L2", "L3")):
        levels[name] = (caches[name], 2 * caches[before], (2 * caches[before] + caches[name]) // 2)
    most = max(DRAM_BYTES, 2 * caches["L3"])
    levels["DRAM"] = (most, most // 2, most)
    X = np.ones(most // itemsize, dtype)

    def dot(size):
        x, y = X[: size // itemsize].reshape(2, -1)
        return lambda: np.dot(x, y)

    def finite(module):
        return lambda size: lambda: module.all_finite(X[np.newaxis, : size // itemsize])

    readers = [dot, *map(finite, compiled)]
    found, best = {}, 0.0
    for name, (size, small, large) in reversed(levels.items()):
        # What is nearer is no slower, even where its few nanoseconds drown in noise.
        best = max(best, *(_rate(read, small, large, effort) for read in readers))
        found[name] = size, best
    return dict(reversed(found.items()))


def _activation(dtype, kernel_modules, code, effort):
    """Seconds for each number of g(Z), on ten rows that fit the L1 cache."""

    def activate(module):
        def make(size):
            Z = np.linspace(-3, 3, size, dtype=dtype).reshape(10, -1)
            A = np.empty_like(Z)
            return lambda: module.activate(Z, code, 0.01, A, None)

        return make

    return 1 / max(_rate(activate(module), 320, 1280, effort) for module in kernel_modules)


def _numpy_add(dtype, effort):
    x, y, z = np.ones((3, 1), dtype)
    (time,) = timing.interleaved([timing.Call(lambda: np.add(x, y, out=z))], effort)
    return time.best
