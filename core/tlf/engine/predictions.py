"""`predictions.jsonl`: what the network says about each image that the metrics speak of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    """Yield a line for each image.

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
            "label": classes[item.labels[0]],
            "predicted": next(iter(probabilities)),
            "probabilities": probabilities,
            "sha256": digest,
        }
