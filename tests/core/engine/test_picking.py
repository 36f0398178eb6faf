"""What a step picks by gradients, against gradients that are computed here, of the whole network."""

import copy

import pytest
import torch

from tlf.data import load_dataset, load_views, to_input
from tlf.data.batches import batch_order
from tlf.engine.features import Features, Feed
from tlf.engine.freeze import tensor_digest
from tlf.engine.losses import loss_of
from tlf.engine.network import inference_of
from tlf.engine.picking import pick
from tlf.planning import plan_steps
from tlf.plugin import Budget, TopStages, Train


@pytest.fixture
def split(job):
    loaded = load_dataset(job.dataset, job.transform, unreadable="error", workers=0)
    return loaded.splits["train"]


@pytest.fixture
def pick_of(job, model, split):
    """Return a function that picks among some names, behind a cut of the network."""

    def pick_of(count, among, cut=0):
        step = Train(name="s", trainable=(TopStages(count=count, among=among), "head"), epochs=1)
        (planned,) = plan_steps([step], model.outline, Budget(1), 0.1)
        inference = inference_of(job, model)
        feed = Feed(Features(inference, job.transform, job.device, 0), cut, 0)
        model.thaw(planned.trainable)
        loss = loss_of(job.spec.training, job.plan, None)
        return pick(model, planned, split, feed, spec=job.spec, loss=loss, device=job.device)

    return pick_of


def relative_norms(job, model, split, indices):
    """Return the norm of each stage's gradient over the norm of its weights, of some images."""
    network, head = copy.deepcopy((model.backbone.module, model.head))
    network.eval().requires_grad_(True)
    head.eval()
    views = load_views(split, job.transform, indices, [None] * len(indices), 0)
    images = to_input(views, job.transform.mean, job.transform.std, job.device)
    loss = torch.nn.functional.cross_entropy(
        head(network(images)),
        split.labels[indices],
        label_smoothing=job.spec.training.label_smoothing,
    )
    parameters = dict(network.named_parameters())
    gradients = dict(
        zip(parameters, torch.autograd.grad(loss, [*parameters.values()]), strict=True)
    )

    def norm(tensors, names):
        return torch.cat([tensors[name].detach().double().flatten() for name in names]).norm()

    found = {}
    for stage in model.backbone.stages:
        names = [name for group in stage.groups.values() for name in group.parameters]
        found[stage.name] = float(norm(gradients, names) / norm(parameters, names))
    return found


def test_the_scores_are_the_relative_norms_of_the_mean_losss_gradient(job, model, split, pick_of):
    reference = relative_norms(job, model, split, list(range(len(split))))
    picked = pick_of(4, model.outline.body)
    assert picked.scores == pytest.approx(reference, rel=2e-3)
    best = sorted(reference, key=reference.get)[-4:]
    assert picked.stages == tuple(stage for stage in model.outline.body if stage in best)
    assert picked.groups == model.outline.expand(best)
    assert picked.as_json() == {
        "by": "relative-gradient-norm",
        "stages": list(picked.stages),
        "scores": dict(picked.scores),
    }


def test_of_many_images_a_few_batches_are_looked_at(job, model, split, pick_of, monkeypatch):
    monkeypatch.setattr("tlf.engine.picking.GRADIENT_IMAGES", 9)
    first, second, *rest = batch_order(len(split), 8, job.spec.seed, 0)
    assert rest
    reference = relative_norms(job, model, split, first + second)
    assert pick_of(1, model.outline.body).scores == pytest.approx(reference, rel=2e-3)


def test_behind_a_cut_the_gradients_are_the_same(job, model, split, pick_of):
    stages = model.outline.body
    cut = len(stages) - 2
    reference = relative_norms(job, model, split, list(range(len(split))))
    wanted = {stage: reference[stage] for stage in stages[cut:]}
    assert pick_of(1, stages[cut:], cut).scores == pytest.approx(wanted, rel=2e-3)


def test_of_a_stage_those_groups_count_and_learn_that_are_to_pick_from(model, pick_of):
    whole = pick_of(1, model.outline.body[-1:])
    norms = pick_of(1, (f"{model.outline.body[-1]}:norm",))
    assert norms.groups == (f"{model.outline.body[-1]}:norm",)
    assert norms.scores.keys() == whole.scores.keys()
    assert norms.scores != whole.scores


def test_there_may_be_fewer_stages_than_are_to_be_picked(model, pick_of):
    last = model.outline.body[-2:]
    picked = pick_of(50, last[::-1])
    assert picked.stages == last
    assert picked.groups == model.outline.expand(last)


def test_picking_changes_nothing_of_the_network(model, pick_of):
    def looked_at():
        return {name: tensor_digest(tensor) for name, tensor in model.tensors().items()}

    before, drawn = looked_at(), torch.get_rng_state()
    pick_of(2, model.outline.body)
    assert looked_at() == before
    assert all(tensor.grad is None for tensor in model.tensors().values())
    assert torch.get_rng_state().equal(drawn)
