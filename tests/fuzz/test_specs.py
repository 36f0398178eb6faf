"""Specs as people, editors and scripts may write them: planned, or refused in words."""

import pytest

import tlf
from tests.fuzz.mutations import mutated_json, mutated_json_file


@pytest.fixture
def rich_spec(make_spec, tmp_path):
    return make_spec(
        tmp_path / "runs",
        head={"name": "linear", "options": {"dropout": 0.1}},
        strategy={"name": "gradual-unfreezing", "options": {}},
        cache={"mode": "off", "max_gb": 1.0},
        checkpoint={"every_seconds": 60.0},
        observers=["csv"],
    )


def test_a_spec_file_is_planned_or_refused_in_words(fuzz, in_words, rich_spec, tmp_path):
    path = tmp_path / "spec.json"

    def check(content):
        path.write_bytes(content)
        return in_words(tlf.plan, path)

    fuzz(40, mutated_json_file(rich_spec), check)


def test_a_spec_from_python_is_planned_or_refused_in_words(fuzz, in_words, rich_spec):
    fuzz(
        80,
        mutated_json(rich_spec),
        lambda spec: in_words(tlf.plan, spec) if isinstance(spec, dict) else "no spec",
    )


def test_a_comparisons_file_is_planned_or_refused_in_words(
    fuzz, in_words, rich_spec, tmp_path, monkeypatch
):
    monkeypatch.setattr("tlf.engine.compare._Comparer.carry_on", lambda *_: None)
    monkeypatch.setattr("tlf.engine.compare.RunDirectory.publish", lambda self: self.path)
    path = tmp_path / "comparison.json"
    comparison = {
        "base": rich_spec,
        "grid": {
            "strategy": ["knn", {"name": "probe", "options": {}}],
            "training.epochs": [1, 2],
            "data.options.shots": [1, 2],
        },
        "seeds": 2,
    }

    def check(content):
        path.write_bytes(content)
        return in_words(tlf.compare, path)

    fuzz(15, mutated_json_file(comparison), check)
