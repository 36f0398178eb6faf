"""Whether a run that is used again finds the plugins that it was made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.environment import describe_part
from tlf.engine.files import read_json
from tlf.errors import PluginError

if TYPE_CHECKING:
    from tlf.registry import Registry

#: What the network of a run is made of. The others took part in training it, and are not asked again.
_OF_THE_NETWORK = ("backbone-family", "device", "transform")


#: What `environment.json` says of one part of a run.
Part = Mapping[str, Any]


def require_plugins(parts: Sequence[Part], registry: Registry) -> None:
    """Make sure that what the network of a run is made of is installed.

    Args:
        parts: What `parts_of_network` returned.
        registry: The installed plugins.

    Raises:
        PluginError: Something is not; the error says what to install.
    """
    for part in parts:
        kind, name = part["kind"], part["name"]
        if registry.find(kind, name) is not None:
            continue
        origin = f"{part['distribution']} {part['version']}"
        why = registry.missing(kind, name).message
        raise PluginError(
            f"the run was made with the {kind} `{name}` of {origin}: {why}",
            hint=f"pip install {part['distribution']}=={part['version']}",
        )


def changes_since(parts: Sequence[Part], registry: Registry) -> Iterator[str]:
    """Yield a sentence for each plugin of a run's network whose code is not what it was.

    Args:
        parts: What `parts_of_network` returned.
        registry: The installed plugins, whose parts of the network are imported by now.
    """
    for then in parts:
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


def parts_of_network(folder: Path) -> list[Part]:
    """Return what `environment.json` says of the parts of a run's network.

    Nothing if it is not there or says nothing: what is missing is then found when it is used.

    Args:
        folder: The run directory.
    """
    try:
        plugins = read_json(folder / "environment.json")["plugins"]
        parts = [dict(part) for part in plugins if part["kind"] in _OF_THE_NETWORK]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # The artifact may have been taken out of its run.
        return []
    known = {"name", "distribution", "version", "code_digest"}
    return [part for part in parts if known <= part.keys()]
