"""`tlf report`: the page of a run or of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlf.cli.arguments import Json

if TYPE_CHECKING:
    from rich.table import Table


def report_command(
    directory: Annotated[
        Path, typer.Argument(metavar="RUN", help="Directory of a finished run or a comparison.")
    ],
    open_it: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write a page on RUN, or on a comparison. The last line on stdout is the page.

    Of a run, it shows the surest mistakes, what in the image the network went by, what its
    probabilities are worth, and how far its stages have moved: the network is asked once more about
    the images that the run reports. The page is one file that needs nothing beside it.
    """
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import messages, results, write_json, write_line

    analysis = None
    with prompt_interrupt():
        from tlf.engine.pages import ANALYSIS, is_comparison, write_page

        if not is_comparison(directory):
            from tlf.engine.analysis import analyse

            messages().print("looking at the run's images once more …")
            analysis = analyse(directory, warn=_warn)
        page = write_page(directory)
    if as_json:
        # Not what the analysis holds: pictures fill a terminal.
        written = None if analysis is None else str(directory / ANALYSIS)
        write_json({"page": str(page), "analysis": written})
    else:
        if analysis is not None:
            results().print(_summary(analysis))
            results().print()
        write_line(page)
    if open_it:
        _open(page)


def _warn(message: str) -> None:
    from tlf.cli.output import messages

    messages().print(f"warning: {message}", soft_wrap=True)


def _summary(analysis: dict[str, Any]) -> Table:
    """Return what an analysis has found, for people."""
    from tlf.cli.tables import table

    return table(["what", "found"], [[what, found] for what, found in _found(analysis).items()])


def _found(analysis: dict[str, Any]) -> dict[str, str]:
    from tlf.cli.tables import percent, seconds

    split, mistakes = analysis["metrics_on"], analysis["mistakes"]
    found = {"images": f"{analysis['data'][split]['images']:,} {split}"}
    if mistakes:
        worst = mistakes[0]
        said = f"{worst['predicted']} {percent(worst['probability'])}, is {worst['label']}"
        found["surest mistake"] = f"{worst['id']}: {said}"
    temperature = analysis["temperature"]
    if temperature is not None:
        before, after = (
            percent(temperature[when]["expected_calibration_error"]) for when in ("before", "after")
        )
        effect = f"brings the calibration error from {before} to {after}"
        found["temperature"] = f"{temperature['value']:.2f}, which {effect}"
    moved = [one for one in analysis["movement"] or () if one["relative_change"]]
    if moved:
        most = max(moved, key=lambda one: float(one["relative_change"]))
        found["moved most"] = f"{most['stage']}, by {percent(most['relative_change'])}"
    found["took"] = seconds(sum(analysis["seconds"].values()))
    return found


def _open(page: Path) -> None:
    """Show a page in a browser, or say that there is none."""
    import webbrowser

    if not webbrowser.open(page.absolute().as_uri()):
        _warn("no browser could be started")
