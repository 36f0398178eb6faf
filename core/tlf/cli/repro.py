"""`tlf repro`: run a run again, and say whether it is the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlf.cli.arguments import Json, OutputDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tlf.engine.repro import Reproduction

#: So many stages are named.
_SHOWN_STAGES = 5


def repro_command(
    directory: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a finished run.")],
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Compute everything anew, what is frozen too."),
    ] = False,
    output_directory: OutputDirectory = None,
    as_json: Json = False,
) -> None:
    """Run RUN again, and say whether it comes to the same.

    If not: the first step and epoch that differ, by how much, and the likely cause. Ends with 0 if
    every number is the same, and with 1 if not. The new run is removed unless `--output-directory`
    keeps it.
    """
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import messages, write_json
    from tlf.cli.progress import ProgressListener

    class Passing(ProgressListener):
        """Says nothing of what a stopped run leaves behind if that is nothing."""

        def directory(self, path: Path) -> None:
            super().directory(path)
            if output_directory is None:
                kept.clear()

    kept: list[str] = []
    listener = Passing(messages(), kept=kept)
    with prompt_interrupt(kept):
        from tlf.engine.repro import repro

        try:
            found = repro(
                directory,
                output_directory=output_directory,
                cache=not no_cache,
                listener=listener,
            )
        finally:
            listener.close()
    if as_json:
        write_json(found.as_json())
    else:
        show_reproduction(found)
    if not found.same:
        raise typer.Exit(1)


def show_reproduction(found: Reproduction) -> None:
    """Print what came of running a run again for people, the directory last if it is kept.

    Args:
        found: What came of it.
    """
    from tlf.cli.output import results, write_line
    from tlf.cli.tables import table

    console = results()
    console.print(f"{found.verdict}: {_headline(found)}")
    if not found.same:
        console.print()
        console.print(table(["what", "differs"], [list(row) for row in _rows(found)]))
        pairs = found.metrics.items()
        if any(then != now for _, (then, now) in pairs):
            rows = [[name, _shown(then), _shown(now)] for name, (then, now) in pairs]
            console.print()
            console.print(table(["metric", ">then", ">now"], rows))
    lines = list(_explained(found))
    if lines:
        console.print()
    for line in lines:
        console.print(line, soft_wrap=True)
    if found.directory is not None:
        console.print()
        write_line(found.directory)


def _headline(found: Reproduction) -> str:
    if found.verdict == "same":
        return "metrics, weights and predictions are equal to the last byte"
    if found.verdict == "same numbers":
        return "the files that hold them are written otherwise"
    first = found.first
    if first is None:
        return "all metrics are equal"
    apart = "" if first.size is None else f", {first.size:.2g} apart"
    return (
        f"first in step `{first.step}`, epoch {first.epoch}: `{first.field}` was "
        f"{_shown(first.then)} and is {_shown(first.now)}{apart}"
    )


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)


def _rows(found: Reproduction) -> Iterator[tuple[str, str]]:
    if found.first is not None:
        yield "metrics", f"{found.differing_lines} of {found.lines} lines"
    for frozen, what in ((True, "FROZEN weights"), (False, "weights")):
        stages = [one for one in found.stages if one.frozen == frozen]
        if stages:
            named = [f"{one.stage}{_largest(one.largest)}" for one in stages[:_SHOWN_STAGES]]
            more = len(stages) - len(named)
            yield what, ", ".join(named) + (f" and {more} more stages" if more else "")
    predictions = found.predictions
    if predictions.other_numbers:
        classes = f"{predictions.other_class} of {predictions.images} for another class"
        numbers = f"{predictions.other_numbers} in their numbers{_largest(predictions.largest)}"
        yield "predictions", f"{classes}, {numbers}"


def _largest(value: float | None) -> str:
    return " (other tensors)" if value is None else f" (up to {value:.2g})"


def _explained(found: Reproduction) -> Iterator[str]:
    """Yield what may have made the difference, or what has changed without making one."""
    if found.same:
        yield from (f"changed, without any effect: {change}" for change in found.changes)
        return
    if found.frozen_that_differ:
        yield "FROZEN weights differ: nothing that was trained can have done that"
    if len(found.causes) > 1 and not found.changes:
        yield "nothing that the record holds has changed; what is left:"
        yield from (f"  - {cause}" for cause in found.causes)
        return
    for number, cause in enumerate(found.causes):
        yield f"{'also changed' if number else 'likely cause'}: {cause}"
