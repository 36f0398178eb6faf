"""Paths that a spec names: one rule for data, weights and output."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tlf.errors import Problem, SpecError
from tlf.spec.words import shown


def resolve_path(folder: Path, text: str | Path, field: str) -> Path:
    """Return the path that a spec means. It need not exist.

    Args:
        folder: What a relative path starts from: the spec file's folder.
        text: What the spec says. A leading `~` is the user's home folder, `~name` another user's.
        field: Where it says so, for messages: `data.options.train`.

    Raises:
        SpecError: No file can have that path.
    """
    try:
        path = folder / Path(text).expanduser()
        os.fsencode(path)
        path.lstat()
    except RuntimeError as error:
        user = Path(text).parts[0]
        raise _problem(
            field,
            f"{shown(str(text))} starts at the home folder of `{user}`, which is not known here",
            "write the whole path; `~` alone is your own home folder, and `./~name` a file's name",
        ) from error
    except ValueError as error:
        raise _problem(
            field,
            f"{shown(str(text))} holds characters that no path can have",
            "remove the character; in JSON it is written `\\u0000` or the like",
        ) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _problem(
                field, f"{shown(str(text))} is longer than a path can be", "take a shorter name"
            ) from error
        # That it is not there, or cannot be read, is for whoever opens it to say.
    return path


def _problem(field: str, message: str, hint: str) -> SpecError:
    return SpecError([Problem(field, message, hint)])
