"""What a comparison varies."""

import json
from pathlib import Path

import pytest

from tlf.engine.comparing.grid import Axis, make_grid, text_of
from tlf.errors import SpecError
from tlf.registry import load_registry
from tlf.spec import load_raw

BASE = {
    "data": {"name": "image-folder", "options": {"folder": "photos"}},
    "backbone": "torchvision/resnet18",
    "strategy": {"name": "full-fine-tuning", "options": {"body_rate": 0.5}},
    "seed": 7,
}


def grid_of(*axes, seeds=1, base=BASE):
    made = [Axis(path, tuple(values)) for path, values in axes]
    return make_grid(load_raw(base), made, seeds, load_registry())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("from-scratch", "from-scratch"),
        ({"name": "l2-sp", "options": {"alpha": 0.1}}, "l2-sp (alpha=0.1)"),
        ({"name": "l2-sp"}, "l2-sp"),
        (
            {"name": "torchvision/resnet18", "weights": "none"},
            "torchvision/resnet18 (weights=none)",
        ),
        (0.01, "0.01"),
        (True, "true"),
        (None, "null"),
        ({"name": "l2-sp", "options": None}, "l2-sp"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_a_value_is_told_in_a_few_words(value, text):
    assert text_of(value) == text


def test_rows_are_named_by_what_is_varied_and_groups_by_what_the_user_has():
    grid = grid_of(
        ("data.options.shots", [5, 10]),
        ("strategy", ["feature-extraction", "full-fine-tuning"]),
        ("training.views", [1, "none"]),
    )
    assert grid.groups == ("shots 5", "shots 10")
    assert [(one.name, one.group) for one in grid.variants] == [
        (f"{strategy}, {views}", group)
        for group in (0, 1)
        for strategy in ("feature-extraction", "full-fine-tuning")
        for views in ("views 1", "none")
    ]
    assert grid.of_group(1) == [4, 5, 6, 7]


def test_where_only_the_data_is_varied_a_row_is_named_by_its_strategy():
    grid = grid_of(("data.options.shots", [5, 10]))
    assert [one.name for one in grid.variants] == ["full-fine-tuning"] * 2


def test_options_stay_with_the_strategy_that_the_base_names():
    grid = grid_of(("strategy", ["feature-extraction", "full-fine-tuning"]))
    assert [one.raw.values["strategy"] for one in grid.variants] == [
        "feature-extraction",
        {"name": "full-fine-tuning", "options": {"body_rate": 0.5}},
    ]


def test_a_field_that_the_base_leaves_out_can_be_varied():
    grid = grid_of(("training.optimizer.name", ["adamw", "sgd"]))
    found = [one.raw.values["training"]["optimizer"] for one in grid.variants]
    assert found == [{"name": "adamw"}, {"name": "sgd"}]
    assert "training" not in BASE


def test_runs_go_round_seed_by_seed_so_that_all_rows_have_as_many():
    grid = grid_of(("strategy", ["feature-extraction", "from-scratch"]), seeds=2)
    cells = list(grid.cells())
    assert [(cell.variant, cell.seed) for cell in cells] == [(0, 7), (1, 7), (0, 8), (1, 8)]
    assert [cell.raw.values["seed"] for cell in cells] == [7, 7, 8, 8]
    assert json.loads(cells[2].raw.text) == cells[2].raw.values
    assert cells[0].directory == "feature-extraction-seed-7"
    assert cells[0].raw.folder == Path()


def test_directories_have_names_that_every_file_system_takes_and_no_two_the_same():
    strategies = [
        {"name": "full-fine-tuning", "options": {"body_rate": rate}} for rate in (0.1, 0.2)
    ]
    grid = grid_of(
        ("strategy", strategies), ("backbone", ["torchvision/resnet18", "timm/vit_tiny"])
    )
    names = [cell.directory for cell in grid.cells()]
    assert len(set(names)) == 4
    assert names[0] == "full-fine-tuning-body_rate-0.1-torchvision-resnet18-seed-7"
    long = [{"name": "full-fine-tuning", "options": {"body_rate": r}} for r in (0.1, 0.10000001)]
    many = ("evaluation.metrics", [["accuracy", "balanced-accuracy", "macro-f1"] * 3])
    names = [cell.directory for cell in grid_of(("strategy", long), many).cells()]
    assert len(set(names)) == 2


def problems_of(*axes):
    with pytest.raises(SpecError) as caught:
        grid_of(*axes)
    return [(one.path, one.message) for one in caught.value.problems]


def test_what_is_wrong_in_any_combination_is_told_at_once_and_once():
    assert problems_of(
        ("strategy", ["feature-extracton", "full-fine-tuning", "nonsense"]),
        ("training.learning_rate", [0.1, -1]),
    ) == [
        ("strategy", "`feature-extracton` is no known strategy"),
        ("training.learning_rate", "must be above 0, not `-1`"),
        ("strategy", "`nonsense` is no known strategy"),
    ]


@pytest.mark.parametrize(
    ("axes", "path", "message"),
    [
        ([("strategy", ["probe", "probe"])], "strategy", "`probe` is named twice"),
        ([("strategy", ["probe", {"name": "probe"}])], "strategy", "`probe` is named twice"),
        (
            [("strategy", [{"name": "probe", "options": 1}])],
            "strategy.options",
            "must be an object",
        ),
        ([("strategy", ["probe"]), ("strategy", ["knn"])], "strategy", "is varied twice"),
        ([("seed", [1, 2])], "seed", "seeds are no field to vary"),
        (
            [("strategy", ["probe"]), ("strategy.options.c", [1])],
            "strategy",
            "is varied both as a whole and in `strategy.options.c`",
        ),
        ([("training.epoch", [1])], "training.epoch", "`epoch` is no known key"),
        ([("backbone.name.first", [1])], "backbone.name.first", "cannot be set"),
    ],
)
def test_an_axis_that_makes_no_sense_is_refused(axes, path, message):
    found = problems_of(*axes)
    assert [one for one in found if one[0] == path and one[1].startswith(message)], found
