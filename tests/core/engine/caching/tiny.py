"""A plugin with a network that is quick to build and has all that matters here, and strategies for it.

It is installed from its text, so it imports nothing from beside it.
"""

from torch import nn

from tlf.plugin import (
    BackboneFamily,
    BackboneFamilyDeclaration,
    Declaration,
    InputConfig,
    Solve,
    Strategy,
    Train,
    hookimpl,
)


class Block(nn.Module):
    """A residual block: its sum is a cut, the inside of it is none."""

    def __init__(self, width):
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.activation = nn.Hardswish()

    def forward(self, x):
        return x + self.activation(self.norm(self.convolution(x)))


class Tiny(nn.Module):
    """Convolutions with norms, blocks, dropout, and a hidden layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.first = Block(8)
        self.second = Block(8)
        self.third = Block(8)
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(32, 24), nn.GELU(), nn.Dropout(0.1))
        self.classifier = nn.Linear(24, 10)

    def forward(self, x):
        x = self.third(self.second(self.first(self.stem(x))))
        return self.classifier(self.hidden(self.pool(x)))


class Family(BackboneFamily):
    """Of one network."""

    def models(self):
        return ["tiny"]

    def input_config(self, model, *, default_weights=True):
        return InputConfig(size=32, resize=36)

    def create(self, model, image_size):
        return Tiny()

    def classifier(self, network):
        return "classifier"


class HeadTwice(Strategy):
    """What feature extraction does, in two steps."""

    def steps(self, outline, budget):
        return [
            Train(name="first", trainable=(outline.head,), epochs=1),
            Train(name="second", trainable=(outline.head,), epochs=budget.epochs - 1),
        ]


class TopThenHead(Strategy):
    """Train the last stage, and freeze it again."""

    def steps(self, outline, budget):
        top = outline.stages[-2].name
        return [
            Train(name="top", trainable=(top, outline.head), epochs=1),
            Train(name="head", trainable=(outline.head,), epochs=budget.epochs - 1),
        ]


class HeadTopHead(Strategy):
    """Freeze the same stages twice, with other weights the second time."""

    def steps(self, outline, budget):
        top = outline.stages[-2].name
        return [
            Train(name="before", trainable=(outline.head,), epochs=1),
            Train(name="top", trainable=(top, outline.head), epochs=1),
            Train(name="after", trainable=(outline.head,), epochs=budget.epochs - 2),
        ]


class MiddleOnly(Strategy):
    """Train a stage with frozen ones before it and behind it."""

    def steps(self, outline, budget):
        middle = outline.stages[2].name
        return [Train(name="middle", trainable=(middle, outline.head), epochs=budget.epochs)]


class BottomThenTop(Strategy):
    """Train below what the next step has for its frozen part, and then above it."""

    def steps(self, outline, budget):
        bottom, top = outline.stages[0].name, outline.stages[-2].name
        return [
            Train(name="bottom", trainable=(bottom, outline.head), epochs=1),
            Train(name="top", trainable=(top, outline.head), epochs=budget.epochs - 1),
        ]


class Solved(Strategy):
    """Solve for the head, and choose how."""

    def steps(self, outline, budget):
        return [Solve(name="solved", grid=(0.01, 1.0))]


class SolvedThenThawed(Strategy):
    """Solve for the head, and go on from there."""

    def steps(self, outline, budget):
        top = outline.stages[-2].name
        return [
            Solve(name="solved", grid=(0.1,)),
            Train(name="top", trainable=(top, outline.head), epochs=budget.epochs),
        ]


@hookimpl
def tlf_backbone_families():
    return [
        BackboneFamilyDeclaration(
            name="acme", summary="x", target=f"{__name__}:Family", example_models=("tiny",)
        )
    ]


@hookimpl
def tlf_strategies():
    named = {
        "head-twice": HeadTwice,
        "top-then-head": TopThenHead,
        "head-top-head": HeadTopHead,
        "middle-only": MiddleOnly,
        "bottom-then-top": BottomThenTop,
        "solved": Solved,
        "solved-then-thawed": SolvedThenThawed,
    }
    return [
        Declaration(name=f"acme/{name}", summary="x", target=f"{__name__}:{kind.__name__}")
        for name, kind in named.items()
    ]
