"""Other people's words, made fit for a message or a report."""

from __future__ import annotations

import unicodedata

#: Control characters, halves of surrogate pairs, and what else begins a new line.
_NOT_SHOWN = frozenset({"Cc", "Cs", "Zl", "Zp"})


def reason_of(error: Exception) -> str:
    """Return what an error says: one line that begins in lower case, without a full stop.

    Args:
        error: What was raised. Of an error of the system's, only what it says of the cause.
    """
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    text = printable(" ".join(str(said).split()).rstrip("."))
    return text[:1].lower() + text[1:] if text else type(error).__name__


def printable(text: str) -> str:
    r"""Return a text as one line that UTF-8 can hold, and that does nothing to a terminal.

    Args:
        text: Any text; names of files may hold line breaks (written as `\n`), commands to a terminal
            (`\x1b`) and halves of surrogate pairs (`\udce9`).
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _NOT_SHOWN
        else character
        for character in text
    )
