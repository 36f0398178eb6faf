"""timm's models as backbones. The contract's numbers are checked in `test_contract.py`."""

from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from tlf.engine.weights import SUFFIXES, load_weights
from tlf.errors import SpecError, WeightsError
from tlf.plugin import InputConfig
from tlf_builtin.timm.family import Timm
from tlf_builtin.timm.options import RESERVED, TimmOptions, known_arguments

SMALLEST = (Path(__file__).parents[2] / "docs" / "timm_smallest.txt").read_text().split()


def create(**options):
    return Timm(TimmOptions(**options))


@pytest.fixture
def family():
    return create()


def on_meta(family, model, size=None):
    with torch.device("meta"):
        return family.create(model, size or family.input_config(model).size)


def test_every_classifier_of_timm_is_there_with_and_without_tags(family):
    models = family.models()
    assert len(models) >= 3000
    assert {"resnet18", "resnet18.a1_in1k", "mobilenetv2_100", "crossvit_9_240"} <= set(models)
    assert set(timm.list_models()) - set(models) == {
        name for name in timm.list_models() if name.endswith("_enc")
    }


def test_what_is_left_out_has_no_classifier():
    for name in timm.list_models("*_enc"):
        with torch.device("meta"):
            network = timm.create_model(name)
        assert not hasattr(network, "get_classifier")


def test_the_list_of_smallest_models_has_one_of_each_module(family):
    wanted = {timm.model_entrypoint(m).__module__ for m in family.models() if "." not in m}
    assert {timm.model_entrypoint(model).__module__ for model in SMALLEST} == wanted
    assert len(SMALLEST) == len(wanted)


def test_a_tag_decides_what_the_input_is(family):
    assert family.input_config("resnet18.a1_in1k") == InputConfig(224, 235, "bicubic")
    assert family.input_config("resnet18.tv_in1k") == InputConfig(224, 256, "bilinear")
    assert family.input_config("mobilenetv2_100") == InputConfig(224, 256, "bicubic")


def test_every_input_is_sane(family):
    for model in family.models():
        config = family.input_config(model)
        assert 64 <= config.size <= config.resize <= 2 * config.size
        assert len(config.mean) == len(config.std) == 3


@pytest.mark.parametrize(
    ("model", "classifier"),
    [
        ("resnet18", "fc"),
        ("mobilenetv2_100", "classifier"),
        ("vgg11", "head.fc"),
        ("deit_tiny_patch16_224", "head"),
        ("caformer_s18", "head.fc.fc2"),
        ("resnetv2_18", "head.fc"),
        ("deit_tiny_distilled_patch16_224", None),
        ("crossvit_tiny_240", None),
    ],
)
def test_the_classifier_is_the_last_layer_or_there_are_several(family, model, classifier):
    assert family.classifier(on_meta(family, model)) == classifier


@pytest.mark.parametrize(
    "model",
    [
        "test_efficientnet",
        "test_vit",
        "test_resnet",
        pytest.param("vgg11", marks=pytest.mark.slow),
    ],
)
def test_features_behind_the_real_classifier_are_timms_logits(family, model):
    """What is called features is all that lies before the last layer, and nothing more."""
    torch.manual_seed(0)
    size = 64 if model == "vgg11" else 160
    backbone = family.build(model, size)
    reference = timm.create_model(model).eval()
    reference.load_state_dict(backbone.module.state_dict(), strict=False)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert backbone(images).equal(
            reference.forward_head(reference.forward_features(images), True)
        )
        logits = reference.get_classifier()(backbone(images))
        assert torch.allclose(logits, reference(images), rtol=1e-5, atol=1e-5)


def test_the_size_of_the_images_goes_to_networks_that_need_it(family):
    assert on_meta(family, "deit_tiny_patch16_224", 96).pos_embed.shape == (1, 37, 192)
    assert on_meta(family, "hrnet_w18_small", 96) is not None


def test_options_go_to_the_constructor():
    assert on_meta(create(pad_type="same"), "test_efficientnet").conv_stem.__class__.__name__ == (
        "Conv2dSame"
    )
    network = on_meta(create(drop_path_rate=0.5), "test_vit")
    assert network.blocks[-1].drop_path1.drop_prob == 0.5


def test_an_option_that_no_network_takes_is_refused_with_the_nearest():
    with pytest.raises(ValidationError, match=r"no network of timm takes `pad_tipe`.*`pad_type`"):
        TimmOptions(pad_tipe="same")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_an_option_that_tlf_decides_is_refused_with_the_place_where_it_does(name):
    with pytest.raises(ValidationError, match=f"`{name}` cannot be set here: "):
        TimmOptions(**{name: 1})
    assert name not in known_arguments()


def test_an_option_that_this_network_does_not_take_is_refused_with_the_nearest():
    with pytest.raises(SpecError) as raised, torch.device("meta"):
        create(pad_type="same").build("test_vit", 160)
    (problem,) = raised.value.problems
    assert problem.path == "backbone.options.pad_type"
    assert problem.message == "`timm/test_vit` does not take `pad_type`"


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("test_efficientnet", {"act_layer": "no-such-layer"}),
        ("test_vit", {"patch_size": 0}),
        ("test_vit", {"global_pool": ""}),
        ("test_resnet", {"global_pool": ""}),
        ("test_resnet", {"layers": []}),
        ("test_convnext", {"depths": [1]}),
    ],
)
def test_an_option_of_a_wrong_value_is_the_specs_fault(model, options):
    (name,) = options
    said = f"does not work with these values of `{name}`"
    with pytest.raises(SpecError, match=said), torch.device("meta"):
        create(**options).build(model, 160)


@pytest.mark.parametrize("model", SMALLEST)
def test_weights_of_another_network_are_left_for_the_engine_to_refuse(family, model):
    """timm's conversions expect their own network's tensors, and fail over others in any way."""
    size = family.input_config(model).size
    for names in (["fc.weight"], ["features.0.weight", "classifier.1.bias"], []):
        tensors = {name: torch.zeros(3) for name in names}
        family.convert_weights(model, on_meta(family, model, size), tensors)


def test_every_file_of_weights_that_is_offered_is_of_a_kind_that_is_read(family):
    sources = [info.source for m in family.models() if (info := family.weights(m)) is not None]
    assert all(s.startswith("https://huggingface.co/") or s.endswith(SUFFIXES) for s in sources)
    assert family.weights("vit_huge_patch14_gap_224") is None


def test_what_timm_never_trains_is_no_parameter(family):
    network = on_meta(family, "efficientvim_m1")
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert "weights" in dict(network.named_buffers())
    assert "weights" in network.state_dict()


def test_weights_say_where_they_are_from_and_under_which_licence(family):
    info = family.weights("mobilenetv2_100")
    assert info.source == "https://huggingface.co/timm/mobilenetv2_100.ra_in1k"
    assert info.licence == "apache-2.0"
    assert family.weights("vovnet57a") is None
    known = [name for name in timm.list_pretrained() if family.weights(name)]
    assert len(known) > 0.99 * len(timm.list_pretrained())


def test_weights_that_cannot_be_fetched_are_an_error_with_a_way_out(family, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise ConnectionError("no network. At all")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    with pytest.raises(
        WeightsError, match=r"`timm/resnet18` cannot be fetched.*\(no network\)"
    ) as e:
        family.fetch("resnet18")
    assert "backbone.weights" in e.value.hint


def test_weights_in_the_hubs_cache_are_found_without_a_network(family, monkeypatch, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    asked = []

    def look(*, repo_id, filename, revision):
        asked.append((repo_id, filename, revision))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", look)
    assert family.local_weights("resnet18.a1_in1k") == path
    assert family.fetch("resnet18.a1_in1k") == path
    assert asked[0] == ("timm/resnet18.a1_in1k", "model.safetensors", None)


def test_position_tables_of_another_size_are_resampled_as_timm_does(family, tmp_path):
    torch.manual_seed(0)
    state = timm.create_model("test_vit").state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    reference = timm.create_model(
        "test_vit",
        img_size=96,
        pretrained=True,
        pretrained_cfg_overlay={"file": str(tmp_path / "weights.safetensors")},
    ).eval()
    backbone = family.build("test_vit", 96)
    load_weights(
        backbone,
        state,
        source="weights",
        convert=lambda tensors: family.convert_weights("test_vit", backbone.module, tensors),
    )
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        features = reference.forward_head(reference.forward_features(images), pre_logits=True)
        assert backbone(images).equal(features)


def test_weights_of_a_network_with_several_classifiers_fit_without_them(family):
    torch.manual_seed(0)
    name = "deit_tiny_distilled_patch16_224"
    state = timm.create_model(name, img_size=64).state_dict()
    backbone = family.build(name, 64)
    load_weights(backbone, state, source="weights", ignored=family.ignored_weights(name))
    assert backbone.output_width == 192


def test_a_network_that_cannot_be_split_is_one_stage(family):
    with torch.device("meta"):
        backbone = family.build("crossvit_tiny_240", 240)
    assert len(backbone.stages) == 1
    assert "1 stages" in backbone.imbalances
