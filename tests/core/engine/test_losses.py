"""The training loss, against losses written down here."""

import math
from types import SimpleNamespace

import pytest
import torch

from tlf.engine.losses import Loss, check_classes, class_weights_of, loss_of, one_hot
from tlf.errors import SpecError
from tlf.spec.model import TrainingSpec

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.3, -2.0], [1.0, 1.0, 1.0], [-3.0, 4.0, 0.0]])
LABELS = torch.tensor([0, 2, 1, 1])
#: All that a loss asks of a plan.
PLAN = SimpleNamespace(classes=("a", "b", "c"), task="single-label")
SHARES = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.0, 1.0], [0.5, 0.5, 0.0], [0.1, 0.2, 0.7]])


def written_down(targets, *, smoothing=0.0, gamma=0.0, weights=None):
    """The mean over the images of Σ weight * target * (1 - p)^gamma * -log p, by plain numbers."""
    rows = one_hot(targets, 3).tolist() if targets.ndim == 1 else targets.tolist()
    total = 0.0
    for logits, row in zip(LOGITS.tolist(), rows, strict=True):
        partition = sum(math.exp(one) for one in logits)
        for index, (one, share) in enumerate(zip(logits, row, strict=True)):
            p = math.exp(one) / partition
            target = share * (1 - smoothing) + smoothing / 3
            weight = 1.0 if weights is None else weights[index]
            total += weight * target * (1 - p) ** gamma * -math.log(p)
    return total / len(rows)


@pytest.mark.parametrize("targets", [LABELS, SHARES], ids=["labels", "shares"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, (0.2, 1.0, 3.0)])
def test_the_loss_is_what_is_written_down_here(targets, smoothing, gamma, weights):
    tensor = None if weights is None else torch.tensor(weights)
    found = Loss(smoothing, gamma, tensor)(LOGITS, targets)
    expected = written_down(targets, smoothing=smoothing, gamma=gamma, weights=weights)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_focal_loss_of_what_is_certain_has_a_finite_gradient():
    logits = torch.tensor([[200.0, 0.0, -50.0]], requires_grad=True)
    for gamma in (0.5, 1.0, 2.0):
        (gradient,) = torch.autograd.grad(Loss(0.1, gamma)(logits, torch.tensor([0])), logits)
        assert gradient.isfinite().all()


def test_a_mean_of_batches_is_the_loss_of_all_even_if_classes_are_weighted():
    loss = Loss(0.1, 0.0, torch.tensor([0.2, 1.0, 3.0]))
    parts = [loss(LOGITS[:1], LABELS[:1]) * 1 / 4, loss(LOGITS[1:], LABELS[1:]) * 3 / 4]
    assert float(sum(parts)) == pytest.approx(float(loss(LOGITS, LABELS)), rel=1e-6)


def test_balanced_classes_count_alike_and_an_image_counts_one_on_average():
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = class_weights_of(TrainingSpec(class_weights="balanced"), ("a", "b", "c"), labels)
    # Those of scikit-learn: images / (classes * images of the class).
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])
    assert float(weights[labels].mean()) == pytest.approx(1.0)


def test_weights_by_class_are_scaled_and_one_where_there_is_none():
    labels = torch.tensor([0, 0, 1, 2])
    weights = class_weights_of(TrainingSpec(class_weights={"b": 5.0}), ("a", "b", "c"), labels)
    assert weights.tolist() == pytest.approx([0.5, 2.5, 0.5])
    assert class_weights_of(TrainingSpec(), ("a", "b", "c"), labels) is None


def test_the_weight_of_a_class_that_is_not_there_is_refused_with_the_nearest():
    training = TrainingSpec(class_weights={"bee": 1.0, "antz": 2.0, "wasp": 1.0})
    with pytest.raises(SpecError) as caught:
        check_classes(training, ("ants", "bee"), "single-label")
    first, second = caught.value.problems
    assert (first.path, first.hint) == ("training.class_weights.antz", "did you mean `ants`?")
    assert second.message == "`wasp` is no class of these images"


def test_a_spec_says_which_loss():
    focal = loss_of(TrainingSpec(loss="focal", label_smoothing=0.0), PLAN, None)
    assert focal == Loss(0.0, 2.0, None)
    assert loss_of(TrainingSpec(), PLAN, None) == Loss(0.05, 0.0, None)
    assert loss_of(TrainingSpec(loss={"name": "focal", "gamma": 0.5}), PLAN, None).gamma == 0.5


SEVERAL = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.3, 1.0, 0.0], [1.0, 1.0, 1.0]])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_of_several_classes_each_is_a_question_of_yes_or_no(smoothing, gamma):
    total = 0.0
    for logits, row in zip(LOGITS.tolist(), SEVERAL.tolist(), strict=True):
        for one, share in zip(logits, row, strict=True):
            p = 1 / (1 + math.exp(-one))
            target = share * (1 - smoothing) + smoothing / 2
            total += target * (1 - p) ** gamma * -math.log(p)
            total += (1 - target) * p**gamma * -math.log(1 - p)
    found = Loss(smoothing, gamma, several=True)(LOGITS, SEVERAL)
    assert float(found) == pytest.approx(total / 12, rel=1e-5)


def test_a_teacher_of_several_classes_is_followed_class_by_class():
    taught = torch.tensor([[1.0, -3.0, 0.0], [0.5, 2.0, -1.0], [0.0, 0.0, 0.0], [4.0, -4.0, 1.0]])
    total = 0.0
    for logits, row in zip(LOGITS.tolist(), taught.tolist(), strict=True):
        for one, of in zip(logits, row, strict=True):
            p, q = (1 / (1 + math.exp(-value / 3)) for value in (one, of))
            total += q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))
    loss = Loss(teaching=1.0, temperature=3.0, several=True)
    assert float(loss(LOGITS, SEVERAL, taught)) == pytest.approx(9 * total / 12, rel=1e-4)


def test_classes_that_come_together_cannot_be_weighted_or_drawn_alike():
    training = TrainingSpec(class_weights="balanced", sampling="balanced")
    check_classes(training, ("a", "b"), "single-label")
    with pytest.raises(SpecError) as caught:
        check_classes(training, ("a", "b"), "multi-label")
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["training.class_weights", "training.sampling"]


def test_a_run_weights_its_classes_by_its_images_and_asks_of_each_class_what_its_task_asks():
    training = TrainingSpec(class_weights="balanced")
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = class_weights_of(training, PLAN.classes, labels)
    assert torch.equal(loss_of(training, PLAN, labels).weights, weights)
    assert not loss_of(training, PLAN, labels).several
    several = SimpleNamespace(classes=PLAN.classes, task="multi-label")
    assert loss_of(TrainingSpec(), several, torch.zeros(2, 3)) == Loss(0.05, several=True)
