"""The boundary of what is frozen in each step: where it lies, what is kept there, how it is filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tlf.engine.costs import assumed_costs, measured_costs
from tlf.engine.descriptions import describe_features, describe_images
from tlf.engine.features import Features, Feed, Filling
from tlf.engine.remembered import FileMemory, StoredImages
from tlf.engine.wanted import Wanted, stored_shares, usage_of, with_caches
from tlf.planning import Costs, StepCache, Usage, decide_cache

if TYPE_CHECKING:
    from tlf.cache import Cache, Entry
    from tlf.engine.freeze import FreezeContract
    from tlf.engine.inference import Inference
    from tlf.engine.model import Model
    from tlf.engine.prepare import Job
    from tlf.planning import PlannedStep, RunPlan
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


def decided_plan(
    job: Job, cuts: Sequence[int], costs: Costs, stored: Mapping[int, float] | None = None
) -> RunPlan:
    """Return a plan with what each step keeps.

    Args:
        job: The planned run.
        cuts: Of each step, how many stages lie before the boundary.
        costs: Of this machine.
        stored: What share of the rows is stored already, by cut.
    """
    plan = job.plan
    usages = [usage_of(plan, step, cut) for step, cut in zip(plan.steps, cuts, strict=True)]
    shared = plan.training["views"] != "every-epoch"
    return with_caches(plan, _decided(job, usages, costs, shared_views=shared, stored=stored))


def _decided(
    job: Job,
    usages: Sequence[Usage],
    costs: Costs,
    *,
    spent: int = 0,
    shared_views: bool = False,
    stored: Mapping[int, float] | None = None,
) -> tuple[StepCache, ...]:
    """Return what some steps keep, of what the spec allows and other steps leave."""
    off = job.spec.cache.mode == "off"
    budget = 0 if off else max(0, int(job.spec.cache.max_gb * 1e9) - spent)
    caches = decide_cache(usages, costs, budget=budget, shared_views=shared_views, stored=stored)
    if off:
        return tuple(replace(one, why="`cache.mode` is `off`") for one in caches)
    return caches


#: Images by which it is found out what share of a split is stored.
_SAMPLE = 500


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
        costs: What things cost; None until they are measured.
    """

    job: Job
    registry: Registry
    model: Model
    features: Features
    contract: FreezeContract
    cache: Cache | None
    cuts: tuple[int, ...]
    images: StoredImages | None = None
    costs: Costs | None = None

    def decide(self) -> RunPlan:
        """Return the plan with what each step keeps.

        Measures what things cost, unless everything that the steps want is stored already.
        """
        digests = self._known_digests()
        stored = self._stored_at(self.cuts, digests)
        if self._finds_all(stored):
            caches = [
                StepCache("features", cut, why="everything is stored already") for cut in self.cuts
            ]
            return with_caches(self.job.plan, caches)
        costs = self._costs()
        if digests:
            for cut in range(1, max(self.cuts, default=0) + 1):
                at_most = [min(cut, own) for own in self.cuts]
                stored = {**self._stored_at(at_most, _sample(digests)), **stored}
        return decided_plan(self.job, self.cuts, costs, stored)

    def _costs(self) -> Costs:
        if self.costs is None:
            self.costs = measured_costs(self.job, self.features.inference)
        return self.costs

    def resolve(self, index: int, step: PlannedStep, cut: int, plan: RunPlan) -> RunPlan:
        """Return the plan with a step that has picked what it trains, and what it keeps then.

        Args:
            index: Of the step.
            step: The step, resolved.
            cut: How many stages lie before its boundary.
            plan: The plan so far.
        """
        self.cuts = (*self.cuts[:index], cut, *self.cuts[index + 1 :])
        before, after = plan.steps[:index], plan.steps[index + 1 :]
        plan = replace(plan, steps=(*before, step, *after))
        spent = sum(one.cache.bytes for one in (*before, *after))
        usage = usage_of(plan, step, cut)
        (cache,) = _decided(self.job, [usage], self._costs(), spent=spent)
        # Decoded images are kept, or not, from the start of the run on.
        step = replace(step, cache=replace(cache, decoded=step.cache.decoded))
        return replace(plan, steps=(*before, step, *after))

    def _finds_all(self, stored: Mapping[int, float]) -> bool:
        """Say whether every step finds its features stored."""
        plan = self.job.plan
        usages = [usage_of(plan, s, cut) for s, cut in zip(plan.steps, self.cuts, strict=True)]
        late = any(usage.late or usage.mixed for usage in usages)
        return not late and all(self._ahead()) and all(stored.get(cut) == 1 for cut in self.cuts)

    def _known_digests(self) -> dict[str, list[str | None]]:
        """Return the digests of the contents of each split's images, as far as they are known."""
        if self.cache is None:
            return {}
        memory, digests = FileMemory(self.cache), {}
        for name, items in self.job.dataset.splits.items():
            known = iter(memory.recall([item.path for item in items if item.path is not None]))
            digests[name] = [None if item.path is None else next(known) for item in items]
        return digests

    def _stored_at(
        self, cuts: Sequence[int], digests: Mapping[str, Sequence[str | None]]
    ) -> dict[int, float]:
        """Return what share of the rows is stored, by cut, if each step kept its features at one.

        Args:
            cuts: Of each step.
            digests: Of the contents of each split's images.
        """
        if self.cache is None or not digests:
            return {}
        kept = [StepCache("features", cut) if cut else StepCache() for cut in cuts]
        wanted = Wanted(with_caches(self.job.plan, kept), self._ahead())
        entries = {cut: self._entry(cut) for cut in set(cuts) - {0}}
        return stored_shares(wanted, entries, digests, self.features.augmentation_seed)

    def _ahead(self) -> list[bool]:
        """Return, for each step, whether its frozen part is still what it was at the start."""
        # What an earlier step trains is another network by the time of the later one.
        ahead, trained = [], len(self.model.backbone.stages)
        for step, cut in zip(self.job.plan.steps, self.cuts, strict=True):
            ahead.append(cut <= trained)
            trained = min(trained, step.frozen_stages)
        return ahead

    def filling(self, plan: RunPlan, first: int = 0) -> Filling:
        """Return what fills the stores while the images are read.

        Args:
            plan: With what each step keeps.
            first: Index of the first step that is still to be carried out.
        """
        if self.cache is not None and any(step.cache.decoded for step in plan.steps):
            self.images = StoredImages(self.cache.entry(describe_images(self.job, self.registry)))
        ahead = [early and index >= first for index, early in enumerate(self._ahead())]
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


def _sample(digests: Mapping[str, Sequence[str | None]]) -> dict[str, Sequence[str | None]]:
    return {name: known[:: len(known) // _SAMPLE + 1] for name, known in digests.items()}
