"""The network: its parameters, and what can be asked of it.

The parameters of all layers lie in one flat vector, W[1] row by row, b[1], W[2], ...;
``net.parameters`` are views of it, and so is what the kernels read and write.  The
methods check their arguments and hand them to an engine, the kernels' own object for a
network, which is made again when the backend changes.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import activations, backends, checks, initializers, losses, optimizers, training

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    Activation = str | tuple[str, float]

__all__ = ["MLP"]

DIFFERENCE_STEP = 1e-5
"""Step of the central differences of `MLP.check_gradients`: near the cube root of eps in
float64, where the errors of rounding and of truncation balance."""


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
        "sigmoid", "tanh", "relu", "leaky_relu", or ``("leaky_relu", slope)``.
    output : str or tuple
        Activation of the output layer; "softmax" is possible too.
    loss : str, optional
        "binary_cross_entropy" (the default with a sigmoid output), "cross_entropy" (the
        default with softmax) or "mse", half the squared error (the default otherwise).
    init : str or float
        Initial weights: "auto" takes "he" for relu and leaky_relu and "xavier" for the
        rest; "small_normal", "zeros", or a number s for s N(0, 1).  Biases are zero.
    seed : int, numpy.random.Generator or None
        For the initial weights and, after them, for the order of examples in `fit`.
        The same integer gives the same parameters in every backend.  None differs from
        run to run.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    layer_sizes : tuple of int
    activations : tuple
        One for each layer, hidden and output: a name, or ("leaky_relu", slope).
    loss : str
    dtype : numpy.dtype
    parameters : dict
    parameter_vector : ndarray
    generator : numpy.random.Generator
    engine : object

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
        hidden: Activation | Sequence[Activation] = "tanh",
        output: Activation = "sigmoid",
        loss: str | None = None,
        init: str | float = "auto",
        seed: Any = 0,
        dtype: DTypeLike = "float32",
    ) -> None:
        self._layer_sizes = checks.layer_sizes(layer_sizes)
        layers = _resolve_activations(hidden, output, len(self._layer_sizes) - 2)
        self._rows = tuple(row for row, slope in layers)
        self._slopes = tuple(slope for row, slope in layers)
        self._loss = losses.resolve(loss, self._rows[-1].name)
        self._dtype = checks.float_dtype(dtype)
        scales = initializers.scales(init, self._layer_sizes, self._rows)
        count = checks.parameter_count(self._layer_sizes, self._dtype)
        self._generator = checks.generator(seed)
        self._vector = np.zeros(count, self._dtype)
        weights = [view for name, view in self.parameters.items() if name[0] == "W"]
        initializers.fill(weights, scales, self._generator)
        self._bind()

    # --- what it is made of ---------------------------------------------------------------

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """(n[0], ..., n[L])."""
        return self._layer_sizes

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activation of each layer: a name, or ("leaky_relu", slope)."""
        return tuple(
            (row.name, slope) if row.name == "leaky_relu" else row.name
            for row, slope in zip(self._rows, self._slopes, strict=True)
        )

    @property
    def loss(self) -> str:
        """Name of the loss."""
        return self._loss.name

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self._dtype

    @property
    def parameters(self) -> dict[str, NDArray]:
        """{"W1": (n[1], n[0]), "b1": (n[1], 1), "W2": ...}: writable views.

        Write into the arrays, ``net.parameters["W1"][...] = W``: the dictionary itself
        is a new one each time.
        """
        return _views(self._vector, self._layer_sizes)

    @property
    def parameter_vector(self) -> NDArray:
        """All parameters as one flat vector: W[1] row by row, b[1], W[2], ...; a writable view."""
        return self._vector[:]

    @property
    def generator(self) -> np.random.Generator:
        """Drew the initial weights, and draws the order of examples in `fit`."""
        return self._generator

    @property
    def engine(self) -> Any:
        """The kernels' object for this network (``Network`` in the contract); unchecked."""
        if self._backend is not backends.current:
            self._bind()
        return self._engine

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
        views = self.parameters
        arrays = checks.parameters(parameters, views)
        vector = np.concatenate([array.ravel() for array in arrays.values()])
        self._vector[:] = vector

    # --- forward and back -----------------------------------------------------------------

    def forward(self, X: ArrayLike, out: NDArray | None = None, cache: bool = False) -> Any:
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
        if out is None and cache is False:  # one example should cost no more than this
            if self._backend is not backends.current:
                self._bind()
            A = self._engine.try_forward(X, backends.num_threads)
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
        return self.engine.cost_and_gradients(X, Y, None, backends.get_num_threads())

    def gradients(self, X: ArrayLike, Y: ArrayLike) -> tuple[float, dict[str, NDArray]]:
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
            in the order of `parameter_vector`, the ``.base`` of each.

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
        J = self.engine.cost_and_gradients(X, Y, vector, backends.get_num_threads())
        return J, _views(vector, self._layer_sizes, "d")

    def step(self, X: ArrayLike, Y: ArrayLike, learning_rate: float = 0.1) -> float:
        """Take one step of gradient descent on the batch, ``W <- W - learning_rate dW``.

        Parameters
        ----------
        X, Y : array_like
            As for `cost`.
        learning_rate : float
            Finite and > 0.

        Returns
        -------
        J : float
            The cost on the batch before the step.

        Raises
        ------
        TypeError, ValueError
            An argument is not as described; nothing has changed then.

        Notes
        -----
        A step keeps no copy of the parameters: where `fit` would put them back, a
        learning rate that is far too large leaves non-finite ones here.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
        >>> [net.step([[1.0]], [[2.0]], learning_rate=0.25) for _ in range(3)]
        [2.0, 0.5, 0.125]
        """
        rates = optimizers.hyper_parameters("gradient_descent", learning_rate=learning_rate)
        X, Y = self._examples_and_targets(X, Y)
        X, Y = checks.apart(X, self._vector), checks.apart(Y, self._vector)
        costs = np.empty(1)
        self.engine.train(
            X, Y, None, X.shape[1], rates["learning_rate"], costs, backends.get_num_threads()
        )
        return float(costs[0])

    # --- training -------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        epochs: int = 1000,
        learning_rate: float = 0.1,
        batch_size: int | None = None,
        shuffle: bool = True,
        seed: Any = None,
        progress: bool | Callable[[int, float], object] | None = None,
        threads: int | None = None,
    ) -> training.History:
        """Train by gradient descent.

        Parameters
        ----------
        X, Y : array_like
            As for `cost`.
        epochs : int
            How often to go through all examples, >= 1.
        learning_rate : float
            Finite and > 0.
        batch_size : int, optional
            Examples for each step; None takes all of them.  The last batch of an epoch
            is smaller if need be, and a size above m is clipped with a UserWarning.
        shuffle : bool
            Take the examples in a new random order in each epoch.  Full batches are
            not shuffled.
        seed : int, numpy.random.Generator or None
            For the order of examples.  None continues the network's own `generator`.
        progress : bool or callable, optional
            True keeps one line on the standard error stream up to date.  A function is
            called as ``progress(epoch, cost)`` with the number of epochs done and the
            cost of the last of them: some seven times a second or after each epoch,
            whichever is less often, and after the last one.  An exception from it ends
            the training, with the parameters as they are by then.
        threads : int, optional
            The most threads to use; None takes `get_num_threads()`.  The results have
            the same bits for any number.

        Returns
        -------
        History
            Its `cost` has one value per epoch: the mean of the batch costs as computed
            in it (with full batches: the cost before that epoch's update).

        Raises
        ------
        TypeError, ValueError
            An argument is not as described; nothing has changed then.
        ValueError
            The cost or the parameters became non-finite, because the learning rate is
            too large: parameters and generator are as they were before.
        KeyboardInterrupt
            Ctrl-C, which is noticed within half a second: the parameters are those of
            the last whole epoch.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], output="linear")
        >>> history = net.fit([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]], epochs=500)
        >>> net.predict([[10.0]]).round(2)
        array([[21.]], dtype=float32)
        """
        return training.fit(
            self, X, Y, epochs, learning_rate, batch_size, shuffle, seed, progress, threads
        )

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the network's answer for each example.

        Parameters
        ----------
        X : array_like
            (n[0], m), one column per example.

        Returns
        -------
        P : ndarray
            With a sigmoid output integers (n[L], m), 1 where a > 0.5 and 0 elsewhere
            (a tie, a = 0.5, is 0); with softmax integers (m,), the class of the largest
            output (the first of them in a tie); else the outputs, (n[L], m).

        Raises
        ------
        TypeError, ValueError
            X is not as described.

        Examples
        --------
        >>> net = fastnn.MLP([2, 3], output="softmax", init="zeros")
        >>> net.parameters["b1"][...] = [[0.0], [1.0], [0.5]]
        >>> net.predict([[0.0, 0.0], [1.0, 2.0]])
        array([1, 1])
        """
        return self._decide(self.forward(X))

    def score(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Return the accuracy of a classifier, or R^2 of a regression.

        Parameters
        ----------
        X : array_like
            (n[0], m), one column per example.
        Y : array_like
            (n[L], m), the targets as for `cost`; with softmax also the class of each
            example, integers (m,).

        Returns
        -------
        score : float
            With a sigmoid output the share of the examples for which **every** output
            is on the target's side of 0.5, and with softmax the share whose largest
            output is the largest target.  Otherwise the mean over the outputs of
            ``R^2 = 1 - sum((y - a)^2) / sum((y - mean(y))^2)``, where an output with a
            constant target counts 1 if it is met exactly and 0 if not; nan with a
            warning if there is one example only.

        Raises
        ------
        TypeError, ValueError
            X or Y is not as described.

        Examples
        --------
        >>> net = fastnn.MLP([1, 1], output="linear", init="zeros")
        >>> net.score([[1.0, 2.0]], [[-1.0, 1.0]])
        0.0
        """
        output = self._rows[-1].name
        if output == "softmax" and np.ndim(Y) == 1:
            P = self.predict(X)
            return float(np.mean(P == checks.class_labels(Y, self._layer_sizes[-1], len(P))))
        X, Y = self._examples_and_targets(X, Y)
        A = self.forward(X)
        if output in ("sigmoid", "softmax"):
            right = self._decide(A) == self._decide(Y)
            return float(np.mean(right if right.ndim == 1 else right.all(axis=0)))
        return _r_squared(A, Y)

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
        copy = self._as_float64()
        X, Y = copy._examples_and_targets(X, Y)
        w, engine = copy._vector, copy.engine
        gradient = np.empty_like(w)
        engine.cost_and_gradients(X, Y, gradient)
        differences = np.empty_like(w)
        for i, value in enumerate(w.copy()):
            w[i] = value + DIFFERENCE_STEP
            above = engine.cost_and_gradients(X, Y, None)
            w[i] = value - DIFFERENCE_STEP
            below = engine.cost_and_gradients(X, Y, None)
            w[i] = value
            differences[i] = (above - below) / (2 * DIFFERENCE_STEP)
        scale = np.linalg.norm(gradient) + np.linalg.norm(differences)
        return float(np.linalg.norm(gradient - differences) / scale) if scale else 0.0

    # --- within ---------------------------------------------------------------------------

    def _bind(self):
        """Make the engine of the backend in use."""
        backend = backends.current
        self._kernels = backend.kernels(self._dtype)
        codes = tuple(row.code for row in self._rows)
        self._engine = self._kernels.Network(
            self._layer_sizes, codes, self._slopes, self._loss.code, self._vector
        )
        self._backend = backend

    def _examples_and_targets(self, X, Y):
        if self._backend is not backends.current:
            self._bind()
        return checks.examples_and_targets(
            X, Y, self._layer_sizes, self._loss, self._dtype, self._kernels.all_finite
        )

    def _forward_layers(self, X, A_last):
        """Run layer by layer, the last one into A_last; return every Z and A."""
        cache: dict[str, NDArray] = {}
        linear = activations.ACTIVATIONS["linear"].code
        parameters = self.parameters
        A = X
        for l, (row, slope) in enumerate(zip(self._rows, self._slopes, strict=True), start=1):
            W, b = parameters[f"W{l}"], parameters[f"b{l}"]
            Z = np.empty((len(W), X.shape[1]), self._dtype)
            self._kernels.dense_forward(W, b, A, linear, 0.0, Z)
            A = A_last if l == len(self._rows) else np.empty_like(Z)
            self._kernels.activate(Z, row.code, slope, A)
            cache[f"Z{l}"], cache[f"A{l}"] = Z, A
        return cache

    def _decide(self, A):
        """0/1 or class indices from the outputs, or from targets, of a classifier."""
        output = self._rows[-1].name
        if output == "sigmoid":
            return (A > 0.5).astype(np.intp)
        return A.argmax(axis=0) if output == "softmax" else A

    def _as_float64(self):
        copy = MLP.__new__(MLP)
        copy.__setstate__(
            {**self.__getstate__(), "_dtype": checks.FLOAT64, "_vector": self._vector.astype("f8")}
        )
        return copy

    def __getstate__(self):
        state = self.__dict__.copy()
        for name in ("_backend", "_engine", "_kernels"):
            del state[name]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        # A memory map or a shared buffer may come back read-only, or in another byte order.
        self._vector = np.require(self._vector, self._dtype, ("C", "A", "W", "E"))
        self._bind()

    def __repr__(self):
        sizes = "-".join(map(str, self._layer_sizes))
        names = "-".join(row.name for row in self._rows)
        return (
            f"<MLP {sizes}, {names}, {self.loss}, {self._dtype}, "
            f"{self._vector.size} parameters, on {backends.current}>"
        )


def _resolve_activations(hidden, output, n_hidden):
    """[(row, slope), ...] of all layers."""
    is_pair = isinstance(hidden, tuple) and len(hidden) == 2
    if isinstance(hidden, str) or (is_pair and not isinstance(hidden[1], (str, tuple))):
        layers = [activations.resolve(hidden, "hidden")] * n_hidden
    elif isinstance(hidden, (list, tuple)):
        layers = [activations.resolve(name, f"hidden[{i}]") for i, name in enumerate(hidden)]
    else:
        raise TypeError(f"hidden must be an activation or a list of them, got {hidden!r}")
    if len(layers) != n_hidden:
        raise ValueError(
            f"hidden names {len(layers)} activations, but there are {n_hidden} hidden layers"
        )
    for row, _ in layers:
        if not row.hidden:
            raise ValueError(f"{row.name!r} is for the output layer, not for a hidden one")
    return [*layers, activations.resolve(output, "output")]


def _views(vector, layer_sizes, prefix=""):
    """{"W1": ..., "b1": ..., ...} as views of a flat vector."""
    views = {}
    start = 0
    for l, (n_in, n_out) in enumerate(pairwise(layer_sizes), start=1):
        middle, stop = start + n_out * n_in, start + n_out * (n_in + 1)
        views[f"{prefix}W{l}"] = vector[start:middle].reshape(n_out, n_in)
        views[f"{prefix}b{l}"] = vector[middle:stop].reshape(n_out, 1)
        start = stop
    return views


def _r_squared(A, Y):
    """1 - (residual sum of squares) / (total sum of squares), its mean over the outputs."""
    if Y.shape[1] < 2:
        warnings.warn("R^2 of one example is not defined", RuntimeWarning, stacklevel=3)
        return float("nan")
    residual = np.square(Y - A, dtype=np.float64).sum(axis=1)
    mean = Y.mean(axis=1, keepdims=True, dtype=np.float64)
    total = np.square(Y - mean).sum(axis=1)
    constant = (Y == Y[:, :1]).all(axis=1)  # rounding of the mean must not matter
    score = np.where(constant, residual == 0, 1 - residual / np.where(constant, 1, total))
    return float(score.mean())
