"""The data source `csv`: what it makes of tables, and what it says of those that are wrong."""

import pytest

from tlf.errors import DataError
from tlf_builtin.csv_images.options import CsvOptions
from tlf_builtin.csv_images.source import CsvImages


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a table, and an empty file for each image that it names."""

    def make(text, images=None, name="labels.csv", encoding="utf-8"):
        file = tmp_path / name
        file.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        if images is None:
            rows = text.replace("\t", ",").replace(";", ",").splitlines()[1:]
            images = [row.split(",")[0].strip().strip('"') for row in rows]
        for image in filter(None, images):
            place = tmp_path / image
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"")
        return file

    return make


def opened(file, **options):
    return CsvImages(CsvOptions(file=file.name, **options), file.parent).open()


def refused(file, **options):
    with pytest.raises(DataError) as caught:
        opened(file, **options)
    return caught.value


def shown(dataset):
    """Return ids and names of classes by split."""
    return {
        split: [
            (
                one.id,
                *(dataset.classes[label] for label in one.labels),
                *([one.group] * bool(one.group)),
            )
            for one in items
        ]
        for split, items in dataset.splits.items()
    }


SPLIT = "path,label,split\na.png,cat,train\nb.png,dog,train\nc.png,cat,val\nd.png,dog,Test\n"


def test_a_table_gives_paths_classes_and_splits(write):
    dataset = opened(write(SPLIT))
    assert dataset.classes == ("cat", "dog")
    assert dataset.task == "single-label"
    assert shown(dataset) == {
        "train": [("a.png", "cat"), ("b.png", "dog")],
        "validation": [("c.png", "cat")],
        "test": [("d.png", "dog")],
    }
    assert dataset.splits["train"][0].path.name == "a.png"


@pytest.mark.parametrize(
    ("change", "encoding"),
    [
        (lambda text: text, "utf-8-sig"),
        (lambda text: text.replace(",", ";"), "utf-8"),
        (lambda text: text.replace(",", "\t"), "utf-8"),
        (lambda text: text.replace(",", "\t"), "utf-16"),
        (lambda text: text.replace("\n", "\r\n"), "utf-8"),
        (lambda text: text.replace("\n", "\r"), "utf-8"),
        (lambda text: text.replace(",", " , "), "utf-8"),
        (lambda text: text.replace("\n", "\n\n"), "utf-8"),
        (lambda text: '"' + text.replace(",", '","').replace("\n", '"\n"').rstrip('"'), "utf-8"),
    ],
)
def test_whatever_spreadsheets_write_is_the_same_table(write, change, encoding):
    expected = shown(opened(write(SPLIT)))
    assert shown(opened(write(change(SPLIT), [], encoding=encoding))) == expected


def test_several_classes_stand_in_one_cell_and_none_is_an_answer(write):
    text = "path,labels,split\n1.png,dog; cat,train\n2.png,,train\n3.png,cat;cat,val\n"
    dataset = opened(write(text))
    assert dataset.task == "multi-label"
    assert [item.label for item in dataset.splits["train"]] == [(0, 1), ()]
    assert [item.label for item in dataset.splits["validation"]] == [(0,)]


def test_columns_separator_classes_and_folder_of_the_images_can_be_named(write):
    text = "file;what;who\n1.png;sea|sky;p1\n2.png;sky;p2\n../3.png;sea;p3\n"
    file = write(text, ["photos/1.png", "photos/2.png", "3.png"])
    dataset = opened(
        file,
        images="photos",
        path="file",
        labels="what",
        separator="|",
        group="who",
        classes=("sky", "sea"),
        validation_share=0.4,
    )
    assert dataset.classes == ("sky", "sea")
    items = [item for split in dataset.splits.values() for item in split]
    found = {item.id: (item.labels, item.group) for item in items}
    assert found == {"1.png": ((0, 1), "p1"), "2.png": ((0,), "p2"), "../3.png": ((1,), "p3")}


def table(count, groups=None):
    rows = [f"{n:03d}.png,{'cat' if n % 4 else 'dog'}" for n in range(count)]
    if groups:
        rows = [f"{row},{n // groups}" for n, row in enumerate(rows)]
    return "\n".join(["path,label" + (",group" if groups else ""), *rows]) + "\n"


def test_without_a_split_column_each_class_is_split_by_seed(write):
    file = write(table(80))
    dataset = opened(file, validation_share=0.25, test_share=0.1)
    counts = {
        split: [sum(item.label == label for item in items) for label in (0, 1)]
        for split, items in dataset.splits.items()
    }
    assert counts == {"train": [39, 13], "validation": [15, 5], "test": [6, 2]}
    again = opened(file, validation_share=0.25, test_share=0.1)
    assert shown(again) == shown(dataset)
    other = opened(file, validation_share=0.25, test_share=0.1, split_seed=1)
    assert shown(other) != shown(dataset)


def test_the_order_of_the_rows_draws_nothing(write):
    header, *rows = table(40).splitlines()
    first = shown(opened(write(table(40))))
    second = shown(opened(write("\n".join([header, *rows[::-1]]) + "\n")))
    assert {split: sorted(items) for split, items in second.items()} == first


def test_a_group_is_in_one_split_however_it_is_drawn(write):
    dataset = opened(write(table(80, groups=5)), validation_share=0.25, test_share=0.2)
    groups = [{item.group for item in items} for items in dataset.splits.values()]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 16


def test_a_table_without_validation_has_it_held_out_of_train(write):
    rows = "".join(f"{n}.png,{'ab'[n % 2]},{'test' if n < 4 else 'train'}\n" for n in range(24))
    dataset = opened(write(f"path,label,split\n{rows}"))
    assert {name: len(items) for name, items in dataset.splits.items()} == {
        "train": 16,
        "validation": 4,
        "test": 4,
    }
    assert dataset.notes == ("of train, 20% of each class is held out to validate on",)


def test_classes_that_are_numbers_are_sorted_as_numbers(write):
    rows = "".join(f"{n}.png,{n % 11},{'val' if n < 11 else 'train'}\n" for n in range(22))
    assert opened(write(f"path,label,split\n{rows}")).classes == tuple(map(str, range(11)))


def test_a_name_that_would_break_a_line_is_written_out(write):
    text = "path,label,split\na.png,big\x1bcat,train\nb.png,dog,train\nc.png,dog,val\n"
    assert opened(write(text)).classes == ("big\\x1bcat", "dog")


def test_all_rows_that_are_wrong_are_told_at_once_with_their_lines(write, tmp_path):
    text = (
        "path,label,split,group\n"
        "a.png,cat,train,p1\n"
        "b.png,cat\n"
        ",cat,train,\n"
        "gone.png,dog,train,p2\n"
        "\n"
        "c.png,,tain,\n"
        "a.png,dog,val,p3\n"
        'd.png,"two\n'
        "e.png,dog,val,p1\n"
    )
    error = refused(write(text, ["a.png", "c.png", "e.png", "gone2.png"]), classes=("cat", "dog"))
    lines = error.message.splitlines()
    assert lines[0].startswith("7 rows are wrong in `")
    assert [line.strip() for line in lines[1:]] == [
        "line 3: it has 2 cells, and the header 4",
        "line 4: no path",
        f"line 5: there is no `gone.png` in `{tmp_path}`; did you mean `gone2.png`?",
        "line 7: no label; `tain` is no split; did you mean `train`?",
        "line 8: `a.png` is in line 2 already",
        "line 9: its quotes do not end on the line; a cell must not hold a line break",
        "line 10: the group `p1` is in `validation` here, and in `train` in line 2",
    ]
    assert "relative paths start at the table's folder" in error.hint


def test_of_many_wrong_rows_twenty_are_named(write):
    text = "path,label\n" + "".join(f"{n}.png,cat\n" for n in range(30))
    lines = refused(write(text, [])).message.splitlines()
    assert lines[0].startswith("30 rows are wrong")
    assert len(lines) == 22
    assert lines[-1] == "  and 10 more"


def test_a_class_that_is_none_of_those_named_is_near_one(write):
    error = refused(write(SPLIT.replace("c.png,cat", "c.png,catt")), classes=("cat", "dog"))
    assert "line 4: `catt` is none of the `classes`; did you mean `cat`?" in error.message


@pytest.mark.parametrize(
    ("text", "options", "words", "hint"),
    [
        ("", {}, "is empty", "path,label"),
        ("path,label\n", {}, "a header and no row", "a row for each image"),
        ("pat,label\na,b\n", {}, r"no column `path`; its header is `pat`, `label`", "`pat`"),
        ("filename,label\na,b\n", {}, "no column `path`", '"path": "filename"'),
        ("path,category\na,b\n", {}, "no column `label`", '"label": "category"'),
        ("path,label\na,b\n", {"split": "subset"}, "no column `subset`", "data.options.split"),
        ("path,label,labels\na,b,c\n", {}, "it is not clear", '"labels": "labels"'),
        ("path,label,path\na,b,c\n", {}, "the column `path` twice", "rename"),
        ("path,label\na,b\n", {"group": "label"}, "`label` is named for two things", "its own"),
        ("path,label\na,cat\nb,cat\n", {}, "has 1 class only, `cat`", "at least|label"),
        ("path,labels\na,\nb,\n", {}, "has no class at all", "label"),
        (b"path,label\ncaf\xe9.png,b\n", {}, "no UTF-8: line 2 holds the byte `0xe9`", "UTF-8"),
        (b"path,label\na\0,b\n", {}, "is no table of text", "CSV"),
        ('"path,label\na,b\n', {}, "header of .* cannot be read: its quotes", "columns"),
        (SPLIT, {"validation_share": 0.3}, "`validation_share` draws what", "leave"),
        (SPLIT, {"test_share": 0.3}, "`test_share` draws what", "leave"),
        (SPLIT.replace("train", "test"), {}, "no row of .* is in the split `train`", "train"),
        (SPLIT.replace("b.png,dog", "b.png,cat"), {}, "no image to train on of `dog`", "rows"),
        (
            "path,label,group\na,x,g\nb,y,g\n",
            {},
            "no image .* left for the split `validation`",
            "group",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_said_so(write, text, options, words, hint):
    images = ["a", "b", "a.png", "b.png", "c.png", "d.png"]
    with pytest.raises(DataError, match=words) as caught:
        opened(write(text, images), **options)
    assert hint.split("|")[-1] in caught.value.hint


def test_a_table_that_is_not_there_is_named(tmp_path):
    error = refused(tmp_path / "labels.csv")
    assert "labels.csv` cannot be read (no such file or directory)" in error.message


@pytest.mark.parametrize(
    "options",
    [
        {"label": "a", "labels": "b"},
        {"validation_share": 0.6, "test_share": 0.4},
        {"classes": ["a", "a"]},
        {"separator": ""},
    ],
)
def test_options_that_contradict_each_other_are_refused(options):
    with pytest.raises(ValueError, match=r"label|share|classes|separator"):
        CsvOptions(file="labels.csv", **options)


def recognised(folder):
    found = CsvImages.recognise(folder)
    if found is not None:
        assert CsvImages(CsvOptions(**found), folder.parent).open().splits["train"]
    return found


def test_a_folder_with_one_table_of_images_is_recognised(write, tmp_path):
    file = write(table(10))
    (tmp_path / "prices.csv").write_text("item,price\ntea,3\n")
    assert recognised(tmp_path) == {"file": str(file)}


def test_columns_of_other_names_and_images_in_a_folder_are_recognised(write, tmp_path):
    text = "Image Index,Finding Labels\n" + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(8))
    file = write(text, [f"images/{n}.png" for n in range(8)], name="entries.CSV")
    assert recognised(tmp_path) == {
        "file": str(file),
        "path": "Image Index",
        "labels": "Finding Labels",
        "images": str(tmp_path / "images"),
    }


def test_two_tables_or_none_are_nothing_to_recognise(write, tmp_path):
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    assert recognised(tmp_path) is None
    write(table(4))
    write(table(4), name="more.csv")
    assert recognised(tmp_path) is None


def test_a_table_whose_images_are_elsewhere_is_said_so(write, tmp_path):
    write(table(4), ["far/away/000.png"])
    with pytest.raises(DataError, match=r"`000.png`, is not there") as caught:
        CsvImages.recognise(tmp_path)
    assert "data.options.images" in caught.value.hint
