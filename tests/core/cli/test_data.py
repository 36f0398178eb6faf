"""`tlf data check`: what it says, to people and to programs."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tlf.data import examination

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.fixture
def own(small_spec, photographs, tmp_path):
    """A spec of a copy of the photographs, which a test may change; and their folder."""
    folder = tmp_path / "photographs"
    shutil.copytree(photographs, folder)
    options = {"train": "photographs/train", "validation": "photographs/val"}
    small_spec["data"]["options"] = options
    path = tmp_path / "own.json"
    path.write_text(json.dumps(small_spec))
    return path, folder


def leak(folder, count=1):
    for index in range(count):
        shutil.copy(
            folder / "train" / "red" / f"{index:02d}.png", folder / "val" / "red" / f"x{index}.png"
        )


def test_clean_data_are_counted_and_nothing_is_found(tlf, own):
    code, out, err = tlf("data", "check", own[0])
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["class", "train", "validation"]
    assert ["blue", "12", "5"] in lines
    assert ["all", "24", "10"] in lines
    assert lines[-1] == ["nothing", "found"]


def test_an_error_ends_it_with_two_after_everything_is_said(tlf, own):
    leak(own[1], 7)
    code, out, err = tlf("data", "check", own[0])
    assert code == 2
    assert "error leak\n" in out
    assert "7 images are in more than one split" in out
    assert "- train/red/00.png (train, red)\n    val/red/x0.png (validation, red)\n" in out
    assert "and 2 more" in out
    assert "x6.png" not in out
    assert out.splitlines()[-1].startswith("found 1 error;")
    assert err.startswith("error: the data cannot be used as they are: `leak`")
    assert "hint: keep each image in one split only" in err
    assert max(map(len, out.splitlines())) <= 80


def test_a_warning_is_no_failure(tlf, own):
    leak(own[1])
    code, out, _ = tlf("data", "check", own[0], "--set", "data.leaks=warn")
    assert code == 0
    assert "warning leak\n" in out


def test_an_image_that_cannot_be_read_is_named_with_the_reason(tlf, own):
    (own[1] / "train" / "red" / "12.png").write_bytes(b"no image")
    code, out, _ = tlf("data", "check", own[0])
    assert code == 2
    assert "- train/red/12.png (train, red): no image in a format that is known" in out
    code, out, _ = tlf("data", "check", own[0], "--set", "data.unreadable=skip-and-report")
    assert code == 0
    assert "warning unreadable" in out


def test_a_class_folder_that_holds_nothing_is_an_error(tlf, own):
    (own[1] / "train" / "green").mkdir()
    code, _, err = tlf("data", "check", own[0])
    assert code == 2
    assert "the class `green` is empty" in err


def test_a_source_without_files_is_checked_too(tlf, spec_file):
    code, out, _ = tlf(
        "data", "check", spec_file, "--set", 'data={"name": "digits", "options": {"shots": 2}}'
    )
    assert code == 0
    assert "warning few-images" in out
    assert "- train, 0: 2 images" in out
    assert "note grey-images\n  all 888 images are grey\n  hint" in out


def test_many_classes_are_bounded(tlf, own):
    for split, color in (("train", "red"), ("val", "red")):
        for number in range(30):
            shutil.copytree(own[1] / split / color, own[1] / split / f"class-{number:02d}")
    _, out, _ = tlf("data", "check", own[0])
    assert "and 12 more" in out
    assert "class-25 " not in out.partition("error")[0]
    assert max(map(len, out.splitlines())) <= 80


def test_json_holds_every_case(tlf, own):
    leak(own[1], 7)
    code, out, _ = tlf("data", "check", own[0], "--json")
    assert code == 2
    found = json.loads(out)
    assert (found["ok"], found["image_size"]) == (False, 32)
    assert found["splits"]["validation"] == {"images": 17, "classes": {"blue": 5, "red": 12}}
    [finding] = found["findings"]
    assert (finding["kind"], finding["severity"], finding["count"]) == ("leak", "error", 7)
    assert finding["examples"][6]["images"] == [
        {"split": "train", "id": "train/red/06.png", "label": "red"},
        {"split": "validation", "id": "val/red/x6.png", "label": "red"},
    ]


def paths(value, path=""):
    """The path of every field: names of splits, classes and facts stand for themselves."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{path}[]")
    else:
        yield path


def test_the_page_names_every_field(tlf, own):
    leak(own[1])
    (own[1] / "train" / "red" / "12.png").write_bytes(b"no image")
    found = json.loads(tlf("data", "check", own[0], "--json")[1])
    named = re.findall(r"^\| `([a-z_.<>\[\]]+)` \|", PAGE.partition("## As JSON")[2], re.MULTILINE)
    said = {
        re.sub(
            r"splits\.\w+", "splits.<split>", re.sub(r"classes\.\w+", "classes.<class>", field)
        ).replace("facts.reason", "facts")
        for field in paths(found)
        if not field.startswith("thresholds")
    }
    assert said <= set(named)
    assert {name for name in named if not name.startswith("thresholds")} == said | {
        "findings[].examples[].facts"
    }


def test_the_page_names_every_threshold_with_its_value(tlf, own):
    found = json.loads(tlf("data", "check", own[0], "--json")[1])
    rows = dict(re.findall(r"^\| `thresholds\.([a-z_]+)` \| ([\d.]+) \|", PAGE, re.MULTILINE))
    assert {name: float(value) for name, value in rows.items()} == found["thresholds"]


def test_the_page_names_every_kind_of_finding():
    folder = Path(examination.__file__).parent
    kinds = {
        kind
        for path in folder.glob("*.py")
        for kind in re.findall(r'Finding\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    named = re.findall(r"^\| `([a-z-]+)` \| (?:error|warning|note)", PAGE, re.MULTILINE)
    assert kinds == set(named)
    assert len(named) == len(kinds) == 19
