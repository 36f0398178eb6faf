"""What a page consists of, as values: the templates lay them out and decide nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What it says.
        value: What it is sorted by; its text by default. None sorts behind all others.
        small: A second, smaller line.
        bar: Length of a bar behind the number, in [0, 1]; None for no bar.
        heat: How strongly it is coloured, in [0, 1]; None for not at all.
        mark: How it looks: a class of the style sheet.
        link: Where it leads.
    """

    text: str
    value: float | str | None = ""
    small: str = ""
    bar: float | None = None
    heat: float | None = None
    mark: str = ""
    link: str = ""

    @property
    def sort(self) -> str:
        """What the page's script sorts by, if that is not the text."""
        if self.value is None:
            return ""
        return f"{self.value:.6g}" if isinstance(self.value, int | float) else str(self.value)

    @property
    def has_sort(self) -> bool:
        """Whether it is sorted by something else than its text."""
        return self.value != ""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: Its heading.
        numeric: Whether it holds numbers, which are aligned to the right.
        hint: What the heading means, where it is too short to say so.
    """

    title: str
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """A table. The first cell of each row is its heading.

    Attributes:
        caption: What it shows.
        columns: Its columns.
        rows: A cell for each column.
        sortable: Whether it can be sorted.
        look: How it looks: a class of the style sheet.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False
    look: str = ""

    def has_bar(self, column: int) -> bool:
        """Return whether there are bars beside the numbers of a column.

        Args:
            column: Its index.
        """
        return any(row[column].bar is not None for row in self.rows)

    @property
    def is_long(self) -> bool:
        """Whether it scrolls in a box of its own, so that what follows can be reached."""
        return len(self.rows) > 24


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: What it says.
        look: How it looks: a class of the style sheet.
    """

    kind: ClassVar[str] = "text"
    text: str
    look: str = ""


@dataclass(frozen=True)
class Code:
    """Text as it is in a file, or is typed.

    Attributes:
        text: What it says.
        label: What it is.
    """

    kind: ClassVar[str] = "code"
    text: str
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        caption: What it shows.
        svg: The picture, which says in words what is to be seen.
        width: Of the picture, in pixels of the style sheet.
    """

    caption: str
    svg: Markup
    width: int


@dataclass(frozen=True)
class Charts:
    """Charts beside each other, where there is room.

    Attributes:
        charts: At least one.
    """

    kind: ClassVar[str] = "charts"
    charts: Sequence[Chart]


@dataclass(frozen=True)
class Picture:
    """A picture within the page.

    Attributes:
        source: A data URI that was checked.
        alt: What it shows.
    """

    source: str
    alt: str


@dataclass(frozen=True)
class Card:
    """An image with what the network says of it.

    Attributes:
        pictures: The image, and what the network saw in it.
        title: What it is, and was taken for.
        lines: What else there is to say.
        name: Of the image.
    """

    pictures: Sequence[Picture]
    title: str
    lines: Sequence[str]
    name: str


@dataclass(frozen=True)
class Gallery:
    """Some images.

    Attributes:
        label: What they have in common.
        cards: The images.
    """

    kind: ClassVar[str] = "gallery"
    label: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class Heading:
    """A heading within a section.

    Attributes:
        text: What it says.
    """

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True)
class Details:
    """What most readers need not see.

    Attributes:
        summary: What is in it.
        blocks: The content.
    """

    kind: ClassVar[str] = "details"
    summary: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Beside:
    """Small tables beside each other, where there is room.

    Attributes:
        blocks: The tables, and what belongs to them.
    """

    kind: ClassVar[str] = "beside"
    blocks: Sequence[Block]


Block = Text | Code | Table | Charts | Gallery | Heading | Details | Beside


@dataclass(frozen=True)
class Section:
    """A part of a page that has a heading of its own.

    Attributes:
        key: Its name in the page's address.
        title: Its heading.
        blocks: What is in it.
    """

    key: str
    title: str
    blocks: Sequence[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Content:
    """A whole page.

    Attributes:
        title: Of the page.
        kicker: What kind of page it is, above the title.
        lead: What came out, in a sentence or two.
        under: What it is of, below the title.
        sections: Its parts; those without content are left out.
        notes: What the reader should know of the page itself.
    """

    title: str
    kicker: str
    lead: str
    under: str
    sections: Sequence[Section]
    notes: Sequence[str] = ()


def facts(caption: str, pairs: Sequence[tuple[str, str]]) -> Table:
    """Return a table of names and values.

    Args:
        caption: What they are of.
        pairs: Names and values; those without a value are left out.
    """
    rows = [[Cell(name), Cell(value)] for name, value in pairs if value]
    return Table(caption, [Column("what"), Column("value")], rows, look="facts")


def bars(caption: str, columns: Sequence[Column], rows: Sequence[tuple[str, str, float]]) -> Table:
    """Return a table whose numbers are drawn as bars too.

    Args:
        caption: What it shows.
        columns: The heading of the names and that of the numbers.
        rows: Name, number in words, number; at least 0.
    """
    longest = max((number for _, _, number in rows), default=0.0) or 1.0
    cells = [[Cell(name), Cell(text, number, bar=number / longest)] for name, text, number in rows]
    return Table(caption, columns, cells, look="bars")
