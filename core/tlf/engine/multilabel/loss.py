"""The loss of images with any number of classes: one question of yes or no for each class."""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid


def multilabel_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    *,
    label_smoothing: float = 0.0,
    gamma: float = 0.0,
) -> torch.Tensor:
    """Return the binary cross-entropy of sigmoids in nats, the mean over images and classes.

    Args:
        logits: `(N, classes)`.
        labels: 0 or 1, or anything between, float `(N, classes)`.
        label_smoothing: In [0, 1). Targets are drawn toward 0.5 by this share: the uniform distribution
            over yes and no, as Szegedy et al. (2016, https://arxiv.org/abs/1512.00567) have it over
            classes.
        gamma: How much less an answer counts that is right anyway (Lin et al., 2017,
            https://arxiv.org/abs/1708.02002), at least 0; 0 for cross-entropy.
    """
    targets = labels.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    if not gamma:
        return binary_cross_entropy_with_logits(logits, targets)
    # By the logarithms, so that no power is of a plain 0, where its gradient may be infinite.
    yes = targets * (gamma * logsigmoid(-logits)).exp() * logsigmoid(logits)
    no = (1 - targets) * (gamma * logsigmoid(logits)).exp() * logsigmoid(-logits)
    return -(yes + no).mean()
