"""All that is wrong at once, and whether the spec or a plugin is to blame."""

import pytest

from tlf.errors import PluginError, SpecError
from tlf.registry import check


@pytest.fixture
def problems_of(raw, installed):
    """Check a changed spec; return its problems by path."""

    def find(registry=None, **changes):
        with pytest.raises(SpecError) as caught:
            check(raw(**changes), registry or installed())
        return {problem.path: problem for problem in caught.value.problems}

    return find


@pytest.fixture
def plugin_error_of(raw, installed):
    """Check a changed spec; return the error about plugins."""

    def find(registry=None, **changes):
        with pytest.raises(PluginError) as caught:
            check(raw(**changes), registry or installed())
        assert caught.value.exit_code == 3
        return caught.value

    return find


def test_a_valid_spec_comes_back_with_its_options_as_they_were_written(raw, acme):
    spec = check(raw(strategy={"name": "acme/half", "options": {"share": 1}}), acme)
    assert spec.strategy.options == {"share": 1}
    assert (spec.device.name, spec.transforms.name) == ("auto", "standard")


def test_shape_names_and_options_are_checked_at_once_in_the_order_of_the_spec(problems_of):
    found = problems_of(
        nmae="x",
        seed=-1,
        device="cpuu",
        training={"epochs": 0},
        strategy={"name": "full-fine-tuning", "options": {"body_rate": 2, "body": 1}},
        backbone="torchvison/resnet18",
        data={"name": "image-folder", "options": {"folder": "x", "train": "y"}},
    )
    assert list(found) == [
        "data.options",
        "backbone",
        "strategy.options.body_rate",
        "strategy.options.body",
        "training.epochs",
        "device",
        "seed",
        "nmae",
    ]
    assert found["backbone"].hint == "did you mean `torchvision/resnet18`?"
    assert found["strategy.options.body"].hint == "did you mean `body_rate`?"
    assert found["nmae"].hint == "did you mean `name`?"


@pytest.mark.parametrize(
    ("changes", "path", "message", "hint"),
    [
        (
            {"strategy": "full-finetuning"},
            "strategy",
            "`full-finetuning` is no known strategy",
            "did you mean `full-fine-tuning`?",
        ),
        (
            {"strategy": {"name": "zzz"}},
            "strategy.name",
            "`zzz` is no known strategy",
            "choose from `auto`, `bias-tuning`",
        ),
        ({"transforms": "standart"}, "transforms", "no known transform", "`standard`"),
        (
            {"data": {"name": "imagefolder"}},
            "data.name",
            "no known data source",
            "did you mean `image-folder`?",
        ),
        ({"backbone": "resnet18"}, "backbone", "names no family", "`torchvision/resnet18`"),
        (
            {"backbone": {"name": "torchvision"}},
            "backbone.name",
            "names no model",
            "`family/model`",
        ),
        ({"backbone": "torchvision/"}, "backbone", "names no model", "`family/model`"),
        ({"backbone": "/resnet18"}, "backbone", "names no family", "`torchvision/resnet18`"),
        (
            {"backbone": {"name": "torchvision/resnet18", "options": {"a": 1}}},
            "backbone.options.a",
            "`a` is no known key",
            "it takes no options",
        ),
    ],
)
def test_a_slip_of_the_pen_is_the_specs(problems_of, changes, path, message, hint):
    found = problems_of(**changes)
    assert list(found) == [path]
    assert message in found[path].message
    assert hint in found[path].hint


def test_an_option_beside_the_options_is_sent_to_its_place(problems_of):
    found = problems_of(data={"name": "image-folder", "folder": "x", "shuffle": 1})
    assert found["data.folder"].hint == "did you mean `data.options.folder`?"
    assert "unreadable" in found["data.shuffle"].hint


def test_a_key_of_that_name_elsewhere_is_not_sent_there(problems_of):
    strategy = {"name": "full-fine-tuning", "body_rate": 0.5}
    found = problems_of(strategy=strategy, body_rate=0.5)
    there = "did you mean `strategy.options.body_rate`?"
    assert found["strategy.body_rate"].hint == there
    assert found["body_rate"].hint != there


def test_options_of_the_wrong_shape_are_said_once(problems_of):
    assert list(problems_of(device={"name": "cpu", "options": [1]})) == ["device.options"]
    assert list(problems_of(device={"name": 5})) == ["device.name"]
    assert list(problems_of(device=5)) == ["device"]


def test_a_plugin_that_is_not_installed_is_a_plugins_problem(plugin_error_of):
    error = plugin_error_of(strategy="acme/half")
    assert "`acme/half` is of the plugin `acme`, which is not installed" in error.message
    assert "feature-extraction" in error.hint


def test_a_family_that_resembles_none_is_a_plugins_problem(plugin_error_of):
    assert "backbone family `acme`" in plugin_error_of(backbone="acme/tiny").message


def test_a_misspelt_plugin_is_the_specs_problem(problems_of, acme):
    found = problems_of(acme, strategy="acmee/half")
    assert found["strategy"].hint == "did you mean `acme/half`?"


@pytest.mark.parametrize("group", ["tlf.v1", "tlf.v2"])
def test_a_plugin_that_does_not_work_is_named_with_its_reason_and_a_way_out(
    distribute, plugin_error_of, group
):
    distribute("acme", "raise ImportError('libacme.so is not there')\n", group=group)
    for changes in ({"strategy": "acme/half"}, {"backbone": "acme/tiny"}):
        error = plugin_error_of(**changes)
        assert "the plugin `acme` (tlf-acme 1.0) is" in error.message
        assert ("libacme.so" if group == "tlf.v1" else "version 2") in error.message
        assert "update `tlf-acme`" in error.hint


def test_a_plugin_that_does_not_work_harms_no_spec_that_does_not_need_it(
    distribute, raw, installed
):
    distribute("acme", "1 / 0\n")
    check(raw(), installed())


def test_all_plugins_that_do_not_work_are_named_at_once(distribute, plugin_error_of):
    distribute("acme", "1 / 0\n")
    error = plugin_error_of(strategy="acme/half", device="brand/chip")
    for word in ("2 plugins", "strategy: ", "device: ", "ZeroDivisionError", "`brand`"):
        assert word in error.message


def test_with_a_problem_of_the_spec_the_plugins_are_named_too(problems_of):
    assert list(problems_of(strategy="acme/half", seed=-1)) == ["strategy", "seed"]


def test_a_default_that_does_not_work_is_found_too(raw, installed):
    from tlf.registry import Registry

    registry = Registry(record for record in installed().plugins if record.name != "standard")
    with pytest.raises(SpecError, match="`standard` is no known transform"):
        check(raw(), registry)


def test_what_a_part_requires_is_asked_for_with_the_options(
    distribute, strategies, plugin_error_of
):
    distribute("acme", strategies("acme/half", requires=("tlf-nowhere",), options="no_module:X"))
    error = plugin_error_of(strategy="acme/half")
    assert "needs `tlf-nowhere`" in error.message
    assert error.hint == "pip install tlf-nowhere"


def test_options_that_cannot_be_checked_are_a_plugins_problem(
    distribute, strategies, plugin_error_of
):
    distribute("acme", strategies("acme/half", options="no_module:X"))
    assert "ModuleNotFoundError" in plugin_error_of(strategy="acme/half").message
