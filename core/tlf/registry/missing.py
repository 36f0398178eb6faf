"""Why nothing is found under a name: whether the name is wrong, or a plugin is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tlf.discovery import PluginRecord
from tlf.errors import did_you_mean, nearest
from tlf.plugin.rules import OWN_DISTRIBUTION
from tlf.registry.entries import way_out


@dataclass(frozen=True)
class Missing:
    """Why a name is not found.

    Attributes:
        message: What is wrong.
        hint: What to do.
        is_plugin_problem: Whether the spec may be right, and a plugin is missing or broken.
    """

    message: str
    hint: str | None
    is_plugin_problem: bool


def explain_missing(
    kind: str, name: str, names: Collection[str], plugins: Sequence[PluginRecord]
) -> Missing:
    """Say why nothing is found under a name.

    Args:
        kind: The kind of thing.
        name: What was looked for; for a backbone, its family.
        names: What there is of that kind.
        plugins: The installed plugins.
    """
    culprit = _culprit(kind, name, plugins)
    if culprit is not None:
        return Missing(
            f"`{name}` cannot be used: the plugin `{culprit.name}` ({culprit.origin}) is "
            f"{culprit.state}: {culprit.reason}",
            way_out(culprit),
            is_plugin_problem=True,
        )
    if kind == "backbone-family":
        return _missing_family(name, names, plugins)
    owner, slash, _ = name.partition("/")
    known = {record.name for record in plugins}
    owners = {other.partition("/")[0] for other in names if "/" in other}
    if slash and owner not in known and nearest(owner, owners) is None:
        return Missing(
            f"`{name}` is of the plugin `{owner}`, which is not installed",
            f"install the plugin, or {did_you_mean(name, names)}",
            is_plugin_problem=True,
        )
    what = kind.replace("-", " ")
    return Missing(f"`{name}` is no known {what}", did_you_mean(name, names), False)


def _culprit(kind: str, name: str, plugins: Sequence[PluginRecord]) -> PluginRecord | None:
    """Return the plugin that would provide a name if it worked, as far as the name tells."""
    owner, slash, _ = name.partition("/")
    for record in plugins:
        is_owner = record.name == owner and record.state != "ok"
        # A bare name belongs to tlf itself, whose plugins are called by what they provide.
        may_own = slash or kind == "backbone-family" or record.distribution == OWN_DISTRIBUTION
        if is_owner and may_own:
            return record
    return None


def _missing_family(name: str, names: Collection[str], plugins: Sequence[PluginRecord]) -> Missing:
    message = f"no installed plugin provides the backbone family `{name}`"
    if nearest(name, names) is not None:
        return Missing(message, did_you_mean(name, names), False)
    # The name of a family says nothing about whose it is: it may be that of a broken plugin.
    failed = ", ".join(f"`{record.name}`" for record in plugins if record.state != "ok")
    hint = f"install the plugin that does{f'; not in use are {failed}' if failed else ''}"
    return Missing(message, hint, is_plugin_problem=True)
