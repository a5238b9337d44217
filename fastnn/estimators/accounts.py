"""scikit-learn's losses, from the costs of the kernels.

| loss | scikit-learn's | the kernels' |
|---|---|---|
| squared_error | the mean over the outputs | the sum over the outputs |
| poisson | ``y log(y / a) - y + a`` | ``a - y log a`` |
| log_loss | the logarithm ends at the machine epsilon | at the smallest number |

In both the penalty ``alpha / 2 sum(W^2)``, divided by the weight of the batch, is added.  The
gradient of scikit-learn's squared error is that of the sum, as here.  Where the logarithm ends the
kernels are told, by an engine of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.parameters import ParameterDict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn._kernels import Network as Engine
    from fastnn.network import MLP

__all__ = ["Account"]


class Account:
    """What becomes of a cost of the kernels.

    Parameters
    ----------
    net : MLP
    loss : object
        As the estimator has it.

    Attributes
    ----------
    engine : object
        What trains the network.
    separates : bool
        Whether the penalty must be known apart from the rest.
    """

    def __init__(self, net: MLP, loss: Any) -> None:
        self.engine: Engine = net.engine
        if loss == "log_loss":
            floor = float(np.finfo(net.dtype).eps)
            ends = self.engine.loss._replace(alpha=floor)
            self.engine = net.kernels.Network(self.engine.layers, ends, net.parameter_vector)
        n = net.layer_sizes[-1]
        self.share = 1 / n if loss == "squared_error" and net.output_row.name == "linear" else 1.0
        self.separates = self.share != 1.0
        self.is_poisson = loss == "poisson"
        self.weights = [
            view for name, view in ParameterDict(net.parameter_vector, net.layer_sizes).items()
            if name[0] == "W"
        ]  # fmt: skip

    def squares(self) -> float:
        """Return ``sum(W^2)``."""
        return float(sum(np.vdot(W, W) for W in self.weights))

    def constants(self, Y: NDArray[Any]) -> NDArray[Any] | None:
        """Return what is added to the loss of each example, (m,), or None where nothing is.

        Parameters
        ----------
        Y : ndarray
            (m, n).
        """
        if not self.is_poisson:
            return None
        y = Y.astype(np.float64)
        logarithms = np.log(y, where=y > 0, out=np.zeros_like(y))
        return np.asarray((y * logarithms - y).sum(axis=1))

    def loss(self, cost: float, penalty: float) -> float:
        """Return the loss, without the constants.

        Parameters
        ----------
        cost : float
            Of the kernels, the penalty included.
        penalty : float
            0.0 where it need not be known apart.
        """
        return (cost - penalty) * self.share + penalty if self.separates else cost
