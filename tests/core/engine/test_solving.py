"""Steps that solve for the head, in whole runs of a made-up strategy."""

import copy
import importlib
import json

import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression

import tlf
from tlf.data import load_views
from tlf.engine.listener import Listener
from tlf.registry import load_registry

SOURCE = """
from tlf.plugin import Declaration, Options, Solve, Strategy, Train, hookimpl


class Made(Strategy[Options]):
    def steps(self, outline, budget):
        raise NotImplementedError


@hookimpl
def tlf_strategies():
    return [Declaration(name="acme/made", summary="x", target="MODULE:Made")]
"""


@pytest.fixture
def run(small_spec, distribute):
    """Run the small spec with the steps that are given as source."""

    module = distribute("acme", SOURCE)
    load_registry.cache_clear()

    def run(steps, listener=None, **changes):
        from tlf import plugin

        strategy = importlib.import_module(module).Made
        strategy.steps = lambda self, outline, budget: eval(steps, vars(plugin))
        spec = {**copy.deepcopy(small_spec), "strategy": "acme/made", **changes}
        return tlf.run(spec, listener=listener)

    yield run
    load_registry.cache_clear()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def features_of(make_job, job_changes=None):
    """Return the features and labels of the training images."""
    from tlf.data import load_dataset, to_input
    from tlf.engine.network import build_network, inference_of

    job = make_job(**(job_changes or {}))
    with torch.random.fork_rng():
        model = build_network(job)
    loaded = load_dataset(job.dataset, job.transform, unreadable="error", workers=0)
    split = loaded.splits["train"]
    views = load_views(split, job.transform, range(len(split)), [None] * len(split), 0)
    inference = inference_of(job, model)
    inputs = to_input(views, job.transform.mean, job.transform.std, job.device)
    return inference.run(inputs, 0, inference.stages).double(), split.labels


NONE = {"training": {"epochs": 2, "batch_size": 8, "views": "none"}}


def test_a_solved_head_is_the_logistic_regression_of_the_features(run, make_job):
    finished = run("(Solve(name='probe', grid=(0.1,)),)", **NONE)
    features, labels = features_of(make_job, NONE)
    deviation = features.std(0, correction=0)
    scale = torch.where(deviation > 0, 1 / deviation, 0.0)
    standard = (features - features.mean(0)) * scale
    # Two classes have one vector of weights there, and two opposite ones of half the size here.
    reference = LogisticRegression(C=2 / (0.1 * len(labels)), tol=1e-10, max_iter=10_000)
    reference.fit(standard.numpy(), labels.numpy())
    state = load_file(finished.directory / "model.safetensors")
    weight, bias = state["head.linear.weight"].double(), state["head.linear.bias"].double()
    logits = features @ weight.T + bias
    found = (logits[:, 1] - logits[:, 0]).numpy()
    assert found == pytest.approx(reference.decision_function(standard.numpy()), abs=2e-3)


def test_a_plan_that_only_solves_takes_no_epochs_and_reports_what_was_chosen(run):
    finished = run("(Solve(name='probe'),)", **NONE)
    (step,) = finished.report["steps"]
    assert step["epochs"] == 0
    solved = step["solved"]
    assert solved["method"] == "lbfgs"
    assert solved["chosen_on"] == "images held out of train"
    assert solved["chosen"] in [candidate["strength"] for candidate in solved["candidates"]]
    (line,) = lines(finished.directory / "metrics.jsonl")
    assert line["solved"] == solved
    assert line["validation"] == finished.metrics


def test_every_view_goes_through_the_backbone_once_however_many_strengths_are_tried(run):
    report = run("(Solve(name='probe'),)", training={"views": 3, "epochs": 2}).report
    # Two of three views of 24 images, evaluation's view of those that are held out, and of the 10.
    assert report["images_through_backbone"] == 24 * 2 + 4 + 10


def test_a_solved_head_may_be_trained_on(run):
    steps = "(Solve(name='probe', grid=(0.1,)), Train(name='on', trainable=('head',), epochs=2))"
    alone = run("(Solve(name='probe', grid=(0.1,)),)", **NONE)
    both = run(steps, **NONE)
    assert [step["name"] for step in both.report["steps"]] == ["probe", "on"]
    first = both.report["steps"][0]["accuracy"]
    assert first == alone.report["steps"][0]["accuracy"]
    weights = [
        load_file(r.directory / "model.safetensors")["head.linear.weight"] for r in (alone, both)
    ]
    assert not weights[0].equal(weights[1])


def test_neighbours_vote_and_predict_in_another_process_as_in_the_run(run, photographs):
    finished = run("(Solve(name='knn', method='knn', grid=(3,)),)", **NONE)
    description = json.loads((finished.directory / "model.json").read_text())
    assert description["neighbours"] == {"k": 3, "temperature": 0.07, "stored": 24}
    written = lines(finished.directory / "predictions.jsonl")
    found = tlf.load(finished.directory).predict([photographs / line["id"] for line in written])
    assert [dict(one.probabilities) for one in found] == [line["probabilities"] for line in written]


@pytest.mark.parametrize("method", ["lbfgs", "knn"])
def test_caching_changes_nothing_of_a_solved_head(run, method):
    results = []
    for mode in ("auto", "auto", "off"):
        finished = run(f"(Solve(name='x', method='{method}'),)", cache={"mode": mode})
        files = ("model.safetensors", "metrics.jsonl", "predictions.jsonl")
        results.append([(finished.directory / name).read_bytes() for name in files])
    assert results[0] == results[1] == results[2]


def test_the_validation_images_choose_if_others_are_reported(run, data_with_test):
    solved = run("(Solve(name='probe'),)", data=data_with_test, **NONE).report["steps"][0]["solved"]
    assert solved["chosen_on"] == "validation"


def test_a_listener_hears_of_a_solved_head(run):
    heard = []

    class Hearing(Listener):
        def step_settled(self, record):
            heard.append(record)

    finished = run("(Solve(name='probe'),)", listener=Hearing(), **NONE)
    assert heard == lines(finished.directory / "metrics.jsonl")
