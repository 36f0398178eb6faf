"""Data sources that break a promise, each caught and told what to change."""

import os
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tlf.plugin import Dataset, Item
from tlf.testing import ContractError
from tlf.testing.data_sources import (
    CHECKS,
    check_errors_name_the_item,
    check_groups_stay_together,
    check_items_can_be_read_anywhere,
    check_labels_name_classes,
    check_order_is_stable,
    check_recognises_what_it_can_read,
    check_splits_are_disjoint,
)
from tlf.testing.toys import ToySource, read_pixels, write_images

from .saboteurs import Saboteur


def splitting(name, split):
    """Return a source that opens what a function makes of a healthy one's splits."""

    def open_it(self):
        healthy = ToySource.open(self)
        return Dataset(self.classes, split(dict(healthy.splits)))

    return type(name, (ToySource,), {"open": open_it})


def opening(name, make):
    return type(name, (ToySource,), {"open": make})


def labelled(name, label, classes=ToySource.classes):
    """Return a source whose labels are a function of the healthy ones."""

    def item(self, split, path):
        healthy = ToySource.item(self, split, path)
        return Item(healthy.id, label(healthy.label), healthy.read)

    return type(name, (ToySource,), {"item": item, "classes": classes})


def tagged(name, labels, task="multi-label"):
    """Return a source of a task, whose labels are a function of the healthy ones."""

    def open_it(self):
        return replace(ToySource.open(self), task=task)

    def item(self, split, path):
        healthy = ToySource.item(self, split, path)
        return replace(healthy, label=labels(healthy.label))

    return type(name, (ToySource,), {"open": open_it, "item": item})


def grouped(name, group):
    """Return a source whose items are of groups that follow from their ids."""

    def item(self, split, path):
        healthy = ToySource.item(self, split, path)
        return replace(healthy, group=group(healthy.id))

    return type(name, (ToySource,), {"item": item})


def reading(name, content):
    """Return a source whose items read as something else."""
    return type(name, (ToySource,), {"read": lambda self, path: Constant(content)})


class Constant:
    def __init__(self, content):
        self.content = content

    def __call__(self):
        return self.content


class Unsorted(ToySource):
    def paths(self, folder):
        return list(folder.iterdir())


class UnsortedWalk(ToySource):
    def paths(self, folder):
        with os.scandir(folder) as entries:
            return [folder / entry.name for entry in entries]


class NewIds(ToySource):
    def item(self, split, path):
        return Item(uuid.uuid4().hex, int(path.name[0]), self.read(path))


class Turning(ToySource):
    """Gives the classes other numbers each time."""

    opened = 0

    def open(self):
        Turning.opened += 1
        return super().open()

    def item(self, split, path):
        label = (int(path.name[0]) + self.opened) % 2
        return Item(f"{split}/{path.name}", label, self.read(path))


class Unpicklable(ToySource):
    def read(self, path):
        return lambda: read_pixels(path)


class Gone(ToySource):
    def read(self, path):
        return (path / "gone").read_bytes


class NotThere(ToySource):
    def paths(self, folder):
        return sorted((folder / "images").iterdir())


def write_nothing(folder):
    write_images(folder)


def write_wrong_options(folder):
    return {"colour": "red"}


def write_with_error(folder):
    raise OSError("disk full")


def recognising(name, recognise):
    """Return a source that recognises every folder, or says what it must not."""
    return type(name, (ToySource,), {"recognise": staticmethod(recognise)})


def if_full(value):
    return lambda folder: value if any(folder.iterdir()) else None


def fail(folder):
    raise KeyError(folder)


SPLITS, LABELS = check_splits_are_disjoint, check_labels_name_classes
GROUPS = check_groups_stay_together
RECOGNISE = check_recognises_what_it_can_read
ORDER, READ = check_order_is_stable, check_items_can_be_read_anywhere
PIXELS = np.zeros((4, 4, 3), np.uint8)


def losing(name, lose):
    """Return a source that does something of its own about a file that is gone."""

    def read(self, path):
        return Losing(path, lose)

    return type(name, (ToySource,), {"read": read})


class Losing:
    def __init__(self, path, lose):
        self.path, self.lose = path, lose

    def __call__(self):
        return read_pixels(self.path) if self.path.exists() else self.lose(self.path)


def mutter(path):
    raise ValueError("it cannot be read")


def paint_it_black(path):
    return np.zeros((8, 8, 3), np.uint8)


SABOTEURS = (
    Saboteur(
        check_errors_name_the_item,
        losing("Muttering", mutter),
        r"must name the item, and for `train/0-0.png`.* ValueError: it cannot be read",
    ),
    Saboteur(
        check_errors_name_the_item,
        losing("Painting", paint_it_black),
        "must raise an error, and gives something else",
    ),
    Saboteur(
        SPLITS,
        splitting("train_only", lambda splits: {"train": splits["train"]}),
        r"must have items in `train` and in `validation`, not only in \['train'\]",
    ),
    Saboteur(
        SPLITS,
        splitting("empty_validation", lambda splits: {**splits, "validation": []}),
        "must have items in `train` and in `validation`",
    ),
    Saboteur(
        SPLITS,
        splitting("shared", lambda splits: {**splits, "test": splits["train"][:1]}),
        r"unique over all splits, and \['train/0-0.png'\] are not",
    ),
    Saboteur(
        SPLITS,
        splitting("pairs", lambda splits: {**splits, "test": [("a.png", 0)]}),
        r"must hold `Item` values .*not \('a.png', 0\)",
    ),
    Saboteur(
        SPLITS,
        splitting("numbers", lambda splits: {**splits, "test": [Item(7, 0, Constant(PIXELS))]}),
        "a text as `id`",
    ),
    Saboteur(SPLITS, splitting("listed", list), "must give a list of items to each split"),
    Saboteur(SPLITS, opening("mapping", lambda self: {}), "must return a `Dataset`, not {}"),
    Saboteur(SPLITS, NotThere, "`open` of the example data set must not fail.*FileNotFoundError"),
    Saboteur(SPLITS, list, "must be a subclass of `tlf.plugin.DataSource`"),
    Saboteur(SPLITS, None, "must return the options .*, not None", {"write": write_nothing}),
    Saboteur(SPLITS, None, "`colour` is no known key", {"write": write_wrong_options}),
    Saboteur(SPLITS, None, "`example_files`.*disk full", {"write": write_with_error}),
    Saboteur(SPLITS, None, "`example_files`.*not there", {"example_files": "tlf_toy:wrote"}),
    Saboteur(LABELS, labelled("one_class", lambda _: 0, ("dark",)), "two classes or more, not 1"),
    Saboteur(LABELS, labelled("same_names", int, ("a", "a")), "class names must be unique"),
    Saboteur(LABELS, labelled("number_names", int, (0, 1)), r"tuple of names, not \(0, 1\)"),
    Saboteur(
        LABELS, labelled("from_one", lambda label: label + 1), "from 0 to 1, not 2 as that of"
    ),
    Saboteur(LABELS, labelled("words", str), "labels must be of type `int`.*, not '0'"),
    Saboteur(LABELS, labelled("numpy", np.int64), "labels must be of type `int`"),
    Saboteur(
        LABELS,
        labelled("absent", int, (*ToySource.classes, "green")),
        r"every class needs an item in `train`, and \['green'\] have none",
    ),
    Saboteur(LABELS, tagged("misspelt", int, "multilabel"), "`task` must be .*not 'multilabel'"),
    Saboteur(LABELS, tagged("scalar", int), "must be of type `tuple` in a multi-label data set"),
    Saboteur(
        LABELS,
        tagged("tuples", lambda label: (label,), "single-label"),
        r"of type `int` in a single-label data set, not \(0,\)",
    ),
    Saboteur(LABELS, tagged("falling", lambda _: (1, 0)), r"rise, unlike \(1, 0\)"),
    Saboteur(LABELS, tagged("twice", lambda label: (label, label)), "each there once"),
    Saboteur(LABELS, tagged("beyond", lambda _: (0, 2)), r"from 0 to 1, not \(0, 2\)"),
    Saboteur(LABELS, tagged("never", lambda _: (0,)), "every class needs an item in `train`"),
    Saboteur(
        GROUPS,
        grouped("torn", lambda _: "patient 7"),
        "`patient 7` is in `train` and in `validation`",
    ),
    Saboteur(GROUPS, grouped("numbered", lambda _: 7), "`group` must be a text or None, not 7"),
    Saboteur(GROUPS, grouped("nameless", lambda _: ""), "`group` must be a text or None, not ''"),
    Saboteur(ORDER, grouped("drawn", lambda _: uuid.uuid4().hex), "groups or their order differ"),
    Saboteur(ORDER, Unsorted, "sort what you list"),
    Saboteur(ORDER, UnsortedWalk, "sort what you list"),
    Saboteur(ORDER, NewIds, "draw nothing without a seed"),
    Saboteur(ORDER, Turning, "opened twice, `classes`, ids, labels, groups or their order differ"),
    Saboteur(
        RECOGNISE, recognising("greedy", lambda _: {}), "empty folder must return None, not {}"
    ),
    Saboteur(RECOGNISE, recognising("failing", fail), "of an empty folder must not fail.*KeyError"),
    Saboteur(RECOGNISE, recognising("list", if_full(["a"])), "a mapping of options or None"),
    Saboteur(RECOGNISE, recognising("path", if_full({"width": Path()})), "as JSON must not fail"),
    Saboteur(RECOGNISE, recognising("slip", if_full({"hight": 1})), "`hight` is no known key"),
    Saboteur(RECOGNISE, recognising("relative", if_full({"width": 1})), "`open` .* must not fail"),
    Saboteur(READ, reading("text", "pixels"), "must return the bytes .*not a str"),
    Saboteur(READ, reading("nothing", None), "must return the bytes .*not a NoneType"),
    Saboteur(READ, reading("floats", PIXELS / 255), "uint8 array .*not a ndarray float64"),
    Saboteur(READ, reading("alpha", PIXELS.repeat(2, 2)), r"or \(H, W, 3\), .*\(4, 4, 6\)"),
    Saboteur(READ, reading("no_image", b"GIF, not really"), "opening them as an image must not"),
    Saboteur(READ, Unpicklable, "cannot be sent to another process.*`functools.partial`"),
    Saboteur(READ, Gone, "`read` of `train/0-0.png` must not fail"),
)


@pytest.mark.parametrize("check", CHECKS)
def test_a_data_source_that_keeps_its_promises_passes(check, declare):
    check(declare("data-source"))


@pytest.mark.parametrize("check", CHECKS)
def test_so_does_one_of_several_labels_and_of_groups(check, declare):
    class Several(tagged("Several", lambda label: (0, 1) if label else (0,))):
        def item(self, split, path):
            return replace(super().item(split, path), group=f"{split} {path.name[0]}")

    check(declare("data-source", Several))


def test_a_data_source_may_give_the_files_themselves(declare):
    class Files(ToySource):
        def read(self, path):
            return path.read_bytes

    check_items_can_be_read_anywhere(declare("data-source", Files))


@pytest.mark.parametrize("saboteur", SABOTEURS, ids=str)
def test_a_data_source_that_breaks_a_promise_is_told_what_to_change(saboteur, declare):
    entry = declare("data-source", saboteur.target, **saboteur.declared)
    with pytest.raises(ContractError, match=saboteur.words):
        saboteur.check(entry)


def test_the_example_is_written_into_an_empty_folder_each_time(declare):
    def write(folder):
        assert list(folder.iterdir()) == []
        return write_images(folder)

    for check in CHECKS:
        check(declare("data-source", write=write))
