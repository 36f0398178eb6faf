"""The plugin API is what the snapshot says: nobody's plugin breaks by an oversight."""

import re
from pathlib import Path

import tlf.plugin
from tests.core.plugin.surface import SNAPSHOT, surface

ROOT = Path(__file__).parents[3]


def test_the_plugin_api_is_the_one_of_the_snapshot():
    """A change of the API is one of the snapshot, of the docs, and a line in the changelog."""
    written = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    gone, new = set(written) - set(surface()), set(surface()) - set(written)
    assert written == surface(), (
        f"gone: {sorted(gone)}; new: {sorted(new)}; if that is meant, run "
        "`python -m tests.core.plugin.surface`, and say it in docs/changelog.md"
    )


def test_every_public_name_is_in_the_snapshot_once():
    written = SNAPSHOT.read_text(encoding="utf-8")
    names = re.findall(r"^(?:class|function|value) (\w+)", written, re.MULTILINE)
    assert sorted(names) == sorted(tlf.plugin.__all__)


def test_the_snapshot_has_what_a_plugin_relies_on():
    lines = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    for part in (
        "entry point group tlf.v1",
        "  BackboneFamily.models(self) -> 'Sequence[str]' abstract",
        "  Train.epochs: int",
        "  Declaration.options: str | None = None",
        "  BackboneFamily.autocast: ClassVar[bool] = True",
    ):
        assert part in lines


def test_the_docs_say_what_is_promised():
    page = (ROOT / "docs" / "plugin-hooks.md").read_text(encoding="utf-8")
    assert "## What is promised" in page
