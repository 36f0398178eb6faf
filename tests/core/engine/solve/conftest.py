"""Features drawn around a centre for each class, and streams of them."""

import pytest
import torch


@pytest.fixture
def draw():
    """Return a function that draws features, not standardised, and labels of every class."""

    def draw(count, width, classes, *, seed=0, distance=1.0):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(classes, (count,), generator=generator)
        labels[:classes] = torch.arange(classes)
        centres = torch.randn(classes, width, generator=generator) * distance
        noise = torch.randn(count, width, generator=generator)
        scale = torch.rand(width, generator=generator) * 3 + 0.1
        shift = torch.randn(width, generator=generator) * 5
        return (centres[labels] + noise) * scale + shift, labels

    return draw


@pytest.fixture
def stream():
    """Return a function that makes a stream of tensors; every block is written over the last one."""

    def stream(features, labels, size=16):
        def blocks():
            memory, names = torch.empty_like(features[:size]), torch.empty_like(labels[:size])
            for start in range(0, len(labels), size):
                count = min(size, len(labels) - start)
                memory[:count] = features[start : start + count]
                names[:count] = labels[start : start + count]
                yield memory[:count], names[:count]

        return blocks

    return stream
