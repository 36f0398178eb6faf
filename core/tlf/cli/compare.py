"""`tlf compare`: one run for each strategy, and the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tlf.cli.arguments import Json, OutputDirectory, Set, Spec

if TYPE_CHECKING:
    from tlf.engine.compare import Comparison


def compare_command(
    spec: Spec,
    strategies: Annotated[
        str, typer.Option(metavar="NAMES", help="Strategies to compare, separated by commas.")
    ],
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, max=1000, help="Runs of each strategy, each with its own seed."
        ),
    ] = 1,
    overrides: Set = None,
    output_directory: OutputDirectory = None,
    as_json: Json = False,
) -> None:
    """Run SPEC with several strategies. The last line on stdout is the comparison's directory."""
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import messages, write_json
    from tlf.cli.progress import ProgressListener
    from tlf.errors import RunError

    kept: list[str] = []
    listeners: list[ProgressListener] = []

    def listen(strategy: str, seed: int) -> ProgressListener:
        for listener in listeners:
            listener.close()
        title = f"{strategy}, seed {seed}" if seeds > 1 else strategy
        listeners.append(ProgressListener(messages(), title, kept=kept))
        return listeners[-1]

    names = [name.strip() for name in strategies.split(",") if name.strip()]
    with prompt_interrupt(kept):
        from tlf.engine.compare import compare

        try:
            comparison = compare(
                spec,
                names,
                seeds=seeds,
                overrides=overrides or (),
                output_directory=output_directory,
                listener=listen,
            )
        finally:
            for listener in listeners:
                listener.close()
    if as_json:
        write_json({"directory": str(comparison.directory), **comparison.as_json()})
    else:
        show_comparison(comparison)
    failed = sum(row.failed for row in comparison.rows)
    if failed:
        raise RunError(f"{failed} of {len(comparison.cells)} runs failed")


def show_comparison(comparison: Comparison) -> None:
    """Print a comparison for people, its directory last.

    Args:
        comparison: The comparison.
    """
    from tlf.cli.output import messages, results, write_line
    from tlf.cli.tables import interval, percent, seconds, table

    rows = [
        [
            row.strategy,
            percent(row.accuracy),
            interval(row.accuracy_interval),
            seconds(row.seconds),
            "–" if row.trainable_parameters is None else f"{row.trainable_parameters:,}",
        ]
        for row in comparison.rows
    ]
    columns = ["strategy", ">accuracy", ">95% interval", ">time", ">trainable"]
    console = results()
    console.print(table(columns, rows))
    console.print()
    seeds = max((len(row.seeds) for row in comparison.rows), default=0)
    console.print(
        f"accuracy on {comparison.images_measured} {comparison.metrics_on} images, mean of "
        f"{seeds} seed{'' if seeds == 1 else 's'}; the interval speaks of the images, not of the "
        "seeds\n"
    )
    for cell in comparison.cells:
        if cell.error is not None:
            messages().print(
                f"failed: {cell.strategy}, seed {cell.seed}: {cell.error}", soft_wrap=True
            )
    write_line(comparison.directory)
