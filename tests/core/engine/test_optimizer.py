import torch

from tlf.engine.optimizer import StepOptimizer
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
    optimizer = StepOptimizer(model, planned(model, ("head",)), TrainingSpec())
    held = [p for group in optimizer.torch_optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.head.parameters()}


def test_two_equal_tensors_are_two_parameters(model):
    model.head.linear.bias.data.zero_()
    stages = tuple(stage.name for stage in model.outline.stages)
    optimizer = StepOptimizer(model, planned(model, stages), TrainingSpec())
    held = [p for group in optimizer.torch_optimizer.param_groups for p in group["params"]]
    total = len(list(model.backbone.module.parameters())) + 2
    assert len({id(p) for p in held}) == len(held) == total


def test_norms_and_biases_do_not_decay(model):
    stages = tuple(stage.name for stage in model.outline.stages)
    step = planned(model, stages)
    optimizer = StepOptimizer(model, step, TrainingSpec(weight_decay=0.3))
    for group, settings in zip(step.trainable, optimizer.torch_optimizer.param_groups, strict=True):
        assert settings["weight_decay"] == (0.3 if group.endswith(":weight") else 0.0)


def test_every_group_moves_at_its_own_rate_times_the_schedule(model):
    step = planned(model, ("head",), rates={"head:bias": 0.1})
    optimizer = StepOptimizer(model, step, TrainingSpec())
    give_gradients(model, optimizer)
    optimizer.step(0.5)
    rates = [group["lr"] for group in optimizer.torch_optimizer.param_groups]
    assert rates == [0.01 * 0.5, 0.01 * 0.1 * 0.5]


def test_gradients_are_gone_after_a_step(model):
    optimizer = StepOptimizer(model, planned(model, ("head",)), TrainingSpec())
    give_gradients(model, optimizer)
    optimizer.step(1.0)
    assert all(p.grad is None for p in model.head.parameters())


def test_the_gradient_is_clipped_to_the_norm(model):
    training = TrainingSpec(
        optimizer={"name": "sgd", "momentum": 0.0}, clip_norm=0.5, weight_decay=0
    )
    optimizer = StepOptimizer(model, planned(model, ("head",)), training)
    before = [p.detach().clone() for p in model.head.parameters()]
    give_gradients(model, optimizer)
    optimizer.step(1.0)
    moved = [old - p.detach() for old, p in zip(before, model.head.parameters(), strict=True)]
    norm = torch.cat([m.flatten() for m in moved]).norm()
    assert torch.isclose(norm, torch.tensor(0.5 * 0.01), rtol=1e-3)


def test_what_goes_on_learning_keeps_its_state_and_what_is_new_starts_without(model):
    first = StepOptimizer(model, planned(model, ("head",)), TrainingSpec())
    give_gradients(model, first)
    first.step(1.0)
    last = model.backbone.stages[-1].name
    second = StepOptimizer(model, planned(model, (last, "head")), TrainingSpec(), previous=first)
    kept = second.state_by_name()
    assert set(kept) == {"head.linear.weight", "head.linear.bias"}
    assert kept["head.linear.weight"]["exp_avg"].equal(
        first.state_by_name()["head.linear.weight"]["exp_avg"]
    )


def test_the_state_goes_round_by_name(model):
    first = StepOptimizer(model, planned(model, ("head",)), TrainingSpec())
    give_gradients(model, first)
    first.step(1.0)
    second = StepOptimizer(model, planned(model, ("head",)), TrainingSpec())
    second.load_state_by_name(first.state_by_name())
    assert second.state_by_name().keys() == first.state_by_name().keys()
