"""The specifications: what `network.py` resolves from the tables, once, for the kernels.

A kernel decides nothing: it is told by these small tuples what to compute.  The contract
that they belong to stands in ``_kernels_numpy.py``.
"""

from enum import IntEnum
from typing import NamedTuple

__all__ = ["SUM_TOLERANCE", "LayerSpec", "LossSpec", "Targets", "UpdateSpec"]


class LayerSpec(NamedTuple):
    """One dense layer."""

    n_in: int
    n_out: int
    activation: int
    """Code of a row of `activations.ACTIVATIONS`."""
    alpha: float = 0.0
    """The activation's parameter, such as the slope of leaky_relu; 0.0 where it has none."""
    keep: float = 1.0
    """1 - dropout of this layer's outputs in training; 1.0: none is dropped."""


class Targets(IntEnum):
    """What a loss allows in Y; each kind is stricter than the one before."""

    ANY = 0
    NON_NEGATIVE = 1
    PROBABILITIES = 2
    """Numbers in [0, 1]."""
    DISTRIBUTIONS = 3
    """Probabilities that sum to 1 for each example."""


SUM_TOLERANCE = 1e-4
"""How far the probabilities of one example may sum from 1: float32 targets and smoothed labels
stay within it, a forgotten class does not."""


class LossSpec(NamedTuple):
    """What is made of the outputs and the targets."""

    code: int
    """Code of a row of `losses.LOSSES`."""
    alpha: float = 0.0
    """The loss's parameter, such as the delta of huber; 0.0 where it has none.  Of the
    cross-entropies: the probability, of either side, below which the logarithm stays what it is,
    where that is more than the smallest normal number; the derivative does not know it."""
    paired: bool = False
    """dZ = A - Y at the output: the loss and the output's activation cancel."""
    targets: int = Targets.ANY


class UpdateSpec(NamedTuple):
    """How the parameters follow their gradient; what changes from step to step is beside it."""

    code: int
    """Code of a row of `optimizers.FORMULAS`."""
    constants: tuple[float, ...] = ()
    """The constants of its formula, such as beta1, beta2 and epsilon."""
    l2: float = 0.0
    """Of the penalty ``l2 / 2 sum(W^2)`` that is added to the cost."""
    decay: float = 0.0
    """The share of the weights, times the learning rate, that each step takes away."""
    clip_norm: float = float("inf")
    """The longest that a step's gradient may be."""
    per_example: bool = False
    """As scikit-learn counts: each batch divides l2 by its `total`, and the cost of an epoch is the
    mean over its examples, not over its batches."""

    def of_batch(self, total: float) -> "UpdateSpec":
        """What holds for one batch, whose sums over examples are divided by `total`."""
        return self._replace(l2=self.l2 / total, per_example=False) if self.per_example else self
