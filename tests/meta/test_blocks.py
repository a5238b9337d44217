"""The Python blocks of the pages run, as printed.

The blocks of one page run in their order in one namespace, in a new process, in an empty
folder outside the checkout: as someone would who reads the page and types along.  A block
that is not meant to be run is not marked ``python``.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.exists() and "```python\n" in page.read_text()]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def program(page):
    """All blocks of a page as one program, on the lines where they stand in the page."""
    text = page.read_text()
    lines = [""] * (text.count("\n") + 1)
    for block in BLOCK.finditer(text):
        first = text[: block.start(1)].count("\n")
        body = block[1].splitlines()
        lines[first : first + len(body)] = body
    return "\n".join(lines)


def assert_runs(page, folder):
    """Run the blocks of a page in `folder`, and return what they print.

    Errors name the page and its line.
    """
    (folder / page.name).write_text(program(page), encoding="utf-8")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("FASTNN_", "PYTHON"))}
    (folder / "empty").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", f"import runpy; runpy.run_path({str(folder / page.name)!r})"],
        cwd=folder / "empty", env=inherited | {"MPLBACKEND": "agg"}, timeout=300,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{page.name}:\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks(page, tmp_path):
    assert_runs(page, tmp_path)


def test_a_page_is_held_to_what_it_prints(tmp_path):
    """A wrong block fails, and the error names the line of the page."""
    page = tmp_path / "page.md"
    blocks = ("python\nx = 1", "sh\nfalse", "python\nx.y")
    page.write_text("# Title\n\n" + "\n\n".join(f"```{block}\n```" for block in blocks) + "\n")
    (tmp_path / "run").mkdir()
    with pytest.raises(AssertionError, match=r'(?s)page.md", line 12.*AttributeError'):
        assert_runs(page, tmp_path / "run")


def test_the_readme_judges_itself(tmp_path):
    """Its first block prints the accuracy on digits held out; the comment beside it is true."""
    text = (ROOT / "README.md").read_text()
    promised = re.search(r"^print\(.*net\.score\(.*test\].* # ([0-9.]+)$", text, re.MULTILINE)
    assert promised, "the first block prints its score, with the number in a comment"
    printed = assert_runs(ROOT / "README.md", tmp_path).splitlines()[0]
    # Backends round differently, and training makes more of it: two digits of 359 in hand.
    assert float(printed) == pytest.approx(float(promised[1]), abs=2.5 / 359)
