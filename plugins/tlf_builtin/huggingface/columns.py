"""Which column of a data set is what, and what its labels mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlf.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Labels:
    """The labels of a data set.

    Attributes:
        column: Where they stand.
        several: Whether an image may have any number of them.
        names: Of the classes; None if the values themselves are names.
    """

    column: str
    several: bool
    names: tuple[str, ...] | None


def find_image(features: Mapping[str, Any], named: str | None) -> str:
    """Return the column with the images.

    Args:
        features: By column, as `datasets` describes them.
        named: The column that the user names.

    Raises:
        DataError: There is none, or several.
    """
    if named is not None:
        return _named(features, named, "image")
    found = [name for name, feature in features.items() if _is_image(feature)]
    return _only(found, features, "image", "images")


def find_labels(features: Mapping[str, Any], named: str | None) -> Labels:
    """Return the column with the labels, and what they mean.

    Args:
        features: By column, as `datasets` describes them.
        named: The column that the user names.

    Raises:
        DataError: There is none, or several.
    """
    if named is None:
        found = [name for name, one in features.items() if _class_names(one) is not None]
        if not found:
            found = [name for name in ("label", "labels") if name in features]
        named = _only(found, features, "label", "class labels")
    name = _named(features, named, "label")
    feature = features[name]
    return Labels(name, _inner(feature) is not None, _class_names(feature))


def _is_image(feature: Any) -> bool:  # noqa: ANN401
    # Parquet that others wrote has the same two fields, and no mark that says so.
    fields = set(feature) if isinstance(feature, Mapping) else set()
    return type(feature).__name__ == "Image" or fields == {"bytes", "path"}


def _inner(feature: Any) -> Any:  # noqa: ANN401
    """Return what a list is of; None if it is none."""
    if isinstance(feature, list):
        return feature[0]
    return getattr(feature, "feature", None)


def _class_names(feature: Any) -> tuple[str, ...] | None:  # noqa: ANN401
    inner = _inner(feature)
    feature = feature if inner is None else inner
    return tuple(feature.names) if type(feature).__name__ == "ClassLabel" else None


def _only(found: Sequence[str], features: Mapping[str, Any], option: str, what: str) -> str:
    if len(found) == 1:
        return found[0]
    shown = ", ".join(f"`{name}`" for name in (found or features))
    raise DataError(
        f"several columns hold {what}: {shown}"
        if found
        else f"no column holds {what}; there are {shown}",
        hint=f"name the column in `data.options.{option}`",
    )


def _named(features: Mapping[str, Any], name: str, option: str) -> str:
    if name not in features:
        raise DataError(
            f"there is no column `{name}` (`data.options.{option}`)",
            hint=did_you_mean(name, features),
        )
    return name
