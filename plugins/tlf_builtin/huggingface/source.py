"""Reads data sets of the library `datasets` from local files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tlf.errors import DataError, did_you_mean
from tlf.plugin import Dataset, DataSource, Item, resolve_path, split_items
from tlf_builtin.huggingface.columns import Labels, find_image, find_labels
from tlf_builtin.huggingface.options import HuggingFaceOptions
from tlf_builtin.huggingface.reading import looks_saved, open_splits
from tlf_builtin.roles import role_of

_SPLITS = ("train", "validation", "test")


class HuggingFace(DataSource[HuggingFaceOptions]):
    """A data set of Hugging Face's `datasets`, in local files.

    Args:
        options: Where it is, and what its columns are called.
        folder: What relative paths start from.
    """

    @classmethod
    def recognise(cls, folder: Path) -> Mapping[str, object] | None:
        """Return options for a folder that `save_to_disk` wrote, or that holds Parquet files."""
        return {"path": str(folder)} if looks_saved(folder) else None

    def open(self) -> Dataset:
        """List the images. Parquet files are read into memory, what was saved is not.

        Raises:
            DataError: Nothing is there that can be read, or a column or a split cannot be told.
        """
        options = self.options
        path = resolve_path(self.folder, options.path, "data.options.path")
        found = open_splits(path)
        chosen, notes = self._choose(found)
        features = chosen["train"].features
        image, labels = find_image(features, options.image), find_labels(features, options.label)
        if options.group is not None and options.group not in features:
            raise DataError(
                f"there is no column `{options.group}` (`data.options.group`)",
                hint=did_you_mean(options.group, features),
            )
        values = {split: _values(part, split, labels) for split, part in chosen.items()}
        for split in [name for name, some in values.items() if some is None]:
            notes.append(f"left out the split `{split}`: none of its images has a label")
            del chosen[split]
        classes = labels.names or _sorted(values)
        index = {name: number for number, name in enumerate(classes)}
        splits = {
            split: self._items(
                split, part, image, [_label(v, labels, index) for v in values[split] or ()]
            )
            for split, part in chosen.items()
        }
        return Dataset(
            classes=classes,
            splits=self._with_validation(splits, notes),
            notes=tuple(notes),
            task="multi-label" if labels.several else "single-label",
        )

    def _choose(self, found: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return the data of each split that there is, and notes on those that are not used."""
        used: dict[str, str] = {}
        for role in _SPLITS:
            named = getattr(self.options, role)
            if named is not None and named not in found:
                raise DataError(
                    f"there is no split `{named}` (`data.options.{role}`)",
                    hint=did_you_mean(named, found),
                )
            alike = [name for name in found if role_of(name) == role]
            if named is not None:
                used[role] = named
            elif alike:
                used[role] = alike[0]
        if "train" not in used and len(found) == 1:
            used = {"train": next(iter(found))}
        if "train" not in used:
            raise DataError(
                f"no split is called `train`: there are {', '.join(f'`{name}`' for name in found)}",
                hint="name the one to train on in `data.options.train`",
            )
        if len(set(used.values())) < len(used):
            raise DataError(
                "one split is named for two things at once",
                hint="give `train`, `validation` and `test` in `data.options` different splits",
            )
        others = [name for name in found if name not in used.values()]
        notes = [f"left out the split `{name}`" for name in others]
        return {role: found[name] for role, name in used.items()}, notes

    def _items(self, split: str, part: Any, image: str, labels: Sequence[Any]) -> list[Item]:  # noqa: ANN401
        import datasets

        group = self.options.group
        groups = [None] * len(part) if group is None else part[group][:]
        pictures = part.select_columns([image]).cast_column(image, datasets.Image(decode=False))
        files = _files(pictures, image)
        return [
            Item(
                id=f"{split}/{number:06d}",
                label=label,
                read=_Read(pictures, image, number, f"{split}/{number:06d}")
                if files is None
                else files[number].read_bytes,
                path=None if files is None else files[number],
                group=None if one is None or one == "" else str(one),
            )
            for number, (label, one) in enumerate(zip(labels, groups, strict=True))
        ]

    def _with_validation(
        self, splits: dict[str, list[Item]], notes: list[str]
    ) -> dict[str, list[Item]]:
        options, given = self.options, self.options.model_fields_set
        if "test" in splits or "validation" in splits:
            for option in ("validation_share", "test_share"):
                drawn = option == "validation_share" and "validation" not in splits
                if option in given and getattr(options, option) > 0.0 and not drawn:
                    raise DataError(
                        f"`{option}` draws a split, and there are splits already: "
                        f"{', '.join(f'`{name}`' for name in splits)}",
                        hint=f"leave `data.options.{option}` out",
                    )
        if "validation" in splits:
            return {name: splits[name] for name in _SPLITS if name in splits}
        shares = {"validation": options.validation_share}
        if "test" not in splits and options.test_share > 0.0:
            shares["test"] = options.test_share
        held = split_items(splits["train"], shares, seed=options.split_seed)
        said = " and ".join(f"{share:.0%} for {name}" for name, share in shares.items())
        notes.append(f"held out of train, of each class: {said}")
        return {**held, **({"test": splits["test"]} if "test" in splits else {})}


class _Read:
    """Returns the bytes of one image of a table."""

    def __init__(self, pictures: Any, column: str, number: int, name: str) -> None:  # noqa: ANN401
        self._pictures = pictures
        self._column = column
        self._number = number
        self._name = name

    def __call__(self) -> bytes:
        value = self._pictures[self._number][self._column] or {}
        content = value.get("bytes")
        if content is not None:
            return bytes(content)
        path = value.get("path")
        # `datasets` itself would fetch what is an address; nothing here goes to the network.
        if not path or "://" in path:
            raise OSError(f"`{self._name}` holds no image, only `{path}`")
        return Path(path).read_bytes()


def _files(pictures: Any, column: str) -> list[Path] | None:  # noqa: ANN401
    """Return the files of all images; None if their bytes are in the table."""
    first = pictures[0][column] if len(pictures) else None
    if not first or first.get("bytes") is not None:
        return None
    paths = [(one or {}).get("path") for one in pictures[column][:]]
    local = [Path(path) for path in paths if path and "://" not in path]
    return local if len(local) == len(paths) else None


def _values(part: Any, split: str, labels: Labels) -> list[Any] | None:  # noqa: ANN401
    """Return the labels of a split as they stand; None if there are none at all."""
    if labels.column not in part.features:
        return None
    values = list(part[labels.column][:])
    missing = [
        n for n, value in enumerate(values) if not labels.several and value in (None, -1, "")
    ]
    if missing and len(missing) == len(values):
        return None
    if missing:
        raise DataError(
            f"{len(missing)} of {len(values)} rows of `{split}` have no label, such as row "
            f"{missing[0]}",
            hint="filter them out with `datasets`, and save the rest",
        )
    return values


def _label(value: Any, labels: Labels, index: Mapping[str, int]) -> int | tuple[int, ...]:  # noqa: ANN401
    if not labels.several:
        return int(value) if labels.names else index[str(value)]
    some = {int(one) if labels.names else index[str(one)] for one in value or ()}
    return tuple(sorted(some))


def _sorted(values: Mapping[str, Sequence[Any] | None]) -> tuple[str, ...]:
    """Return the names of classes where the labels are names, or numbers without names."""
    found: set[str] = set()
    for some in values.values():
        for value in some or ():
            found |= {str(one) for one in value} if isinstance(value, list) else {str(value)}
    if all(name.isascii() and name.isdigit() for name in found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))
