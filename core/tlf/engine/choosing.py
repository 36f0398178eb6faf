"""Choosing among weights: on which images, what is better, and when a step gets no better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tlf.engine.metrics import METRICS, Evaluation, measure
from tlf.engine.solve import hold_out_items
from tlf.errors import DataError

if TYPE_CHECKING:
    from tlf.engine.snapshots import Snapshot
    from tlf.plugin import Dataset

#: The split that is held out of train to choose on.
SELECTION = "selection"


def hold_out_selection(dataset: Dataset, share: float, seed: int) -> Dataset:
    """Return a data set in which a share of each class of train is held out to choose on.

    Args:
        dataset: Has no test split.
        share: Of each class, in (0, 1). Of a class of one image, or one group of them, nothing.
        seed: Draws which.

    Raises:
        DataError: Every class has but one image.
    """
    train = dataset.splits["train"]
    rest, held = hold_out_items(train, share=share, seed=seed)
    if not len(held):
        grouped = any(item.group is not None for item in train)
        raise DataError(
            "the strategy chooses among trained weights, and there is nothing to choose on: no class "
            f"has two {'groups' if grouped else 'images'}, of which one could be held out of train",
            hint="add images, or a test split, or take a strategy that chooses nothing",
        )
    splits = {
        "train": [train[index] for index in rest.tolist()],
        **{name: items for name, items in dataset.splits.items() if name != "train"},
        SELECTION: [train[index] for index in held.tolist()],
    }
    note = (
        f"held out {len(held)} of {len(train)} training images, which the strategy chooses on "
        "(`evaluation.selection`)"
    )
    return replace(dataset, splits=splits, notes=(*dataset.notes, note))


@dataclass(frozen=True, order=True)
class Score:
    """How good weights are: more images right, or as many at a lower loss.

    Attributes:
        value: Accuracy, or of multi-label data the mean average precision; in [0, 1].
        gain: The loss, negative: mean cross-entropy in nats.
        metric: What the value is.
    """

    value: float
    gain: float
    metric: str = field(default="accuracy", compare=False)

    @classmethod
    def of(cls, evaluation: Evaluation) -> Score:
        """Return the score of what a network said about images.

        Args:
            evaluation: Of at least one image.
        """
        metric = METRICS[evaluation.task][0]
        found = measure(evaluation, (metric,))
        # Where no image shows any class, the loss alone says what is better.
        return cls(found.get(metric, 0.0), -found["loss"], metric)

    def as_json(self) -> dict[str, float]:
        """Return it as reports hold it."""
        return {self.metric: self.value, "loss": -self.gain}


@dataclass(frozen=True)
class Best:
    """The best weights that a run has come to at the end of a step.

    Attributes:
        score: On the images to choose on.
        step: Name of the step.
        epochs: How many epochs of the run were done by then.
        state: The weights of everything that any step changes.
    """

    score: Score
    step: str
    epochs: int
    state: Snapshot

    def as_json(self) -> dict[str, Any]:
        """Return what the report holds of it."""
        return {"step": self.step, "epochs": self.epochs, "selection": self.score.as_json()}

    def facts(self) -> dict[str, Any]:
        """Return it without the weights, as checkpoints hold it."""
        return {"score": vars(self.score), "step": self.step, "epochs": self.epochs}

    @classmethod
    def of(cls, facts: Mapping[str, Any], state: Snapshot) -> Best:
        """Return what `facts` was made of.

        Args:
            facts: What `facts` returned.
            state: The weights.
        """
        return cls(Score(**facts["score"]), facts["step"], facts["epochs"], state)


@dataclass
class Watch:
    """Follows the epochs of a step, and keeps the weights of the best.

    Attributes:
        take: Returns a copy of the weights as they are.
        patience: After how many epochs without a gain the step is over; None for never.
        undo: Whether what was before the step is the best as long as no epoch is better.
        before: The score before the step.
        best: The best score.
        epoch: Number of the epoch that it is of; None for what was before the step.
        state: Its weights; None until there are any to go back to.
    """

    take: Callable[[], Snapshot]
    patience: int | None
    undo: bool
    before: Score
    best: Score = field(init=False)
    epoch: int | None = field(init=False, default=None)
    state: Snapshot | None = field(init=False, default=None)
    _last: int | None = field(init=False, default=None)
    _without: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.best = self.before
        if self.undo:
            self.state = self.take()

    def look(self, score: Score, epoch: int) -> None:
        """Take note of an epoch that is over.

        Args:
            score: On the images to choose on.
            epoch: Its number.
        """
        self._last = epoch
        # Unless it may be undone, what there was before the step counts for nothing.
        if score > self.best or (self.epoch is None and not self.undo):
            self._without = 0
            self.best, self.epoch, self.state = score, epoch, self.take()
        else:
            self._without += 1

    @property
    def over(self) -> bool:
        """Whether the step has got no better for as long as its patience lasts."""
        return self.patience is not None and self._without >= self.patience

    @property
    def went_past(self) -> bool:
        """Whether the best weights are not those that the step ended with."""
        return self.epoch != self._last

    def facts(self) -> dict[str, Any]:
        """Return what has been seen so far, as plain data; the weights are `state`."""
        return {
            "before": vars(self.before),
            "best": vars(self.best),
            "epoch": self.epoch,
            "last": self._last,
            "without": self._without,
        }

    @classmethod
    def of(
        cls,
        facts: Mapping[str, Any],
        *,
        state: Snapshot | None,
        take: Callable[[], Snapshot],
        patience: int | None,
        undo: bool,
    ) -> Watch:
        """Return what goes on where another one was.

        Args:
            facts: What `facts` returned.
            state: The best weights that there were.
            take: As of the class.
            patience: As of the class.
            undo: As of the class.
        """
        watch = cls(take, patience, undo, Score(**facts["before"]))
        watch.best, watch.state, watch.epoch = Score(**facts["best"]), state, facts["epoch"]
        watch._last, watch._without = facts["last"], facts["without"]
        return watch

    def as_json(self) -> dict[str, Any]:
        """Return what the report holds of it."""
        return {
            "before": self.before.as_json(),
            "best": self.best.as_json(),
            "best_epoch": self.epoch,
            "undone": self.epoch is None,
        }
