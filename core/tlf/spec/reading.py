"""Reading a spec: from a file, from standard input, or from Python, with fields overridden."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlf.errors import Problem, SpecError, did_you_mean, nearest
from tlf.spec.json_values import parse, plain
from tlf.spec.overrides import apply_overrides, parse_overrides

STDIN = "-"


@dataclass(frozen=True)
class RawSpec:
    """A spec as it was read: JSON, but not checked against anything yet.

    Attributes:
        values: The spec's object, overrides applied.
        folder: What relative paths in it start from: the file's folder, or the current one.
        source: The file, `stdin`, or None for a spec that came from Python.
        text: The file word for word if nothing was overridden, else the values as JSON; either way,
            what has to be kept to run the same again.
    """

    values: Mapping[str, Any]
    folder: Path
    source: str | None
    text: str


def load_raw(spec: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> RawSpec:
    """Read a spec.

    Args:
        spec: A JSON file, `-` for standard input, or the same as a mapping.
        overrides: Fields to change, each `path.to.field=value`. The value is JSON if it can be read
            as such, else text.

    Raises:
        SpecError: It cannot be read, is no JSON object, or an override is none.
    """
    source, text = (None, None) if isinstance(spec, Mapping) else _read(spec)
    problems: list[Problem] = []
    parsed = parse_overrides(overrides, problems)
    if text is None:
        values = plain(spec, problems)
    else:
        values, found = parse(text)
        problems += found or _check_object(values)
    if not problems:
        apply_overrides(values, parsed, problems)
    if problems:
        raise SpecError(problems, source=source)
    if text is None or overrides:
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    in_file = source is not None and spec != STDIN
    return RawSpec(values, Path(source).parent if source and in_file else Path(), source, text)


def _read(spec: str | Path) -> tuple[str, str]:
    """Return what the source is called, and its text."""
    source = "stdin" if spec == STDIN else str(spec)
    try:
        content = _read_stdin() if spec == STDIN else Path(spec).read_bytes()
        # Some editors put a byte order mark first, which is no part of the JSON.
        return source, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(
            "", f"it is no text in UTF-8: byte {error.start + 1} is wrong", "save it as UTF-8"
        )
    except FileNotFoundError:
        problem = Problem("", "there is no such file", _similar_file(Path(spec)))
    except IsADirectoryError:
        problem = Problem("", "it is a folder, not a file", _spec_inside(Path(spec)))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problem = Problem("", f"it cannot be read: {reason[:1].lower()}{reason[1:]}")
    raise SpecError([problem], source=source)


def _read_stdin() -> bytes:
    # What stands in for standard input in a notebook or a test may have no bytes.
    binary = getattr(sys.stdin, "buffer", None)
    return binary.read() if binary is not None else sys.stdin.read().encode()


def _similar_file(path: Path) -> str | None:
    try:
        names = [sibling.name for sibling in path.parent.iterdir() if sibling.is_file()]
    except OSError:
        return f"there is no folder `{path.parent}` either"
    found = nearest(path.name, names)
    if found is not None:
        return f"did you mean `{path.parent / found}`?"
    return did_you_mean(path.name, [name for name in names if name.endswith(".json")])


def _spec_inside(folder: Path) -> str:
    specs = sorted(folder.glob("*.json"))
    inside = folder / "spec.json"
    if inside in specs or len(specs) == 1:
        return f"did you mean `{inside if inside in specs else specs[0]}`?"
    return "name the spec file in it"


def _check_object(values: object) -> list[Problem]:
    if isinstance(values, dict):
        return []
    kind = "a list" if isinstance(values, list) else f"`{json.dumps(values)[:40]}`"
    return [Problem("", f"a spec must be an object, not {kind}", 'begin with `{"data": …`')]
