"""`tlf cache`: what is stored of earlier runs, and how it is removed and checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlf.cli.arguments import Json

if TYPE_CHECKING:
    from tlf.cache import Cache, EntryInfo

#: Characters of a key that are shown: enough to tell a few thousand entries apart.
SHOWN = 12

Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        metavar="DIR",
        help="The cache's folder; by default `$TLF_CACHE_DIR`, or where the system keeps caches.",
    ),
]

cache_app = typer.Typer(
    help="List what is kept of earlier runs, show, remove or check it.", rich_markup_mode=None
)


@cache_app.command("list")
def list_command(directory: Directory = None, as_json: Json = False) -> None:
    """List what is stored, the last used first."""
    from tlf.cli.output import write_json

    cache = _cache(directory)
    entries = cache.entries()
    if as_json:
        write_json({"directory": str(cache.folder), "entries": list(map(_as_json, entries))})
    else:
        show_list(cache.folder, entries)


@cache_app.command("show")
def show_command(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The start of an entry's key.")],
    directory: Directory = None,
    as_json: Json = False,
) -> None:
    """Show an entry: its size, and all that its rows depend on."""
    from tlf.cli.output import write_json

    entry = _find(_cache(directory).entries(), key)
    if as_json:
        write_json(_as_json(entry))
    else:
        show_entry(entry)


@cache_app.command("clear")
def clear_command(
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]...", help="The starts of entries' keys; without any, all go."
        ),
    ] = None,
    directory: Directory = None,
    as_json: Json = False,
) -> None:
    """Remove entries, or everything. What is needed again is computed again."""
    from tlf.cache import in_words
    from tlf.cli.output import write_json, write_line
    from tlf.errors import TlfError

    cache = _cache(directory)
    entries = cache.entries()
    # All are looked up before one is removed.
    found = sorted({_find(entries, key).key for key in keys}) if keys else None
    freed = cache.clear(found)
    asked = {entry.key for entry in entries} if found is None else set(found)
    left = asked & {entry.key for entry in cache.entries()}
    count = len(asked) - len(left)
    if as_json:
        write_json({"directory": str(cache.folder), "entries": count, "bytes": freed})
    else:
        write_line(f"{_counted(count, 'entry', 'entries')} removed, {in_words(freed)} freed")
    if left:
        raise TlfError(
            f"{_counted(len(left), 'entry', 'entries')} in `{cache.folder}` cannot be removed",
            hint="make sure that you may write there",
        )


@cache_app.command("verify")
def verify_command(directory: Directory = None, as_json: Json = False) -> None:
    """Read all that is stored, and hash all known files again.

    What is damaged is removed, so that it is computed again; the exit code is then 1.
    """
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import write_json, write_line
    from tlf.errors import TlfError

    cache = _cache(directory)
    with prompt_interrupt():
        problems = cache.verify()
    if as_json:
        listed = [{"what": problem.what, "reason": problem.reason} for problem in problems]
        write_json({"directory": str(cache.folder), "problems": listed})
    else:
        for problem in problems:
            write_line(f"{problem.what}: {problem.reason}")
    if problems:
        raise TlfError(
            f"{_counted(len(problems), 'thing', 'things')} in the cache `{cache.folder}` "
            f"{'was' if len(problems) == 1 else 'were'} not as stored",
            hint="no run uses them any longer; if it happens again, have the disk looked at",
        )
    if not as_json:
        entries = _counted(len(cache.entries()), "entry", "entries")
        write_line(f"all is well: {entries} in {cache.folder}")


def show_list(folder: Path, entries: Sequence[EntryInfo]) -> None:
    """Print entries for people, and how much they take.

    Args:
        folder: The cache's folder.
        entries: What is in it.
    """
    from tlf.cache import in_words
    from tlf.cli.output import results
    from tlf.cli.tables import table

    console = results()
    if entries:
        rows = [
            [
                entry.key[:SHOWN],
                entry.what or "–",
                f"{entry.rows:,}",
                in_words(entry.bytes),
                _time(entry.last_used),
            ]
            for entry in entries
        ]
        console.print(table(["key", "what", ">rows", ">size", "last used"], rows))
        console.print()
    total = in_words(sum(entry.bytes for entry in entries))
    count = _counted(len(entries), "entry", "entries")
    console.print(f"{count}, {total}, in {folder}", soft_wrap=True)


def show_entry(entry: EntryInfo) -> None:
    """Print what is known of an entry for people.

    Args:
        entry: The entry.
    """
    import json

    from tlf.cache import in_words
    from tlf.cli.output import results
    from tlf.cli.tables import table

    facts = [
        ["what", entry.what or "–"],
        ["rows", f"{entry.rows:,}"],
        ["size", in_words(entry.bytes)],
        ["last used", _time(entry.last_used)],
        ["folder", str(entry.folder)],
    ]
    console = results()
    console.print(table(["key", entry.key], facts))
    rows = [
        [name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
        for name, value in entry.description.items()
        if name != "what"
    ]
    if rows:
        console.print()
        console.print(table(["depends on", "value"], rows))


def _cache(directory: Path | None) -> Cache:
    from tlf.cache import Cache, default_directory
    from tlf.cli.output import messages

    def warn(text: str) -> None:
        messages().print(f"warning: {text}", soft_wrap=True)

    # Nothing is stored here, so it need not be large.
    return Cache(default_directory() if directory is None else directory, max_bytes=0, warn=warn)


def _find(entries: Sequence[EntryInfo], key: str) -> EntryInfo:
    """Return the entry whose key starts like that."""
    from tlf.errors import UsageError, did_you_mean

    found = [entry for entry in entries if entry.key.startswith(key.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(f"`{entry.key[:SHOWN]}`" for entry in found[:SHOWN])
        raise UsageError(
            f"{len(found)} entries of the cache have keys that start with `{key}`",
            hint=f"give more of it: {shown}{' …' if len(found) > SHOWN else ''}",
        )
    raise UsageError(
        f"no entry of the cache has a key that starts with `{key}`",
        hint=did_you_mean(key[:SHOWN], [entry.key[:SHOWN] for entry in entries])
        or "the cache is empty",
    )


def _as_json(entry: EntryInfo) -> dict[str, Any]:
    return {
        "key": entry.key,
        "what": entry.what,
        "description": dict(entry.description),
        "rows": entry.rows,
        "bytes": entry.bytes,
        "last_used": entry.last_used,
        "folder": str(entry.folder),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _counted(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"
