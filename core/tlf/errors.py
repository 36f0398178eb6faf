"""Every error that reaches a user, and the exit code that the command line gives for it.

A message says what is wrong, the offending value in backticks, in lower case and without a full stop.
The hint says what to do next. Nothing here prints.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class TlfError(Exception):
    """An error with a message for the user.

    Args:
        message: What is wrong, with the offending value in backticks.
        hint: What to do next; printed after `hint:`.

    Attributes:
        exit_code: What the process ends with when this error ends it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a spec.

    Attributes:
        path: Where, as the user would write it: `training.epochs`. Empty for the file as a whole.
        message: What is wrong, with the offending value in backticks.
        hint: What to do about it, or None.
    """

    path: str
    message: str
    hint: str | None = None


class SpecError(TlfError):
    """A run spec that cannot be used. Carries all of its problems, not only the first.

    Args:
        problems: What is wrong, at least one.
        source: The file that was read, or None for a spec that came from Python.
    """

    exit_code = 2

    def __init__(self, problems: Iterable[Problem], *, source: str | None = None) -> None:
        self.problems = tuple(problems)
        self.source = source
        count = len(self.problems)
        where = f"`{source}`" if source else "the spec"
        lines = [f"{where} has {count} problem{'' if count == 1 else 's'}"]
        for problem in self.problems:
            lines.append(f"  {problem.path + ': ' if problem.path else ''}{problem.message}")
            if problem.hint:
                lines.append(f"    hint: {problem.hint}")
        super().__init__("\n".join(lines))


class DataError(TlfError):
    """The images that the spec names cannot be used as it says."""

    exit_code = 2


class WeightsError(TlfError):
    """A weights file is missing, unreadable, or of another network."""

    exit_code = 2


class OutputError(TlfError):
    """A place to write to cannot be written to, or a run to read from is not one."""

    exit_code = 2


class UsageError(TlfError):
    """What a command, or a call, asks for does not exist or cannot be done."""

    exit_code = 2


class PluginError(TlfError):
    """A plugin that is needed is missing or broken."""

    exit_code = 3


class RunError(TlfError):
    """The run failed after it had begun."""


class RunInterrupted(TlfError):  # noqa: N818 - a user's Ctrl-C is no error of anybody's
    """The user stopped the run."""

    exit_code = 130


class RunTerminated(RunInterrupted):
    """The system stopped the run: SIGTERM, as batch systems and containers send it."""

    exit_code = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM, at a moment when nothing can be saved. Handled wherever Ctrl-C is."""


def nearest(value: str, choices: Iterable[str]) -> str | None:
    """Return the choice that the user probably meant, or None if none is near.

    Args:
        value: What the user wrote.
        choices: What would have been right.
    """
    candidates = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(value.lower(), candidates, n=1, cutoff=0.6)
    return candidates[found[0]] if found else None


def did_you_mean(value: str, choices: Iterable[str]) -> str | None:
    """Return a hint for a misspelt name: the nearest one, or else all there are.

    Args:
        value: What the user wrote.
        choices: What would have been right.
    """
    names = sorted(choices)
    found = nearest(value, names)
    if found is not None:
        return f"did you mean `{found}`?"
    if not names:
        return None
    shown = ", ".join(f"`{name}`" for name in names[:12])
    return f"choose from {shown}{' …' if len(names) > 12 else ''}"
