"""What people call the splits: their folders, and what stands in a table's column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: By split, in lower case.
ROLES: Mapping[str, frozenset[str]] = {
    "train": frozenset({"train", "training"}),
    "validation": frozenset({"val", "valid", "validation", "dev"}),
    "test": frozenset({"test", "testing"}),
}


def by_role(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names that mean a split, by split; a split that none means is left out.

    Args:
        names: Of folders.
    """
    names = list(names)
    found = {role: [name for name in names if is_role(name, role)] for role in ROLES}
    return {role: named for role, named in found.items() if named}


def role_of(name: str) -> str | None:
    """Return the split that a name means; None if it means none.

    Args:
        name: Of a folder, or from a table.
    """
    return next((role for role in ROLES if is_role(name, role)), None)


def is_role(name: str, role: str) -> bool:
    """Say whether a folder is called like a split, in capitals or not.

    Args:
        name: Of the folder.
        role: `train`, `validation` or `test`.
    """
    return name.lower() in ROLES[role]
