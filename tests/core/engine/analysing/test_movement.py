"""How far stages have moved, beside norms taken here."""

import json

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file

from tlf.engine.analysing.movement import NotToBeHadError, movement
from tlf.engine.analysing.recorded import read_run

NAME = "shufflenet_v2_x0_5"


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(7)
    state = torchvision.models.get_model(NAME).state_dict()
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    return path


@pytest.fixture
def moved(run, weights):
    """Run a strategy from weights in a file, and say how far its stages have moved."""

    def moved(strategy, epochs=1):
        folder = run(
            strategy=strategy,
            backbone={"name": f"torchvision/{NAME}", "weights": str(weights)},
            training={"epochs": epochs, "batch_size": 8},
        )
        return folder, movement(read_run(folder))

    return moved


def by_hand(folder, weights):
    """The relative change of each stage, of parameters one after the other as the network has them."""
    before, after = load_file(weights), load_file(folder / "model.safetensors")
    network = torchvision.models.get_model(NAME)
    names = iter([name for name, _ in network.named_parameters() if not name.startswith("fc.")])
    changes = {}
    for stage in json.loads((folder / "plan.json").read_text())["stages"][:-1]:
        wanted, mine = sum(stage["parameters"].values()), []
        while sum(before[name].numel() for name in mine) < wanted:
            mine.append(next(names))
        start = torch.cat([before[name].double().flatten() for name in mine])
        end = torch.cat([after[f"backbone.{name}"].double().flatten() for name in mine])
        assert len(start) == wanted
        changes[stage["name"]] = float((end - start).norm() / start.norm()), wanted
    assert list(names) == []
    return changes


def test_every_stage_has_moved_as_far_as_the_files_say(moved, weights):
    folder, found = moved("full-fine-tuning")
    expected = by_hand(folder, weights)
    assert [one["stage"] for one in found] == list(expected)
    (step,) = json.loads((folder / "plan.json").read_text())["steps"]
    for one in found:
        change, count = expected[one["stage"]]
        assert one["parameters"] == count
        assert one["relative_change"] == pytest.approx(change)
        assert one["relative_change"] > 0
        assert one["trainable_in"] == [step["name"]]


def test_what_is_frozen_has_not_moved_at_all(moved):
    _, found = moved("feature-extraction")
    assert all(one["relative_change"] == 0.0 for one in found)
    assert all(one["trainable_in"] == [] for one in found)


def test_a_step_that_picks_names_only_what_it_has_picked(moved):
    folder, found = moved({"name": "surgical", "options": {"count": 1}}, epochs=2)
    report = json.loads((folder / "report.json").read_text())
    picked = {
        name for step in report["steps"] for name in step.get("picked", {"stages": ()})["stages"]
    }
    learned = {one["stage"] for one in found if one["trainable_in"]}
    assert learned == picked
    for one in found:
        assert (one["relative_change"] > 0) == (one["stage"] in picked)


def test_weights_that_are_gone_are_not_guessed(moved, weights, monkeypatch):
    folder, _ = moved("feature-extraction")
    weights.rename(weights.with_name("elsewhere.safetensors"))
    with pytest.raises(NotToBeHadError, match=r"not at `.*weights\.safetensors` any more"):
        movement(read_run(folder))


def test_weights_that_have_changed_are_not_compared(moved, weights):
    folder, _ = moved("feature-extraction")
    state = load_file(weights)
    save_file({name: tensor + 1 for name, tensor in state.items()}, weights)
    with pytest.raises(NotToBeHadError, match="are not those of the run any more"):
        movement(read_run(folder))


def test_the_librarys_own_weights_are_found_where_the_library_keeps_them(digits):
    found = movement(read_run(digits))
    assert all(one["relative_change"] == 0.0 for one in found)


def test_the_librarys_own_weights_are_looked_for_if_they_are_somewhere_else_now(digits):
    run = read_run(digits)
    then = {**run.environment["weights"], "file": "/no/such/file"}
    moved = type(run)(**{**vars(run), "environment": {**run.environment, "weights": then}})
    assert movement(moved) == movement(run)
