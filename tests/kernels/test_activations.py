"""The table of activations is whole, and its words are true."""

import math
import re

import numpy as np
import pytest
from support import harness
from support.tables import ACTIVATIONS

import fastnn
from fastnn import activations

Z = np.linspace(-6, 6, 1201)[None, :]
U = np.sqrt(2 / np.pi) * (Z + 0.044715 * Z**3)
U_SLOPE = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * Z**2)
PHI = np.array([[(1 + math.erf(z / math.sqrt(2))) / 2 for z in Z[0]]])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_the_table_is_what_the_tests_cover():
    assert tuple(activations.ACTIVATIONS) == ACTIVATIONS
    codes = [row.code for row in activations.ACTIVATIONS.values()]
    assert codes == list(range(len(ACTIVATIONS)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_formulas(backend, name):
    """The formula and the derivative that the table prints, evaluated by Python."""
    row, slope = activations.resolve(name)
    formulas = {
        "linear": Z,
        "sigmoid": 1 / (1 + np.exp(-Z)),
        "tanh": (np.exp(Z) - np.exp(-Z)) / (np.exp(Z) + np.exp(-Z)),
        "relu": np.maximum(0, Z),
        "leaky_relu": np.where(Z > 0, Z, slope * Z),
        "softmax": np.ones_like(Z),
        "gelu": Z * PHI,
        "elu": np.where(Z > 0, Z, np.exp(np.minimum(Z, 0)) - 1),
        "softplus": np.log(1 + np.exp(Z)),
        "silu": Z * sigmoid(Z),
        "gelu_tanh": Z * (1 + np.tanh(U)) / 2,
        "exponential": np.exp(Z),
    }
    a = fastnn.activate(Z, name)
    harness.assert_norm_within("step", a, formulas[name], name)
    if name == "softmax":  # its derivative is a matrix for each example
        return
    expected = evaluated(row.derivative, a, slope) + 0 * a
    again, derivative = fastnn.activate(Z, name, derivative=True)
    harness.assert_same_bits(again, a, name)
    harness.assert_norm_within("step", derivative, expected, name)
    if row.from_output:
        from_output = fastnn.activation_derivative(a, name)
        harness.assert_same_bits(from_output, derivative, name)
        return
    with pytest.raises(ValueError, match="cannot be told from its output.*derivative=True"):
        fastnn.activation_derivative(a, name)
    with pytest.raises(ValueError, match="cannot be told from its output"):
        fastnn.activation_backward(a, a, name)


WRITTEN = {
    "2 u'": "* w", "a (": "a * (", "z s (": "z * s * (", "z exp": "z * exp",
    "alpha exp": "alpha * exp", "2 pi": "2 * pi", "^": "**",
}  # fmt: skip
"""How Python writes the products of a formula."""


def evaluated(formula, a, parameter):
    """A derivative as the table prints it, such as "1 if a > 0 else slope", by Python."""
    formula, _, where = formula.partition(", s = ")
    for written, meant in WRITTEN.items():
        formula = formula.replace(written, meant)
    names = {
        "a": a, "z": Z, "Phi": lambda z: PHI, "exp": np.exp, "sqrt": np.sqrt, "pi": np.pi,
        "slope": parameter, "alpha": parameter, "sigmoid": sigmoid,
    }  # fmt: skip
    if where:
        names |= {"s": sigmoid(Z if where == "sigmoid(z)" else 2 * U), "w": 2 * U_SLOPE}
    if " if " in formula:
        above, condition, below = re.fullmatch("(.*) if (.*) else (.*)", formula).groups()
        return np.where(*(eval(part, names) for part in (condition, above, below)))
    return eval(formula, names)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_ranges(backend, name, dtype):
    """No output leaves the range of the table, however large z is."""
    row, alpha = activations.resolve(name)
    low, high = row.range.replace("alpha", str(alpha)).strip("[]()").split(",")
    wide = np.concatenate([Z * 0, Z, 1000 * Z, 1e30 * Z]).astype(dtype)
    a = fastnn.activate(wide, name)
    assert a.min() >= float(low) and a.max() <= float(high)
    assert np.isfinite(a).all() or name == "exponential"


def test_rows_say_what_they_are_for():
    for row in activations.ACTIVATIONS.values():
        assert row.formula and row.derivative and row.use
        assert row.init in ("he", "xavier")
    assert [row.name for row in activations.ACTIVATIONS.values() if not row.hidden] == [
        "softmax", "exponential",
    ]  # fmt: skip


def test_resolve():
    assert activations.resolve("tanh") == (activations.ACTIVATIONS["tanh"], 0.0)
    assert activations.resolve("leaky_relu")[1] == 0.01
    assert activations.resolve(("leaky_relu", np.float32(0.5)))[1] == 0.5
    assert activations.resolve(("leaky_relu", 0))[1] == 0.0


@pytest.mark.parametrize(
    "bad, error, words",
    [
        ("selu", ValueError, "g must be one of 'linear', 'sigmoid'.*got 'selu'"),
        ("Tanh", ValueError, "got 'Tanh'; did you mean 'tanh'?"),
        ("leakyrelu", ValueError, "did you mean 'leaky_relu'?"),
        (None, TypeError, "g must be a name"),
        (3, TypeError, "got 3"),
        (("leaky_relu",), TypeError, "g must be a name"),
        (("tanh", 0.1), ValueError, "'tanh' takes no parameter"),
        (("leaky_relu", -0.1), ValueError, "finite number >= 0, got -0.1"),
        (("leaky_relu", float("nan")), ValueError, "got nan"),
        (("leaky_relu", float("inf")), ValueError, "got inf"),
        (("leaky_relu", "0.1"), TypeError, "slope of 'leaky_relu'.*got '0.1'"),
        (("leaky_relu", b"0.1"), TypeError, "got b'0.1'"),
        (("leaky_relu", True), TypeError, "got True"),
        (("leaky_relu", np.True_), TypeError, "got (np.)?True"),
        (("leaky_relu", 10**400), ValueError, "finite number >= 0"),
    ],
)
def test_resolve_refuses(bad, error, words):
    with pytest.raises(error, match=words):
        activations.resolve(bad, "g")
