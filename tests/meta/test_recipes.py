"""CONTRIBUTING's recipe for an activation names every place, and no place too many.

A copy of the sources gets an activation of its own, softsign a = z / (1 + |z|), whose
derivative from the output is (1 - |a|)^2: in each place that the recipe names, and nowhere
else.  It is built at one SIMD level and trained in all three backends.  Then each place is left
out in turn, and the build or the import has to refuse with a sentence that names what lacks.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from support.tables import BACKENDS, cpu_level

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / name for name in ("fastnn", "setup.py", "pyproject.toml")]


class Place(NamedTuple):
    """Where a text goes: after the first line that starts with `after`, and before the next one
    that starts with `before`; either may be empty."""

    file: str
    after: str
    before: str
    text: str


PLACES = {
    "the table": Place(
        "fastnn/activations.py", "ACTIVATIONS: ", "    )",
        '        Activation("softsign", 99, "z / (1 + |z|)", "(1 - |a|)^2", "(-1, 1)", '
        '"a toy", "xavier"),\n',
    ),
    "numpy": Place(
        "fastnn/_numpy/activations.py", "FROM_OUTPUT: ", "}",
        '    "softsign": (\n'
        "        lambda Z, alpha, A: np.divide(Z, 1 + np.abs(Z), out=A),\n"
        "        lambda A, alpha: (1 - np.abs(A)) ** 2,\n"
        "    ),\n",
    ),
    "numba": Place(
        "fastnn/_numba/activations.py", "FROM_OUTPUT = {", "}",
        '    "softsign": (\n'
        "        lambda z, alpha: z / (type(z)(1) + abs(z)),\n"
        "        lambda a, alpha: (type(a)(1) - abs(a)) * (type(a)(1) - abs(a)),\n"
        "    ),\n",
    ),
    "cython, formula": Place(
        "fastnn/_cython/activations.pxi", "", "# --- runs of whole registers",
        'cdef inline vector softsign_value "fastnn_softsign"(\n'
        "    vector z, real alpha\n) noexcept nogil:\n"
        "    return z / (splat(1) + magnitude(z))\n\n\n"
        'cdef inline vector softsign_derivative "fastnn_softsign_derivative"(\n'
        "    vector a, real alpha\n) noexcept nogil:\n"
        "    return (splat(1) - magnitude(a)) * (splat(1) - magnitude(a))\n\n\n",
    ),
    "cython, list": Place(
        "fastnn/_cython/rows.h", "#define FASTNN_COSTLY_ACTIVATIONS(ROW)", "",
        "    ROW(softsign, 99) \\\n",
    ),
}  # fmt: skip
"""The places of the recipe.  Truth for the tests is not among them: softsign has none."""

CHECK = """
    import sys
    import numpy as np
    import fastnn

    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, 70)), rng.normal(size=(2, 70))
    J = set()
    for name in sys.argv[1:]:
        with fastnn.use_backend(name):
            net = fastnn.MLP([5, 7, 6, 2], "softsign", "linear", dtype="float64", seed=1)
            assert net.check_gradients(X, Y) < 1e-7, name
            expected = X / (1 + np.abs(X))
            A = fastnn.activate(X, "softsign")
            np.testing.assert_allclose(A, expected, rtol=1e-14, err_msg=name)
            derivative = fastnn.activation_derivative(A, "softsign")
            np.testing.assert_allclose(derivative, (1 - np.abs(A)) ** 2, rtol=1e-12, err_msg=name)
            before = net.cost(X, Y)
            net.fit(X, Y, epochs=30, learning_rate=0.1, batch_size=16, seed=2)
            assert net.cost(X, Y) < before, name
            J.add(round(net.cost(X, Y), 10))
    assert len(J) == 1, J
    print("right in", *sys.argv[1:])
"""


pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in SOURCES) or not (ROOT / "fastnn" / "_kernels.pyx").exists(),
    reason="the sources are not beside the tests; CI runs this in a checkout",
)


def insert(tree, place):
    """Insert the lines of a place; the markers must be there, as CONTRIBUTING says."""
    path = tree / place.file
    lines = path.read_text().splitlines(keepends=True)
    i = 0
    for marker, step in ((place.after, 1), (place.before, 0)):
        if marker:
            while not lines[i].startswith(marker):
                i += 1
                assert i < len(lines), f"{place.file} has no line {marker!r}"
            i += step
    lines.insert(i, place.text)
    path.write_text("".join(lines))


def copy_sources(folder):
    """The sources alone, without what has been built of them."""
    built = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    for path in SOURCES:
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=built)
        else:
            shutil.copy(path, folder)
    return folder


def build(tree):
    """Build the kernels of this CPU's level in place, with the tools that are installed."""
    return subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=tree, env=os.environ | {"FASTNN_SIMD_LEVELS": level()}, capture_output=True, text=True,
    )  # fmt: skip


def level():
    return cpu_level() or "baseline"


def run(tree, code, *arguments):
    """Run code on the fastnn of a tree."""
    code = "\n".join(line[4:] for line in code.splitlines())
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FASTNN_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tree, env=environment | {"PYTHONPATH": str(tree)}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A tree in which every place of the recipe is filled, built."""
    tree = copy_sources(tmp_path_factory.mktemp("recipe"))
    for place in reversed(PLACES.values()):
        insert(tree, place)
    done = build(tree)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return tree


def test_every_place_filled(recipe):
    """Value, gradients and training are right in all three backends."""
    done = run(recipe, CHECK, *BACKENDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["right", "in", *BACKENDS]


@pytest.mark.parametrize("left_out", [name for name in PLACES if not name.startswith("cython")])
def test_a_place_left_out(recipe, tmp_path, left_out):
    """Python's places: the import, or the backend, refuses, and names the row."""
    tree = copy_sources(tmp_path)
    for name, place in reversed(PLACES.items()):
        if name != left_out:
            insert(tree, place)
    for module in recipe.glob("fastnn/**/*.so"):
        shutil.copy(module, tree / module.relative_to(recipe))
    backend = "cython" if left_out == "the table" else left_out.split(",")[0]
    done = run(tree, f"    import fastnn\n    fastnn.set_backend({backend!r})")
    assert done.returncode == 1
    assert "softsign" in done.stderr.splitlines()[-1], done.stderr


def test_cython_list_left_out(recipe, tmp_path):
    """Kernels that were built without the row are refused when they are loaded."""
    tree = copy_sources(tmp_path)
    for name, place in reversed(PLACES.items()):
        if name != "cython, list":
            insert(tree, place)
    done = build(tree)
    assert done.returncode == 0, done.stderr[-4000:]
    done = run(tree, '    import fastnn\n    fastnn.set_backend("cython")')
    assert done.returncode == 1
    assert "softsign" in done.stderr.splitlines()[-1], done.stderr


def test_cython_formula_left_out(tmp_path):
    """A row without its formula is an error of the build, which names it."""
    tree = copy_sources(tmp_path)
    for name, place in reversed(PLACES.items()):
        if name != "cython, formula":
            insert(tree, place)
    done = build(tree)
    assert done.returncode != 0
    assert "softsign" in done.stdout + done.stderr


def test_recipe_names_each_place():
    """CONTRIBUTING's recipe lists the files of these places, and those of truth beside them."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    recipe = re.search(r"### An activation\n(.*?)\n### ", text, re.DOTALL)[1]
    files = set(re.findall(r"`((?:fastnn|tests)/[\w/]+\.\w+)`", recipe))
    truth = {"tests/support/truth.py", "tests/truth/twin.py"}
    assert files == {place.file for place in PLACES.values()} | truth
