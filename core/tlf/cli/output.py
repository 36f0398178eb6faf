"""The two streams of the command line: results on standard output, messages on standard error."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


#: What a terminal obeys instead of showing it: names of files and classes may hold it, and text may.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

#: What stands in backticks is somebody's own word, and a line's end in it is no end of ours.
_QUOTED = re.compile("`[^`]*`")


def visible(text: str) -> str:
    r"""Return a text that does nothing to a terminal: `\x1b` is written as such.

    Ends of lines stay, but for those in backticks, where names stand.

    Args:
        text: Any text.
    """
    text = _CONTROLS.sub(_escape, text)
    if text.count("`") % 2:
        # Nobody can say which words are whose.
        return text
    return _QUOTED.sub(lambda found: found[0].replace("\n", "\\n"), text)


def _escape(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def messages() -> Console:
    """Return the console for what the user should know: standard error."""
    from tlf.cli.console import StreamConsole

    return StreamConsole(stderr=True)


def results() -> Console:
    """Return the console for what the user asked for: standard output."""
    from tlf.cli.console import StreamConsole

    return StreamConsole(stderr=False)


def write_line(text: object) -> None:
    """Write a line to standard output as it is, neither wrapped nor coloured.

    On a terminal, what it would obey is written as an escape; a program that reads it gets it as it is.

    Args:
        text: A path, say.
    """
    if sys.stdout.isatty():
        text = _CONTROLS.sub(_escape, str(text))
    try:
        print(text, flush=True)  # noqa: T201 - this is where results leave
    except BrokenPipeError:
        silence(sys.stdout)


def without_commands(text: str) -> str:
    r"""Return a text that does nothing to a terminal: a file's name may hold commands to it (`\x1b`).

    Args:
        text: A message, of any number of lines.
    """
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda one: repr(one[0])[1:-1], text)


def write_json(value: object) -> None:
    """Write plain data as JSON to standard output.

    Args:
        value: Plain data.
    """
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    # JSON lets these stand as they are, and some terminals obey them.
    write_line(re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text))


def silence(stream: IO[str]) -> None:
    """Send what is written to a stream from now on nowhere.

    Args:
        stream: Standard output or standard error, whose reader is gone.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def make_printable() -> None:
    """Let every character be printed, whatever the terminal's encoding.

    A file name may hold bytes that are no text: these are written as they are, so that a path can be
    used again. What the encoding lacks is written as an escape.
    """
    codecs.register_error("tlf-printable", _printable)
    # A stream that was closed before the process began is None.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="tlf-printable")


def _nowhere() -> IO[str]:
    return Path(os.devnull).open("w", encoding="utf-8")


def _printable(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    try:
        return error.object[error.start : error.end].encode("ascii", "surrogateescape"), error.end
    except UnicodeEncodeError:
        return codecs.backslashreplace_errors(error)
