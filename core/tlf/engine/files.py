"""Writing files so that a reader never meets half of one."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file

from tlf.errors import OutputError


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and move it there.

    Args:
        path: The place.
        text: The content, written as UTF-8.
    """
    with _replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write(text)


def replace_bytes(path: Path, before: bytes, content: bytes) -> None:
    """Write a file anew, unless somebody has changed it since it was read.

    Args:
        path: The file. What a link leads to is written, and the link stays.
        before: What the file held when it was read.
        content: What it is to hold.

    Raises:
        OSError: It cannot be read or written.
        OutputError: It holds something else by now.
    """
    place = path.resolve()
    with _replacing(place, stat.S_IMODE(place.stat().st_mode)) as beside:
        beside.write_bytes(content)
        if place.read_bytes() != before:
            raise OutputError(
                f"`{path}` has changed since it was read, and was left alone",
                hint="look at what it holds now, and do it again",
            )


def write_new_text(path: Path, text: str) -> None:
    """Write a file that must not be there yet, whole or not at all.

    Args:
        path: The place.
        text: The content, written as UTF-8.

    Raises:
        FileExistsError: Something is there, and was left alone.
        OSError: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a renaming, this fails where something has appeared meanwhile.
            path.hardlink_to(beside)
        except FileExistsError:
            raise
        except OSError:
            # Not every file system has a second name for a file.
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def _replacing(path: Path, mode: int | None = None) -> Iterator[Path]:
    """Give a place beside a file to write to; what was written there then takes the file's place.

    If the writing fails, the file is as it was, and nothing is left beside it.
    """
    # Nobody can have put a link there before: it would lead to a file of somebody else's.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        beside.open("xb").close()
        yield beside
        # Some libraries make files that nobody else may read.
        beside.chmod(0o666 & ~current_umask() if mode is None else mode)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def remove_half_written(folder: Path) -> None:
    """Remove files and folders that a process that was killed had begun to write, or to remove.

    Args:
        folder: Where it wrote.
    """
    for path in folder.glob(".*.tmp"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()


def sync_folder(path: Path) -> None:
    """Make sure that the names in a folder are on the disk, where the system can tell.

    Args:
        path: The folder.
    """
    # Windows opens no folders, and some file systems sync none.
    with suppress(OSError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def current_umask() -> int:
    """Return which permissions this process takes from new files."""
    umask = os.umask(0)
    os.umask(umask)
    return umask


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, atomically. Not-a-number is refused: it is no JSON.

    Args:
        path: The place.
        value: Plain data.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_json_line(path: Path, value: object) -> None:
    """Add one line to a file of JSON lines.

    Args:
        path: The file; made if it is not there.
        value: Plain data.
    """
    append_text(path, json.dumps(value, ensure_ascii=False) + "\n")


def append_text(path: Path, text: str) -> None:
    """Add text to a file. A link is not followed: it would lead to a file of somebody else's.

    Args:
        path: The file; made if it is not there.
        text: Written as UTF-8.

    Raises:
        OSError: It cannot be written, or is a link.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8") as file:
        file.write(text)


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file, atomically.

    Args:
        path: The place.
        tensors: By name, on any device. Shared storage is written once for each name.
        metadata: Goes into the file's header.

    Raises:
        OSError: It cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    storages = {name: tensor.untyped_storage() for name, tensor in plain.items()}
    owners = Counter(storage.data_ptr() for storage in storages.values())
    # A file holds each tensor by itself, whatever it shares memory with.
    own = {
        name: tensor.clone()
        if owners[storages[name].data_ptr()] > 1 or storages[name].nbytes() > tensor.nbytes
        else tensor
        for name, tensor in plain.items()
    }
    described = dict(metadata or {})
    with _replacing(path) as beside:
        if not _is_plain(beside):
            beside.write_bytes(save(own, metadata=described))
            return
        try:
            save_file(own, beside, metadata=described)
        except SafetensorError as error:
            raise _system_error(error, path) from error


def _system_error(error: SafetensorError, path: Path) -> OSError:
    """Return what safetensors could not do as the error that the system gave."""
    code = re.search(r"os error (\d+)", str(error))
    number = int(code[1]) if code else errno.EIO
    return OSError(number, os.strerror(number) if code else str(error), str(path))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in a safetensors file by name, on the CPU.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        SafetensorError: It is no such file, or damaged.
    """
    return load_file(path) if _is_plain(path) else load(path.read_bytes())


def _is_plain(path: Path) -> bool:
    """Say whether a path is UTF-8: safetensors takes no other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def file_digest(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal.

    Args:
        path: The file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds no JSON object.
    """
    value = _value(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds no JSON object")
    return value


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects in a file of JSON lines.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
        ValueError: A line is no JSON object.
    """
    # Not `splitlines`: names of files may hold other characters that end a line.
    lines = [_value(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    if not all(isinstance(line, dict) for line in lines):
        raise ValueError("a line is no JSON object")
    return lines


def _value(text: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return the value of a text in JSON, in which every number is one: Python takes others, too."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"`{text}` is no number that JSON has")
    return value
