"""The classes behind the targets of declarations: what a plugin implements.

Nothing here imports torch, so that a plan can be made, and a spec checked, without it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import torch
    from PIL import Image

    from tlf.plugin.events import (
        EpochFinished,
        RunFinished,
        RunStarted,
        StepFinished,
        StepStarted,
    )
    from tlf.plugin.outline import Outline
    from tlf.plugin.stages import Backbone
    from tlf.plugin.steps import Budget, Choice, Step


class Options(BaseModel):
    """Base class for the options of a plugin: unknown keys are refused, values are fixed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


OptionsT = TypeVar("OptionsT", bound=BaseModel)

Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class InputConfig:
    """What a backbone's weights were trained to see.

    Attributes:
        size: Side of the square that the network gets, in pixels.
        resize: Length of the shorter side before the centre is cropped, in pixels.
        interpolation: Filter for resizing.
        mean: Per channel (red, green, blue), subtracted from values in [0, 1].
        std: Per channel, the divisor after that.
    """

    size: int = 224
    resize: int = 256
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class WeightsInfo:
    """Where the library's own weights of a model come from.

    Attributes:
        source: Address or hub id, as the library names it.
        digest: Start of the file's sha256 in hexadecimal, as far as the library tells it.
        licence: Licence as the library states it.
        size_bytes: Size of the file, or None if the library does not say.
    """

    source: str
    digest: str | None = None
    licence: str | None = None
    size_bytes: int | None = None


class BackboneFamily(abc.ABC, Generic[OptionsT]):
    """A family of networks that a library can build.

    The library's own modules and Python code always run: a family only says how to create a network
    and where its last classification layer is. tlf finds the stages itself.

    Args:
        options: The family's options, validated.

    Attributes:
        channels_last: Whether its networks may be stored with the channels innermost, which most
            processors prefer. A family that says False gets them as they are.
        autocast: Whether its networks may be computed in a lower precision than float32 where a device
            prefers that. A family that says False is computed in float32.
    """

    channels_last: ClassVar[bool] = True
    autocast: ClassVar[bool] = True

    def __init__(self, options: OptionsT) -> None:
        self.options = options

    @abc.abstractmethod
    def models(self) -> Sequence[str]:
        """Return the names of all models of the family, sorted."""

    @abc.abstractmethod
    def input_config(self, model: str, *, default_weights: bool = True) -> InputConfig:
        """Return what the model's weights were trained to see.

        Args:
            model: One of `models()`.
            default_weights: Whether they are the library's own default. A file does not say how its
                weights were trained; for one, return what is usual for the model.
        """

    @abc.abstractmethod
    def create(self, model: str, image_size: int) -> torch.nn.Module:
        """Create the library's own classifier with random weights, on the default device.

        Called under `torch.device("meta")` to plan, and on the CPU to run. Must not use the network.

        Args:
            model: One of `models()`.
            image_size: Side of the square input image, in pixels.
        """

    @abc.abstractmethod
    def classifier(self, network: torch.nn.Module) -> str | None:
        """Return the path of the last classification layer in a network that `create` made.

        Everything before that layer is the backbone; hidden layers of the classifier belong to it.
        None if the network has no such layer, and what it returns are features.

        Args:
            network: What `create` returned.
        """

    def ignored_weights(self, model: str) -> tuple[str, ...]:  # noqa: ARG002
        """Return prefixes of tensors that the library's weights hold and `create` does not build.

        Auxiliary classifiers, for example. None by default.

        Args:
            model: One of `models()`.
        """
        return ()

    def weights(self, model: str) -> WeightsInfo | None:  # noqa: ARG002
        """Return where the library's own weights come from; None if it has none. No network.

        Args:
            model: One of `models()`.
        """
        return None

    def local_weights(self, model: str) -> Path | None:  # noqa: ARG002
        """Return the file with the library's own weights if it is here already. No network.

        None by default: not here, as far as can be told.

        Args:
            model: One of `models()`.
        """
        return None

    def fetch(self, model: str) -> Path:
        """Return the file with the library's own weights, downloaded if it is not here yet.

        The only method that may use the network.

        Args:
            model: One of `models()`, with `weights(model)` not None.

        Raises:
            WeightsError: The file is not here and cannot be downloaded.
        """
        raise NotImplementedError(f"{type(self).__name__} has no weights for {model}")

    def convert_weights(
        self,
        model: str,  # noqa: ARG002
        network: torch.nn.Module,  # noqa: ARG002
        tensors: Mapping[str, torch.Tensor],
    ) -> Mapping[str, torch.Tensor]:
        """Return the tensors of a weights file under the names and in the shapes of the network.

        For files that an older version of the library wrote, or position tables of another image
        size. The tensors as they are by default.

        Args:
            model: One of `models()`.
            network: What `create` returned, its last classification layer taken off.
            tensors: By name, as the file has them.
        """
        return tensors

    def build(self, model: str, image_size: int) -> Backbone:
        """Return the model as a backbone with random weights, split into stages.

        Args:
            model: One of `models()`.
            image_size: Side of the square input image, in pixels.
        """
        from tlf.plugin.stages import build_backbone

        return build_backbone(self, model, image_size)


class Strategy(abc.ABC, Generic[OptionsT]):
    """A way to spend training: which groups learn when, and how fast. A pure planner.

    One that trains what a network does not have adds it in `prepare` and merges it in `finish`.

    Args:
        options: The strategy's options, validated.

    Attributes:
        pretrained: Whether the backbone starts from the weights that the spec names. A strategy that
            says False starts from random weights, whatever the spec names.
    """

    pretrained: ClassVar[bool] = True

    def __init__(self, options: OptionsT) -> None:
        self.options = options

    @abc.abstractmethod
    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step] | Choice:
        """Return the plan, or another strategy that is to make it. Equal arguments give equal plans.

        Args:
            outline: Stages and groups of the network, the head last.
            budget: What may be spent. The steps must spend exactly that.

        Raises:
            PlanError: The options, though valid, cannot be carried out on this network: they name a
                stage that it does not have, say.
        """

    def prepare(self, backbone: Backbone, outline: Outline) -> None:
        """Add modules to a network: low-rank adapters, say. Does nothing by default.

        Called before `steps`, which then gets the outline of the network with what was added: a stage
        has it in a group of its own, `stage:adapter`. The network computes what it did, up to rounding,
        and its own tensors stay the objects that they are; they may get other names. Between two stages
        one tensor goes on crossing. A module that stands in the place of one of the network's holds it.

        Called under `torch.device("meta")` to plan, and on the CPU to run, where it must add the same.
        New numbers come from torch's generator, which the run has seeded. A strategy with this method
        has `finish` too.

        Args:
            backbone: With its weights, if it is to run. `backbone.module` is changed in place;
                `backbone.stages` says which stage a tensor is of, `backbone.called` which modules'
                forward methods run at all.
            outline: The same network as a planner sees it, with the head.

        Raises:
            PlanError: As for `steps`.
        """

    def finish(self, backbone: Backbone) -> None:
        """Make the library's network again of one that `prepare` has added to, after the last step.

        What was learned goes into the tensors of the modules that were added to, and nothing else
        changes: the network has the library's modules and names, and computes the same, up to rounding.
        The engine looks at both. What cannot be merged so cannot be added: the network that a run
        leaves loads without the plugin. Does nothing by default.

        Args:
            backbone: In float32, on the device. `backbone.module` is changed in place.
        """


class Transform(abc.ABC, Generic[OptionsT]):
    """Makes network inputs of images.

    `load` runs once per image, and what it returns may be stored. `evaluate` and `augment` make a
    view of it: the one view that evaluation sees, or a random one for training.

    Args:
        options: The transform's options, validated.
        config: What the backbone's weights were trained to see.

    Attributes:
        size: Side of the square that `evaluate` and `augment` return, in pixels.
        mean: Per channel, subtracted from values in [0, 1]. The engine does this, on the device.
        std: Per channel, the divisor after that.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __init__(self, options: OptionsT, config: InputConfig) -> None:
        self.options = options
        self.size = config.size
        self.mean = config.mean
        self.std = config.std

    def describe(self) -> Mapping[str, object]:
        """Return its options as they resolved, as plain JSON values: what `plan.json` holds of them.

        The options as given, by default. A transform that fills in what they leave open, from
        `config` say, adds what it took. Called once a plan.
        """
        return self.options.model_dump(mode="json")

    @abc.abstractmethod
    def load(self, image: Image.Image) -> torch.Tensor:
        """Return the image as uint8 `(3, H, W)`, `H` and `W` the same for every image.

        Deterministic: the same image gives the same bytes.

        Args:
            image: In any mode of PIL's. `tlf.plugin.to_rgb` makes an RGB image of it.
        """

    def evaluate(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the deterministic view: uint8 `(N, 3, size, size)`. The batch itself by default.

        Args:
            batch: What `load` returned, uint8 `(N, 3, H, W)`.
        """
        return batch

    def augment(
        self,
        batch: torch.Tensor,
        generators: Sequence[torch.Generator],  # noqa: ARG002
    ) -> torch.Tensor:
        """Return a random view of each item: uint8 `(N, 3, size, size)`. `evaluate` by default.

        An item's view may depend on its own generator only, never on the rest of the batch.

        Args:
            batch: What `load` returned, uint8 `(N, 3, H, W)`.
            generators: One for each item, on the CPU.
        """
        return self.evaluate(batch)


@dataclass(frozen=True)
class Availability:
    """Whether a device can be used here.

    Attributes:
        available: Whether it can.
        reason: Why, or why not, in a few words: `4 threads, AVX-512`.
    """

    available: bool
    reason: str


class Device(abc.ABC):
    """A device that is ready to run networks.

    Attributes:
        torch_device: Where tensors go.
        precision: What matrix products and convolutions are computed in.
        channels_last: Whether `(N, C, H, W)` tensors are stored with the channels innermost.
        chunk_size: How many images of 224 pixels are evaluated at a time; of smaller ones up to
            eight times as many, of larger ones fewer. Fixed, and short batches are padded, so
            that an item's result never depends on what it is evaluated with.
        reason: Why this device and precision, in a few words.
        pin_memory: Whether inputs wait in pinned memory and travel while the processor goes on. For
            devices that torch can pin memory for: CUDA's. False by default.
        deterministic: Whether a run may use only operations that give the same bytes each time. The
            engine holds torch to that for as long as the run takes. False by default.
    """

    torch_device: torch.device
    precision: Precision
    channels_last: bool
    chunk_size: int
    reason: str
    pin_memory: bool = False
    deterministic: bool = False

    @abc.abstractmethod
    def autocast(self) -> torch.autocast:
        """Return a context in which forward passes run in `precision`."""

    @abc.abstractmethod
    def synchronize(self) -> None:
        """Wait until all work given to the device is done."""

    @abc.abstractmethod
    def peak_memory_bytes(self) -> int:
        """Return the most memory that this process has held on the device so far, in bytes."""

    def reset_peak_memory(self) -> None:  # noqa: B027 - most devices need not
        """Let `peak_memory_bytes` count from now on, where that can be done: a run follows another.

        Does nothing by default.
        """


class DeviceBackend(abc.ABC, Generic[OptionsT]):
    """A kind of device.

    Args:
        options: The device's options, validated.
    """

    def __init__(self, options: OptionsT) -> None:
        self.options = options

    @abc.abstractmethod
    def is_available(self) -> Availability:
        """Say whether the device can be used here, and why. Must not raise."""

    @abc.abstractmethod
    def create(self) -> Device:
        """Return the device, ready to run. Called only if it is available."""


#: Whether an image is of exactly one class, or of any number of them.
Task: TypeAlias = Literal["single-label", "multi-label"]


@dataclass(frozen=True)
class Item:
    """One labelled image.

    Attributes:
        id: Unique within its data set and the same in every run: a path below the data's folder, say.
            One line of text, as the names of classes and the notes are.
        label: Index of its class in `Dataset.classes`. In a multi-label data set a tuple of such
            indices, each once and in rising order; it is empty if the image shows none of the classes.
        read: Returns the bytes of an image file, or the pixels as uint8 `(H, W)` or `(H, W, 3)`.
            Must work in another thread or process.
        path: The file whose bytes `read` returns, if it returns a file's bytes. Its content is then
            not read again to see that it is still the same: its size and times tell.
        group: What it belongs together with: photographs of one patient, frames of one film. Items
            of one group are never in two splits, and whatever is held out of train takes or leaves
            the whole of it. One line of text; None for an item on its own.
    """

    id: str
    label: int | tuple[int, ...]
    read: Callable[[], bytes | np.ndarray]
    path: Path | None = None
    group: str | None = None

    @property
    def labels(self) -> tuple[int, ...]:
        """Indices of all its classes: one, or in a multi-label data set any number."""
        return self.label if isinstance(self.label, tuple) else (self.label,)


@dataclass(frozen=True)
class Dataset:
    """Labelled images in named splits.

    Attributes:
        classes: Names of the classes; an item's label is an index into them. At least two.
        splits: Items by split, in a fixed order: `train` and `validation`, perhaps `test`. No item
            is in two splits, and no group.
        notes: What a user should know about how the data were read: what was passed over, say.
        task: Whether an image is of exactly one class, or of any number of them.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[Item]]
    notes: tuple[str, ...] = ()
    task: Task = "single-label"


class DataSource(abc.ABC, Generic[OptionsT]):
    """A place that labelled images come from.

    Args:
        options: The data source's options, validated.
        folder: What relative paths in the options start from: the folder of the spec file.
    """

    def __init__(self, options: OptionsT, folder: Path) -> None:
        self.options = options
        self.folder = folder

    @classmethod
    def recognise(cls, folder: Path) -> Mapping[str, object] | None:  # noqa: ARG003
        """Return options that read what is in a folder; None if it is nothing of this source's.

        `tlf init` asks every data source. Paths in the options begin with `folder` as it is given.
        None by default.

        Args:
            folder: A folder that is there.

        Raises:
            DataError: It is of this source's kind, but something is wrong with it.
        """
        return None

    @abc.abstractmethod
    def open(self) -> Dataset:
        """List the images and labels, without decoding any.

        Raises:
            DataError: The data are not there or cannot be used.
        """


class Observer(abc.ABC, Generic[OptionsT]):
    """Hears of a run and changes nothing: writes a table, or tells a tracking server.

    Each method does nothing by default. What it is given is its own copy. One that raises is said in a
    warning, and the observer hears nothing more of that run, which goes on. The random generators, and
    what torch is set to, are put back behind it.

    Args:
        options: The observer's options, validated.
        folder: What relative paths in the options start from: the folder of the spec file.
    """

    def __init__(self, options: OptionsT, folder: Path) -> None:
        self.options = options
        self.folder = folder

    def run_started(self, event: RunStarted) -> None:
        """The run directory is there, and training begins.

        Args:
            event: What is known of the run.
        """

    def step_started(self, event: StepStarted) -> None:
        """A step of the plan begins.

        Args:
            event: The step.
        """

    def epoch_finished(self, event: EpochFinished) -> None:
        """An epoch was trained and evaluated.

        Args:
            event: What it came to.
        """

    def step_finished(self, event: StepFinished) -> None:
        """A step of the plan is over.

        Args:
            event: What it came to.
        """

    def run_finished(self, event: RunFinished) -> None:
        """The run is over: done, failed or stopped. Not called if it never started.

        Args:
            event: What it came to.
        """


#: What the target of a declaration must be a subclass of, by kind.
INTERFACES: Mapping[str, type] = {
    "backbone-family": BackboneFamily,
    "data-source": DataSource,
    "device": DeviceBackend,
    "observer": Observer,
    "strategy": Strategy,
    "transform": Transform,
}
