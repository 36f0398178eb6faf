"""Whether a run that is used again finds the plugins that it was made with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.environment import describe_part
from tlf.engine.files import read_json
from tlf.errors import PluginError
from tlf.registry.missing import explain_missing

if TYPE_CHECKING:
    from tlf.registry import Registry

#: What the network of a run is made of. The others took part in training it, and are not asked again.
_OF_THE_NETWORK = ("backbone-family", "device", "transform")


def require_plugins(folder: Path, registry: Registry) -> None:
    """Make sure that what the network of a run is made of is installed.

    Args:
        folder: The run directory. One that does not say what it was made with needs nothing here: what
            is missing is found when it is used.
        registry: The installed plugins.

    Raises:
        PluginError: Something is not; the error says what to install.
    """
    for part in _parts(folder):
        kind, name = part["kind"], part["name"]
        if registry.find(kind, name) is not None:
            continue
        names = [entry.declaration.name for entry in registry.entries(kind)]
        missing = explain_missing(kind, name, names, registry.plugins)
        origin = f"{part['distribution']} {part['version']}"
        raise PluginError(
            f"the run was made with the {kind} `{name}` of {origin}: {missing.message}",
            hint=f"pip install {part['distribution']}=={part['version']}",
        )


def changes_since(folder: Path, registry: Registry) -> Iterator[str]:
    """Yield a sentence for each plugin of a run's network whose code is not what it was.

    Args:
        folder: The run directory.
        registry: The installed plugins, whose parts of the network are imported by now.
    """
    for then in _parts(folder):
        now = describe_part(registry, then["kind"], then["name"])
        if None in (then["code_digest"], now["code_digest"]):
            continue
        if then["code_digest"] != now["code_digest"]:
            before, after = (f"{one['distribution']} {one['version']}" for one in (then, now))
            versions = f"{before} then, {after} now" if before != after else f"still {after}"
            yield (
                f"the code of the {then['kind']} `{then['name']}` has changed since the run "
                f"({versions}): predictions may differ"
            )


def _parts(folder: Path) -> list[dict[str, Any]]:
    """Return what `environment.json` says of the parts of the network; nothing if it is not there."""
    try:
        plugins = read_json(folder / "environment.json")["plugins"]
        parts = [dict(part) for part in plugins if part["kind"] in _OF_THE_NETWORK]
    except (OSError, ValueError, KeyError, TypeError):
        # The artifact may have been taken out of its run.
        return []
    known = {"name", "distribution", "version", "code_digest"}
    return [part for part in parts if known <= part.keys()]
