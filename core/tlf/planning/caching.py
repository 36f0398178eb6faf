"""What is worth keeping: a cost model of what each step computes again and again. Pure.

It decides only where something is kept. What is computed is the same whatever it decides, so measured
times may go into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

#: What a disk is taken to write and read, in bytes a second. Cautious: most of what is written stays
#: in the system's memory, and is read from there.
WRITE_SPEED = 300e6
READ_SPEED = 1e9
#: Seconds that finding and checking one row takes.
ROW_SECONDS = 1e-5
#: Rows that are used once are kept too if that adds no more than this share: the next run, with
#: another seed or another learning rate, finds them.
KEEPING_SHARE = 0.1

#: How many views of an image are made in the one pass before the training; more would take memory, and
#: delay the first epoch. The others are made when their epoch comes.
AHEAD_VIEWS = 10

Level = Literal["none", "decoded", "features"]


@dataclass(frozen=True)
class StepCache:
    """What one step keeps and finds again.

    Attributes:
        level: `features`: what crosses a cut of the frozen part; `decoded`: images that are decoded
            and brought to one size; `none`.
        cut: How many stages lie before the cut; 0 unless it is features.
        bytes: How many bytes are kept.
        decoded: Whether decoded images are kept: instead of features, or for the views that come late.
        seconds: What the step's frozen part is predicted to take, with what is kept; decoding
            included.
        seconds_without: The same if nothing were kept.
        why: The reason, in a few words.
    """

    level: Level = "none"
    cut: int = 0
    bytes: int = 0
    decoded: bool = False
    seconds: float = 0.0
    seconds_without: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class Costs:
    """What things cost on this machine, for one image.

    Attributes:
        decode: Seconds to read and decode it.
        view: Seconds to make a view of it.
        stages: Seconds of each stage, in evaluation.
        row_bytes: Bytes of what comes out of each stage.
        decoded_bytes: Bytes of a decoded image.
        measured: Whether the seconds were measured here; else they are assumed.
    """

    decode: float
    view: float
    stages: tuple[float, ...]
    row_bytes: tuple[int, ...]
    decoded_bytes: int
    measured: bool

    def forward(self, start: int, stop: int) -> float:
        """Return the seconds that some of the stages take.

        Args:
            start: Index of the first stage.
            stop: Index after the last stage.
        """
        return sum(self.stages[start:stop])


@dataclass(frozen=True)
class Usage:
    """How often one step looks at how many images.

    Attributes:
        frozen: How many stages are frozen, from the first on.
        epochs: Epochs of the step.
        train: Images to train on.
        views: How many views of each of them the step uses.
        evaluated: Images that are evaluated after each epoch.
        once: Images that are evaluated once, after the step.
        mixed: Whether images are mixed before the network sees them: no two are alike then.
        drawn: Whether views of training images are known only when their epoch comes.
    """

    frozen: int
    epochs: int
    train: int
    views: int
    evaluated: int
    once: int = 0
    mixed: bool = False
    drawn: bool = False

    @property
    def images(self) -> int:
        """How many images there are."""
        return self.train + self.evaluated + self.once

    @property
    def rows(self) -> int:
        """How many different views of images there are."""
        return self.train * self.views + self.evaluated + self.once

    @property
    def late(self) -> int:
        """How many views of images are made when their epoch comes, and not before the training."""
        return self.train * (self.views if self.drawn else max(0, self.views - AHEAD_VIEWS))

    @property
    def uses(self) -> int:
        """How often an image is looked at."""
        return self.epochs * (self.train + self.evaluated) + self.once


def decide_cache(
    usages: Sequence[Usage],
    costs: Costs,
    *,
    budget: int,
    shared_views: bool,
    stored: Mapping[int, float] | None = None,
) -> tuple[StepCache, ...]:
    """Decide what each step keeps.

    Where two cuts take about the same time, measured seconds choose now this one and now that one.
    A run finds what another has stored because a cut costs nothing as far as it is filled.

    Args:
        usages: Of each step.
        costs: Of this machine.
        budget: How many bytes may be kept in all.
        shared_views: Whether steps use the same views of an image, so that one pass serves them all.
        stored: What share of the rows is there already, by cut; nothing is where a cut is missing.
    """
    decided: list[StepCache] = []
    left = budget
    passed = Passed(shared_views, stored or {})
    for usage in usages:
        best = _best_cut(usage, costs, left, passed)
        if best.level == "features":
            left -= best.bytes
            if passed.missing(best.cut):
                passed = replace(passed, cut=max(passed.cut, best.cut))
        decided.append(best)
    return _with_decoded(usages, decided, costs, left)


@dataclass(frozen=True)
class Passed:
    """What the one pass over the images computes anyway, for earlier steps.

    Attributes:
        shared_views: Whether these are the views of later steps too.
        stored: What share of the rows is there already, by cut.
        cut: How many stages it goes through; 0 if there is no pass.
    """

    shared_views: bool
    stored: Mapping[int, float] = field(default_factory=dict)
    cut: int = 0

    def missing(self, cut: int) -> float:
        """Return what share of the rows at a cut is not there yet.

        Args:
            cut: How many stages lie before the cut.
        """
        return 1 - self.stored.get(cut, 0.0)

    def seconds(self, usage: Usage, costs: Costs, cut: int) -> float:
        """Return what it takes to compute, and keep, what crosses a cut beside that.

        Args:
            usage: Of the step that wants it.
            costs: Of this machine.
            cut: How many stages lie before the cut.
        """
        begun = self.cut if self.shared_views else 0
        decode = (0 if self.cut else usage.images) * costs.decode + usage.late * costs.decode
        view = 0.0 if begun else costs.view
        forward = costs.forward(begun, max(cut, begun))
        write = costs.row_bytes[cut - 1] / WRITE_SPEED
        return self.missing(cut) * (decode + usage.rows * (view + forward + write))


def _best_cut(usage: Usage, costs: Costs, left: int, passed: Passed) -> StepCache:
    """Return the best that one step can keep of its frozen part."""
    source = costs.decode + costs.view
    without = usage.uses * (source + costs.forward(0, usage.frozen))
    nothing = StepCache(seconds=without, seconds_without=without)
    if usage.frozen == 0:
        return replace(nothing, why="nothing is frozen")
    if usage.mixed:
        return replace(nothing, why="`training.mixing` makes a new image of each")
    choices = []
    for cut in range(1, usage.frozen + 1):
        size = usage.rows * costs.row_bytes[cut - 1]
        if size <= left:
            read = costs.row_bytes[cut - 1] / READ_SPEED + ROW_SECONDS
            again = usage.uses * (read + costs.forward(cut, usage.frozen))
            choices.append((passed.seconds(usage, costs, cut) + again, -cut, size))
    if not choices:
        return replace(nothing, why="it would not fit into `cache.max_gb`")
    seconds, cut, size = min(choices)
    if seconds > without * (1 + KEEPING_SHARE):
        return replace(nothing, why="keeping it would take longer than computing it")
    why = (
        f"{usage.rows:,} views, each once and not {usage.uses / usage.rows:.1f} times"
        if usage.uses > usage.rows
        else f"{usage.rows:,} views, for later runs"
    )
    return StepCache(
        level="features",
        cut=-cut,
        bytes=size,
        seconds=seconds,
        seconds_without=without,
        why=why,
    )


def _with_decoded(
    usages: Sequence[Usage], decided: Sequence[StepCache], costs: Costs, left: int
) -> tuple[StepCache, ...]:
    """Let the steps that decode again and again keep decoded images, if that pays."""
    again = [
        usage.uses if one.level == "none" else usage.late
        for usage, one in zip(usages, decided, strict=True)
    ]
    images = max(
        (usage.images for usage, uses in zip(usages, again, strict=True) if uses), default=0
    )
    size = images * costs.decoded_bytes
    read = costs.decoded_bytes / READ_SPEED + ROW_SECONDS
    write = costs.decoded_bytes / WRITE_SPEED
    pays = sum(again) * costs.decode > sum(again) * read + images * write
    if not pays or size > left:
        return tuple(decided)
    return tuple(
        replace(
            one,
            level="decoded" if one.level == "none" else one.level,
            decoded=True,
            bytes=one.bytes + size,
            seconds=one.seconds - uses * (costs.decode - read),
            why=f"{one.why}; images are decoded once",
        )
        if uses
        else one
        for one, uses in zip(decided, again, strict=True)
    )
