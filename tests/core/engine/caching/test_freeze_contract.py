"""Saboteurs: whatever lets something frozen move, or something thawed not learn, fails the run."""

import pytest
import torch

from tlf.engine import stepping
from tlf.engine.freeze import FreezeContract
from tlf.engine.inference import Inference
from tlf.engine.loop import Trainer
from tlf.engine.model import Model
from tlf.engine.optimizer import StepOptimizer
from tlf.errors import RunError

OFF = {"mode": "off"}

#: Nothing of this depends on what is stored.
CACHES = pytest.mark.parametrize(
    "cache", [{"mode": "auto"}, pytest.param(OFF, marks=pytest.mark.slow)], ids=str
)


def uncut(monkeypatch):
    """Let networks be ones that cannot be run in parts: what is frozen is computed with the rest."""
    monkeypatch.setattr(Inference, "exact_cut", lambda self, wanted: 0)


@pytest.fixture
def drifting(monkeypatch):
    """What `requires_grad=False` alone leaves behind: norms of frozen stages that are in train mode."""
    thaw = Model.thaw

    def thaw_wrongly(self, groups):
        thaw(self, groups)
        for module in self.backbone.module.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train()

    monkeypatch.setattr(Model, "thaw", thaw_wrongly)


@CACHES
def test_running_statistics_that_drift_behind_what_learns_fail_the_run(run, drifting, cache):
    with pytest.raises(RunError) as caught:
        run(strategy="acme/middle-only", cache=cache)
    assert "3 frozen tensors changed in step `middle`" in str(caught.value)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert f"`backbone.third.norm.{name}`" in str(caught.value)


def test_running_statistics_that_drift_in_gradual_unfreezing_fail_the_run(
    run, drifting, monkeypatch
):
    uncut(monkeypatch)
    with pytest.raises(RunError, match=r"in step `head`: .*`backbone\.stem\.1\.running_mean`"):
        run(strategy="gradual-unfreezing", cache=OFF)


@pytest.mark.parametrize("strategy", ["feature-extraction", "gradual-unfreezing"])
def test_running_statistics_before_the_boundary_cannot_drift(run, force, monkeypatch, strategy):
    """Nothing runs there but a copy, which is in evaluation mode whatever becomes of the network."""
    expected = run(strategy=strategy, cache=OFF)
    thaw = Model.thaw

    def thaw_wrongly(self, groups):
        thaw(self, groups)
        for stage in self.backbone.stages[: self.frozen_stages]:
            stage.train()

    monkeypatch.setattr(Model, "thaw", thaw_wrongly)
    force(3)
    for cache in (OFF, {"mode": "auto"}, {"mode": "auto"}):
        assert run(strategy=strategy, cache=cache).results == expected.results


def change(model, name):
    with torch.no_grad():
        tensor = model.tensors()[name]
        tensor[(0,) * tensor.ndim] += 1


@CACHES
@pytest.mark.parametrize("name", ["stem.0.weight", "second.norm.running_var", "hidden.1.bias"])
@pytest.mark.parametrize("strategy", ["feature-extraction", "acme/head-twice"])
def test_a_frozen_tensor_that_changes_in_a_step_fails_the_run(
    run, monkeypatch, cache, name, strategy
):
    train_epoch = Trainer.train_epoch

    def train_and_change(self, epoch):
        if epoch == 1:
            change(self.model, f"backbone.{name}")
        return train_epoch(self, epoch)

    monkeypatch.setattr(Trainer, "train_epoch", train_and_change)
    step = "head" if strategy == "feature-extraction" else "second"
    message = rf"1 frozen tensors changed in step `{step}`: `backbone\.{name}`"
    with pytest.raises(RunError, match=message):
        run(strategy=strategy, cache=cache)


@CACHES
@pytest.mark.parametrize("name", ["stem.0.weight", "third.norm.running_mean"])
@pytest.mark.parametrize("moment", ["begin", "thaw", "optimizer"])
def test_a_frozen_tensor_that_changes_between_two_steps_fails_the_second(
    run, monkeypatch, cache, name, moment
):
    """A step begins with the digests that the step before it ended with."""
    begin, begun = FreezeContract.begin, []

    def change_and_begin(self, frozen):
        begun.append(self._model)
        if len(begun) == 2 and moment == "begin":
            change(self._model, f"backbone.{name}")
        return begin(self, frozen)

    monkeypatch.setattr(FreezeContract, "begin", change_and_begin)
    thaw = Model.thaw

    def change_and_thaw(self, groups):
        if len(begun) == 2 and moment == "thaw":
            change(self, f"backbone.{name}")
        thaw(self, groups)

    monkeypatch.setattr(Model, "thaw", change_and_thaw)

    class ChangingOptimizer(StepOptimizer):
        def __init__(self, model, *arguments):
            super().__init__(model, *arguments)
            if len(begun) == 2 and moment == "optimizer":
                change(model, f"backbone.{name}")

    monkeypatch.setattr(stepping, "StepOptimizer", ChangingOptimizer)
    message = rf"1 frozen tensors changed in step `second`: `backbone\.{name}`"
    with pytest.raises(RunError, match=message):
        run(strategy="acme/head-twice", cache=cache)


def test_a_frozen_tensor_that_changes_while_a_head_is_solved_for_fails_the_run(run, monkeypatch):
    solve = stepping.HeadSolver.solve

    def solve_and_change(self):
        change(self.model, "backbone.stem.0.weight")
        return solve(self)

    monkeypatch.setattr(stepping.HeadSolver, "solve", solve_and_change)
    with pytest.raises(RunError, match=r"in step `solved`: `backbone\.stem\.0\.weight`"):
        run(strategy="acme/solved")


@CACHES
def test_an_optimizer_that_still_holds_what_is_frozen_again_fails_the_run(run, monkeypatch, cache):
    """A gradient of zeros moves a weight by momentum and decay."""

    class OldOptimizer(StepOptimizer):
        def __init__(self, model, step, training, precision, previous=None, origin=None):
            super().__init__(model, step, training, precision, previous, origin)
            if previous is not None:
                self.torch_optimizer = previous.torch_optimizer
                self._peak_rates = previous._peak_rates

        def step(self, factor):
            for group in self.torch_optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is None:
                        parameter.grad = torch.zeros_like(parameter)
            super().step(factor)

    monkeypatch.setattr(stepping, "StepOptimizer", OldOptimizer)
    with pytest.raises(RunError, match="frozen tensors changed in step `head`") as caught:
        run(strategy="acme/top-then-head", cache=cache)
    assert "`backbone.hidden.1.weight`" in str(caught.value)


@CACHES
def test_an_optimizer_that_holds_what_is_frozen_without_gradients_changes_nothing(
    run, monkeypatch, cache
):
    expected = run(strategy="acme/top-then-head", cache=OFF)

    class GreedyOptimizer(StepOptimizer):
        def __init__(self, model, step, training, precision, previous=None, origin=None):
            super().__init__(model, step, training, precision, previous, origin)
            frozen = list(model.parameters_of(step.frozen).values())
            self.torch_optimizer.add_param_group({"params": frozen})
            self._peak_rates.append(1.0)

    monkeypatch.setattr(stepping, "StepOptimizer", GreedyOptimizer)
    assert run(strategy="acme/top-then-head", cache=cache).results == expected.results


class StaleOptimizer(StepOptimizer):
    """One that was built before the thaw: what it steps along is what learned before."""

    #: Whether it claims to hold what it does not.
    claims = True

    def __init__(self, model, step, training, precision, previous=None, origin=None):
        super().__init__(model, step, training, precision, previous, origin)
        if previous is not None:
            self.torch_optimizer = previous.torch_optimizer
            self._peak_rates = previous._peak_rates
            if not self.claims:
                self.parameters = previous.parameters


@pytest.mark.parametrize("claims", [True, False])
def test_an_optimizer_that_misses_what_is_thawed_fails_the_run(run, monkeypatch, claims):
    """The thawed parameters get gradients, and nothing ever comes of them."""
    monkeypatch.setattr(StaleOptimizer, "claims", claims)
    monkeypatch.setattr(stepping, "StepOptimizer", StaleOptimizer)
    with pytest.raises(
        RunError, match="thawed parameters are not in the optimizer in step `thaw-1`"
    ):
        run(strategy="gradual-unfreezing", cache=OFF)


@pytest.fixture
def detached(monkeypatch):
    """A stand-in for a network that was compiled while it was frozen: it has no gradients to give."""
    logits = Model.logits

    def logits_without_gradients(self, crossing, start, device):
        tensors = [one for name, one in self.tensors().items() if name.startswith("backbone.")]
        learning = [one for one in tensors if one.requires_grad]
        for one in learning:
            one.requires_grad_(False)
        try:
            return logits(self, crossing, start, device)
        finally:
            for one in learning:
                one.requires_grad_(True)

    monkeypatch.setattr(Model, "logits", logits_without_gradients)


@CACHES
@pytest.mark.parametrize(
    ("strategy", "step", "before"),
    [("full-fine-tuning", "all", 0), ("gradual-unfreezing", "thaw-1", 8)],
)
def test_thawed_layers_that_the_loss_never_reaches_fail_the_run_within_eight_batches(
    run, detached, cache, strategy, step, before
):
    batches = []
    with pytest.raises(RunError, match=rf"parameters that step `{step}` trains never had a grad"):
        run(
            strategy=strategy,
            cache=cache,
            # 8 batches an epoch.
            training={"batch_size": 2, "epochs": 6},
            when={"batch_finished": lambda: batches.append(None)},
        )
    # The eighth batch of the step is not heard of any more.
    assert len(batches) == before + 7


@pytest.fixture
def fresh_compiler():
    yield
    torch.compiler.reset()


@pytest.mark.slow
# What compiling warns of is torch's own affair.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_layers_that_were_compiled_before_the_thaw_learn_as_others_do(
    run, monkeypatch, fresh_compiler, backend
):
    """Torch compiles them anew. If one day it did not, the run would have to fail; see above."""
    uncut(monkeypatch)
    spec = {"strategy": "gradual-unfreezing", "training": {"views": "none"}, "cache": OFF}
    expected = run(**spec)
    compiled = {}

    def logits(self, crossing, start, device):
        if self not in compiled:
            compiled[self] = torch.compile(self.backbone.module, backend=backend)
        with device.autocast():
            return self.head(compiled[self](crossing))

    monkeypatch.setattr(Model, "logits", logits)
    found = run(**spec)
    assert found.results["losses"] == pytest.approx(expected.results["losses"], rel=1e-3)


@pytest.mark.parametrize(
    ("strategy", "where"), [("feature-extraction", "head"), ("full-fine-tuning", "all")]
)
def test_a_parameter_that_is_replaced_by_another_fails_the_run(run, monkeypatch, strategy, where):
    """Frozen or not, equal or not: what is watched, trained and stored is the old one."""
    train_epoch = Trainer.train_epoch

    def train_and_replace(self, epoch):
        trained = train_epoch(self, epoch)
        stem = self.model.backbone.module.stem[0]
        stem.weight = torch.nn.Parameter(stem.weight.detach().clone())
        return trained

    monkeypatch.setattr(Trainer, "train_epoch", train_and_replace)
    message = (
        rf"1 parameters were replaced by others in step `{where}`: `backbone\.stem\.0\.weight`"
    )
    with pytest.raises(RunError, match=message):
        run(strategy=strategy, cache=OFF, training={"epochs": 1})


def test_a_frozen_buffer_that_is_replaced_by_another_with_other_values_fails_the_run(
    run, monkeypatch
):
    train_epoch = Trainer.train_epoch

    def train_and_replace(self, epoch):
        norm = self.model.backbone.module.third.norm
        norm.running_mean = norm.running_mean + 1
        return train_epoch(self, epoch)

    monkeypatch.setattr(Trainer, "train_epoch", train_and_replace)
    with pytest.raises(RunError, match=r"frozen tensors changed .*third\.norm\.running_mean"):
        run(cache=OFF)
