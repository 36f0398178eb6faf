"""What pydantic found, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

#: What a value must be, by the type of pydantic's error. Braces hold what its context says.
_EXPECTED: Mapping[str, str] = {
    "bool_parsing": "`true` or `false`",
    "bool_type": "`true` or `false`",
    "dict_type": "an object",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "frozen_set_type": "a list",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_type": "a whole number",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "mapping_type": "an object",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "multiple_of": "a multiple of {multiple_of}",
    "none_required": "`null`",
    "path_type": "a path",
    "set_type": "a list",
    "string_pattern_mismatch": "text that matches `{pattern}`",
    "string_too_long": "at most {max_length} characters long",
    "string_too_short": "at least {min_length} characters long",
    "string_type": "text",
    "string_unicode": "text",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
    "tuple_type": "a list",
}
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")


def expected(error: Mapping[str, Any]) -> list[str]:
    """Return what a value may be: `at least 1`, say; nothing if there are no words for the error.

    Args:
        error: One of pydantic's error details.
    """
    context = error.get("ctx", {})
    if error["type"] in ("literal_error", "enum"):
        return [f"`{name}`" for name in choices(error)] or [str(context.get("expected"))]
    if error["type"] in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return [
            "at least one character long" if "string" in error["type"] else "a list of 1 or more"
        ]
    phrase = _EXPECTED.get(error["type"])
    return [] if phrase is None else [phrase.format_map(_Numbers(context))]


def choices(error: Mapping[str, Any]) -> list[str]:
    """Return the texts that would have been right, if that is what an error says.

    Args:
        error: One of pydantic's error details.
    """
    if error["type"] not in ("literal_error", "enum"):
        return []
    return _QUOTED.findall(str(error.get("ctx", {}).get("expected", "")))


def either(phrases: Sequence[str]) -> str:
    """Return phrases as a sentence has them: a, b or c.

    Args:
        phrases: The phrases, at least one.
    """
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} or {phrases[-1]}"


def shown(value: object) -> str:
    """Return a value as a message shows it, in backticks and shortened.

    Args:
        value: Any JSON value.
    """
    text = value if isinstance(value, str) and _is_clear(value) else _as_json(value)
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}…`"


class _Numbers(dict[str, Any]):
    """Gives numbers without a needless `.0`."""

    def __getitem__(self, key: str) -> object:
        value = super().__getitem__(key)
        return f"{value:.12g}" if isinstance(value, float) else value


def _is_clear(text: str) -> bool:
    """Whether a text can stand without quotes and nobody takes it for a number or for nothing."""
    if not text.strip() or text != text.strip() or not text.isprintable():
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)
