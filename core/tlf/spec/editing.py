"""Changing one number in the text of a JSON file, and nothing else: not a space, not an order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class _Member:
    """A member of an object in a text, by places.

    Attributes:
        key: Its key.
        start: Where the key begins.
        value: Where its value begins.
        end: Behind its value.
    """

    key: str
    start: int
    value: int
    end: int


def set_number(text: str, path: Sequence[str], number: float) -> str:
    """Return a JSON text with a number in another place of it; all else stays as it is written.

    What is missing on the way is added behind what is there, in the style of its neighbours.

    Args:
        text: JSON whose value is an object. It may begin with a byte order mark.
        path: Keys on the way to the number, at least one.
        number: The number.

    Raises:
        ValueError: Something on the way is no object, or the text is no JSON.
    """
    start = _skip(text, 1 if text.startswith("\ufeff") else 0)
    for depth, key in enumerate(path):
        if text[start : start + 1] != "{":
            raise ValueError(f"`{'.'.join(path[:depth]) or 'the file'}` is no object")
        members = list(_members(text, start))
        found = next((member for member in members if member.key == key), None)
        if found is None:
            return _with_member(text, start, members, path[depth:], number)
        if depth == len(path) - 1:
            return text[: found.value] + json.dumps(number) + text[found.end :]
        start = found.value
    raise ValueError("there is no path")


def _members(text: str, start: int) -> Iterator[_Member]:
    """Yield the members of an object.

    Args:
        text: The text.
        start: Where the object begins.
    """
    place = _skip(text, start + 1)
    while text[place : place + 1] == '"':
        key, end = _DECODER.raw_decode(text, place)
        colon = _skip(text, end)
        value = _skip(text, colon + 1)
        _, end = _DECODER.raw_decode(text, value)
        yield _Member(key, place, value, end)
        comma = _skip(text, end)
        if text[comma : comma + 1] != ",":
            return
        place = _skip(text, comma + 1)


def _with_member(
    text: str, start: int, members: Sequence[_Member], path: Sequence[str], number: float
) -> str:
    """Return the text with a new last member in an object."""
    place, lead, colon = start + 1, "", ": "
    if members:
        last = members[-1]
        place = last.end
        colon = re.sub(r'^"(?:[^"\\]|\\.)*"', "", text[last.start : last.value])
        # What stands between the last key and what comes before it stands before the new one, too.
        before = text[: last.start]
        space = before[len(before.rstrip(" \t\r\n")) :]
        if len(members) == 1 and not space and colon != ":":
            space = " "
        lead = f",{space}"
    value = json.dumps(number)
    for key in reversed(path[1:]):
        value = f"{{{json.dumps(key)}{colon}{value}}}"
    return f"{text[:place]}{lead}{json.dumps(path[0])}{colon}{value}{text[place:]}"


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None
    return found.end()
