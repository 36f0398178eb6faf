import json

import pytest


def test_a_valid_spec_is_ok(tlf, spec_file):
    assert tlf("spec", "validate", spec_file) == (0, "ok\n", "")
    code, out, err = tlf("spec", "validate", spec_file, "--json")
    assert (code, json.loads(out), err) == (0, {"valid": True, "problems": []}, "")


def test_a_field_can_be_changed_before_it_is_checked(tlf, spec_file):
    code, out, err = tlf("spec", "validate", spec_file, "--set", "training.epochs=0")
    assert (code, out) == (2, "")
    assert "training.epochs" in err


def test_a_misspelt_field_is_shown_with_the_nearest(tlf, small_spec, tmp_path):
    small_spec["trainin"] = {}
    (tmp_path / "spec.json").write_text(json.dumps(small_spec))
    code, out, err = tlf("spec", "validate", tmp_path / "spec.json")
    assert (code, out) == (2, "")
    assert "trainin" in err
    assert "did you mean `training`?" in err


def test_json_lists_the_problems(tlf, spec_file):
    code, out, err = tlf("spec", "validate", spec_file, "--json", "--set", "training.epochs=0")
    assert code == 2
    found = json.loads(out)
    assert found["valid"] is False
    assert [problem["path"] for problem in found["problems"]] == ["training.epochs"]
    assert err.startswith("error: ")


def test_an_option_that_the_plugin_does_not_know_is_a_problem(tlf, spec_file):
    code, _, err = tlf(
        "spec",
        "validate",
        spec_file,
        "--set",
        'strategy={"name":"full-fine-tuning","options":{"bodyrate":1}}',
    )
    assert code == 2
    assert "bodyrate" in err


def test_a_misspelt_strategy_is_shown_with_the_nearest(tlf, spec_file):
    code, out, err = tlf("spec", "validate", spec_file, "--set", "strategy=full-finetuning")
    assert (code, out) == (2, "")
    assert "did you mean `full-fine-tuning`?" in err


def test_a_plugin_that_is_not_there_gives_exit_code_3(tlf, spec_file):
    code, out, err = tlf("spec", "validate", spec_file, "--set", "strategy=acme/half")
    assert (code, out) == (3, "")
    assert "`acme`" in err


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_a_file_that_is_no_spec_is_said_so(tlf, tmp_path, text):
    if text is not None:
        (tmp_path / "spec.json").write_text(text)
    code, out, err = tlf("spec", "validate", tmp_path / "spec.json")
    assert (code, out) == (2, "")
    assert "spec.json" in err


def test_the_schema_is_json_and_knows_the_installed_plugins(tlf):
    code, out, err = tlf("spec", "schema")
    assert (code, err) == (0, "")
    schema = json.loads(out)
    assert set(schema["required"]) == {"data", "backbone"}
    assert "body_rate" in out
