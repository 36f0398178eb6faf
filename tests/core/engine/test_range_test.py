"""A copy trains while the rate rises; nothing else is touched."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from tlf.data import batch_order, load_dataset
from tlf.engine.boundary import boundaries
from tlf.engine.features import Features, Feed
from tlf.engine.freeze import tensor_digest
from tlf.engine.generators import generator_states
from tlf.engine.losses import loss_of
from tlf.engine.network import build_network, inference_of
from tlf.engine.optimizer import StepOptimizer
from tlf.engine.range_test import Setting, optimizer_steps, range_test, train_at
from tlf.engine.rate_rules import geometric

RATES = geometric(1e-4, 1e-2, 10)


@pytest.fixture
def make_setting(make_job):
    """A network, and the setting of its first step."""

    def make(**changes):
        job = make_job(**changes)
        with torch.random.fork_rng():
            model = build_network(job)
        inference = inference_of(job, model)
        (cut, *_) = boundaries(job.plan, model, inference)
        loaded = load_dataset(
            job.dataset, job.transform, unreadable="error", workers=0, only=("train",)
        )
        feed = Feed(Features(inference, job.transform, job.device, 0), cut, 0)
        loss = loss_of(job.spec.training, job.plan, None)
        step = job.plan.steps[0]
        return model, Setting(job, step, loaded.splits["train"], feed, loss)

    return make


def state_of(model, optimizer, device):
    """Digests of everything that a test may not change."""
    state = {name: tensor_digest(tensor) for name, tensor in model.named_tensors()}
    for name, values in optimizer.state_by_name().items():
        state |= {f"{name} {key}": tensor_digest(value) for key, value in values.items()}
    for kind, generator in generator_states(device).items():
        state[f"generator {kind}"] = tensor_digest(generator)
    state["python"] = random.getstate()
    state["numpy"] = repr(np.random.get_state())
    state["modes"] = [module.training for module in model.backbone.module.modules()]
    state["learns"] = [one.requires_grad for _, one in model.named_tensors()]
    return state


def test_network_optimizer_and_generators_are_byte_identical_afterwards(make_setting, monkeypatch):
    model, setting = make_setting(
        strategy={"name": "full-fine-tuning", "options": {"norms": "learn"}},
        head={"name": "linear", "options": {"dropout": 0.5}},
    )
    optimizer = train_at(model, setting, 1e-3, 2)
    before = state_of(model, optimizer, setting.job.device.torch_device)
    transform = type(setting.job.transform)
    augment = transform.augment

    def drawing(self, images, generators):
        # As a plugin may, though it should not.
        random.random()
        np.random.random()
        return augment(self, images, generators)

    monkeypatch.setattr(transform, "augment", drawing)
    curve = range_test(model, setting, RATES[:3], previous=optimizer)
    assert state_of(model, optimizer, setting.job.device.torch_device) == before
    assert (len(curve.losses), curve.ending) == (3, "complete")
    assert all(
        parameter.grad is None for parameter in model.parameters_of(setting.step.trainable).values()
    )
    # And what it does is a fixed function of all that.
    assert range_test(model, setting, RATES[:3], previous=optimizer) == curve
    assert range_test(model, setting, RATES[:3]).losses != curve.losses


def test_the_losses_are_those_of_a_plain_loop(make_setting):
    model, setting = make_setting(training={"epochs": 4, "batch_size": 8, "views": "none"})
    losses = range_test(model, setting, RATES).losses
    split, feed = setting.split, setting.feed
    features = feed.crossing(feed.fetch(split, range(len(split)), [None] * len(split)))
    linear = torch.nn.Linear(features.shape[1], 2)
    linear.load_state_dict(model.head.linear.state_dict())
    decayed = [{"params": [linear.weight], "weight_decay": 0.05}]
    optimizer = torch.optim.AdamW([*decayed, {"params": [linear.bias], "weight_decay": 0.0}])
    batches = [batch for epoch in range(4) for batch in batch_order(len(split), 8, 0, epoch)]
    expected = []
    for rate, batch in zip(RATES, batches, strict=False):
        loss = torch.nn.functional.cross_entropy(
            linear(features[batch].float()), split.labels[batch], label_smoothing=0.05
        )
        expected.append(float(loss.detach()))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(linear.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()
    assert losses == pytest.approx(expected, rel=1e-4)


def test_a_rate_of_accumulated_batches_is_one_step(make_setting):
    training = {"epochs": 2, "batch_size": 4, "accumulate": 3, "ema": 0.9, "mixing": "mixup"}
    model, setting = make_setting(training=training)
    assert optimizer_steps(setting.job, setting.step, 24) == 4
    # More than the step has: its epochs are gone through again.
    assert len(range_test(model, setting, RATES).losses) == len(RATES)


def test_it_stops_where_the_loss_has_risen_too_far(make_setting):
    model, setting = make_setting()
    curve = range_test(model, setting, geometric(0.1, 100.0, 40))
    assert curve.ending == "diverged"
    assert 3 < len(curve.rates) == len(curve.losses) < 40
    assert curve.losses[-1] > curve.losses[0]


def test_it_stops_where_the_loss_is_no_number(make_setting):
    model, setting = make_setting()
    seen = []

    def loss(logits, targets, _):
        seen.append(len(targets))
        return setting.loss(logits, targets) * (float("nan") if len(seen) == 5 else 1.0)

    curve = range_test(model, dataclasses.replace(setting, loss=loss), RATES)
    assert (curve.ending, len(curve.losses)) == ("not finite", 4)
    assert curve.rates == RATES[:4]


def test_a_group_alone_has_the_rate_and_the_others_their_own(make_setting, monkeypatch):
    model, setting = make_setting(strategy="full-fine-tuning")
    rates, step = [], StepOptimizer.step

    def noted(self, factor):
        step(self, factor)
        rates.append([group["lr"] for group in self.torch_optimizer.param_groups])

    monkeypatch.setattr(StepOptimizer, "step", noted)
    head = {group for group in setting.step.trainable if group.startswith("head:")}
    range_test(model, setting, RATES, alone=head)
    for rate, groups in zip(RATES, rates, strict=True):
        assert groups == [
            pytest.approx(rate if name in head else setting.step.rates[name])
            for name in setting.step.trainable
        ]
    rates.clear()
    range_test(model, setting, RATES)
    assert rates[-1] == pytest.approx([setting.step.rates[n] * 5 for n in setting.step.trainable])


def test_a_training_whose_numbers_break_down_has_no_optimizer(make_setting):
    model, setting = make_setting()
    broken = dataclasses.replace(setting, loss=lambda logits, *_: logits.sum() * float("nan"))
    assert train_at(model, broken, 1e-3, 2) is None
