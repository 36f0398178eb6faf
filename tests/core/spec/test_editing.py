"""One number of a JSON text is changed, and no other character."""

import json

import pytest

from tlf.spec.editing import set_number

PATH = ("training", "learning_rate")


def test_a_number_that_is_there_is_replaced_and_nothing_else_touched():
    text = '{\r\n\t"a" : [1,2 ],"training": {"epochs":  3 , "learning_rate"\t:  2E-3 },"b":"\\u00e4"}\n'
    assert set_number(text, PATH, 0.01) == text.replace("2E-3", "0.01")


def test_the_same_name_elsewhere_is_left_alone():
    text = '{"x": {"training": {"learning_rate": 1}}, "training": %s, "learning_rate": 1}'
    inner = '{"learning_rate": %s}'
    assert set_number(text % (inner % "1"), PATH, 0.5) == text % (inner % "0.5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{\n  "training": {\n    "epochs": 3\n  }\n}\n',
            '{\n  "training": {\n    "epochs": 3,\n    "learning_rate": 0.01\n  }\n}\n',
        ),
        ('{"training": {}}', '{"training": {"learning_rate": 0.01}}'),
        ('{"training": {"epochs": 3}}', '{"training": {"epochs": 3, "learning_rate": 0.01}}'),
        ('{"training":{"epochs":3}}', '{"training":{"epochs":3,"learning_rate":0.01}}'),
        (
            '{ "training": { "a:}": "{\\"", "b": [{}] } }',
            '{ "training": { "a:}": "{\\"", "b": [{}], "learning_rate": 0.01 } }',
        ),
        (
            '{\n  "data": "x",\n  "backbone": "y"\n}',
            '{\n  "data": "x",\n  "backbone": "y",\n  "training": {"learning_rate": 0.01}\n}',
        ),
        ("{}", '{"training": {"learning_rate": 0.01}}'),
    ],
)
def test_a_number_that_is_missing_is_added_as_its_neighbours_are_written(text, expected):
    assert set_number(text, PATH, 0.01) == expected
    assert json.loads(expected)["training"]["learning_rate"] == 0.01


def test_a_byte_order_mark_stays():
    assert set_number('\ufeff{"training": {}}', PATH, 1.8e-05) == (
        '\ufeff{"training": {"learning_rate": 1.8e-05}}'
    )


@pytest.mark.parametrize("text", ["[]", '{"training": 3}', "nothing"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError, match="no object"):
        set_number(text, PATH, 0.01)
