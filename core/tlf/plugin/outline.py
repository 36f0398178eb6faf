"""What a planner knows about a network: its stages and groups, without a single weight.

A **stage** is one link of the ordered chain that a backbone is. A **group** is the part of a stage's
parameters that is of one kind: all of a stage's norms, say. Groups are what a plan freezes, thaws and
gives rates to; each is named `stage:kind`, and the name of a stage alone means all of its groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from tlf.errors import nearest

#: An `adapter` is what a strategy has added to the library's network; the others are the library's own.
GroupKind = Literal["weight", "bias", "norm", "adapter"]
GROUP_KINDS: tuple[GroupKind, ...] = ("weight", "bias", "norm", "adapter")

#: The name of the last stage of every network: the classifier that tlf puts on the backbone.
HEAD = "head"


#: Stands between the first and the last stage of a range.
RANGE = ".."
_SHOWN_STAGES = 12


class PlanError(Exception):
    """A strategy's options, though valid, cannot be carried out on this network. Told to the user.

    Args:
        message: What is wrong, with the offending value in backticks.
        option: Path of the option below `strategy.options`, such as `stages[0]`; empty for none.
        hint: What to do about it.
        others: What else is wrong, so that the user hears of everything at once.
    """

    def __init__(
        self,
        message: str,
        *,
        option: str = "",
        hint: str | None = None,
        others: Iterable[PlanError] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.option = option
        self.hint = hint
        self.others = tuple(others)

    @classmethod
    def together(cls, errors: Sequence[PlanError]) -> PlanError:
        """Return one error that tells of several.

        Args:
            errors: At least one, none of which tells of others.
        """
        first, *others = errors
        return cls(first.message, option=first.option, hint=first.hint, others=others)


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

    def select(self, patterns: Iterable[str], *, option: str = "") -> tuple[StageOutline, ...]:
        """Return the stages of the backbone that some patterns mean, in the order of the network.

        Args:
            patterns: Each the name of a stage; a range `first..last`, of which either end may be left
                out; or a pattern with `*` and `?` for any characters and any one.
            option: The option that they come from, for the error.

        Raises:
            PlanError: A pattern matches nothing, or a range ends before it begins.
        """
        wanted: set[str] = set()
        wrong: list[PlanError] = []
        for index, pattern in enumerate(patterns):
            try:
                wanted.update(self._selected(pattern, f"{option}[{index}]" if option else ""))
            except PlanError as error:
                wrong.append(error)
        if wrong:
            raise PlanError.together(wrong)
        return tuple(stage for stage in self.stages[:-1] if stage.name in wanted)

    def _selected(self, pattern: str, where: str) -> tuple[str, ...]:
        if RANGE in pattern:
            first, _, last = pattern.partition(RANGE)
            begin = self._index(first, where) if first else 0
            end = self._index(last, where) if last else len(self.body) - 1
            if begin > end:
                raise PlanError(
                    f"the range `{pattern}` is empty: `{last}` comes before `{first}`",
                    option=where,
                    hint=f"write it as `{last}{RANGE}{first}`",
                )
            return self.body[begin : end + 1]
        if "*" not in pattern and "?" not in pattern:
            return (self.body[self._index(pattern, where)],)
        found = tuple(name for name in self.body if fnmatchcase(name, pattern))
        if not found:
            raise PlanError(
                f"`{pattern}` matches no stage of this network",
                option=where,
                hint=self._stages_hint(),
            )
        return found

    def _index(self, name: str, where: str) -> int:
        if name in self.body:
            return self.body.index(name)
        near = nearest(name, self.body)
        raise PlanError(
            f"`{name}` is no stage of this network",
            option=where,
            hint=f"did you mean `{near}`?" if near else self._stages_hint(),
        )

    def _stages_hint(self) -> str:
        shown = ", ".join(f"`{name}`" for name in self.body[:_SHOWN_STAGES])
        more = (
            f" and {len(self.body) - _SHOWN_STAGES} more" if len(self.body) > _SHOWN_STAGES else ""
        )
        return f"its stages are {shown}{more}"

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
