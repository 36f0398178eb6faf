"""Predicting with an artifact."""

import json

import numpy as np
import pytest
from PIL import Image

import tlf
from tlf.errors import DataError, OutputError


@pytest.fixture(scope="module")
def finished(photographs, tmp_path_factory):
    return tlf.run(
        {
            "data": {
                "name": "image-folder",
                "options": {
                    "train": str(photographs / "train"),
                    "validation": str(photographs / "val"),
                },
            },
            "backbone": {"name": "torchvision/shufflenet_v2_x0_5", "weights": "none"},
            "transforms": {"name": "standard", "options": {"size": 32}},
            "training": {"epochs": 1},
            "device": {"name": "cpu", "options": {"precision": "float32"}},
            "output": str(tmp_path_factory.mktemp("runs")),
        }
    )


@pytest.fixture(scope="module")
def predictor(finished):
    return tlf.load(finished.directory)


@pytest.fixture
def image(photographs):
    return photographs / "val" / "red" / "03.png"


def test_an_image_is_the_same_as_path_bytes_array_and_pil_image(predictor, image):
    forms = [image, str(image), image.read_bytes(), Image.open(image), np.array(Image.open(image))]
    results = [predictor.predict([form])[0].probabilities for form in forms]
    assert all(result == results[0] for result in results)


def test_an_image_gets_the_same_probabilities_alone_and_among_others(predictor, photographs):
    images = sorted((photographs / "val").rglob("*.png"))
    together = predictor.predict(images)
    for path, prediction in zip(images, together, strict=True):
        assert predictor.predict([path]) == [prediction]


def test_probabilities_fall_and_top_cuts_them_off(predictor, image):
    (whole,) = predictor.predict([image])
    values = list(whole.probabilities.values())
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1.0)
    (one,) = predictor.predict([image], top=1)
    assert one.probabilities == {whole.label: whole.probability}


def test_nothing_to_predict_gives_nothing(predictor):
    assert predictor.predict([]) == []


def test_all_images_that_cannot_be_read_are_named_at_once(predictor, image, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="2 of 3 images cannot be read") as caught:
        predictor.predict([tmp_path / "broken.png", image, tmp_path / "nowhere.png"])
    assert "broken.png`: no image in a format that is known" in caught.value.message
    assert "nowhere.png" in caught.value.message


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"holds no finished run: `model\.json` is not there"):
        tlf.load(tmp_path)


def test_damaged_files_are_refused(finished, tmp_path):
    for name in ("model.json", "model.safetensors"):
        (tmp_path / name).write_bytes((finished.directory / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(OutputError, match="cannot be read"):
        tlf.load(tmp_path)
    (tmp_path / "model.json").write_text("[]")
    with pytest.raises(OutputError, match="cannot be read"):
        tlf.load(tmp_path)


def test_weights_of_another_network_are_refused(finished, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(
        (finished.directory / "model.safetensors").read_bytes()
    )
    description = json.loads((finished.directory / "model.json").read_text())
    description["backbone"]["name"] = "torchvision/resnet18"
    (tmp_path / "model.json").write_text(json.dumps(description))
    with pytest.raises(OutputError, match="do not fit the network"):
        tlf.load(tmp_path)


@pytest.mark.parametrize("change", [{"classes": None}, {"input": 3}, {"device": {}}])
def test_a_description_that_lacks_something_is_refused(finished, tmp_path, change):
    (tmp_path / "model.safetensors").write_bytes(
        (finished.directory / "model.safetensors").read_bytes()
    )
    description = json.loads((finished.directory / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**description, **change}))
    with pytest.raises(OutputError, match=r"model\.json"):
        tlf.load(tmp_path)


@pytest.mark.parametrize("top", [0, -1, True, 1.0, "2"])
def test_a_top_that_is_no_number_of_classes_is_refused_with_a_sentence(predictor, image, top):
    with pytest.raises(DataError, match="`top` must be a whole number of classes, at least 1"):
        predictor.predict([image], top=top)


def test_a_single_image_in_the_place_of_a_list_is_refused_with_a_sentence(predictor, image):
    one = [image, str(image), image.read_bytes(), Image.new("RGB", (4, 4)), iter([image]), None]
    for images in one:
        with pytest.raises(DataError, match="`images` must be a list of images, not") as caught:
            predictor.predict(images)
        assert "[image]" in caught.value.hint


def test_a_stream_refuses_at_once_and_not_with_its_first_result(predictor, image):
    with pytest.raises(DataError):
        predictor.stream(str(image))
    with pytest.raises(DataError):
        predictor.stream([image], top=0)


def test_an_image_that_the_transform_fails_on_does_not_end_the_others(
    predictor, image, monkeypatch
):
    def load(opened, original=predictor._network.transform.load):
        if opened.width == 7:
            raise ZeroDivisionError("seven")
        return original(opened)

    monkeypatch.setattr(predictor._network.transform, "load", load)
    results = list(predictor.stream([image, Image.new("RGB", (7, 7)), "a\0b", image]))
    assert [type(result).__name__ for result in results] == [
        "Prediction",
        "Unreadable",
        "Unreadable",
        "Prediction",
    ]
    assert results[1].reason == "the transform fails with ZeroDivisionError: seven"
    assert results[0].probabilities == results[3].probabilities


@pytest.fixture
def load_changed(finished, tmp_path):
    """Load the run with its description changed by hand."""

    def load_changed(**changes):
        tensors = (finished.directory / "model.safetensors").read_bytes()
        (tmp_path / "model.safetensors").write_bytes(tensors)
        description = json.loads((finished.directory / "model.json").read_text())
        (tmp_path / "model.json").write_text(json.dumps({**description, **changes}))
        return tlf.load(tmp_path)

    return load_changed


def test_a_model_that_the_family_does_not_have_is_named(load_changed):
    with pytest.raises(OutputError, match="the model `torchvision/resnet19`") as caught:
        load_changed(backbone={"name": "torchvision/resnet19"})
    assert caught.value.hint == "did you mean `resnet18`?"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transforms": {"name": "standrad"}}, "`standrad` is no known transform"),
        ({"device": {"name": "cpu", "options": {"threads": 0}}}, "device.options.threads"),
    ],
)
def test_a_description_of_what_is_not_there_is_refused_as_such(load_changed, changes, words):
    with pytest.raises(OutputError, match=r"`model\.json` in .* cannot be made here") as caught:
        load_changed(**changes)
    assert words in caught.value.message


def test_a_description_that_is_nested_without_end_is_refused(finished, tmp_path):
    tensors = (finished.directory / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(tensors)
    (tmp_path / "model.json").write_text("[" * 100_000)
    with pytest.raises(OutputError, match="cannot be read"):
        tlf.load(tmp_path)
    description = (finished.directory / "model.json").read_text()
    (tmp_path / "model.json").write_text(description)
    (tmp_path / "environment.json").write_text("[" * 100_000)
    assert tlf.load(tmp_path).classes


def test_tensors_whose_numbers_are_of_another_kind_are_refused(finished, tmp_path):
    """A single bit in the header makes whole numbers of fractions, and nonsense of the network."""
    content = (finished.directory / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content.replace(b'"F32"', b'"I32"', 1))
    (tmp_path / "model.json").write_text((finished.directory / "model.json").read_text())
    with pytest.raises(OutputError, match="do not fit the network"):
        tlf.load(tmp_path)
