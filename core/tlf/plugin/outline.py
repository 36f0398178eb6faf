"""What a planner knows about a network: its stages and groups, without a single weight.

A **stage** is one link of the ordered chain that a backbone is. A **group** is the part of a stage's
parameters that is of one kind: all of a stage's norms, say. Groups are what a plan freezes, thaws and
gives rates to; each is named `stage:kind`, and the name of a stage alone means all of its groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

GroupKind = Literal["weight", "bias", "norm"]
GROUP_KINDS: tuple[GroupKind, ...] = ("weight", "bias", "norm")

#: The name of the last stage of every network: the classifier that tlf puts on the backbone.
HEAD = "head"


@dataclass(frozen=True)
class StageOutline:
    """One stage.

    Attributes:
        name: Unique within the network; for a backbone, the path of a module of the library's.
        parameters: How many parameters (numbers, not tensors) each of its groups has. Kinds without
            parameters are left out.
        flops: Floating-point operations of one forward pass of one image, two to a multiply-add.
        output_shape: Shape of what leaves the stage, without the batch dimension.
    """

    name: str
    parameters: Mapping[GroupKind, int]
    flops: int
    output_shape: tuple[int, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the stage's groups, `stage:kind`."""
        return tuple(f"{self.name}:{kind}" for kind in GROUP_KINDS if self.parameters.get(kind))

    @property
    def parameter_count(self) -> int:
        """How many parameters the stage has."""
        return sum(self.parameters.values())


@dataclass(frozen=True)
class Outline:
    """A whole network: the stages of its backbone in order, then the head.

    Attributes:
        stages: At least two. The last is the head.
        image_size: Side of the square input image, in pixels.
    """

    stages: tuple[StageOutline, ...]
    image_size: int

    @property
    def body(self) -> tuple[str, ...]:
        """Names of the backbone's stages, first to last."""
        return tuple(stage.name for stage in self.stages[:-1])

    @property
    def head(self) -> str:
        """Name of the head's stage."""
        return self.stages[-1].name

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of all groups, in the order of the stages."""
        return tuple(group for stage in self.stages for group in stage.groups)

    def expand(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the groups that stage and group names mean, in the order of the network.

        Args:
            names: Names of stages (all their groups) and of groups.

        Raises:
            KeyError: A name is neither.
        """
        by_name = {stage.name: stage.groups for stage in self.stages}
        by_name |= {group: (group,) for group in self.groups}
        wanted = {group for name in names for group in by_name[name]}
        return tuple(group for group in self.groups if group in wanted)

    def count(self, groups: Iterable[str]) -> int:
        """Return how many parameters the groups have together.

        Args:
            groups: Names of groups.
        """
        sizes = {
            f"{stage.name}:{kind}": number
            for stage in self.stages
            for kind, number in stage.parameters.items()
        }
        return sum(sizes[group] for group in groups)
