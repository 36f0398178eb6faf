"""Pages for people: a run or a comparison as one HTML file that needs nothing beside it.

Pure: reads the JSON files of a folder and returns text. The same files give the same bytes. Sections
whose data are not there are left out, so that a page can be made of a run that was never analysed, or
of one that an older version has written.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["comparison_page", "run_page"]


def run_page(folder: Path) -> str:
    """Return the page of a run.

    Args:
        folder: The run directory. It holds `report.json`; whatever else is there is shown too.

    Raises:
        OutputError: There is no `report.json`, or it cannot be read.
    """
    from tlf.report.page import render
    from tlf.report.reading import RunFiles
    from tlf.report.run import run_content

    return render(run_content(RunFiles.read(folder)))


def comparison_page(folder: Path) -> str:
    """Return the page of a comparison.

    Args:
        folder: The comparison's directory, with `comparison.json`. Each run is linked to whose own
            page is there.

    Raises:
        OutputError: There is no `comparison.json`, or it cannot be read.
    """
    from tlf.report.comparison import comparison_content
    from tlf.report.page import render
    from tlf.report.reading import ComparisonFiles

    return render(comparison_content(ComparisonFiles.read(folder)))
