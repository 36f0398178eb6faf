"""A network that a strategy has added modules to, in the stages that it had before.

The network is recorded anew, with what was added, and cut at the places where it was cut before: so
a stage has the name, and the library's tensors, that it has without the additions, and one group more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from tlf.plugin.outline import GroupKind
from tlf.plugin.stages.backbone import Backbone
from tlf.plugin.stages.cuts import Cut, Recordings, possible_cuts
from tlf.plugin.stages.kinds import kind_of_tensors, norm_modules
from tlf.plugin.stages.split import Kinds, Split, record_all, split_at

#: How many names an error shows.
_SHOWN = 3


class UnfitError(Exception):
    """What was done to a network is not what may be done to it.

    The message is what follows the name of who has done it.
    """


@dataclass(frozen=True)
class Tensor:
    """What is to be known of a tensor without its numbers.

    Attributes:
        shape: Its shape.
        dtype: Its type.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Prepared:
    """What a strategy has made of an architecture, as plain data that holds for any copy of it.

    Attributes:
        base: The stages without what was added.
        split: The stages with it.
        library: The tensors of the library's network, by the library's names.
        tensors: Those of the network with what was added, by the names that they have there.
        origins: The library's name of each of the library's tensors, by the name that it has there.
        hosts: Paths, in the library's network, of the modules that something was added to.
    """

    base: Split
    split: Split
    library: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor]
    origins: Mapping[str, str]
    hosts: tuple[str, ...]

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the parameters that were added."""
        return tuple(
            name
            for stage in self.split.stages
            if "adapter" in stage.groups
            for name in stage.groups["adapter"].parameters
        )

    @property
    def hosted(self) -> frozenset[str]:
        """Names, in the network with what was added, of the library's tensors in `hosts`."""
        return frozenset(
            name
            for name, own in self.origins.items()
            if any(not host or own.startswith(f"{host}.") for host in self.hosts)
        )


class _Before:
    """A network before something is added to it: which objects were where."""

    def __init__(self, network: nn.Module) -> None:
        self.modules: dict[str, nn.Module] = dict(network.named_modules())
        self.tensors = _tensors(network)
        # The objects are held here, so that no new one gets the identity of an old one.
        self.known = {id(module) for module in self.modules.values()}
        self.names = {id(tensor): name for name, tensor in self.tensors.items()}
        self.kinds = kind_of_tensors(network)
        self.norms = norm_modules(network)

    def origins(self, network: nn.Module) -> dict[str, str]:
        """Return the former name of each tensor that is still there, by its name now.

        Raises:
            UnfitError: Some are gone.
        """
        found = {
            name: self.names[id(tensor)]
            for name, tensor in _tensors(network).items()
            if id(tensor) in self.names
        }
        gone = sorted(self.tensors.keys() - set(found.values()))
        if gone:
            raise UnfitError(
                f"takes {_some(gone)} out of the network, or puts others in the place: it may only add"
            )
        return found

    def place(self, network: nn.Module, path: str) -> str:
        """Return the path at which a module is now, or else the outermost new module around it."""
        paths = {id(module): name for name, module in network.named_modules()}
        now: str = paths.get(id(self.modules[path]), path)
        while now:
            around = now.rpartition(".")[0]
            if not around or id(network.get_submodule(around)) in self.known:
                break
            now = around
        return now


def prepare_outline(backbone: Backbone, prepare: Callable[[], None]) -> tuple[Backbone, Prepared]:
    """Add modules to a backbone on the meta device, and return it with what that has made of it.

    Args:
        backbone: On the meta device. Of no more use afterwards.
        prepare: Adds the modules to the backbone's network.

    Raises:
        UnfitError: The network cannot be split into the same stages any more.
    """
    network, before = backbone.module, _Before(backbone.module)
    library = _described(network)
    with torch.device("meta"):
        prepare()
    origins = before.origins(network)
    added = [name for name in _tensors(network) if name not in origins]
    if not any(isinstance(_tensors(network)[name], nn.Parameter) for name in added):
        raise UnfitError("adds no parameter to the network")
    recordings = record_all(network, backbone.image_size)
    unread = [
        name
        for name in recordings.parameters
        if name in added
        and not all(name in it.first_use for it in (recordings.two, recordings.train))
    ]
    if unread:
        raise UnfitError(
            f"adds {_some(unread)}, which no forward pass reads: see `called` of the backbone"
        )
    split = _split_again(backbone, before, origins, recordings)
    prepared = Prepared(
        base=backbone.split,
        split=split,
        library=library,
        tensors=_described(network),
        origins=origins,
        hosts=tuple(sorted({_host(name, before.modules) for name in added})),
    )
    return Backbone(network, split, backbone.image_size, backbone.classifier), prepared


def prepare_like(backbone: Backbone, prepare: Callable[[], None], prepared: Prepared) -> Backbone:
    """Add modules to a backbone with weights, as they were added to its outline, and return it.

    Args:
        backbone: Of the same architecture. Of no more use afterwards.
        prepare: Adds the modules to the backbone's network.
        prepared: What that has made of the outline.

    Raises:
        UnfitError: It does something else than it did there.
    """
    network, before = backbone.module, _Before(backbone.module)
    prepare()
    network.eval()
    if before.origins(network) != prepared.origins or _described(network) != prepared.tensors:
        raise UnfitError("does not add to a network with weights what it adds on the meta device")
    return Backbone(network, prepared.split, backbone.image_size, backbone.classifier)


def finish_like(backbone: Backbone, finish: Callable[[], None], prepared: Prepared) -> Backbone:
    """Make the library's network of one that something was added to, and return it.

    Args:
        backbone: The network with what was added. Of no more use afterwards.
        finish: Makes the library's network of it, in place.
        prepared: What was added.

    Raises:
        UnfitError: It is not the library's network: its tensors have other names or shapes.
    """
    finish()
    network = backbone.module
    network.eval()
    now = _described(network)
    if now != prepared.library:
        wrong = [
            *(name for name in now if name not in prepared.library),
            *(name for name, one in prepared.library.items() if now.get(name) != one),
        ]
        raise UnfitError(
            "must leave the network as the library builds it, and then these are too many, missing, or "
            f"of another shape: {_some(wrong)}"
        )
    return Backbone(network, prepared.base, backbone.image_size, backbone.classifier)


def _split_again(
    backbone: Backbone, before: _Before, origins: Mapping[str, str], recordings: Recordings
) -> Split:
    network, base = backbone.module, backbone.split
    kinds: dict[str, GroupKind] = {
        name: before.kinds[origins[name]] if name in origins else "adapter"
        for name in _tensors(network)
    }
    norms = {id(before.modules[name]) for name in before.norms}
    paths = frozenset(name for name, module in network.named_modules() if id(module) in norms)
    names = [stage.outline.name for stage in base.stages]
    cuts = tuple(_cuts_again(backbone, before, recordings, names))
    split = split_at(network, recordings, cuts, Kinds(kinds, paths), names)
    stage_of = _stages_of(base)
    moved = [
        origins[name]
        for name, stage in _stages_of(split).items()
        if name in origins and stage_of[origins[name]] != stage
    ]
    if moved:
        raise UnfitError(f"moves {_some(moved)} into another stage")
    return replace(split, imbalances=base.imbalances)


def _cuts_again(
    backbone: Backbone, before: _Before, recordings: Recordings, names: Sequence[str]
) -> Iterator[Cut]:
    """Yield the cuts of a network before something was added to it, as they are now."""
    possible = {(cut.kind, cut.module): cut for cut in possible_cuts(recordings)}
    time = 0
    for index, cut in enumerate(backbone.split.cuts):
        again = possible.get((cut.kind, before.place(backbone.module, cut.module)))
        if again is None or again.time <= time or again.shape != cut.shape:
            raise UnfitError(
                f"adds something that reaches from stage `{names[index]}` into stage "
                f"`{names[index + 1]}`: one tensor only may cross between two stages, of the "
                "shape that it had"
            )
        time = again.time
        yield again


def _stages_of(split: Split) -> dict[str, int]:
    return {
        name: index
        for index, stage in enumerate(split.stages)
        for group in stage.groups.values()
        for name in (*group.parameters, *group.buffers)
    }


def _host(name: str, modules: Mapping[str, nn.Module]) -> str:
    """Return the path of the library's module that a new tensor belongs to."""
    path = name.rpartition(".")[0]
    while path not in modules:
        path = path.rpartition(".")[0]
    return path


def _tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _described(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: Tensor(tuple(tensor.shape), tensor.dtype)
        for name, tensor in _tensors(network).items()
    }


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN])
    return f"{shown} …" if len(names) > _SHOWN else shown
