"""Pictures of a network and its training, drawn with matplotlib (the extra ``plot``).

Each function draws on the axes it is given.  Without any it makes a figure of its own,
which belongs to no window and no pyplot state: ``ax.figure.savefig("picture.png")``.
The colours are those of Okabe and Ito, which colour-blind readers can tell apart too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _hints
from fastnn.activations import ACTIVATIONS
from fastnn.functional import activate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from numpy.typing import ArrayLike, NDArray

    from fastnn.activations import ActivationLike
    from fastnn.network import MLP
    from fastnn.training import History

__all__ = [
    "new_axes",
    "plot_activations",
    "plot_cost",
    "plot_decision_boundary",
    "plot_history",
]

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
MARKERS = "o^sDvP*X"
GRID = 300
"""Points of the decision boundary's grid along each axis."""


def new_axes(rows: int = 1, columns: int = 1, size: tuple[float, float] = (5.0, 4.0)) -> Any:
    """Make a figure of its own and return its axes.

    Parameters
    ----------
    rows, columns : int
    size : (float, float)
        Width and height of each of the axes, in inches.

    Returns
    -------
    matplotlib.axes.Axes, or an array of them
        A single one where both are 1, else in the shape NumPy would squeeze to.

    Raises
    ------
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plot
    >>> left, right = plot.new_axes(columns=2)
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            f"matplotlib does not load ({error}); {_hints.install('plot')} brings it"
        ) from error
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), dpi=150, layout="constrained")
    axes = figure.subplots(rows, columns)
    for ax in np.ravel(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.9", linewidth=0.8)
        ax.set_axisbelow(True)
        ax.set_prop_cycle(color=COLOURS)
    return axes


def plot_decision_boundary(net: MLP, X: ArrayLike, Y: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the examples and what the network says of every point around them.

    Parameters
    ----------
    net : MLP
        A network with two inputs and a sigmoid or softmax output.
    X : array_like, (2, m)
        Examples.
    Y : array_like, (n_L, m) or (m,)
        Their classes: 0 or 1, one-hot columns, or class numbers.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        X has not two rows, or the network does not take two inputs.

    Examples
    --------
    >>> from fastnn import datasets, plot
    >>> X, Y = datasets.planar_flower()
    >>> ax = plot.plot_decision_boundary(fastnn.MLP([2, 4, 1]), X, Y)
    >>> ax.figure.savefig("boundary.png")  # doctest: +SKIP
    """
    X, Y = np.asarray(X), np.asarray(Y)
    if X.ndim != 2 or X.shape[0] != 2:
        raise ValueError(f"X must have shape (2, m) to be drawn in a plane, got {X.shape}")
    ax = new_axes() if ax is None else ax
    labels = (Y.argmax(axis=0) if Y.ndim == 2 and len(Y) > 1 else np.ravel(Y)).astype(int)
    _fill_regions(net, X, ax)
    for label in np.unique(labels):
        x, y = X[:, labels == label]
        ax.scatter(
            x,
            y,
            s=16,
            marker=MARKERS[label % len(MARKERS)],
            color=COLOURS[label % len(COLOURS)],
            edgecolor="white",
            linewidth=0.4,
            label=f"class {label}",
        )
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    ax.grid(False)
    ax.legend(loc="upper right", framealpha=0.9)
    return ax


def _fill_regions(net: MLP, X: NDArray[Any], ax: Axes) -> None:
    """Colour the plane: the probability of class 1, or the likeliest class."""
    from matplotlib.colors import LinearSegmentedColormap, ListedColormap

    margin = 0.08 * np.ptp(X, axis=1, keepdims=True) + 1e-6
    low, high = X.min(axis=1, keepdims=True) - margin, X.max(axis=1, keepdims=True) + margin
    x, y = np.linspace(low, high, GRID)[:, :, 0].T
    A = net.forward(np.stack(np.meshgrid(x, y)).reshape(2, -1))
    colours: Colormap
    if len(A) == 1:
        values, largest = A, 1
        colours = LinearSegmentedColormap.from_list("", [COLOURS[0], "white", COLOURS[1]])
    else:
        values, largest = A.argmax(axis=0), len(A) - 1
        colours = ListedColormap([COLOURS[i % len(COLOURS)] for i in range(len(A))])
    values = values.reshape(GRID, GRID)
    ax.imshow(
        values,
        extent=(x[0], x[-1], y[0], y[-1]),
        origin="lower",
        aspect="auto",
        cmap=colours,
        vmin=0,
        vmax=largest,
        alpha=0.45,
    )
    for border in np.arange(largest) + 0.5:
        if values.min() < border < values.max():
            ax.contour(x, y, values, levels=[border], colors="black", linewidths=1.2)


def plot_cost(
    history: History | ArrayLike, ax: Axes | None = None, label: str | None = None
) -> Axes:
    """Draw the cost of each epoch, on a logarithmic scale if it falls to a tenth or less.

    Parameters
    ----------
    history : History or array_like, (epochs,)
        What `MLP.fit` returns, or the costs themselves.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.
    label : str, optional
        Name of the curve in the legend.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plot
    >>> net = fastnn.MLP([1, 1], output="linear")
    >>> ax = plot.plot_cost(net.fit([[0.0, 1.0]], [[1.0, 3.0]]), label="linear")
    """
    cost = np.asarray(getattr(history, "cost", history), dtype=float)
    ax = new_axes() if ax is None else ax
    ax.plot(np.arange(1, len(cost) + 1), cost, linewidth=1.8, label=label)
    costs = np.concatenate([line.get_ydata() for line in ax.lines])
    low, high = costs.min(), costs.max()
    if 0 < low <= high / 10:
        ax.set(yscale="log", ylim=(low / 1.3, high * 1.3))
    else:
        ax.set(yscale="linear", ylim=(min(low, 0), high * 1.05 or 1))
    ax.set(xlabel="epoch", ylabel="cost J")
    if label is not None:
        ax.legend()
    return ax


def plot_history(history: History, ax: Axes | None = None) -> Axes:
    """Draw the cost of each epoch and, where there is one, the validation cost and its best epoch.

    Parameters
    ----------
    history : History
        What `MLP.fit` returns.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plot
    >>> net = fastnn.MLP([1, 1], output="linear")
    >>> data = [[0.0, 1.0]], [[1.0, 3.0]]
    >>> ax = plot.plot_history(net.fit(*data, epochs=9, validation_data=data))
    >>> [line.get_label() for line in ax.lines]
    ['training', 'validation', 'best epoch, 9']
    """
    if history.validation_cost is None:
        return plot_cost(history, ax)
    ax = plot_cost(history, ax, "training")
    plot_cost(history.validation_cost, ax, "validation")
    best = history.best_epoch
    if best is not None:
        lowest = history.validation_cost[best - 1]
        ax.plot([best], [lowest], "o", color="black", label=f"best epoch, {best}")
        ax.legend()
    return ax


def plot_activations(axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Draw each elementwise activation of the table with its derivative.

    Parameters
    ----------
    axes : sequence of matplotlib.axes.Axes, optional
        One for each activation but softmax; by default those of a new figure.

    Returns
    -------
    sequence of matplotlib.axes.Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> from fastnn import plot
    >>> {ax.get_xlabel() for ax in plot.plot_activations()}
    {'z'}
    """
    rows = [row for row in ACTIVATIONS.values() if row.name != "softmax"]
    axes = new_axes(columns=len(rows), size=(3.0, 3.3)) if axes is None else axes
    # The two points beside 0 make the jump of a derivative a vertical line.
    z = np.sort(np.concatenate([np.linspace(-4, 4, 401), [-1e-9, 1e-9]]))[np.newaxis]
    for ax, row in zip(axes, rows, strict=True):
        # A slope of 0.1 can be seen; 0.01, the default, cannot.
        activation: ActivationLike = ("leaky_relu", 0.1) if row.name == "leaky_relu" else row.name
        A, derivative = activate(z, activation, derivative=True)
        ax.plot(z[0], A[0], color=COLOURS[0], linewidth=2.2, label="g(z)")
        ax.plot(
            z[0], derivative[0], color=COLOURS[1], linewidth=2.0, dashes=(4, 1.5), label="g′(z)"
        )
        name = row.name if activation == row.name else f"{row.name}, slope {activation[1]}"
        ax.set_title(f"{name}\na = {row.formula}\ng′ = {row.derivative}", fontsize=9)
        ax.set(xlabel="z", ylim=(-1.25, 2.25), xlim=(-4, 4))
    axes[0].legend(loc="upper left")
    return axes
