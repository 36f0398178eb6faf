"""A backbone: a library's own network without its last layer, as an ordered chain of stages."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from tlf.plugin.stages.folds import Fold
from tlf.plugin.stages.meta import create_on_meta, is_meta_the_default
from tlf.plugin.stages.replay import run_part
from tlf.plugin.stages.split import Group, Split, StagePart, split_network
from tlf.plugin.stages.text import split_from_text, split_to_text

if TYPE_CHECKING:
    from tlf.plugin.interfaces import BackboneFamily
    from tlf.plugin.outline import GroupKind, StageOutline


class Stage:
    """One stage of a backbone.

    Args:
        part: What the split says of it.
        modules: All modules of the network, by path.

    Attributes:
        name: The path of its first module that has a parameter.
        outline: What a planner knows of it.
        groups: Its tensors by kind, under the library's names. A group without parameters holds
            buffers that belong to none of the others.
    """

    def __init__(self, part: StagePart, modules: Mapping[str, nn.Module]) -> None:
        self.name: str = part.outline.name
        self.outline: StageOutline = part.outline
        self.groups: Mapping[GroupKind, Group] = part.groups
        self._modules = [modules[name] for name in part.modules if name not in part.norms]
        self._norms = [modules[name] for name in part.norms]

    @property
    def training(self) -> bool:
        """Whether anything in the stage is in train mode."""
        return any(module.training for module in (*self._modules, *self._norms))

    def train(self, mode: bool = True, *, norms: bool | None = None) -> None:
        """Switch every dropout, drop path and norm in the stage to train or evaluation mode.

        Args:
            mode: Whether to train.
            norms: The same for the norms alone: whether they use and update batch statistics. As
                `mode` by default.
        """
        # One module at a time: `nn.Module.train` would reach into modules of other stages.
        for module in self._modules:
            module.training = mode
        for module in self._norms:
            module.training = mode if norms is None else norms

    def eval(self) -> None:
        """Switch the stage to evaluation mode."""
        self.train(mode=False)


class Backbone:
    """A network that makes features `(N, output_width)` of images `(N, 3, S, S)`, in stages.

    The modules, parameter names and code are the library's own. A backbone is not to be used by two
    threads at once.

    Args:
        module: The library's network, its last classification layer replaced by an identity.
        split: Its stages.
        image_size: Side of the square input image, in pixels.
        classifier: Names of the tensors of the layer that was replaced; none if there was none.

    Attributes:
        module: The network.
        stages: In order.
        output_width: Number of features, measured.
        image_size: Side of the square input image, in pixels. The split holds for this size.
        classifier: Names of the tensors of the last classification layer, which is not there.
    """

    def __init__(
        self, module: nn.Module, split: Split, image_size: int, classifier: frozenset[str]
    ) -> None:
        self.module = module
        self.image_size = image_size
        self.classifier = classifier
        self.output_width = split.output_width
        self._split = split
        self._modules = dict(module.named_modules())
        self._exact: dict[int, bool] = {}
        self.stages = tuple(Stage(part, self._modules) for part in split.stages)
        # Their mode changes nothing; this one is the least surprising.
        for name in split.containers:
            self._modules[name].training = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        """Return a copy with modules of its own."""
        module = copy.deepcopy(self.module, memo)
        twin = Backbone(module, self._split, self.image_size, self.classifier)
        twin._exact = dict(self._exact)
        return twin

    @property
    def called(self) -> frozenset[str]:
        """Paths of the modules whose own forward method runs.

        Of the others a network may read the weights all the same, and compute with them by itself: to
        replace such a module changes nothing of what is computed.
        """
        return self._split.called

    @property
    def imbalances(self) -> tuple[str, ...]:
        """What the split lacks, a sentence each: too few stages, or one that holds too much."""
        return self._split.imbalances

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Normalisations that evaluation can fold into the convolutions before them."""
        return self._split.folds

    @property
    def split(self) -> Split:
        """How it is split into stages, as plain data."""
        return self._split

    @property
    def lowered(self) -> frozenset[str]:
        """Names of the parameters that are only read by multiplications."""
        return self._split.lowered

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return features `(N, output_width)` of images, float `(N, 3, S, S)`, normalised."""
        features: torch.Tensor = self.module(images)
        return features

    def run(self, tensor: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Run some of the stages.

        Args:
            tensor: What goes into the first of them: images if that is stage 0, else what stage
                `start - 1` returned.
            start: Index of the first stage.
            stop: Index after the last stage.

        Returns:
            What the last of the stages returns; the tensor itself if there are none.

        Raises:
            IndexError: There are no such stages.
        """
        return self._run(tensor, start, stop)

    def _run(
        self, tensor: torch.Tensor, start: int, stop: int, *, fill: float = 0.0
    ) -> torch.Tensor:
        if not 0 <= start <= stop <= len(self.stages):
            raise IndexError(f"there are {len(self.stages)} stages, and no {start} to {stop}")
        if start == stop:
            return tensor
        cuts, stubs = self._split.cuts, self._split.stubs
        return run_part(
            self.module,
            self._modules,
            tensor,
            None if start == 0 else (cuts[start - 1], stubs[start - 1]),
            None if stop == len(self.stages) else cuts[stop - 1],
            image_size=self.image_size,
            fill=fill,
        )

    def exact_cut(self, wanted: int) -> int:
        """Return the last cut, up to the one wanted, that changes no feature; 0 if there is none.

        A cut is tried once: the two parts must give what the whole gives, bit for bit, with
        everything that is stubbed out filled with NaN. So even a network that does what the recording
        cannot see is never run wrongly. All stages must be in evaluation mode.

        Args:
            wanted: Number of stages before the cut, up to all.
        """
        for cut in range(min(wanted, len(self.stages)), 0, -1):
            if cut == len(self.stages) or self._is_exact(cut):
                return cut
        return 0

    def forget_cuts(self) -> None:
        """Try every cut again when it is next asked for."""
        self._exact.clear()

    @torch.no_grad()
    def _is_exact(self, cut: int) -> bool:
        if cut not in self._exact:
            some = next(self.module.parameters(), torch.empty(0))
            generator = torch.Generator().manual_seed(0)
            size = (2, 3, self.image_size, self.image_size)
            images = torch.randn(size, generator=generator).to(some.device)
            count = len(self.stages)
            try:
                crossing = self._run(images, 0, cut)
                parts = self._run(crossing, cut, count, fill=float("nan"))
            except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
                # Whatever a library's code does with dummies: the cut is not to be used.
                self._exact[cut] = False
            else:
                self._exact[cut] = parts.equal(self(images))
        return self._exact[cut]


#: Splits that were found in this process: they depend on the architecture only.
_splits: dict[tuple[type, str, str, int], tuple[Split, frozenset[str]]] = {}


class SplitMemory(Protocol):
    """Keeps splits from one process to the next, as text."""

    def recall(self, family: BackboneFamily[Any], model: str, image_size: int) -> str | None:
        """Return what was kept; None if nothing was."""

    def remember(self, family: BackboneFamily[Any], model: str, image_size: int, text: str) -> None:
        """Keep a text."""


_memory: ContextVar[SplitMemory | None] = ContextVar("memory", default=None)


@contextmanager
def splits_kept_in(memory: SplitMemory | None) -> Iterator[None]:
    """Look for splits in a memory, and keep new ones there, for as long as the block lasts.

    Args:
        memory: The memory; None for none.
    """
    token = _memory.set(memory)
    try:
        yield
    finally:
        _memory.reset(token)


def build_backbone(family: BackboneFamily[Any], model: str, image_size: int) -> Backbone:
    """Create one of a family's models with random weights, and split it into stages.

    On the default device: under `torch.device("meta")`, no weight is allocated.

    Args:
        family: Creates the model.
        model: One of the family's models.
        image_size: Side of the square input image, in pixels.

    Raises:
        ValueError: The model does not return features `(N, width)`.
    """
    split, classifier = _split_of(family, model, image_size)

    def create() -> nn.Module:
        return family.create(model, image_size)

    network = create_on_meta(create) if is_meta_the_default() else create()
    _take_classifier(network, family.classifier(network))
    network.eval()
    return Backbone(network, split, image_size, classifier)


def _split_of(
    family: BackboneFamily[Any], model: str, image_size: int
) -> tuple[Split, frozenset[str]]:
    """Return the split of a model, and the names of its classifier's tensors."""
    key = (type(family), family.options.model_dump_json(), model, image_size)
    if key not in _splits:
        _splits[key] = _recall(family, model, image_size) or _find(family, model, image_size)
    return _splits[key]


def _recall(
    family: BackboneFamily[Any], model: str, image_size: int
) -> tuple[Split, frozenset[str]] | None:
    memory = _memory.get()
    text = None if memory is None else memory.recall(family, model, image_size)
    if text is None:
        return None
    try:
        first, _, rest = text.partition("\n")
        return split_from_text(rest), frozenset(json.loads(first))
    except (ValueError, KeyError, TypeError, AttributeError):
        # Kept by another version.
        return None


def _find(family: BackboneFamily[Any], model: str, image_size: int) -> tuple[Split, frozenset[str]]:
    with torch.random.fork_rng(devices=[]):
        network = create_on_meta(lambda: family.create(model, image_size))
        path = family.classifier(network)
        names = (
            {f"{path}.{name}" for name in network.get_submodule(path).state_dict()}
            if path is not None
            else set()
        )
        _take_classifier(network, path)
        split = split_network(network, image_size)
    memory = _memory.get()
    if memory is not None:
        # Where a module returns what no text can hold, the split is found anew each time.
        with suppress(TypeError):
            text = f"{json.dumps(sorted(names))}\n{split_to_text(split)}"
            memory.remember(family, model, image_size, text)
    return split, frozenset(names)


def _take_classifier(network: nn.Module, path: str | None) -> None:
    if path is None:
        return
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Identity())
