"""Other people's words, made fit for a message or a report."""

from __future__ import annotations


def reason_of(error: Exception) -> str:
    """Return what an error says: one line that begins in lower case, without a full stop.

    Args:
        error: What was raised. Of an error of the system's, only what it says of the cause.
    """
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    text = printable(" ".join(str(said).split()).rstrip("."))
    return text[:1].lower() + text[1:] if text else type(error).__name__


def printable(text: str) -> str:
    r"""Return a text that UTF-8 can hold: half a surrogate pair is written as `\udce9`.

    Args:
        text: Any text; names of files may hold such halves.
    """
    return text.encode("utf-8", "backslashreplace").decode()
