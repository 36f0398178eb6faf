"""The data source `image-folder`: what it lists, how it splits, and what it says is wrong."""

import os
import unicodedata
from itertools import pairwise

import pytest
from PIL import Image
from pydantic import ValidationError

from tlf.errors import DataError
from tlf_builtin.image_folder.example import write_example
from tlf_builtin.image_folder.options import ImageFolderOptions
from tlf_builtin.image_folder.source import ImageFolder
from tlf_builtin.image_folder.split import split_class


def _write(path, content=b"an image"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def make(tmp_path):
    """Return a function that writes `number` images into each of the folders named."""

    def write(*folders, number=3):
        for folder in folders:
            for index in range(number):
                _write(tmp_path / folder / f"{index}.jpg")
        return tmp_path

    return write


def _open(start, **options):
    return ImageFolder(ImageFolderOptions(**options), start).open()


def _ids(dataset):
    return {name: [item.id for item in items] for name, items in dataset.splits.items()}


def _error(start, **options):
    with pytest.raises(DataError) as caught:
        _open(start, **options)
    return caught.value


SPLITS = {"train": "train", "validation": "val"}


def test_folders_for_each_split_are_read_in_order(make):
    folder = make("train/bee", "train/ant", "val/ant", "val/bee", number=2)
    dataset = _open(folder, **SPLITS)
    assert dataset.classes == ("ant", "bee")
    assert _ids(dataset) == {
        "train": ["train/ant/0.jpg", "train/ant/1.jpg", "train/bee/0.jpg", "train/bee/1.jpg"],
        "validation": ["val/ant/0.jpg", "val/ant/1.jpg", "val/bee/0.jpg", "val/bee/1.jpg"],
    }
    assert [item.label for item in dataset.splits["train"]] == [0, 0, 1, 1]
    assert dataset.notes == ()


def test_an_item_reads_the_bytes_of_its_file(make):
    folder = make("train/a", "train/b", "val/a", "val/b")
    _write(folder / "train/b/0.jpg", b"these bytes")
    items = {item.id: item for item in _open(folder, **SPLITS).splits["train"]}
    assert items["train/b/0.jpg"].read() == b"these bytes"


def test_a_test_folder_is_a_third_split(make):
    folder = make(*(f"{split}/{name}" for split in ("train", "val", "test") for name in "ab"))
    dataset = _open(folder, **SPLITS, test="test")
    assert list(dataset.splits) == ["train", "validation", "test"]
    assert _ids(dataset)["test"][0] == "test/a/0.jpg"


def test_ids_start_below_what_the_folders_share_wherever_that_is(make):
    folder = make("x/train/images/a", "x/train/images/b", "x/val/images/a", "x/val/images/b")
    absolute = {"train": str(folder / "x/train/images"), "validation": "x/../x/val/images"}
    ids = _ids(_open(folder, **absolute))
    assert ids["train"][0] == "train/images/a/0.jpg"
    assert ids["validation"][0] == "val/images/a/0.jpg"


def test_relative_paths_start_at_the_spec_files_folder_and_a_tilde_is_home(make, monkeypatch):
    folder = make("train/a", "train/b", "val/a", "val/b")
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", str(folder))
    found = _open(folder, train="train", validation="~/val")
    assert len(found.splits["validation"]) == 6


def test_hidden_files_are_not_there_and_other_files_are_noted(make):
    folder = make("train/a", "train/b", "val/a", "val/b")
    for name in (".DS_Store", "train/.cache/a.jpg", "train/a/.hidden.jpg", "val/b/._1.jpg"):
        _write(folder / name)
    plain = _open(folder, **SPLITS)
    assert plain.notes == ()
    for name in ("train/readme.txt", "train/a/0.xmp", "val/b/notes/x.doc"):
        _write(folder / name)
    noted = _open(folder, **SPLITS)
    assert _ids(noted) == _ids(plain)
    assert noted.notes == ("passed over 3 files that are no images by name, such as `readme.txt`",)


def test_one_file_that_is_passed_over_is_spoken_of_as_one(make):
    folder = make("train/a", "train/b", "val/a", "val/b")
    _write(folder / "train/a/list.csv")
    assert _open(folder, **SPLITS).notes == (
        "passed over 1 file that is no image by name, such as `list.csv`",
    )


def test_images_are_known_by_their_ending_in_any_case(make):
    folder = make("train/a", "train/b", "val/a", "val/b")
    endings = ["JPG", "jpeg", "Png", "bmp", "gif", "webp", "tif", "TIFF", "ppm", "pgm", "pbm"]
    for ending in endings:
        _write(folder / "train/a" / f"x.{ending}")
    assert len(_open(folder, **SPLITS).splits["train"]) == 6 + len(endings)


def test_folders_inside_a_class_belong_to_it(make):
    folder = make("train/a/day/one", "train/a/night", "train/b", "val/a", "val/b", number=1)
    ids = _ids(_open(folder, **SPLITS))["train"]
    assert ids == ["train/a/day/one/0.jpg", "train/a/night/0.jpg", "train/b/0.jpg"]


def test_links_are_followed_and_a_circle_ends(make, tmp_path):
    folder = make("train/a", "train/b", "val/a", "val/b", number=1)
    _write(tmp_path / "elsewhere/far.jpg", b"far away")
    (folder / "train/a/linked.jpg").symlink_to(tmp_path / "elsewhere/far.jpg")
    (folder / "train/a/more").symlink_to(tmp_path / "elsewhere")
    (folder / "train/a/circle").symlink_to(folder / "train/a")
    (folder / "train/b/broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (folder / "train/b/self.jpg").symlink_to(folder / "train/b/self.jpg")
    items = {item.id: item for item in _open(folder, **SPLITS).splits["train"]}
    assert items["train/a/linked.jpg"].read() == b"far away"
    assert items["train/a/more/far.jpg"].read() == b"far away"
    # Whether broken links can be read is the audit's question.
    assert [name.removeprefix("train/") for name in items] == [
        "a/0.jpg",
        "a/linked.jpg",
        "a/more/far.jpg",
        "b/0.jpg",
        "b/broken.jpg",
        "b/self.jpg",
    ]
    with pytest.raises(FileNotFoundError):
        items["train/b/broken.jpg"].read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_no_image_and_nobody_waits_for_it(make):
    folder = make("train/a", "train/b", "val/a", "val/b")
    os.mkfifo(folder / "train/a/pipe.jpg")
    assert _open(folder, **SPLITS).notes == (
        "passed over 1 file that is no image by name, such as `pipe.jpg`",
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_link_to_a_pipe_or_a_folder_is_no_image(make, tmp_path):
    folder = make("train/a", "train/b", "val/a", "val/b", number=1)
    os.mkfifo(tmp_path / "pipe")
    (folder / "train/a/linked.png").symlink_to(tmp_path / "pipe")
    (folder / "train/b/linked.png").symlink_to(tmp_path / "val")
    dataset = _open(folder, **SPLITS)
    ids = ["train/a/0.jpg", "train/b/0.jpg", "train/b/linked.png/a/0.jpg"]
    assert _ids(dataset)["train"] == [*ids, "train/b/linked.png/b/0.jpg"]
    assert dataset.notes == ("passed over 1 file that is no image by name, such as `linked.png`",)


def test_a_link_to_a_name_that_is_too_long_is_the_audits_question(make):
    folder = make("train/a", "train/b", "val/a", "val/b", number=1)
    (folder / "train/a/long.png").symlink_to("x" * 300)
    assert _ids(_open(folder, **SPLITS))["train"][1] == "train/a/long.png"


def test_a_name_that_is_no_utf_8_can_be_written_into_a_report(make):
    folder = make("train/a", "train/b", "val/a", "val/b", number=1)
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        _write(folder / "train/a" / name)
        _write(folder / "train/a" / os.fsdecode(b"caf\xe9.txt"))
    except OSError:
        pytest.skip("this file system takes no such names")
    dataset = _open(folder, **SPLITS)
    ids = _ids(dataset)["train"]
    assert len(ids) == 3
    assert all(text.encode("utf-8") for text in (*ids, *dataset.notes))


# --- one folder to be split ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "validation", "test", "wanted"),
    [
        (10, 0.2, 0.0, (8, 2, 0)),
        (10, 0.25, 0.1, (7, 2, 1)),
        (100, 0.15, 0.3, (55, 15, 30)),
        (2, 0.01, 0.0, (1, 1, 0)),
        (2, 0.99, 0.0, (1, 1, 0)),
        (3, 0.4, 0.5, (1, 1, 1)),
        (3, 0.2, 0.1, (2, 1, 0)),
    ],
)
def test_each_class_is_split_by_the_fractions(number, validation, test, wanted):
    paths = [f"a/{index}.jpg" for index in range(number)]
    split = split_class(paths, validation_fraction=validation, test_fraction=test, seed=0)
    assert tuple(map(len, split.values())) == wanted
    assert sorted(path for part in split.values() for path in part) == sorted(paths)
    for part in split.values():
        assert part == [path for path in paths if path in part]


def _sides(paths, **changes):
    settings = {"validation_fraction": 0.2, "test_fraction": 0.1, "seed": 0} | changes
    return {p: name for name, part in split_class(paths, **settings).items() for p in part}


def test_one_image_more_moves_at_most_one_other_at_each_border():
    paths = [f"a/{index}.jpg" for index in range(200)]
    before = _sides(paths)
    for number in range(30):
        after = _sides([*paths, f"a/new-{number}.jpg"])
        assert sum(after[path] != side for path, side in before.items()) <= 2


@pytest.mark.parametrize(
    ("side", "fraction"), [("validation", "test_fraction"), ("test", "validation_fraction")]
)
def test_the_fraction_of_one_split_moves_nothing_into_or_out_of_the_other(side, fraction):
    paths = [f"a/{index}.jpg" for index in range(100)]
    held_out = [
        {path for path, found in _sides(paths, **{fraction: share}).items() if found == side}
        for share in (0.1, 0.3, 0.6)
    ]
    assert held_out[0]
    assert held_out[0] == held_out[1] == held_out[2]


def test_the_split_depends_on_its_seed_and_not_on_the_order_or_the_system():
    paths = [f"a/é{index}.jpg" for index in range(100)]
    assert _sides(paths[::-1]) == _sides(paths)
    assert _sides(paths, seed=1) != _sides(paths)
    decomposed = {unicodedata.normalize("NFD", path): path for path in paths}
    assert {decomposed[path]: side for path, side in _sides(list(decomposed)).items()} == _sides(
        paths
    )


def test_a_folder_is_split_class_by_class(make):
    folder = make("photos/a", number=20)
    make("photos/b", number=5)
    dataset = _open(folder, folder="photos", validation_fraction=0.4)
    assert list(dataset.splits) == ["train", "validation"]
    labels = {name: [item.label for item in part] for name, part in dataset.splits.items()}
    assert labels == {"train": [0] * 12 + [1] * 3, "validation": [0] * 8 + [1] * 2}
    ids = _ids(dataset)
    assert sorted(ids["train"] + ids["validation"])[-1] == "b/4.jpg"
    assert not set(ids["train"]) & set(ids["validation"])
    assert _ids(_open(folder, folder="photos", validation_fraction=0.4)) == ids


def test_a_folder_that_was_moved_is_split_the_same(make, tmp_path):
    folder = make("photos/a", "photos/b", number=20)
    before = _ids(_open(folder, folder="photos", test_fraction=0.2))
    (folder / "photos").rename(tmp_path / "moved")
    assert _ids(_open(folder, folder="moved", test_fraction=0.2)) == before
    assert list(before) == ["train", "validation", "test"]


# --- a few images of each class to train on -------------------------------------------------------


def _few(start, shots, **options):
    return _open(start, **{**SPLITS, **options}, shots=shots)


def test_shots_are_so_many_images_of_each_class_in_their_order(make):
    folder = make("train/a", number=20)
    make("train/b", "val/a", "val/b", number=9)
    every, few = _open(folder, **SPLITS), _few(folder, 4)
    assert [item.label for item in few.splits["train"]] == [0] * 4 + [1] * 4
    kept = _ids(few)["train"]
    assert kept == [one for one in _ids(every)["train"] if one in kept]
    assert kept != _ids(every)["train"][:4] + _ids(every)["train"][20:24]
    assert _ids(few)["validation"] == _ids(every)["validation"]
    assert few.notes == ("left out 21 images of train: `shots` takes 4 of each class",)


def test_shots_leave_validation_and_test_of_one_folder_whole(make):
    folder = make("photos/a", "photos/b", number=20)
    options = {"folder": "photos", "test_fraction": 0.2}
    every, few = _open(folder, **options), _open(folder, **options, shots=3)
    assert len(few.splits["train"]) == 6
    assert set(_ids(few)["train"]) < set(_ids(every)["train"])
    assert _ids(few)["validation"] == _ids(every)["validation"]
    assert _ids(few)["test"] == _ids(every)["test"]
    assert few.notes == ("left out 18 images of train: `shots` takes 3 of each class",)


@pytest.mark.parametrize("options", [SPLITS, {"folder": "train"}])
def test_more_shots_contain_the_fewer_ones(make, options):
    folder = make("train/a", "train/b", "val/a", "val/b", number=30)
    for seed in range(3):
        drawn = [
            set(_ids(_open(folder, **options, shots=shots, shots_seed=seed))["train"])
            for shots in (1, 2, 5, 10, 20)
        ]
        assert [len(ids) for ids in drawn] == [2, 4, 10, 20, 40]
        assert all(fewer < more for fewer, more in pairwise(drawn))


def test_another_seed_draws_other_shots(make):
    folder = make("train/a", "train/b", "val/a", "val/b", number=30)
    drawn = {tuple(_ids(_few(folder, 5, shots_seed=seed))["train"]) for seed in range(10)}
    assert len(drawn) == 10


def test_the_shots_have_nothing_to_do_with_the_split(make):
    """With the split's own order, they would be the images that lie next to those held out."""
    folder = make("photos/a", "photos/b", number=200)
    options = {"folder": "photos", "shots": 10}
    drawn = _ids(_open(folder, **options))["train"]
    more_held_out = _ids(_open(folder, **options, validation_fraction=0.3))["train"]
    # Of the 160 of a class that were to train on, 20 are now held out: an eighth of the shots.
    assert len(set(drawn) & set(more_held_out)) >= 14


def test_the_shots_do_not_depend_on_where_the_folders_are_and_what_they_are_called(make, tmp_path):
    folder = make("data/train/a", "data/train/b", "data/val/a", "data/val/b", number=20)
    before = _ids(_open(folder, train="data/train", validation="data/val", shots=5))["train"]
    (tmp_path / "data/train").rename(tmp_path / "learn")
    after = _ids(_open(folder, train="learn", validation="data/val", shots=5))["train"]
    names = [[one.partition("/")[2] for one in ids] for ids in (before, after)]
    assert names[0] == names[1]
    assert before != after


def test_as_many_shots_as_there_are_images_leave_nothing_out(make):
    folder = make("train/a", "train/b", "val/a", "val/b", number=3)
    few = _few(folder, 3)
    assert _ids(few) == _ids(_open(folder, **SPLITS))
    assert few.notes == ()


def test_fewer_images_than_shots_are_an_error_that_names_the_smallest_class(make):
    folder = make("train/a", "val/a", "val/b", "val/c", number=4)
    make("train/b", number=1)
    make("train/c", number=2)
    error = _error(folder, **SPLITS, shots=3)
    assert str(error) == "the class `b` has 1 image to train on, fewer than `shots` 3"
    assert error.hint == "set `data.options.shots` to 1 or less, or add images of the class"
    split = _error(folder, folder="val", shots=4)
    assert "the class `a` has 3 images to train on, fewer than `shots` 4" in str(split)


# --- what can be wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no images are named: give `train` and `validation`, or one `folder`"),
        ({"validation_fraction": 0.1}, "no images are named"),
        ({"train": "a"}, "`validation` is missing beside `train`"),
        ({"test": "a"}, "`train` is missing beside `test`"),
        ({"train": "a", "validation": "b", "folder": "c"}, "`train` and `folder` do not go"),
        ({"train": "a", "validation": "b", "split_seed": 1}, "`train` and `split_seed` do not"),
        ({"folder": "a", "test": "b"}, "`test` and `folder` do not go together"),
        ({"folder": "a", "validation_fraction": 0.6, "test_fraction": 0.4}, "together they are 1"),
        ({"folder": "a", "validation_fraction": 0.0}, "greater than 0"),
        ({"shots": 5}, "no images are named"),
        ({"folder": "a", "shots": 0}, "greater than or equal to 1"),
        ({"folder": ""}, "at least 1 character"),
        ({"folders": "a"}, "Extra inputs are not permitted"),
    ],
)
def test_options_take_exactly_one_of_the_two_forms(options, words):
    with pytest.raises(ValidationError, match=words):
        ImageFolderOptions(**options)


def test_a_missing_folder_is_named_with_the_nearest_there_is(make):
    folder = make("train/a", "train/b", "valid/a", "valid/b")
    error = _error(folder, **SPLITS)
    missing = folder / "val"
    assert str(error) == f"the folder `{missing}` does not exist: there is no `val` in `{folder}`"
    assert error.hint == "did you mean `valid`?"
    deep = _error(folder, train="trian/images", validation="valid")
    assert f"there is no `trian` in `{folder}`" in str(deep)
    assert deep.hint == "did you mean `train`?"


def test_a_file_in_place_of_a_folder_is_an_error(make):
    folder = make("train/a", "train/b")
    _write(folder / "val")
    assert str(_error(folder, **SPLITS)) == (
        f"`{folder / 'val'}` is a file, and a folder with a folder for each class is needed"
    )


def test_a_folder_that_may_not_be_read_is_an_error(make, monkeypatch):
    folder = make("train/a", "train/b", "val/a", "val/b")
    listed = type(folder).iterdir

    def iterdir(path):
        if path.name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(type(folder), "iterdir", iterdir)
    error = _error(folder, **SPLITS)
    assert str(error) == f"`{folder / 'train/b'}` cannot be read (permission denied)"
    assert error.hint


def test_an_empty_folder_is_an_error(make):
    folder = make("train/a", "train/b")
    (folder / "val").mkdir()
    error = _error(folder, **SPLITS)
    assert f"`{folder / 'val'}` holds no folders, and one for each class" in str(error)
    assert error.hint == "put the images of each class into a folder of its own"


def test_a_class_in_place_of_the_folder_of_classes_points_to_the_folder_above(make):
    folder = make("photos/ant", "photos/bee")
    error = _error(folder, folder="photos/ant")
    assert "3 images in" in str(error)
    assert "outside of any class, such as `0.jpg`" in str(error)
    assert error.hint == f"did you mean `{folder / 'photos'}`, which holds `ant`, `bee`?"


def test_images_beside_the_classes_are_an_error(make):
    folder = make("photos/ant", "photos/bee")
    _write(folder / "photos/stray.png")
    error = _error(folder, folder="photos")
    assert f"1 image in `{folder / 'photos'}` lies outside of any class" in str(error)
    assert error.hint == "put every image into a folder that is named for its class"


def test_one_class_only_is_an_error(make):
    folder = make("photos/ant")
    error = _error(folder, folder="photos")
    assert "holds one class only, `ant`, and at least two are needed" in str(error)
    assert error.hint


def test_one_folder_too_high_points_to_the_folder_inside(make):
    folder = make("photos/images/ant", "photos/images/bee")
    error = _error(folder, folder="photos")
    assert error.hint == f"did you mean `{folder / 'photos/images'}`, which holds `ant`, `bee`?"


def test_an_empty_class_is_named(make):
    folder = make("train/a", "train/b", "val/a", "val/b")
    (folder / "train/c").mkdir()
    assert "the class `c` is empty" in str(_error(folder, **SPLITS))
    _write(folder / "train/c/photo.heic")
    assert "holds no images, only files such as `photo.heic`" in str(_error(folder, **SPLITS))


def test_classes_that_differ_between_splits_are_named_on_both_sides(make):
    folder = make("train/a", "train/b", "train/c", "val/a", "val/d")
    error = _error(folder, **SPLITS)
    assert str(error) == (
        "the classes of `train` and `validation` differ: "
        "`validation` has no `b`, `c`; `train` has no `d`"
    )
    assert "the same names" in error.hint


def test_a_folder_that_is_split_already_is_pointed_out(make):
    folder = make("photos/train/a", "photos/train/b", "photos/val/a", "photos/val/b")
    error = _error(folder, folder="photos")
    assert "is split already: it holds `train`, `val`" in str(error)
    inside = folder / "photos"
    assert error.hint == (
        f'instead of `folder`, write "train": "{inside / "train"}", '
        f'"validation": "{inside / "val"}"'
    )


def test_the_same_folder_twice_is_an_error(make):
    folder = make("photos/a", "photos/b")
    (folder / "linked").symlink_to(folder / "photos")
    for other in ("photos", "linked"):
        error = _error(folder, train="photos", validation=other)
        assert "`train` and `validation` are the same folder" in str(error)
    nested = _error(folder, train="photos", validation="photos/a")
    assert "one inside the other" in str(nested)


def test_a_class_with_one_image_cannot_be_split(make):
    folder = make("photos/a", number=4)
    make("photos/b", number=1)
    assert "the class `b` has 1 image only" in str(_error(folder, folder="photos"))


def test_a_test_fraction_that_comes_to_nothing_is_an_error(make):
    folder = make("photos/a", "photos/b")
    error = _error(folder, folder="photos", test_fraction=0.1)
    assert "`test_fraction` 0.1 of the images" in str(error)


def test_the_example_is_a_data_set(tmp_path):
    dataset = _open(tmp_path, **write_example(tmp_path))
    assert dataset.classes == ("dusk", "meadow")
    assert {name: len(items) for name, items in dataset.splits.items()} == {
        "train": 8,
        "validation": 4,
    }
    for path in tmp_path.rglob("*.png"):
        with Image.open(path) as image:
            image.verify()


def test_real_photographs_are_listed(real_data):
    dataset = _open(real_data / "hymenoptera", **SPLITS)
    assert dataset.classes == ("ants", "bees")
    assert {name: len(items) for name, items in dataset.splits.items()} == {
        "train": 244,
        "validation": 153,
    }
