"""Which strategy makes the plan, where one picks another."""

import re

import pytest

import tlf
from tlf.engine.strategies import choose_strategy
from tlf.errors import PluginError
from tlf.plugin import HEAD, Budget, Choice, Outline, StageOutline, Train
from tlf.registry import load_registry
from tlf.spec.model import PartSpec
from tlf_builtin.feature_extraction.strategy import FeatureExtraction
from tlf_builtin.full_fine_tuning.strategy import FullFineTuning

OUTLINE = Outline(
    (
        StageOutline("stem", {"weight": 3, "norm": 2}, 1, (2,)),
        StageOutline("top", {"weight": 5, "bias": 1}, 1, (2,)),
        StageOutline(HEAD, {"weight": 2, "bias": 1}, 1, (2,)),
    ),
    8,
)
WHY = "so few images are soon learnt by heart"


@pytest.fixture
def pick(monkeypatch):
    """Let `full-fine-tuning` pick something."""

    def pick(strategy, why=WHY, **options):
        choice = Choice(strategy=strategy, options=options, why=why)
        monkeypatch.setattr(FullFineTuning, "steps", lambda self, outline, budget: choice)

    return pick


def chosen(**options):
    part = PartSpec(name="full-fine-tuning", options=options)
    return choose_strategy(load_registry(), part, OUTLINE, Budget(3, 20), backbone=None)


def test_without_a_choice_the_strategy_that_is_named_makes_the_plan():
    found = chosen(body_rate=0.5)
    (step,) = found.steps
    assert (found.name, found.choice, found.as_json()) == ("full-fine-tuning", None, {})
    assert step.rates["top:weight"] == 0.5


def test_the_strategy_that_is_picked_makes_the_plan_with_the_options_it_is_given(pick):
    pick("bias-tuning", body_rate=0.25)
    found = chosen()
    (step,) = found.steps
    assert found.name == found.made.entry.declaration.name == "bias-tuning"
    assert isinstance(step, Train)
    assert "top:bias" in step.trainable
    assert "top:weight" not in step.trainable
    assert step.rates["top:bias"] == 0.25
    assert found.as_json() == {
        "chosen": {"name": "bias-tuning", "options": {"body_rate": 0.25}},
        "why": WHY,
    }


def test_the_strategy_that_is_picked_is_given_the_network_and_the_budget(pick, monkeypatch):
    given = []

    def steps(self, outline, budget):
        given.append((outline, budget))
        return (Train(name="s", trainable=(HEAD,), epochs=3),)

    monkeypatch.setattr(FeatureExtraction, "steps", steps)
    pick("feature-extraction")
    chosen()
    assert given == [(OUTLINE, Budget(3, 20))]


@pytest.mark.parametrize(
    ("name", "more", "sentence"),
    [
        ("feature-extracton", {}, "it picks `feature-extracton`, which cannot be carried out: "),
        ("", {}, "it picks ``, which cannot be carried out: "),
        (
            "feature-extraction",
            {"depth": 3},
            "it picks `feature-extraction`, which cannot be carried out: ",
        ),
        (
            "surgical",
            {"stages": ["layer9"]},
            "it picks `surgical`, which cannot be carried out: ",
        ),
        (
            "full-fine-tuning",
            {},
            "it picks `full-fine-tuning`, which picks in its turn",
        ),
        (
            "feature-extraction",
            {"why": " \n"},
            "it picks `feature-extraction` and does not say why",
        ),
        (
            "feature-extraction",
            {"why": None},
            "it picks `feature-extraction` and does not say why",
        ),
    ],
)
def test_a_choice_that_cannot_be_carried_out_is_the_fault_of_who_made_it(
    pick, name, more, sentence
):
    pick(name, **more)
    about = "the strategy `full-fine-tuning` of the plugin `full-fine-tuning` "
    with pytest.raises(PluginError, match=re.escape(about) + r".* is broken: ") as caught:
        chosen()
    assert sentence in caught.value.message


@pytest.mark.parametrize("choice", [{"options": ["fast"]}, {"strategy": None}])
def test_a_choice_of_wrong_types_is_the_fault_of_who_made_it(monkeypatch, choice):
    made = Choice(**{"strategy": "feature-extraction", "why": WHY, **choice})
    monkeypatch.setattr(FullFineTuning, "steps", lambda self, outline, budget: made)
    with pytest.raises(PluginError, match=r"strategy `full-fine-tuning` of .* is broken: it picks"):
        chosen()


def test_a_plan_says_what_was_picked_and_why_and_who_is_asked_of_it(make_job, pick):
    pick("feature-extraction")
    job = make_job(strategy="full-fine-tuning")
    assert job.plan.strategy == {
        "name": "full-fine-tuning",
        "options": {},
        "chosen": {"name": "feature-extraction", "options": {}},
        "why": WHY,
    }
    assert {name for kind, name in job.parts if kind == "strategy"} == {
        "full-fine-tuning",
        "feature-extraction",
    }
    assert {step.trainable for step in job.plan.steps} == {("head:weight", "head:bias")}


def test_a_strategy_that_is_picked_decides_about_the_weights_as_if_it_were_named(make_job, pick):
    pick("from-scratch")
    job = make_job(
        strategy="full-fine-tuning",
        backbone={"name": "torchvision/shufflenet_v2_x0_5", "weights": "default"},
    )
    assert job.plan.weights == "none"


def test_a_run_reports_what_was_picked_and_why(small_spec, pick):
    pick("feature-extraction")
    finished = tlf.run({**small_spec, "strategy": "full-fine-tuning"})
    assert finished.report["strategy"]["chosen"]["name"] == "feature-extraction"
    assert finished.report["strategy"]["why"] == WHY
    parts = (finished.directory / "environment.json").read_text()
    assert '"full-fine-tuning"' in parts
    assert '"feature-extraction"' in parts
