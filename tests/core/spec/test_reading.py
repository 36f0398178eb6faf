import io
import json
from pathlib import Path

import pytest

from tlf.errors import SpecError
from tlf.spec import load_raw

SPEC = {"data": "x", "backbone": "torchvision/resnet18"}


def problem_of(*arguments):
    with pytest.raises(SpecError) as caught:
        load_raw(*arguments)
    assert caught.value.exit_code == 2
    (problem,) = caught.value.problems
    return problem


@pytest.fixture
def write(tmp_path):
    def write(text, name="spec.json"):
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def test_a_file_is_kept_word_for_word_and_its_folder_is_where_paths_start(write):
    text = '{ "data" : "x",\r\n\t"seed": 1e0 }\n\n'
    path = write(text)
    for spec in (path, str(path)):
        raw = load_raw(spec)
        assert raw.text == text
        assert raw.values == {"data": "x", "seed": 1.0}
        assert (raw.folder, raw.source) == (path.parent, str(path))


def test_with_overrides_the_text_is_the_spec_that_runs(write):
    raw = load_raw(write(json.dumps(SPEC)), ["seed=3"])
    assert json.loads(raw.text) == raw.values == {**SPEC, "seed": 3}
    assert raw.text.endswith("}\n")


def test_a_mapping_starts_at_the_current_folder_and_is_written_as_json():
    raw = load_raw({**SPEC, "output": Path("runs"), "evaluation": {"metrics": ("accuracy",)}})
    assert json.loads(raw.text) == {
        **SPEC,
        "output": "runs",
        "evaluation": {"metrics": ["accuracy"]},
    }
    assert (raw.folder.resolve(), raw.source) == (Path.cwd(), None)


def test_a_mapping_is_left_as_it_is():
    spec = {"data": {"name": "x", "options": {"a": [1]}}}
    load_raw(spec, ["data.options.a.0=2", "seed=1"])
    assert spec == {"data": {"name": "x", "options": {"a": [1]}}}


def test_a_dash_reads_standard_input(monkeypatch):
    text = json.dumps(SPEC)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    raw = load_raw("-")
    assert (raw.text, raw.source, raw.values) == (text, "stdin", SPEC)
    assert raw.folder.resolve() == Path.cwd()


def test_a_byte_order_mark_is_passed_over(write):
    assert load_raw(write(b"\xef\xbb\xbf" + json.dumps(SPEC).encode())).values == SPEC


def test_a_file_that_is_missing_is_said_with_the_nearest(write, tmp_path):
    write("{}")
    problem = problem_of(tmp_path / "spce.json")
    assert problem.message == "there is no such file"
    assert problem.hint == f"did you mean `{tmp_path / 'spec.json'}`?"
    assert "no folder" in problem_of(tmp_path / "nowhere" / "spec.json").hint


def test_a_folder_is_no_spec_and_its_spec_is_offered(write, tmp_path):
    assert "folder" in problem_of(tmp_path).message
    write("{}")
    assert problem_of(tmp_path).hint == f"did you mean `{tmp_path / 'spec.json'}`?"


@pytest.mark.parametrize("spec", ["a\0b", "x" * 5000])
def test_what_can_be_no_path_is_no_bug_of_ours(spec):
    assert "it cannot be read" in problem_of(spec).message


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (b'{"data": "\xff"}', "it is no text in UTF-8: byte 11", "save it as UTF-8"),
        ("", "line 1, column 1", "the file is empty"),
        ('{\n "a": 1,\n}', "`}`", "comma"),
        ('{"a": [1, 2,]}', '`{"a": [1, 2,]}`', "comma"),
        ('{"a": 1 // one\n}', "line 1, column 9", "no comments"),
        ("{'a': 1}", "line 1, column 2", "double quotes"),
        ('{"a": True}', "column 7", "`true`"),
        ("[]", "must be an object, not a list", "begin"),
        ("3", "must be an object, not `3`", "begin"),
    ],
)
def test_what_is_no_json_object_is_shown_with_its_place(write, text, message, hint):
    problem = problem_of(write(text))
    assert message in problem.message
    assert hint in problem.hint


def test_a_line_that_is_very_long_is_shown_around_the_mistake(write):
    problem = problem_of(write('{"a": "' + "x" * 500 + '" oops}'))
    assert "oops" in problem.message
    assert len(problem.message) < 160


def test_a_key_that_stands_twice_is_an_error_with_its_path(write):
    text = '{"seed": 1, "training": {"epochs": 1, "epochs": 2}, "x": [{"a": 1, "a": 1}], "seed": 1}'
    with pytest.raises(SpecError) as caught:
        load_raw(write(text))
    paths = {problem.path for problem in caught.value.problems}
    assert paths == {"seed", "training.epochs", "x.0.a"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_a_number_that_is_none_is_an_error_with_its_path(write, number):
    problem = problem_of(write(f'{{"training": {{"warmup": {number}}}}}'))
    assert problem.path == "training.warmup"
    assert len(problem.message) < 100


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, "[" * 100_000])
def test_what_is_nested_too_deeply_is_an_error(write, text):
    problem = problem_of(write(f'{{"a": {text}}}'))
    assert "nested too deeply" in problem.message or "no JSON" in problem.message


def test_half_of_a_character_is_an_error_that_can_be_printed(write):
    problem = problem_of(write('{"name": "\\ud800"}'))
    assert problem.path == "name"
    problem.message.encode()


@pytest.mark.parametrize("value", [{1}, object(), float("nan"), b"x", 1j])
def test_a_value_that_json_cannot_hold_is_an_error_with_its_path(value):
    assert problem_of({"data": {"options": {"x": [0, value]}}}).path == "data.options.x.1"


def test_a_key_that_is_no_text_is_an_error():
    assert "`1`" in problem_of({"data": {1: 2}}).message or "1" in problem_of({1: 2}).message


def test_all_that_is_wrong_with_the_file_and_the_overrides_is_said_at_once(write):
    with pytest.raises(SpecError) as caught:
        load_raw(write('{"seed": NaN}'), ["epochs", "=3"])
    assert len(caught.value.problems) == 3
    assert caught.value.source.endswith("spec.json")


@pytest.mark.parametrize(
    "number",
    [10**301, 10**400, -(10**5000), float("inf"), float("nan")],
    ids=["large", "larger", "too long to write", "infinite", "no number"],
)
def test_a_number_that_is_too_large_for_anything_is_a_problem(number):
    with pytest.raises(SpecError, match=r"training\.epochs: `.+` is no number that can be worked"):
        load_raw({"training": {"epochs": number}})
