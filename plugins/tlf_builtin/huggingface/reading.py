"""Opening what `datasets` has written, or could have: no network, no cache, no code of the data's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tlf.errors import DataError
from tlf.plugin.images import files_below, is_image_file
from tlf_builtin.roles import role_of

#: What `save_to_disk` leaves in a folder: of several splits, and of one.
_SAVED_SPLITS, _SAVED = "dataset_dict.json", "state.json"


def looks_saved(folder: Path) -> bool:
    """Say whether a folder holds what `save_to_disk` writes, or Parquet files.

    Args:
        folder: A folder that is there.
    """
    return (
        (folder / _SAVED_SPLITS).is_file()
        or (folder / _SAVED).is_file()
        or any(folder.glob("*.parquet"))
        or any(folder.glob("data/*.parquet"))
    )


def open_splits(path: Path) -> Mapping[str, Any]:
    """Return the `datasets.Dataset` of each split, in a fixed order.

    Args:
        path: A folder, or a Parquet file.

    Raises:
        DataError: Nothing is there that can be read.
    """
    if not path.exists():
        raise DataError(
            f"`{path}` does not exist",
            hint="correct `data.options.path`; a relative path starts at the spec file's folder. Data "
            "sets of the Hub are downloaded with `datasets`, and written by `save_to_disk`",
        )
    try:
        with _quietly():
            found = _open(path)
    except DataError:
        raise
    except Exception as error:
        # pyarrow and `datasets` raise errors of a dozen classes of their own for damaged files.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"`{path}` cannot be read by `datasets`: {reason}",
            hint="it is damaged, or was written by a newer version of `datasets`",
        ) from error
    return {str(name): found[name] for name in sorted(found)}


def _open(path: Path) -> Mapping[str, Any]:
    import datasets

    if path.is_file():
        return {"train": _parquet([path])}
    if (path / _SAVED_SPLITS).is_file() or (path / _SAVED).is_file():
        loaded = datasets.load_from_disk(str(path))
        return loaded if isinstance(loaded, Mapping) else {"train": loaded}
    files = list(files_below(path))
    parquet = [file for file in files if file.suffix.lower() == ".parquet"]
    if parquet:
        return {name: _parquet(some) for name, some in _by_split(parquet).items()}
    if any(is_image_file(file) for file in files):
        return _imagefolder(path)
    raise DataError(
        f"`{path}` holds nothing that `datasets` has written, no Parquet file and no image",
        hint="name a folder that `save_to_disk` wrote, or one with Parquet files",
    )


def _parquet(files: Sequence[Path]) -> Any:  # noqa: ANN401
    """Return a table that is read into memory: `datasets` itself would write a second copy to disk."""
    import datasets
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.concat_tables([pyarrow.parquet.read_table(file) for file in files])
    return datasets.Dataset(datasets.table.InMemoryTable(table))


def _by_split(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files of each split, by `train-00000-of-00002.parquet` or `train/0.parquet`."""
    found: dict[str, list[Path]] = {}
    for file in files:
        names = (file.stem.partition("-")[0], file.parent.name)
        split = next((role for name in names if (role := role_of(name)) is not None), "train")
        found.setdefault(split, []).append(file)
    return found


def _imagefolder(path: Path) -> Mapping[str, Any]:
    import datasets

    # What it keeps on the way are paths and labels: they stay in memory, and nothing stays on disk.
    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(
            "imagefolder", data_dir=str(path), cache_dir=cache, keep_in_memory=True
        )
        assert isinstance(loaded, Mapping)
        return dict(loaded)


@contextmanager
def _quietly() -> Iterator[None]:
    """Show no bars of progress, and leave the library as it was."""
    import datasets

    were_disabled = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not were_disabled:
            datasets.enable_progress_bars()
