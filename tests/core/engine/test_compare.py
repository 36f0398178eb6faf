"""Comparing strategies."""

import csv
import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

import tlf
from tlf.engine.compare import Watcher
from tlf.engine.listener import Listener
from tlf.engine.run import run_raw
from tlf.errors import (
    DataError,
    OutputError,
    PluginError,
    RunInterrupted,
    SpecError,
    UsageError,
)

STRATEGIES = ("feature-extraction", "full-fine-tuning", "from-scratch")


class Stopping(Watcher):
    """Stops a comparison before the run of one variant."""

    def __init__(self, variant, seed=0):
        self._at = (variant, seed)

    def started(self, planned):
        if (planned.variant, planned.seed) == self._at:
            raise KeyboardInterrupt
        return Listener()


def reports_of(found):
    return [
        json.loads((found.directory / c.directory / "report.json").read_text()) for c in found.cells
    ]


def test_every_strategy_is_run_with_every_seed_and_what_one_run_keeps_the_next_one_finds(
    small_spec, tmp_path, same_costs
):
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(torchvision.models.get_model("shufflenet_v2_x0_5").state_dict(), weights)
    backbone = {"name": "torchvision/shufflenet_v2_x0_5", "weights": str(weights)}
    found = tlf.compare({**small_spec, "backbone": backbone, "seed": 4}, STRATEGIES, seeds=2)
    assert [(found.row_of(c).name, c.seed) for c in found.cells] == [
        (strategy, seed) for seed in (4, 5) for strategy in STRATEGIES
    ]
    reports = reports_of(found)
    assert [report["seed"] for report in reports] == [4] * 3 + [5] * 3
    # Once for the features of the frozen network, and once for all that trains from pixels.
    assert [report["images_decoded"] for report in reports] == [34, 34, 0, 0, 0, 0]
    assert [cell.images_decoded for cell in found.cells] == [34, 34, 0, 0, 0, 0]
    assert {cell.images_measured for cell in found.cells} == {found.images_measured} == {10}
    assert found.images_decoded == 68


def test_what_a_run_finds_in_the_cache_changes_none_of_its_results(small_spec, same_costs):
    found, alone = (
        tlf.compare({**small_spec, "cache": {"mode": mode}}, STRATEGIES[:2], seeds=2)
        for mode in ("auto", "off")
    )
    assert found.images_decoded < alone.images_decoded
    for one, other in zip(found.cells, alone.cells, strict=True):
        for name in ("model.safetensors", "metrics.jsonl", "predictions.jsonl"):
            written = (found.directory / one.directory / name).read_bytes()
            assert written == (alone.directory / other.directory / name).read_bytes()


def test_a_run_is_charged_what_it_took_itself(small_spec):
    found = tlf.compare(small_spec, STRATEGIES[:2])
    for cell, report in zip(found.cells, reports_of(found), strict=True):
        timings = report["timings"]
        assert cell.total_seconds == timings["total_seconds"] > timings["data_seconds"] > 0


def broken_copy(photographs, folder):
    """A copy of the photographs of which one cannot be read, as the spec's section."""
    shutil.copytree(photographs, folder)
    (folder / "train" / "red" / "00.png").write_bytes(b"no image")
    options = {"train": str(folder / "train"), "validation": str(folder / "val")}
    return {"name": "image-folder", "options": options}


def test_images_that_the_first_run_cannot_read_are_an_error_and_nothing_is_kept(
    small_spec, photographs, tmp_path
):
    data = broken_copy(photographs, tmp_path / "copy")
    with pytest.raises(DataError, match="1 of 34 images cannot be read"):
        tlf.compare({**small_spec, "data": data}, STRATEGIES)
    output = Path(small_spec["output"])
    assert not output.exists() or not list(output.iterdir())


def test_images_that_cannot_be_read_any_more_leave_the_runs_before_as_they_are(
    small_spec, photographs, tmp_path
):
    data = broken_copy(photographs, tmp_path / "copy")
    broken = tmp_path / "copy" / "train" / "red" / "00.png"
    shutil.copy(photographs / "train" / "red" / "00.png", broken)

    class Breaking(Watcher):
        def started(self, planned):
            if planned.variant == 1:
                broken.write_bytes(b"no image")
            return Listener()

    with suppress(DataError):
        tlf.compare({**small_spec, "data": data}, STRATEGIES[:2], watcher=Breaking())
    (folder,) = Path(small_spec["output"]).iterdir()
    assert (folder / "feature-extraction-seed-0" / "report.json").exists()


def test_what_is_wrong_with_the_data_is_found_before_anything_is_written(small_spec):
    data = {"name": "image-folder", "options": {"folder": "nowhere"}}
    with pytest.raises(DataError, match="does not exist"):
        tlf.compare({**small_spec, "data": data}, STRATEGIES)
    assert not Path(small_spec["output"]).exists()


def test_a_strategy_of_a_plugin_that_is_not_installed_is_a_plugins_problem(small_spec):
    with pytest.raises(PluginError, match="the plugin `acme`, which is not installed"):
        tlf.compare(small_spec, ["acme/lp-ft", "full-fine-tuning"])


def test_a_comparison_that_is_stopped_between_two_runs_says_what_it_kept(small_spec):
    with pytest.raises(RunInterrupted, match="stopped after 1 of 3 runs") as caught:
        tlf.compare(small_spec, STRATEGIES, watcher=Stopping(1))
    assert "small-comparison" in caught.value.hint


def test_a_row_is_the_mean_of_its_runs(small_spec):
    found = tlf.compare(small_spec, STRATEGIES[:2], seeds=2)
    for row in found.rows:
        values = [c.metrics["accuracy"] for c in found.cells if found.row_of(c) == row]
        assert row.accuracy == row.metrics["accuracy"] == pytest.approx(sum(values) / 2)
        assert row.interval[0] <= row.accuracy <= row.interval[1]
        assert (row.seeds, row.failed) == ((0, 1), 0)
    assert found.rows[0].trainable_parameters < found.rows[1].trainable_parameters


def test_a_cell_gives_what_the_same_run_gives_alone(small_spec):
    found = tlf.compare(small_spec, STRATEGIES[1:2])
    alone = tlf.run({**small_spec, "strategy": STRATEGIES[1]})
    compared = found.directory / found.cells[0].directory
    for name in ("model.safetensors", "metrics.jsonl", "predictions.jsonl"):
        assert (compared / name).read_bytes() == (alone.directory / name).read_bytes()


def test_each_run_can_be_run_again_from_its_own_spec(small_spec):
    found = tlf.compare(small_spec, STRATEGIES[1:2])
    folder = found.directory / found.cells[0].directory
    again = tlf.run(folder / "spec.json")
    assert again.report["metrics"] == found.cells[0].metrics


def test_a_run_that_fails_is_a_row_with_its_reason(small_spec):
    # Too fast for everything that learns, and fast enough to fail; the head alone survives.
    training = {"epochs": 2, "batch_size": 8, "learning_rate": 100.0, "clip_norm": None}
    training |= {"optimizer": {"name": "sgd"}, "warmup": 0.0}
    found = tlf.compare({**small_spec, "training": training}, STRATEGIES)
    by_name = {row.name: row for row in found.rows}
    assert by_name["from-scratch"].failed == 1
    assert by_name["from-scratch"].accuracy is None
    assert by_name["feature-extraction"].failed == 0
    failed = next(cell for cell in found.cells if found.row_of(cell).name == "from-scratch")
    assert "finite numbers" in failed.error or "the loss became" in failed.error
    written = json.loads((found.directory / "comparison.json").read_text())
    assert [row["failed"] for row in written["rows"]] == [row.failed for row in found.rows]


def test_unknown_strategies_are_found_before_anything_runs(small_spec):
    with pytest.raises(SpecError) as caught:
        tlf.compare(small_spec, ["feature-extracton", "full-fine-tuning", "nonsense"])
    assert [problem.message for problem in caught.value.problems] == [
        "`feature-extracton` is no known strategy",
        "`nonsense` is no known strategy",
    ]
    assert caught.value.problems[0].hint == "did you mean `feature-extraction`?"
    assert not Path(small_spec["output"]).exists()


def test_the_specs_own_options_go_to_the_strategy_that_it_names(small_spec):
    strategy = {"name": "full-fine-tuning", "options": {"body_rate": 0.5}}
    found = tlf.compare({**small_spec, "strategy": strategy}, STRATEGIES[:2])
    plans = [
        json.loads((found.directory / c.directory / "plan.json").read_text()) for c in found.cells
    ]
    assert [plan["strategy"]["options"] for plan in plans] == [{}, {"body_rate": 0.5}]


def test_no_strategies_or_one_twice_are_refused(small_spec):
    with pytest.raises(SpecError, match="strategies"):
        tlf.compare(small_spec, [])
    with pytest.raises(SpecError, match="`full-fine-tuning` is named twice"):
        tlf.compare(small_spec, ["full-fine-tuning", "full-fine-tuning"])


def test_a_comparison_in_which_every_run_fails_is_an_error_in_every_row(small_spec):
    training = {"epochs": 1, "batch_size": 8, "learning_rate": 100.0, "clip_norm": None}
    training |= {"optimizer": {"name": "sgd"}, "warmup": 0.0}
    found = tlf.compare({**small_spec, "training": training}, ["from-scratch"])
    (row,) = found.rows
    assert (row.accuracy, row.interval, row.seconds) == (None, None, None)


def tree(folder):
    """Every file of a folder with its content and the time of its last change."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_comparison_goes_on_where_it_was_stopped_and_ends_as_if_it_had_not_been(
    small_spec, same_costs
):
    with pytest.raises(RunInterrupted):
        tlf.compare(small_spec, STRATEGIES[:2], seeds=2, watcher=Stopping(0, seed=1))
    (folder,) = Path(small_spec["output"]).iterdir()
    before = tree(folder / "feature-extraction-seed-0")
    partly = json.loads((folder / "comparison.json").read_text())
    assert [row["not_run"] for row in partly["rows"]] == [1, 1]
    found = tlf.compare(small_spec, STRATEGIES[:2], seeds=2, resume=folder)
    assert tree(folder / "feature-extraction-seed-0") == before
    assert found.directory == folder
    whole = tlf.compare(small_spec, STRATEGIES[:2], seeds=2)
    assert [row.accuracy for row in found.rows] == [row.accuracy for row in whole.rows]
    assert found.differences == whole.differences


def test_a_run_that_was_killed_goes_on_in_its_directory(small_spec, same_costs):
    class Dying(Listener):
        def batch_finished(self, epoch, images, loss):
            if epoch == 2:
                raise KeyboardInterrupt

    class Watching(Watcher):
        def started(self, planned):
            return Dying()

    spec = {**small_spec, "checkpoint": {"every_seconds": 1e-9}}
    with pytest.raises(RunInterrupted):
        tlf.compare(spec, STRATEGIES[1:2], watcher=Watching())
    (folder,) = Path(small_spec["output"]).iterdir()
    found = tlf.compare(spec, STRATEGIES[1:2], resume=folder)
    assert [cell.directory for cell in found.cells] == ["full-fine-tuning-seed-0"]
    assert reports_of(found)[0]["resumed"] == 1
    whole = tlf.compare(spec, STRATEGIES[1:2])
    one, other = (
        (it.directory / it.cells[0].directory / "model.safetensors").read_bytes()
        for it in (found, whole)
    )
    assert one == other


def test_a_run_that_cannot_go_on_begins_anew_beside_what_there_is(small_spec, same_costs):
    class Watching(Watcher):
        def started(self, planned):
            return Dying()

    class Dying(Listener):
        def batch_finished(self, epoch, images, loss):
            raise KeyboardInterrupt

    with pytest.raises(RunInterrupted):
        tlf.compare(small_spec, STRATEGIES[1:2], watcher=Watching())
    (folder,) = Path(small_spec["output"]).iterdir()
    path = folder / "full-fine-tuning-seed-0" / "environment.json"
    environment = json.loads(path.read_text())
    environment["libraries"]["tlf"] = "0.0.1"
    path.write_text(json.dumps(environment))
    found = tlf.compare(small_spec, STRATEGIES[1:2], resume=folder)
    assert [cell.directory for cell in found.cells] == ["full-fine-tuning-seed-0-2"]


def test_more_seeds_and_strategies_are_added_to_what_is_there(small_spec):
    first = tlf.compare(small_spec, STRATEGIES[:1])
    again = tlf.compare(small_spec, STRATEGIES[:2], seeds=2, resume=first.directory)
    assert again.cells[0] == first.cells[0]
    assert [len(row.seeds) for row in again.rows] == [2, 2]


def test_a_run_of_another_spec_is_not_taken_for_one_that_is_wanted(small_spec):
    first = tlf.compare(small_spec, STRATEGIES[:1])
    again = tlf.compare(
        small_spec, STRATEGIES[:1], overrides=["training.epochs=1"], resume=first.directory
    )
    assert again.cells[0].directory == "feature-extraction-seed-0-2"
    assert (first.directory / "feature-extraction-seed-0" / "report.json").is_file()


def test_only_a_comparison_can_be_gone_on_with(small_spec, tmp_path):
    with pytest.raises(OutputError, match="is no comparison"):
        tlf.compare(small_spec, STRATEGIES, resume=tmp_path)


@pytest.mark.slow
def test_runs_at_once_give_what_they_give_one_after_the_other(small_spec, same_costs):
    found = tlf.compare(small_spec, STRATEGIES[:2], seeds=2, jobs=2)
    alone = tlf.compare(small_spec, STRATEGIES[:2], seeds=2)
    for one, other in zip(found.cells, alone.cells, strict=True):
        assert (one.variant, one.seed) == (other.variant, other.seed)
        for name in ("model.safetensors", "metrics.jsonl", "predictions.jsonl"):
            written = (found.directory / one.directory / name).read_bytes()
            assert written == (alone.directory / other.directory / name).read_bytes()
    assert found.differences == alone.differences


@pytest.mark.slow
def test_what_no_run_can_read_is_an_error_with_several_at_once_too(
    small_spec, photographs, tmp_path
):
    data = broken_copy(photographs, tmp_path / "copy")
    with pytest.raises(DataError, match="1 of 34 images cannot be read"):
        tlf.compare({**small_spec, "data": data}, STRATEGIES, jobs=2)


def test_without_time_no_run_is_begun_and_that_is_said(small_spec):
    found = tlf.compare(small_spec, STRATEGIES[:2], time_limit=0.0)
    assert [(row.seeds, row.not_run) for row in found.rows] == [((), 1), ((), 1)]
    assert any("2 of 2 runs are not there yet" in note for note in found.notes)
    assert "nothing can be said" in found.advice


def test_a_grid_over_any_field_is_compared(small_spec, tmp_path):
    base = tmp_path / "spec.json"
    base.write_text(json.dumps(small_spec))
    comparison = {
        "base": "spec.json",
        "grid": {
            "strategy": ["feature-extraction", {"name": "from-scratch", "options": {}}],
            "training.learning_rate": [0.01, 0.1],
        },
        "seeds": 2,
    }
    (tmp_path / "compare.json").write_text(json.dumps(comparison))
    found = tlf.compare(tmp_path / "compare.json", seeds=1, overrides=["training.epochs=1"])
    assert [row.name for row in found.rows] == [
        "feature-extraction, learning_rate 0.01",
        "feature-extraction, learning_rate 0.1",
        "from-scratch, learning_rate 0.01",
        "from-scratch, learning_rate 0.1",
    ]
    plans = [
        json.loads((found.directory / c.directory / "plan.json").read_text()) for c in found.cells
    ]
    assert [plan["training"]["learning_rate"] for plan in plans] == [0.01, 0.1, 0.01, 0.1]
    assert {plan["training"]["epochs"] for plan in plans} == {1}
    assert (found.directory / "spec.json").read_text() == json.dumps(comparison)


def test_a_learning_curve_says_what_more_labels_bring(small_spec):
    found = tlf.compare(small_spec, STRATEGIES[:2], shots=[8, 2], seeds=2)
    assert [group.name for group in found.groups] == ["shots 8", "shots 2"]
    assert [(row.name, row.group) for row in found.rows] == [
        (name, group) for group in (0, 1) for name in STRATEGIES[:2]
    ]
    # In the order of the numbers, whatever the order they are written in.
    assert {(gain.before, gain.after) for gain in found.gains} == {("2", "8")}
    assert {(one.first, one.second, one.group) for one in found.differences} == {
        (*STRATEGIES[:2], 0),
        (*STRATEGIES[:2], 1),
    }
    for gain in found.gains:
        few, many = (
            next(row for row in found.rows if (row.name, row.group) == (gain.row, group))
            for group in (1, 0)
        )
        assert gain.difference == pytest.approx(many.accuracy - few.accuracy)
    assert "ore labels" in found.advice
    assert "With shots 8: " in found.advice


def test_results_are_written_as_json_as_a_table_and_as_pages(small_spec, with_pages):
    found = tlf.compare(small_spec, STRATEGIES[:2], seeds=2)
    page = (found.directory / "report.html").read_text()
    for cell in found.cells:
        assert f'href="{cell.directory}/report.html"' in page
        assert (found.directory / cell.directory / "report.html").is_file()
    written = json.loads((found.directory / "comparison.json").read_text())
    assert written == json.loads(json.dumps(found.as_json()))
    with (found.directory / "comparison.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["row"], line["strategy"], line["seed"]) for line in lines] == [
        (name, name, str(seed)) for seed in (0, 1) for name in STRATEGIES[:2]
    ]
    assert [float(line["accuracy"]) for line in lines] == [
        cell.metrics["accuracy"] for cell in found.cells
    ]


def test_what_a_process_has_held_before_a_run_is_not_charged_to_it(small_spec):
    held = torch.ones(100_000_000)
    assert held.sum() > 0
    del held
    found = tlf.compare(small_spec, STRATEGIES[:1])
    before = Path("/proc/self/status")
    if not before.exists():
        pytest.skip("the count can only be begun anew on Linux")
    current = int(before.read_text().partition("VmRSS:")[2].split()[0]) * 1024
    assert found.rows[0].peak_memory_bytes < current + 200e6


def test_a_run_whose_files_are_damaged_is_carried_out_again(small_spec):
    first = tlf.compare(small_spec, STRATEGIES[:2])
    before = (first.directory / "comparison.json").read_bytes()
    (first.directory / "feature-extraction-seed-0" / "predictions.jsonl").unlink()
    (first.directory / "full-fine-tuning-seed-0" / "report.json").write_text("{")
    again = tlf.compare(small_spec, STRATEGIES[:2], resume=first.directory)
    assert [cell.directory for cell in again.cells] == [
        "feature-extraction-seed-0-2",
        "full-fine-tuning-seed-0-2",
    ]
    assert (first.directory / "comparison.json").read_bytes() != before
    assert [row.accuracy for row in again.rows] == [row.accuracy for row in first.rows]


def test_what_is_no_error_of_ours_is_a_row_too(small_spec, monkeypatch):
    def broken(raw, *, output_directory, listener):
        if "full-fine-tuning" in str(output_directory):
            raise RuntimeError("CUDA error: device-side assert")
        return run_raw(raw, output_directory=output_directory, listener=listener)

    monkeypatch.setattr("tlf.engine.comparing.cells.run_raw", broken)
    found = tlf.compare(small_spec, STRATEGIES[:2])
    assert [row.failed for row in found.rows] == [0, 1]
    assert "device-side assert" in found.cells[1].error


def test_a_row_has_an_accuracy_whatever_metrics_are_asked_for(small_spec):
    spec = {**small_spec, "evaluation": {"metrics": ["macro-f1"]}}
    found = tlf.compare(spec, STRATEGIES[:1])
    assert found.cells[0].metrics["accuracy"] == found.rows[0].accuracy
    assert found.cells[0].metrics.keys() == {"accuracy", "macro-f1", "loss"}


def test_data_that_one_row_cannot_read_fails_that_row_alone(small_spec, photographs, tmp_path):
    comparison = {
        "base": small_spec,
        "grid": {"data": [small_spec["data"], broken_copy(photographs, tmp_path / "copy")]},
    }
    found = tlf.compare(comparison)
    assert [row.failed for row in found.rows] == [0, 1]
    assert "1 of 34 images cannot be read" in found.cells[1].error
    assert [group.images_measured for group in found.groups] == [10, 0]


def test_the_base_need_not_be_valid_by_itself(small_spec):
    base = {key: value for key, value in small_spec.items() if key != "backbone"}
    grid = {"backbone": [small_spec["backbone"]]}
    found = tlf.compare({"base": base, "grid": grid})
    assert found.rows[0].accuracy is not None


def test_all_models_that_do_not_exist_are_named_at_once(small_spec):
    grid = {"backbone": ["torchvision/resnt18", "torchvision/mobilnet_v2"]}
    with pytest.raises(SpecError) as caught:
        tlf.compare({"base": small_spec, "grid": grid})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    "numbers", [{"seeds": 0}, {"jobs": 0}, {"shots": [5, -1]}, {"seeds": True}]
)
def test_numbers_that_make_no_sense_are_refused_before_anything_is_written(small_spec, numbers):
    with pytest.raises(UsageError, match="must be a whole number, at least 1"):
        tlf.compare(small_spec, STRATEGIES, **numbers)
    assert not Path(small_spec["output"]).exists()


def test_what_was_changed_on_the_way_is_in_the_files(small_spec):
    found = tlf.compare(small_spec, STRATEGIES[:1], overrides=["training.epochs=1"])
    written = json.loads((found.directory / "spec.json").read_text())
    assert written["training"]["epochs"] == 1
    assert json.loads((found.directory / "comparison.json").read_text())["base"] == written


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("predictions.jsonl", ""),
        ("predictions.jsonl", '{"id": "a", "label": "red", "predicted": "red"}\n'),
        ("report.json", "[" * 100_000),
        ("report.json", '{"metrics": [], "steps": {"a": 1}, "timings": {}}'),
    ],
    ids=["no predictions", "other predictions", "nested without end", "something else"],
)
def test_a_run_whose_files_contradict_each_other_is_carried_out_again(small_spec, name, content):
    first = tlf.compare(small_spec, STRATEGIES[:1])
    (first.directory / "feature-extraction-seed-0" / name).write_text(content)
    again = tlf.compare(small_spec, STRATEGIES[:1], resume=first.directory)
    assert again.cells[0].directory == "feature-extraction-seed-0-2"
    assert [row.accuracy for row in again.rows] == [row.accuracy for row in first.rows]
