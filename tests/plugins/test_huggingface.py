"""The data source `huggingface`, on small data sets that the library itself has written."""

import io
import pickle
import shutil

import pytest
from PIL import Image

from tlf.errors import DataError
from tlf_builtin.huggingface.options import HuggingFaceOptions
from tlf_builtin.huggingface.source import HuggingFace

# Importing it takes seconds.
pytestmark = pytest.mark.slow
datasets = pytest.importorskip("datasets", reason="needs `pip install 'tlf[huggingface]'`")


@pytest.fixture(autouse=True)
def quiet():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def pictures(count, start=0):
    return [Image.new("RGB", (20, 16), (10 * n, 50, 90)) for n in range(start, start + count)]


def table(labels, start=0, **columns):
    """Return a data set of pictures with class labels `ant` and `bee`, and other columns."""
    names = datasets.ClassLabel(names=["ant", "bee"])
    several = labels and isinstance(labels[0], list)
    features = {"image": datasets.Image(), "label": datasets.Sequence(names) if several else names}
    plain = datasets.Dataset.from_dict(columns).features if columns else {}
    return datasets.Dataset.from_dict(
        {"image": pictures(len(labels), start), "label": labels, **columns},
        features=datasets.Features({**features, **plain}),
    )


def opened(folder, path="saved", **options):
    return HuggingFace(HuggingFaceOptions(path=path, **options), folder).open()


def refused(folder, **options):
    with pytest.raises(DataError) as caught:
        opened(folder, **options)
    return caught.value


def sizes(dataset):
    return {split: len(items) for split, items in dataset.splits.items()}


def test_splits_and_names_of_what_was_saved_are_found(tmp_path):
    whole = datasets.DatasetDict(
        train=table([0, 1] * 3),
        val=table([0, 1], 20),
        test=table([1, 0], 15),
        odd=table([0, 1], 40),
    )
    whole.save_to_disk(str(tmp_path / "saved"))
    dataset = opened(tmp_path)
    assert sizes(dataset) == {"train": 6, "validation": 2, "test": 2}
    assert dataset.classes == ("ant", "bee")
    assert dataset.task == "single-label"
    assert dataset.notes == ("left out the split `odd`",)
    item = dataset.splits["test"][0]
    assert (item.id, item.label) == ("test/000000", 1)
    for read in (item.read, pickle.loads(pickle.dumps(item.read))):
        with Image.open(io.BytesIO(read())) as image:
            assert image.getpixel((0, 0)) == (150, 50, 90)


def test_lists_of_class_labels_make_it_multi_label(tmp_path):
    table([[1, 0], [], [0], [1]] * 3).save_to_disk(str(tmp_path / "saved"))
    dataset = opened(tmp_path, validation_share=0.25)
    assert dataset.task == "multi-label"
    assert sizes(dataset) == {"train": 9, "validation": 3}
    labels = {item.label for items in dataset.splits.values() for item in items}
    assert labels == {(0, 1), (), (0,), (1,)}


def test_one_split_is_split_by_shares_and_whole_groups(tmp_path):
    whole = table([0, 1] * 20, owner=[f"p{n // 4}" for n in range(40)])
    whole.save_to_disk(str(tmp_path / "saved"))
    dataset = opened(tmp_path, group="owner", test_share=0.2)
    groups = [{item.group for item in items} for items in dataset.splits.values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 10
    assert dataset.notes == (
        "held out of train, of each class: 20% for validation and 20% for test",
    )


def test_parquet_files_of_several_splits_are_read_into_memory(tmp_path):
    for name, labels in (("train-00000-of-00002", [0, 1] * 4), ("train-00001-of-00002", [1, 0])):
        place = tmp_path / "saved" / "data"
        place.mkdir(parents=True, exist_ok=True)
        table(labels).to_parquet(str(place / f"{name}.parquet"))
    table([0, 1], 30).to_parquet(str(tmp_path / "saved" / "data" / "test-00000-of-00001.parquet"))
    dataset = opened(tmp_path)
    assert sizes(dataset) == {"train": 8, "validation": 2, "test": 2}
    item = dataset.splits["train"][0]
    content = item.read()
    shutil.rmtree(tmp_path / "saved")
    assert item.read() == content


def test_a_file_of_plain_columns_needs_only_their_names(tmp_path):
    content = io.BytesIO()
    pictures(1)[0].save(content, "PNG")
    plain = datasets.Dataset.from_dict(
        {"photo": [{"bytes": content.getvalue(), "path": None}] * 12, "kind": ["b", "a"] * 6}
    )
    plain.to_parquet(str(tmp_path / "x.parquet"))
    dataset = opened(tmp_path, path="x.parquet", label="kind")
    assert dataset.classes == ("a", "b")
    assert dataset.splits["train"][0].read() == content.getvalue()
    error = refused(tmp_path, path="x.parquet")
    assert "no column holds class labels; there are `photo`, `kind`" in error.message
    assert "data.options.label" in error.hint


def test_an_imagefolder_gives_its_files(tmp_path):
    for split, first in (("train", 0), ("test", 8)):
        for number, image in enumerate(pictures(8, first)):
            place = tmp_path / "saved" / split / ("ant", "bee")[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            image.save(place / f"{number}.png")
    dataset = opened(tmp_path)
    assert sizes(dataset) == {"train": 6, "validation": 2, "test": 8}
    item = dataset.splits["test"][0]
    assert item.path.is_relative_to(tmp_path / "saved" / "test")
    assert item.read() == item.path.read_bytes()


def test_a_split_without_labels_is_left_out_and_a_row_without_one_refused(tmp_path):
    whole = datasets.DatasetDict(train=table([0, 1] * 5), test=table([-1, -1]))
    whole.save_to_disk(str(tmp_path / "saved"))
    dataset = opened(tmp_path)
    assert list(dataset.splits) == ["train", "validation"]
    assert "left out the split `test`: none of its images has a label" in dataset.notes
    datasets.DatasetDict(train=table([0, -1, 1])).save_to_disk(str(tmp_path / "odd"))
    assert "1 of 3 rows of `train` have no label" in refused(tmp_path, path="odd").message


def test_an_image_that_is_only_an_address_is_not_fetched(tmp_path):
    plain = datasets.Dataset.from_dict(
        {
            "image": [{"bytes": None, "path": f"https://example.com/{n}.png"} for n in range(4)],
            "label": ["a", "b"] * 2,
        }
    )
    plain.save_to_disk(str(tmp_path / "saved"))
    item = opened(tmp_path).splits["train"][0]
    with pytest.raises(OSError, match=rf"`{item.id}` holds no image, only `https://example.com"):
        item.read()


@pytest.mark.parametrize(
    ("options", "words", "hint"),
    [
        ({"path": "sved"}, "does not exist", "save_to_disk"),
        ({"label": "lable"}, "no column `lable`", "`label`"),
        ({"image": "img"}, "no column `img`", "`image`"),
        ({"group": "owner"}, "no column `owner`", "choose from"),
        ({"train": "trian"}, "no split `trian`", "`train`"),
        ({"test": "train"}, "one split is named for two", "different"),
        ({"test_share": 0.1}, "`test_share` draws a split", "leave"),
    ],
)
def test_what_cannot_be_told_is_said(tmp_path, options, words, hint):
    whole = datasets.DatasetDict(train=table([0, 1] * 4), test=table([0, 1]))
    whole.save_to_disk(str(tmp_path / "saved"))
    error = refused(tmp_path, **options)
    assert words in error.message
    assert hint in error.hint


def test_several_columns_that_might_be_meant_are_named(tmp_path):
    whole = table([0, 1] * 4)
    whole = whole.add_column("other", whole["label"][:], feature=whole.features["label"])
    whole.save_to_disk(str(tmp_path / "saved"))
    error = refused(tmp_path)
    assert error.message == "several columns hold class labels: `label`, `other`"
    assert opened(tmp_path, label="other").classes == ("ant", "bee")


def test_damaged_and_empty_folders_are_said_so(tmp_path):
    (tmp_path / "saved").mkdir()
    assert "holds nothing that `datasets` has written" in refused(tmp_path).message
    (tmp_path / "saved" / "dataset_dict.json").write_text("{")
    assert "cannot be read by `datasets`" in refused(tmp_path).message
    (tmp_path / "x.parquet").write_bytes(b"PAR1, not really")
    assert "cannot be read by `datasets`" in refused(tmp_path, path="x.parquet").message


def test_what_was_saved_is_recognised_and_the_library_left_as_it_was(tmp_path):
    assert HuggingFace.recognise(tmp_path) is None
    datasets.enable_progress_bars()
    table([0, 1] * 4).save_to_disk(str(tmp_path / "saved"))
    assert HuggingFace.recognise(tmp_path / "saved") == {"path": str(tmp_path / "saved")}
    opened(tmp_path)
    assert not datasets.are_progress_bars_disabled()
