"""Which views of which images the steps of a run ask for, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tlf.data import view_of_epoch
from tlf.engine.choosing import SELECTION
from tlf.engine.features import row_key
from tlf.planning import AHEAD_VIEWS, StepCache, Usage

if TYPE_CHECKING:
    from tlf.cache import Entry
    from tlf.planning import PlannedStep, RunPlan


def usage_of(plan: RunPlan, step: PlannedStep, cut: int) -> Usage:
    """Return how often a step looks at how many images.

    Args:
        plan: The run's plan.
        step: One of its steps.
        cut: How many stages are frozen.
    """
    images = plan.data["images"]
    views = plan.training["views"]
    seen = epochs_of(plan, step)
    count = 1 if views == "none" else len(seen) if views == "every-epoch" else views
    views = min(count, len(seen))
    last = step == plan.steps[-1]
    once = images.get(plan.metrics_on, 0) if last and plan.metrics_on != "validation" else 0
    # A solved head looks at every view, once to choose a setting and once with the one chosen.
    epochs = 2 * views if step.solves else step.epochs
    if step.kind == "combine":
        # One evaluation at the end, and one of every average that is tried.
        tried = {"uniform": 0, "greedy": 2 * len(step.snapshots) - 1}
        epochs = 1 + (tried[step.weights] if isinstance(step.weights, str) else len(step.weights))
    return Usage(
        frozen=cut,
        epochs=epochs,
        train=images["train"] if seen else 0,
        views=views,
        evaluated=images["validation"] + (images.get(SELECTION, 0) if looks(plan, step) else 0),
        once=once,
        mixed=step.kind == "train" and plan.training["mixing"] is not None,
        drawn=draws_views(plan, step),
    )


def looks(plan: RunPlan, step: PlannedStep) -> bool:
    """Say whether a step looks at the images that are held out of train to choose on.

    Args:
        plan: The run's plan.
        step: One of its steps.
    """
    return plan.selection_on == SELECTION and (step.chooses or step.solves)


def draws_views(plan: RunPlan, step: PlannedStep) -> bool:
    """Say whether it depends on what a step draws which views it looks at.

    Args:
        plan: The run's plan.
        step: One of its steps.
    """
    training = plan.training
    drawn = training["sampling"] == "balanced" and training["views"] == "every-epoch"
    return drawn and step.kind == "train"


def epochs_of(plan: RunPlan, step: PlannedStep) -> range:
    """Return the epochs whose views a step looks at: its own; for a solved head, the budget's first.

    An average of weights looks at none.

    Args:
        plan: The run's plan.
        step: One of its steps.
    """
    if step.kind == "combine":
        return range(0)
    if step.solves:
        return range(min(plan.training["epochs"], AHEAD_VIEWS))
    return range(step.first_epoch, step.first_epoch + step.epochs)


def views_in(plan: RunPlan, epochs: range, digest: str) -> set[int | None]:
    """Return the views of a training image that some epochs train on.

    Args:
        plan: The run's plan.
        epochs: The epochs.
        digest: Of the image's content.
    """
    views = plan.training["views"]
    return {view_of_epoch(views, plan.seed, digest, epoch) for epoch in epochs}


class Wanted:
    """Says which views of an image the steps of a run ask for at which cuts, as far as made ahead.

    Args:
        plan: The run's plan, with what each step keeps.
        usable: Of each step, whether what it keeps can be computed before the run trains anything.
    """

    def __init__(self, plan: RunPlan, usable: Sequence[bool]) -> None:
        self._plan = plan
        self._steps = [
            (step, step.cache.cut)
            for step, ahead in zip(plan.steps, usable, strict=True)
            if step.cache.level == "features" and ahead
        ]

    def __call__(self, split: str, digest: str) -> dict[int | None, frozenset[int]]:
        """Return the cuts at which each view is wanted.

        Args:
            split: Name of the split.
            digest: Of the image's content.
        """
        found: dict[int | None, set[int]] = {}
        for step, cut in self._steps:
            for view in self._views(step, split, digest):
                found.setdefault(view, set()).add(cut)
        return {view: frozenset(cuts) for view, cuts in found.items()}

    def _views(self, step: PlannedStep, split: str, digest: str) -> set[int | None]:
        plan = self._plan
        if split == "validation" or (split == SELECTION and looks(plan, step)):
            return {None}
        if split != "train":
            return {None} if step == plan.steps[-1] and split == plan.metrics_on else set()
        epochs = epochs_of(plan, step)
        views = plan.training["views"]
        if draws_views(plan, step):
            # What an epoch draws is known only when all images have been read.
            return set()
        if isinstance(views, int) and views <= AHEAD_VIEWS:
            # Each of K views comes once in K epochs, so these have all of them.
            epochs = epochs[:AHEAD_VIEWS]
        elif views != "none":
            epochs = range(epochs.start, min(epochs.stop, AHEAD_VIEWS))
        return views_in(plan, epochs, digest)


def stored_shares(
    wanted: Wanted,
    entries: Mapping[int, Entry],
    digests: Mapping[str, Sequence[str | None]],
    augmentation_seed: int,
) -> dict[int, float]:
    """Return what share of what is wanted is stored already, by cut.

    Args:
        wanted: What is.
        entries: Where, by cut.
        digests: Of the contents of each split's images; None where it is not known, and then it is
            not known what is stored of it.
        augmentation_seed: Draws the views.
    """
    keys: dict[int, list[bytes]] = {cut: [] for cut, entry in entries.items() if len(entry)}
    unknown = 0
    for split, known in digests.items() if keys else ():
        for digest in known:
            if digest is None:
                unknown += 1
                continue
            for view, cuts in wanted(split, digest).items():
                key = row_key(digest, view, augmentation_seed)
                for cut in cuts & keys.keys():
                    keys[cut].append(key)
    return {
        cut: float(entries[cut].find(of_cut).sum()) / (len(of_cut) + unknown)
        for cut, of_cut in keys.items()
        if of_cut
    }


def with_caches(plan: RunPlan, caches: Sequence[StepCache]) -> RunPlan:
    """Return a plan with what each step keeps.

    Args:
        plan: The plan.
        caches: Of each step.
    """
    steps = [replace(step, cache=cache) for step, cache in zip(plan.steps, caches, strict=True)]
    return replace(plan, steps=tuple(steps))
