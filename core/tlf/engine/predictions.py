"""`predictions.jsonl`: what the network says about each image that the metrics speak of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from tlf.engine.metrics import Evaluation
    from tlf.plugin import Item

#: Each line holds the probabilities of this many classes, the likeliest first.
PREDICTED_CLASSES = 20


def prediction_lines(
    evaluation: Evaluation,
    items: Sequence[Item],
    digests: Sequence[str],
    classes: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """Yield a line for each image; of any number of classes, `label` and `predicted` are lists.

    Args:
        evaluation: What the network said.
        items: The images, in the same order.
        digests: Of the content of each: what was seen can be told from what has changed since.
        classes: Names of the classes.
    """
    for item, digest, row in zip(items, digests, evaluation.probabilities, strict=True):
        likely = row.topk(min(PREDICTED_CLASSES, len(classes)))
        probabilities = {
            classes[int(index)]: float(value)
            for value, index in zip(likely.values, likely.indices, strict=True)
        }
        yield {
            "id": item.id,
            **_named(item, row, evaluation, classes),
            "probabilities": probabilities,
            "sha256": digest,
        }


def _named(
    item: Item, row: torch.Tensor, evaluation: Evaluation, classes: Sequence[str]
) -> dict[str, Any]:
    """Return what an image is and what it is taken for: a class, or a list of classes."""
    if evaluation.task == "single-label":
        likeliest = classes[int(row.topk(1).indices)]
        return {"label": classes[item.labels[0]], "predicted": likeliest}
    named = (row.numpy() >= evaluation.thresholds_of_classes).nonzero()[0]
    return {
        "label": [classes[label] for label in item.labels],
        "predicted": [classes[index] for index in named.tolist()],
    }
