import pytest

from tlf.discovery import discover
from tlf.registry import Registry
from tlf.spec import load_raw

STRATEGY = """
import dataclasses
from pydantic import Field, model_validator
from tlf.plugin import Options, Strategy


class HalfOptions(Options):
    share: float = Field(default=0.5, gt=0.0, le=1.0, description="How much of it learns.")
    words: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self):
        if self.share == 0.25:
            raise ValueError("`share` is not liked")
        if self.share == 0.75:
            raise RuntimeError("out of order")
        return self


class Half(Strategy):
    def steps(self, outline, budget):
        return []

    def __init__(self, options, *more):
        if more == ("fail",):
            raise KeyError("fail")
        self.options, self.more = options, more
"""


@pytest.fixture
def installed():
    """The registry of what is installed at this moment."""
    return lambda: Registry(discover())


@pytest.fixture
def acme(distribute, strategies, installed):
    """A registry with the strategy `acme/half` in it."""
    distribute("acme", STRATEGY + strategies("acme/half", options="MODULE:HalfOptions"))
    return installed()


@pytest.fixture
def raw():
    """Read a small valid spec, changed as a test needs it."""

    def read(**changes):
        data = {"name": "image-folder", "options": {"folder": "photographs"}}
        spec = {"data": data, "backbone": "torchvision/resnet18", **changes}
        return load_raw({key: value for key, value in spec.items() if value is not ...})

    return read
