"""What the runs of these tests are made of."""

import os

import torch
from PIL import Image

from tlf.engine.listener import Listener

from .tiny import Tiny

#: What a run computes. What it took is in other files.
RESULTS = ("metrics.jsonl", "model.safetensors", "predictions.jsonl")

#: Our own, which takes a tenth of a second a run.
TINY = "acme/tiny"

#: By split and class. 17 images make batches of 8 and 9, and chunks that are not full.
COUNTS = {("train", "red"): 9, ("train", "blue"): 8, ("val", "red"): 4, ("val", "blue"): 3}
TRAIN, VALIDATION = 17, 7
ALL = TRAIN + VALIDATION

#: Long enough that a file's time of change says something about its content.
LONG_AGO = 1_600_000_000


class Heard(Listener):
    """Keeps warnings and losses, and does something when it hears something."""

    def __init__(self, **reactions):
        self.warnings = []
        self.losses = []
        self._reactions = reactions

    def _react(self, name):
        if name in self._reactions:
            self._reactions[name]()

    def loading(self, done, total):
        self._react("loading")

    def directory(self, path):
        self._react("directory")

    def warning(self, message):
        self.warnings.append(message)

    def step_started(self, step):
        self._react("step_started")

    def batch_finished(self, epoch, images, loss):
        self.losses.append(loss)
        self._react("batch_finished")

    def epoch_finished(self, record):
        self._react("epoch_finished")


def write_image(path, pixels):
    """Write an image into a file that was changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    os.utime(path, (LONG_AGO, LONG_AGO))


def random_network(backbone):
    """Return a library's own network for 32 pixels, with weights under which features matter.

    Where norms have the statistics that they begin with, those of a deep network are all but zero.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        network = _create(*backbone.split("/"))
        norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
        for norm in norms:
            norm.momentum = None
        network.train()
        network(torch.randn(32, 3, 32, 32))
        for norm in norms:
            # As if of other images: what is normalised with them does not come out normal.
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.5, 1.5))
    return network


def _create(family, name):
    if family == "acme":
        return Tiny()
    if family == "torchvision":
        import torchvision

        return torchvision.models.get_model(name, weights=None)
    import timm

    return timm.create_model(name, **({"img_size": 32} if name.startswith("vit") else {}))
