"""`tlf.suggest`: a spec for a folder, which works as it stands."""

import json

import numpy as np
import pytest
from PIL import Image

import tlf
from tlf.errors import DataError, UsageError, WeightsError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write images, by class, into `photos`; return its path, relative to the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(counts, size=(300, 320), mode="RGB", folder="photos"):
        for name, count in counts.items():
            place = tmp_path / folder / name
            place.mkdir(parents=True)
            for index in range(count):
                Image.new(mode, size).save(place / f"{index:03d}.png")
        return folder

    return write


def reasons(suggestion, about):
    return " / ".join(reason.why for reason in suggestion.reasons if reason.about == about)


def test_photographs_need_hardly_more_than_their_place(write):
    folder = write({"ant": 80, "bee": 80})
    found = tlf.suggest(f"{folder}/")
    assert found.spec == {
        "name": "photos",
        "data": {"name": "image-folder", "options": {"folder": "photos"}},
        "backbone": "torchvision/mobilenet_v2",
        "strategy": "feature-extraction",
    }
    assert found.warnings == ()


def test_every_choice_has_a_reason_and_what_was_seen_is_said(write):
    found = tlf.suggest(write({"ant": 80, "bee": 80}))
    assert [reason.about for reason in found.reasons] == [
        "data.name",
        "data.options",
        "images",
        "backbone.name",
        "backbone.weights",
        "strategy",
    ]
    assert reasons(found, "data.name") == (
        "`image-folder` finds 128 train, 32 validation images of 2 classes: `ant`, `bee`"
    )
    assert reasons(found, "images") == "headers of all: 300×320 pixels, none grey"
    assert "tlf compare" in reasons(found, "strategy")
    assert str(found.reasons[2]) == f"images: {found.reasons[2].why}"


def test_relative_paths_stay_relative_and_that_is_said(write, tmp_path):
    folder = write({"ant": 3, "bee": 3})
    relative, absolute = tlf.suggest(folder), tlf.suggest(tmp_path / folder)
    assert relative.spec["data"]["options"] == {"folder": "photos"}
    assert "start at the folder that the spec file is in" in reasons(relative, "data.options")
    assert absolute.spec["data"]["options"] == {"folder": str(tmp_path / "photos")}
    assert reasons(absolute, "data.options") == ""


def test_a_link_is_called_what_its_owner_calls_it(write, tmp_path):
    (tmp_path / "insects").symlink_to(write({"ant": 3, "bee": 3}))
    assert tlf.suggest("insects").spec["name"] == "insects"


def test_the_current_folder_has_a_name_too(write, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path / write({"ant": 3, "bee": 3}))
    assert tlf.suggest(".").spec["name"] == "photos"


def test_a_folder_whose_name_no_run_can_have_leaves_the_default(write):
    assert "name" not in tlf.suggest(write({"ant": 3, "bee": 3}, folder="花")).spec


def test_small_images_get_a_smaller_size(write):
    found = tlf.suggest(write({"ant": 64, "bee": 64}, size=(90, 70)))
    assert found.spec["transforms"] == {"name": "standard", "options": {"size": 96}}
    assert "96, because the images are smaller than the 224" in reasons(
        found, "transforms.options.size"
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vit_b_32", "maxvit_t"])
def test_a_network_whose_weights_do_not_fit_another_size_keeps_its_own(write, model):
    folder = write({"ant": 64, "bee": 64}, size=(90, 70))
    assert "transforms" not in tlf.suggest(folder, backbone=f"torchvision/{model}").spec


def test_a_size_that_the_network_cannot_take_is_passed_over(write):
    found = tlf.suggest(write({"a": 64, "b": 64}, size=(50, 50)), backbone="torchvision/googlenet")
    assert found.spec["transforms"]["options"]["size"] < 224


def test_small_grey_images_are_not_mirrored(write):
    found = tlf.suggest(write({"6": 64, "9": 64}, size=(28, 28), mode="L"))
    assert found.spec["transforms"]["options"] == {"size": 64, "flip": 0}
    assert "digits or letters" in reasons(found, "transforms.options.flip")


def test_few_images_make_small_batches_and_a_note(write):
    found = tlf.suggest(write({"ant": 4, "bee": 4}))
    assert found.spec["training"] == {"batch_size": 8}
    assert "8 instead of 32" in reasons(found, "training.batch_size")
    assert "few images to train on: `ant` 3, `bee` 3" in reasons(found, "note")


def test_unreadable_images_are_left_out_and_named(write, tmp_path):
    folder = write({"ant": 80, "bee": 80})
    (tmp_path / folder / "ant" / "broken.jpg").write_bytes(b"GIF")
    found = tlf.suggest(folder)
    assert found.spec["data"]["unreadable"] == "skip-and-report"
    assert reasons(found, "data.unreadable") == (
        "1 image cannot be read: `ant/broken.jpg` (no image in a format that is known)"
    )


def test_notes_of_the_data_source_are_passed_on(write):
    found = tlf.suggest(write({"train/a": 3, "train/b": 3, "test/a": 3, "test/b": 3}))
    assert "`photos/test` is what is reported" in reasons(found, "data.options")


def test_a_backbone_and_a_weights_file_are_taken_as_asked(write, tmp_path):
    folder = write({"ant": 80, "bee": 80})
    (tmp_path / "w.safetensors").write_bytes(b"")
    found = tlf.suggest(folder, backbone="torchvision/resnet18", weights="w.safetensors")
    assert found.spec["backbone"] == {"name": "torchvision/resnet18", "weights": "w.safetensors"}
    assert reasons(found, "backbone.name") == "as asked for"


def test_weights_that_are_here_are_told_apart_from_those_to_be_fetched(
    write, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = write({"ant": 80, "bee": 80})
    assert "`tlf run` downloads (14.3 MB)" in reasons(tlf.suggest(folder), "backbone.weights")
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "mobilenet_v2-7ebf99e0.pth").write_bytes(b"")
    assert "here already" in reasons(tlf.suggest(folder), "backbone.weights")


def test_random_weights_get_a_strategy_that_asks_for_no_others(write):
    found = tlf.suggest(write({"ant": 80, "bee": 80}), weights="none")
    assert found.spec["backbone"]["weights"] == "none"
    assert found.spec["strategy"] == "from-scratch"


def test_a_backbone_without_weights_needs_to_be_told_which(write, monkeypatch):
    monkeypatch.setattr("tlf_builtin.torchvision.family.Torchvision.weights", lambda s, m: None)
    folder = write({"ant": 80, "bee": 80})
    with pytest.raises(UsageError, match="`torchvision/resnet18` has no weights of its own"):
        tlf.suggest(folder, backbone="torchvision/resnet18")


@pytest.mark.parametrize(
    ("weights", "message"),
    [("w.pth", "the weights file `w.pth` does not exist"), ("nome", "`nome` is no weights file")],
)
def test_a_weights_file_that_is_not_there_is_an_error(write, weights, message):
    folder = write({"ant": 3, "bee": 3})
    with pytest.raises(WeightsError, match=message):
        tlf.suggest(folder, weights=weights)


def test_a_misspelt_backbone_is_refused_before_any_image_is_looked_at():
    with pytest.raises(UsageError) as caught:
        tlf.suggest("nowhere", backbone="torchvision/resnet-18")
    assert caught.value.hint == "did you mean `torchvision/resnet18`?"


def test_one_class_is_an_error(write):
    with pytest.raises(DataError, match="one class only"):
        tlf.suggest(write({"ant": 3}))


def test_a_transform_without_such_options_gets_none(write, monkeypatch):
    from tlf.plugin import Options

    monkeypatch.setattr("tlf_builtin.standard.options.StandardOptions", Options)
    found = tlf.suggest(write({"6": 64, "9": 64}, size=(28, 28), mode="L"))
    assert "transforms" not in found.spec


def test_the_spec_runs_as_it_stands(write, tmp_path):
    generator = np.random.default_rng(0)
    folder = write({"ant": 4, "bee": 3}, size=(40, 40))
    for path in (tmp_path / folder).rglob("*.png"):
        Image.fromarray(generator.integers(0, 255, (40, 40, 3), np.uint8)).save(path)
    (tmp_path / folder / "bee" / "empty.png").write_bytes(b"")
    found = tlf.suggest(folder, backbone="torchvision/shufflenet_v2_x0_5", weights="none")
    (tmp_path / "spec.json").write_text(json.dumps(found.spec))
    run = tlf.run(tmp_path / "spec.json", overrides=["training.epochs=1"])
    assert run.directory == tmp_path / "runs" / "photos"
    assert run.report["images_measured"] >= 1
