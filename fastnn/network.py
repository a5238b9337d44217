"""The network: its parameters, and what can be asked of it.

The parameters of all layers lie in one flat vector, W[1] row by row, b[1], W[2], ...;
``net.parameters`` are views of it, and so is what the kernels read and write.  The
methods check their arguments and hand them to an engine, the kernels' own object for a
network, which is made again when the backend changes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from fastnn import (
    activations,
    backends,
    checks,
    derivatives,
    initializers,
    losses,
    metrics,
    training,
)
from fastnn._specifications import LayerSpec
from fastnn.parameters import ParameterDict, flat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Never

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from fastnn._kernels import Network as Engine
    from fastnn.activations import Activation, ActivationLike
    from fastnn.initializers import InitializerName
    from fastnn.losses import Loss, LossLike

__all__ = ["MLP"]

STATE = ("layer_sizes", "activations", "loss", "dropout", "dtype", "generator", "vector")
"""What a pickled network holds."""


class MLP:
    """A dense feed-forward network, a multi-layer perceptron.

    Everywhere **one column is one example**: X is (n[0], m) and Y is (n[L], m).  Layer l
    computes ``A[l] = g[l](W[l] A[l-1] + b[l])`` with W[l] (n[l], n[l-1]) and b[l]
    (n[l], 1).

    Parameters
    ----------
    layer_sizes : sequence of int
        (n[0], ..., n[L]): the numbers of inputs, of units in each hidden layer, and of
        outputs.  L >= 1 and all are >= 1.
    hidden : str, tuple or list
        Activation of the hidden layers, or a list with one for each: "linear",
        "sigmoid", "tanh", "relu", "leaky_relu", ``("leaky_relu", slope)`` or "gelu".
    output : str or tuple
        Activation of the output layer; "softmax" is possible too.
    loss : str or tuple, optional
        "binary_cross_entropy" (the default with a sigmoid output), "cross_entropy" (the
        default with softmax), "mse", half the squared error (the default otherwise),
        "huber" or ``("huber", delta)``.
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
    loss : str or tuple
    dropout : tuple of float
    dtype : numpy.dtype
    parameters : dict
    parameter_vector : ndarray
    generator : numpy.random.Generator
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
    have it) and refuse NaN and infinity, arrays that are not 2D, and no examples at all.
    Networks can be copied with ``copy.deepcopy`` and pickled.

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
        self._vector = np.zeros(count, self._dtype)
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
        """The loss: a name, or a pair such as ("huber", delta)."""
        loss: LossLike = checks.name_and_parameter(*self._loss)
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
            (n[0], m), one column per example.
        out : ndarray, optional
            Where to write the result; (n[L], m).
        cache : bool
            Also return every Z and A on the way.

        Returns
        -------
        A : ndarray
            (n[L], m), in the dtype of the network; `out` if given.
        cache : dict
            Only with ``cache=True``: {"Z1": (n[1], m), "A1": (n[1], m), "Z2": ...}.

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
        """
        if cache is False:  # one example should cost no more than this
            if self._backend is not backends.current:
                self._bind()
            A = self._engine.try_forward(X, out, backends.num_threads)
            if A is not None:
                return A
        engine = self.engine
        X = checks.examples(X, self._layer_sizes[0], self._dtype, self._kernels.all_finite)
        shape = (self._layer_sizes[-1], X.shape[1])
        if out is None:
            A = np.empty(shape, self._dtype)
        else:
            A = checks.output(out, shape, self._dtype, X, self._vector)
        if cache:
            layers = self._forward_layers(X, A)
        else:
            engine.forward(X, A, backends.get_num_threads())
        if out is not None and A is not out:
            np.copyto(out, A, casting="same_kind")
        result = A if out is None else out
        return (result, layers) if cache else result

    def cost(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Return the cost J on X and Y: the mean over the examples of the loss.

        Parameters
        ----------
        X : array_like
            (n[0], m), one column per example.
        Y : array_like
            (n[L], m), the targets: for the cross-entropies probabilities in [0, 1], for
            "cross_entropy" with columns that sum to 1.

        Returns
        -------
        J : float

        Raises
        ------
        TypeError, ValueError
            X or Y is not as described.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
        >>> net.cost([[1.0, 2.0]], [[2.0, 4.0]])
        5.0
        """
        X, Y = self._examples_and_targets(X, Y)
        return self.engine.cost_and_gradients(X, Y, None, None, backends.get_num_threads())

    def gradients(self, X: ArrayLike, Y: ArrayLike) -> tuple[float, ParameterDict]:
        """Return the cost J and its derivatives with respect to the parameters.

        Parameters
        ----------
        X, Y : array_like
            As for `cost`.

        Returns
        -------
        J : float
        gradients : dict
            {"dW1": (n[1], n[0]), "db1": (n[1], 1), "dW2": ...}: views of one flat vector
            in the order of `parameter_vector`, which is ``gradients.vector``.

        Raises
        ------
        TypeError, ValueError
            X or Y is not as described.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
        >>> J, gradients = net.gradients([[1.0, 2.0]], [[2.0, 4.0]])
        >>> gradients["dW1"], gradients["db1"]
        (array([[-5.]], dtype=float32), array([[-3.]], dtype=float32))
        """
        X, Y = self._examples_and_targets(X, Y)
        vector = np.empty_like(self._vector)
        J = self.engine.cost_and_gradients(X, Y, None, vector, backends.get_num_threads())
        return J, ParameterDict(vector, self._layer_sizes, "d")

    def backward(self, X: ArrayLike, dA: ArrayLike) -> tuple[ParameterDict, NDArray[Any]]:
        """Go back from the derivatives of a cost of your own with respect to the outputs.

        Parameters
        ----------
        X : array_like
            (n[0], m), one column per example.
        dA : array_like
            (n[L], m): dJ/dA[L], its own 1/m included.

        Returns
        -------
        gradients : dict
            As `gradients` returns them: the derivatives of J, summed over the examples.
        dX : ndarray
            (n[0], m): dJ/dX.

        Raises
        ------
        TypeError, ValueError
            X or dA is not as described.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], output="linear", init={"W1": [[3.0]], "b1": [[0.0]]})
        >>> gradients, dX = net.backward([[1.0, 2.0]], [[1.0, 1.0]])
        >>> gradients["dW1"], dX
        (array([[3.]], dtype=float32), array([[3., 3.]], dtype=float32))
        """
        engine = self.engine
        all_finite = self._kernels.all_finite
        X = checks.examples(X, self._layer_sizes[0], self._dtype, all_finite)
        shape = self._layer_sizes[-1], X.shape[1]
        dA = checks.finite_matrix("dA", dA, shape, self._dtype, all_finite)
        vector, dX = np.empty_like(self._vector), np.empty(X.shape, self._dtype)
        engine.backward(X, dA, vector, dX, backends.get_num_threads())
        return ParameterDict(vector, self._layer_sizes, "d"), dX

    # --- training, and what the trained network answers -----------------------------------

    step = training.step
    fit = training.fit
    predict = metrics.predict
    score = metrics.score

    def check_gradients(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Compare the gradients with central differences of the cost, in float64.

        Parameters
        ----------
        X, Y : array_like
            As for `cost`; a few examples are enough.

        Returns
        -------
        difference : float
            ``||g - d|| / (||g|| + ||d||)``, where g is the gradient by backward
            propagation and d that by differences,
            ``d[i] = (J(w[i] + h) - J(w[i] - h)) / 2h`` with h = 1e-5.

        Raises
        ------
        TypeError, ValueError
            X or Y is not as described.

        Notes
        -----
        A right gradient gives 1e-11 to 1e-8, a wrong one more than 1e-4.  In between,
        relu and leaky_relu may have a unit whose z is within h of the kink at 0.  The
        network itself is not touched: a copy in float64 is compared, on the backend in
        use.  Each parameter takes two passes forward, so this is for small networks.

        Examples
        --------
        >>> net = fastnn.MLP([2, 3, 1])
        >>> net.check_gradients([[0.5, -1.0], [2.0, 0.1]], [[1, 0]]) < 1e-7
        True
        """
        return derivatives.check_gradients(self._as_float64(), X, Y)

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

    def _examples_and_targets(self, X: Any, Y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        if self._backend is not backends.current:
            self._bind()
        return checks.examples_and_targets(
            X, Y, self._layer_sizes, self._loss[0], self._dtype, self._kernels.all_finite
        )

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

    def _as_float64(self) -> MLP:
        copy = MLP.__new__(MLP)
        state = self.__getstate__()
        copy.__setstate__(state | {"dtype": checks.FLOAT64, "vector": self._vector.astype("f8")})
        return copy

    def __getstate__(self) -> dict[str, Any]:
        values = (
            self._layer_sizes, self.activations, self.loss, self._dropout, self._dtype,
            self._generator, self._vector,
        )  # fmt: skip
        return dict(zip(STATE, values, strict=True))

    def __setstate__(self, state: dict[str, Any]) -> None:
        checks.pickled_state(state, STATE)
        *hidden, output = state["activations"]
        self._settle(
            state["layer_sizes"], hidden, output, state["loss"], state["dropout"], state["dtype"]
        )
        self._generator = state["generator"]
        # A memory map or a shared buffer may come back read-only, or in another byte order.
        self._vector = np.require(state["vector"], self._dtype, ("C", "A", "W", "E"))
        count = checks.parameter_count(self._layer_sizes, self._dtype)
        if self._vector.shape != (count,):
            raise ValueError(
                f"the state of an MLP {list(self._layer_sizes)} must have {count} parameters, "
                f"got shape {self._vector.shape}"
            )
        self._bind()

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self._layer_sizes))
        names = "-".join(row.name for row, alpha in self._layers)
        return (
            f"<MLP {sizes}, {names}, {self._loss[0].name}, {self._dtype}, "
            f"{self._vector.size} parameters, on {backends.current}>"
        )
