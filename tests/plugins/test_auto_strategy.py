"""The strategy `auto` takes what the benchmark's results say."""

import statistics

import pytest

import tlf
from tests.benchmarks import strategies
from tests.benchmarks.results_file import ResultsFile
from tlf.plugin import Budget, Outline, StageOutline
from tlf_builtin.auto_strategy.strategy import EVIDENCE, Auto, AutoOptions

#: By images a class, the tasks of the benchmark that have about so many.
TASKS = {10: ("ants-bees/10", "digits/10"), 110: ("ants-bees/all", "digits/100")}


def chosen(images, classes=4):
    head = StageOutline("head", {"weight": 3, "bias": 1}, 1, (classes,))
    body = StageOutline("body", {"weight": 3}, 1, (7,))
    network = Outline((body, head), image_size=32)
    return Auto(AutoOptions()).steps(network, Budget(epochs=5, images=images))


@pytest.mark.parametrize("evidence", EVIDENCE, ids=lambda one: str(one.images))
def test_what_it_takes_has_the_highest_mean_accuracy_of_the_benchmark(evidence):
    tasks = TASKS[evidence.images]
    found = {}
    for one, measured in ResultsFile(strategies.RESULTS).read().items():
        # Strategies and not rows: with default options.
        if one.data in tasks and one.options == "{}":
            values = found.setdefault(one.strategy, {task: [] for task in tasks})
            values[one.data].append(measured["accuracy"])
    means = {
        name: statistics.fmean(statistics.fmean(values) for values in by_task.values())
        for name, by_task in found.items()
        if all(by_task.values())
    }
    assert max(means, key=means.__getitem__) == evidence.best


def test_it_goes_by_the_nearest_number_of_images_a_class():
    assert "with 10 it" in chosen(images=4 * 10).why
    assert "with 10 it" in chosen(images=1).why
    assert "with 110 it" in chosen(images=4 * 34).why
    assert "with 110 it" in chosen(images=10**6).why
    assert chosen(images=40).why.startswith("10 images a class")


def test_a_run_is_that_of_the_strategy_it_takes_and_says_so(small_spec):
    training = {"epochs": 1, "batch_size": 8}
    spec = {**small_spec, "training": training}
    run = tlf.run({**spec, "strategy": "auto"})
    said = run.report["strategy"]
    assert (said["name"], said["chosen"]["name"]) == ("auto", EVIDENCE[0].best)
    assert "images a class" in said["why"]
    other = tlf.run({**spec, "strategy": EVIDENCE[0].best})
    first, second = (one.directory / "model.safetensors" for one in (run, other))
    assert first.read_bytes() == second.read_bytes()
