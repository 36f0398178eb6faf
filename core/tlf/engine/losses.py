"""What a batch costs: the one loss that every step is trained by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from tlf.engine.multilabel.loss import multilabel_loss
from tlf.errors import Problem, SpecError, did_you_mean

if TYPE_CHECKING:
    from tlf.planning import RunPlan
    from tlf.plugin import Task
    from tlf.spec.model import TrainingSpec


@dataclass(frozen=True)
class Loss:
    """Cross-entropy or focal loss, with smoothed labels and weighted classes.

    Attributes:
        smoothing: Share of the target that is spread over all classes.
        gamma: How much less an image counts that is right anyway, at least 0; 0 for cross-entropy.
        weights: What each class counts for, float32 `(classes,)`; None for 1.
        teaching: Share of what a teacher says, in [0, 1].
        temperature: What the logits of both are divided by to be compared, more than 0.
        several: Whether an image may be of any number of classes.
    """

    smoothing: float = 0.0
    gamma: float = 0.0
    weights: torch.Tensor | None = None
    teaching: float = 0.0
    temperature: float = 1.0
    several: bool = False

    def __call__(
        self, logits: torch.Tensor, targets: torch.Tensor, taught: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean loss of a batch: of its images, however their classes are weighted.

        So batches of which the gradients are added up, each by its share of the images, come to what
        one batch of all would.

        Args:
            logits: Float32 `(N, classes)`.
            targets: Int64 `(N,)`; or the share of each class, float32 `(N, classes)`: of one in all, or
                of one each where an image may be of any number.
            taught: Logits of a teacher, float32 `(N, classes)`; None if there is none.
        """
        loss = self._of_targets(logits, targets)
        if taught is None:
            return loss
        return (1 - self.teaching) * loss + self.teaching * self._of_teacher(logits, taught)

    def _of_teacher(self, logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
        """Return how far the probabilities are from a teacher's: Kullback and Leibler's divergence.

        Where an image may be of any number of classes it is the mean over them, as the loss is.

        The temperature squared keeps the gradients as large as those of the labels (Hinton et al.,
        2015, https://arxiv.org/abs/1503.02531, section 2).
        """
        if self.several:
            shares = (taught / self.temperature).sigmoid()
            cross = multilabel_loss(logits / self.temperature, shares)
            entropy = multilabel_loss(taught / self.temperature, shares)
            return (cross - entropy) * self.temperature**2
        divergence = kl_div(
            log_softmax(logits / self.temperature, dim=1),
            log_softmax(taught / self.temperature, dim=1),
            reduction="batchmean",
            log_target=True,
        )
        return divergence * self.temperature**2

    def _of_targets(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.several:
            return multilabel_loss(
                logits, targets, label_smoothing=self.smoothing, gamma=self.gamma
            )
        if not self.gamma:
            if self.weights is None:
                return cross_entropy(logits, targets, label_smoothing=self.smoothing)
            weighted = cross_entropy(
                logits,
                targets,
                weight=self.weights.to(logits.device),
                reduction="none",
                label_smoothing=self.smoothing,
            )
            return weighted.mean()
        shares = targets if targets.is_floating_point() else one_hot(targets, logits.shape[1])
        if self.smoothing:
            shares = shares * (1 - self.smoothing) + self.smoothing / logits.shape[1]
        if self.weights is not None:
            shares = shares * self.weights.to(logits.device)
        log_probabilities = log_softmax(logits, dim=1)
        # 1 - p by its logarithm, so that it does not come to 0 where p is nearly 1: the gradient of a
        # power below 1 would be infinite there.
        others = (-torch.expm1(log_probabilities)).clamp_min(torch.finfo(logits.dtype).tiny)
        return -(shares * others.pow(self.gamma) * log_probabilities).sum(dim=1).mean()


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return the share that each class has of each label: 1 or 0, float32 `(N, classes)`.

    Args:
        labels: Int64 `(N,)`.
        classes: How many classes there are.
    """
    return torch.nn.functional.one_hot(labels, classes).float()


def loss_of(training: TrainingSpec, plan: RunPlan, labels: torch.Tensor | None) -> Loss:
    """Return the loss that a run is trained by.

    Args:
        training: The training settings.
        plan: Gives the classes and the task.
        labels: Of the training images, by which classes are weighted; None for classes that all count
            alike: that changes no size, and no time.
    """
    gamma = training.loss.gamma if training.loss.name == "focal" else 0.0
    teacher = training.distillation
    weights = None if labels is None else class_weights_of(training, plan.classes, labels)
    several = plan.task == "multi-label"
    loss = Loss(training.label_smoothing, gamma, weights, several=several)
    if teacher is None:
        return loss
    return replace(loss, teaching=teacher.weight, temperature=teacher.temperature)


def class_weights_of(
    training: TrainingSpec, classes: Sequence[str], labels: torch.Tensor
) -> torch.Tensor | None:
    """Return what each class counts for, float32 `(classes,)`; None if all count alike.

    The mean over the training images is 1, so that the learning rate means what it meant.

    Args:
        training: Says how classes are weighted.
        classes: Names of the classes.
        labels: Of the training images, int64 `(N,)`; each class has some.
    """
    wanted = training.class_weights
    if wanted is None:
        return None
    counts = labels.bincount(minlength=len(classes)).double()
    if wanted == "balanced":
        weights = 1 / counts
    else:
        weights = torch.tensor([wanted.get(name, 1.0) for name in classes], dtype=torch.float64)
    return (weights * (len(labels) / (weights * counts).sum())).float()


def check_classes(training: TrainingSpec, classes: Sequence[str], task: Task) -> None:
    """Check that what a spec says of the classes fits those that there are.

    Args:
        training: The training settings.
        classes: Names of the classes.
        task: Of the data set.

    Raises:
        SpecError: Some of it does not.
    """
    wanted = training.class_weights
    names = wanted if isinstance(wanted, Mapping) else ()
    problems = [
        Problem(
            f"training.class_weights.{name}",
            f"`{name}` is no class of these images",
            did_you_mean(name, classes),
        )
        for name in names
        if name not in classes
    ]
    if task == "multi-label":
        problems += _of_single_labels(training)
    if problems:
        raise SpecError(problems)


def _of_single_labels(training: TrainingSpec) -> Iterator[Problem]:
    """Yield what a spec says that has no meaning where an image may be of any number of classes."""
    given = {
        "class_weights": training.class_weights is not None,
        "sampling": training.sampling == "balanced",
    }
    for name, is_given in given.items():
        if is_given:
            yield Problem(
                f"training.{name}",
                "the images may be of several classes each, so that no class can be drawn, or counted, "
                "without others",
                "leave it out; the `focal` loss counts rare answers for more",
            )
