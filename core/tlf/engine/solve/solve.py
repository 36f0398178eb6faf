"""Solves for a head: fits each setting on one part of the images, chooses on another, fits on all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch.nn.functional import cross_entropy

from tlf.engine.metrics import METRICS, Evaluation, measure
from tlf.engine.solve.blocks import Blocks, checked
from tlf.engine.solve.logistic import LinearFit, fit_logistic, path
from tlf.engine.solve.neighbours import KnnHead
from tlf.engine.solve.selection import Candidate, choose_k, choose_strength

#: Penalties to choose from. On features of MobileNetV2 the lowest loss lay between 3 (8 images a
#: class) and 0.003 (300 a class), so each end leaves room. Half decades lower it by at most 2 %.
STRENGTHS = (10.0, 1.0, 0.1, 0.01, 0.001, 0.0001)

#: Numbers of neighbours to choose from. On features of MobileNetV2 5 and 10 were right most often, on
#: ImageNet 20 (Caron et al. 2021, https://arxiv.org/abs/2104.14294).
KS = (1, 5, 10, 20, 50)

_Logits: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


def solve_logistic(
    fit_blocks: Blocks,
    selection_blocks: Blocks | None,
    all_blocks: Blocks,
    width: int,
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
    weights: torch.Tensor | None = None,
) -> tuple[LinearFit, dict[str, Any]]:
    """Fit a linear head on all images, with the strength that does best on some held out.

    Args:
        fit_blocks: The images that every strength is fitted on.
        selection_blocks: The images that the strength is chosen on, at least one. Not looked at, and
            may be None, where there is but one strength.
        all_blocks: The images that the head is fitted on.
        width: Features an image has.
        classes: How many there are.
        strengths: Of the penalty, see `fit_logistic`. With one, nothing is chosen.
        weights: Of the classes, see `fit_logistic`. So count the images held out.

    Returns:
        The head, and plain data: `candidates`, each with its `strength`, `loss` and `accuracy` on the
        images held out, `iterations` and `converged`; `chosen`, the strength; and `loss`, `iterations`
        and `converged` of the fit on all images.

    Raises:
        RunError: A feature is infinite or not a number.
    """
    values = sorted(set(strengths), reverse=True)
    candidates: list[dict[str, Any]] = []
    chosen, start = values[0], None
    if len(values) > 1:
        fits = path(fit_blocks, width, classes, values, weights)
        heads = {value: fit.logits for value, fit in fits.items()}
        found = _evaluate(heads, selection_blocks, weights)
        chosen = choose_strength(found).value
        start = fits[chosen]
        candidates = [
            {
                "strength": candidate.value,
                **candidate.as_json(),
                "iterations": fits[candidate.value].iterations,
                "converged": fits[candidate.value].converged,
            }
            for candidate in found
        ]
    fit = fit_logistic(all_blocks, width, classes, chosen, start, weights)
    return fit, {
        "candidates": candidates,
        "chosen": chosen,
        "loss": fit.loss,
        "iterations": fit.iterations,
        "converged": fit.converged,
    }


def solve_neighbours(
    fit_blocks: Blocks,
    selection_blocks: Blocks | None,
    all_blocks: Blocks,
    classes: int,
    ks: Sequence[int] = KS,
) -> tuple[KnnHead, dict[str, Any]]:
    """Store all images in a head, with the k that does best on some held out.

    Args:
        fit_blocks: The images that vote on those held out.
        selection_blocks: The images that k is chosen on, at least one. Not looked at, and may be None,
            where there is but one k.
        all_blocks: The images that the head stores.
        classes: How many there are.
        ks: How many vote, each at least 1. One beyond the number of images to fit on is cut to it.

    Returns:
        The head, and plain data: `candidates`, each with its `k`, and `loss` and `accuracy` on the
        images held out; and `chosen`, the k.

    Raises:
        RunError: A feature is infinite or not a number.
    """
    values = sorted(set(ks))
    found: list[Candidate] = []
    if len(values) > 1:
        found = _evaluate(_heads(fit_blocks, classes, values), selection_blocks)
        values = [int(choose_k(found).value)]
    head = KnnHead.from_blocks(all_blocks, classes, k=values[0])
    candidates = [{"k": int(candidate.value), **candidate.as_json()} for candidate in found]
    return head, {"candidates": candidates, "chosen": head.k}


def _heads(blocks: Blocks, classes: int, ks: Sequence[int]) -> dict[float, KnnHead]:
    """Return a head for each k that differs from the others once cut; they share their images."""
    largest = KnnHead.from_blocks(blocks, classes, k=max(ks))
    return {k: largest.with_k(k) for k in sorted({min(k, largest.k) for k in ks})}


@torch.no_grad()
def _evaluate(
    heads: Mapping[float, _Logits], blocks: Blocks | None, weights: torch.Tensor | None = None
) -> list[Candidate]:
    """Return how each head does on the images held out, in one walk over them."""
    if blocks is None:
        raise ValueError("several settings, but no images to choose one on")
    weights = None if weights is None else weights.double()
    losses = dict.fromkeys(heads, 0.0)
    right = dict.fromkeys(heads, 0)
    said: dict[float, list[torch.Tensor]] = {value: [] for value in heads}
    several: list[torch.Tensor] = []
    count = 0
    for features, labels in checked(blocks):
        count += len(labels)
        if labels.is_floating_point():
            several.append(labels.clone())
        for value, head in heads.items():
            logits = head(features)
            if labels.is_floating_point():
                # How classes are ordered over all images: that is no sum over blocks.
                said[value].append(logits)
                continue
            losses[value] += float(
                cross_entropy(logits.double(), labels, weight=weights, reduction="sum")
            )
            right[value] += int((logits.argmax(dim=1) == labels).sum())
    if count == 0:
        raise ValueError("several settings, but no images to choose one on")
    if several:
        shown = torch.cat(several)
        return [_candidate(value, Evaluation(torch.cat(said[value]), shown)) for value in heads]
    return [Candidate(value, losses[value] / count, right[value] / count) for value in heads]


def _candidate(value: float, found: Evaluation) -> Candidate:
    metric = METRICS[found.task][0]
    measured = measure(found, (metric,))
    return Candidate(value, measured["loss"], measured.get(metric, 0.0), metric)
