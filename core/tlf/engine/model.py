"""The network that a run trains: a backbone and a head, addressed by stages and groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from operator import not_
from typing import TYPE_CHECKING

import torch
from torch import nn

from tlf.engine.solve.neighbours import KnnHead
from tlf.plugin import HEAD, Outline, StageOutline
from tlf.plugin.stages import Backbone, Group
from tlf.plugin.stages.state import load_state

if TYPE_CHECKING:
    from tlf.plugin import Device

BACKBONE_PREFIX = "backbone."
HEAD_PREFIX = "head."


class LinearHead(nn.Module):
    """Dropout, then one linear layer: features `(N, width)` to logits `(N, classes)`, in float32.

    Args:
        width: Number of features.
        classes: Number of classes.
        dropout: Share of the features dropped in training.
    """

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, classes)

    def reset(self, generator: torch.Generator) -> None:
        """Draw small weights, so that the first logits are nearly equal for all classes.

        Args:
            generator: On the CPU, so that every device starts from the same head.
        """
        nn.init.trunc_normal_(self.linear.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.linear.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits `(N, classes)`."""
        logits: torch.Tensor = self.linear(self.dropout(features.float()))
        return logits


class Model:
    """A backbone with a head on it.

    State has the library's own names behind `backbone.`, and `head.linear.weight` and `.bias`.

    Args:
        backbone: The pretrained part.
        head: The new part.
    """

    def __init__(self, backbone: Backbone, head: LinearHead | KnnHead) -> None:
        self.backbone = backbone
        self.head = head
        self.frozen_stages = len(backbone.stages)
        self._tensors = dict(self.named_tensors())

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        tensor: torch.Tensor = next(iter(self.head.state_dict().values()))
        return tensor.device

    @property
    def outline(self) -> Outline:
        """What a planner knows of this network, whose head is linear."""
        assert isinstance(self.head, LinearHead)
        return outline_of(self.backbone, self.head)

    def replace_head(self, head: KnnHead) -> None:
        """Put another head on, for good: nothing can be trained any more.

        Args:
            head: Gets the device of the old one.
        """
        self.head = head.to(self.device)
        self._tensors = dict(self.named_tensors())

    def replace_backbone(self, backbone: Backbone) -> None:
        """Put another backbone below the head, for good.

        Args:
            backbone: On the device, of as many stages.
        """
        self.backbone = backbone
        self._tensors = dict(self.named_tensors())

    def named_tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every parameter and buffer that the network has now, by name."""
        for module, prefix in (
            (self.backbone.module, BACKBONE_PREFIX),
            (self.head, HEAD_PREFIX),
        ):
            for name, parameter in module.named_parameters():
                yield prefix + name, parameter
            for name, buffer in module.named_buffers():
                yield prefix + name, buffer

    def groups(self) -> dict[str, Group]:
        """Return the tensors of each group, `stage:kind`, by their names in `state_dict()`."""
        groups = {
            f"{stage.name}:{kind}": Group(
                parameters=tuple(BACKBONE_PREFIX + name for name in group.parameters),
                buffers=tuple(BACKBONE_PREFIX + name for name in group.buffers),
            )
            for stage in self.backbone.stages
            for kind, group in stage.groups.items()
        }
        linear = f"{HEAD_PREFIX}linear."
        groups[f"{HEAD}:weight"] = Group(parameters=(f"{linear}weight",), buffers=())
        groups[f"{HEAD}:bias"] = Group(parameters=(f"{linear}bias",), buffers=())
        return groups

    def parameters_of(self, groups: Iterable[str]) -> dict[str, nn.Parameter]:
        """Return the parameters of some groups by name, in the order of the network.

        Args:
            groups: Names of groups, `stage:kind`.
        """
        known = self.groups()
        found = {}
        for group in groups:
            for name in known[group].parameters:
                parameter = self._tensors[name]
                assert isinstance(parameter, nn.Parameter)
                found[name] = parameter
        return found

    def names_in(self, groups: Iterable[str]) -> list[str]:
        """Return the names of all parameters and buffers of some groups.

        Args:
            groups: Names of groups, `stage:kind`.
        """
        known = self.groups()
        return [
            name for group in groups for name in (*known[group].parameters, *known[group].buffers)
        ]

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Return every parameter and buffer that the network began with, by name, themselves."""
        return self._tensors

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return every tensor that belongs into a file, by name, detached.

        Buffers that a library marks as not persistent are made anew when the network is built, so
        they are left out.
        """
        state = {}
        for module, prefix in ((self.backbone.module, BACKBONE_PREFIX), (self.head, HEAD_PREFIX)):
            for name, tensor in module.state_dict().items():
                state[prefix + name] = tensor.detach()
        return state

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over a state that `state_dict` of an equal network returned.

        Args:
            state: Tensors by name.

        Raises:
            RuntimeError: Names or shapes differ.
        """
        for module, prefix in ((self.backbone.module, BACKBONE_PREFIX), (self.head, HEAD_PREFIX)):
            part = {
                name.removeprefix(prefix): tensor
                for name, tensor in state.items()
                if name.startswith(prefix)
            }
            load_state(module, part, strict=True)

    def to(self, device: Device) -> None:
        """Move the network to a device, in the memory format that the device likes.

        Args:
            device: Where to.
        """
        layout = torch.channels_last if device.channels_last else torch.contiguous_format
        self.backbone.module.to(device.torch_device).to(memory_format=layout)
        self.head.to(device.torch_device)
        self._tensors = dict(self.named_tensors())

    def thaw(self, groups: Iterable[str]) -> None:
        """Make exactly these groups learn; freeze all others.

        A stage without a learning group is in evaluation mode as a whole: its dropout is off, and its
        norms use their running statistics and do not move them. In a stage that learns, a norm moves
        its statistics only if its own parameters learn.

        Args:
            groups: Names of groups, `stage:kind`.
        """
        learning = set(groups)
        for name, group in self.groups().items():
            for parameter in group.parameters:
                self._tensors[parameter].requires_grad_(name in learning)
        kinds = [
            [kind for kind in stage.groups if f"{stage.name}:{kind}" in learning]
            for stage in self.backbone.stages
        ]
        # The cut is tried in evaluation mode, which the prefix then stays in.
        self.eval()
        self.frozen_stages = self.backbone.exact_cut(len(list(takewhile(not_, kinds))))
        for stage, mine in zip(self.backbone.stages, kinds, strict=True):
            stage.train(bool(mine), norms="norm" in mine)
        self.head.train(any(group.startswith(f"{HEAD}:") for group in learning))

    def eval(self) -> None:
        """Put every stage and the head into evaluation mode."""
        for stage in self.backbone.stages:
            stage.eval()
        self.head.eval()

    def logits(self, crossing: torch.Tensor, start: int, device: Device) -> torch.Tensor:
        """Return logits `(N, classes)`, float32, of what crosses a cut.

        Args:
            crossing: What comes out of the stages before the cut, on the device; images, normalised,
                float32 `(N, 3, S, S)`, if there are none.
            start: How many stages lie before the cut.
            device: Gives the precision.
        """
        stages = len(self.backbone.stages)
        with device.autocast():
            if start == 0:
                features = self.backbone(crossing)
            else:
                features = self.backbone.run(crossing, start, stages)
        return self.head(features)  # type: ignore[no-any-return]


def outline_of(backbone: Backbone, head: LinearHead) -> Outline:
    """Return the outline of a backbone with a head.

    Args:
        backbone: May be on the meta device.
        head: May be on the meta device.
    """
    linear = head.linear
    head_outline = StageOutline(
        name=HEAD,
        parameters={"weight": linear.weight.numel(), "bias": linear.bias.numel()},
        flops=2 * linear.weight.numel(),
        output_shape=(linear.out_features,),
    )
    return Outline(
        stages=(*(stage.outline for stage in backbone.stages), head_outline),
        image_size=backbone.image_size,
    )
