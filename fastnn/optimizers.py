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
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Union

import numpy as np

from fastnn import checks, parameters
from fastnn._specifications import UpdateSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fastnn.network import MLP

__all__ = [
    "OPTIMIZERS",
    "FORMULAS",
    "Adam",
    "AdamW",
    "Checkpoint",
    "FirstStep",
    "GradientDescent",
    "LBFGS",
    "Momentum",
    "Optimizer",
    "OptimizerLike",
    "OptimizerName",
    "RMSprop",
    "first_step",
    "resolve",
    "zeros",
]

OptimizerName = Literal["gradient_descent", "momentum", "rmsprop", "adam", "adamw"]
"""The names of the table, for type checkers and editors."""

OptimizerLike = Union[OptimizerName, Literal["lbfgs"], "Optimizer"]
"""What `resolve` takes."""


class Checkpoint(NamedTuple):
    """An optimizer's count of steps and its vectors; not a copy of what stands in them."""

    steps: int
    vectors: NDArray[Any] | None


AHEAD = 64
"""Steps whose scalars are made together where steps are taken one by one at the same rate."""


class Ahead(NamedTuple):
    """The scalars of some steps."""

    key: tuple[float, ...]
    rate: float
    first: int
    rows: NDArray[np.float64]


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

    def __init__(self) -> None:
        self._steps = 0
        self._vectors: NDArray[Any] | None = None
        self._ahead = Ahead((), 0.0, 0, np.empty((0, 1)))

    # --- what a row adds ------------------------------------------------------------------

    def constants(self) -> tuple[float, ...]:
        """Return the constants of the formula."""
        return ()

    def hyperparameters(self) -> tuple[float, ...]:
        """Return all that `scalars` depends on besides its arguments."""
        return self.constants()

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

    @property
    def decay(self) -> float:
        """The share of the weights that each step takes away, times the learning rate."""
        return 0.0

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
            return zeros(len(self.slots), w)
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
        """Return the steps, and the vectors as they are, without a copy."""
        return Checkpoint(self._steps, self._vectors)

    def roll_back(self, before: Checkpoint) -> None:
        """Take back what `keep` has kept since `before`; what is in the vectors stays."""
        self._steps, self._vectors = before

    # --- what the kernels are told --------------------------------------------------------

    def scalars_of_next(self, count: int, rates: float | NDArray[np.float64]) -> NDArray[Any]:
        """Return the scalars of the next `count` steps, from their learning rates, or from one."""
        first = self._steps
        if isinstance(rates, np.ndarray) or count > AHEAD // 2:
            return self.scalars(*_rates_and_steps(rates, first, count))
        ahead, key = self._ahead, self.hyperparameters()
        start = first - ahead.first
        if ahead.key != key or ahead.rate != rates or not 0 <= start <= len(ahead.rows) - count:
            rows = self.scalars(*_rates_and_steps(rates, first, AHEAD))
            self._ahead, start = Ahead(key, rates, first, rows), 0
        return self._ahead.rows[start : start + count]

    def specification(
        self, l2: float = 0.0, clip_norm: float = math.inf, per_example: bool = False
    ) -> UpdateSpec:
        """Return the formula, its constants, and what else is done to the gradient."""
        spec = (self.code, self.constants(), l2, self.decay, clip_norm, per_example)
        return tuple.__new__(UpdateSpec, spec)  # half the time of a call of UpdateSpec

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
        w = net.parameter_vector
        wanted = parameters.ParameterDict(w, net.layer_sizes, "d")
        flat = parameters.flat(gradients, wanted, net.kernels.all_finite, "gradients")
        vectors = self.vectors_for(w)
        (scalars,) = self.scalars_of_next(1, rate)
        net.engine.update(flat, self.specification(), scalars, vectors)
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

    def scalars_of_next(self, count: int, rates: float | NDArray[np.float64]) -> NDArray[Any]:
        if isinstance(rates, np.ndarray):
            return rates[:, np.newaxis]
        if count > AHEAD:  # the same in each step: one will do for all
            return np.broadcast_to(_row(rates), (count, 1))
        return _row(rates) if count == 1 else np.full((count, 1), rates)


class Momentum(Optimizer):
    """Gradient descent with momentum: the steps gather speed where the gradients agree.

    ``v <- momentum v + dw``, then ``w <- w - learning_rate v`` (Polyak, "Some methods of speeding
    up the convergence of iteration methods", 1964), or with `nesterov` a look ahead along v,
    ``w <- w - learning_rate (dw + momentum v)`` (Sutskever et al., "On the importance of
    initialization and momentum in deep learning", 2013).

    v is a sum of gradients and the learning rate stands outside of it, as in PyTorch.  Keras
    keeps ``-learning_rate v`` instead, which is the same as long as the learning rate stays; a
    moving average, ``v <- momentum v + (1 - momentum) dw``, is the same at ``1 - momentum`` times
    the learning rate.

    Parameters
    ----------
    momentum : float
        In [0, 1).
    nesterov : bool

    Examples
    --------
    >>> fastnn.optimizers.Momentum(nesterov=True)
    Momentum(momentum=0.9, nesterov=True)
    """

    name, code = "momentum", 2
    formula = "v <- momentum v + dw; w <- w - (velocity_rate v + gradient_rate dw)"
    slots = ("v",)
    learning_rate = 0.01

    def __init__(self, momentum: float = 0.9, nesterov: bool = False) -> None:
        super().__init__()
        self.momentum = checks.fraction("momentum", momentum)
        self.nesterov = checks.boolean("nesterov", nesterov)

    def constants(self) -> tuple[float, ...]:
        return (self.momentum,)

    def hyperparameters(self) -> tuple[float, ...]:
        return self.momentum, self.nesterov

    def scalars(self, rates: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[Any]:
        velocity_rates = rates * self.momentum if self.nesterov else rates
        gradient_rates = rates if self.nesterov else np.zeros_like(rates)
        return np.stack([rates, velocity_rates, gradient_rates], axis=1)


class RMSprop(Optimizer):
    """RMSprop: the step is scaled, parameter by parameter, by a running mean of dw^2.

    ``v <- rho v + (1 - rho) dw^2``, ``w <- w - learning_rate dw / (sqrt(v) + epsilon)`` (Tieleman
    and Hinton, "Neural networks for machine learning", lecture 6.5, 2012).  epsilon stands
    outside the root, as in PyTorch, where rho is called alpha; Keras has it inside.

    Parameters
    ----------
    rho : float
        In [0, 1): how much of the running mean is kept.
    epsilon : float
        > 0.

    Examples
    --------
    >>> fastnn.optimizers.RMSprop(rho=0.99)
    RMSprop(rho=0.99, epsilon=1e-07)
    """

    name, code = "rmsprop", 3
    formula = "v <- rho v + (1 - rho) dw^2; w <- w - learning_rate dw / (sqrt(v) + epsilon)"
    slots = ("v",)
    learning_rate = 1e-3

    def __init__(self, rho: float = 0.9, epsilon: float = 1e-7) -> None:
        super().__init__()
        self.rho = checks.fraction("rho", rho)
        self.epsilon = checks.number("epsilon", epsilon)

    def check(self, dtype: np.dtype[Any]) -> None:
        checks.representable("epsilon", self.epsilon, dtype)

    def constants(self) -> tuple[float, ...]:
        return self.rho, self.epsilon


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


class AdamW(Adam):
    """Adam with decoupled weight decay: each step first takes a share of the weights away.

    ``W <- W - learning_rate weight_decay W``, then the step of `Adam`, whose means do not see the
    decay (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).  As in PyTorch
    and Keras the share goes with the learning rate, a schedule included.  Biases do not decay.

    Parameters
    ----------
    weight_decay : float
        >= 0.
    beta1, beta2, epsilon : float
        As for `Adam`.

    Examples
    --------
    >>> fastnn.optimizers.AdamW(weight_decay=0.1)
    AdamW(weight_decay=0.1, beta1=0.9, beta2=0.999, epsilon=1e-08)
    """

    name = "adamw"
    formula = f"W <- W - learning_rate weight_decay W; {Adam.formula}"

    def __init__(
        self,
        weight_decay: float = 1e-2,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.weight_decay = checks.number("weight_decay", weight_decay, positive=False)
        super().__init__(beta1, beta2, epsilon)

    def check(self, dtype: np.dtype[Any]) -> None:
        super().check(dtype)
        checks.number_in(dtype, "weight_decay", self.weight_decay, positive=False)

    @property
    def decay(self) -> float:
        return self.weight_decay


class LBFGS(Optimizer):
    """L-BFGS by SciPy, over all examples at once: for small networks and few examples.

    ``scipy.optimize.minimize(method="L-BFGS-B")`` (Byrd, Lu, Nocedal and Zhu, "A limited memory
    algorithm for bound constrained optimization", 1995) calls for the cost and its gradient as
    often as it needs to; an epoch is one of its iterations, and `History.cost` has the cost after
    it.  It starts anew in each call of `fit`, and has no step that could be taken alone.

    Parameters
    ----------
    memory : int
        >= 1: how many steps it remembers.
    tolerance : float
        >= 0: it has arrived where no element of the gradient is larger.
    cost_tolerance : float
        >= 0: or where an iteration lowers the cost by a smaller share.

    Examples
    --------
    >>> fastnn.optimizers.LBFGS(memory=20)
    LBFGS(memory=20, tolerance=1e-05, cost_tolerance=2.2e-09)
    """

    name, code = "lbfgs", -1
    formula = "w <- w - alpha H dw, H from the last steps, alpha by a line search"

    def __init__(
        self, memory: int = 10, tolerance: float = 1e-5, cost_tolerance: float = 2.2e-9
    ) -> None:
        super().__init__()
        self.memory = checks.integer("memory", memory, 1)
        self.tolerance = checks.number("tolerance", tolerance, positive=False)
        self.cost_tolerance = checks.number("cost_tolerance", cost_tolerance, positive=False)

    def rate(self, learning_rate: float | None, dtype: np.dtype[Any]) -> float:
        raise ValueError(
            "optimizer 'lbfgs' has no step that could be taken alone: give it to fit, or choose "
            "another optimizer"
        )


def zeros(slots: int, w: NDArray[Any]) -> NDArray[Any]:
    """Return the vectors that are kept beside w, (slots, n), before the first step.

    Examples
    --------
    >>> zeros(1, np.ones(2))
    array([[0., 0.]])
    """
    return np.zeros((slots, w.size), w.dtype) if slots else _nothing(w.size, w.dtype)


@lru_cache(maxsize=16)
def _nothing(size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.empty((0, size), dtype)


def _rates_and_steps(rates: Any, first: int, count: int) -> tuple[Any, Any]:
    """The learning rate and the number, from 1 on, of the steps after `first`."""
    return np.broadcast_to(rates, count), np.arange(first + 1.0, first + count + 1.0)


@lru_cache(maxsize=16)
def _row(learning_rate: float) -> NDArray[np.float64]:
    row = np.array([[learning_rate]])
    row.flags.writeable = False
    return row


OPTIMIZERS: dict[str, type[Optimizer]] = {
    row.name: row for row in (GradientDescent, Momentum, RMSprop, Adam, AdamW)
}


FORMULAS = {name: row for name, row in OPTIMIZERS.items() if "code" in vars(row)}
"""The rows with a formula of their own, for which there is a line in each kernel module."""


class FirstStep(NamedTuple):
    """What the kernels are told of the first step of an optimizer."""

    slots: int
    spec: UpdateSpec
    scalars: NDArray[Any]
    none: NDArray[Any]
    """The vectors of an optimizer that keeps none."""


@lru_cache(maxsize=16)
def first_step(name: str, learning_rate: float | None, dtype: np.dtype[Any]) -> FirstStep:
    """Return what the kernels are told of the one step of an optimizer that is named.

    Parameters
    ----------
    name : str
    learning_rate : float or None
        Of this very type, and None is the one of the row of the table.
    dtype : numpy.dtype

    Raises
    ------
    ValueError
        An argument is not as described.

    Examples
    --------
    >>> first_step("gradient_descent", 0.5, np.dtype("f4")).scalars
    array([[0.5]])
    """
    optimizer = resolve(name)
    rate = optimizer.rate(learning_rate, dtype)
    scalars = optimizer.scalars_of_next(1, rate)
    none = np.empty((0, 0), dtype)
    return FirstStep(len(optimizer.slots), optimizer.specification(), scalars, none)


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
        return checks.choice("optimizer", optimizer, OPTIMIZERS | {"lbfgs": LBFGS})()
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        name = optimizer.__name__
        raise TypeError(f"optimizer must be an object, got the class {name}: write {name}()")
    raise TypeError(f"optimizer must be a name or an Optimizer, got {checks.shown(optimizer)}")
