"""Where numbers stopped being numbers is found, stage by stage."""

import pytest
import torch

from tlf.engine.diagnosis import not_finite, where_it_began


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32)


def test_weights_that_are_no_numbers_are_found_first(job, model, images):
    stage = model.backbone.stages[2]
    (name, *_) = model.names_in([f"{stage.name}:weight"])
    with torch.no_grad():
        model.tensors()[name].view(-1)[0] = float("nan")
    assert where_it_began(model, images, 0, job.device) == (
        f"the weights of stage `{stage.name}`, such as `{name}`, in an earlier batch"
    )


def test_what_comes_in_is_looked_at(job, model, images):
    images[0, 0, 0, 0] = float("inf")
    assert where_it_began(model, images, 0, job.device) == "what comes into the network"


def test_the_first_stage_whose_output_is_not_finite_is_named(job, model, images):
    model.eval()
    stage = model.backbone.stages[1]
    (name, *_) = model.names_in([f"{stage.name}:weight"])
    with torch.no_grad():
        # Finite, but its products are not.
        model.tensors()[name].fill_(3e38)
    found = where_it_began(model, images, 0, job.device)
    assert found == f"what comes out of stage `{stage.name}`"


def test_a_finite_network_blames_the_loss(job, model, images):
    model.eval()
    assert where_it_began(model, images, 0, job.device).startswith("the loss, or its gradients")


def test_the_error_has_the_rate_and_the_images(job):
    error = not_finite(
        "the loss became `nan` in step `all`",
        began="what comes into the network",
        rate=0.012345,
        items=[f"train/{index}.png" for index in range(10)],
    )
    assert error.message.splitlines() == [
        "the loss became `nan` in step `all`, at a learning rate of 0.0123",
        "  where it began: what comes into the network",
        "  images of the batch: " + ", ".join(f"`train/{n}.png`" for n in range(8)) + " and 2 more",
    ]
    assert "learning_rate" in error.hint
