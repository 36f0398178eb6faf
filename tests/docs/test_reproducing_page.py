"""The page on reproducing: its options and keys are those of the command."""

import dataclasses
import re
from pathlib import Path

from tlf.cli import main
from tlf.engine.record import Change
from tlf.engine.repro import Reproduction
from tlf.engine.reproducing.differences import (
    FirstDifference,
    PredictionsDifference,
    StageDifference,
)

TEXT = (Path(__file__).parents[2] / "docs" / "reproducing.md").read_text(encoding="utf-8")


def rows():
    table = TEXT.partition("| key | meaning |")[2]
    return dict(re.findall(r"^\| (`.+?) \| (.+) \|$", table, re.MULTILINE))


def fields(kind):
    return {field.name for field in dataclasses.fields(kind)}


def test_the_keys_on_the_page_are_those_of_the_json():
    found = rows()
    assert set(re.findall(r"`(\w+)`", " ".join(found))) == fields(Reproduction)
    for key, kind, more in (
        ("first", FirstDifference, {"size"}),
        ("stages", StageDifference, set()),
        ("predictions", PredictionsDifference, set()),
        ("changes", Change, set()),
    ):
        assert set(re.findall(r"`(\w+)`", found[f"`{key}`"])) == fields(kind) | more


def test_every_option_is_on_the_page(capsys):
    main(["repro", "--help"])
    for option in set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}:
        assert option in TEXT
