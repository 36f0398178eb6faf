"""Plans of several steps: what one of them trains, another one freezes."""

import os
import shutil

import pytest

from tlf.planning import Costs, StepCache

from .runs import ALL, LONG_AGO, TRAIN

OFF = {"mode": "off"}
STRATEGIES = [
    "acme/head-twice",
    "acme/top-then-head",
    "acme/head-top-head",
    "acme/middle-only",
    "acme/bottom-then-top",
    "acme/solved",
    "acme/solved-then-thawed",
]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("views", "precision", "cuts"),
    [
        (1, "float32", (3, 5)),
        pytest.param("every-epoch", "float32", (1, 2, 3, 4, 5), marks=pytest.mark.slow),
        pytest.param(3, "bfloat16", (1, 2, 3, 4, 5), marks=pytest.mark.slow),
    ],
)
def test_whatever_the_steps_train_they_compute_the_same_bytes_at_every_cut(
    run, force, strategy, views, precision, cuts
):
    spec = {
        "strategy": strategy,
        "training": {"views": views},
        "device": {"options": {"precision": precision}},
    }
    plain = run(**spec, cache=OFF)
    for cut in cuts:
        force(cut)
        for state in ("cold", "warm"):
            cached = run(**spec)
            assert cached.results == plain.results, f"cut {cut}, {state}"
            assert cached.warnings == []
            if state == "warm":
                assert [step["rows_computed"] for step in cached.steps] == [0] * len(cached.steps)


def test_what_a_step_has_trained_is_not_taken_for_what_it_was(run, force, open_cache):
    """The features of the network as it was are stored, under every key that the last step asks for."""
    force()
    run(training={"views": "none"})
    spec = {"strategy": "acme/top-then-head", "training": {"views": "none"}}
    trained = run(**spec)
    assert trained.results == run(**spec, cache=OFF).results
    first, last = trained.steps
    assert (first["cut"], last["cut"]) == (4, 5)
    # In its first epoch, the last step finds nothing of its own; in the second, everything.
    assert (last["rows_computed"], last["rows_found"]) == (ALL, ALL)
    states = [
        entry.description["backbone"]["state"]
        for entry in open_cache().entries()
        if entry.description["what"].startswith("features of acme/tiny, pooled")
    ]
    assert len(states) == len(set(states)) == 2


def test_a_step_that_freezes_again_what_has_been_trained_meanwhile_has_rows_of_its_own(run, force):
    force()
    spec = {"strategy": "acme/head-top-head", "training": {"views": "none"}}
    found = run(**spec)
    assert [step["cut"] for step in found.steps] == [5, 4, 5]
    assert [step["rows_computed"] for step in found.steps] == [0, 0, ALL]
    assert found.results == run(**spec, cache=OFF).results
    again = run(**spec)
    assert [step["rows_computed"] for step in again.steps] == [0, 0, 0]
    # Another seed gives another head, and with it another last stage.
    other = run(**spec, seed=1)
    assert [step["rows_computed"] for step in other.steps] == [0, 0, ALL]
    assert other.results == run(**spec, seed=1, cache=OFF).results


@pytest.mark.parametrize("strategy", ["feature-extraction", "gradual-unfreezing"])
@pytest.mark.parametrize("views", [3, "every-epoch"])
def test_views_that_are_made_only_when_their_epoch_comes_are_the_same(
    run, force, monkeypatch, strategy, views
):
    spec = {"strategy": strategy, "training": {"views": views}}
    plain = run(**spec, cache=OFF)
    for module in ("tlf.planning.caching", "tlf.engine.wanted"):
        monkeypatch.setattr(f"{module}.AHEAD_VIEWS", 1)
    for cut in (2, 5):
        force(cut)
        cold, warm = run(**spec), run(**spec)
        assert cold.results == warm.results == plain.results
        assert sum(step["rows_computed"] for step in cold.steps) >= TRAIN
        assert [step["rows_computed"] for step in warm.steps] == [0] * len(warm.steps)


@pytest.mark.parametrize("strategy", ["feature-extraction", "gradual-unfreezing"])
def test_a_split_that_is_read_once_at_the_end_is_the_same(run, force, pictures, strategy):
    folder = {"folder": str(pictures / "train"), "validation": None, "train": None}
    spec = {"strategy": strategy, "data": {"options": {**folder, "test_fraction": 0.3}}}
    plain = run(**spec, cache=OFF)
    assert plain.report["metrics_on"] == "test"
    for cut in (3, 5):
        force(cut)
        for state in ("cold", "warm"):
            cached = run(**spec)
            assert cached.results == plain.results, state
            assert cached.report["metrics"] == plain.report["metrics"]


@pytest.mark.parametrize("strategy", ["feature-extraction", "gradual-unfreezing"])
def test_a_run_that_leaves_out_an_unreadable_image_is_the_same(
    run, force, pictures, tmp_path, strategy
):
    folder = shutil.copytree(pictures, tmp_path / "pictures")
    for name in ("train/red/03.bmp", "val/blue/00.bmp"):
        (folder / name).write_bytes(b"no image")
        os.utime(folder / name, (LONG_AGO, LONG_AGO))
    options = {"train": str(folder / "train"), "validation": str(folder / "val")}
    spec = {
        "strategy": strategy,
        "data": {"options": options, "unreadable": "skip-and-report"},
    }
    plain = run(**spec, cache=OFF)
    force(3)
    for state in ("cold", "warm"):
        cached = run(**spec)
        assert cached.results == plain.results, state
        assert cached.warnings == plain.warnings
        assert cached.report["skipped"] == plain.report["skipped"] != []


@pytest.mark.parametrize("cut", [2, 3, 4])
def test_a_run_goes_on_at_the_cut_that_another_has_filled(run, monkeypatch, cut):
    """Measured seconds are noise where two cuts are about as good."""
    costs = Costs(1e-3, 1e-4, (1e-2, 1e-4, 1e-4, 1e-4, 1e-4), (100,) * 5, 100, measured=True)
    monkeypatch.setattr("tlf.engine.boundary.measured_costs", lambda *_: costs)
    spec = {"strategy": "acme/middle-only", "training": {"views": 1}}
    with monkeypatch.context() as patched:
        patched.setattr(
            "tlf.engine.boundary.decide_cache",
            lambda usages, *_, **__: [StepCache("features", min(cut, usages[0].frozen))],
        )
        (first,) = run(**spec).steps
    (second,) = run(**spec).steps
    assert second["cut"] == first["cut"]
    assert second["rows_computed"] == 0
