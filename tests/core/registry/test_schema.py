"""The schema is valid, takes every valid spec, and refuses what any user gets wrong first."""

import pytest
from jsonschema import Draft202012Validator

from tlf.registry import check, spec_schema
from tlf.registry.entries import SECTIONS
from tlf.spec import load_raw

DATA = {"name": "image-folder", "options": {"folder": "x"}}
VALID = [
    {},
    {"data": {**DATA, "unreadable": "skip-and-report"}},
    {"backbone": {"name": "torchvision/resnet18", "weights": "none", "options": {}}},
    {"strategy": "full-fine-tuning"},
    {"strategy": {"name": "full-fine-tuning", "options": {"body_rate": 1}}},
    {"strategy": {"name": "acme/half", "options": {"share": 0.3, "words": ["a", "b"]}}},
    {"transforms": {"name": "standard", "options": {"size": None, "scale": [0.5, 1]}}},
    {"device": {"name": "cpu", "options": {"precision": "float32", "threads": 2}}},
    {"device": "auto", "head": "linear"},
    {"head": {"options": {"dropout": 0.5}}},
    {"training": {"views": 3, "optimizer": "sgd", "clip_norm": None, "learning_rate": 1}},
    {"training": {"optimizer": {"name": "adamw", "beta1": 0}, "views": "none"}},
    {"evaluation": {"metrics": ["accuracy"]}, "checkpoint": {"every_seconds": 1}},
    {"name": "a", "seed": 0, "output": "elsewhere"},
]
INVALID = [
    {"data": ...},
    {"data": "images"},
    {"backbone": "resnet18"},
    {"backbone": "acme/tiny"},
    {"backbone": {"name": "torchvision/resnet18", "wieghts": "none"}},
    {"strategy": "full-finetuning"},
    {"strategy": {"name": "full-fine-tuning", "options": {"body_rate": 2}}},
    {"strategy": {"name": "feature-extraction", "options": {"body_rate": 1}}},
    {"strategy": {"name": "acme/half", "options": {"words": "a"}}},
    {"strategy": {"options": {}}},
    {"training": {"epochs": "3"}},
    {"training": {"epochs": True}},
    {"training": {"optimizer": "adam"}},
    {"head": "conv"},
    {"epochs": 3},
]


@pytest.fixture
def validator(acme):
    return Draft202012Validator(spec_schema(acme))


def test_the_schema_is_a_schema(acme):
    Draft202012Validator.check_schema(spec_schema(acme))


@pytest.mark.parametrize("changes", VALID, ids=str)
def test_it_takes_a_valid_spec(validator, acme, raw, changes):
    spec = raw(**changes)
    check(spec, acme)
    validator.validate(spec.values)


@pytest.mark.parametrize("changes", INVALID, ids=str)
def test_it_refuses_what_checking_refuses(validator, acme, raw, changes):
    spec = raw(**changes)
    with pytest.raises(Exception, match=r"problem|plugin"):
        check(spec, acme)
    assert list(validator.iter_errors(spec.values))


def test_it_takes_every_example_of_every_plugin(validator, acme, raw):
    for entry in acme.entries():
        for example in entry.declaration.examples:
            part = {"name": entry.declaration.name, "options": example}
            if entry.kind == "backbone-family":
                part["name"] += f"/{entry.declaration.example_models[0]}"
            value = [part, entry.declaration.name] if entry.kind == "observer" else part
            validator.validate(raw(**{SECTIONS[entry.kind]: value}).values)


def test_it_refuses_observers_that_are_none(validator, raw):
    for wrong in (["cvs"], "csv", [{"name": "csv", "options": {"fiel": "x.csv"}}], [3]):
        spec = raw(observers=wrong).values
        assert list(validator.iter_errors(spec)), wrong


def test_names_that_are_installed_can_be_completed(acme):
    schema = spec_schema(acme)
    names = schema["properties"]["strategy"]["anyOf"][0]["enum"]
    assert {"acme/half", "feature-extraction"} <= set(names)
    pattern = schema["properties"]["backbone"]["anyOf"][0]["pattern"]
    assert pattern.startswith("^(tlf|timm|torchvision)/")


def test_options_that_cannot_be_described_may_be_anything(distribute, strategies, installed, raw):
    distribute("acme", strategies("acme/half", options="no_module:X"))
    validator = Draft202012Validator(spec_schema(installed()))
    spec = load_raw(raw(strategy={"name": "acme/half", "options": {"a": 1}}).values)
    validator.validate(spec.values)


def test_options_that_must_be_given_cannot_be_left_out(distribute, strategies, installed, raw):
    source = "from tlf.plugin import Options\nclass Needy(Options):\n    share: float\n"
    distribute("acme", source + strategies("acme/half", options="MODULE:Needy"))
    validator = Draft202012Validator(spec_schema(installed()))
    whole = {"name": "acme/half", "options": {"share": 1}}
    validator.validate(raw(strategy=whole).values)
    for part in ("acme/half", {"name": "acme/half"}, {"name": "acme/half", "options": {}}):
        assert list(validator.iter_errors(raw(strategy=part).values))
