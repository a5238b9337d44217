"""What of a network is in a file: arrays by name, and a text in JSON that says the rest.

    W1, b1, W2, ...                 the parameters, with the shapes of `MLP.parameters`
    scaling.X_mean, X_scale, ...    `MLP.scaling`, if there is one; float64
    optimizer.m, optimizer.v, ...   the vectors of the optimizer, if it was saved

The text has the version of all this.  A fastnn reads every version up to its own; a field that it
does not know, or does not find, is an error: nothing is guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import __version__, checks
from fastnn.io import generators, strict_json
from fastnn.io.errors import FormatError
from fastnn.network import MLP
from fastnn.optimizers import LBFGS, OPTIMIZERS, Optimizer
from fastnn.parameters import runs
from fastnn.scaling import MeanAndScale, Scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Tensors = dict[str, NDArray[Any]]

__all__ = ["VERSION", "compose", "restore"]

VERSION = 1
"""Of the document; it goes up with every change that an older fastnn would not understand."""

FIELDS = (
    "version", "written_by", "layer_sizes", "activations", "loss", "dropout", "dtype", "generator",
    "optimizer",
)  # fmt: skip

KNOWN_OPTIMIZERS = OPTIMIZERS | {"lbfgs": LBFGS}


# --- from a network -----------------------------------------------------------------------


def compose(net: MLP, optimizer: Optimizer | None) -> tuple[Tensors, str]:
    """Return the arrays and the text of a network.

    Raises
    ------
    TypeError, ValueError
        The network has something that cannot be saved, a loss that is a function.

    Examples
    --------
    >>> tensors, text = compose(fastnn.MLP([2, 1]), None)
    >>> list(tensors), text[:40]
    (['W1', 'b1'], '{"version":1,"written_by":"fastnn 0.1.0"')
    """
    loss: Any = net.loss
    if callable(loss):
        raise ValueError(
            f"the network's loss {net.loss_row.name!r} is a function, which a file cannot hold: "
            "save a network with a loss of the table, MLP(..., init=net.parameters)"
        )
    tensors: Tensors = dict(net.parameters)
    for name, pair in zip("XY", net.scaling or ()):
        if pair is not None:
            tensors |= {f"scaling.{name}_mean": pair.mean, f"scaling.{name}_scale": pair.scale}
    described = None
    if optimizer is not None:
        described = _described(optimizer, net)
        state = optimizer.state
        tensors |= {f"optimizer.{slot}": state[slot] for slot in state if slot != "steps"}
    values = (
        VERSION, f"fastnn {__version__}", net.layer_sizes, net.activations, loss, net.dropout,
        net.dtype.name, generators.numbers(net.generator), described,
    )  # fmt: skip
    return tensors, strict_json.dumps(dict(zip(FIELDS, values, strict=True)))


def _described(optimizer: Any, net: MLP) -> dict[str, Any]:
    """The name, the steps and the hyper-parameters; refused if they would not come back."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer must be an Optimizer, which has a state, got {checks.shown(optimizer)}"
        )
    if KNOWN_OPTIMIZERS.get(optimizer.name) is not type(optimizer):
        raise TypeError(
            f"optimizer: a {type(optimizer).__name__} cannot be saved, only those of the table: "
            f"{', '.join(KNOWN_OPTIMIZERS)}"
        )
    described = {
        "name": optimizer.name,
        "steps": optimizer.steps,
        "hyperparameters": _hyperparameters(optimizer),
    }
    optimizer.vectors_for(net.parameter_vector)  # another network's are refused
    _optimizer(described, dict(optimizer.state))
    return described


def _hyperparameters(optimizer: Optimizer) -> dict[str, Any]:
    return {name: value for name, value in vars(optimizer).items() if name[0] != "_"}


# --- and back -----------------------------------------------------------------------------


def restore(tensors: Tensors, text: str) -> tuple[MLP, Optimizer | None]:
    """Return the network, and the optimizer if there is one, of arrays and a text.

    Raises
    ------
    TypeError, ValueError
        They are not those of a network.

    Examples
    --------
    >>> net, optimizer = restore(*compose(fastnn.MLP([2, 1]), None))
    >>> net.layer_sizes
    (2, 1)
    """
    document = strict_json.loads("the description", text)
    _check_version(document)
    if document.keys() != set(FIELDS):
        odd = sorted(document.keys() ^ set(FIELDS))
        raise FormatError(f"the description has too much or too little: {checks.shown(odd)}")
    _refuse_gaps(tensors, len(_list("layer_sizes", document["layer_sizes"])) - 1)
    layer_sizes = checks.layer_sizes(document["layer_sizes"])
    dtype = _dtype(document["dtype"])
    checks.parameter_count(layer_sizes, dtype)
    tensors = dict(tensors)
    parameters = _parameters(tensors, layer_sizes, dtype)
    # Taken out, group by group; what is left belongs to nothing.
    of_optimizer, of_scaling = _group(tensors, "optimizer."), _group(tensors, "scaling.")
    if tensors:
        raise FormatError(f"tensor {checks.shown(next(iter(tensors)))} belongs to nothing")
    *hidden, output = _activations(document["activations"], len(layer_sizes) - 1)
    net = MLP(
        layer_sizes, hidden, output, _named(document["loss"]), "zeros",
        generators.generator(document["generator"]), dtype, _list("dropout", document["dropout"]),
    )  # fmt: skip
    # As bits, NaN too: a file is not asked whether its training went well.
    np.concatenate(parameters, out=net.parameter_vector)
    net.scaling = _scaling(of_scaling)
    return net, _optimizer_of(document["optimizer"], of_optimizer, net)


def _check_version(document: dict[str, Any]) -> None:
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise FormatError(f"the version must be an integer >= 1, got {checks.shown(version)}")
    if version > VERSION:
        raise FormatError(
            f"the version is {version}, written by {checks.shown(document.get('written_by'))}; "
            f"fastnn {__version__} reads versions up to {VERSION}: install a newer one"
        )


def _dtype(name: Any) -> np.dtype[Any]:
    if not isinstance(name, str) or name not in ("float32", "float64"):
        raise FormatError(f"dtype must be float32 or float64, got {checks.shown(name)}")
    return checks.float_dtype(name)


def _refuse_gaps(tensors: Tensors, n_layers: int) -> None:
    """Name the first tensor that a layer lacks; a list of a million layers is soon written."""
    for l in range(1, n_layers + 1):
        for name in (f"W{l}", f"b{l}"):
            if name not in tensors:
                raise FormatError(f"layer {l} lacks its tensor {name!r}")


def _parameters(
    tensors: Tensors, layer_sizes: tuple[int, ...], dtype: np.dtype[Any]
) -> list[NDArray[Any]]:
    """Take out W1, b1, W2, ..., of the shapes that the layers have."""
    found = []
    for name, _, shape in runs(layer_sizes):
        array = tensors.pop(name)
        if array.shape != shape or array.dtype.name != dtype.name:
            raise FormatError(
                f"layer {name[1:]}: tensor {name!r} has shape {array.shape} of "
                f"{array.dtype.name}, wanted {shape} of {dtype}"
            )
        found.append(array.ravel())
    return found


def _group(tensors: Tensors, prefix: str) -> Tensors:
    """Take out the tensors whose names begin so, and leave that away."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors.pop(name) for name in names}


def _scaling(arrays: Tensors) -> Scaling | None:
    pairs = []
    for name in "XY":
        mean, scale = arrays.pop(f"{name}_mean", None), arrays.pop(f"{name}_scale", None)
        if (mean is None) != (scale is None):
            raise FormatError(f"scaling: one of {name}_mean and {name}_scale is missing")
        pairs.append(None if mean is None or scale is None else MeanAndScale(mean, scale))
    of_X, of_Y = pairs
    if arrays or (of_Y is not None and of_X is None):
        raise FormatError(f"scaling: wanted X_mean and X_scale, got {checks.shown(sorted(arrays))}")
    return None if of_X is None else Scaling(of_X, of_Y)


def _optimizer_of(described: Any, arrays: Tensors, net: MLP) -> Optimizer | None:
    if described is None:
        if arrays:
            raise FormatError("there are vectors of an optimizer, but no optimizer")
        return None
    for name, array in arrays.items():
        if array.shape != net.parameter_vector.shape or array.dtype.name != net.dtype.name:
            raise FormatError(
                f"tensor {checks.shown('optimizer.' + name)} has shape {array.shape} of "
                f"{array.dtype.name}, wanted {net.parameter_vector.shape} of {net.dtype}"
            )
    names = {"name", "steps", "hyperparameters"}
    if not isinstance(described, dict) or described.keys() != names:
        raise FormatError(f"the optimizer must have {sorted(names)}")
    return _optimizer(described, arrays | {"steps": described["steps"]})


def _optimizer(described: dict[str, Any], state: dict[str, Any]) -> Optimizer:
    """The optimizer of a description, with a state; all of both is checked."""
    kind = checks.choice("optimizer", described["name"], KNOWN_OPTIMIZERS)
    given = described["hyperparameters"]
    if not isinstance(given, dict):
        raise FormatError(f"the hyperparameters of {kind.name!r} must have names")
    wanted = _hyperparameters(kind())
    if given.keys() != wanted.keys():
        raise FormatError(
            f"the hyperparameters of {kind.name!r} are {sorted(wanted)}, got "
            f"{checks.shown(sorted(given))}"
        )
    optimizer = kind(**given)
    optimizer.state = state
    return optimizer


def _activations(value: Any, count: int) -> list[Any]:
    if len(_list("activations", value)) != count:
        raise FormatError(f"there are {len(value)} activations, but {count} layers")
    return [_named(name) for name in value]


def _named(value: Any) -> Any:
    """A name, or a pair of it and a number, which JSON knows as a list."""
    return tuple(value) if isinstance(value, list) else value


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(f"{name} must be a list, got {checks.shown(value)}")
    return value
