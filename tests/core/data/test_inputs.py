"""The network gets what torchvision's own normalisation gives it."""

from types import SimpleNamespace

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from tlf.data import to_device, to_input

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def cpu(**values):
    return SimpleNamespace(**{"torch_device": torch.device("cpu"), "pin_memory": False, **values})


@pytest.mark.parametrize("channels_last", [False, True])
def test_input_is_normalised_as_torchvision_does_it(channels_last):
    images = torch.randint(0, 256, (5, 3, 9, 7), dtype=torch.uint8)
    device = cpu(channels_last=channels_last)
    found = to_input(images, MEAN, STD, device)
    wanted = reference.normalize(reference.to_dtype(images, torch.float32, scale=True), MEAN, STD)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert found.is_contiguous(memory_format=layout)


def test_the_images_are_left_as_they_are():
    images = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    device = cpu(channels_last=True)
    to_input(images, MEAN, STD, device)
    assert (images == 100).all()


class Travelling:
    """Stands for a tensor, and notes what is done with it."""

    def __init__(self):
        self.journey = []

    def pin_memory(self):
        self.journey.append("pinned")
        return self

    def to(self, device, *, non_blocking=False):
        self.journey.append((device.type, non_blocking))
        return self


@pytest.mark.parametrize(
    ("pin_memory", "journey"), [(True, ["pinned", ("cuda", True)]), (False, [("cuda", False)])]
)
def test_the_processor_waits_for_a_copy_unless_it_is_from_pinned_memory(pin_memory, journey):
    device = SimpleNamespace(torch_device=torch.device("cuda"), pin_memory=pin_memory)
    assert to_device(Travelling(), device).journey == journey
