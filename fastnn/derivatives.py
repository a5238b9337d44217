"""Derivatives put to the proof: the gradients beside central differences of the cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fastnn.network import MLP

__all__ = ["DIFFERENCE_STEP", "check_gradients"]

DIFFERENCE_STEP = 1e-5
"""Step of the central differences: near the cube root of eps in float64, where the errors
of rounding and of truncation balance."""


def check_gradients(net: MLP, X: ArrayLike, Y: ArrayLike) -> float:
    """Compare gradients with central differences; this is `MLP.check_gradients`.

    Parameters
    ----------
    net : MLP
        In float64: it is changed on the way, and as before afterwards.
    X, Y : array_like

    Returns
    -------
    float
        ``||g - d|| / (||g|| + ||d||)``.
    """
    _, gradients = net.gradients(X, Y)
    gradient = np.concatenate([array.ravel() for array in gradients.values()])
    differences, w = np.empty_like(gradient), net.parameter_vector
    for i, value in enumerate(w.copy()):
        w[i] = value + DIFFERENCE_STEP
        above = net.cost(X, Y)
        w[i] = value - DIFFERENCE_STEP
        below = net.cost(X, Y)
        w[i] = value
        differences[i] = (above - below) / (2 * DIFFERENCE_STEP)
    scale = np.linalg.norm(gradient) + np.linalg.norm(differences)
    return float(np.linalg.norm(gradient - differences) / scale) if scale else 0.0
