"""Comparing strategies."""

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

import tlf
from tlf.engine.listener import Listener
from tlf.errors import DataError, PluginError, RunInterrupted, SpecError

STRATEGIES = ("feature-extraction", "full-fine-tuning", "from-scratch")


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
    assert [(c.strategy, c.seed) for c in found.cells] == [
        (strategy, seed) for strategy in STRATEGIES for seed in (4, 5)
    ]
    reports = reports_of(found)
    assert [report["seed"] for report in reports] == [4, 5] * 3
    # Once for the features of the frozen network, and once for all that trains from pixels.
    assert [report["images_decoded"] for report in reports] == [34, 0, 34, 0, 0, 0]
    assert [cell.images_decoded for cell in found.cells] == [34, 0, 34, 0, 0, 0]
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

    def listen(strategy, seed):
        if strategy == "full-fine-tuning":
            broken.write_bytes(b"no image")
        return Listener()

    with suppress(DataError):
        tlf.compare({**small_spec, "data": data}, STRATEGIES[:2], listener=listen)
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
    def listen(strategy, seed):
        if strategy == "full-fine-tuning":
            raise KeyboardInterrupt
        return Listener()

    with pytest.raises(RunInterrupted, match="stopped after 1 of 3 runs") as caught:
        tlf.compare(small_spec, STRATEGIES, listener=listen)
    assert "small-comparison" in caught.value.hint


def test_a_row_is_the_mean_of_its_runs(small_spec):
    found = tlf.compare(small_spec, STRATEGIES[:2], seeds=2)
    for row in found.rows:
        values = [c.metrics["accuracy"] for c in found.cells if c.strategy == row.strategy]
        assert row.accuracy == pytest.approx(sum(values) / 2)
        assert row.accuracy_interval[0] <= row.accuracy <= row.accuracy_interval[1]
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
    by_name = {row.strategy: row for row in found.rows}
    assert by_name["from-scratch"].failed == 1
    assert by_name["from-scratch"].accuracy is None
    assert by_name["feature-extraction"].failed == 0
    failed = next(cell for cell in found.cells if cell.strategy == "from-scratch")
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
    assert (row.accuracy, row.accuracy_interval, row.seconds) == (None, None, None)
