"""`tlf tune-lr`: a learning rate for a spec, by range tests."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tlf.cli.arguments import Json, Set, Spec
from tlf.errors import OutputError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from tlf.engine.learning_rates import LearningRates, MeasuredRate, StepRates

#: What a picture's file is called.
SUFFIX = ".svg"


def tune_lr_command(  # noqa: PLR0913, PLR0917 - each is an option
    spec: Spec,
    batches: Annotated[
        int, typer.Option(metavar="N", help="Batches of a test, each with its own rate.")
    ] = 60,
    lowest: Annotated[
        float, typer.Option("--from", metavar="RATE", help="The first rate of a test.")
    ] = 1e-5,
    highest: Annotated[
        float, typer.Option("--to", metavar="RATE", help="The last; most tests end before it.")
    ] = 10.0,
    repeats: Annotated[
        int,
        typer.Option(metavar="N", help="Tests of each step, each with another head and order."),
    ] = 3,
    groups: Annotated[
        bool,
        typer.Option(
            "--groups", help="Also test each group of parameters with its own rate alone."
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the curves here: an SVG file, a new one."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the rate into SPEC; all else in it stays.")
    ] = False,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Find a learning rate for SPEC.

    A copy of the network is trained for some batches while the rate rises, and the loss is looked at:
    for each step that trains, several times. Only training images are used, and no run is written.
    """
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import write_json

    _check_output(output)
    before = _read(spec) if write else b""
    with prompt_interrupt():
        from tlf.cli.tuning_view import TuningView
        from tlf.engine.tuning import tune_lr

        with TuningView() as view:
            rates = tune_lr(
                spec,
                overrides=overrides or (),
                batches=batches,
                lowest=lowest,
                highest=highest,
                repeats=repeats,
                groups=groups,
                listener=view,
            )
        drawn = output is not None and bool(rates.tested)
        if output is not None and drawn:
            _draw(rates, output)
        written = write and _write(rates, Path(spec), before)
    if as_json:
        picture = str(output) if drawn else None
        write_json({**rates.as_json(), "picture": picture, "written": written})
    else:
        show_rates(rates)
    _tell(rates, spec, output if drawn else None, written=written, wanted=write)
    if written and overrides:
        _say(
            "the rate was found with the fields changed that `--set` names; they are not in the file"
        )


def _check_output(path: Path | None) -> None:
    """Find out before anything is tested that a picture cannot be written."""
    if path is None:
        return
    if path.suffix.lower() != SUFFIX:
        raise UsageError(
            f"`{path}` is no name of a picture that can be drawn",
            hint=f"the curves are drawn as SVG: `{path.with_suffix(SUFFIX)}`",
        )
    if not path.parent.is_dir():
        raise OutputError(
            f"`{path}` cannot be written: there is no folder `{path.parent}`",
            hint="make the folder first, or name another place",
        )
    if path.exists() or path.is_symlink():
        raise _is_there(path)


def _is_there(path: Path) -> OutputError:
    return OutputError(
        f"`{path}` is there already, and is not overwritten",
        hint="remove it, or name another file",
    )


def _read(spec: str) -> bytes:
    """Return what the spec file holds, to be sure later that it still does."""
    if spec == "-":
        raise UsageError(
            "`--write` has no file to write to: the spec comes from standard input",
            hint="name the spec file, or take the rate from `--json`",
        )
    try:
        return Path(spec).read_bytes()
    except OSError:
        # Whoever reads the spec says what is wrong, and with it.
        return b""


def _draw(rates: LearningRates, path: Path) -> None:
    from tlf.engine.files import write_new_text
    from tlf.report.rates import rates_picture

    try:
        write_new_text(path, rates_picture(rates.as_json()))
    except FileExistsError as error:
        raise _is_there(path) from error
    except OSError as error:
        raise OutputError(
            f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}",
            hint="make room, or name another place",
        ) from error


def _write(rates: LearningRates, path: Path, before: bytes) -> bool:
    """Write the rate into the spec file, if there is one; return whether it was written."""
    from tlf.engine.files import replace_bytes
    from tlf.spec.editing import set_number

    rate = rates.learning_rate
    if rate is None:
        return False
    text = set_number(before.decode("utf-8"), ("training", "learning_rate"), rate)
    try:
        replace_bytes(path, before, text.encode())
    except OSError as error:
        raise OutputError(
            f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}",
            hint=f"set it by hand: `training.learning_rate` {rate:g}",
        ) from error
    return True


def show_rates(rates: LearningRates) -> None:
    """Print what was found, for people.

    Args:
        rates: What was found.
    """
    from tlf.cli.output import results

    console = results()
    console.print(_table(rates))
    console.print()
    for step in rates.steps:
        if step.note:
            console.print(f"{step.name}: {step.note}")
        for tested in step.groups:
            if tested.note:
                console.print(f"{step.name}, {_groups(tested)}: {tested.note}")
    if any(step.note for step in rates.steps):
        console.print()
    if rates.tested:
        found = "none" if rates.learning_rate is None else f"{rates.learning_rate:g}"
        said = rates.why.removeprefix("none: ")
        console.print(f"training.learning_rate: {found} (the spec says {rates.planned:g})")
        console.print(said)
    else:
        console.print(rates.why)


def _table(rates: LearningRates) -> Table:
    from tlf.cli.tables import table

    rows = []
    for number, step in enumerate(rates.steps, start=1):
        rows.append([f"{number} {step.name}", str(step.epochs), *_cells(step)])
        rows += [
            [f"  {_groups(one)}", "", f"{one.planned:.2g}", *_found(one)] for one in step.groups
        ]
    columns = ["step", ">epochs", ">planned", ">rate", ">repeats", ">lost above"]
    return table(columns, rows)


def _cells(step: StepRates) -> list[str]:
    if step.together is None:
        return ["–"] * 4
    return [f"{step.together.planned:.2g}", *_found(step.together)]


def _found(tested: MeasuredRate) -> list[str]:
    limit = "–" if tested.limit is None else f"{tested.limit:.1g}"
    if tested.rate is None or tested.interval is None:
        return ["flat", "–", limit]
    low, high = tested.interval
    return [f"{tested.rate:g}", f"{low:.2g} to {high:.2g}", limit]


def _groups(tested: MeasuredRate) -> str:
    stages = list(dict.fromkeys(group.rpartition(":")[0] for group in tested.groups))
    return stages[0] if len(stages) == 1 else f"{stages[0]} to {stages[-1]}"


def _say(message: str) -> None:
    from tlf.cli.output import messages

    messages().print(message, soft_wrap=True)


def _tell(
    rates: LearningRates, spec: str, picture: Path | None, *, written: bool, wanted: bool
) -> None:
    """Say on standard error what was written, and what to do next."""
    rate = rates.learning_rate
    if picture is not None:
        _say(f"curves: {picture}")
    if written:
        _say(f"wrote training.learning_rate {rate:g} into {spec}")
    elif wanted:
        _say("nothing was written into the spec")
    elif rate is not None:
        _say(f"next: tlf run {shlex.quote(spec)} --set training.learning_rate={rate:g}")
