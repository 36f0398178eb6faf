"""What can be wrong with a folder of classes, each said with what to do about it."""

from __future__ import annotations

from pathlib import Path

from tlf.errors import DataError
from tlf_builtin.image_folder.scan import Scan, scan
from tlf_builtin.roles import by_role


def check_classes(found: Scan) -> None:
    """Check that a folder holds classes, each with images.

    Args:
        found: What it holds.

    Raises:
        DataError: It does not.
    """
    _check_loose(found)
    if not found.images:
        raise DataError(
            f"`{found.folder}` holds no folders, and one for each class is needed",
            hint=_elsewhere(found) or "put the images of each class into a folder of its own",
        )
    if len(found.images) == 1:
        name = next(iter(found.images))
        raise DataError(
            f"`{found.folder}` holds one class only, `{name}`, and at least two are needed",
            hint=_elsewhere(found) or "add a folder for each of the other classes",
        )
    empty = [name for name, images in found.images.items() if not images]
    if empty:
        raise _empty_class(found, empty[0])


def check_no_splits(found: Scan) -> None:
    """Check that the folders in a folder are classes, not splits.

    Args:
        found: What the folder holds.

    Raises:
        DataError: They are called `train` and `val`, or much like it.
    """
    named = {role: names[0] for role, names in by_role(found.images).items()}
    if len(named) < len(found.images) or not {"train", "validation"} <= named.keys():
        return
    options = ", ".join(f'"{role}": "{found.folder / name}"' for role, name in named.items())
    raise DataError(
        f"`{found.folder}` is split already: it holds "
        + ", ".join(f"`{name}`" for name in named.values()),
        hint=f"instead of `folder`, write {options}",
    )


def check_same_classes(first: tuple[str, Scan], second: tuple[str, Scan]) -> None:
    """Check that two splits have the same classes.

    Args:
        first: Name of a split and what it holds.
        second: The same of another.

    Raises:
        DataError: One has a class that the other lacks.
    """
    (one, mine), (other, theirs) = first, second
    missing = [name for name in mine.images if name not in theirs.images]
    extra = [name for name in theirs.images if name not in mine.images]
    if not missing and not extra:
        return
    parts = [f"`{other}` has no {listed(missing)}"] if missing else []
    parts += [f"`{one}` has no {listed(extra)}"] if extra else []
    raise DataError(
        f"the classes of `{one}` and `{other}` differ: {'; '.join(parts)}",
        hint="every split needs a folder for each class, with the same names",
    )


def check_apart(folders: dict[str, Path]) -> None:
    """Check that no split lies in another, which would put images into both.

    Args:
        folders: By split.

    Raises:
        DataError: One does.
    """
    names = list(folders)
    for name in names:
        for other in names:
            mine, theirs = folders[name].resolve(), folders[other].resolve()
            if name != other and (theirs == mine or mine in theirs.parents):
                what = "the same folder" if theirs == mine else "one inside the other"
                raise DataError(
                    f"`{name}` and `{other}` are {what}, `{theirs}`: an image would be in both",
                    hint="give each split a folder of its own, or one `folder` to be split",
                )


def _check_loose(found: Scan) -> None:
    if not found.loose:
        return
    count, example = len(found.loose), found.loose[0].name
    raise DataError(
        f"{count} image{'' if count == 1 else 's'} in `{found.folder}` "
        f"lie{'s' if count == 1 else ''} outside of any class, such as `{example}`",
        hint=_elsewhere(found) or "put every image into a folder that is named for its class",
    )


def _empty_class(found: Scan, name: str) -> DataError:
    folder = found.folder / name
    others = [path for path in found.others if folder in path.parents]
    what = f", only files such as `{others[0].name}`" if others else ""
    return DataError(
        f"the class `{name}` is empty: `{folder}` holds no images{what}",
        hint="add images to it or remove the folder",
    )


def _elsewhere(found: Scan) -> str | None:
    """Return a hint if the folder above, or the only one inside, looks like what was meant."""
    candidates = [found.folder / name for name in found.images][:2]
    if not found.images:
        candidates = [found.folder.parent]
    for candidate in candidates if len(candidates) == 1 else ():
        try:
            classes = [name for name, images in scan(candidate).images.items() if images]
        except DataError:
            continue
        if len(classes) > 1:
            return f"did you mean `{candidate}`, which holds {listed(classes)}?"
    return None


def listed(names: list[str]) -> str:
    """Return names in words: the first five, and how many more there are.

    Args:
        names: Of folders.
    """
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
