"""Laying out a page: one file, with style, script and pictures in it."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tlf.report.blocks import Content

_TEMPLATES = Path(__file__).parent / "templates"


def render(content: Content) -> str:
    """Return a page as HTML.

    Args:
        content: What is on it.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _with_code
    script = (_TEMPLATES / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        content=content,
        sections=[section for section in content.sections if section.blocks],
        # Both are files of tlf's own; everything else is escaped.
        style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        # Only this very script runs, whatever else finds its way into the page.
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _with_code(text: str) -> Markup:
    """Return a text whose words in backticks look like code; everything is escaped."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))
