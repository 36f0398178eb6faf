import copy

import pytest
import torch

from tlf.engine.loop import training_loss
from tlf.engine.losses import loss_of
from tlf.engine.optimizer import StepOptimizer, state_beside
from tlf.planning import plan_steps
from tlf.plugin import Budget, Train
from tlf.spec.model import TrainingSpec


def planned(model, trainable, **more):
    step = Train(name="s", trainable=trainable, epochs=1, **more)
    return plan_steps([step], model.outline, Budget(1), 0.01)[0]


def give_gradients(model, optimizer):
    for parameter in optimizer.parameters.values():
        parameter.grad = torch.ones_like(parameter)


def test_the_optimizer_holds_exactly_what_learns(model):
    optimizer = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), "float32")
    held = [p for group in optimizer.torch_optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.head.parameters()}


def test_two_equal_tensors_are_two_parameters(model):
    model.head.linear.bias.data.zero_()
    stages = tuple(stage.name for stage in model.outline.stages)
    optimizer = StepOptimizer(model, planned(model, stages), TrainingSpec(), "float32")
    held = [p for group in optimizer.torch_optimizer.param_groups for p in group["params"]]
    total = len(list(model.backbone.module.parameters())) + 2
    assert len({id(p) for p in held}) == len(held) == total


def test_norms_and_biases_do_not_decay(model):
    stages = tuple(stage.name for stage in model.outline.stages)
    step = planned(model, stages)
    optimizer = StepOptimizer(model, step, TrainingSpec(weight_decay=0.3), "float32")
    for group, settings in zip(step.trainable, optimizer.torch_optimizer.param_groups, strict=True):
        assert settings["weight_decay"] == (0.3 if group.endswith(":weight") else 0.0)


def test_every_group_moves_at_its_own_rate_times_the_schedule(model):
    step = planned(model, ("head",), rates={"head:bias": 0.1})
    optimizer = StepOptimizer(model, step, TrainingSpec(), "float32")
    give_gradients(model, optimizer)
    optimizer.step(0.5)
    rates = [group["lr"] for group in optimizer.torch_optimizer.param_groups]
    assert rates == [0.01 * 0.5, 0.01 * 0.1 * 0.5]


def test_gradients_are_gone_after_a_step(model):
    optimizer = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), "float32")
    give_gradients(model, optimizer)
    optimizer.step(1.0)
    assert all(p.grad is None for p in model.head.parameters())


def test_the_gradient_is_clipped_to_the_norm(model):
    training = TrainingSpec(
        optimizer={"name": "sgd", "momentum": 0.0}, clip_norm=0.5, weight_decay=0
    )
    optimizer = StepOptimizer(model, planned(model, ("head",)), training, "float32")
    before = [p.detach().clone() for p in model.head.parameters()]
    give_gradients(model, optimizer)
    optimizer.step(1.0)
    moved = [old - p.detach() for old, p in zip(before, model.head.parameters(), strict=True)]
    norm = torch.cat([m.flatten() for m in moved]).norm()
    assert torch.isclose(norm, torch.tensor(0.5 * 0.01), rtol=1e-3)


def test_what_goes_on_learning_keeps_its_state_and_what_is_new_starts_without(model):
    first = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), "float32")
    give_gradients(model, first)
    first.step(1.0)
    last = model.backbone.stages[-1].name
    second = StepOptimizer(
        model, planned(model, (last, "head")), TrainingSpec(), "float32", previous=first
    )
    kept = second.state_by_name()
    assert set(kept) == {"head.linear.weight", "head.linear.bias"}
    assert kept["head.linear.weight"]["exp_avg"].equal(
        first.state_by_name()["head.linear.weight"]["exp_avg"]
    )


def test_the_state_goes_round_by_name(model):
    first = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), "float32")
    give_gradients(model, first)
    first.step(1.0)
    second = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), "float32")
    second.load_state_by_name(first.state_by_name())
    assert second.state_by_name().keys() == first.state_by_name().keys()


def gradients_in_half(job, model, scale):
    """Return the gradients of one batch in float16, unscaled, or None if one is not finite."""
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1])
    with torch.autocast("cpu", dtype=torch.float16):
        features = model.backbone.module(images)
    loss = torch.nn.functional.cross_entropy(
        model.head(features), labels, label_smoothing=job.spec.training.label_smoothing
    )
    names = [name for name, tensor in model.tensors().items() if tensor.requires_grad]
    parameters = [model.tensors()[name] for name in names]
    gradients = [gradient / scale for gradient in torch.autograd.grad(loss * scale, parameters)]
    finite = all(gradient.isfinite().all() for gradient in gradients)
    return dict(zip(names, gradients, strict=True)) if finite else None


def clipped(gradients, norm):
    total = torch.stack([gradient.square().sum() for gradient in gradients.values()]).sum().sqrt()
    factor = min(1.0, norm / float(total))
    return {name: gradient * factor for name, gradient in gradients.items()}


def test_training_in_float16_leaves_out_steps_that_overflow_as_written_down_here(half_job, model):
    """Against scaling, clipping and momentum by hand; the first steps overflow, the last do not."""
    (step,) = half_job.plan.steps
    training = TrainingSpec(
        optimizer={"name": "sgd", "momentum": 0.9}, clip_norm=0.5, weight_decay=0.1
    )
    model.thaw(step.trainable)
    other = copy.deepcopy(model)
    other.thaw(step.trainable)
    optimizer = StepOptimizer(model, step, training, "float16")
    start = optimizer.scaler.state_dict() | {"scale": 2.0**26, "growth_interval": 3}
    optimizer.scaler.load_state_dict(start)

    scale, good, taken, momenta = 2.0**26, 0, [], {}
    rates = dict(zip(step.trainable, (step.rates[group] for group in step.trainable), strict=True))
    group_of = {
        name: group for group, tensors in other.groups().items() for name in tensors.parameters
    }
    for batch in range(16):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(batch)
            images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 0, 1])
            loss = training_loss(
                model,
                images,
                0,
                labels,
                loss=loss_of(half_job.spec.training, half_job.plan, None),
                device=half_job.device,
            )
            assert optimizer.scale == scale
            optimizer.backward(loss)
            optimizer.step(0.5)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(batch)
            gradients = gradients_in_half(half_job, other, scale)
        taken.append(gradients is not None)
        if gradients is None:
            scale, good = scale / 2, 0
            continue
        good += 1
        if good == 3:
            scale, good = scale * 2, 0
        for name, gradient in clipped(gradients, 0.5).items():
            parameter, group = other.tensors()[name].data, group_of[name]
            decayed = gradient + (0.1 * parameter if group.endswith(":weight") else 0.0)
            momenta[name] = decayed + 0.9 * momenta.get(name, 0.0)
            parameter -= 0.5 * rates[group] * (decayed + 0.9 * momenta[name])

    assert not taken[0]
    assert sum(taken) >= 4
    for name, tensor in other.tensors().items():
        torch.testing.assert_close(model.tensors()[name], tensor, rtol=1e-3, atol=1e-4)


def give_infinite_gradients(optimizer):
    for parameter in optimizer.parameters.values():
        parameter.grad = torch.full_like(parameter, torch.inf)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_step_that_is_left_out_leaves_no_trace_but_a_smaller_scale(model, name):
    training = TrainingSpec(optimizer={"name": name})
    optimizer = StepOptimizer(model, planned(model, ("head",)), training, "float16")
    before = [p.detach().clone() for p in model.head.parameters()]
    scale = optimizer.scale
    optimizer.backward(sum(p.sum() for p in model.head.parameters()))
    give_infinite_gradients(optimizer)
    optimizer.step(1.0)
    assert all(p.equal(old) for p, old in zip(model.head.parameters(), before, strict=True))
    assert all(p.grad is None for p in model.head.parameters())
    assert optimizer.state_by_name() == {}
    assert optimizer.scale == scale / 2


def test_gradients_are_scaled_in_float16_only(model):
    for precision, scaled in (("float32", False), ("bfloat16", False), ("float16", True)):
        optimizer = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), precision)
        optimizer.backward(model.head.linear.bias.sum())
        assert (optimizer.scale != 1) == scaled
        assert model.head.linear.bias.grad.eq(optimizer.scale).all()
        model.head.linear.bias.grad = None


def test_the_scaler_goes_on_with_the_next_step_of_the_plan(model):
    first = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), "float16")
    first.backward(model.head.linear.bias.sum())
    give_infinite_gradients(first)
    first.step(1.0)
    last = model.backbone.stages[-1].name
    step = planned(model, (last, "head"))
    second = StepOptimizer(model, step, TrainingSpec(), "float16", previous=first)
    assert second.scale == first.scale == 2.0**15


@pytest.mark.parametrize("fused", [True, False])
def test_a_fused_optimizer_counts_its_steps_where_the_parameter_is(fused):
    parameter = torch.nn.Parameter(torch.empty(2, 3, device="meta"))
    assert state_beside(parameter, torch.zeros(2, 3), fused=fused).device.type == "meta"
    count = state_beside(parameter, torch.tensor(4.0), fused=fused)
    assert count.device.type == ("meta" if fused else "cpu")


def everything(model):
    return tuple(stage.name for stage in model.outline.stages)


def origin_of(model):
    return {
        name: tensor.detach().clone()
        for name, tensor in model.tensors().items()
        if not name.startswith("head.")
    }


def give_random_gradients(*models, seed):
    for model in models:
        generator = torch.Generator().manual_seed(seed)
        for tensor in model.tensors().values():
            if isinstance(tensor, torch.nn.Parameter):
                drawn = torch.randn(tensor.shape, generator=generator)
                # In the parameter's memory format, as a backward pass leaves it.
                tensor.grad = torch.empty_like(tensor, requires_grad=False).copy_(drawn)


def test_a_pull_moves_the_backbone_by_its_rate_toward_the_origin_and_only_the_head_decays(model):
    """Against torch's AdamW without a pull, moved back by hand after each batch."""
    other, origin = copy.deepcopy(model), origin_of(model)
    step = planned(model, everything(model), pull=7.0, rates={"conv1.0": 0.1})
    training = TrainingSpec(weight_decay=0.3, clip_norm=None)
    optimizer = StepOptimizer(model, step, training, "float32", origin=origin)
    rates = {
        name: step.rates[group]
        for group, tensors in other.groups().items()
        for name in tensors.parameters
    }
    spec = training.optimizer
    reference = torch.optim.AdamW(
        [
            {
                "params": [other.tensors()[name]],
                "lr": 0.5 * rate,
                "weight_decay": 0.3 if name == "head.linear.weight" else 0.0,
            }
            for name, rate in rates.items()
        ],
        betas=(spec.beta1, spec.beta2),
    )
    for batch in range(3):
        give_random_gradients(model, other, seed=batch)
        optimizer.step(0.5)
        reference.step()
        with torch.no_grad():
            for name, start in origin.items():
                if name in rates:
                    parameter, share = other.tensors()[name], 0.5 * rates[name] * 7.0
                    parameter.copy_(parameter + share * (start - parameter))
    for name, tensor in other.tensors().items():
        torch.testing.assert_close(model.tensors()[name], tensor, rtol=1e-5, atol=1e-7)
    assert not any(model.tensors()[name].equal(origin[name]) for name in rates if name in origin)


def test_a_pull_however_strong_ends_at_the_origin_and_leaves_the_head_alone(model):
    origin = origin_of(model)
    step = planned(model, everything(model), pull=1e9)
    optimizer = StepOptimizer(model, step, TrainingSpec(), "float32", origin=origin)
    give_random_gradients(model, seed=0)
    head = model.head.linear.weight.detach().clone()
    optimizer.step(1.0)
    assert all(model.tensors()[name].equal(start) for name, start in origin.items())
    assert not model.head.linear.weight.equal(head)


def test_without_a_pull_the_origin_counts_for_nothing(model):
    other, origin = copy.deepcopy(model), origin_of(model)
    step = planned(model, everything(model))
    training = TrainingSpec(weight_decay=0.3)
    for one, start in ((model, origin), (other, None)):
        optimizer = StepOptimizer(one, step, training, "float32", origin=start)
        for batch in range(2):
            give_random_gradients(one, seed=batch)
            optimizer.step(1.0)
    assert all(other.tensors()[name].equal(tensor) for name, tensor in model.tensors().items())


def test_what_is_forgotten_is_not_taken_over_by_the_next_step(model):
    first = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), "float32")
    give_gradients(model, first)
    first.step(1.0)
    assert first.state_by_name()
    first.forget()
    assert first.state_by_name() == {}
    second = StepOptimizer(model, planned(model, ("head",)), TrainingSpec(), "float32", first)
    assert second.state_by_name() == {}
    give_gradients(model, second)
    second.step(1.0)
    assert second.state_by_name()["head.linear.bias"]["step"] == 1


def test_only_the_groups_that_are_named_are_forgotten(model):
    last = model.outline.body[-1]
    optimizer = StepOptimizer(model, planned(model, (last, "head")), TrainingSpec(), "float32")
    give_gradients(model, optimizer)
    optimizer.step(1.0)
    every = set(optimizer.state_by_name())
    optimizer.forget(("head:weight", "head:bias"))
    assert set(optimizer.state_by_name()) == {n for n in every if not n.startswith("head.")}
    assert len(every) > len(optimizer.state_by_name()) > 0


def test_a_step_that_overflows_in_float16_is_not_drawn_back_either(model):
    origin = {name: start + 1 for name, start in origin_of(model).items()}
    last = model.outline.body[-1]
    step = planned(model, (last, "head"), pull=1.0)
    optimizer = StepOptimizer(model, step, TrainingSpec(), "float16", origin=origin)
    before = [parameter.detach().clone() for parameter in optimizer.parameters.values()]
    optimizer.backward(sum(parameter.sum() for parameter in optimizer.parameters.values()))
    give_infinite_gradients(optimizer)
    optimizer.step(1.0)
    after = optimizer.parameters.values()
    assert all(now.equal(old) for now, old in zip(after, before, strict=True))
