"""`tlf run`: carry out a spec."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from tlf.cli.arguments import Json, OutputDirectory, Set, Spec

if TYPE_CHECKING:
    from tlf.engine.run import Run


def run_command(
    spec: Spec,
    overrides: Set = None,
    output_directory: OutputDirectory = None,
    as_json: Json = False,
) -> None:
    """Fit a network as SPEC says. The last line on stdout is the run directory."""
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import messages, write_json
    from tlf.cli.progress import ProgressListener

    kept: list[str] = []
    listener = ProgressListener(messages(), kept=kept)
    with prompt_interrupt(kept):
        from tlf.engine.run import run

        try:
            finished = run(
                spec,
                overrides=overrides or (),
                output_directory=output_directory,
                listener=listener,
            )
        finally:
            listener.close()
    if as_json:
        write_json({"directory": str(finished.directory), "report": dict(finished.report)})
    else:
        show_result(finished)


def show_result(finished: Run) -> None:
    """Print the result of a run for people, its directory last.

    Args:
        finished: The run.
    """
    from tlf.cli.output import messages, results, write_line
    from tlf.cli.tables import interval, percent, seconds, table

    console = results()
    report = finished.report
    rows = [
        [
            f"{step['name']} (undone)" if step.get("selection", {}).get("undone") else step["name"],
            str(step["epochs"]),
            f"{step['trainable_parameters']:,}",
            f"{step['frozen_parameters']:,}",
            seconds(step["seconds"]),
            percent(step["accuracy"]),
        ]
        for step in report["steps"]
    ]
    columns = ["step", ">epochs", ">trainable", ">frozen", ">time", ">accuracy"]
    console.print(table(columns, rows))
    console.print()
    metrics = [
        [name, f"{value:.4f}" if name == "loss" else percent(value)]
        for name, value in report["metrics"].items()
    ]
    where = f"{report['images_measured']} {report['metrics_on']} images"
    console.print(table([f"metric, on {where}", ">value"], metrics))
    console.print()
    if report["accuracy_interval"]:
        console.print(
            f"one run, seed {report['seed']}; 95% interval of its accuracy over images: "
            f"{interval(report['accuracy_interval'])}"
        )
    cache = report["cache"]
    if cache["rows_computed"] or cache["rows_found"]:
        console.print(
            f"images and frozen part: {seconds(cache['seconds'])}, for {cache['rows_computed']:,} "
            f"views computed and {cache['rows_found']:,} found "
            f"(predicted {seconds(cache['predicted_seconds'])}; "
            f"{seconds(cache['predicted_seconds_without'])} if nothing were kept)"
        )
    total = seconds(report["timings"]["total_seconds"])
    console.print(
        f"{total} in all, {report['images_through_backbone']:,} images through the backbone\n"
    )
    directory = shlex.quote(str(finished.directory))
    messages().print(f"next: tlf predict {directory} PHOTO_OR_FOLDER", soft_wrap=True)
    write_line(finished.directory)
