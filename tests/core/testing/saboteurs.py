"""How a test says which promise a saboteur breaks, and the toys that break none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from tlf.plugin import Options
from tlf.testing.toys import (
    ToyBackend,
    ToyFamily,
    ToyObserver,
    ToySource,
    ToyStrategy,
    ToyTransform,
)


@dataclass(frozen=True)
class Saboteur:
    """A plugin that breaks one promise.

    Attributes:
        check: The check that must catch it.
        target: The class that the declaration names; None for a healthy one.
        words: What the check must say, as a regular expression.
        declared: What the declaration says differently.
    """

    check: Callable[..., None]
    target: object
    words: str
    declared: Mapping[str, object] = field(default_factory=dict)

    def __str__(self):
        what = getattr(self.target, "__name__", None) or "-".join(self.declared)
        return f"{self.check.__name__.removeprefix('check_')}-{what}"


class NamedNetwork(nn.Module):
    """About a thousand parameters in a few stages, with all that has a mode; each layer has a name."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.middle, self.middle_norm = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.2)
        self.top = nn.Conv2d(6, 6, 3, padding=1)
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))

    def features(self, x):
        x = self.stem_norm(self.stem(x)).relu()
        x = self.middle_norm(self.middle(x)).relu()
        return self.top(self.drop(x))


class NamedFamily(ToyFamily):
    network = NamedNetwork


class ToyOptions(Options):
    width: int = 1


#: The healthy toy of each kind, and what its declaration says besides.
HEALTHY = {
    "backbone-family": (ToyFamily, {"name": "toy", "example_models": ("tiny",)}),
    "data-source": (ToySource, {"example_files": "tlf_toy:write"}),
    "device": (ToyBackend, {}),
    "observer": (ToyObserver, {}),
    "strategy": (ToyStrategy, {}),
    "transform": (ToyTransform, {}),
}
