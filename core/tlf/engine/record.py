"""The record of a run: what it was told and made with, read back to go on or to run it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tlf.engine.files import read_json
from tlf.errors import OutputError, SpecError
from tlf.spec import RawSpec, load_raw

SPEC = "spec.json"
PLAN = "plan.json"
ENVIRONMENT = "environment.json"

#: The machine that a run was made on, as `environment.json` holds it.
_MACHINE = ("python", "platform", "processor", "threads")


@dataclass(frozen=True)
class Record:
    """What a run directory says of how the run was made.

    Attributes:
        folder: The run directory.
        raw: Its spec, with the folder that relative paths start from.
        plan: What `plan.json` holds.
        environment: What `environment.json` holds.
    """

    folder: Path
    raw: RawSpec
    plan: Mapping[str, Any]
    environment: Mapping[str, Any]

    def changes(self, now: Mapping[str, Any]) -> list[Change]:
        """Return what has changed since the run began.

        Args:
            now: What `environment.json` would hold now.

        Raises:
            OutputError: The record is damaged.
        """
        try:
            return changes(self.environment, now)
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(self.folder, f"`{ENVIRONMENT}` lacks {error}") from error


@dataclass(frozen=True)
class Change:
    """Something that is not what it was when a run began.

    Attributes:
        kind: What it belongs to.
        what: What has changed, in words.
        then: What it was.
        now: What it is.
    """

    kind: Literal["weights", "data", "plan", "plugin", "tlf", "library", "machine"]
    what: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: {self.then} then, {self.now} now"


def read_record(folder: Path) -> Record:
    """Return what a run directory says of how the run was made.

    Args:
        folder: The run directory, of a finished run or of one that was stopped.

    Raises:
        OutputError: It is no run directory, or its files are damaged.
    """
    try:
        environment = read_json(folder / ENVIRONMENT)
        plan = read_json(folder / PLAN)
        # Unlike the others, a spec that is not there would be an error of the spec's own.
        (folder / SPEC).stat()
        raw = recorded_spec(folder, environment)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "is no run directory" if folder.is_dir() else "does not exist"
        if folder.is_file():
            what = "is a file, and no run directory"
        raise OutputError(
            f"`{folder}` {what}", hint="give the path that `tlf run` printed last"
        ) from error
    except (OSError, ValueError, SpecError) as error:
        raise _damaged(folder, str(error)) from error
    return Record(folder, raw, plan, environment)


def _damaged(folder: Path, reason: str) -> OutputError:
    return OutputError(
        f"the record of the run in `{folder}` cannot be read: {reason}",
        hint="the files are damaged or not of a run; run the spec again",
    )


def recorded_spec(folder: Path, environment: Mapping[str, Any]) -> RawSpec:
    """Return the spec of a run, with the folder that relative paths in it start from.

    Args:
        folder: The run directory.
        environment: What its `environment.json` holds.

    Raises:
        SpecError: `spec.json` is not there, or holds no JSON object.
    """
    raw = load_raw(folder / SPEC)
    # A folder whose name is no text could not be written down: it has to be the current one.
    start = environment.get("folder")
    return replace(raw, folder=Path(start if isinstance(start, str) else "."))


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return what has changed between two states of what runs are made with.

    Args:
        then: What `environment.json` of a run holds.
        now: What it would hold now. What either does not know is not compared.
    """
    found = [
        change
        for name, compare in _SECTIONS.items()
        if name in then and name in now
        for change in compare(then[name], now[name])
    ]
    return [*found, *_machine(then, now)]


def _weights(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Iterator[Change]:
    before, after = (_digest(one, "sha256") for one in (then, now))
    if before != after:
        yield Change("weights", "the pretrained weights", before, after)


def _teacher(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    before, after = (_digest(one, "state") for one in (then, now))
    if before != after:
        yield Change("weights", "the weights of the teacher", before, after)


def _data(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    for split in dict.fromkeys((*then, *now)):
        before, after = (_digest(one.get(split), "digest") for one in (then, now))
        if before != after:
            counts = [one[split]["images"] if split in one else 0 for one in (then, now)]
            yield Change(
                "data",
                f"the images of `{split}`",
                f"{counts[0]} images {before}",
                f"{counts[1]} images {after}",
            )
            continue
        labels = [one[split].get("labels") for one in (then, now)]
        if None not in labels and labels[0] != labels[1]:
            what = f"the names or labels of the images of `{split}`"
            yield Change("data", what, *(_short(str(one)) for one in labels))


def _plugins(then: Any, now: Any) -> Iterator[Change]:  # noqa: ANN401 - lists from JSON
    parts = {(one["kind"], one["name"]): one for one in now}
    for before in then:
        kind, name = before["kind"], before["name"]
        after = parts.get((kind, name))
        what = f"the {kind} `{name}`"
        if after is None:
            yield Change("plugin", what, _origin(before), "not used")
            continue
        origins = _origin(before), _origin(after)
        digests = before["code_digest"], after["code_digest"]
        if origins[0] != origins[1]:
            yield Change("plugin", what, *origins)
        elif None not in digests and digests[0] != digests[1]:
            yield Change("plugin", f"the code of {what}", *(_short(one) for one in digests))


def _libraries(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys((*then, *now)):
        before, after = then.get(name, "not there"), now.get(name, "not there")
        if before != after:
            yield Change("tlf" if name == "tlf" else "library", name, before, after)


#: How each section of `environment.json` is compared, in the order in which changes are told.
_SECTIONS: Mapping[str, Callable[[Any, Any], Iterator[Change]]] = {
    "weights": _weights,
    "teacher": _teacher,
    "data": _data,
    "plugins": _plugins,
    "libraries": _libraries,
}


def _machine(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    for name in _MACHINE:
        if name in then and name in now and then[name] != now[name]:
            yield Change("machine", name, str(then[name]), str(now[name]))


def _origin(part: Mapping[str, Any]) -> str:
    return f"{part['distribution']} {part['version']}"


def _digest(described: Mapping[str, Any] | None, name: str) -> str:
    return "none" if described is None else _short(str(described[name]))


def _short(digest: str) -> str:
    """Return as much of a digest as tells it from others at a glance."""
    return digest[:12]
