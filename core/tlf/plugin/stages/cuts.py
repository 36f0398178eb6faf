"""Where a network can be cut in two so that one single tensor crosses, and which cuts to take."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from math import prod
from typing import Literal

import torch

from tlf.plugin.stages.recording import BEFORE, Event, Key, Recording

#: How many stages are wanted: the network is looked into until there are so many.
WANTED_STAGES = 8
#: How many stages there may be at most; more are merged.
MOST_STAGES = 30
#: A split is balanced if no stage has more than this share of the parameters.
LARGEST_SHARE = 0.6
#: A split is balanced if it has at least this many stages.
BALANCED_STAGES = 4


@dataclass(frozen=True)
class Cut:
    """A place between two stages.

    Attributes:
        kind: `out` if the tensor is what the module returns, `in` if it is what goes into it.
        module: The module's path.
        event: Index of the event in the recording of the evaluation mode.
        time: How many operations of that recording come before it.
        train_time: How many operations of the recording of the train mode come before it.
        shape: Of the tensor that crosses, without the batch dimension.
        overwritten: Whether what follows writes into that tensor.
    """

    kind: Literal["in", "out"]
    module: str
    event: int
    time: int
    train_time: int
    shape: tuple[int, ...]
    overwritten: bool

    @property
    def depth(self) -> int:
        """How deep in the network the module lies; 1 for the outermost."""
        return self.module.count(".") + 1


@dataclass(frozen=True)
class Recordings:
    """Three recordings of one network.

    Attributes:
        two: In evaluation mode, a batch of two images.
        three: In evaluation mode, a batch of three.
        train: In train mode, a batch of two.
        parameters: Number of elements of each parameter, by name.
    """

    two: Recording
    three: Recording
    train: Recording
    parameters: Mapping[str, int]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what the network returns for one image."""
        assert isinstance(self.two.output, torch.Tensor)
        return tuple(self.two.output.shape[1:])


def possible_cuts(recordings: Recordings) -> list[Cut]:
    """Return all places where the network can be cut, in order.

    A place is one if a single tensor that depends on the image crosses it, in both modes; if the
    tensor's first dimension is the batch and no other depends on it; and if no parameter is used on
    both sides. It does not lie within what a module does differently in train mode, so that one
    stage has the say over that module's mode, and not between a convolution and the batch
    normalisation of its output alone, which belong together.

    Args:
        recordings: Of the network.
    """
    two, three, train = (
        _crossings(recording, recordings.parameters)
        for recording in (recordings.two, recordings.three, recordings.train)
    )
    switched = list(mode_ranges(recordings.two, recordings.train).values())
    cuts = []
    for (kind, module), (index, key) in two.items():
        if (kind, module) not in three or (kind, module) not in train:
            continue
        event = recordings.two.events[index]
        train_event = recordings.train.events[train[kind, module][0]]
        other = three[kind, module][1]
        if key[2][:1] != (2,) or other[2] != (3, *key[2][1:]):
            continue
        if any(first < train_event.time <= last for first, last in switched):
            continue
        if _parts_convolution_and_norm(recordings.two, event, key):
            continue
        overwritten = recordings.two.writes.get(key[0], BEFORE) >= event.time
        cuts.append(Cut(kind, module, index, event.time, train_event.time, key[2][1:], overwritten))
    return cuts


def _crossings(
    recording: Recording, parameters: Iterable[str]
) -> dict[tuple[Literal["in", "out"], str], tuple[int, Key]]:
    """Return the events at which one tensor alone crosses, each with that tensor."""
    alone = _alone(recording)
    shared = _between_uses(recording, parameters)
    found = {}
    for index, event in enumerate(recording.events):
        span = recording.spans[event.module]
        if event.tensor is None or span.calls > 1 or shared[event.time]:
            continue
        value = alone[event.time]
        if value is None or value[0] != event.tensor:
            continue
        # What is put into a module does not reach a caller who goes on with a tensor of its own.
        if event.kind == "in" and recording.last_read[value] >= recording.events[span.end].time:
            continue
        found[event.kind, event.module] = (index, event.tensor)
    return found


def _alone(recording: Recording) -> list[tuple[Key, int] | None]:
    """Return, for each time, the one value that is made before it and read after; None if more."""
    times = len(recording.operations) + 1
    values = list(recording.last_read.items())
    # Each value is alive from the moment after it is made to its last reading. Sums over those who
    # are born and die tell how many are alive, and, where it is one, which.
    count, which = [0] * (times + 1), [0] * (times + 1)
    for number, ((_, made), read) in enumerate(values):
        born = max(made, BEFORE) + 1
        count[born] += 1
        count[read + 1] -= 1
        which[born] += number
        which[read + 1] -= number
    alive = zip(accumulate(count[:times]), accumulate(which[:times]), strict=True)
    return [values[sum_][0] if number == 1 else None for number, sum_ in alive]


def _between_uses(recording: Recording, parameters: Iterable[str]) -> list[bool]:
    """Say for each time whether some parameter is used both before and after it."""
    change = [0] * (len(recording.operations) + 2)
    for name in parameters:
        if name in recording.first_use:
            change[recording.first_use[name] + 1] += 1
            change[recording.last_use[name] + 1] -= 1
    return [number > 0 for number in accumulate(change)]


def mode_ranges(evaluation: Recording, train: Recording) -> dict[str, tuple[int, int]]:
    """Return, by module, the first and last time at which it does something special in train mode.

    Times are those of the train recording. Only what a module does itself counts, not what the
    modules inside it do: what is found here is decided by the module's own `training` flag.

    Args:
        evaluation: Recording in evaluation mode.
        train: Recording in train mode, of an equal batch.
    """
    ranges = {}
    for module, steps in train.own.items():
        wanted = [signature for _, signature in evaluation.own.get(module, [])]
        times = _changed_times(wanted, steps)
        if times:
            ranges[module] = (min(times), max(times))
    return ranges


def _changed_times(
    wanted: Sequence[tuple[object, ...]], steps: Sequence[tuple[int, tuple[object, ...]]]
) -> list[int]:
    given = [signature for _, signature in steps]
    if given == wanted:
        return []
    times = []
    # Batch normalisation in train mode, say, does the same as in evaluation mode and more.
    matcher = SequenceMatcher(a=wanted, b=given, autojunk=False)
    for change, _, _, first, last in matcher.get_opcodes():
        if change == "delete":
            # Left out in train mode: where it would be is between its neighbours.
            times += [steps[min(max(first - 1, 0), len(steps) - 1)][0]]
            times += [steps[min(first, len(steps) - 1)][0]]
        elif change != "equal":
            times += [time for time, _ in steps[first:last]]
    return times


def _parts_convolution_and_norm(recording: Recording, event: Event, key: Key) -> bool:
    reads = [
        (first, made)
        for (value, made), first in recording.first_read.items()
        if value == key and made < event.time <= recording.last_read[value, made]
    ]
    if not reads or reads[0][1] < 0 or reads[0][0] >= len(recording.operations):
        return False
    first, made = reads[0]
    maker, reader = recording.operations[made], recording.operations[first]
    return "convolution" in maker and "batch_norm" in reader


def choose_cuts(possible: Sequence[Cut], recordings: Recordings) -> list[Cut]:
    """Return the cuts to take: few enough to read, enough to choose from.

    The network is looked into, level by level, until there are at least 8 stages, each with
    parameters of its own, and the split is balanced. If it never is, the first level with 8 stages is
    taken, or else the deepest. More than 30 stages are merged, those with the least work first.

    Args:
        possible: All cuts, in order.
        recordings: Of the network.
    """
    by_depth = [
        _merge_smallest(_cuts_to_depth(possible, depth, recordings), recordings)
        for depth in range(1, 1 + max((cut.depth for cut in possible), default=0))
    ]
    many = [cuts for cuts in by_depth if len(cuts) + 1 >= WANTED_STAGES]
    balanced = [cuts for cuts in many if is_balanced(cuts, recordings)]
    return (balanced or many or by_depth[-1:] or [[]])[0]


def _cuts_to_depth(possible: Sequence[Cut], depth: int, recordings: Recordings) -> list[Cut]:
    """Return the best cut between each two neighbouring parameters, by first use."""
    uses = _first_uses(recordings)
    best: dict[int, Cut] = {}
    for cut in possible:
        gap = bisect_left(uses, cut.time)
        # Every stage is to have a parameter, the first and the last too.
        if cut.depth <= depth and 0 < gap < len(uses):
            best[gap] = min(best.get(gap, cut), cut, key=_cost)
    return [best[gap] for gap in sorted(best)]


def _first_uses(recordings: Recordings) -> list[int]:
    used = recordings.two.first_use
    return sorted(used[name] for name in recordings.parameters if name in used)


def _cost(cut: Cut) -> tuple[object, ...]:
    # The smallest tensor is the cheapest to keep; then the latest place, which leaves an activation
    # that writes into its input to the stage that ends, but a dropout to the stage whose input it
    # drops; then the name of the outermost module.
    return prod(cut.shape), -cut.time, cut.train_time, cut.depth, cut.kind == "in"


def _merge_smallest(cuts: list[Cut], recordings: Recordings) -> list[Cut]:
    work = list(accumulate(recordings.two.flops, initial=0))
    cuts = list(cuts)
    while len(cuts) + 1 > MOST_STAGES:
        ends = [0, *(cut.time for cut in cuts), len(work) - 1]
        together = [work[ends[i + 2]] - work[ends[i]] for i in range(len(cuts))]
        del cuts[together.index(min(together))]
    return cuts


def is_balanced(cuts: Sequence[Cut], recordings: Recordings) -> bool:
    """Say whether a split leaves a planner enough to choose from; see `imbalances`.

    Args:
        cuts: The cuts, in order.
        recordings: Of the network.
    """
    return not imbalances(cuts, recordings)


def imbalances(cuts: Sequence[Cut], recordings: Recordings) -> list[str]:
    """Return what keeps a split from being balanced, a sentence each.

    A split is balanced if it has at least four stages, none of which holds more than 60% of the
    parameters, and at least one cut in each third of the floating-point operations.

    Args:
        cuts: The cuts, in order.
        recordings: Of the network.
    """
    found = []
    if len(cuts) + 1 < BALANCED_STAGES:
        found.append(f"{len(cuts) + 1} stages")
    share = largest_share(cuts, recordings)
    if share > LARGEST_SHARE:
        sizes = recordings.parameters.values()
        # What is one tensor cannot be cut, by anybody.
        alone = max(sizes) / sum(sizes) > LARGEST_SHARE
        where = "one tensor" if alone else "one stage"
        found.append(f"{where} holds {share:.0%} of the parameters")
    places = work_before(cuts, recordings)
    for third, name in enumerate(("first", "second", "last")):
        if not any(third / 3 <= place <= (third + 1) / 3 for place in places):
            found.append(f"no cut in the {name} third of the operations")
    return found


def largest_share(cuts: Sequence[Cut], recordings: Recordings) -> float:
    """Return the largest share of the parameters that one stage holds, in [0, 1].

    Args:
        cuts: The cuts, in order.
        recordings: Of the network.
    """
    ends = [cut.time for cut in cuts]
    sizes = [0] * (len(cuts) + 1)
    for name, size in recordings.parameters.items():
        sizes[stage_of(ends, recordings.two.first_use.get(name, 0))] += size
    return max(sizes) / max(sum(sizes), 1)


def work_before(cuts: Sequence[Cut], recordings: Recordings) -> list[float]:
    """Return which share of the floating-point operations lies before each cut, in [0, 1].

    Args:
        cuts: The cuts, in order.
        recordings: Of the network.
    """
    work = list(accumulate(recordings.two.flops, initial=0))
    return [work[cut.time] / max(work[-1], 1) for cut in cuts]


def stage_of(ends: Sequence[int], time: int) -> int:
    """Return the index of the stage that an operation belongs to.

    Args:
        ends: The time of each cut, in order.
        time: The operation's.
    """
    return sum(end <= time for end in ends)
