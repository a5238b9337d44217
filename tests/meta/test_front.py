"""What a new user types is right: the names, the hints, the modules after `import fastnn`."""

import re
from pathlib import Path

import pytest

import fastnn
from fastnn import _hints

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for path in (
        *Path(fastnn.__file__).parent.rglob("*.py"),
        *ROOT.glob("*.md"),
        *ROOT.glob("*.toml"),
        *(p for folder in ("bench", "docs", "examples") for p in (ROOT / folder).rglob("*.py")),
        *(p for folder in ("bench", "docs", "examples") for p in (ROOT / folder).rglob("*.md")),
    )
)


@pytest.mark.parametrize("name", fastnn._MODULES)
def test_modules_are_there_after_the_import(run_python, name):
    code = f"""
        import fastnn
        assert "{name}" in dir(fastnn)
        print(fastnn.{name}.__name__)
    """
    assert run_python(code).stdout == f"fastnn.{name}\n"


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'flot'"):
        fastnn.flot  # noqa: B018


def test_hints():
    assert _hints.install("plot") == "pip install 'fastnn-kernels[plot]'"
    assert _hints.reinstall() == "pip install --force-reinstall --no-cache-dir fastnn-kernels"


def test_hints_are_built_in_one_place():
    """Elsewhere no Python file spells one, or it would be forgotten at the next change."""
    assert len(FILES) > 30
    spelled = {
        path.name for path in FILES if path.suffix == ".py" and "pip install" in path.read_text()
    }
    assert spelled == {"_hints.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nobody_sends_to_a_strangers_package(path):
    """The distribution is fastnn-kernels; `pip install fastnn` would fetch another's code."""
    stranger = r"""fastnn\[|pip install[^`&\n]*[ '"]fastnn[ '"\n`]"""
    assert not re.search(stranger, path.read_text())
