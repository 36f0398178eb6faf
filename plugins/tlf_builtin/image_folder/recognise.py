"""Seeing what a folder is: classes, splits of classes, or one folder around either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tlf.errors import DataError
from tlf.plugin.images import files_below, is_image_file, list_folder
from tlf_builtin.image_folder.problems import listed
from tlf_builtin.roles import by_role


def recognise(folder: Path) -> Mapping[str, object] | None:
    """Return options that read what is in a folder; None if there are no images.

    Args:
        folder: A folder that is there.

    Raises:
        DataError: There are images, but not in folders for each class.
    """
    holding, loose = _look(folder)
    found = _splits(folder, holding)
    if found is None and len(holding) == 1 and not loose:
        found = _inside(holding[0])
    if found is not None:
        return found
    if not holding and not loose:
        return None
    if not holding:
        raise _no_classes(folder, loose)
    _check_no_splits_inside(folder, holding)
    return {"folder": str(folder)}


def _look(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders in a folder that hold images somewhere, and the images beside them."""
    folders, files = list_folder(folder)
    return [path for path in folders if _has_images(path)], [p for p in files if is_image_file(p)]


def _has_images(folder: Path) -> bool:
    return any(is_image_file(path) for path in files_below(folder))


def _inside(folder: Path) -> Mapping[str, object] | None:
    """Return options for the only folder in a folder, unless it is a class itself."""
    holding, loose = _look(folder)
    if loose:
        return None
    found = _splits(folder, holding)
    return {"folder": str(folder)} if found is None and len(holding) > 1 else found


def _splits(folder: Path, holding: Iterable[Path]) -> Mapping[str, object] | None:
    """Return options for the splits among the folders in a folder; None if these are classes."""
    names = [path.name for path in holding]
    named = by_role(names)
    if "train" not in named:
        if named and sum(map(len, named.values())) == len(names):
            raise _no_train(folder, names)
        return None
    # A train is a vehicle too: only with another split beside it the name alone says enough.
    if len(named) == 1 and not _holds_classes(folder / named["train"][0]):
        return None
    for role, candidates in named.items():
        if len(candidates) > 1:
            raise DataError(
                f"`{folder}` holds several folders for the split `{role}`: {listed(candidates)}",
                hint="keep one of them, or write a spec that says which one is meant",
            )
    paths = {role: str(folder / candidates[0]) for role, candidates in named.items()}
    if "validation" in paths:
        return {role: paths[role] for role in ("train", "validation", "test") if role in paths}
    if "test" in paths:
        # Nothing is chosen on validation images, so that these may be what the report speaks of.
        return {"train": paths["train"], "validation": paths["test"]}
    return {"folder": paths["train"]}


def _holds_classes(folder: Path) -> bool:
    holding, loose = _look(folder)
    return bool(holding) and not loose


def _check_no_splits_inside(folder: Path, holding: Iterable[Path]) -> None:
    for path in holding:
        named = by_role(inside.name for inside in list_folder(path)[0])
        if len(named) > 1 and "train" in named:
            split = named["train"][0]
            raise DataError(
                f"the folders in `{folder}` are split each by itself, such as "
                f"`{path.name}/{split}`",
                hint=f"name one of them: `{path}`"
                if _holds_classes(path / split)
                else f"put the classes into the splits: `{folder / split / path.name}`",
            )


def _no_classes(folder: Path, loose: list[Path]) -> DataError:
    count = len(loose)
    what = "1 image lies" if count == 1 else f"{count} images lie"
    return DataError(
        f"{what} in `{folder}` itself, such as `{loose[0].name}`, and no folder says its class",
        hint=f"put each image into a folder that is named for its class: "
        f"`{folder / 'ants' / loose[0].name}`, say",
    )


def _no_train(folder: Path, names: list[str]) -> DataError:
    return DataError(
        f"`{folder}` holds {listed(names)}, and nothing to train on",
        hint="call the folder with the images to train on `train`",
    )
