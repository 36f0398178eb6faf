"""The boundary of what is frozen in each step: where it lies, what is kept there, how it is filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tlf.engine.costs import assumed_costs, measured_costs
from tlf.engine.descriptions import describe_features, describe_images
from tlf.engine.features import Features, Feed, Filling
from tlf.engine.remembered import FileMemory, StoredImages
from tlf.engine.wanted import Wanted, all_stored, usage_of, with_caches
from tlf.planning import Costs, StepCache, decide_cache

if TYPE_CHECKING:
    from tlf.cache import Cache, Entry
    from tlf.engine.freeze import FreezeContract
    from tlf.engine.inference import Inference
    from tlf.engine.model import Model
    from tlf.engine.prepare import Job
    from tlf.planning import RunPlan
    from tlf.registry import Registry


def boundaries(plan: RunPlan, model: Model, inference: Inference) -> tuple[int, ...]:
    """Return, for each step, how many stages lie before the boundary that can be used.

    As many as are frozen, or fewer where cutting the network there would change a feature.

    Args:
        plan: The run's plan.
        model: The network. It is left as the last step has it.
        inference: The same network in evaluation.
    """
    cuts = []
    for step in plan.steps:
        model.thaw(step.trainable)
        cuts.append(inference.exact_cut(model.frozen_stages))
    return tuple(cuts)


def with_assumed_caches(job: Job) -> RunPlan:
    """Return a plan with what each step would keep, by assumed costs.

    Args:
        job: The planned run.
    """
    cuts = tuple(step.frozen_stages for step in job.plan.steps)
    return decided_plan(job, cuts, assumed_costs(job))


def decided_plan(job: Job, cuts: Sequence[int], costs: Costs) -> RunPlan:
    """Return a plan with what each step keeps.

    Args:
        job: The planned run.
        cuts: Of each step, how many stages lie before the boundary.
        costs: Of this machine.
    """
    plan = job.plan
    usages = [usage_of(plan, step, cut) for step, cut in zip(plan.steps, cuts, strict=True)]
    off = job.spec.cache.mode == "off"
    caches = decide_cache(
        usages,
        costs,
        budget=0 if off else int(job.spec.cache.max_gb * 1e9),
        shared_views=plan.training["views"] != "every-epoch",
    )
    if off:
        caches = tuple(replace(one, why="`cache.mode` is `off`") for one in caches)
    return with_caches(plan, caches)


@dataclass
class Boundary:
    """What a run keeps at the boundary, and how it gets there.

    Attributes:
        job: The planned run.
        registry: The installed plugins.
        model: The network.
        features: Computes what crosses the boundary.
        contract: Knows the digests of the network's tensors.
        cache: Where things are kept; None if nothing is.
        cuts: Of each step, how many stages lie before the boundary.
        images: Decoded images that are kept; None if none are.
    """

    job: Job
    registry: Registry
    model: Model
    features: Features
    contract: FreezeContract
    cache: Cache | None
    cuts: tuple[int, ...]
    images: StoredImages | None = None

    def decide(self) -> RunPlan:
        """Return the plan with what each step keeps.

        Measures what things cost, unless everything that the steps want is stored already.
        """
        plan = self._all_features()
        if plan is not None:
            return plan
        return decided_plan(self.job, self.cuts, measured_costs(self.job, self.features.inference))

    def _all_features(self) -> RunPlan | None:
        """Return the plan in which every step finds its features, if all of them are stored."""
        plan = self.job.plan
        usages = [usage_of(plan, s, cut) for s, cut in zip(plan.steps, self.cuts, strict=True)]
        late = any(usage.late for usage in usages)
        if self.cache is None or late or 0 in self.cuts or not all(self._ahead()):
            return None
        caches = [
            StepCache("features", cut, why="everything is stored already") for cut in self.cuts
        ]
        plan = with_caches(plan, caches)
        memory = FileMemory(self.cache)
        digests = {}
        for name, items in self.job.dataset.splits.items():
            paths = [item.path for item in items if item.path is not None]
            if len(paths) < len(items):
                return None
            digests[name] = memory.recall(paths)
        entries = {cut: self._entry(cut) for cut in set(self.cuts)}
        seed = self.features.augmentation_seed
        return plan if all_stored(Wanted(plan, self._ahead()), entries, digests, seed) else None

    def _ahead(self) -> list[bool]:
        """Return, for each step, whether its frozen part is still what it was at the start."""
        # What an earlier step trains is another network by the time of the later one.
        ahead, trained = [], len(self.model.backbone.stages)
        for step, cut in zip(self.job.plan.steps, self.cuts, strict=True):
            ahead.append(cut <= trained)
            trained = min(trained, step.frozen_stages)
        return ahead

    def filling(self, plan: RunPlan) -> Filling:
        """Return what fills the stores while the images are read.

        Args:
            plan: With what each step keeps.
        """
        if self.cache is not None and any(step.cache.decoded for step in plan.steps):
            self.images = StoredImages(self.cache.entry(describe_images(self.job, self.registry)))
        ahead = self._ahead()
        cuts = {
            step.cache.cut
            for step, early in zip(plan.steps, ahead, strict=True)
            if early and step.cache.level == "features"
        }
        self.features.entries = {cut: self._entry(cut) for cut in cuts}
        return Filling(
            self.features,
            Wanted(plan, ahead),
            decoded=None if self.images is None else self.images.entry,
            # Who keeps nothing has to see that every image can be decoded.
            always=any(step.cache.level == "none" for step in plan.steps),
        )

    def feed(self, index: int, plan: RunPlan) -> Feed:
        """Return what makes the inputs of a step, which is about to begin.

        Args:
            index: Of the step.
            plan: With what each step keeps.
        """
        cache = plan.steps[index].cache
        stored = cache.cut if cache.level == "features" and self.cache is not None else 0
        if index:
            # An earlier step may have trained what is frozen now.
            self.features.inference.update()
        self.features.entries = {stored: self._entry(stored)} if stored else {}
        return Feed(self.features, self.cuts[index], stored)

    def _entry(self, cut: int) -> Entry:
        assert self.cache is not None
        stages = self.model.backbone.stages[:cut]
        groups = [f"{stage.name}:{kind}" for stage in stages for kind in stage.groups]
        digests = self.contract.digests(self.model.names_in(groups))
        return self.cache.entry(describe_features(self.job, self.registry, cut, digests))
