"""`tlf data`: what is wrong, or odd, about the images that a spec names."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from tlf.cli.arguments import Json, Set, Spec

if TYPE_CHECKING:
    from rich.console import Console

    from tlf.data.examination import Examination
    from tlf.data.findings import Example, Finding

#: How many classes, and how many cases of a finding, are shown; `--json` has all.
CLASSES_SHOWN = 20
EXAMPLES_SHOWN = 5
#: How many images of one case are shown.
_GROUP_SHOWN = 4

data_app = typer.Typer(help="Check the images that a spec names.", rich_markup_mode=None)


@data_app.callback()
def _options_of_data() -> None:
    # With a callback, one command alone is a command all the same.
    ...


@data_app.command("check")
def check_command(spec: Spec, overrides: Set = None, as_json: Json = False) -> None:
    """Say what is broken, there twice, or odd among the images.

    Trains nothing. The exit code is 2 if something is wrong that a run would refuse.
    """
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import write_json
    from tlf.errors import DataError

    with prompt_interrupt(), _progress() as progress:
        from tlf.engine.data_check import check_data

        examination = check_data(spec, overrides=overrides or (), progress=progress)
    if as_json:
        write_json(examination.as_json())
    else:
        show_examination(examination)
    if examination.errors:
        kinds = ", ".join(f"`{finding.kind}`" for finding in examination.errors)
        raise DataError(
            f"the data cannot be used as they are: {kinds}",
            hint="; ".join(dict.fromkeys(finding.hint for finding in examination.errors)),
        )


def show_examination(examination: Examination) -> None:
    """Print how many images there are, and what was found, for people.

    Args:
        examination: Of a data set.
    """
    from tlf.cli.output import results
    from tlf.cli.tables import table

    console = results()
    splits = examination.counts
    classes = list(next(iter(splits.values())))
    rows = [
        [name, *(f"{counts[name]:,}" for counts in splits.values())]
        for name in classes[:CLASSES_SHOWN]
    ]
    if len(classes) > CLASSES_SHOWN:
        rows.append([f"and {len(classes) - CLASSES_SHOWN:,} more", *("" for _ in splits)])
    rows.append(["all", *(f"{examination.images[split]:,}" for split in splits)])
    console.print(table(["class", *(f">{split}" for split in splits)], rows))
    for finding in examination.findings:
        console.print()
        _show(finding, console)
    console.print()
    console.print(_summary(examination))


def _show(finding: Finding, console: Console) -> None:
    console.print(f"{finding.severity} {finding.kind}")
    _say(finding.message, console)
    for line in _lines(finding):
        # A path is left whole, however long.
        console.print(f"  {line}", soft_wrap=True)
    _say(f"hint: {finding.hint}", console)


def _say(text: str, console: Console) -> None:
    for line in textwrap.wrap(text, console.width - 2, break_long_words=False):
        console.print(f"  {line}", soft_wrap=True)


def _lines(finding: Finding) -> Iterator[str]:
    for example in finding.examples[:EXAMPLES_SHOWN]:
        yield from _case(example)
    if len(finding.examples) > EXAMPLES_SHOWN:
        yield f"and {len(finding.examples) - EXAMPLES_SHOWN:,} more"


def _case(example: Example) -> Iterator[str]:
    """Yield the lines of one case: its images, each below the other, or its facts alone."""
    facts = _facts(example)
    if not example.images:
        yield from [f"- {facts}"] if facts else []
        return
    shown = example.images[:_GROUP_SHOWN]
    for number, place in enumerate(shown):
        sign = "- " if number == 0 else "  "
        about = f": {facts}" if facts and number == len(shown) - 1 else ""
        yield f"{sign}{place.id} ({place.split}, {place.shown}){about}"
    if len(example.images) > _GROUP_SHOWN:
        yield f"  and {len(example.images) - _GROUP_SHOWN:,} more of the same"


def _facts(example: Example) -> str:
    facts = dict(example.facts)
    if "reason" in facts:
        return str(facts["reason"])
    if "width" in facts:
        return f"{facts['width']}×{facts['height']} pixels"
    if "distance" in facts:
        return f"{facts['distance']} of 64 bits differ, likeness {facts['likeness']:.3f}"
    if "contrast" in facts:
        return f"contrast {facts['contrast']:g} of 255"
    where = [str(facts[key]) for key in ("split", "class", "mode", "meaning") if key in facts]
    number = f": {facts['images']:,} images" if "images" in facts else ""
    # Of all images, the message has said it.
    return ", ".join(where) + number if where else ""


def _summary(examination: Examination) -> str:
    count = {"error": 0, "warning": 0, "note": 0}
    for finding in examination.findings:
        count[finding.severity] += 1
    if not examination.findings:
        return "nothing found"
    said = [f"{n} {name}{'' if n == 1 else 's'}" for name, n in count.items() if n]
    return f"found {', '.join(said)}; `--json` lists every image concerned"


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Show on a terminal how many images have been looked at."""
    from tlf.cli.output import messages

    console = messages()
    if not console.is_interactive:
        yield None
        return
    with console.status("reading the spec") as status:
        yield lambda done, total: status.update(f"looking at images: {done:,} of {total:,}")
