import pytest

from tlf.errors import SpecError
from tlf.spec import load_raw


def after(spec, *overrides):
    return load_raw(spec, overrides).values


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("null", None),
        ("true", True),
        ('"x"', "x"),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ("full-fine-tuning", "full-fine-tuning"),
        ("a=b", "a=b"),
        ("[1", "[1"),
        ("NaN", "NaN"),
        ("", ""),
        ("with space", "with space"),
    ],
)
def test_a_value_is_json_if_it_can_be_read_as_such_else_text(written, value):
    assert after({}, f"training.x={written}") == {"training": {"x": value}}


def test_a_number_for_a_field_of_text_is_text():
    assert after({}, "name=2024", "seed=2024", "output=7") == {
        "name": "2024",
        "seed": 2024,
        "output": "7",
    }


def test_objects_on_the_way_are_made():
    assert after({}, "training.optimizer.momentum=0.5") == {
        "training": {"optimizer": {"name": "adamw", "momentum": 0.5}}
    }


def test_a_part_that_is_written_as_its_name_is_opened():
    assert after({"strategy": "x"}, "strategy.options.a=1") == {
        "strategy": {"name": "x", "options": {"a": 1}}
    }


def test_a_part_that_is_left_out_is_opened_with_its_default():
    assert after({}, "device.options.precision=float32") == {
        "device": {"name": "auto", "options": {"precision": "float32"}}
    }


def test_another_name_leaves_the_options_of_the_first_behind():
    spec = {"strategy": {"name": "x", "options": {"a": 1}}}
    assert after(spec, "strategy=y") == {"strategy": "y"}
    assert after(spec, "strategy=x") == spec


def test_a_place_in_a_list_can_be_set():
    spec = {"evaluation": {"metrics": ["a", "b"]}, "x": [{"y": 1}]}
    assert after(spec, "evaluation.metrics.1=c", "x.0.y=2") == {
        "evaluation": {"metrics": ["a", "c"]},
        "x": [{"y": 2}],
    }


def test_the_last_one_stands():
    assert after({}, "seed=1", "seed=2") == {"seed": 2}


@pytest.mark.parametrize("text", ["epochs", "=3", "training..epochs=3", ".=1", ""])
def test_what_is_no_override_is_shown_as_it_was_written(text):
    with pytest.raises(SpecError) as caught:
        load_raw({}, [text])
    (problem,) = caught.value.problems
    assert f"`{text}`" in problem.message
    assert "training.epochs=3" in problem.hint


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("name.x=1", "`name` is `run`"),
        ("seed.x.y=1", "`seed` is `3`"),
        ("list.7=1", "`7` is no place in a list of 1"),
        ("list.x=1", "`x` is no place in a list of 1"),
    ],
)
def test_an_override_without_a_place_says_what_is_there(override, words):
    with pytest.raises(SpecError) as caught:
        load_raw({"name": "run", "seed": 3, "list": [1]}, [override])
    (problem,) = caught.value.problems
    assert problem.path == override.partition("=")[0]
    assert words in problem.message
