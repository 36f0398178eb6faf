"""What is wrong with a spec, in words that a user can act on."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tlf.spec import load_raw, validate, validate_values

MINIMAL = {"data": "image-folder", "backbone": "torchvision/resnet18"}


def problems_of(**changes):
    spec, problems = validate(load_raw({**MINIMAL, **changes}))
    assert (spec is None) == bool(problems)
    return {problem.path: problem for problem in problems}


def test_the_least_that_a_spec_may_hold_is_valid():
    spec, problems = validate(load_raw(MINIMAL))
    assert problems == []
    assert (spec.data.name, spec.strategy.name) == ("image-folder", "feature-extraction")


@pytest.mark.parametrize(
    ("section", "values", "path", "message", "hint"),
    [
        (
            "training",
            {"epochs": 0},
            "training.epochs",
            "must be at least 1, not `0`",
            None,
        ),
        (
            "training",
            {"epochs": "many"},
            "training.epochs",
            "must be a whole number, not `many`",
            None,
        ),
        ("training", {"epochs": "3"}, "training.epochs", 'a whole number, not `"3"`', None),
        ("training", {"epochs": True}, "training.epochs", "a whole number, not `true`", None),
        ("training", {"epochs": 2.5}, "training.epochs", "a whole number, not `2.5`", None),
        ("training", {"learning_rate": 0}, "training.learning_rate", "must be above 0", None),
        ("training", {"warmup": 0.7}, "training.warmup", "must be at most 0.5, not `0.7`", None),
        ("training", {"clip_norm": "x"}, "training.clip_norm", "a number, not `x`", None),
        (
            "training",
            {"schedule": "cosin"},
            "training.schedule",
            "must be `cosine`, `linear`, `constant` or `slanted-triangular`, not `cosin`",
            "did you mean `cosine`?",
        ),
        (
            "training",
            {"views": 0},
            "training.views",
            "must be `none`, `every-epoch` or at least 1, not `0`",
            None,
        ),
        (
            "training",
            {"views": "every-epoc"},
            "training.views",
            "must be `none`, `every-epoch` or a whole number, not `every-epoc`",
            "did you mean `every-epoch`?",
        ),
        (
            "training",
            {"epoch": 3},
            "training.epoch",
            "`epoch` is no known key",
            "did you mean `epochs`?",
        ),
        (
            "training",
            {"momentum": 0.5},
            "training.momentum",
            "no known key",
            "did you mean `training.optimizer.momentum`?",
        ),
        ("training", {"seed": 1}, "training.seed", "no known key", "stands outside of this"),
        ("training", [], "training", "must be an object, not `[]`", None),
        (
            "training",
            {"optimizer": "adam"},
            "training.optimizer.name",
            "must be `adamw` or `sgd`",
            "did you mean `adamw`?",
        ),
        ("epochs", 3, "epochs", "no known key", "did you mean `training.epochs`?"),
        ("evaluation", {"metrics": []}, "evaluation.metrics", "a list of 1 or more", None),
        ("evaluation", {"metrics": "accuracy"}, "evaluation.metrics", "must be a list", None),
        ("evaluation", {"selection": 0}, "evaluation.selection", "above 0, not `0`", None),
        ("evaluation", {"selection": 1.0}, "evaluation.selection", "below 1, not `1.0`", None),
        ("evaluation", {"selection": -0.2}, "evaluation.selection", "must be above 0", None),
        ("evaluation", {"selection": None}, "evaluation.selection", "must be a number", None),
        (
            "evaluation",
            {"metrics": ["accuracy", "acuracy"]},
            "evaluation.metrics.1",
            "not `acuracy`",
            "did you mean `accuracy`?",
        ),
        ("strategy", 5, "strategy", "must be an object, not `5`", None),
        ("strategy", "", "strategy.name", 'at least one character long, not `""`', None),
        ("strategy", {"options": {}}, "strategy.name", "is missing", "what the plugin calls it"),
        ("strategy", {"name": "x", "options": []}, "strategy.options", "must be an object", None),
        ("head", {"options": {"dropout": 1}}, "head.options.dropout", "must be below 1", None),
        ("name", "a b", "name", "not `a b`", None),
        (
            "name",
            "x\ny",
            "name",
            r"not `\"x\\ny\"`".replace("\\\\", "\\").replace('\\"', '"'),
            None,
        ),
        ("seed", None, "seed", "must be a whole number, not `null`", None),
    ],
)
def test_a_problem_has_its_path_its_value_and_the_nearest(section, values, path, message, hint):
    (problem,) = problems_of(**{section: values}).values()
    assert problem.path == path
    assert message in problem.message
    assert (hint or "") in (problem.hint or "")
    assert (problem.hint is None) == (hint is None)
    assert not problem.message.endswith(".")


def test_what_is_missing_is_named_with_what_it_says():
    _, problems = validate(load_raw({}))
    assert [(problem.path, problem.message) for problem in problems] == [
        ("data", "is missing"),
        ("backbone", "is missing"),
    ]
    assert problems[0].hint == "`data` says: where the images come from"


def test_all_problems_are_found_at_once():
    found = problems_of(seed=-1, training={"epochs": 0, "epoch": 1}, output=3)
    assert set(found) == {"seed", "training.epochs", "training.epoch", "output"}


def test_a_value_that_is_very_long_is_shortened():
    (problem,) = problems_of(training={"epochs": "x" * 1000}).values()
    assert len(problem.message) < 120


class Cat(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["cat"]
    lives: Annotated[int, Field(le=9)] = 9


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["dog"]
    tricks: tuple[str, ...] = ()


class Home(BaseModel):
    model_config = ConfigDict(extra="forbid")
    pet: Cat | Dog | None = None
    pets: list[Dog] = []
    size: tuple[float, float] | None = None
    rooms: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2)] = (1, 2)
    price: Annotated[float, Field(le=9)] | tuple[float, ...] = 0.0
    again: "Home | None" = None

    @model_validator(mode="before")
    @classmethod
    def _size_alone(cls, value):
        return {"size": value} if isinstance(value, list) else value

    @model_validator(mode="after")
    def _fits(self):
        if self.size == (0, 0):
            raise ValueError("nothing fits into `size` 0")
        return self


def home(values, prefix="x"):
    made, problems = validate_values(Home, values, prefix)
    assert (made is None) == bool(problems)
    return made, [(problem.path, problem.message) for problem in problems]


def test_of_a_choice_of_models_the_one_that_was_meant_speaks():
    assert home({"pet": {"kind": "cat", "lives": 10}})[1] == [
        ("x.pet.lives", "must be at most 9, not `10`")
    ]
    assert home({"pet": {"kind": "dog", "trick": []}})[1] == [
        ("x.pet.trick", "`trick` is no known key")
    ]
    assert home({"pet": 3})[1] == [("x.pet", "must be an object, not `3`")]


def test_a_value_of_one_of_the_types_that_is_out_of_bounds_hears_of_no_other_type():
    assert home({"price": 10})[1] == [("x.price", "must be at most 9, not `10`")]
    assert home({"price": "x"})[1] == [("x.price", "must be a number or a list, not `x`")]
    assert home({"price": [1, "x"]})[1] == [("x.price.1", "must be a number, not `x`")]


def test_a_problem_in_a_list_has_its_index():
    assert home({"pets": [{"kind": "dog"}, {"kind": "cow"}]})[1] == [
        ("x.pets.1.kind", "must be `dog`, not `cow`")
    ]


def test_a_list_is_not_called_short_because_an_item_of_it_is_wrong():
    assert home({"rooms": [0, 1]})[1] == [("x.rooms.0", "must be at least 1, not `0`")]
    assert home({"rooms": [1]})[1] == [("x.rooms", "must be a list of at least 2, not `[1]`")]
    assert [path for path, _ in home({"rooms": [0]})[1]] == ["x.rooms.0", "x.rooms"]


def test_what_a_validator_of_a_model_says_has_the_path_of_the_model():
    assert home({"size": [0, 0]})[1] == [("x", "nothing fits into `size` 0")]
    assert home({"again": {"size": [0, 0]}})[1] == [("x.again", "nothing fits into `size` 0")]


def test_a_list_is_a_tuple_also_behind_a_validator():
    made, _ = home({"size": [1, 2], "pet": {"kind": "dog", "tricks": ["sit"]}})
    assert made.size == (1.0, 2.0)
    assert made.pet.tricks == ("sit",)


def test_text_is_no_number_also_behind_a_validator():
    assert home({"size": ["1", 2]})[1] == [("x.size.0", 'must be a number, not `"1"`')]
    assert [path for path, _ in home({"size": [1]})[1]] == ["x.size.1"]
