"""The run directory: appears whole, is never overwritten, and holds only plain files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tlf.engine.files import current_umask, write_json, write_text
from tlf.errors import OutputError

#: Run directories in the making, in this process.
_unpublished: set[Path] = set()


def remove_unpublished() -> None:
    """Remove every run directory that has no name yet: the process is about to end at once."""
    for path in tuple(_unpublished):
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that goes with the block, or with the process if that is ended at once."""
    path = Path(tempfile.mkdtemp(prefix="tlf-"))
    _unpublished.add(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        _unpublished.discard(path)


class RunDirectory:
    """A directory in the making; `publish` gives it its name.

    Until then it lies hidden beside its place, and leaving the `with` block removes it.

    Args:
        output: The folder for run directories, made if need be.
        name: The run's name: `name`, or `name-2`, `name-3` if that is taken.
        exact: The directory itself instead; must not exist.

    Raises:
        OutputError: It exists, or the place cannot be written to.
    """

    def __init__(self, output: Path, name: str, exact: str | Path | None = None) -> None:
        exact = None if exact is None else Path(exact)
        if exact is not None and exact.exists():
            raise OutputError(
                f"`{exact}` exists already, and a run is never overwritten",
                hint="give `--output-directory` a path that does not exist yet",
            )
        parent = exact.parent if exact is not None else output
        self._wanted = exact if exact is not None else output / name
        self._numbered = exact is None
        self._published = False
        self._made_parent = not parent.exists()
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(prefix=f".{self._wanted.name}-", dir=parent))
        except OSError as error:
            raise OutputError(
                f"`{parent}` cannot be written to ({error.strerror or error})",
                hint="choose another `output` in the spec, or give `--output-directory`",
            ) from error
        _unpublished.add(self.path)
        # mkdtemp makes it private; a run directory is as open as any other new folder.
        self.path.chmod(0o777 & ~current_umask())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._published:
            shutil.rmtree(self.path, ignore_errors=True)
            _unpublished.discard(self.path)
            if self._made_parent:
                # Only if nothing else is in it by now.
                with contextlib.suppress(OSError):
                    self.path.parent.rmdir()

    def write_text(self, name: str, text: str) -> None:
        """Write a text file into the directory.

        Args:
            name: The file's name.
            text: Its content.
        """
        write_text(self.path / name, text)

    def write_json(self, name: str, value: object) -> None:
        """Write a JSON file into the directory.

        Args:
            name: The file's name.
            value: Plain data.
        """
        write_json(self.path / name, value)

    def write_json_lines(self, name: str, values: Iterable[object]) -> None:
        """Write a file of JSON lines into the directory.

        Args:
            name: The file's name.
            values: Plain data, one a line.
        """
        lines = (json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        write_text(self.path / name, "".join(lines))

    @property
    def published(self) -> bool:
        """Whether the directory has its name already."""
        return self._published

    def publish(self) -> Path:
        """Give the directory its name, in one step, and return it.

        Raises:
            OutputError: Somebody took the exact name in the meantime, or the output folder is gone.
        """
        number = 1
        while True:
            suffix = "" if number == 1 else f"-{number}"
            target = self._wanted.with_name(self._wanted.name + suffix)
            if self._take(target):
                return self.path
            if not self._numbered:
                raise OutputError(f"`{target}` exists already, and a run is never overwritten")
            number += 1

    def _take(self, target: Path) -> bool:
        """Give the directory a name, unless it is taken; say whether it has it now."""
        if os.path.lexists(target):
            return False
        path = self.path
        try:
            # Renaming onto a folder that another run has filled in the meantime fails, so two runs
            # never share a name.
            self.path = path.rename(target)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                return False
            raise OutputError(
                f"the run directory `{target}` cannot be made ({error.strerror or error})",
                hint="something removed or locked the output folder while the run was prepared",
            ) from error
        _unpublished.discard(path)
        self._published = True
        return True
