"""The console of each stream; apart from `output`, because rich takes time to import."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from tlf.cli.output import silence, visible

#: A table in a pipe is as wide as on the narrowest terminal that it is made for, at least.
PIPE_COLUMNS = 80


class StreamConsole(Console):
    """A console that shows text as it is, plain where colours are not wanted.

    Names of files and classes are anybody's words, so neither `[…]` nor `:…:` means anything.

    Args:
        stderr: Whether to write to standard error.
    """

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(
            stderr=stderr,
            color_system=None if os.environ.get("NO_COLOR") else "auto",
            markup=False,
            emoji=False,
            highlight=False,
        )
        if not self.is_terminal:
            self.width = max(self.width, PIPE_COLUMNS)

    def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401 - rich's own arguments
        """Make text ready to be shown; what a terminal would obey is written as an escape."""
        return super().render_str(visible(text), **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield what is printed; text that did not come as a plain string is looked at here."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text == "\n":
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Go on without a reader: what is being done does not depend on being watched."""
        silence(self.file)
