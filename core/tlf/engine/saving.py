"""What a run is between two batches: gathered for a checkpoint, and taken over from one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tlf.engine.checkpoint import Position, State
from tlf.engine.choosing import Best, Watch
from tlf.engine.features import Work
from tlf.engine.generators import generator_states, set_generator_states
from tlf.engine.loop import EpochSoFar
from tlf.engine.snapshots import Snapshot, packed, put_back, unpacked
from tlf.errors import OutputError

if TYPE_CHECKING:
    from tlf.engine.loop import Trainer
    from tlf.engine.stepping import Stepper
    from tlf.planning import PlannedStep

#: The moment of the best weights of the step that trains.
_BEST = "best"
#: The moving average of the weights that learn.
_AVERAGE = "average"
#: The moment of the best weights at the end of any step.
_BEST_OF_ALL = "best of all"


@dataclass(frozen=True)
class Underway:
    """A step that trains, and is not over.

    Attributes:
        index: Of the step.
        step: The step, with the epochs that it has.
        trainer: Trains.
        watch: Follows its epochs; None if nothing does.
        frozen: Digests of what was frozen when it began.
        started: When that was, on the performance counter.
        work: What the frozen part had taken by then.
    """

    index: int
    step: PlannedStep
    trainer: Trainer
    watch: Watch | None
    frozen: Mapping[str, str]
    started: float
    work: Work


def state_of(run: Stepper, now: Underway) -> State:
    """Return everything that a run is at this moment, between two batches.

    Args:
        run: Carries out the steps.
        now: The step that trains.
    """
    trainer, watch = now.trainer, now.watch
    weights: dict[str, Snapshot] = {
        f"snapshot {n}": kept for n, kept in enumerate(run.snapshots.values())
    }
    if watch is not None and watch.state is not None:
        weights[_BEST] = watch.state
    if run.best is not None:
        weights[_BEST_OF_ALL] = run.best.state
    if trainer.average is not None:
        weights[_AVERAGE] = trainer.average.state
    progress = run.progress.as_json()
    progress["images_decoded"] += run.loaded.images_decoded
    step = {
        "first_epoch": now.step.first_epoch,
        "epoch": vars(trainer.so_far),
        "arrival": trainer.arrival.state(),
        "scaler": trainer.optimizer.scaler.state_dict(),
        "watch": None if watch is None else watch.facts(),
        "averaged": None if trainer.average is None else trainer.average.updates,
        "frozen": dict(now.frozen),
        "work": vars(now.work),
        "seconds": time.perf_counter() - now.started,
    }
    return State(
        position=Position(now.index, run.progress.epochs_done, trainer.so_far.batches),
        facts={
            "spec": run.job.spec.model_dump(mode="json"),
            "progress": progress,
            "work": vars(trainer.feed.features.work),
            "contract_seconds": run.contract.seconds,
            "left_over": run.left_over,
            "snapshots": list(run.snapshots),
            "best": None if run.best is None else run.best.facts(),
            "picked": {str(index): picked for index, picked in run.picked.items()},
            "step": step,
        },
        model=dict(run.model.tensors()),
        optimizer=packed(trainer.optimizer.state_by_name()),
        generator=generator_states(run.model.device),
        weights=packed(weights),
    )


def take_over(run: Stepper, saved: State) -> None:
    """Bring a run to where another one was, but for the step that it was in.

    Args:
        run: Is about to carry out its steps.
        saved: The state of a run of the same plan.

    Raises:
        OutputError: It is of another network.
    """
    if saved.model.keys() != run.model.tensors().keys():
        raise OutputError(
            f"the checkpoints in `{run.folder}` are of another network",
            hint="a library may have changed since; `environment.json` has their versions",
        )
    put_back(run.model, saved.model)
    run.contract.forget(saved.model)
    run.inference.update()
    facts, weights = saved.facts, unpacked(saved.weights)
    run.progress.add_earlier(facts["progress"])
    run.boundary.features.work.add(Work(**facts["work"]))
    run.contract.seconds += facts["contract_seconds"]
    run.left_over = facts["left_over"]
    run.snapshots = {name: weights[f"snapshot {n}"] for n, name in enumerate(facts["snapshots"])}
    if facts["best"] is not None:
        run.best = Best.of(facts["best"], weights[_BEST_OF_ALL])
    for index, picked in facts["picked"].items():
        run.take_pick(int(index), picked)


def first_epoch_of(saved: State) -> int:
    """Return the first epoch of the step that a run was in.

    Args:
        saved: The run's state.
    """
    first: int = saved.facts["step"]["first_epoch"]
    return first


def watch_of(saved: State, step: PlannedStep, take: Callable[[], Snapshot]) -> Watch:
    """Return what followed the epochs of the step that a run was in.

    Args:
        saved: The run's state.
        step: The step.
        take: Returns a copy of the weights as they are.
    """
    return Watch.of(
        saved.facts["step"]["watch"],
        state=unpacked(saved.weights).get(_BEST),
        take=take,
        patience=step.patience,
        undo=step.undo,
    )


def gone_on(now: Underway, saved: State) -> Underway:
    """Bring a step that is ready to train to where it was, and return it.

    Args:
        now: The step, as it begins.
        saved: The state of a run in the same step.
    """
    facts, trainer = saved.facts["step"], now.trainer
    trainer.optimizer.load_state_by_name(unpacked(saved.optimizer))
    trainer.optimizer.scaler.load_state_dict(facts["scaler"])
    trainer.arrival.load_state(facts["arrival"])
    trainer.so_far = EpochSoFar(**facts["epoch"])
    if trainer.average is not None:
        trainer.average.load(unpacked(saved.weights)[_AVERAGE], facts["averaged"])
    # Last of all: nothing more is drawn until the next batch.
    set_generator_states(saved.generator, trainer.model.device)
    return replace(
        now,
        frozen=facts["frozen"],
        started=now.started - facts["seconds"],
        work=Work(**facts["work"]),
    )
