"""Types of the compiled kernels; the contract stands in ``_kernels_numpy.py``.

Every module of ``_simd/`` is built from ``_kernels.pyx`` and has these names.
"""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ACTIVATION_CODES: dict[str, int]
LOSS_CODES: dict[str, int]

def activate(Z: Array, activation: int, slope: float, A: Array) -> None: ...
def activation_derivative(A: Array, activation: int, slope: float, derivative: Array) -> None: ...
def activation_backward(
    dA: Array, A: Array, activation: int, slope: float, dZ: Array, db: Array
) -> None: ...
def dense_forward(
    W: Array, b: Array, A_prev: Array, activation: int, slope: float, A: Array
) -> None: ...
def dense_backward(
    dZ: Array, W: Array, A_prev: Array, dW: Array, db: Array, dA_prev: Array | None
) -> None: ...
def output_cost(
    A: Array, Y: Array, loss: int, activation: int, slope: float, dZ: Array | None
) -> float: ...
def all_finite(X: Array) -> bool: ...
def shuffle(order: NDArray[np.uint32], seed: int, epoch: int) -> None: ...

@final
class Network:
    layer_sizes: tuple[int, ...]
    parameters: Array
    def __init__(
        self,
        layer_sizes: tuple[int, ...],
        activations: tuple[int, ...],
        slopes: tuple[float, ...],
        loss: int,
        parameters: Array,
    ) -> None: ...
    def try_forward(self, X: Array, threads: int = 1) -> Array | None: ...
    def forward(self, X: Array, A: Array, threads: int = 1) -> None: ...
    def cost_and_gradients(
        self, X: Array, Y: Array, gradients: Array | None, threads: int = 1
    ) -> float: ...
    def train(
        self,
        X: Array,
        Y: Array,
        order: NDArray[np.uint32] | None,
        batch_size: int,
        learning_rate: float,
        costs: NDArray[np.float64],
        threads: int = 1,
    ) -> None: ...
