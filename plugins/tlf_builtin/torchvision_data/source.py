"""Reads torchvision's data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.errors import DataError
from tlf.plugin import Dataset, DataSource, Item, resolve_path, split_items
from tlf_builtin.torchvision_data.known import KNOWN, Known
from tlf_builtin.torchvision_data.options import TorchvisionOptions

if TYPE_CHECKING:
    import numpy as np

#: Where torchvision's classes keep labels, and pairs of file and label.
_LABELS = ("targets", "labels", "_labels", "y")
_SAMPLES = ("_samples", "samples")


class TorchvisionData(DataSource[TorchvisionOptions]):
    """A data set of `torchvision.datasets`.

    Args:
        options: Which, and where it is.
        folder: What relative paths start from.
    """

    def open(self) -> Dataset:
        """List the images; where they are not files, torchvision reads them all into memory.

        Raises:
            DataError: They are not there, and are not to be downloaded, or cannot be.
        """
        options, known = self.options, KNOWN[self.options.dataset]
        root = resolve_path(self.folder, options.root, "data.options.root")
        self._check_shares(known)
        parts = {split: self._part(known, split, root) for split in known.splits}
        splits = {split: _items(split, part, root) for split, part in parts.items()}
        notes: tuple[str, ...] = ()
        if "validation" not in splits:
            shares = {"validation": options.validation_share}
            if "test" not in splits and options.test_share > 0.0:
                shares["test"] = options.test_share
            held = split_items(splits["train"], shares, seed=options.split_seed)
            whole = "train" if "test" in splits else f"`{options.dataset}`"
            splits = {**held, **{name: items for name, items in splits.items() if name == "test"}}
            notes = (f"held out of {whole}, of each class: {_shares(shares)}",)
        return Dataset(classes=_classes(parts["train"]), splits=splits, notes=notes)

    def _check_shares(self, known: Known) -> None:
        given = self.options.model_fields_set
        for option, is_drawn in (
            ("validation_share", "validation" not in known.splits),
            ("test_share", len(known.splits) == 1),
        ):
            if option in given and not is_drawn and getattr(self.options, option) > 0.0:
                raise DataError(
                    f"`{option}` draws a split that `{self.options.dataset}` has itself: it comes "
                    f"as {', '.join(f'`{name}`' for name in known.splits)}",
                    hint=f"leave `data.options.{option}` out",
                )

    def _part(self, known: Known, split: str, root: Path) -> Any:  # noqa: ANN401
        """Return torchvision's object for a split."""
        import torchvision.datasets

        make = getattr(torchvision.datasets, known.class_name)
        name, download = self.options.dataset, self.options.download
        if not download and not root.is_dir():
            raise self._missing(root, f"there is no folder `{root}`")
        if download:
            root.mkdir(parents=True, exist_ok=True)
        try:
            return make(str(root), download=download, **known.splits[split])
        except (RuntimeError, OSError, ValueError, EOFError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if download:
                raise DataError(
                    f"`{name}` cannot be downloaded into `{root}`, or read there: {reason}",
                    hint="look at the connection, and at what is in the folder",
                ) from error
            raise self._missing(root, reason) from error

    def _missing(self, root: Path, reason: str) -> DataError:
        return DataError(
            f"`{self.options.dataset}` is not in `{root}`, or not whole: {reason}",
            hint="name the folder that torchvision keeps it in (`data.options.root`), or set "
            "`data.options.download` to `true`",
        )


class _Pixels:
    """Returns the pixels of one image of a data set that torchvision has in memory."""

    def __init__(self, part: Any, index: int) -> None:  # noqa: ANN401
        self._part = part
        self._index = index

    def __call__(self) -> np.ndarray:
        import numpy as np

        from tlf.plugin import to_rgb

        image = self._part[self._index][0]
        return np.array(image if image.mode == "L" else to_rgb(image))


def _items(split: str, part: Any, root: Path) -> list[Item]:  # noqa: ANN401
    labels = _labels(part)
    files = _files(part)
    if files is None:
        return [
            Item(id=f"{split}/{index:06d}", label=label, read=_Pixels(part, index))
            for index, label in enumerate(labels)
        ]
    return [
        Item(id=_below(root, path), label=label, read=path.read_bytes, path=path)
        for path, label in zip(files, labels, strict=True)
    ]


def _labels(part: Any) -> list[int]:  # noqa: ANN401
    """Return the labels of all images, without decoding one if torchvision keeps them anywhere."""
    for name in _LABELS:
        found = getattr(part, name, None)
        if found is not None:
            return [int(label) for label in found]
    pairs = _samples(part)
    if pairs is not None:
        return [int(label) for _, label in pairs]
    return [int(part[index][1]) for index in range(len(part))]


def _files(part: Any) -> list[Path] | None:  # noqa: ANN401
    """Return the files of all images; None if they are not files."""
    found = getattr(part, "_image_files", None) or getattr(part, "_images", None)
    if isinstance(found, list) and found and isinstance(found[0], str | Path):
        return [Path(path) for path in found]
    pairs = _samples(part)
    if pairs is not None and pairs and isinstance(pairs[0][0], str | Path):
        return [Path(path) for path, _ in pairs]
    return None


def _samples(part: Any) -> Sequence[tuple[Any, Any]] | None:  # noqa: ANN401
    return next(
        (found for name in _SAMPLES if (found := getattr(part, name, None)) is not None), None
    )


def _classes(part: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return the names of the classes, or their numbers where torchvision has no names."""
    names = getattr(part, "classes", None) or getattr(part, "categories", None)
    if names:
        # Some have several names, as ImageNet's have.
        return tuple(name if isinstance(name, str) else ", ".join(name) for name in names)
    return tuple(str(label) for label in range(max(_labels(part)) + 1))


def _below(root: Path, path: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()


def _shares(shares: Mapping[str, float]) -> str:
    return " and ".join(f"{share:.0%} for {name}" for name, share in shares.items())
