"""Types of the kernel contract, whose words stand in ``_kernels_numpy.py``.

The three kernel modules, and every module of ``_simd/``, have these names.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._specifications import LayerSpec, LossSpec, UpdateSpec

Array = NDArray[Any]

ACTIVATION_CODES: dict[str, int]
LOSS_CODES: dict[str, int]
UPDATE_CODES: dict[str, int]

def activate(Z: Array, activation: int, alpha: float, A: Array, D: Array | None) -> None: ...
def activation_derivative(A: Array, activation: int, alpha: float, derivative: Array) -> None: ...
def activation_backward(
    dA: Array,
    A: Array | None,
    D: Array | None,
    activation: int,
    alpha: float,
    total: float,
    dZ: Array,
    db: Array,
) -> None: ...
def dense_forward(
    W: Array, b: Array, A_prev: Array, activation: int, alpha: float, A: Array
) -> None: ...
def dense_backward(
    dZ: Array, W: Array, A_prev: Array, total: float, dW: Array, db: Array, dA_prev: Array | None
) -> None: ...
def output_cost(
    A: Array,
    D: Array | None,
    Y: Array,
    weights: Array | None,
    loss: LossSpec,
    activation: int,
    alpha: float,
    dZ: Array | None,
) -> float: ...
def update(
    w: Array,
    gradient: Array,
    state: Array,
    scalars: NDArray[np.float64],
    spec: UpdateSpec,
    decays: bool,
) -> None: ...
def all_finite(X: Array) -> bool: ...
def shuffle(order: NDArray[np.uint32], seed: int, epoch: int) -> None: ...

class Network:
    layers: tuple[LayerSpec, ...]
    loss: LossSpec
    parameters: Array
    def __init__(
        self, layers: tuple[LayerSpec, ...], loss: LossSpec, parameters: Array
    ) -> None: ...
    def try_forward(self, X: Any, out: Any = None, threads: int = 1) -> Array | None: ...
    def accepts_examples(self, X: Any) -> bool: ...
    def accepts(self, X: Any, Y: Any, weights: Any = None) -> bool: ...
    def forward(
        self, X: Array, A: Array, threads: int = 1, masks: tuple[int, int] | None = None
    ) -> None: ...
    def cost_and_gradients(
        self,
        X: Array,
        Y: Array,
        weights: Array | None,
        gradients: Array | None,
        threads: int = 1,
    ) -> float: ...
    def backward(
        self,
        X: Array,
        dA: Array,
        gradients: Array | None,
        dX: Array | None,
        threads: int = 1,
        masks: tuple[int, int] | None = None,
    ) -> None: ...
    def jacobian(self, X: Array, J: Array, threads: int = 1) -> None: ...
    def update(
        self, gradients: Array, spec: UpdateSpec, scalars: NDArray[np.float64], state: Array
    ) -> float: ...
    def try_step(
        self,
        X: Any,
        Y: Any,
        spec: UpdateSpec,
        scalars: NDArray[np.float64],
        state: Array,
        threads: int = 1,
    ) -> float | None: ...
    def example_major(self, X: Array, batch_size: int) -> Array: ...
    def train(
        self,
        X: Array,
        Y: Array,
        weights: Array | None,
        order: NDArray[np.uint32] | None,
        batch_size: int,
        spec: UpdateSpec,
        scalars: NDArray[np.float64],
        state: Array,
        seed: int,
        first_step: int,
        costs: NDArray[np.float64],
        threads: int = 1,
    ) -> None: ...
