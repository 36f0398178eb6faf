"""`analysis.json`: what a report shows of a finished run beyond its numbers.

The network is asked once more about the images that were reported, so this takes about as long as
evaluating did, and covering parts of a dozen images some seconds more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.engine.analysing.embedding import embed, sample
from tlf.engine.analysing.gallery import (
    ATTRIBUTED_MISTAKES,
    Prediction,
    best,
    describe,
    draw,
    drawn,
    worst,
)
from tlf.engine.analysing.looking import Looked, look_again
from tlf.engine.analysing.movement import NotToBeHadError, movement
from tlf.engine.analysing.occlusion import method
from tlf.engine.analysing.reading import describe_images
from tlf.engine.analysing.recorded import RecordedRun, read_run
from tlf.engine.analysing.temperature import describe_temperature
from tlf.engine.clock import timed
from tlf.engine.files import write_json
from tlf.engine.finished import FinishedNetwork, load_network
from tlf.engine.pages import ANALYSIS, files_as_written
from tlf.errors import TlfError

if TYPE_CHECKING:
    from tlf.plugin import Item

SCHEMA_VERSION = 1

#: Parts that take time, in the order in which they are done.
PARTS = ("predict", "temperature", "thumbnails", "attribution", "embedding", "movement", "data")

#: How many images a warning names.
NAMED = 10

NO_SELECTION = (
    "the run held no images out to choose on, and a temperature must be chosen neither on images that "
    "the network was trained on nor on those that are reported: give the data a test split (in "
    "`data.options`), and it is chosen on the validation images"
)
SEVERAL_CLASSES = "images may have any number of classes, and this is about exactly one"
NO_IMAGES = "the images that the run reports are not here any more, or not as it saw them"


def analyse(
    run_directory: str | Path, *, warn: Callable[[str], None] = warnings.warn
) -> dict[str, Any]:
    """Look at a finished run once more, write `analysis.json` into it, and return what that holds.

    Args:
        run_directory: The run directory.
        warn: Hears of images that have changed, and of plugins. A Python warning by default.

    Raises:
        OutputError: It is no finished run, or its files are damaged.
        PluginError: A plugin that the network needs is missing or broken.
    """
    folder = Path(run_directory)
    with files_as_written(folder):
        analysis = Analyst(read_run(folder), warn).analyse()
    write_json(folder / ANALYSIS, analysis)
    return analysis


@dataclass
class Analyst:
    """Looks at a finished run.

    Attributes:
        run: The run.
        warn: Hears of what is not as it was.
        warnings: What it has heard.
        seconds: How long each part took.
    """

    run: RecordedRun
    warn: Callable[[str], None]
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    def analyse(self) -> dict[str, Any]:
        """Return what `analysis.json` holds."""
        with self.timed("predict"):
            disagreements = self.disagreements()
        temperature, temperature_why_not = self.temperature()
        moved, movement_why_not = self.movement()
        return {
            "schema_version": SCHEMA_VERSION,
            "metrics_on": self.metrics_on,
            "disagreements": disagreements,
            "temperature": temperature,
            "temperature_why_not": temperature_why_not,
            **self.gallery(),
            "embedding": self.embedding(),
            "movement": moved,
            "movement_why_not": movement_why_not,
            "data": self.data(),
            "warnings": self.warnings,
            "seconds": self.seconds,
        }

    @property
    def metrics_on(self) -> str:
        """The split that the run reports."""
        split: str = self.run.report["metrics_on"]
        return split

    @property
    def several(self) -> bool:
        """Whether an image may have any number of classes."""
        return self.run.report.get("task") == "multi-label"

    def timed(self, part: str) -> AbstractContextManager[None]:
        """Return a context that notes how long a part takes.

        Args:
            part: Its name.
        """
        return timed(self.seconds, part)

    def say(self, message: str) -> None:
        """Warn, and note it.

        Args:
            message: What is not as it was.
        """
        self.warnings.append(message)
        self.warn(message)

    @cached_property
    def network(self) -> FinishedNetwork:
        """The network that the run left behind."""
        return load_network(self.run.folder, self.say)

    @cached_property
    def items(self) -> Mapping[str, Item]:
        """The images that are there now, by id; none if they cannot be found."""
        try:
            return self.run.items()
        except TlfError as error:
            self.say(f"the images of the run cannot be found again: {error.message}")
            return {}

    @cached_property
    def reported(self) -> Looked:
        """What the network says now about the images that the run reports."""
        ids = [one["id"] for one in self.run.predictions]
        digests = [one["sha256"] for one in self.run.predictions]
        kept = set(sample(len(ids)))
        looked = look_again(self.network, self.items, ids, digests, keep=kept)
        if looked.lost and self.items:
            self.say(_what_is_lost(looked.lost, len(ids), self.metrics_on))
        return looked

    @cached_property
    def unchanged(self) -> Mapping[str, int]:
        """Of the reported images that are as they were, the place among those looked at, by id."""
        places = self.reported.places
        return {self.run.predictions[place]["id"]: row for row, place in enumerate(places)}

    def disagreements(self) -> int | None:
        """Return for how many images the network now predicts another class; None without images."""
        looked, predictions = self.reported, self.run.predictions
        if looked.evaluation is None:
            return None
        # As `predictions.jsonl` has them: of equal probabilities, `argmax` may take another.
        now: list[Any]
        then: list[Any]
        if self.several:
            named = looked.evaluation.probabilities.numpy() >= self.network.thresholds
            now = [row.nonzero()[0].tolist() for row in named]
            then = [
                [self.run.index(name) for name in predictions[place]["predicted"]]
                for place in looked.places
            ]
        else:
            now = [int(row.topk(1).indices) for row in looked.evaluation.probabilities]
            then = [self.run.index(predictions[place]["predicted"]) for place in looked.places]
        count = sum(bool(a != b) for a, b in zip(now, then, strict=True))
        if count:
            self.say(
                f"the network now predicts another class for {count} of {len(now)} images than the "
                "run wrote down, which is what the report shows"
            )
        return count

    def temperature(self) -> tuple[dict[str, Any] | None, str | None]:
        """Return the temperature and None, or None and why there is none."""
        if self.several:
            return None, SEVERAL_CLASSES
        chosen_on, measured = self.run.report["selection_on"], self.reported.evaluation
        if chosen_on is None:
            return None, NO_SELECTION
        if measured is None:
            return None, NO_IMAGES
        with self.timed("temperature"):
            ids = self.run.splits[chosen_on]
            chosen = look_again(self.network, self.items, ids, [None] * len(ids))
            digest = self.run.environment["data"][chosen_on]["digest"]
            if chosen.evaluation is None or chosen.digest != digest:
                return None, f"the {chosen_on} images, to choose on, are not those that the run saw"
            found = describe_temperature(chosen.evaluation, chosen_on, measured, self.metrics_on)
        return found, None

    def gallery(self) -> dict[str, Any]:
        """Return the images to show, and how they were attributed."""
        if self.several:
            nothing: dict[str, Any] = {"mistakes": [], "correct": []}
            return {**nothing, "attribution": None, "attribution_why_not": SEVERAL_CLASSES}
        mistakes, correct = worst(self.run.predictions), best(self.run.predictions)
        attributed = [*mistakes[:ATTRIBUTED_MISTAKES], *correct]
        started = self.seconds["attribution"]
        with self.timed("thumbnails"):
            pictures = draw(
                self.network,
                [
                    self.items[one["id"]]
                    for one in (*mistakes, *correct)
                    if one["id"] in self.unchanged
                ],
                {one["id"]: self.run.index(one["predicted"]) for one in attributed},
                partial(self.timed, "attribution"),
            )
        self.seconds["thumbnails"] -= self.seconds["attribution"] - started
        is_drawn = drawn(pictures.values())

        def shown(prediction: Prediction) -> dict[str, Any]:
            name = prediction["id"]
            return describe(prediction, pictures.get(name), self.label_probability(prediction))

        return {
            "mistakes": [shown(one) for one in mistakes],
            "correct": [shown(one) for one in correct],
            "attribution": method() if is_drawn else None,
            "attribution_why_not": None if is_drawn else NO_IMAGES,
        }

    def label_probability(self, prediction: Prediction) -> float | None:
        """Return what the network now gives an image's own class; None if it cannot be asked.

        Args:
            prediction: What the run wrote down of the image.
        """
        row, evaluation = self.unchanged.get(prediction["id"]), self.reported.evaluation
        if row is None or evaluation is None:
            return None
        return float(evaluation.probabilities[row, self.run.index(prediction["label"])])

    def embedding(self) -> dict[str, Any] | None:
        """Return the reported images in a plane; None if there are too few, or several classes each."""
        looked = self.reported
        if self.several or looked.features is None or len(looked.features) < 3:
            return None
        with self.timed("embedding"):
            how, plane = embed(looked.features.numpy())
        predictions = [self.run.predictions[place] for place in looked.kept]
        return {
            "method": how,
            "points": [
                [*point, self.run.index(one["label"]), self.run.index(one["predicted"]), one["id"]]
                for point, one in zip(plane, predictions, strict=True)
            ],
        }

    def movement(self) -> tuple[list[dict[str, Any]] | None, str | None]:
        """Return how far each stage has moved and None, or None and why nobody can say."""
        try:
            with self.timed("movement"):
                return movement(self.run), None
        except NotToBeHadError as error:
            return None, str(error)

    def data(self) -> dict[str, Any]:
        """Return what there is to know of the images of each split."""
        report = self.run.report
        with self.timed("data"):
            return describe_images(self.run.splits, self.items, report["data"], report["skipped"])


def _what_is_lost(lost: Sequence[tuple[str, str]], count: int, split: str) -> str:
    names = ", ".join(f"`{one}` ({why})" for one, why in lost[:NAMED])
    more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
    return f"{len(lost)} of {count} {split} images are not what the run saw: {names}{more}"
