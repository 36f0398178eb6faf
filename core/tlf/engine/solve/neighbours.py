"""A head that holds the training images' features and lets the nearest of them vote."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tlf.engine.solve.blocks import Blocks, checked

#: Numbers that a block of similarities has at most, 16 MiB of float32, however many images are stored.
SIMILARITIES = 2**22

#: Share of the votes that a class without any gets, so that its logit is finite. It is below the
#: rounding of float32 beside 1.
FLOOR = 1e-8


class KnnHead(nn.Module):
    """Weighted k-nearest-neighbour classifier: features `(N, width)` to logits, in float32.

    Each of the k stored images with the highest cosine similarity s votes for its class with weight
    exp(s / temperature) (Wu et al. 2018, https://arxiv.org/abs/1805.01978). Of equally similar ones,
    the one stored first is nearer. Where images have any number of classes, it votes on each of them:
    for it or against it.

    Args:
        features: Of the stored images, each of length 1 or 0, float32 `(stored, width)`.
        labels: Of the stored images, int64 `(stored,)`; of any number of classes float32
            `(stored, classes)`, 0 or 1.
        classes: How many there are; one may have no images.
        k: How many vote, at least 1. It is cut to the number of stored images.
        temperature: More than 0. The lower, the more the nearest one counts.
    """

    features: torch.Tensor
    labels: torch.Tensor

    def __init__(
        self,
        features: torch.Tensor,
        labels: torch.Tensor,
        classes: int,
        *,
        k: int,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.k = min(k, len(labels))
        self.temperature = temperature
        self.register_buffer("features", features)
        self.register_buffer("labels", labels)

    @classmethod
    def from_blocks(
        cls, blocks: Blocks, classes: int, *, k: int, temperature: float = 0.07
    ) -> KnnHead:
        """Store the images of a stream. Memory grows with their number, here on purpose.

        Args:
            blocks: Features and labels of at least one image.
            classes: How many there are.
            k: How many vote.
            temperature: More than 0.

        Raises:
            RunError: A feature is infinite or not a number.
        """
        # Copies, for the stream may use the same memory again.
        pairs = [(_normalise(features), labels.clone()) for features, labels in checked(blocks)]
        features, labels = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
        return cls(features, labels, classes, k=k, temperature=temperature)

    def with_k(self, k: int) -> KnnHead:
        """Return a head with the same stored images, not copied, and another k.

        Args:
            k: How many vote.
        """
        return KnnHead(self.features, self.labels, self.classes, k=k, temperature=self.temperature)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits `(N, classes)`: the logarithms of each class's share of the votes.

        Where a vote is for or against a class, they are the logarithms of the odds. Logits of an image
        with a feature that is not finite are not numbers.
        """
        size = max(1, SIMILARITIES // len(self.labels))
        return torch.cat([self._logits(block) for block in torch.split(features, size)])

    def _logits(self, features: torch.Tensor) -> torch.Tensor:
        similarity = _normalise(features) @ self.features.T
        finite = similarity.isfinite()
        nearest = _nearest(similarity.where(finite, 0.0), self.k)
        weights = (similarity.gather(1, nearest) / self.temperature).softmax(dim=1)
        if self.labels.is_floating_point():
            logits = self._odds(nearest, weights)
        else:
            labels = self.labels[nearest]
            votes = weights.new_zeros(len(features), self.classes)
            # One neighbour at a time: a GPU adds numbers with one target in an order of its own.
            for index in range(self.k):
                votes.scatter_add_(1, labels[:, index, None], weights[:, index, None])
            logits = votes.clamp_min(FLOOR).log()
        return logits.where(finite.all(dim=1, keepdim=True), torch.nan)

    def _odds(self, nearest: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return the logarithms of the votes for each class, less those of the votes against it."""
        ayes = weights.new_zeros(len(nearest), self.classes)
        noes = torch.zeros_like(ayes)
        for index in range(self.k):
            labels, weight = self.labels[nearest[:, index]], weights[:, index, None]
            ayes += weight * labels
            noes += weight * (1 - labels)
        return ayes.clamp_min(FLOOR).log() - noes.clamp_min(FLOOR).log()


def _normalise(features: torch.Tensor) -> torch.Tensor:
    """Return features of length 1, float32; those of length 0 stay so, and are similar to nothing."""
    # Scaled first, for the squares of very large or very small features leave float32.
    features = features.float()
    largest = features.abs().amax(dim=1, keepdim=True)
    return functional.normalize(features / torch.where(largest > 0, largest, 1.0), dim=1)


def _nearest(similarity: torch.Tensor, k: int) -> torch.Tensor:
    """Return the columns of the k largest entries of each row, int64 `(N, k)`, in rising order.

    `topk` alone may take any of equal entries; here the first ones win.
    """
    least = similarity.topk(k, dim=1).values[:, -1:]
    above = similarity > least
    equal = similarity == least
    missing = k - above.sum(dim=1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(dim=1) <= missing))
    # Exactly k are chosen, so the k smallest of these are theirs.
    columns = torch.arange(similarity.shape[1], device=similarity.device)
    return columns.where(chosen, similarity.shape[1]).topk(k, dim=1, largest=False).values
