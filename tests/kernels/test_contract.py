"""The three kernel modules export the same contract, and really are what they say."""

import importlib
import importlib.machinery
import inspect
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
from support.tables import (
    BACKENDS,
    COMPILED,
    DTYPES,
    KERNEL_SETS,
    X86_LEVELS,
    KernelSet,
    built_levels,
    cpu_level,
    runnable_levels,
)

from fastnn import _kernels_numpy as reference
from fastnn._specifications import LayerSpec, LossSpec, UpdateSpec
from fastnn.activations import ACTIVATIONS
from fastnn.losses import LOSSES
from fastnn.optimizers import FORMULAS

FUNCTIONS = [name for name in reference.__all__ if inspect.isfunction(getattr(reference, name))]
METHODS = [
    "try_forward", "accepts_examples", "accepts", "forward", "cost_and_gradients", "backward",
    "jacobian", "update", "example_major", "train", "try_step",
]  # fmt: skip


def parameters_of(function):
    """Names and defaults of the parameters, in order."""
    function = getattr(function, "py_func", function)  # what Numba compiled
    signature = inspect.signature(function)
    return [(p.name, p.default) for p in signature.parameters.values()]


@pytest.mark.parametrize("kernel_set", COMPILED, ids=str)
def test_compiled_kernels_are_compiled(kernel_set, dtype):
    """The modules come from shared libraries: no Python file of the same name got in between."""
    module = kernel_set.module(dtype)
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    assert module.__file__.endswith(suffixes), f"{module.__name__} is {module.__file__}"
    assert Path(module.__file__).stat().st_size > 10_000


def test_cpu_module_is_compiled():
    module = importlib.import_module("fastnn._cpu")
    assert module.__file__.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES))


def test_numba_kernels_are_dispatchers():
    """Numba's functions are compiled: `njit` was not replaced by something that does nothing."""
    from numba.core.dispatcher import Dispatcher

    KernelSet("numba").module(np.float64)
    rooms = [module for name, module in sys.modules.items() if name.startswith("fastnn._numba.")]
    compiled = [x for room in rooms for x in vars(room).values() if isinstance(x, Dispatcher)]
    assert len(compiled) >= len(FUNCTIONS), f"only {len(compiled)} functions are compiled"
    for dispatcher in compiled:
        assert dispatcher.targetoptions.get("nopython", True), f"{dispatcher} may run as Python"


def test_all_backends_are_available():
    import fastnn

    for name in BACKENDS:
        with fastnn.use_backend(name):
            assert fastnn.backends.current.name == name


def test_cpu_level_is_what_the_system_says():
    """All levels that can run here are tested: the kernel's own list of CPU features agrees."""
    assert cpu_level() in (*X86_LEVELS, "baseline")
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() == "x86_64" and cpuinfo.exists():
        flags = next(line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
        flags = set(flags.split())
        v3 = {"avx", "avx2", "fma", "bmi1", "bmi2", "f16c", "movbe"} <= flags
        v4 = v3 and {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= flags
        assert cpu_level() == ("v4" if v4 else "v3" if v3 else "v2")


def test_all_levels_are_built():
    """Each level of the platform is there, also those that this CPU cannot run."""
    assert set(built_levels()) == set(X86_LEVELS if cpu_level() in X86_LEVELS else ["baseline"])
    assert set(runnable_levels()) <= set(built_levels())


def test_same_names(kernels):
    assert set(reference.__all__) <= set(dir(kernels))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_parameters(kernels, name):
    assert parameters_of(getattr(kernels, name)) == parameters_of(getattr(reference, name))


@pytest.mark.parametrize("name", METHODS)
def test_same_parameters_of_methods(kernels, name):
    expected = parameters_of(getattr(reference.Network, name))
    assert parameters_of(getattr(kernels.Network, name)) == expected


def test_same_codes(kernels):
    """A code that means another activation in one backend would train another network."""
    assert kernels.ACTIVATION_CODES == {row.name: row.code for row in ACTIVATIONS.values()}
    assert kernels.LOSS_CODES == {row.name: row.code for row in LOSSES.values()}
    assert kernels.UPDATE_CODES == {row.name: row.code for row in FORMULAS.values()}


@pytest.mark.parametrize("what", ["activation", "loss", "update"])
def test_unknown_codes_are_refused(kernels, dtype, what):
    """A code that no row has is an error; it never falls through to another row's formula."""
    parameters, X, Y = np.ones(2, dtype), np.ones((1, 3), dtype), np.ones((1, 3), dtype)
    layer, loss, spec = LayerSpec(1, 1, 0), LossSpec(0, 0.0, True), UpdateSpec(0)
    for code in (-1, 99):
        with pytest.raises((ValueError, KeyError, IndexError)):
            if what == "activation":
                kernels.Network((layer._replace(activation=code),), loss, parameters)
            elif what == "loss":
                kernels.Network((layer,), loss._replace(code=code), parameters)
            else:
                net = kernels.Network((layer,), loss, parameters)
                state = np.zeros((0, 2), dtype)
                scalars, spec = np.full((1, 1), 0.1), spec._replace(code=code)
                net.train(X, Y, None, None, 3, spec, scalars, state, 0, 0, np.zeros(1))
    assert (parameters == 1).all()


def test_every_set_is_distinct():
    """No backend quietly hands out another one's module."""
    modules = [ks.module(dtype) for ks in KERNEL_SETS for dtype in DTYPES]
    assert len(set(map(id, modules))) == 2 * len(COMPILED) + 2
