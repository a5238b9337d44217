"""Names: rows of the tables, their parameters, keyword arguments; and what was probably meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from fastnn.checks.numbers import number, representable
from fastnn.checks.sentences import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    import numpy as np

__all__ = [
    "Parameter",
    "choice",
    "name_and_parameter",
    "parameter_in",
    "row_and_parameter",
    "unexpected_keyword",
    "unknown",
]

OTHER_WORDS = {
    # activations
    "identity": "linear", "none": "linear", "logistic": "sigmoid", "sigm": "sigmoid",
    "rectifier": "relu", "rectified_linear": "relu", "lrelu": "leaky_relu",
    "swish": "silu", "exp": "exponential", "gelu_new": "gelu_tanh", "gelu_approximate": "gelu_tanh",
    "hyperbolic_tangent": "tanh",
    # losses
    "bce": "binary_cross_entropy", "log_loss": "binary_cross_entropy",
    "nll": "cross_entropy", "ce": "cross_entropy", "squared_loss": "mse", "l2_loss": "mse",
    "smooth_l1": "huber", "l1_loss": "mae", "poisson_loss": "poisson",
    # initial weights
    "glorot": "xavier", "glorot_normal": "xavier", "glorot_uniform": "xavier",
    "xavier_normal": "xavier", "xavier_uniform": "xavier", "kaiming": "he",
    "kaiming_normal": "he", "kaiming_uniform": "he", "he_normal": "he", "he_uniform": "he",
    "normal": "small_normal", "zero": "zeros", "default": "auto",
    # optimizers
    "sgd": "gradient_descent", "gd": "gradient_descent", "nesterov": "momentum",
    "rms_prop": "rmsprop", "l-bfgs": "lbfgs",
    # keyword arguments
    "lr": "learning_rate", "eta": "learning_rate", "learning_rate_init": "learning_rate",
    "step_size": "learning_rate", "iterations": "epochs", "max_iter": "epochs",
    "num_iterations": "epochs", "nb_epoch": "epochs", "random_state": "seed", "rng": "seed",
    "n_jobs": "threads", "num_threads": "threads", "verbose": "progress", "callback": "progress",
    "solver": "optimizer", "weight_decay": "l2", "lambd": "l2", "max_norm": "clip_norm",
    "max_grad_norm": "clip_norm", "clipnorm": "clip_norm", "class_weights": "class_weight",
    "activation": "hidden", "hidden_activation": "hidden", "output_activation": "output",
    "hidden_layer_sizes": "layer_sizes", "sizes": "layer_sizes", "layers": "layer_sizes",
    "criterion": "loss", "initializer": "init", "initialization": "init", "weights": "init",
    "drop_rate": "dropout", "batch": "batch_size",
    "early_stopping": "patience", "n_iter_no_change": "patience",
    "validation_split": "validation_fraction", "restore_best_weights": "restore_best",
    "normalize": "standardize", "scale": "standardize", "standardise": "standardize",
    "lr_schedule": "schedule", "scheduler": "schedule", "lr_scheduler": "schedule",
    # schedules
    "invscaling": "inverse_scaling", "inverse_time": "inverse_scaling", "onecycle": "one_cycle",
    "plateau": "reduce_on_plateau", "reduce_lr_on_plateau": "reduce_on_plateau",
    "cosine_annealing": "cosine", "cosine_decay": "cosine", "exponential_decay": "exponential",
    "step_decay": "step", "piecewise": "step", "adaptive": "reduce_on_plateau",
}  # fmt: skip
"""Words that other libraries and papers use: ours.  They are not understood, but suggested."""


class Parameter(NamedTuple):
    """The number that goes with a name in a table, as in ("leaky_relu", 0.2)."""

    name: str
    default: float
    positive: bool
    """It must be > 0; otherwise >= 0."""


class Row(Protocol):
    """A row of a table whose names may have a parameter."""

    @property
    def name(self) -> str: ...
    @property
    def parameter(self) -> Parameter | None: ...


AnyRow = TypeVar("AnyRow")
SomeRow = TypeVar("SomeRow", bound=Row)


def choice(argument: str, value: Any, table: Mapping[str, AnyRow]) -> AnyRow:
    """Return the row of `table` that is named; the error suggests the nearest name.

    The rows may have `aliases`.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a name, got {shown(value)}")
    if value in table:
        return table[value]
    for row in table.values():
        if value in getattr(row, "aliases", ()):
            return row
    raise unknown(argument, value, table)


def unknown(argument: str, value: str, names: Iterable[str], also: str = "") -> ValueError:
    """The error for a name that is not one of `names`; `also` is what else would do."""
    names = list(names)
    known = ", ".join(map(repr, names))
    return ValueError(
        f"{argument} must be {also}one of {known}, got {shown(value)}{_hint(value, names)}"
    )


def unexpected_keyword(method: Callable[..., Any], found: Iterable[str]) -> TypeError:
    """The error for a keyword argument that `method` does not have."""
    code = method.__code__
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    name, word = method.__qualname__.removesuffix(".__init__"), next(iter(found))
    hint = _hint(word, names)
    return TypeError(f"{name}() got an unexpected keyword argument {word!r}{hint}")


def _hint(word: str, names: Collection[str]) -> str:
    """The end of a sentence that suggests the name for `word`, if one is near."""
    near = _nearest(word, names)
    return f"; did you mean {near!r}?" if near else ""


def _nearest(word: str, names: Collection[str]) -> str | None:
    import difflib  # here: it takes longer to import than all the checks together

    known = {other: ours for other, ours in OTHER_WORDS.items() if ours in names}
    known |= {_plain(name): name for name in names}
    close = difflib.get_close_matches(_plain(word), known, n=1)
    return known[close[0]] if close else None


def _plain(word: str) -> str:
    return word.lower().strip().replace("-", "_").replace(" ", "_")


# --- a name with its parameter ------------------------------------------------------------


def row_and_parameter(
    argument: str, value: Any, table: Mapping[str, SomeRow]
) -> tuple[SomeRow, float]:
    """Return the row that `value` names, alone or as (name, number), and its parameter.

    The parameter is a float; 0.0 where the row has none.
    """
    if type(value) is str and value in table and table[value].parameter is None:
        return table[value], 0.0  # a call on one number should cost no more than this
    name, given = value, None
    if isinstance(value, tuple) and len(value) == 2:
        name, given = value
    if not isinstance(name, str):
        pairs = [f"({row.name!r}, {row.parameter.name})" for row in table.values() if row.parameter]
        raise TypeError(f"{argument} must be a name or {' or '.join(pairs)}, got {shown(value)}")
    row = choice(argument, name, table)
    if row.parameter is None:
        if name is not value:
            raise ValueError(f"{argument}: {row.name!r} takes no parameter, got {shown(value)}")
        return row, 0.0
    if name is value:
        return row, row.parameter.default
    what = _of(argument, name, row.parameter)
    return row, number(what, given, positive=row.parameter.positive)


def parameter_in(dtype: np.dtype[Any], argument: str, row: Row, alpha: float) -> float:
    """Return the parameter of a row, unless it overflows, or becomes 0 and must not, in `dtype`."""
    if row.parameter is None:
        return alpha
    what = _of(argument, row.name, row.parameter)
    return representable(what, alpha, dtype, positive=row.parameter.positive)


def name_and_parameter(row: Row, alpha: float) -> Any:
    """Return what `row_and_parameter` takes: the name, or a pair where there is a parameter."""
    return row.name if row.parameter is None else (row.name, alpha)


def _of(argument: str, name: str, parameter: Parameter) -> str:
    return f"{argument}: the {parameter.name} of {name!r}"
