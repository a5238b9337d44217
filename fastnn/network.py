"""The network: its parameters, and what can be asked of it.

The parameters of all layers lie in one flat vector, W[1] row by row, b[1], W[2], ...;
``net.parameters`` are views of it, and so is what the kernels read and write.  The
methods check their arguments and hand them to an engine, the kernels' own object for a
network, which is made again when the backend changes.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from fastnn import (
    __version__,
    activations,
    backends,
    checks,
    derivatives,
    initializers,
    losses,
    metrics,
    scaling,
    training,
)
from fastnn._specifications import LayerSpec
from fastnn.from_sklearn import from_sklearn
from fastnn.io import saving
from fastnn.parameters import ParameterDict, flat, new_vector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Never

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from fastnn._kernels import Network as Engine
    from fastnn.activations import Activation, ActivationLike
    from fastnn.initializers import InitializerName
    from fastnn.losses import Loss, LossLike
    from fastnn.scaling import Scaling

__all__ = ["MLP"]

STATE = (
    "layer_sizes", "activations", "loss", "dropout", "dtype", "generator", "vector", "scaling",
    "version",
)  # fmt: skip
"""What a pickled network holds."""


class MLP:
    """A dense feed-forward network, a multi-layer perceptron.

    Everywhere **one column is one example**: X is (n[0], m) and Y is (n[L], m).  Layer l
    computes ``A[l] = g[l](W[l] A[l-1] + b[l])`` with W[l] (n[l], n[l-1]) and b[l]
    (n[l], 1).  A vector X, (n[0],), is one example, and gives (n[L],); a batch of rows is
    ``X.T``, which costs no copy.

    Parameters
    ----------
    layer_sizes : sequence of int
        (n[0], ..., n[L]): the numbers of inputs, of units in each hidden layer, and of
        outputs.  L >= 1 and all are >= 1.
    hidden : str, tuple or list
        Activation of the hidden layers, or a list with one for each: "linear",
        "sigmoid", "tanh", "relu", "leaky_relu", ``("leaky_relu", slope)``, "elu",
        ``("elu", alpha)``, "softplus", "silu", "gelu" or "gelu_tanh".
    output : str or tuple
        Activation of the output layer; "softmax" and "exponential" are possible too.
    loss : str, tuple or function, optional
        "binary_cross_entropy" (the default with a sigmoid output), "cross_entropy" (the
        default with softmax), "poisson" (the default with "exponential"), "mse", half the
        squared error (the default otherwise), "mae", "huber" or ``("huber", delta)``; or a
        function of your own, ``loss(A, Y) -> (J, dA)``, with A and Y (n[L], m), the cost J
        and dA = dJ/dA, their 1/m included.
    init : str, float or dict
        Initial weights: "auto" takes what suits each layer's activation, "he" for relu and
        its kin and "xavier" for the rest; "small_normal", "zeros", or a number s for
        s N(0, 1).  Biases are zero.  A dictionary sets all parameters, as
        `set_parameters` does.
    dropout : float or sequence of float
        The share of each hidden layer's outputs that every step of training leaves out,
        in [0, 1), or a list with one for each; the rest is scaled by 1 / (1 - dropout)
        (inverted dropout: Srivastava et al., 2014).  Off in `forward`, `cost`,
        `gradients`, `predict` and `score`.
    seed : int, numpy.random.Generator or None
        For the initial weights and, after them, for the order of examples and the dropout
        in `fit`.
        The same integer gives the same parameters in every backend.  None differs from
        run to run.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    layer_sizes : tuple of int
    activations : tuple
        One for each layer, hidden and output: a name, or ("leaky_relu", slope).
    loss : str, tuple or function
    dropout : tuple of float
    dtype : numpy.dtype
    parameters : dict
    parameter_vector : ndarray
    generator : numpy.random.Generator
    scaling : Scaling or None
    engine : object
    kernels : module

    Raises
    ------
    TypeError, ValueError
        An argument is of the wrong type or out of range; the message names it.
    MemoryError
        The parameters do not fit into memory.

    Notes
    -----
    The methods convert real X and Y to the dtype of the network (without a copy if they
    have it) and refuse NaN and infinity, arrays of other shapes, and no examples at all.
    With one input, a vector of length 1 is one example, and a longer one is refused.
    Networks can be copied (`copy`, ``copy.deepcopy``), pickled and saved (`save`).

    Examples
    --------
    >>> net = fastnn.MLP([3, 8, 1], hidden="relu", output="linear")
    >>> net.forward([[0.0], [0.0], [0.0]])
    array([[0.]], dtype=float32)
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        hidden: ActivationLike | Sequence[ActivationLike] = "tanh",
        output: ActivationLike = "sigmoid",
        loss: LossLike | None = None,
        init: InitializerName | float | Mapping[str, ArrayLike] = "auto",
        seed: Any = 0,
        dtype: DTypeLike = "float32",
        dropout: float | Sequence[float] = 0.0,
        **unknown: Never,
    ) -> None:
        if unknown:
            raise checks.unexpected_keyword(MLP.__init__, unknown)
        self._settle(layer_sizes, hidden, output, loss, dropout, dtype)
        count = checks.parameter_count(self._layer_sizes, self._dtype)
        self._generator = checks.generator(seed)
        given: Any = init if hasattr(init, "keys") else None
        rows = [row for row, alpha in self._layers]
        scales = initializers.scales(
            init if given is None else "zeros", self._layer_sizes, rows, self._dtype
        )
        self._vector = new_vector(count, self._dtype)
        weights = [view for name, view in self.parameters.items() if name[0] == "W"]
        initializers.fill(weights, scales, self._generator)
        self._bind()
        if given is not None:
            self.set_parameters(given)

    def _settle(
        self, layer_sizes: Any, hidden: Any, output: Any, loss: Any, dropout: Any, dtype: Any
    ) -> None:
        """What the network is made of, checked; its parameters follow."""
        self._layer_sizes = checks.layer_sizes(layer_sizes)
        n_hidden = len(self._layer_sizes) - 2
        self._dtype = checks.float_dtype(dtype)
        self._layers = activations.resolve_layers(hidden, output, n_hidden, self._dtype)
        output_row = self._layers[-1][0]
        checks.outputs(output_row, self._layer_sizes[-1])
        self._loss = losses.resolve(loss, output_row.name, self._dtype)
        self._dropout = checks.dropout(dropout, n_hidden)
        self._scaling: Scaling | None = None

    # --- what it is made of ---------------------------------------------------------------

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """(n[0], ..., n[L])."""
        return self._layer_sizes

    @property
    def activations(self) -> tuple[ActivationLike, ...]:
        """The activation of each layer: a name, or a pair such as ("leaky_relu", slope)."""
        return tuple(checks.name_and_parameter(row, alpha) for row, alpha in self._layers)

    @property
    def output_row(self) -> Activation:
        """The output activation's row of the table."""
        return self._layers[-1][0]

    @property
    def loss(self) -> LossLike:
        """The loss: a name, a pair such as ("huber", delta), or a function."""
        loss: LossLike = self._loss[0].function or checks.name_and_parameter(*self._loss)
        return loss

    @property
    def loss_row(self) -> Loss:
        """The loss's row of the table."""
        return self._loss[0]

    @property
    def dropout(self) -> tuple[float, ...]:
        """The share of each hidden layer's outputs that a step of training leaves out."""
        return self._dropout

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._dtype

    @property
    def parameters(self) -> ParameterDict:
        """{"W1": (n[1], n[0]), "b1": (n[1], 1), "W2": ...}: a dictionary of writable views.

        ``net.parameters["W1"] = W`` copies W into the network after a check (its shape;
        finite numbers); what is written into the arrays themselves is not checked.
        """
        return ParameterDict(self._vector, self._layer_sizes)

    @property
    def parameter_vector(self) -> NDArray[Any]:
        """All parameters as one flat vector: W[1] row by row, b[1], W[2], ...; a writable view."""
        return self._vector[:]

    @property
    def generator(self) -> np.random.Generator:
        """Drew the initial weights, and draws the order of examples in `fit`."""
        return self._generator

    @property
    def scaling(self) -> Scaling | None:
        """Mean and scale of the data that ``fit(..., standardize=True)`` has trained on, or None.

        They are folded into `parameters` already; a further `fit` goes on in them.  Setting it
        checks it, and changes nothing of what the network answers.
        """
        return self._scaling

    @scaling.setter
    def scaling(self, value: Scaling | None) -> None:
        self._scaling = scaling.checked(value, self)

    @property
    def engine(self) -> Engine:
        """The kernels' object for this network (``Network`` in the contract); unchecked."""
        if self._backend is not backends.current:
            self._bind()
        return self._engine

    @property
    def kernels(self) -> Any:
        """The module of kernels for this network's dtype, of the backend in use; unchecked."""
        if self._backend is not backends.current:
            self._bind()
        return self._kernels

    def set_parameters(self, parameters: Mapping[str, ArrayLike]) -> None:
        """Set all parameters.

        Parameters
        ----------
        parameters : dict
            The names and shapes of `parameters`; the values are copied.

        Raises
        ------
        TypeError, ValueError
            A name is missing or unknown, or an array has the wrong shape, is not real,
            or holds NaN or infinity.  Nothing has changed then.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1])
        >>> net.set_parameters({"W1": [[2.0]], "b1": [[-1.0]]})
        >>> net.parameter_vector
        array([ 2., -1.], dtype=float32)
        """
        self._vector[:] = flat(parameters, self.parameters, self.kernels.all_finite)

    def examples_and_targets(self, X: ArrayLike, Y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return X and Y as the kernels take them: what every method does first.

        Parameters
        ----------
        X, Y : array_like
            As for `cost`.

        Returns
        -------
        X, Y : ndarray
            (n[0], m) and (n[L], m), in the dtype of the network, finite, and apart from the
            memory of its parameters; X and Y themselves where they are so already.

        Raises
        ------
        TypeError, ValueError
            X or Y is not as described.

        Examples
        --------
        >>> net = fastnn.MLP([1, 3], output="softmax")
        >>> net.examples_and_targets([[0.5, 1.0]], [2, 0])[1]
        array([[0., 1.],
               [0., 0.],
               [1., 0.]], dtype=float32)
        """
        if self._backend is not backends.current:
            self._bind()
        if self._engine.accepts(X, Y):
            return X, Y  # type: ignore[return-value]
        X, Y = checks.examples_and_targets(X, Y, self)
        return checks.apart(X, self._vector), checks.apart(Y, self._vector)

    # --- forward and back -----------------------------------------------------------------

    @overload
    def forward(
        self, X: ArrayLike, out: NDArray[Any] | None = None, cache: Literal[False] = False
    ) -> NDArray[Any]: ...
    @overload
    def forward(
        self, X: ArrayLike, out: NDArray[Any] | None = None, *, cache: Literal[True]
    ) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]: ...
    def forward(self, X: ArrayLike, out: NDArray[Any] | None = None, cache: bool = False) -> Any:
        """Run the network, ``A[l] = g[l](W[l] A[l-1] + b[l])`` for every layer.

        Parameters
        ----------
        X : array_like
            (n[0], m), one column per example; or (n[0],), one example.
        out : ndarray, optional
            Where to write the result; of its shape.
        cache : bool
            Also return every Z and A on the way.

        Returns
        -------
        A : ndarray
            (n[L], m), or (n[L],) for a vector, in the dtype of the network; `out` if given.
        cache : dict
            Only with ``cache=True``: {"Z1": (n[1], m), "A1": (n[1], m), "Z2": ...}, or vectors.

        Raises
        ------
        TypeError, ValueError
            X or `out` is not as described.

        Examples
        --------
        >>> net = fastnn.MLP([2, 3, 1], init="zeros")
        >>> A, cache = net.forward([[1.0], [2.0]], cache=True)
        >>> A, list(cache)
        (array([[0.5]], dtype=float32), ['Z1', 'A1', 'Z2', 'A2'])
        >>> net.forward([1.0, 2.0])
        array([0.5], dtype=float32)
        """
        if cache is False:  # one example should cost no more than this
            if self._backend is not backends.current:
                self._bind()
            A = self._engine.try_forward(X, out, backends.num_threads)
            if A is not None:
                return A
            if type(X) is np.ndarray and X.ndim == 1:
                column = out.reshape(-1, 1) if type(out) is np.ndarray and out.ndim == 1 else None
                if out is None or column is not None:
                    A = self._engine.try_forward(X.reshape(-1, 1), column, 1)
                    if A is not None:
                        return A.ravel() if out is None else out
        engine = self.engine
        X, is_vector = checks.examples(X, self)
        shape = (self._layer_sizes[-1], X.shape[1])
        wanted = shape[:1] if is_vector else shape
        if out is None:
            A = np.empty(wanted, self._dtype)
        else:
            A = checks.output(out, wanted, self._dtype, X, self._vector)
        columns = A[:, np.newaxis] if is_vector else A
        layers = {}
        if cache:
            layers = self._forward_layers(X, columns)
        else:
            engine.forward(X, columns, backends.num_threads)
        if out is not None and A is not out:
            np.copyto(out, A, casting="same_kind")
        if is_vector:
            layers = {name: array[:, 0] for name, array in layers.items()}
        result = A if out is None else out
        return (result, layers) if cache else result

    cost = derivatives.cost
    gradients = derivatives.gradients
    backward = derivatives.backward
    jacobian = derivatives.jacobian
    check_gradients = derivatives.check_gradients

    # --- training, and what the trained network answers -----------------------------------

    step = training.step
    fit = training.fit
    predict = metrics.predict
    score = metrics.score

    # --- files, other libraries, copies ---------------------------------------------------

    save = saving.save
    from_sklearn = classmethod(from_sklearn)

    def copy(self, dtype: DTypeLike | None = None) -> MLP:
        """Return a network with the same parameters and the same generator, apart from this one.

        Parameters
        ----------
        dtype : dtype, optional
            float32 or float64; by default this network's.

        Returns
        -------
        net : MLP
            What is random goes on in it as it would have gone on here.

        Raises
        ------
        TypeError
            `dtype` is neither.

        Examples
        --------
        >>> net = fastnn.MLP([2, 3, 1])
        >>> target = net.copy()
        >>> target.forward([[0.5], [1.0]]) == net.forward([[0.5], [1.0]])
        array([[ True]])
        """
        other = self._dtype if dtype is None else checks.float_dtype(dtype)
        twin = type(self).__new__(type(self))
        twin.__setstate__(
            self.__getstate__()
            | {
                "dtype": other,
                "vector": self._vector.astype(other),
                "generator": copy.deepcopy(self._generator),
            }
        )
        return twin

    def mix(self, other: MLP, tau: float) -> None:
        """Move the parameters some of the way to those of another network, in place.

        ``w <- (1 - tau) w + tau w_other``: the soft update of a target network (Lillicrap et al.,
        "Continuous control with deep reinforcement learning", 2016), or a moving average of what
        training passes through.

        Parameters
        ----------
        other : MLP
            With the same `layer_sizes`, `activations` and `dtype`; it stays as it is.
        tau : float
            From 0, which changes nothing, to 1, which copies.

        Raises
        ------
        TypeError, ValueError
            `other` is no network or another kind of network, or `tau` is not from 0 to 1.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], init={"W1": [[1.0]], "b1": [[2.0]]})
        >>> target = fastnn.MLP([1, 1], init="zeros")
        >>> target.mix(net, 0.25)
        >>> target.parameter_vector
        array([0.25, 0.5 ], dtype=float32)
        """
        if not isinstance(other, MLP):
            raise TypeError(f"other must be an MLP, got {checks.kind(other)}")
        for name in ("layer_sizes", "activations", "dtype"):
            mine, others = getattr(self, name), getattr(other, name)
            if mine != others:
                raise ValueError(
                    f"other must have the {name} of this network, {mine}, got {others}"
                )
        tau = checks.share("tau", tau)
        if tau == 1:  # even where this network's own numbers are not finite
            self._vector[:] = other._vector
        elif tau:
            part = tau * other._vector
            self._vector *= 1 - tau
            self._vector += part

    # --- within ---------------------------------------------------------------------------

    def _bind(self) -> None:
        """Make the engine of the backend in use."""
        backend = backends.current
        self._kernels = backend.kernels(self._dtype)
        layers = tuple(
            LayerSpec(n_in, n_out, row.code, alpha, 1 - dropout)
            for (n_in, n_out), (row, alpha), dropout in zip(
                pairwise(self._layer_sizes), self._layers, (*self._dropout, 0.0), strict=True
            )
        )
        loss = losses.specification(*self._loss, self._layers[-1][0].name)
        self._engine: Engine = self._kernels.Network(layers, loss, self._vector)
        self._backend = backend

    def _forward_layers(self, X: NDArray[Any], A_last: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Run layer by layer, the last one into A_last; return every Z and A."""
        cache: dict[str, NDArray[Any]] = {}
        linear = activations.ACTIVATIONS["linear"].code
        parameters = self.parameters
        A = X
        for l, (row, alpha) in enumerate(self._layers, start=1):
            W, b = parameters[f"W{l}"], parameters[f"b{l}"]
            Z = np.empty((len(W), X.shape[1]), self._dtype)
            self._kernels.dense_forward(W, b, A, linear, 0.0, Z)
            A = A_last if l == len(self._layers) else np.empty_like(Z)
            self._kernels.activate(Z, row.code, alpha, A, None)
            cache[f"Z{l}"], cache[f"A{l}"] = Z, A
        return cache

    def __getstate__(self) -> dict[str, Any]:
        values = (
            self._layer_sizes, self.activations, self.loss, self._dropout, self._dtype,
            self._generator, self._vector, self._scaling, __version__,
        )  # fmt: skip
        return dict(zip(STATE, values, strict=True))

    def __setstate__(self, state: dict[str, Any]) -> None:
        checks.pickled_state(state, STATE, __version__)
        *hidden, output = state["activations"]
        self._settle(
            state["layer_sizes"], hidden, output, state["loss"], state["dropout"], state["dtype"]
        )
        self._generator = state["generator"]
        count = checks.parameter_count(self._layer_sizes, self._dtype)
        if np.shape(state["vector"]) != (count,):
            raise ValueError(
                f"the state of an MLP {list(self._layer_sizes)} must have {count} parameters, "
                f"got shape {np.shape(state['vector'])}"
            )
        # A memory map or a shared buffer may come back read-only, or in another byte order.
        self._vector = new_vector(count, self._dtype)
        self._vector[:] = state["vector"]
        self.scaling = state["scaling"]
        self._bind()

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self._layer_sizes))
        names = "-".join(row.name for row, alpha in self._layers)
        standardized = "" if self._scaling is None else ", standardized"
        return (
            f"<MLP {sizes}, {names}, {self._loss[0].name}, {self._dtype}, "
            f"{self._vector.size} parameters{standardized}, on {backends.current}>"
        )
