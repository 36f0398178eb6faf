"""Which strategy makes the plan: the one that the spec names, or one that it picks in its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlf.engine.adapting import Adapted, adapt
from tlf.engine.parts import Made, make_strategy, steps_of
from tlf.errors import SpecError
from tlf.plugin import Choice, Strategy
from tlf.spec.model import PartSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tlf.plugin import Backbone, Budget, Outline, Step
    from tlf.registry import Registry


@dataclass(frozen=True)
class ChosenStrategy:
    """The strategy that makes the plan.

    Attributes:
        made: The strategy, with the entry that answers for it.
        steps: What it proposes; the planner has yet to check them.
        outline: The network that it was asked about, with what it adds.
        adapted: What it adds; None if nothing.
        choice: What picked it; None if the spec names it.
    """

    made: Made[Strategy[Any]]
    steps: tuple[Step, ...]
    outline: Outline
    adapted: Adapted | None = None
    choice: Choice | None = None

    @property
    def name(self) -> str:
        """Name of the strategy."""
        return self.made.entry.declaration.name

    def as_json(self) -> dict[str, Any]:
        """Return what a plan holds of the choice; nothing if there was none."""
        if self.choice is None:
            return {}
        chosen = {"name": self.name, "options": dict(self.choice.options)}
        return {"chosen": chosen, "why": self.choice.why}


def choose_strategy(
    registry: Registry,
    part: PartSpec,
    outline: Outline,
    budget: Budget,
    backbone: Callable[[], Backbone],
) -> ChosenStrategy:
    """Return the strategy that a spec names, or the one that it picks, with its steps.

    Args:
        registry: The installed plugins.
        part: What the spec says.
        outline: The network.
        budget: What may be spent.
        backbone: Builds the network's backbone on the meta device. Asked only if a strategy adds to it.

    Raises:
        SpecError: The strategy's options cannot be carried out on this network.
        PluginError: It picks what there is not, or what picks in its turn.
    """
    made = make_strategy(registry, part)
    adapted = adapt(made, outline, backbone)
    seen = outline if adapted is None else adapted.outline
    steps = steps_of(made, seen, budget)
    if not isinstance(steps, Choice):
        return ChosenStrategy(made, steps, seen, adapted)
    choice = steps
    made.require(adapted is None, f"it picks `{choice.strategy}`, and adds to the network")
    made.require(
        isinstance(choice.why, str) and choice.why.strip(),
        f"it picks `{choice.strategy}` and does not say why",
    )
    try:
        picked = make_strategy(
            registry, PartSpec(name=choice.strategy, options=dict(choice.options))
        )
        adapted = adapt(picked, outline, backbone)
        seen = outline if adapted is None else adapted.outline
        steps = steps_of(picked, seen, budget)
    except (SpecError, ValueError, TypeError) as error:
        # Not the user's mistake, who has named neither that strategy nor its options.
        what = f"it picks `{choice.strategy}`, which cannot be carried out: {error}"
        raise made.entry.broken(what) from error
    made.require(
        not isinstance(steps, Choice), f"it picks `{choice.strategy}`, which picks in its turn"
    )
    assert not isinstance(steps, Choice)
    return ChosenStrategy(picked, steps, seen, adapted, choice)
