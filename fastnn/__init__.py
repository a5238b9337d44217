"""fastnn trains and runs dense feed-forward networks on the CPU, on plain NumPy arrays.

One column is one example.  `MLP` is the network; the functions are the equations of one
layer; `set_backend` chooses the kernels that compute them all.  `datasets`, `plot` and
the other modules load when they are first asked for.

Examples
--------
>>> import fastnn
>>> X, Y = [[0, 0, 1, 1], [0, 1, 0, 1]], [[0, 1, 1, 0]]
>>> net = fastnn.MLP([2, 4, 1], seed=1, dtype="float64")
>>> history = net.fit(X, Y, epochs=2000, learning_rate=1.0)
>>> net.predict(X)
array([[0, 1, 1, 0]])
"""

__version__ = "0.1.0"

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from fastnn import backends
from fastnn.backends import (
    available_backends,
    backend_info,
    get_num_threads,
    set_backend,
    set_num_threads,
    use_backend,
)
from fastnn.functional import (
    activate,
    activation_backward,
    activation_derivative,
    cost,
    dense_backward,
    dense_forward,
)
from fastnn.network import MLP
from fastnn.training import History

if _TYPE_CHECKING:
    from fastnn.ensembles import Ensemble, fit_many
    from fastnn.estimators import MLPClassifier, MLPRegressor
    from fastnn.io import FormatError
    from fastnn.io.loading import load

backends.start()

__all__ = [
    "MLP",
    "Ensemble",
    "FormatError",
    "History",
    "MLPClassifier",
    "MLPRegressor",
    "activate",
    "activation_backward",
    "activation_derivative",
    "available_backends",
    "backend_info",
    "cost",
    "dense_backward",
    "dense_forward",
    "fit_many",
    "get_num_threads",
    "load",
    "set_backend",
    "set_num_threads",
    "use_backend",
]

_MODULES = (
    "activations",
    "backends",
    "datasets",
    "demo",
    "derivatives",
    "ensembles",
    "estimators",
    "functional",
    "initializers",
    "io",
    "losses",
    "network",
    "optimizers",
    "plot",
    "scaling",
    "schedules",
    "training",
)
"""The public modules: ``fastnn.plot`` is there after ``import fastnn``, and costs it nothing."""

_ELSEWHERE = {
    "Ensemble": "ensembles",
    "FormatError": "io",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "fit_many": "ensembles",
    "load": "io.loading",
}
"""Public names of modules that load when they are asked for."""


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return _import_module(f"fastnn.{name}")
    if name in _ELSEWHERE:
        value = getattr(_import_module(f"fastnn.{_ELSEWHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_ELSEWHERE})
