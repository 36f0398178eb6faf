"""JSON that can mean one thing only: no key twice, no not-a-number, nothing that JSON cannot hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, NoReturn

from tlf.errors import Problem

#: Deeper than any sane spec, and less than what makes a parser give up.
MAX_DEPTH = 64
#: Larger numbers become infinite where a fraction is expected.
_LARGEST = 1e300


class _Object(dict[str, Any]):
    """A parsed object that remembers which of its keys stood there twice."""

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        super().__init__()
        self.doubles: list[str] = []
        for key, value in pairs:
            if key in self:
                self.doubles.append(key)
            self[key] = value


class _Refused:
    """A number that Python reads and that is no JSON, or no number that can be worked with."""

    def __init__(self, text: str) -> None:
        self.text = text if len(text) <= 30 else f"{text[:27]}…"


def parse(text: str) -> tuple[Any, list[Problem]]:
    """Return what a JSON text holds, and what is wrong with it.

    Args:
        text: The text. If it is no JSON at all, the value is None and there is one problem.
    """
    problems: list[Problem] = []
    try:
        value = json.loads(
            text,
            object_pairs_hook=_Object,
            parse_constant=_Refused,
            parse_int=_parse_int,
        )
    except json.JSONDecodeError as error:
        return None, [_syntax_problem(error)]
    except RecursionError:
        return None, [Problem("", "it is nested too deeply")]
    return plain(value, problems), problems


def parse_value(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return what a text means on the command line: JSON if it is some, else the text itself.

    Args:
        text: What stands after `field=`.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_Object, parse_constant=_refuse, parse_int=_parse_int
        )
    except (ValueError, RecursionError):
        return text


def plain(value: object, problems: list[Problem], path: str = "", depth: int = 0) -> Any:  # noqa: ANN401
    """Return a copy of a value as plain JSON data. Paths become text, tuples become lists.

    Args:
        value: Any value.
        problems: Gets a problem for each part that JSON cannot hold.
        path: Where the value stands in the spec.
        depth: How many objects and lists it stands in.
    """
    if depth > MAX_DEPTH:
        problems.append(Problem(path, "it is nested too deeply"))
        return None
    if isinstance(value, Mapping):
        return _plain_object(value, problems, path, depth)
    if isinstance(value, list | tuple):
        return [
            plain(item, problems, below(path, index), depth + 1) for index, item in enumerate(value)
        ]
    if isinstance(value, PurePath):
        value = str(value)
    wrong = _what_is_wrong(value)
    if wrong is not None:
        problems.append(Problem(path, wrong))
        return None
    return value


def below(path: str, key: object) -> str:
    """Return the path of what stands under a key, or at an index, of what stands at a path.

    Args:
        path: The path; empty for the spec as a whole.
        key: The key or index.
    """
    return f"{path}.{key}" if path else str(key)


def inside(value: object, key: object) -> Any:  # noqa: ANN401
    """Return what stands under a key of an object, or at an index of a list; None if nothing does.

    Args:
        value: Any JSON value.
        key: The key or index.
    """
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    return None


def _plain_object(
    value: Mapping[Any, Any], problems: list[Problem], path: str, depth: int
) -> dict[str, Any]:
    made = {}
    for key, item in value.items():
        wrong = "is no text" if not isinstance(key, str) else _bad_text(key)
        if wrong is not None:
            problems.append(Problem(path, f"the key {key!a} {wrong}"))
            continue
        made[key] = plain(item, problems, below(path, key), depth + 1)
    for key in getattr(value, "doubles", ()):
        problems.append(
            Problem(below(path, key), f"`{key}` stands here twice", "keep one of the two")
        )
    return made


def _what_is_wrong(value: object) -> str | None:
    if isinstance(value, _Refused):
        return f"`{value.text}` is no number that JSON can hold"
    if isinstance(value, str):
        wrong = _bad_text(value)
        return None if wrong is None else f"the text {value!a} {wrong}"
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        # Not true of what is no number either.
        sane = abs(value) <= _LARGEST
        return None if sane else f"`{_digits(value)}` is no number that can be worked with"
    return f"a value of type `{type(value).__name__}` cannot be written as JSON"


def _digits(number: float) -> str:
    # Python writes no more than a few thousand digits of a whole number, except in this way.
    if isinstance(number, int) and number.bit_length() > 1024:
        return f"{hex(number)[:27]}…"
    return str(number)


def _bad_text(text: str) -> str | None:
    # Half of a pair, which JSON can write as \ud800, and which no file and no terminal takes.
    half = any("\ud800" <= character <= "\udfff" for character in text)
    return "holds half of a character" if half else None


def _parse_int(text: str) -> int | _Refused:
    return int(text) if len(text) <= 300 else _Refused(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def _syntax_problem(error: json.JSONDecodeError) -> Problem:
    message = error.msg[:1].lower() + error.msg[1:]
    line = error.doc.split("\n")[error.lineno - 1].rstrip("\r")
    start = max(0, error.colno - 40)
    shown = line[start : start + 70].strip()
    where = f"line {error.lineno}, column {error.colno}"
    quoted = f": `{shown}`" if shown else ""
    return Problem("", f"it is no JSON: {message} at {where}{quoted}", _syntax_hint(error))


def _syntax_hint(error: json.JSONDecodeError) -> str | None:
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    if not error.doc.strip():
        return "the file is empty; a spec needs at least `data` and `backbone`"
    if before.endswith(",") and after[:1] in ("}", "]"):
        return "remove the comma before the closing bracket"
    if after[:1] == "," and after[1:].lstrip()[:1] in ("}", "]"):
        return "remove the comma before the closing bracket"
    if after.startswith(("//", "/*", "#")):
        return "JSON has no comments"
    if after.startswith("'"):
        return "JSON writes text in double quotes"
    for python, written in (("True", "true"), ("False", "false"), ("None", "null")):
        if after.startswith(python):
            return f"JSON writes `{written}`"
    return None
