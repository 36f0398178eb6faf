"""A data set with one fault has that finding and no other; one without a fault has none."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tlf.data import near
from tlf.data.examination import examine

from .pictures import dataset, encoded, picture


def examined(changes=None, unreadable="error", leaks="error", image_size=64, **counts):
    return examine(
        dataset(changes, **counts),
        image_size=image_size,
        unreadable=unreadable,
        leaks=leaks,
        workers=0,
    )


def kinds(examination):
    return {finding.kind: finding.severity for finding in examination.findings}


def only(examination):
    [finding] = examination.findings
    return finding


def ids(finding):
    return [[place.id for place in example.images] for example in finding.examples]


def facts(finding):
    return [dict(example.facts) for example in finding.examples]


def test_a_clean_data_set_has_no_finding():
    found = examined()
    assert found.findings == ()
    assert not found.errors
    assert found.counts == {
        "train": {"cat": 10, "dog": 10},
        "validation": {"cat": 3, "dog": 3},
    }


def test_every_image_that_cannot_be_read_is_found_with_the_reason():
    spoilt = {"train/cat/3": b"no image", "validation/dog/1": OSError(5, "Input/output error")}
    finding = only(examined(spoilt, train=(11, 10)))
    assert (finding.kind, finding.severity) == ("unreadable", "error")
    assert ids(finding) == [["train/cat/3"], ["validation/dog/1"]]
    assert [place.label for example in finding.examples for place in example.images] == [
        "cat",
        "dog",
    ]
    assert facts(finding) == [
        {"reason": "no image in a format that is known"},
        {"reason": "input/output error"},
    ]


def test_unreadable_images_that_are_left_out_are_a_warning():
    finding = only(examined({"train/cat/3": b""}, train=(11, 10), unreadable="skip-and-report"))
    assert (finding.kind, finding.severity) == ("unreadable", "warning")


def test_a_split_without_a_readable_image_is_an_error():
    spoilt = {f"validation/{name}/{index}": b"" for name in ("cat", "dog") for index in range(3)}
    found = examined(spoilt)
    assert kinds(found)["empty-split"] == "error"


def test_one_file_in_two_splits_is_a_leak_and_nothing_else():
    same = encoded(picture(99))
    finding = only(examined({"train/cat/0": same, "validation/cat/0": same}))
    assert (finding.kind, finding.severity) == ("leak", "error")
    assert ids(finding) == [["train/cat/0", "validation/cat/0"]]


def test_pixels_without_a_file_leak_too():
    pixels = np.asarray(picture(99))
    data = dataset()
    for split in ("train", "validation"):
        data.splits[split][0].read.content = pixels.copy()
    found = examine(data, image_size=64, unreadable="error", leaks="warn", workers=2)
    assert kinds(found) == {"leak": "warning"}


def test_a_picture_that_was_saved_anew_in_another_split_is_a_near_leak():
    image = picture(99, (200, 160))
    changes = {
        "train/cat/0": encoded(image),
        "validation/cat/0": encoded(image.resize((100, 80)), "JPEG"),
    }
    finding = only(examined(changes))
    assert (finding.kind, finding.severity) == ("near-leak", "warning")
    assert ids(finding) == [["train/cat/0", "validation/cat/0"]]
    [said] = facts(finding)
    assert 0 <= said["distance"] <= near.MOST_BITS
    assert said["likeness"] > near.LEAST_LIKENESS


def test_near_duplicates_inside_a_split_are_a_note():
    image = picture(99)
    changes = {"train/cat/0": encoded(image), "train/cat/1": encoded(image, "BMP")}
    finding = only(examined(changes))
    assert (finding.kind, finding.severity) == ("near-duplicates", "note")
    assert facts(finding) == [{"distance": 0, "likeness": 1.0}]


def test_one_look_with_two_labels_is_a_conflict():
    image = picture(99)
    changes = {"train/cat/0": encoded(image), "train/dog/1": encoded(image, "BMP")}
    found = examined(changes)
    assert kinds(found) == {"near-label-conflict": "warning", "near-duplicates": "note"}


def test_a_near_duplicate_of_copies_is_one_pair_and_names_those_in_different_splits():
    image = picture(99)
    changes = {
        "train/cat/0": encoded(image),
        "train/cat/1": encoded(image, "BMP"),
        "validation/cat/2": encoded(image, "BMP"),
    }
    found = {one.kind: one for one in examined(changes).findings}
    assert set(found) == {"leak", "near-leak"}
    assert ids(found["near-leak"]) == [["train/cat/0", "validation/cat/2"]]


def test_blank_images_are_said_to_be_blank_and_not_to_be_each_others_copies():
    changes = {
        f"train/cat/{number}": encoded(Image.new("RGB", (60 + number, 50), (250, 251, 255)))
        for number in range(4)
    }
    finding = only(examined(changes))
    assert (finding.kind, finding.severity) == ("flat", "warning")
    assert len(finding.examples) == 4
    assert "not compared" in finding.message


def test_a_search_that_ended_early_says_at_least(monkeypatch):
    monkeypatch.setattr(near, "MOST_PAIRS", 2)
    changes = {
        f"train/cat/{number}": encoded(picture(99).resize((60 + number, 50))) for number in range(4)
    }
    assert only(examined(changes)).message.startswith("at least 2 pairs")


def test_small_images_are_counted_with_their_sizes():
    finding = only(examined({"train/cat/0": encoded(picture(99, (31, 90)))}))
    assert (finding.kind, finding.severity) == ("small-images", "note")
    assert facts(finding) == [{"width": 31, "height": 90}]


def test_an_image_of_half_the_networks_size_is_not_small():
    assert not examined({"train/cat/0": encoded(picture(99, (32, 90)))}).findings


def test_narrow_images_are_named():
    changes = {
        "train/cat/0": encoded(picture(99, (40, 161))),
        "train/cat/1": encoded(picture(98, (160, 40))),
    }
    finding = only(examined(changes))
    assert (finding.kind, finding.severity) == ("narrow-images", "note")
    assert ids(finding) == [["train/cat/0"]]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_images_that_are_all_grey_are_said_to_be(mode):
    data = dataset()
    for items in data.splits.values():
        for number, item in enumerate(items):
            image = picture(sum(item.id.encode()) + 1000 * number).convert("L").convert(mode)
            item.read.content = encoded(image)
    finding = only(examine(data, image_size=64, unreadable="error", leaks="error", workers=0))
    assert (finding.kind, finding.severity) == ("grey-images", "note")
    assert "all 26 images are grey" in finding.message


def test_most_images_grey_are_counted_by_class():
    changes = {
        f"{split}/cat/{number}": encoded(
            picture(1000 + number + 50 * (split == "train")).convert("L")
        )
        for split, count in (("train", 10), ("validation", 3))
        for number in range(count)
    }
    finding = only(examined(changes))
    assert finding.kind == "grey-images"
    assert facts(finding) == [
        {"split": "train", "class": "cat", "images": 10},
        {"split": "validation", "class": "cat", "images": 3},
    ]


def test_a_few_grey_images_are_nothing_to_speak_of():
    assert not examined({"train/cat/0": encoded(picture(99).convert("L"))}).findings


def test_unusual_kinds_of_pixels_are_counted():
    sixteen = Image.fromarray(np.asarray(picture(97).convert("L")).astype(np.uint16) * 257)
    changes = {
        "train/cat/0": encoded(picture(99).convert("CMYK"), "JPEG"),
        "train/cat/1": encoded(picture(98).convert("P")),
        "train/cat/2": encoded(sixteen),
        "train/cat/3": encoded(picture(96).convert("CMYK"), "TIFF"),
    }
    finding = only(examined(changes))
    assert (finding.kind, finding.severity) == ("unusual-pixels", "note")
    assert [(one["mode"], one["images"]) for one in facts(finding)] == [
        ("CMYK", 2),
        ("P", 1),
        ("I;16", 1),
    ]


def test_animations_are_named():
    frames = [picture(number) for number in (97, 98)]
    moving = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    finding = only(examined({"train/cat/0": moving}))
    assert (finding.kind, finding.severity) == ("animated", "note")
    assert ids(finding) == [["train/cat/0"]]


def test_a_photograph_with_a_preview_inside_is_no_animation():
    frames = [picture(number) for number in (97, 98)]
    photograph = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert not examined({"train/cat/0": photograph}).findings


def test_errors_come_before_warnings_and_notes():
    same = encoded(picture(99, (31, 90)))
    found = examined({"train/cat/0": same, "validation/cat/0": same}, train=(9, 10))
    assert [one.severity for one in found.findings] == ["error", "warning", "note"]
    assert [one.kind for one in found.errors] == ["leak"]


def test_progress_is_told_image_by_image():
    told = []
    examine(
        dataset(),
        image_size=64,
        unreadable="error",
        leaks="error",
        progress=lambda *numbers: told.append(numbers),
    )
    assert told == [(number, 26) for number in range(1, 27)]


def test_images_of_several_classes_are_counted_once_and_those_of_none_are_noted():
    whole = dataset()
    labels = {"train/cat/0": (0, 1), "train/cat/1": ()}
    splits = {
        split: [replace(one, label=labels.get(one.id, (one.label,))) for one in items]
        for split, items in whole.splits.items()
    }
    found = examine(
        replace(whole, splits=splits, task="multi-label"),
        image_size=64,
        unreadable="error",
        leaks="error",
        workers=0,
    )
    assert kinds(found) == {"few-images": "warning", "without-class": "note"}
    assert found.images == {"train": 20, "validation": 6}
    assert found.counts["train"] == {"cat": 9, "dog": 11}
    (note,) = found.as_json()["findings"][1:]
    assert note["examples"][0]["images"] == [{"split": "train", "id": "train/cat/1", "label": ()}]
