"""The command line: one module a command.

What is heavy is imported by the command that needs it, so that `tlf --help` starts in no time.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from tlf.cli.backbones import backbones_app
from tlf.cli.cache import cache_app
from tlf.cli.check import check_command
from tlf.cli.compare import compare_command
from tlf.cli.data import data_app
from tlf.cli.devices import devices_app
from tlf.cli.init import init_command
from tlf.cli.new import new_command
from tlf.cli.output import make_printable, messages, silence, without_commands, write_line
from tlf.cli.plan import plan_command
from tlf.cli.plugins import plugins_app
from tlf.cli.predict import predict_command
from tlf.cli.report import report_command
from tlf.cli.repro import repro_command
from tlf.cli.run import run_command
from tlf.cli.spec import spec_app
from tlf.cli.tune_lr import tune_lr_command
from tlf.errors import RunInterrupted, RunTerminated, TlfError

__all__ = ["app", "main"]

TRACEBACK = "--traceback"
STRICT_PLUGINS = "--strict-plugins"

app = typer.Typer(
    help="Fit a pretrained network to your own images.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("init")(init_command)
app.command("run")(run_command)
app.command("plan")(plan_command)
app.command("tune-lr")(tune_lr_command)
app.command("compare")(compare_command)
app.command("predict")(predict_command)
app.command("report")(report_command)
app.command("repro")(repro_command)
app.add_typer(backbones_app, name="backbones")
app.add_typer(cache_app, name="cache")
app.add_typer(data_app, name="data")
app.add_typer(devices_app, name="devices")
app.add_typer(plugins_app, name="plugins")
app.add_typer(spec_app, name="spec")
plugins_app.command("check")(check_command)
plugins_app.command("new")(new_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from tlf import __version__

        write_line(f"tlf {__version__}")
        raise typer.Exit


@app.callback()
def _options_of_every_command(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version."),
    ] = False,
    traceback: Annotated[
        bool, typer.Option(TRACEBACK, help="Show where in the code an error arose.")
    ] = False,
    strict_plugins: Annotated[
        bool,
        typer.Option(STRICT_PLUGINS, help="Do nothing if any installed plugin does not work."),
    ] = False,
) -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return the exit code.

    Args:
        arguments: The words behind `tlf`; by default those that the process was started with.
    """
    make_printable()
    words, flags = _take_flags(sys.argv[1:] if arguments is None else arguments)
    traceback = TRACEBACK in flags
    try:
        if STRICT_PLUGINS in flags:
            _require_plugins()
        code = _invoke(words or ["--help"])
    except KeyboardInterrupt as error:
        code = _fail(RunInterrupted("stopped"), error, traceback=traceback)
    except Exception as error:  # noqa: BLE001 - here every error ends, in words
        code = _fail(_in_words(error), error, traceback=traceback)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
    if code in (RunInterrupted.exit_code, RunTerminated.exit_code) and arguments is None:
        # Taking torch and its threads down in order can take longer than anybody wants to wait.
        sys.stderr.flush()
        os._exit(code)
    return code


def _take_flags(words: Sequence[str]) -> tuple[list[str], set[str]]:
    """Take the flags that every command has out of the words, wherever they stand before a `--`."""
    end = words.index("--") if "--" in words else len(words)
    flags = {word for word in words[:end] if word in (TRACEBACK, STRICT_PLUGINS)}
    kept = [word for word in words[:end] if word not in flags]
    return [*kept, *words[end:]], flags


def _require_plugins() -> None:
    """Raise PluginError unless every plugin works, or is left out on purpose."""
    from tlf.registry import load_registry

    load_registry().require_all()


def _invoke(words: list[str]) -> int:
    code = app(words, prog_name="tlf", standalone_mode=False)
    if code == RunInterrupted.exit_code:
        # typer makes an exit code of a Ctrl-C by itself.
        raise KeyboardInterrupt
    return code or 0


def _in_words(error: Exception) -> TlfError:
    """Return the error as the user should see it."""
    if isinstance(error, TlfError):
        return error
    if isinstance(error, TyperException):
        return _usage_error(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"`{error.filename}`: " if error.filename is not None else ""
        return TlfError(f"{where}{error.strerror.lower()}", hint=_where_to_look())
    kind = type(error).__name__
    return TlfError(
        f"this is a bug of tlf, or of a plugin: {kind}: {error}",
        hint=f"{_where_to_look()}; please report it",
    )


def _where_to_look() -> str:
    return f"`{TRACEBACK}` shows where in the code it arose"


def _usage_error(error: TyperException) -> TlfError:
    message = error.format_message().strip().removesuffix(".")
    message = re.sub(r"(?<!\w)'([^']+)'(?!\w)", r"`\1`", message[:1].lower() + message[1:])
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "tlf"
    usage = TlfError(message, hint=f"`{command} --help` says how it is used")
    usage.exit_code = error.exit_code
    return usage


def _fail(error: TlfError, cause: BaseException, *, traceback: bool) -> int:
    """Say on standard error what went wrong, and return the exit code."""
    console = messages()
    if traceback:
        import traceback as format_of

        console.print("".join(format_of.format_exception(cause)), soft_wrap=True)
    stopped = isinstance(error, RunInterrupted)
    console.print("" if stopped else "error: ", style="bold red", end="")
    console.print(without_commands(error.message), soft_wrap=True)
    if error.hint:
        hint = without_commands(error.hint)
        console.print(hint if stopped else f"\nhint: {hint}", soft_wrap=True)
    return error.exit_code
