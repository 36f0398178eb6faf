"""The run directory: appears by name at once, is never overwritten, and holds only plain files.

One process at a time writes into it: it holds a lock, which the system takes from it when it ends.
"""

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

from filelock import FileLock, Timeout

from tlf.engine.files import current_umask, write_json, write_text
from tlf.errors import OutputError

#: Holds the lock of the process that writes into a run directory.
LOCK = ".lock"

#: Run directories of this process that nobody would come back to.
_unfinished: set[Path] = set()


def remove_unfinished() -> None:
    """Remove every run directory that nothing is in yet: the process is about to end at once."""
    for path in tuple(_unfinished):
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder that goes with the block, or with the process if that is ended at once."""
    path = Path(tempfile.mkdtemp(prefix="tlf-"))
    _unfinished.add(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        _unfinished.discard(path)


class RunDirectory:
    """A directory in the making; `publish` gives it its name, and `keep` lets it stay.

    At first it lies hidden beside its place. Leaving the `with` block removes what is not to stay.

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
        self._published = self._kept = False
        self._lock: FileLock | None = None
        self._made_parent = not parent.exists()
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self.path = Path(tempfile.mkdtemp(prefix=f".{self._wanted.name}-", dir=parent))
        except OSError as error:
            raise OutputError(
                f"`{parent}` cannot be written to ({error.strerror or error})",
                hint="choose another `output` in the spec, or give `--output-directory`",
            ) from error
        _unfinished.add(self.path)
        # mkdtemp makes it private; a run directory is as open as any other new folder.
        self.path.chmod(0o777 & ~current_umask())

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Return the directory of a run that is to go on.

        Args:
            path: The directory.

        Raises:
            OutputError: Another process is at work in it.
        """
        directory = cls.__new__(cls)
        directory.path = path
        directory._published = directory._kept = True
        directory._lock = _locked(path)
        return directory

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                (self.path / LOCK).unlink()
            self._lock.release()
        if not self._kept:
            shutil.rmtree(self.path, ignore_errors=True)
            _unfinished.discard(self.path)
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

    @property
    def kept(self) -> bool:
        """Whether the directory stays, whatever happens."""
        return self._kept

    def keep(self) -> None:
        """Let the directory stay, whatever happens."""
        self._kept = True
        _unfinished.discard(self.path)

    def publish(self, *, keep: bool = True) -> Path:
        """Give the directory its name, in one step, and return it.

        Args:
            keep: Whether it stays, whatever happens.

        Raises:
            OutputError: Somebody took the exact name in the meantime, or the output folder is gone.
        """
        number = 1
        while True:
            suffix = "" if number == 1 else f"-{number}"
            target = self._wanted.with_name(self._wanted.name + suffix)
            if self._take(target):
                self._lock = _locked(self.path)
                if keep:
                    self.keep()
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
        _unfinished.discard(path)
        _unfinished.add(self.path)
        self._published = True
        return True


def _locked(path: Path) -> FileLock | None:
    """Return the lock of a directory, held by this process; None if the file system has no locks.

    Args:
        path: The directory.

    Raises:
        OutputError: Another process holds it.
    """
    lock = FileLock(path / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise OutputError(
            f"another process is at work on the run in `{path}`",
            hint="wait for it to end, or stop it; it can go on later",
        ) from error
    except (OSError, NotImplementedError):
        return None
    return lock
