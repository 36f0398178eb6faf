"""The images that went into a run."""

from __future__ import annotations

from typing import Any

from tlf.report.blocks import Block, Cell, Column, Details, Section, Table, Text
from tlf.report.reading import RunFiles
from tlf.report.words import NOTHING, count, counted

#: More reasons than these are a file of their own.
_SKIPPED = 200


def data_section(files: RunFiles) -> Section:
    """Return what is known of the images.

    Args:
        files: The files of the run directory.
    """
    splits = _splits(files)
    blocks: list[Block] = []
    if splits:
        blocks.append(_splits_table(splits))
    classes = {name: split.get("classes") or {} for name, split in splits.items()}
    if any(classes.values()):
        blocks.append(_counts(classes))
    skipped = _skipped(files, splits)
    if skipped:
        rows = [[Cell(name), Cell(split), Cell(reason)] for split, name, reason in skipped]
        columns = [Column("Image"), Column("Split"), Column("Why")]
        table = Table("What was left out", columns, rows[:_SKIPPED], sortable=True)
        blocks.append(Details(f"{counted(len(skipped), 'image')} left out", [table]))
    elif splits:
        blocks.append(Text("No image was left out.", "aside"))
    return Section("data", "Data", blocks)


def _splits(files: RunFiles) -> dict[str, dict[str, Any]]:
    """Return what is known of each split, from whichever file knows most."""
    counts = files.report.get("images") or {}
    splits: dict[str, dict[str, Any]] = {name: {"images": n} for name, n in counts.items()}
    for source in (files.report.get("data"), files.analysis.get("data")):
        for name, split in (source or {}).items():
            if isinstance(split, dict):
                splits[name] = {**splits.get(name, {}), **split}
    return splits


def _splits_table(splits: dict[str, dict[str, Any]]) -> Table:
    """Return number and size of the images of each split."""
    has_sizes = any(split.get("width") for split in splits.values())
    has_modes = any(split.get("modes") for split in splits.values())
    rows = []
    for name, split in splits.items():
        cells = [Cell(name), Cell(count(split.get("images")))]
        if has_sizes:
            cells += [Cell(_range(split.get(side))) for side in ("width", "height")]
        if has_modes:
            modes = split.get("modes") or {}
            words = ", ".join(f"{mode} {count(number)}" for mode, number in modes.items())
            cells.append(Cell(words or NOTHING))
        rows.append(cells)
    columns = [Column("Split"), Column("Images", numeric=True)]
    if has_sizes:
        columns += [
            Column("Width", numeric=True, hint="median in pixels, smallest to largest"),
            Column("Height", numeric=True, hint="median in pixels, smallest to largest"),
        ]
    if has_modes:
        columns.append(Column("Colours", hint="mode of the files"))
    sizes = ", and their size in pixels: median (smallest to largest)" if has_sizes else ""
    return Table(f"Images of each split{sizes}", columns, rows)


def _range(side: dict[str, float] | None) -> str:
    if not side:
        return NOTHING
    low, high = side.get("minimum"), side.get("maximum")
    if low == high:
        return count(side.get("median"))
    return f"{count(side.get('median'))} ({count(low)} to {count(high)})"


def _counts(classes: dict[str, dict[str, int]]) -> Table:
    """Return how many images of each class there are."""
    names = list(dict.fromkeys(name for split in classes.values() for name in split))
    longest = {split: max(counts.values(), default=0) or 1 for split, counts in classes.items()}
    rows = [
        [
            Cell(name),
            *(
                Cell(
                    count(counts.get(name, 0)),
                    counts.get(name, 0),
                    bar=counts.get(name, 0) / longest[split],
                )
                for split, counts in classes.items()
                if counts
            ),
        ]
        for name in names
    ]
    columns = [
        Column("Class"),
        *(Column(split, numeric=True) for split, counts in classes.items() if counts),
    ]
    return Table(
        f"Images of {counted(len(names), 'class', 'classes')}",
        columns,
        rows,
        sortable=True,
        look="bars",
    )


def _skipped(files: RunFiles, splits: dict[str, dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return split, name and reason of each image that was left out."""
    known = [
        (str(one.get("split", "")), str(one.get("id", "")), str(one.get("reason", "")))
        for one in files.report.get("skipped") or ()
    ]
    for name, split in splits.items():
        for one in split.get("skipped") or ():
            known.append((name, str(one.get("id", "")), str(one.get("reason", ""))))
    return list({entry[:2]: entry for entry in known}.values())
