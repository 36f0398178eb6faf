"""Networks of a backbone family under test, and the library's own beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tlf.plugin import BackboneFamily, InputConfig
from tlf.testing.promises import create, must_work, require

if TYPE_CHECKING:
    import torch

    from tlf.plugin import Backbone
    from tlf.registry import Entry

__tracebackhide__ = True


def family_of(entry: Entry, example: Mapping[str, Any]) -> BackboneFamily[Any]:
    """Return a family with some options.

    Args:
        entry: The family.
        example: Its options.
    """
    family: BackboneFamily[Any] = create(entry, example)
    return family


def input_config_of(family: BackboneFamily[Any], model: str) -> InputConfig:
    """Return what a model's weights were trained to see, with a size that can be used.

    Args:
        family: The family.
        model: One of its models.
    """
    with must_work("`input_config`"):
        config = family.input_config(model)
    require(
        isinstance(config, InputConfig),
        f"`input_config` must return an `InputConfig`, not {config!r}",
    )
    require(
        isinstance(config.size, int) and isinstance(config.resize, int) and config.size >= 1,
        f"`size` and `resize` must be whole numbers of pixels, not {config.size!r} and "
        f"{config.resize!r}",
    )
    return config


@contextmanager
def built(
    entry: Entry, model: str, example: Mapping[str, Any]
) -> Iterator[tuple[Backbone, torch.Tensor]]:
    """Give a backbone with random weights and statistics, in evaluation mode, and two images.

    Whatever the network raises while the block lasts is a broken promise. One thread computes: some
    sums depend on how threads meet, and on a busy machine threads spend their time waiting.

    Args:
        entry: The family.
        model: One of its models.
        example: Options of the family.
    """
    import torch

    family = family_of(entry, example)
    size = input_config_of(family, model).size
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(0)
        backbone = build_backbone(family, model, size)
        _randomise(backbone.module)
        for stage in backbone.stages:
            stage.eval()
        with must_work(f"running the network of `{model}`"):
            yield backbone, torch.randn(2, 3, size, size)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let one thread compute while the block lasts: for tiny networks more of them are slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def build_backbone(family: BackboneFamily[Any], model: str, size: int) -> Backbone:
    """Return a model as a backbone with random weights.

    Args:
        family: The family.
        model: One of its models.
        size: Side of the square input image, in pixels.
    """
    from tlf.plugin.stages import Backbone

    network = create_network(family, model, size)
    with must_work("`classifier`"):
        path = family.classifier(network)
    require(
        path is None or (isinstance(path, str) and path in dict(network.named_modules()) and path),
        f"`classifier` must return the path of a layer in what `create` returned, not {path!r}",
    )
    last = "" if path is None else f" without its last layer `{path}`,"
    with must_work(f"splitting `{model}` into stages,{last}"):
        backbone = family.build(model, size)
    require(isinstance(backbone, Backbone), f"`build` must return a `Backbone`, not {backbone!r}")
    return backbone


def create_network(family: BackboneFamily[Any], model: str, size: int) -> torch.nn.Module:
    """Return the library's own network with random weights.

    Args:
        family: The family.
        model: One of its models.
        size: Side of the square input image, in pixels.
    """
    import torch

    with must_work(f"`create` of `{model}`"):
        network = family.create(model, size)
    is_network = isinstance(network, torch.nn.Module)
    require(is_network, f"`create` must return a `torch.nn.Module`, not {network!r}")
    fixed = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    require(
        not fixed,
        f"`create` must return parameters that can learn, and {fixed[:5]} cannot: what is frozen is "
        "the strategy's to say",
    )
    return network


def _randomise(module: torch.nn.Module) -> None:
    # Libraries start many layers at zero, and zeros hide mistakes.
    import torch

    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(torch.randn_like(buffer) * 0.1)


class Library:
    """The library's own network, which tlf never touched, seen just before its last layer.

    Args:
        network: The network.
        classifier: Path of its last layer, or None if it returns features.
    """

    def __init__(self, network: torch.nn.Module, classifier: str | None) -> None:
        self.network = network
        self._layer = None if classifier is None else network.get_submodule(classifier)

    def eval(self) -> Library:
        """Switch the network to evaluation mode."""
        self.network.eval()
        return self

    def train(self) -> None:
        """Switch the network to train mode."""
        self.network.train()

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the network gives its last layer, or what it returns if it has none.

        Args:
            images: Float `(N, 3, S, S)`, normalised.
        """
        if self._layer is None:
            features: torch.Tensor = self.network(images)
            return features
        seen: list[torch.Tensor] = []
        handle = self._layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        try:
            self.network(images)
        finally:
            handle.remove()
        require(len(seen) == 1, "the layer that `classifier` names must be called exactly once")
        return seen[0]


def untouched(entry: Entry, model: str, example: Mapping[str, Any], backbone: Backbone) -> Library:
    """Return a network of the library's with the backbone's weights.

    Args:
        entry: The family.
        model: One of its models.
        example: Options of the family.
        backbone: The same model as tlf runs it.
    """
    from tlf.plugin.stages.state import load_state

    family = family_of(entry, example)
    network = create_network(family, model, backbone.image_size)
    with must_work("giving the backbone's weights to a network that `create` makes"):
        load_state(network, {**network.state_dict(), **backbone.module.state_dict()}, strict=True)
    return Library(network, family.classifier(network))
