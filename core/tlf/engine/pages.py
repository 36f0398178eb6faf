"""`report.html`: the page of a run or of a comparison, made of the JSON files beside it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tlf.discovery import describe
from tlf.engine.files import append_text, write_text
from tlf.errors import OutputError

PAGE = "report.html"
ANALYSIS = "analysis.json"
COMPARISON = "comparison.json"
REPORT = "report.json"


#: What comes of a part that is missing, or is of another kind than it was written as.
_UNEXPECTED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def write_report(directory: str | Path, *, warn: Callable[[str], None] = warnings.warn) -> Path:
    """Write the whole report of a run, or of a comparison, and return where it is.

    A finished run is looked at once more: see `analyse`. A page that is there is replaced.

    Args:
        directory: The directory of a run or of a comparison.
        warn: Hears of images that have changed, and of plugins. A Python warning by default.

    Raises:
        OutputError: It is neither, or its files are damaged.
        PluginError: A plugin that the network needs is missing or broken.
    """
    folder = Path(directory)
    if not is_comparison(folder):
        # Only now: a comparison needs none of what an analysis does.
        from tlf.engine.analysis import analyse

        analyse(folder, warn=warn)
    return write_page(folder)


def is_comparison(folder: Path) -> bool:
    """Say whether a directory is of a comparison, and not of a run.

    Args:
        folder: The directory.

    Raises:
        OutputError: It is neither.
    """
    if (folder / COMPARISON).is_file():
        return True
    if (folder / REPORT).is_file():
        return False
    raise OutputError(
        f"`{folder}` holds neither a finished run nor a comparison: there is no `{REPORT}` and no "
        f"`{COMPARISON}`",
        hint="give the path that `tlf run` or `tlf compare` printed last",
    )


def write_page(folder: Path) -> Path:
    """Write the page of what is known of a run or a comparison, and return where it is.

    Args:
        folder: Its directory.

    Raises:
        OutputError: It is neither, or its files are damaged.
    """
    from tlf.report import comparison_page, run_page

    with files_as_written(folder):
        page = comparison_page(folder) if is_comparison(folder) else run_page(folder)
    path = folder / PAGE
    write_text(path, page)
    return path


@contextmanager
def files_as_written(folder: Path) -> Iterator[None]:
    """Say in words that the files of a directory do not hold what was once written there.

    Args:
        folder: The directory of a run or of a comparison, whose files are used in the block.

    Raises:
        OutputError: Something that must be in them is missing, or is of another kind.
    """
    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise OutputError(
            f"the files in `{folder}` are not what tlf writes: {describe(error)}",
            hint="they were changed or damaged, or another version wrote them: run the spec again",
        ) from error


def add_page(folder: Path, warn: Callable[[str], None]) -> None:
    """Write the page of a run, or of a comparison, that has just ended; neither fails for it.

    Args:
        folder: Its directory.
        warn: Hears if there is no page.
    """
    try:
        write_page(folder)
    except Exception as error:  # noqa: BLE001 - whatever it is, the results are on the disk
        # The files were written just now: if they are not as expected, it is no damage.
        cause = error.__cause__ if isinstance(error, OutputError) else None
        message = f"`{PAGE}` could not be written: {describe(cause or error)}"
        warn(message)
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} warning: {message}\n"
        # What the page had no room for, the log may have none for either.
        with suppress(OSError):
            append_text(folder / "log.txt", line)
