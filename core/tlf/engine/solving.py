"""A step that solves for the head: features from the boundary, mathematics from `solve`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tlf.data import in_background
from tlf.engine.model import LinearHead
from tlf.engine.solve import (
    KS,
    STRENGTHS,
    Blocks,
    hold_out_items,
    solve_logistic,
    solve_neighbours,
)
from tlf.engine.wanted import epochs_of, views_in

if TYPE_CHECKING:
    from tlf.data import Loaded, LoadedSplit
    from tlf.engine.features import Feed
    from tlf.engine.model import Model
    from tlf.planning import PlannedStep, RunPlan

#: Views in a block.
BLOCK = 64


@dataclass(frozen=True)
class HeadSolver:
    """Solves for the head of a network whose backbone is frozen.

    Attributes:
        model: The network; it gets the head.
        step: The step.
        plan: The run's plan.
        loaded: The images.
        feed: Makes features of them.
        weights: What each class counts for, `(classes,)`; None for 1. Neighbours have one vote each.
    """

    model: Model
    step: PlannedStep
    plan: RunPlan
    loaded: Loaded
    feed: Feed
    weights: torch.Tensor | None = None

    def solve(self) -> dict[str, Any]:
        """Solve for the head and put it on the network; return what was tried and chosen."""
        step, train = self.step, self.loaded.splits["train"]
        everything = list(range(len(train)))
        fitted, held, on = everything, None, None
        grid: tuple[float, ...] = step.grid or (STRENGTHS if step.kind == "lbfgs" else KS)
        if len(set(grid)) > 1:
            # Held out for the whole plan; or, where what is reported is of other images, those.
            on = self.plan.selection_on
            if on is not None:
                split = self.loaded.splits[on]
                held = self._blocks(split, range(len(split)), evaluated=True)
            else:
                rest, chosen_on = hold_out_items(train.items, seed=self.plan.seed)
                on, fitted = "images held out of train", rest.tolist()
                held = self._blocks(train, chosen_on.tolist(), evaluated=True)
                if not len(chosen_on):
                    # Every class has one image: nothing can be held out, and nothing chosen.
                    grid, held, on = (sorted(grid)[len(grid) // 2],), None, None
        parts = (self._blocks(train, fitted), held, self._blocks(train, everything))
        record = self._fit(step.kind, grid, *parts)
        return {"method": step.kind, "chosen_on": on, **record}

    def _fit(
        self,
        method: str,
        grid: Sequence[float],
        fitted: Blocks,
        held: Blocks | None,
        everything: Blocks,
    ) -> dict[str, Any]:
        classes = len(self.plan.classes)
        if method == "knn":
            neighbours, record = solve_neighbours(
                fitted, held, everything, classes, [int(k) for k in grid]
            )
            self.model.replace_head(neighbours)
            return record
        head = self.model.head
        assert isinstance(head, LinearHead)
        width = head.linear.in_features
        fit, record = solve_logistic(fitted, held, everything, width, classes, grid, self.weights)
        with torch.no_grad():
            head.linear.weight.copy_(fit.weight)
            head.linear.bias.copy_(fit.bias)
        return record

    def _blocks(
        self, split: LoadedSplit, indices: Sequence[int], *, evaluated: bool = False
    ) -> Blocks:
        """Return the features of some images: of the views to train on, or of evaluation's."""
        pairs = [
            (index, view)
            for index in indices
            for view in ([None] if evaluated else self._views(split.digests[index]))
        ]

        def fetch(start: int) -> tuple[Any, torch.Tensor]:
            part = pairs[start : start + BLOCK]
            places = [index for index, _ in part]
            return self.feed.fetch(split, places, [view for _, view in part]), split.labels[places]

        def blocks() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for fetched, labels in in_background(fetch, range(0, len(pairs), BLOCK)):
                yield self.feed.crossing(fetched), labels

        return blocks

    def _views(self, digest: str) -> list[int | None]:
        """Return the views of an image that are solved on, each once."""
        views = views_in(self.plan, epochs_of(self.plan, self.step), digest)
        return sorted(views, key=lambda view: -1 if view is None else view)
