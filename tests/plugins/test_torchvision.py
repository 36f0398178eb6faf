"""torchvision's models as backbones. The contract's numbers are checked in `test_contract.py`."""

from pathlib import Path

import pytest
import torch
import torchvision

from tlf.errors import WeightsError
from tlf.plugin import InputConfig, Options
from tlf_builtin.torchvision.family import Torchvision


@pytest.fixture
def family():
    return Torchvision(Options())


def test_every_classification_model_of_torchvision_is_there(family):
    models = family.models()
    assert len(models) >= 80
    assert {"resnet18", "vit_h_14", "swin_v2_b", "maxvit_t", "regnet_y_128gf"} <= set(models)
    assert not any("quantized" in name or "rcnn" in name for name in models)


def test_the_input_is_what_the_default_weights_were_trained_to_see(family):
    assert family.input_config("resnet18") == InputConfig(224, 256, "bilinear")
    assert family.input_config("swin_t") == InputConfig(224, 232, "bicubic")
    assert family.input_config("vit_h_14").size == 518


def test_weights_that_are_not_the_default_get_the_common_sizes(family):
    assert family.input_config("mobilenet_v2").resize == 232
    assert family.input_config("mobilenet_v2", default_weights=False).resize == 256


@pytest.mark.parametrize("default_weights", [True, False])
def test_every_input_is_sane(family, default_weights):
    for model in family.models():
        config = family.input_config(model, default_weights=default_weights)
        assert config.size <= config.resize <= 2 * config.size
        assert config.mean in {(0.485, 0.456, 0.406), (0.5, 0.5, 0.5)}


@pytest.mark.parametrize(
    ("model", "classifier"),
    [
        ("resnet18", "fc"),
        ("mobilenet_v2", "classifier.1"),
        ("squeezenet1_1", "classifier.1"),
        ("vgg11", "classifier.6"),
        ("vit_b_32", "heads.head"),
        ("inception_v3", "fc"),
        ("swin_t", "head"),
    ],
)
def test_the_classifier_is_the_last_layer(family, model, classifier):
    with torch.device("meta"):
        network = family.create(model, family.input_config(model).size)
    assert family.classifier(network) == classifier


def test_hidden_layers_of_a_classifier_belong_to_the_backbone(family):
    with torch.device("meta"):
        backbone = family.build("vgg11", 224)
    assert backbone.output_width == 4096
    assert [stage.name for stage in backbone.stages[-2:]] == ["classifier.0", "classifier.3"]
    assert backbone.imbalances == ("one tensor holds 80% of the parameters",)


def test_a_stage_of_a_residual_network_is_one_block(family):
    with torch.device("meta"):
        backbone = family.build("resnet18", 224)
    assert [stage.name for stage in backbone.stages] == [
        "conv1",
        *(f"layer{layer}.{block}" for layer in range(1, 5) for block in range(2)),
    ]
    assert {"bn1.weight", "bn1.bias"} == set(backbone.stages[0].groups["norm"].parameters)
    assert sum(stage.outline.flops for stage in backbone.stages) == pytest.approx(3.63e9, rel=0.01)


def test_a_network_that_computes_while_it_is_created_is_outlined_without_memory(family):
    with torch.device("meta"):
        backbone = family.build("regnet_y_128gf", 224)
    assert all(parameter.is_meta for parameter in backbone.module.parameters())
    assert sum(stage.outline.parameter_count for stage in backbone.stages) > 600e6
    assert torch.nn.Linear(2, 2).weight.device.type == "cpu"


def test_a_vision_transformer_takes_images_of_another_size(family):
    backbone = family.build("vit_b_32", 64)
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, 64, 64)).shape == (1, 768)


def test_auxiliary_classifiers_are_left_out_of_the_network_and_of_its_weights(family):
    with torch.device("meta"):
        network = family.create("googlenet", 224)
    library = torchvision.models.googlenet(init_weights=False)
    extra = {
        name
        for name in library.state_dict()
        if not name.startswith(family.ignored_weights("googlenet"))
    }
    assert set(network.state_dict()) == extra


def test_weights_say_where_they_come_from_and_how_large_they_are(family):
    info = family.weights("resnet18")
    assert info.source.startswith("https://download.pytorch.org/")
    assert info.digest == "f37072fd"
    assert info.size_bytes == pytest.approx(44.7 * 2**20, rel=0.01)


def test_weights_that_are_here_are_not_fetched_again(family, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    path = tmp_path / "checkpoints" / Path(family.weights("resnet18").source).name
    path.parent.mkdir()
    path.write_bytes(b"weights")
    assert family.fetch("resnet18") == path


def test_weights_that_cannot_be_fetched_are_an_error_with_a_way_out(family, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(WeightsError, match="`torchvision/resnet18` cannot be fetched") as caught:
        family.fetch("resnet18")
    assert "backbone.weights" in caught.value.hint
    assert not list((tmp_path / "checkpoints").iterdir())
