"""The table of optimizers: how the flat vector of parameters w follows its gradient dw.

Each is a class.  Its attributes are the row of the table: the name, the code by which the
kernels know it, the formula, the vectors that it keeps from step to step, the learning rate
that suits it.  Its objects hold the hyper-parameters and the state of one network's training:
what depends on the number of the step (a schedule, a bias correction) is computed here
beforehand, so that a kernel needs the formula alone.

To add an optimizer: one class here, and one line in each kernel module (CONTRIBUTING.md).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from fastnn import checks, parameters
from fastnn._specifications import UpdateSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fastnn.network import MLP

__all__ = [
    "OPTIMIZERS",
    "Adam",
    "Checkpoint",
    "GradientDescent",
    "Optimizer",
    "OptimizerName",
    "resolve",
]

OptimizerName = Literal["gradient_descent", "adam"]
"""The names of the table, for type checkers and editors."""


class Checkpoint(NamedTuple):
    """An optimizer's state, to which `Optimizer.roll_back` goes back without any allocation."""

    steps: int
    vectors: NDArray[Any] | None
    values: NDArray[Any] | None
    """A copy of `vectors` as they were."""


class Optimizer:
    """What all optimizers share: the state, and one step in a loop of one's own.

    An object given to `MLP.fit` keeps its state from call to call, so that the training goes
    on where it stopped; it belongs to the network that it was first used with.  It can be
    copied and pickled, its state with it.
    """

    name: ClassVar[str]
    code: ClassVar[int]
    formula: ClassVar[str]
    slots: ClassVar[tuple[str, ...]] = ()
    """The names of the vectors like w that are kept from step to step."""
    learning_rate: ClassVar[float]
    """The learning rate where none is given."""
    decay: float = 0.0

    def __init__(self) -> None:
        self._steps = 0
        self._vectors: NDArray[Any] | None = None

    # --- what a row adds ------------------------------------------------------------------

    def constants(self) -> tuple[float, ...]:
        """Return the constants of the formula."""
        return ()

    def scalars(self, rates: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[Any]:
        """Return what the formula takes in each step, (steps, k), the learning rate first.

        Parameters
        ----------
        rates : ndarray
            float64, the learning rate of each step.
        steps : ndarray
            float64, the number of each step: 1, 2, ...
        """
        return rates[:, np.newaxis]

    def check(self, dtype: np.dtype[Any]) -> None:
        """Refuse hyper-parameters that overflow or vanish in `dtype`."""

    # --- state ----------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Any]:
        """{"steps": int} and, from the first step on, each vector that is kept, by its name.

        The vectors have the order of `MLP.parameter_vector`, and are views: what is written
        there is what the next step reads.  Setting the state checks it and copies.
        """
        vectors = () if self._vectors is None else self._vectors
        return {"steps": self._steps} | dict(zip(self.slots, vectors))

    @state.setter
    def state(self, values: Mapping[str, Any]) -> None:
        self._steps, self._vectors = checks.optimizer_state(values, self.name, self.slots)

    def vectors_for(self, w: NDArray[Any]) -> NDArray[Any]:
        """Return the state for a flat vector of parameters, (slots, n): its own, or zeros.

        Raises
        ------
        ValueError
            The state belongs to a network with other parameters.
        """
        vectors = self._vectors
        if vectors is None:
            return np.zeros((len(self.slots), w.size), w.dtype)
        if vectors.shape[1] != w.size or vectors.dtype != w.dtype:
            raise ValueError(
                f"optimizer: this {type(self).__name__} has the state of a network with "
                f"{vectors.shape[1]} parameters of {vectors.dtype}, got one with {w.size} of "
                f"{w.dtype}; use a new one"
            )
        return vectors

    def keep(self, vectors: NDArray[Any], steps: int) -> None:
        """Keep the vectors of `vectors_for`, which `steps` steps have changed since."""
        if self.slots:
            self._vectors = vectors
        self._steps += steps

    @property
    def steps(self) -> int:
        """How many steps have been taken."""
        return self._steps

    def checkpoint(self) -> Checkpoint:
        """Return the state as it is now."""
        vectors = self._vectors
        return Checkpoint(self._steps, vectors, None if vectors is None else vectors.copy())

    def roll_back(self, before: Checkpoint) -> None:
        """Take back what has happened since `before`."""
        self._steps, self._vectors, values = before
        if self._vectors is not None and values is not None:
            self._vectors[...] = values

    # --- what the kernels are told --------------------------------------------------------

    def scalars_of_next(self, count: int, learning_rate: float) -> NDArray[Any]:
        """Return the scalars of the next `count` steps at a constant learning rate."""
        steps = np.arange(self._steps + 1.0, self._steps + count + 1.0)
        return self.scalars(np.full(count, learning_rate), steps)

    def specification(self, l2: float = 0.0, clip_norm: float = math.inf) -> UpdateSpec:
        """Return the formula, its constants, and what else is done to the gradient."""
        return UpdateSpec(self.code, self.constants(), l2, self.decay, clip_norm)

    # --- a loop of one's own --------------------------------------------------------------

    def update(
        self, net: MLP, gradients: Mapping[str, NDArray[Any]], learning_rate: float | None = None
    ) -> None:
        """Take one step of this optimizer, in place.

        Parameters
        ----------
        net : MLP
        gradients : dict
            As `MLP.gradients` returns them: {"dW1": ..., "db1": ..., ...}.
        learning_rate : float, optional
            Finite and > 0; by default the one of this row of the table.

        Raises
        ------
        TypeError, ValueError
            An argument is not as described; nothing has changed then.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
        >>> optimizer = fastnn.optimizers.GradientDescent()
        >>> J, gradients = net.gradients([[1.0]], [[2.0]])
        >>> optimizer.update(net, gradients, learning_rate=0.25)
        >>> net.parameter_vector
        array([0.5, 0.5], dtype=float32)
        """
        rate = self.rate(learning_rate, net.dtype)
        w, sizes, kernels = net.parameter_vector, net.layer_sizes, net.kernels
        wanted = parameters.ParameterDict(w, sizes, "d")
        flat = parameters.flat(gradients, wanted, kernels.all_finite, "gradients")
        vectors, spec = self.vectors_for(w), self.specification()
        (scalars,) = self.scalars_of_next(1, rate)
        if not spec.decay:  # weights and biases alike
            kernels.update(w, flat, vectors, scalars, spec, False)
        else:
            for name, part, _ in parameters.runs(sizes):
                weights = name[0] == "W"
                kernels.update(w[part], flat[part], vectors[:, part], scalars, spec, weights)
        self.keep(vectors, 1)

    def rate(self, learning_rate: float | None, dtype: np.dtype[Any]) -> float:
        """Return the learning rate, checked; None is the one of this row of the table."""
        self.check(dtype)
        rate = self.learning_rate if learning_rate is None else learning_rate
        return checks.learning_rate(rate, dtype)

    def __repr__(self) -> str:
        values = {k: v for k, v in vars(self).items() if k[0] != "_"}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in values.items())})"


class GradientDescent(Optimizer):
    """Plain gradient descent, ``w <- w - learning_rate dw``.

    Examples
    --------
    >>> fastnn.optimizers.GradientDescent()
    GradientDescent()
    """

    name, code = "gradient_descent", 0
    formula = "w <- w - learning_rate dw"
    learning_rate = 0.1

    def scalars_of_next(self, count: int, learning_rate: float) -> NDArray[Any]:
        row = np.array([[learning_rate]])  # the same in each step: one row will do for all
        return row if count == 1 else np.broadcast_to(row, (count, 1))


class Adam(Optimizer):
    """Adam: the step is scaled, parameter by parameter, by running means of dw and dw^2.

    ``m <- beta1 m + (1 - beta1) dw``, ``v <- beta2 v + (1 - beta2) dw^2``, and
    ``w <- w - learning_rate m' / (sqrt(v') + epsilon)`` with the bias-corrected
    ``m' = m / (1 - beta1^t)`` and ``v' = v / (1 - beta2^t)`` in step t = 1, 2, ...
    (Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1).
    epsilon stands outside the root, and beside the corrected v, as in PyTorch and in Keras 3;
    scikit-learn leaves the correction of v out beside epsilon.

    Parameters
    ----------
    beta1, beta2 : float
        In [0, 1): how much of the running means is kept.
    epsilon : float
        > 0.

    Examples
    --------
    >>> net = fastnn.MLP([1, 1], output="linear")
    >>> history = net.fit([[1.0, 2.0]], [[3.0, 5.0]], epochs=2, optimizer=fastnn.optimizers.Adam())
    """

    name, code = "adam", 1
    formula = (
        "m <- beta1 m + (1 - beta1) dw; v <- beta2 v + (1 - beta2) dw^2; "
        "w <- w - step_size m / (sqrt(v) scale + epsilon)"
    )
    slots = ("m", "v")
    learning_rate = 1e-3

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        super().__init__()
        self.beta1 = checks.fraction("beta1", beta1)
        self.beta2 = checks.fraction("beta2", beta2)
        self.epsilon = checks.number("epsilon", epsilon)

    def check(self, dtype: np.dtype[Any]) -> None:
        checks.representable("epsilon", self.epsilon, dtype)

    def constants(self) -> tuple[float, ...]:
        return self.beta1, self.beta2, self.epsilon

    def scalars(self, rates: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[Any]:
        step_size = rates / (1 - self.beta1**steps)
        scale = 1 / np.sqrt(1 - self.beta2**steps)
        return np.stack([rates, step_size, scale], axis=1)


OPTIMIZERS: dict[str, type[Optimizer]] = {row.name: row for row in (GradientDescent, Adam)}


def resolve(optimizer: Any) -> Optimizer:
    """Return the optimizer that is named: a new one, or the object that was given.

    Parameters
    ----------
    optimizer : str or Optimizer

    Raises
    ------
    TypeError, ValueError
        `optimizer` is neither a name of the table nor an `Optimizer`.

    Examples
    --------
    >>> fastnn.optimizers.resolve("adam")
    Adam(beta1=0.9, beta2=0.999, epsilon=1e-08)
    """
    if isinstance(optimizer, str):
        return checks.choice("optimizer", optimizer, OPTIMIZERS)()
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        name = optimizer.__name__
        raise TypeError(f"optimizer must be an object, got the class {name}: write {name}()")
    raise TypeError(f"optimizer must be a name or an Optimizer, got {checks.shown(optimizer)}")
