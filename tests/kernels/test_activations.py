"""The table of activations is whole, and its words are true."""

import math

import numpy as np
import pytest
from support import harness
from support.tables import ACTIVATIONS

import fastnn
from fastnn import activations

Z = np.linspace(-6, 6, 1201)[None, :]
PHI = np.array([[(1 + math.erf(z / math.sqrt(2))) / 2 for z in Z[0]]])


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
    }
    a = fastnn.activate(Z, name)
    harness.assert_norm_within("step", a, formulas[name], name)
    if name == "softmax":  # its derivative is a matrix for each example
        return
    expression = (
        row.derivative.replace("a (", "a * (").replace("z exp", "z * exp").replace("2 pi", "2 * pi")
    )
    expression = expression.replace("^", "**")
    names = {"a": a, "z": Z, "Phi": lambda z: PHI, "exp": np.exp, "sqrt": np.sqrt, "pi": np.pi}
    if " if " in expression:  # "1 if a > 0 else slope"
        above, rest = expression.split(" if a > 0 else ")
        expected = np.where(a > 0, float(above), slope if rest == "slope" else float(rest))
    else:
        expected = eval(expression, names) + 0 * a
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


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_ranges(backend, name, dtype):
    """No output leaves the range of the table, however large z is."""
    low, high = activations.ACTIVATIONS[name].range.strip("[]()").split(",")
    wide = np.concatenate([Z * 0, Z, 1000 * Z, 1e30 * Z]).astype(dtype)
    a = fastnn.activate(wide, name)
    assert a.min() >= float(low) and a.max() <= float(high)
    assert np.isfinite(a).all()


def test_rows_say_what_they_are_for():
    for row in activations.ACTIVATIONS.values():
        assert row.formula and row.derivative and row.use
        assert row.init in ("he", "xavier")
    assert [row.name for row in activations.ACTIVATIONS.values() if not row.hidden] == ["softmax"]


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
