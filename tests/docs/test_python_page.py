"""The page on Python is run from top to bottom, and prints what it says."""

import contextlib
import io
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def blocks():
    """Return each piece of code with the output that is shown right below it, or none."""
    text = PAGE.read_text(encoding="utf-8")
    pattern = r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```)?"
    return re.findall(pattern, text, re.MULTILINE | re.DOTALL)


def test_every_block_runs_and_prints_what_the_page_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code, shown in blocks():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), names)
        # Paths are where the test runs, and relative ones where a reader does.
        assert printed.getvalue().replace(f"{tmp_path}/", "") == shown, code


def test_the_page_has_blocks_with_and_without_output():
    found = blocks()
    assert len(found) >= 8
    assert any(shown for _, shown in found)
