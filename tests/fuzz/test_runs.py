"""Files of runs and comparisons that were changed or damaged: used, or refused in words."""

import json
import shutil
from contextlib import contextmanager

import pytest
from hypothesis import strategies as st

import tlf
from tests.fuzz.mutations import mutated_bytes, mutated_json_file, mutated_json_lines
from tlf.engine.comparing.cells import failed_cell
from tlf.engine.pages import write_page, write_report


@pytest.fixture
def own_run(finished, tmp_path):
    """A finished run that a test may change."""
    return shutil.copytree(finished, tmp_path / "own run")


@pytest.fixture
def image(photographs):
    return photographs / "val" / "red" / "03.png"


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_changed_description_of_a_network_gives_probabilities_or_an_error_in_words(
    fuzz, in_words, own_run, image
):
    path = own_run / "model.json"

    def predict():
        (found,) = tlf.load(own_run, warn=lambda _: None).predict([image])
        assert sum(found.probabilities.values()) == pytest.approx(1.0)

    def check(content):
        path.write_bytes(content)
        return in_words(predict)

    fuzz(20, mutated_json_file(json.loads(path.read_text())), check)


def test_a_changed_environment_is_no_reason_not_to_predict_but_in_words(
    fuzz, in_words, own_run, image
):
    path = own_run / "environment.json"

    def check(content):
        path.write_bytes(content)
        return in_words(lambda: tlf.load(own_run, warn=lambda _: None)) and "tried"

    fuzz(8, mutated_json_file(json.loads(path.read_text())), check)


def test_damaged_tensors_are_refused_in_words_or_are_tensors(fuzz, in_words, own_run, image):
    path = own_run / "model.safetensors"
    whole = path.read_bytes()

    def check(content):
        path.write_bytes(content)
        return in_words(lambda: tlf.load(own_run).predict([image]))

    fuzz(10, mutated_bytes(whole), check)


def changed_files(folder, *names):
    """A file of a run or a comparison, and what it holds instead."""

    def changed(name):
        path = folder / name
        if name.endswith(".jsonl"):
            return st.tuples(st.just(path), mutated_json_lines(lines_of(path)))
        return st.tuples(st.just(path), mutated_json_file(json.loads(path.read_text())))

    # Made now: what is checked may write to the files.
    made = {name: changed(name) for name in names}
    return st.sampled_from(names).flatmap(made.__getitem__)


@contextmanager
def put(path, content):
    """Give a file another content for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    yield
    path.write_bytes(before)


FILES = (
    "report.json",
    "plan.json",
    "environment.json",
    "splits.json",
    "spec.json",
    "metrics.jsonl",
)


def test_a_page_of_changed_files_is_made_or_refused_in_words(fuzz, in_words, own_run):
    def check(example):
        with put(*example):
            return in_words(write_page, own_run) and "tried"

    fuzz(12, changed_files(own_run, *FILES), check)


@pytest.mark.slow
def test_a_report_of_changed_files_is_written_or_refused_in_words(
    fuzz, in_words, own_run, monkeypatch
):
    # Covering parts of images takes long, and reads no file.
    monkeypatch.setattr("tlf.engine.analysis.draw", lambda *_: {})

    def check(example):
        with put(*example):
            return in_words(write_report, own_run, warn=lambda _: None) and "tried"

    fuzz(10, changed_files(own_run, *FILES, "predictions.jsonl"), check)


def test_a_comparison_goes_on_whatever_became_of_its_files(
    fuzz, in_words, compared, tmp_path, monkeypatch
):
    spec, folder = compared
    own = shutil.copytree(folder, tmp_path / "own comparison")
    run = min(path.name for path in own.iterdir() if path.is_dir())
    carried_out = []

    def carry_out(planned, *_, **options):
        carried_out.extend(planned)
        yield from (failed_cell(one, "not in this test") for one in planned)

    monkeypatch.setattr("tlf.engine.compare.carry_out", carry_out)
    monkeypatch.setattr("tlf.engine.compare.add_page", lambda *_: None)

    def check(example):
        carried_out.clear()
        with put(*example):
            assert in_words(tlf.compare, spec, ["knn", "probe"], resume=own) == "fine"
        return "carried out again" if carried_out else "taken as it is"

    names = ("report.json", "predictions.jsonl", "spec.json")
    fuzz(15, changed_files(own, *(f"{run}/{name}" for name in names), "comparison.json"), check)


def test_a_page_of_a_changed_comparison_is_made_or_refused_in_words(
    fuzz, in_words, compared, tmp_path
):
    _, folder = compared
    own = shutil.copytree(folder, tmp_path / "own comparison")
    path = own / "comparison.json"

    def check(content):
        path.write_bytes(content)
        return in_words(write_page, own)

    fuzz(6, mutated_json_file(json.loads(path.read_text())), check)
