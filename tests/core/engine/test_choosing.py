from dataclasses import replace

import pytest
import torch

from tlf.engine.choosing import Score, Watch, hold_out_selection
from tlf.engine.metrics import Evaluation
from tlf.errors import DataError
from tlf.plugin import Dataset, Item


def dataset(*counts):
    """Return a data set with so many training images of each class, in turn, and two others."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    items = [Item(f"train/{number}", label, bytes) for number, label in enumerate(labels)]
    rest = [Item(f"val/{number}", number, bytes) for number in range(2)]
    names = tuple(f"class {label}" for label in range(len(counts)))
    splits = {"train": items[::2] + items[1::2], "validation": rest}
    return Dataset(names, splits, notes=("a file was passed over",))


def counted(items, classes):
    return [sum(item.label == label for item in items) for label in range(classes)]


@pytest.mark.parametrize(
    ("share", "held"), [(0.2, [2, 1, 1, 0]), (0.5, [5, 2, 1, 0]), (0.99, [9, 4, 1, 0])]
)
def test_a_share_of_each_class_is_held_out_but_never_all_of_one(share, held):
    counts = [10, 5, 2, 1]
    found = hold_out_selection(dataset(*counts), share, seed=3)
    assert counted(found.splits["selection"], 4) == held
    kept = [count - out for count, out in zip(counts, held, strict=True)]
    assert counted(found.splits["train"], 4) == kept


def test_no_image_is_lost_or_doubled_and_the_order_and_the_other_splits_stay():
    whole = dataset(10, 7)
    found = hold_out_selection(whole, 0.3, seed=0)
    before = list(whole.splits["train"])
    kept, held = found.splits["train"], found.splits["selection"]
    assert sorted(before.index(item) for item in [*kept, *held]) == list(range(17))
    assert kept == [item for item in before if item in kept]
    assert held == [item for item in before if item in held]
    assert found.splits["validation"] == whole.splits["validation"]
    assert found.classes == whole.classes


def test_the_seed_draws_which_images_are_held_out():
    def held(seed):
        return [
            one.id for one in hold_out_selection(dataset(50, 50), 0.2, seed).splits["selection"]
        ]

    assert held(1) == held(1)
    assert held(1) != held(2)


def test_a_note_says_how_many_images_are_held_out_and_by_which_field():
    first, note = hold_out_selection(dataset(10, 5), 0.2, seed=0).notes
    assert first == "a file was passed over"
    assert "held out 3 of 15 training images" in note
    assert "`evaluation.selection`" in note


def test_where_every_class_has_one_image_nothing_can_be_chosen_on():
    with pytest.raises(DataError, match="no class has two images") as caught:
        hold_out_selection(dataset(1, 1, 1), 0.2, seed=0)
    assert "test split" in caught.value.hint


def test_groups_are_held_out_as_a_whole_or_not_at_all():
    whole = dataset(40, 24)
    train = [
        replace(item, group=f"series {number % 16}")
        for number, item in enumerate(whole.splits["train"])
    ]
    found = hold_out_selection(
        replace(whole, splits={**whole.splits, "train": train}), 0.25, seed=1
    )
    kept, held = ({one.group for one in found.splits[name]} for name in ("train", "selection"))
    assert kept.isdisjoint(held)
    assert len(kept) == 12
    assert len(held) == 4


def test_where_every_class_has_one_group_nothing_can_be_chosen_on():
    whole = dataset(5, 5)
    train = [replace(item, group=str(item.label)) for item in whole.splits["train"]]
    with pytest.raises(DataError, match="no class has two groups"):
        hold_out_selection(replace(whole, splits={**whole.splits, "train": train}), 0.2, seed=0)


def test_of_images_with_several_labels_each_class_has_its_share_held_out():
    whole = dataset(60, 30)
    train = [
        replace(item, label=((0,), (1,), (0, 1), ())[number % 4])
        for number, item in enumerate(whole.splits["train"])
    ]
    found = hold_out_selection(replace(whole, splits={**whole.splits, "train": train}), 0.2, seed=0)
    held = found.splits["selection"]
    assert [sum(label in one.labels for one in held) for label in (0, 1)] == [9, 9]
    assert len(held) == 18


def test_more_images_right_are_better_and_of_as_many_the_lower_loss():
    scores = [Score(0.5, -0.2), Score(0.6, -5.0), Score(0.5, -9.0), Score(0.4, -0.1)]
    assert [scores.index(score) for score in sorted(scores)] == [3, 2, 0, 1]
    assert not Score(0.5, -0.2) > Score(0.5, -0.2)


def test_a_score_is_the_accuracy_and_the_mean_cross_entropy_of_an_evaluation():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.5, 0.0]])
    labels = torch.tensor([0, 1, 1, 0])
    exponentials = logits.double().exp()
    likelihood = exponentials[range(4), labels] / exponentials.sum(1)
    score = Score.of(Evaluation(logits, labels))
    assert score.value == 0.75
    assert score.gain == pytest.approx(float(likelihood.log().mean()))
    assert score.as_json() == {"accuracy": 0.75, "loss": -score.gain}


class Weights:
    """Weights that are named after the epoch after which they are taken."""

    def __init__(self):
        self.now = "before"
        self.taken = []

    def take(self):
        self.taken.append(self.now)
        return self.now


def watched(accuracies, *, before=0.5, patience=None, undo=False):
    """Return a watch after epochs of such accuracies, and after which of them it was over."""
    weights = Weights()
    watch = Watch(weights.take, patience, undo, Score(before, 0.0))
    over = []
    for epoch, accuracy in enumerate(accuracies, start=11):
        weights.now = epoch
        watch.look(Score(accuracy, 0.0), epoch)
        if watch.over:
            over.append(epoch)
    return watch, over


def test_the_weights_of_the_best_epoch_are_kept():
    watch, over = watched([0.6, 0.9, 0.7])
    assert (watch.epoch, watch.state, watch.best) == (12, 12, Score(0.9, 0.0))
    assert watch.went_past
    assert over == []
    assert watch.as_json() == {
        "before": {"accuracy": 0.5, "loss": 0.0},
        "best": {"accuracy": 0.9, "loss": 0.0},
        "best_epoch": 12,
        "undone": False,
    }


def test_a_step_whose_last_epoch_is_the_best_has_nothing_to_go_back_to():
    assert not watched([0.6, 0.9])[0].went_past
    assert not watched([0.6, 0.9], undo=True)[0].went_past


def test_a_later_epoch_that_is_as_good_does_not_replace_the_best():
    watch, _ = watched([0.6, 0.9, 0.9])
    assert (watch.epoch, watch.state) == (12, 12)
    assert watched([0.5, 0.5], undo=True)[0].epoch is None


@pytest.mark.parametrize(
    ("patience", "accuracies", "over"),
    [
        (1, [0.6, 0.7, 0.7], [13]),
        (2, [0.6, 0.5, 0.7, 0.6, 0.6], [15]),
        (2, [0.6, 0.5, 0.7, 0.6, 0.8], []),
        (3, [0.6, 0.6, 0.6, 0.6], [14]),
        (None, [0.6, 0.5, 0.4, 0.3], []),
    ],
)
@pytest.mark.parametrize("undo", [False, True])
def test_a_step_is_over_after_as_many_epochs_without_a_gain_as_its_patience(
    patience, accuracies, over, undo
):
    assert watched(accuracies, patience=patience, undo=undo)[1] == over


def test_without_a_gain_over_what_was_before_that_is_the_best_if_it_is_to_be_put_back():
    watch, over = watched([0.4, 0.5, 0.3], patience=3, undo=True)
    assert (watch.epoch, watch.state) == (None, "before")
    assert watch.went_past
    assert over == [13]
    assert watch.as_json()["undone"]
    assert watch.as_json()["best"] == watch.as_json()["before"]


def test_what_was_before_is_not_kept_if_it_counts_for_nothing():
    watch, _ = watched([0.3, 0.4, 0.2], before=0.9)
    assert (watch.epoch, watch.state) == (12, 12)
    assert not watch.as_json()["undone"]
    assert watch.as_json()["before"]["accuracy"] == 0.9


def test_a_step_that_is_kept_does_not_lose_patience_over_what_was_before_it():
    assert watched([0.3, 0.4], patience=1)[1] == []
    assert watched([0.3, 0.4], patience=1, undo=True)[1][0] == 11
