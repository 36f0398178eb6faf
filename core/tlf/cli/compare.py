"""`tlf compare`: one run for each combination and seed, the table, and what to take of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlf.cli.arguments import Json, OutputDirectory, Set

if TYPE_CHECKING:
    from tlf.engine.compare import Comparison, Row

_UNITS = {"s": 1, "m": 60, "h": 3600}
#: What the first table shows, and what is no share.
SHOWN = frozenset({"accuracy", "loss"})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")


def compare_command(  # noqa: PLR0913, PLR0917 - each is an option
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC", help="A run's spec, or a comparison's; `-` reads it from stdin."
        ),
    ],
    strategies: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Strategies to compare, separated by commas."),
    ] = None,
    shots: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Training images of each class, separated by commas: a learning curve.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=1000,
            help="Runs of each combination, each with its own seed; 1 unless SPEC says otherwise.",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=256, help="Runs at once, which share the cores."),
    ] = 1,
    time_limit: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="End by then, as runs so far let expect: `90s`, `30m`, `2h`."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Go on in this comparison: runs of the same spec are kept."
        ),
    ] = None,
    overrides: Set = None,
    output_directory: OutputDirectory = None,
    as_json: Json = False,
) -> None:
    """Run SPEC with several strategies, or over a grid of fields.

    Says which differences are more than chance. The last line on stdout is the comparison's directory.
    """
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import messages, write_json
    from tlf.cli.watching import ComparisonView
    from tlf.errors import RunError

    kept: list[str] = []
    names = _split(strategies)
    numbers = _numbers(shots)
    limit = _seconds(time_limit)
    if resume is not None and output_directory is not None:
        raise typer.BadParameter("it says already where the results are", param_hint="--resume")
    with ComparisonView(messages(), kept) as view, prompt_interrupt(kept):
        from tlf.engine.compare import compare

        comparison = compare(
            spec,
            names,
            seeds=seeds,
            shots=numbers,
            jobs=jobs,
            time_limit=limit,
            resume=resume,
            overrides=overrides or (),
            output_directory=output_directory,
            watcher=view,
        )
    if as_json:
        write_json({"directory": str(comparison.directory), **comparison.as_json()})
    else:
        show_comparison(comparison)
    if comparison.failed:
        raise RunError(f"{comparison.failed} of {len(comparison.cells)} runs failed")


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _numbers(text: str | None) -> list[int]:
    numbers = []
    for part in _split(text):
        if not part.isdecimal() or int(part) < 1:
            raise typer.BadParameter(
                f"`{part}` is no number of images; write `5,10,20`", param_hint="--shots"
            )
        numbers.append(int(part))
    return numbers


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    if found is None or float(found[1]) == 0:
        raise typer.BadParameter(
            f"`{text}` is no time; write `90s`, `30m` or `2h`", param_hint="--time-limit"
        )
    return float(found[1]) * _UNITS[found[2] or "s"]


def show_comparison(comparison: Comparison) -> None:
    """Print a comparison for people, its directory last.

    Args:
        comparison: The comparison.
    """
    from tlf.cli.output import messages, results, write_line

    console = results()
    for number, group in enumerate(comparison.groups):
        members = [row for row in comparison.rows if row.group == number]
        if group.name:
            console.print(f"{group.name}\n")
        members.sort(key=_place)
        console.print(_table(members))
        console.print()
        if any(row.metrics.keys() - SHOWN for row in members):
            console.print(_metrics_table(members, comparison))
            console.print()
        count = max((len(row.seeds) for row in members), default=0)
        console.print(
            f"accuracy on {group.images_measured} {group.metrics_on} images, mean of {count} "
            f"seed{'' if count == 1 else 's'}, with its 95% interval\n"
        )
    for cell in comparison.cells:
        if cell.error is not None:
            name = comparison.row_of(cell).name
            messages().print(f"failed: {name}, seed {cell.seed}: {cell.error}", soft_wrap=True)
    console.print(
        "the rank counts the rows that are really better, by more than chance; of other metrics, the "
        "mean and the range over the seeds\n"
    )
    for note in comparison.notes:
        console.print(f"{note}\n")
    console.print(f"{comparison.advice}\n")
    write_line(comparison.directory)


def _metrics_table(rows: list[Row], comparison: Comparison) -> object:
    """Return the other metrics: the mean over the seeds, and from which to which they go."""
    from tlf.cli.tables import percent, table

    names = list(dict.fromkeys(name for row in rows for name in row.metrics if name not in SHOWN))
    cells = []
    for row in rows:
        runs = [
            cell for cell in comparison.cells if comparison.row_of(cell) is row and cell.metrics
        ]
        found = []
        for name in names:
            values = [cell.metrics[name] for cell in runs if cell.metrics and name in cell.metrics]
            ends = f" ({min(values):.1%} to {max(values):.1%})" if len(values) > 1 else ""
            found.append(f"{percent(row.metrics.get(name))}{ends}")
        cells.append([row.name, *found])
    return table(["", *(f">{name}" for name in names)], cells)


def _place(row: Row) -> tuple[float, float]:
    return row.rank or float("inf"), -(row.accuracy or 0.0)


def _table(rows: list[Row]) -> object:
    from tlf.cli.tables import count, interval, percent, size, table
    from tlf.cli.tables import seconds as shown_seconds

    cells = [
        [
            "–" if row.rank is None else str(row.rank),
            row.name,
            percent(row.accuracy),
            interval(row.interval),
            shown_seconds(row.seconds),
            count(row.images_through_backbone),
            size(row.peak_memory_bytes),
            count(row.trainable_parameters),
        ]
        for row in rows
    ]
    columns = ["", "", ">acc.", ">95% interval", ">time", ">images", ">memory", ">trained"]
    return table(columns, cells)
