"""`tlf run`: carry out a spec."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlf.cli.arguments import Json, OutputDirectory, Set
from tlf.errors import UsageError

if TYPE_CHECKING:
    from tlf.engine.run import Run


def run_command(
    spec: Annotated[
        str | None,
        typer.Argument(
            help="The run spec, a JSON file; `-` for standard input.", show_default=False
        ),
    ] = None,
    overrides: Set = None,
    output_directory: OutputDirectory = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="DIR",
            help="Go on with the run in DIR, which was stopped or killed.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit a network as SPEC says. The last line on stdout is the run directory.

    SIGTERM and Ctrl-C let a run in training save its state first; a second Ctrl-C ends it at once.
    """
    from tlf.cli.interrupt import StopRequest, prompt_interrupt
    from tlf.cli.output import messages, write_json
    from tlf.cli.progress import ProgressListener

    _check_usage(spec, output_directory, resume)
    kept: list[str] = []
    request = StopRequest()
    listener = ProgressListener(messages(), kept=kept, request=request)
    with prompt_interrupt(kept, request):
        from tlf.engine.run import resume as go_on
        from tlf.engine.run import run

        try:
            if resume is None:
                assert spec is not None
                finished = run(
                    spec,
                    overrides=overrides or (),
                    output_directory=output_directory,
                    listener=listener,
                )
            else:
                finished = go_on(resume, spec=spec, overrides=overrides or (), listener=listener)
        finally:
            listener.close()
    if as_json:
        write_json({"directory": str(finished.directory), "report": dict(finished.report)})
    else:
        show_result(finished)


def _check_usage(spec: str | None, output_directory: Path | None, resume: Path | None) -> None:
    if spec is None and resume is None:
        raise UsageError("missing argument `SPEC`", hint="`tlf run --help` says how it is used")
    if resume is not None and output_directory is not None:
        raise UsageError(
            "`--resume` and `--output-directory` exclude each other",
            hint="a run goes on in its own directory",
        )


def show_result(finished: Run) -> None:
    """Print the result of a run for people, its directory last.

    Args:
        finished: The run.
    """
    from tlf.cli.output import messages, results, write_line
    from tlf.cli.tables import interval, percent, seconds, table

    console = results()
    report = finished.report
    several = report["task"] == "multi-label"
    key, measured = ("mean_average_precision", "mAP") if several else ("accuracy", "accuracy")
    rows = [
        [
            f"{step['name']} (undone)" if step.get("selection", {}).get("undone") else step["name"],
            str(step["epochs"]),
            f"{step['trainable_parameters']:,}",
            f"{step['frozen_parameters']:,}",
            seconds(step["seconds"]),
            percent(step[key]),
        ]
        for step in report["steps"]
    ]
    columns = ["step", ">epochs", ">trainable", ">frozen", ">time", f">{measured}"]
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
    if report["mean_average_precision_interval"]:
        console.print(
            f"one run, seed {report['seed']}; 95% interval of the mean average precision (mAP) over "
            f"images, by bootstrap: {interval(report['mean_average_precision_interval'])}"
        )
    if several:
        chosen_on = report["classification"]["thresholds_chosen_on"]
        console.print(
            f"a class is named from its own threshold on, chosen on the {chosen_on} images"
            if chosen_on
            else "a class is named from a probability of 0.5 on: there were no images to choose "
            "thresholds on"
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
