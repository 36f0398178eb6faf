"""The split of an architecture into stages, as plain data that holds for any copy of the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import TreeSpec

from tlf.plugin.outline import GROUP_KINDS, GroupKind, StageOutline
from tlf.plugin.stages.cuts import (
    Cut,
    Recordings,
    choose_cuts,
    imbalances,
    mode_ranges,
    possible_cuts,
    stage_of,
)
from tlf.plugin.stages.folds import Fold, find_folds, find_lowered
from tlf.plugin.stages.kinds import kind_of_tensors, norm_modules
from tlf.plugin.stages.recording import Recording, Span, record


@dataclass(frozen=True)
class Group:
    """The tensors of one kind in one stage.

    Attributes:
        parameters: Names of its parameters, as the library calls them.
        buffers: Names of its buffers.
    """

    parameters: tuple[str, ...]
    buffers: tuple[str, ...]


@dataclass(frozen=True)
class DummyTensor:
    """What stands for a tensor that nobody reads.

    Attributes:
        two: Its shape for a batch of two images.
        three: Its shape for a batch of three.
        dtype: Its type.
        overwritten: Whether something is written into it later.
    """

    two: tuple[int, ...]
    three: tuple[int, ...]
    dtype: torch.dtype
    overwritten: bool

    def shape(self, batch: int) -> tuple[int, ...]:
        """Return its shape for any batch.

        Args:
            batch: Number of images.
        """
        return tuple(
            two + (three - two) * (batch - 2)
            for two, three in zip(self.two, self.three, strict=True)
        )


@dataclass(frozen=True)
class Stub:
    """What a finished module is replaced by when only what follows is run.

    Attributes:
        module: Its path.
        leaves: What it returns, flattened; a `DummyTensor` in the place of each tensor.
        tree: How the leaves belong together.
    """

    module: str
    leaves: tuple[Any, ...]
    tree: TreeSpec


@dataclass(frozen=True)
class StagePart:
    """One stage.

    Attributes:
        outline: What a planner knows of it.
        groups: Its tensors, by kind.
        modules: Paths of the modules whose mode it decides.
        norms: Those of them that are normalisations.
    """

    outline: StageOutline
    groups: Mapping[GroupKind, Group]
    modules: tuple[str, ...]
    norms: frozenset[str]


@dataclass(frozen=True)
class Split:
    """A network's stages.

    Attributes:
        stages: In order, at least one.
        cuts: Between them.
        stubs: For each cut, what stands for the modules that are finished before it.
        containers: Paths of modules that more than one stage runs in; their mode changes nothing.
        output_width: Number of features that the last stage returns.
        imbalances: What the split lacks, a sentence each; see `imbalances`.
        folds: Normalisations that evaluation can fold into convolutions.
        lowered: Names of the parameters that may be kept in the precision of the device.
        called: Paths of the modules whose own forward method runs, in evaluation and in training.
    """

    stages: tuple[StagePart, ...]
    cuts: tuple[Cut, ...]
    stubs: tuple[tuple[Stub, ...], ...]
    containers: tuple[str, ...]
    output_width: int
    imbalances: tuple[str, ...]
    folds: tuple[Fold, ...]
    lowered: frozenset[str]
    called: frozenset[str]


@dataclass(frozen=True)
class Kinds:
    """What the tensors and modules of a network are.

    Attributes:
        tensors: Kind of each parameter and buffer, by name.
        norms: Paths of the normalisations.
    """

    tensors: Mapping[str, GroupKind]
    norms: frozenset[str]


def split_network(network: nn.Module, image_size: int) -> Split:
    """Split a network into stages. It is run on the meta device and left in evaluation mode.

    Args:
        network: On the meta device; returns features `(N, width)`.
        image_size: Side of the square input image, in pixels.

    Raises:
        ValueError: The network does not return features `(N, width)`.
    """
    recordings = record_all(network, image_size)
    kinds = Kinds(kind_of_tensors(network), frozenset(norm_modules(network)))
    cuts = tuple(choose_cuts(possible_cuts(recordings), recordings))
    return split_at(network, recordings, cuts, kinds)


def split_at(
    network: nn.Module,
    recordings: Recordings,
    cuts: tuple[Cut, ...],
    kinds: Kinds,
    names: Sequence[str] = (),
) -> Split:
    """Return the stages that lie between some cuts.

    Args:
        network: What was recorded.
        recordings: Of the network.
        cuts: In order.
        kinds: Of the network.
        names: Of the stages; by default they are found.
    """
    modules, containers = _modes(network, cuts, recordings)
    names = names or _names(cuts, recordings, containers)
    return Split(
        stages=tuple(_stages(network, cuts, recordings, modules, (kinds, names))),
        cuts=cuts,
        stubs=tuple(tuple(_stubs(cut, recordings)) for cut in cuts),
        containers=containers,
        output_width=recordings.output_shape[0],
        imbalances=tuple(imbalances(cuts, recordings)),
        folds=tuple(find_folds(recordings.two)),
        lowered=frozenset(find_lowered(recordings.two)),
        called=frozenset(recordings.two.spans.keys() & recordings.train.spans.keys()),
    )


def record_all(network: nn.Module, image_size: int) -> Recordings:
    """Return the recordings of a network, which is left in evaluation mode.

    Args:
        network: On the meta device; returns features `(N, width)`.
        image_size: Side of the square input image, in pixels.

    Raises:
        ValueError: The network does not return features `(N, width)`.
    """

    def run(batch: int, *, train: bool) -> Recording:
        network.train(train)
        return record(network, torch.zeros(batch, 3, image_size, image_size, device="meta"))

    with torch.random.fork_rng(devices=[]):
        recordings = Recordings(
            two=run(2, train=False),
            three=run(3, train=False),
            train=run(2, train=True),
            parameters={name: value.numel() for name, value in network.named_parameters()},
        )
    network.eval()
    output = recordings.two.output
    if not isinstance(output, torch.Tensor) or output.ndim != 2 or output.shape[0] != 2:
        found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ValueError(
            f"a backbone must return one tensor (N, width), and for two images it returns {found}"
        )
    return recordings


def _modes(
    network: nn.Module, cuts: tuple[Cut, ...], recordings: Recordings
) -> tuple[list[list[str]], tuple[str, ...]]:
    """Return, by stage, the modules whose mode it decides; and those that none does."""
    special = mode_ranges(recordings.two, recordings.train)
    ends = [cut.time for cut in cuts]
    train_ends = [cut.train_time for cut in cuts]
    modules: list[list[str]] = [[] for _ in range(len(cuts) + 1)]
    containers: list[str] = []
    stages: dict[str, int | None] = {}
    stage: int | None
    for name, _ in network.named_modules():
        span = recordings.two.spans.get(name)
        if name in special:
            stage = stage_of(train_ends, special[name][0])
        elif span is not None:
            stage = _stage_of_span(span, cuts)
        elif name == "":
            stage = 0 if not ends else None
        else:
            # Never called: it goes where the module around it goes.
            stage = stages[name.rpartition(".")[0]]
        stages[name] = stage
        if stage is None:
            containers.append(name)
        else:
            modules[stage].append(name)
    return modules, tuple(containers)


def _stage_of_span(span: Span, cuts: tuple[Cut, ...]) -> int | None:
    """Return the stage that a module runs in, or None if it runs in several."""
    first = sum(cut.event < span.start or _begins(cut, span.start) for cut in cuts)
    last = sum(cut.event < span.end for cut in cuts)
    return first if first == last else None


def _begins(cut: Cut, event: int) -> bool:
    # A cut at what goes into a module lies before the module.
    return cut.kind == "in" and cut.event == event


def _stages(
    network: nn.Module,
    cuts: tuple[Cut, ...],
    recordings: Recordings,
    modules: list[list[str]],
    known: tuple[Kinds, Sequence[str]],
) -> Iterable[StagePart]:
    ends = [cut.time for cut in cuts]
    places = _tensor_stages(network, ends, recordings.two)
    kinds, stage_names = known
    sizes = recordings.parameters
    work = list(accumulate(recordings.two.flops, initial=0))
    times = [0, *ends, len(recordings.two.operations)]
    shapes = [*(cut.shape for cut in cuts), recordings.output_shape]
    for index, name in enumerate(stage_names):
        mine = [n for n, stage in places.items() if stage == index]
        groups = _groups(mine, kinds.tensors, sizes)
        counts = {kind: sum(sizes[n] for n in group.parameters) for kind, group in groups.items()}
        outline = StageOutline(
            name=name,
            parameters={kind: count for kind, count in counts.items() if count},
            flops=(work[times[index + 1]] - work[times[index]]) // 2,
            output_shape=shapes[index],
        )
        inside = modules[index]
        yield StagePart(outline, groups, tuple(inside), kinds.norms.intersection(inside))


def _tensor_stages(network: nn.Module, ends: list[int], recording: Recording) -> dict[str, int]:
    """Return the stage of each parameter and buffer: that of its first use.

    What is never used, such as a counter of batches, follows its nearest relatives.
    """
    names = [n for n, _ in (*network.named_parameters(), *network.named_buffers())]
    used = {n: stage_of(ends, recording.first_use[n]) for n in names if n in recording.first_use}
    by_module: dict[str, int] = {}
    for name, stage in used.items():
        module = name
        while module:
            module = module.rpartition(".")[0]
            by_module[module] = max(stage, by_module.get(module, 0))
    return {name: used.get(name, _nearest(name, by_module, len(ends))) for name in names}


def _nearest(name: str, by_module: Mapping[str, int], default: int) -> int:
    while name:
        name = name.rpartition(".")[0]
        if name in by_module:
            return by_module[name]
    return default


def _groups(
    names: Iterable[str], kinds: Mapping[str, GroupKind], parameters: Mapping[str, int]
) -> dict[GroupKind, Group]:
    names = list(names)
    groups = {}
    for kind in GROUP_KINDS:
        mine = [name for name in names if kinds[name] == kind]
        if mine:
            groups[kind] = Group(
                parameters=tuple(name for name in mine if name in parameters),
                buffers=tuple(name for name in mine if name not in parameters),
            )
    return groups


def _names(cuts: tuple[Cut, ...], recordings: Recordings, containers: tuple[str, ...]) -> list[str]:
    """Return the name of each stage: the module of its first parameter, as deep as the cuts go.

    A parameter that belongs to a module which spans stages gives its own name.
    """
    ends = [cut.time for cut in cuts]
    depth = max((cut.depth for cut in cuts), default=1)
    firsts: dict[int, tuple[int, str]] = {}
    for name in recordings.parameters:
        time = recordings.two.first_use.get(name)
        if time is not None:
            stage = stage_of(ends, time)
            firsts[stage] = min(firsts.get(stage, (time, name)), (time, name))
    names: list[str] = []
    for stage in range(len(ends) + 1):
        whole = firsts[stage][1] if stage in firsts else "all"
        name = ".".join(whole.split(".")[:-1][:depth])
        names.append(whole if name in names or name in containers else name)
    return names


def _stubs(cut: Cut, recordings: Recordings) -> Iterable[Stub]:
    """Yield a stub for each outermost module that is finished before a cut."""
    finished = {
        name
        for name, span in recordings.two.spans.items()
        if span.calls == 1 and span.derived and span.end < cut.event
    }
    for name in sorted(finished):
        parts = name.split(".")
        if any(".".join(parts[:length]) in finished for length in range(1, len(parts))):
            continue
        two, three = recordings.two.spans[name], recordings.three.spans[name]
        end = recordings.two.events[two.end].time
        leaves = (
            _dummy(leaf, other, recordings.two.writes.get(leaf[0], -1) >= end)
            if isinstance(leaf, tuple)
            else leaf
            for leaf, other in zip(two.leaves, three.leaves, strict=True)
        )
        yield Stub(name, tuple(leaves), two.tree)


def _dummy(two: Any, three: Any, overwritten: bool) -> DummyTensor:  # noqa: ANN401
    return DummyTensor(two[2], three[2], two[4], overwritten)
