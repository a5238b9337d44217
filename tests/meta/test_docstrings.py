"""Every public thing is described, and the examples in the descriptions are right."""

import doctest
import importlib
import importlib.util
import inspect
import re

import numpy as np
import pytest

import fastnn

ROOMS = [
    "activations", "backends.choice", "backends.contract", "backends.levels", "backends.loading",
    "backends.report", "backends.threads", "datasets", "derivatives", "ensembles", "functional",
    "estimators", "estimators.accounts", "estimators.arguments", "estimators.base",
    "estimators.batches", "estimators.classifier", "estimators.constraints", "estimators.epochs",
    "estimators.minimization", "estimators.regressor", "estimators.restoring",
    "estimators.solvers", "from_sklearn", "history", "initializers", "io.arrays", "io.atomic",
    "io.document", "io.errors", "io.formats", "io.generators", "io.loading", "io.npz",
    "io.safetensors", "io.saving", "io.strict_json", "lbfgs", "loop", "losses", "metrics",
    "network", "optimizers",
    "own_losses", "parameters", "plot", "progress", "scaling", "schedules", "short", "standardized",
    "training", "validation", "_hints", "_kernels_numpy",
]  # fmt: skip

ESTIMATORS_WITHOUT = ("accounts", "epochs", "minimization", "restoring")
"""Rooms of the estimators whose classes are for the estimators alone: no examples."""


def room(name):
    return importlib.import_module(f"fastnn.{name}")


def public(module):
    """The public functions and classes that a module defines, and their public methods."""
    for name in module.__all__:
        value = getattr(module, name)
        if getattr(value, "__module__", None) != module.__name__:
            continue
        yield name, value
        for method, member in vars(value).items() if inspect.isclass(value) else ():
            if method[0] != "_" and (inspect.isfunction(member) or isinstance(member, property)):
                yield f"{name}.{method}", member


@pytest.mark.parametrize("name", ROOMS)
def test_everything_public_is_described(name):
    module = room(name)
    assert module.__doc__
    for what, value in public(module):
        assert inspect.getdoc(value), f"{name}.{what} has no docstring"


def test_public_names_are_described():
    for name in fastnn.__all__:
        doc = inspect.getdoc(getattr(fastnn, name))
        seen_elsewhere = name in ("History", "get_num_threads")  # in MLP.fit, set_num_threads
        assert "\nExamples\n---" in doc or seen_elsewhere, f"{name} shows no example"


@pytest.mark.parametrize("name", ["functional", "network"])
def test_descriptions_are_complete(name):
    """Parameters, what is returned, what is raised, an example: in every public function."""
    for what, function in public(room(name)):
        if isinstance(function, property) or inspect.isclass(function):
            continue
        sections = ["Raises", "Examples"]
        if what not in ("MLP.mix", "MLP.set_parameters", "MLP.save"):
            sections.append("Returns")
        for section in ["Parameters", *sections]:
            assert f"\n{section}\n---" in inspect.getdoc(function), f"{what} lacks {section}"


@pytest.mark.parametrize("name", ROOMS)
def test_examples_in_docstrings(backend, name):
    """Each example prints what it says, in every backend."""
    module = room(name)
    names = {"fastnn": fastnn, "np": np}
    results = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    without = ["_kernels_numpy", "backends.contract", "history", "loop", "training"]
    without += ["estimators", *(f"estimators.{room}" for room in ESTIMATORS_WITHOUT)]
    assert results.failed == 0
    assert results.attempted > 0 or name in without


def test_example_of_the_package(backend):
    results = doctest.testmod(fastnn)
    assert (results.failed, results.attempted) == (0, 5)


def test_the_estimators_describe_what_they_share_alike():
    """Each for itself, so that either `help` has it all; so nothing may go astray."""
    described = [
        dict(re.findall(r"^(\w[\w, ]*) : (.*(?:\n    .*)*)", inspect.getdoc(cls), re.MULTILINE))
        for cls in (fastnn.MLPClassifier, fastnn.MLPRegressor)
    ]
    shared = [name for name in described[0] if name in described[1] and name != "loss"]
    assert len(shared) > 30
    for name in shared:
        assert described[0][name] == described[1][name], name
    for cls, names in zip((fastnn.MLPClassifier, fastnn.MLPRegressor), described, strict=True):
        each = ", ".join(names).split(", ")
        assert set(inspect.signature(cls).parameters) <= set(each)
