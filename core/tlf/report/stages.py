"""What was trainable when, and how far each stage moved."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from tlf.report.blocks import Block, Cell, Column, Section, Table, Text
from tlf.report.reading import RunFiles
from tlf.report.words import change, count, counted, joined

_Row = tuple[str, int, tuple[str, ...]]


def stages_section(files: RunFiles) -> Section:
    """Return what of the network learned.

    Args:
        files: The files of the run directory.
    """
    blocks: list[Block] = []
    stages, steps = files.plan.get("stages") or [], files.plan.get("steps") or []
    if stages and steps:
        blocks.append(_schedule(stages, steps))
    movement = files.analysis.get("movement")
    if movement:
        blocks.append(_movement(movement))
    elif files.analysis.get("movement_why_not"):
        blocks.append(Text(f"No movement: {files.analysis['movement_why_not']}", look="aside"))
    return Section("stages", "What learned", blocks)


def _schedule(stages: Sequence[dict[str, Any]], steps: Sequence[dict[str, Any]]) -> Table:
    """Return which stage learned in which step; neighbours that are alike share a row."""
    learns = [_learning(step) for step in steps]
    rows: list[_Row] = [
        (
            stage["name"],
            sum((stage.get("parameters") or {}).values()),
            tuple(_state(stage, kinds.get(stage["name"], [])) for kinds in learns),
        )
        for stage in stages
    ]
    shown = []
    for states, group in groupby(rows, key=lambda row: row[2]):
        alike = list(group)
        first, last = alike[0][0], alike[-1][0]
        several = counted(len(alike), "stage") if len(alike) > 1 else ""
        shown.append(
            [
                Cell(first if first == last else f"{first} to {last}", small=several),
                Cell(count(sum(parameters for _, parameters, _ in alike))),
                *(
                    Cell(state, mark="frozen" if state == "frozen" else "learns")
                    for state in states
                ),
            ]
        )
    columns = [Column("Stage"), Column("Parameters", numeric=True)]
    columns += [Column(step["name"], hint=_epochs(step)) for step in steps]
    return Table(
        "What learns in which step, in the order of the network", columns, shown, look="schedule"
    )


def _learning(step: dict[str, Any]) -> dict[str, list[str]]:
    """Return the kinds of parameters that learn, by stage."""
    kinds: dict[str, list[str]] = {}
    for group in step.get("trainable") or ():
        stage, _, kind = group.rpartition(":")
        kinds.setdefault(stage, []).append(kind)
    return kinds


def _state(stage: dict[str, Any], kinds: Sequence[str]) -> str:
    """Say what of a stage learns."""
    if not kinds:
        return "frozen"
    every = {kind for kind, number in (stage.get("parameters") or {}).items() if number}
    return "all" if every <= set(kinds) else joined(kinds)


def _epochs(step: dict[str, Any]) -> str:
    """Say which epochs a step was given."""
    number, first = step.get("epochs") or 0, (step.get("first_epoch") or 0) + 1
    if not number:
        return "no epochs"
    return f"epoch {first}" if number == 1 else f"epochs {first} to {first + number - 1}"


def _movement(movement: Sequence[dict[str, Any]]) -> Table:
    """Return how far each stage moved from where it began."""
    longest = max((stage.get("relative_change") or 0.0 for stage in movement), default=0.0) or 1.0
    rows = []
    for is_frozen, group in groupby(movement, key=_is_frozen):
        alike = list(group)
        if is_frozen:
            rows.append(_frozen_row(alike))
            continue
        for stage in alike:
            moved, steps = stage.get("relative_change"), stage.get("trainable_in") or []
            rows.append(
                [
                    Cell(stage["stage"]),
                    Cell(count(stage.get("parameters"))),
                    Cell(
                        "new" if moved is None else change(moved),
                        moved,
                        bar=(moved or 0.0) / longest,
                    ),
                    Cell(joined(steps) if steps else "in no step"),
                ]
            )
    columns = [
        Column("Stage"),
        Column("Parameters", numeric=True),
        Column("Change", numeric=True),
        Column("Learned in"),
    ]
    return Table(
        "How far each stage moved: length of the change over length of the weights before",
        columns,
        rows,
        look="bars",
    )


def _is_frozen(stage: dict[str, Any]) -> bool:
    return not stage.get("trainable_in") and not stage.get("relative_change")


def _frozen_row(stages: Sequence[dict[str, Any]]) -> list[Cell]:
    """Return the row of some neighbours that have not moved."""
    first, last = stages[0]["stage"], stages[-1]["stage"]
    return [
        Cell(
            first if first == last else f"{first} to {last}",
            small=counted(len(stages), "stage") if len(stages) > 1 else "",
        ),
        Cell(count(sum(stage.get("parameters") or 0 for stage in stages))),
        Cell("0 (frozen)", 0.0, mark="frozen", bar=0.0),
        Cell("in no step"),
    ]
