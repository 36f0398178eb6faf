"""Which images a report shows: the surest mistakes, and for comparison what was right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tlf.engine.analysing.occlusion import occlude
from tlf.engine.analysing.pictures import overlay, thumbnail
from tlf.engine.analysing.reading import Seen, read_again

if TYPE_CHECKING:
    from tlf.engine.finished import FinishedNetwork
    from tlf.plugin import Item

#: What `predictions.jsonl` holds of an image.
Prediction = Mapping[str, Any]

#: How many images are shown that the network was wrong about, and how many that it was right about.
#: Of the former, the first ones are attributed; of the latter, all.
MISTAKES = 24
ATTRIBUTED_MISTAKES = 6
CORRECT = 6


def worst(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return the mistakes that the network was surest of, those first.

    Args:
        predictions: Of all images.
    """
    wrong = [one for one in predictions if one["predicted"] != one["label"]]
    return sorted(wrong, key=_surest_first)[:MISTAKES]


def best(predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return what the network was right about and surest of: one of each class, then another of each.

    Args:
        predictions: Of all images.
    """
    right = [one for one in predictions if one["predicted"] == one["label"]]
    taken: dict[str, int] = {}
    rounds = []
    for prediction in sorted(right, key=_surest_first):
        label = prediction["label"]
        taken[label] = taken.get(label, 0) + 1
        rounds.append((taken[label], prediction))
    # Sorting is stable: within a round, the surest stay first.
    return [prediction for _, prediction in sorted(rounds, key=lambda one: one[0])[:CORRECT]]


def _surest_first(prediction: Prediction) -> tuple[float, str]:
    # Equally sure ones by name, so that the order is the same in every report.
    return -prediction["probabilities"][prediction["predicted"]], prediction["id"]


def describe(
    prediction: Prediction, pictures: Mapping[str, Any] | None, label_probability: float | None
) -> dict[str, Any]:
    """Return what a report shows of an image.

    Args:
        prediction: What the run wrote down.
        pictures: What was drawn of it; None if it is not what the run saw.
        label_probability: Of its own class, if the run did not write it down: of many classes, it
            does so only for the likeliest.
    """
    probabilities, predicted = prediction["probabilities"], prediction["predicted"]
    return {
        "id": prediction["id"],
        "label": prediction["label"],
        "predicted": predicted,
        "probability": probabilities[predicted],
        "label_probability": probabilities.get(prediction["label"], label_probability),
        **(pictures or {"thumbnail": None, "attribution": None}),
    }


def draw(
    network: FinishedNetwork,
    items: Sequence[Item],
    attributed: Mapping[str, int],
    attributing: Callable[[], Any],
) -> dict[str, dict[str, Any]]:
    """Return thumbnails, and what the network went by in some, by id.

    Args:
        network: The network.
        items: The images.
        attributed: Index of the predicted class, by id, of those to attribute.
        attributing: Returns a context for the time that attributions take.
    """
    pictures: dict[str, dict[str, Any]] = {}
    for item, image in zip(items, read_again(items, network.transform), strict=True):
        if isinstance(image, str):
            continue
        pictures[item.id] = {"thumbnail": thumbnail(image.picture), "attribution": None}
        if item.id in attributed:
            with attributing():
                pictures[item.id].update(attribute(network, image, attributed[item.id]))
    return pictures


def attribute(network: FinishedNetwork, image: Seen, predicted: int) -> dict[str, Any]:
    """Return an image with what the network went by drawn over it.

    Args:
        network: The network.
        image: The image.
        predicted: Index of the class whose probability is looked at.
    """
    views = network.views([image.image])
    found = occlude(
        lambda inputs: network.run(inputs)[1].softmax(dim=1)[:, predicted],
        network.inputs(views)[0],
        at_once=network.inference.chunk_size,
    )
    return {"attribution": overlay(views[0], found), "largest_change": float(abs(found).max())}


def drawn(pictures: Collection[Mapping[str, Any]]) -> bool:
    """Say whether any image was attributed.

    Args:
        pictures: What was drawn.
    """
    return any(one["attribution"] is not None for one in pictures)
