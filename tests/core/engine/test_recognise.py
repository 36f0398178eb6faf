"""Every data source is asked what a folder is, and none can spoil it for the others."""

import re

import pytest

from tlf.discovery import discover
from tlf.engine.recognise import recognise
from tlf.errors import DataError
from tlf.registry import Registry

SOURCE = """
from pydantic import BaseModel
from tlf.errors import DataError
from tlf.plugin import Dataset, DataSource, Item, Options


class SourceOptions(Options):
    place: str = ""


class Source(DataSource[SourceOptions]):
    @classmethod
    def recognise(cls, folder):
        RECOGNISE

    def open(self):
        OPEN


@hookimpl
def tlf_data_sources():
    return [DataSourceDeclaration(name="acme/table", summary="a table", target="MODULE:Source",
        options="MODULE:SourceOptions", example_files="MODULE:write")]
"""
HEALTHY = (
    'return Dataset(("x", "y"), {"train": [Item("a", 0, bytes), Item("b", 1, bytes)], '
    '"validation": [Item("c", 0, bytes)]})'
)


@pytest.fixture
def ask(distribute, photographs):
    """Recognise a folder with a data source of somebody else's installed."""

    def ask(body, folder=photographs, *, open_with=HEALTHY):
        distribute("acme", SOURCE.replace("RECOGNISE", body).replace("OPEN", open_with))
        return recognise(Registry(discover()), folder)

    return ask


@pytest.fixture
def table(tmp_path):
    """A folder that is nothing to tlf's own data sources."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "table.csv").write_text("a,b")
    return folder


def test_the_first_that_reads_the_folder_is_taken_and_the_others_are_named(ask):
    found = ask('return {"place": str(folder)}')
    assert (found.source, found.others, found.warnings) == ("image-folder", ("acme/table",), ())
    assert set(found.options) == {"train", "validation"}
    assert len(found.dataset.splits["train"]) == 24


def test_another_data_source_is_taken_where_the_first_sees_nothing(ask, table):
    found = ask('return {"place": str(folder)}', table)
    assert (found.source, found.options) == ("acme/table", {"place": str(table)})
    assert found.dataset.classes == ("x", "y")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('mine')", "`recognise` fails with KeyError: 'mine'"),
        ("import sys; sys.exit(3)", "`recognise` fails with it calls `sys.exit"),
        ("return 3", "`recognise` fails with TypeError"),
        ("return {'place': folder}", "`recognise` fails with TypeError"),
        ("return {'plaec': 'x'}", "options that are not its own: .*`plaec` is no known key"),
    ],
)
def test_a_data_source_that_misbehaves_is_passed_over_with_a_warning(ask, body, words):
    found = ask(body)
    (warning,) = found.warnings
    assert found.source == "image-folder"
    assert re.search(f"^passed over: the data-source `acme/table` of the plugin .*{words}", warning)


def test_a_data_source_that_cannot_open_what_it_recognises_is_passed_over(ask, table):
    with pytest.raises(DataError, match=r"passed over: .*`open` fails with KeyError"):
        ask("return {}", table, open_with="raise KeyError(1)")


def test_a_refusal_is_the_error_if_nobody_else_reads_the_folder(ask, table):
    with pytest.raises(DataError, match=r"^the table has no header$"):
        ask("raise DataError('the table has no header')", table)


def test_a_refusal_does_not_count_if_another_reads_the_folder(ask):
    found = ask("raise DataError('the table has no header')")
    assert (found.source, found.warnings) == ("image-folder", ())


def test_a_library_that_is_not_installed_is_told_only_where_nothing_else_reads_the_folder(
    distribute, photographs, table
):
    needy = SOURCE.replace("RECOGNISE", "return {}").replace("OPEN", HEALTHY)
    needy = needy.replace('summary="a table"', 'summary="a table", requires=("tlf-nowhere",)')
    distribute("acme", needy)
    registry = Registry(discover())
    assert recognise(registry, photographs).warnings == ()
    with pytest.raises(DataError) as caught:
        recognise(registry, table)
    told = "passed over: the data-source `acme/table` needs `tlf-nowhere`, which is not installed"
    assert told in caught.value.message


def test_a_folder_of_something_else_is_an_error_that_says_what_is_read(ask, table):
    with pytest.raises(DataError, match="nothing that a data source reads") as caught:
        ask("return None", table)
    assert "`image-folder` reads a folder for each class" in caught.value.message
    assert "`acme/table` reads a table" in caught.value.message
    assert "digits" not in caught.value.message


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("photo", "the folder `{0}/photo` does not exist: there is no `photo` in `{0}`", "photos"),
        ("fotos/x/y", "the folder `{0}/fotos/x/y` does not exist: there is no `fotos`", "photos"),
        ("photos/table.csv", "`{0}/photos/table.csv` is a file, not a folder", "name the folder"),
        ("empty", "the folder `{0}/empty` is empty", "name the folder"),
        ("x" * 300, "does not exist", "photos"),
        ("bad\udce9", "has a name that no spec can hold", "rename"),
    ],
)
def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, table, name, message, hint):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad\udce9").mkdir()
    with pytest.raises(DataError) as caught:
        recognise(Registry([]), tmp_path / name)
    assert message.format(tmp_path) in caught.value.message
    assert hint in caught.value.hint
