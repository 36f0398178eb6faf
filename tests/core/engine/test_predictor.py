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
