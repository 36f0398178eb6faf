"""What blocks is named, given up after a while, and never waited for in silence."""

import signal
import threading

import pytest

from tlf.data import (
    batch_order,
    load_dataset,
    load_views,
    patience,
    read_headers,
    train_batches,
)
from tlf.data.patience import Patience
from tlf.data.threads import Threads
from tlf.errors import DataError
from tlf.plugin import Dataset, Item


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look a thousand times a second, and call three looks long."""
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(patience, "SLOW_SECONDS", 0.003)


@pytest.fixture
def gate():
    """What blocks the reading of an item; open at the end, so that no thread stays behind."""
    event = threading.Event()
    yield event
    event.set()


class Blocked:
    """Reads as another item does, once a gate is open."""

    def __init__(self, read, gate):
        self.read = read
        self.gate = gate

    def __call__(self):
        assert self.gate.wait(20)
        return self.read()


@pytest.fixture
def block(gate, monkeypatch):
    """Return a function: a data set in which the gate blocks the reading of items.

    Looks count only while nothing but those that block at once is being read: on a busy machine, any
    other item may take a while too.
    """

    def make(dataset, *ids, at_once=None):
        look = Patience._look

        def looked(self):
            if {entry.name for entry in self._readings} == set(at_once or ids):
                look(self)

        monkeypatch.setattr(Patience, "_look", looked)
        splits = {
            name: [
                Item(item.id, item.label, Blocked(item.read, gate), item.path)
                if item.id in ids
                else item
                for item in items
            ]
            for name, items in dataset.splits.items()
        }
        return Dataset(dataset.classes, splits)

    return make


def _load(dataset, transform, **options):
    settings = {"unreadable": "error", "workers": 2, "timeout_seconds": 0.01}
    return load_dataset(dataset, transform, **(settings | options))


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("policy", ["error", "skip-and-report"])
def test_an_item_that_is_never_read_ends_the_reading_and_is_named(
    make_dataset, transform, block, workers, policy
):
    dataset = block(make_dataset(), "train/04.png")
    with pytest.raises(DataError) as caught:
        _load(dataset, transform, workers=workers, unreadable=policy)
    assert str(caught.value) == "`train/04.png` is still being read after 0.01 s"
    assert "`data.timeout_seconds`" in caught.value.hint


def test_all_that_block_are_named_and_those_behind_them_are_not(make_dataset, transform, block):
    ids = ["train/04.png", "train/05.png", "train/07.png"]
    dataset = block(make_dataset(), *ids, at_once=ids[:2])
    with pytest.raises(DataError) as caught:
        _load(dataset, transform, workers=2)
    assert str(caught.value).splitlines() == [
        "2 images are still being read after 0.01 s",
        "  `train/04.png`",
        "  `train/05.png`",
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_item_that_takes_long_is_told_of_once_and_then_used(
    make_dataset, transform, block, gate, workers, monkeypatch
):
    dataset = block(make_dataset(), "train/04.png")
    looks = []
    look = Patience._look

    def counted(self):
        look(self)
        looks.append(self)
        if len(looks) > 20 and heard:
            gate.set()

    monkeypatch.setattr(Patience, "_look", counted)
    heard = []
    loaded = _load(dataset, transform, workers=workers, timeout_seconds=None, warn=heard.append)
    assert heard == ["still reading `train/04.png` after 0.003 s"]
    assert len(loaded.splits["train"]) == 12


def test_nobody_is_told_of_items_that_are_read_at_once(make_dataset, transform, monkeypatch):
    monkeypatch.setattr(patience, "SLOW_SECONDS", 60.0)
    heard = []
    _load(make_dataset(train=200), transform, timeout_seconds=600.0, warn=heard.append)
    assert heard == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_item_that_blocks_in_a_later_epoch_is_named_too(
    make_dataset, transform, block, gate, workers
):
    dataset = block(make_dataset(), "train/04.png")
    gate.set()
    heard = []
    loaded = _load(dataset, transform, workers=workers, timeout_seconds=0.02, warn=heard.append)
    gate.clear()

    def fetch(split, indices, views):
        return load_views(split, transform, indices, views, 0)

    split = loaded.splits["train"]
    order = batch_order(len(split), 4, seed=0, epoch=0)
    epoch = train_batches(split, fetch, order, views="none", seed=0, epoch=0)
    with pytest.raises(DataError, match=r"`train/04.png` is still being read after 0.02 s"):
        list(epoch)
    assert heard == ["still reading `train/04.png` after 0.003 s"]


def test_an_item_whose_header_blocks_is_named(gate, monkeypatch):
    monkeypatch.setattr(Patience.__init__, "__defaults__", (0.02, None))
    with pytest.raises(DataError, match=r"`a.png` is still being read"):
        read_headers([Item("a.png", 0, Blocked(bytes, gate))])


def test_ctrl_c_works_while_an_item_blocks(make_dataset, transform, block, monkeypatch):
    dataset = block(make_dataset(), "train/04.png")

    def interrupted(self):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Patience, "_look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _load(dataset, transform, timeout_seconds=None)


def test_what_counts_is_how_long_somebody_waits_and_not_the_clock():
    # A computer that was asleep finds its clock hours later, and is in the middle of an image.
    waiting = Patience(timeout_seconds=0.01)
    with waiting.reading("a.png"):
        for _ in range(9):
            waiting._look()
        with pytest.raises(DataError, match=r"`a.png` is still being read"):
            waiting._look()
    with waiting.reading("a.png"):
        waiting._look()


def test_a_time_out_that_reading_itself_raises_is_the_items_own(make_dataset, transform):
    dataset = make_dataset(spoilt={"train/01.png": TimeoutError(110, "Connection timed out")})
    loaded = _load(dataset, transform, unreadable="skip-and-report", timeout_seconds=None)
    assert [(one.id, one.reason) for one in loaded.skipped] == [
        ("train/01.png", "connection timed out")
    ]


def test_a_time_out_that_the_work_itself_raises_is_raised():
    threads = Threads(1)

    def fail():
        raise TimeoutError("no answer")

    with pytest.raises(TimeoutError, match="no answer"):
        Patience().result(threads.submit(fail))
