"""Writing the package of a new plugin from templates."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tlf.discovery import PluginRecord
from tlf.errors import OutputError
from tlf.scaffold.names import Names, names_of

#: `common` holds what every package has, and a folder for each kind the rest.
_TEMPLATES = Path(__file__).parent / "templates"
#: Linters, type checkers and test runners leave files of this suffix alone.
_SUFFIX = ".txt"
#: What a template's path says in the place of the module's name.
_MODULE = "MODULE"


@dataclass(frozen=True)
class Package:
    """A package that was written.

    Attributes:
        directory: Its folder.
        plugin: Name of the plugin: that of its entry point.
        files: Paths of its files below the folder, sorted.
    """

    directory: Path
    plugin: str
    files: tuple[str, ...]


def write_package(
    name: str, kind: str, folder: Path, *, installed: Sequence[PluginRecord] = ()
) -> Package:
    """Write a package with a plugin that works and keeps the contract, for its author to change.

    The package's folder appears whole or not at all.

    Args:
        name: What the distribution is called, `tlf-acme`: its folder too.
        kind: The kind of thing that the plugin provides: one of `tlf.plugin.declarations.KINDS`.
        folder: Where to put the package's folder.
        installed: The installed plugins, whose names are taken.

    Raises:
        UsageError: It cannot be called that.
        OutputError: There is something of that name in the folder already, or the folder cannot be
            written to.
    """
    names = names_of(name, kind, installed)
    target = folder / name
    if not folder.is_dir():
        is_there = os.path.lexists(folder)
        raise OutputError(
            f"`{folder}` is a file, not a folder"
            if is_there
            else f"the folder `{folder}` does not exist",
            hint="name the folder that the package's own is to be in",
        )
    if os.path.lexists(target):
        raise OutputError(
            f"`{target}` exists already, and nothing is overwritten",
            hint="choose another name, or another folder with `--directory`",
        )
    files = dict(sorted(_files(names)))
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder) as beside:
            written = Path(beside) / name
            for path, text in files.items():
                place = written / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8", newline="\n")
            written.rename(target)
    except OSError as error:
        raise OutputError(
            f"`{target}` cannot be written ({(error.strerror or str(error)).lower()})",
            hint="make sure that you may write there, or choose another folder with `--directory`",
        ) from error
    return Package(target, names.plugin, tuple(files))


def _files(names: Names) -> Iterator[tuple[str, str]]:
    """Yield path and content of every file of a package."""
    values = {
        "distribution": names.distribution,
        "kind": names.kind.replace("-", " "),
        "module": names.module,
        "plugin": names.plugin,
        "thing": names.thing,
    }
    # Two pieces of the README are the kind's own.
    pieces = {
        piece: _fill(_TEMPLATES / names.kind / f"{piece}{_SUFFIX}", values).strip("\n")
        for piece in ("about", "try")
    }
    for root in (_TEMPLATES / "common", _TEMPLATES / names.kind / "package"):
        for path in root.rglob(f"*{_SUFFIX}"):
            place = path.relative_to(root).as_posix().removesuffix(_SUFFIX)
            yield place.replace(_MODULE, names.module), _fill(path, values | pieces)


def _fill(template: Path, values: Mapping[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(values)
