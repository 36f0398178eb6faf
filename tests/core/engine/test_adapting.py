"""A strategy that adds to the network, trains that, and merges it at the end."""

import dataclasses
import json

import pytest
import torch

import tlf
from tests.small import Dies
from tlf.engine.files import read_tensors, write_tensors
from tlf.engine.listener import Listener
from tlf.engine.network import build_network
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.prepare import prepare
from tlf.engine.record import read_record
from tlf.engine.run import run_raw
from tlf.errors import PluginError, RunError, RunInterrupted, SpecError
from tlf.plugin import Choice, Combine, PlanError, Solve, Train
from tlf.registry import check
from tlf.spec import load_raw
from tlf.testing.toy_adapters import ThinConvolution, ToyAdapters, put
from tlf.testing.toy_run import toy_registry, toy_spec
from tlf.testing.toys import ToyNetwork, ToyStrategy, write_images
from tlf_builtin.feature_extraction.strategy import FeatureExtraction

METHODS = ("prepare", "steps", "finish")
SAME = ("metrics.jsonl", "model.safetensors", "model.json", "predictions.jsonl")
ADD, MERGE = ToyAdapters.prepare, ToyAdapters.finish


@pytest.fixture
def spec(tmp_path, same_costs):
    """A spec of a network of a thousand parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        start = {key: value.clone() for key, value in ToyNetwork().state_dict().items()}
    write_images(tmp_path)
    write_tensors(tmp_path / "weights.safetensors", start)
    training = {"epochs": 2, "batch_size": 4, "views": "none", "learning_rate": 0.05}
    return toy_spec(
        tmp_path,
        strategy="toy/adapters",
        training=training,
        output="runs",
    )


@pytest.fixture
def runs(tmp_path):
    """Return a function that carries a spec out in a directory, or goes on there."""

    def runs(spec, name="run", listener=None):
        folder = tmp_path / name
        there = read_record(folder) if folder.exists() else None
        raw = load_raw(spec) if there is None else there.raw
        return run_raw(
            dataclasses.replace(raw, folder=tmp_path),
            output_directory=None if there else folder,
            record=there,
            listener=listener or Listener(),
            registry=toy_registry(),
        )

    return runs


@pytest.fixture
def planned(tmp_path):
    """Return a function that plans a spec."""

    def planned(spec):
        registry = toy_registry()
        return prepare(check(load_raw(spec), registry), tmp_path, registry)

    return planned


@pytest.fixture
def adds(monkeypatch):
    """Let the toy do some things in another way."""

    def adds(**methods):
        for name, method in methods.items():
            monkeypatch.setattr(ToyAdapters, name, method)

    return adds


def late(self, backbone, outline):
    """Add to the last stage only."""
    put(backbone.module, "blocks.2.1", ThinConvolution(backbone.module.blocks[2][1]))


def mixing(self, outline, budget):
    """Two trainings from one start, drawn back to it, and their average; then a head of its own."""
    names = (*(g for g in outline.groups if g.endswith(":adapter")), outline.head)
    return [
        Train(name="first", trainable=names, epochs=1),
        Train(name="one", trainable=names, epochs=1, pull=1.0),
        Train(name="two", trainable=names, epochs=budget.epochs - 2, begin="first"),
        Combine(name="both", snapshots=("one", "two")),
        Solve(name="neighbours", method="knn"),
    ]


def test_the_plan_has_what_is_added_in_groups_of_its_own(spec, planned):
    plain = planned({**spec, "strategy": "toy/two-steps"}).plan
    plan = planned(spec).plan
    (step,) = plan.steps
    stages = ("blocks.0", "blocks.1", "blocks.2")
    assert step.trainable == (*(f"{name}:adapter" for name in stages), "head:weight", "head:bias")
    # Two channels: 3 by 3 for each that goes in, 1 by 1 for each that comes out.
    assert [stage["parameters"].pop("adapter") for stage in plan.stages[:-1]] == [66, 120, 120]
    assert step.trainable_parameters == 306 + 14
    for one, other in zip(plan.stages[:-1], plain.stages[:-1], strict=True):
        assert one.pop("flops") > other.pop("flops")
    assert plan.stages == plain.stages


def test_the_network_that_is_left_is_the_library_s_and_differs_where_something_was_added(
    spec, runs, tmp_path
):
    run = runs(spec)
    start = read_tensors(tmp_path / "weights.safetensors")
    end = read_tensors(run.directory / "model.safetensors")
    own = {name.removeprefix("backbone."): t for name, t in end.items() if "backbone." in name}
    assert own.keys() == {name for name in start if not name.startswith("fc.")}
    modules = ["blocks.0.0", "blocks.1.0", "blocks.2.1"]
    assert {n for n, t in own.items() if not t.equal(start[n])} == {f"{m}.weight" for m in modules}
    added = run.report["adapters"]
    assert 0 < added.pop("difference_merged") < 1e-5
    assert added == {"parameters": 306, "options": {}, "modules": modules}


@pytest.mark.slow
def test_one_seed_begins_with_the_same_numbers_and_another_one_with_others(spec, runs):
    first, same, other = (
        (runs({**spec, "seed": seed}, name).directory / "model.safetensors").read_bytes()
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == same != other


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(ToyAdapters.steps, id="one step"),
        pytest.param(mixing, id="many steps", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_died_goes_on_to_the_same_bytes(spec, runs, adds, tmp_path, steps):
    adds(steps=steps)
    spec["training"]["epochs"] = 3
    spec["checkpoint"] = {"every_seconds": 1e-9}
    whole = runs(spec, "whole")
    with pytest.raises(RunInterrupted):
        runs(spec, "died", Dies(7))
    again = runs(spec, "died")
    assert again.report["resumed"] == 1
    assert again.report["adapters"] == whole.report["adapters"]
    for name in SAME:
        assert (tmp_path / "died" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_lies_before_the_first_addition_is_computed_once(spec, runs, adds, tmp_path):
    adds(prepare=late)
    spec["cache"] = {"directory": str(tmp_path / "cache")}
    kept = runs(spec, "kept")
    runs({**spec, "cache": {"mode": "off"}}, "off")
    (step,) = kept.report["steps"]
    assert (step["cache"]["level"], step["cache"]["cut"]) == ("features", 2)
    assert step["cache"]["rows_computed"] + step["cache"]["rows_found"] > 0
    for name in SAME:
        assert (tmp_path / "kept" / name).read_bytes() == (tmp_path / "off" / name).read_bytes()


@pytest.mark.slow
def test_the_best_weights_are_merged_where_these_are_kept(spec, runs):
    spec["training"] |= {"keep": "best", "patience": 1, "epochs": 4}
    report = runs(spec).report
    assert report["weights_from"] != "last epoch"
    assert report["adapters"]["difference_merged"] < 1e-5


@pytest.mark.slow
def test_a_strategy_that_is_picked_by_another_adds_too(spec, runs, monkeypatch):
    choice = Choice(strategy="toy/adapters", why="the network is large")
    monkeypatch.setattr(ToyStrategy, "steps", lambda self, outline, budget: choice)
    report = runs({**spec, "strategy": "toy/two-steps"}).report
    assert report["strategy"]["chosen"]["name"] == "toy/adapters"
    assert report["adapters"]["parameters"] == 306


def test_options_that_cannot_be_carried_out_are_told_with_their_place(spec, planned, adds):
    def refuse(self, backbone, outline):
        other = PlanError("`b` is no layer", option="targets[1]")
        raise PlanError("`a` is no layer", option="targets[0]", hint="try `c`", others=[other])

    adds(prepare=refuse)
    with pytest.raises(SpecError) as caught:
        planned(spec)
    assert [problem.path for problem in caught.value.problems] == [
        "strategy.options.targets[0]",
        "strategy.options.targets[1]",
    ]


def forget(self, backbone):
    """Throw away what was learned."""
    for path, module in list(backbone.module.named_modules()):
        if isinstance(module, ThinConvolution):
            put(backbone.module, path, module.inner)


def touch(self, backbone):
    MERGE(self, backbone)
    backbone.module.blocks[1][1].bias += 1e-7


@pytest.mark.parametrize(
    ("finish", "words"),
    [
        (forget, r"features of 4 validation images that differ by .* up to 1e-03 is rounding"),
        (touch, r"`finish` changes `blocks.1.1.bias`, to whose module `prepare` has added nothing"),
        (lambda self, backbone: None, "`finish` must leave the network as the library builds it"),
    ],
    ids=["forgets", "touches", "leaves"],
)
def test_a_merge_that_is_none_fails_the_run_and_names_the_plugin(spec, runs, adds, finish, words):
    adds(finish=finish)
    with pytest.raises(PluginError, match=f"`toy/adapters`.*{words}"):
        runs(spec)


def test_a_frozen_weight_that_moves_below_what_was_added_fails_the_run(spec, runs, adds):
    @torch.no_grad()
    def move(module, _):
        if module.training and not module.inner.weight.is_meta:
            module.inner.weight.mul_(1.01)

    def add(self, backbone, outline):
        ADD(self, backbone, outline)
        backbone.module.blocks[1][0].register_forward_pre_hook(move)

    adds(prepare=add)
    with pytest.raises(
        RunError, match=r"frozen tensors changed .*`backbone.blocks.1.0.inner.weigh"
    ):
        runs(spec)


@pytest.mark.slow
def test_what_is_added_and_never_gets_a_gradient_fails_the_run(spec, runs, adds):
    class Detached(ThinConvolution):
        def forward(self, x):
            return self.inner(x) + self.up(self.down(x)).detach()

    def add(self, backbone, outline):
        put(backbone.module, "blocks.1.0", Detached(backbone.module.blocks[1][0]))

    adds(prepare=add)
    with pytest.raises(RunError, match=r"never had a gradient: `backbone.blocks.1.0.down.weight`"):
        runs(spec)


def test_numbers_that_are_none_are_traced_to_where_they_began(spec, runs):
    spec["training"] |= {"learning_rate": 100.0, "optimizer": {"name": "sgd"}, "epochs": 40}
    with pytest.raises(RunError, match="where it began") as caught:
        runs(spec)
    assert "blocks." in caught.value.message or "head" in caught.value.message


def test_what_is_added_decays_as_weights_do(spec, planned):
    job = planned(spec)
    (step,) = job.plan.steps
    model = build_network(job)
    optimizer = StepOptimizer(model, step, job.spec.training, "float32").torch_optimizer
    decays = {
        group: one["weight_decay"]
        for group, one in zip(step.trainable, optimizer.param_groups, strict=True)
    }
    assert decays["blocks.1:adapter"] == decays["head:weight"] == job.spec.training.weight_decay > 0
    assert decays["head:bias"] == 0


@pytest.mark.slow
def test_who_predicts_needs_to_know_nothing_of_what_was_added(small_spec, photographs, monkeypatch):
    """On a real network, by the names and the files of which alone it is loaded."""
    with monkeypatch.context() as patched:
        for method in METHODS:
            patched.setattr(FeatureExtraction, method, getattr(ToyAdapters, method))
        run = tlf.run({**small_spec, "backbone": "tlf/resnet20", "strategy": "feature-extraction"})
    assert len(run.report["adapters"]["modules"]) > 15
    with (run.directory / "predictions.jsonl").open() as file:
        lines = [json.loads(line) for line in file]
    files = [photographs / "val" / "/".join(line["id"].split("/")[-2:]) for line in lines]
    found = tlf.load(run.directory).predict(files)
    for one, line in zip(found, lines, strict=True):
        assert one.label == line["predicted"]
