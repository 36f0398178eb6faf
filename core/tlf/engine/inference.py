"""The one function that everything frozen goes through, cached or not.

It computes what the network computes in evaluation mode, faster: batch normalisations are folded into
the convolutions before them, and weights are rounded to the device's precision once instead of at each
call. It always works on chunks of one size, filled up where need be, so that what it makes of an image
does not depend on the images beside it; and where it still depends on the place among them, as it does
where numbers are rounded differently at the end of a chunk, it works on one image at a time. That is
why its results may be kept.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from tlf.engine.rounding import EvenRounding

if TYPE_CHECKING:
    from tlf.plugin import Device, Precision
    from tlf.plugin.stages import Backbone

#: Bytes. Torch aligns new tensors at this.
ALIGNMENT = 64

_LOWER = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Inference:
    """A backbone in evaluation mode, ready to be run in parts.

    Args:
        backbone: The network, on the device. It is left as it is; `update` takes its weights again.
        device: Gives the precision.
        chunk_size: How many images are best computed at a time, at least 1.

    Attributes:
        stages: How many stages there are.
        chunk_size: How many images are best computed at a time.
    """

    def __init__(self, backbone: Backbone, device: Device, chunk_size: int) -> None:
        self.stages = len(backbone.stages)
        self.chunk_size = chunk_size
        self._device = device
        self._source = backbone

    @cached_property
    def _twin(self) -> Twin:
        # Made when it is first needed: where everything is stored, it never is.
        return Twin(self._source, self._device.precision)

    @cached_property
    def _way(self) -> tuple[int, bool]:
        """How many images are computed at a time, and whether their rounding has to be made even.

        The last rows of a product of matrices may be rounded in another way than the others. Whether
        that reaches the features depends on the network, the processor and the threads, so it is
        tried, with random images, each of them in two neighbouring places. That takes as long as two
        chunks. If it does, images are computed one at a time.
        """
        size = self.chunk_size
        # Its own preparations are no part of what is tried.
        _ = self._twin
        with EvenRounding() as rounding:
            found = self._run(self._random_images(0), 0, self.stages, size)
        even = rounding.copies > 0
        with EvenRounding() if even else nullcontext():
            turned = self._run(self._random_images(1), 0, self.stages, size)
        return (size, even) if turned.roll(-1, 0).equal(found) else (1, False)

    @property
    def rows_at_once(self) -> int:
        """How many images are computed at a time: a chunk, or one if its place in a chunk matters."""
        return self._way[0]

    def _random_images(self, places: int) -> torch.Tensor:
        """Return a chunk of images, always the same ones, moved on by some places."""
        side, generator = self._source.image_size, torch.Generator().manual_seed(0)
        images = torch.randn(self.chunk_size, 3, side, side, generator=generator).roll(places, 0)
        layout = torch.channels_last if self._device.channels_last else torch.contiguous_format
        return images.to(self._device.torch_device).contiguous(memory_format=layout)

    def take(self, backbone: Backbone) -> None:
        """Take another network.

        Args:
            backbone: On the device, of as many stages.
        """
        self._source = backbone
        for made in ("_twin", "_way"):
            self.__dict__.pop(made, None)

    def prepare(self) -> None:
        """Do now what is done once, before the first images."""
        _ = self._way

    def update(self, first_stage: int = 0) -> None:
        """Take the weights of the network as they are now.

        Args:
            first_stage: Index of the first stage whose weights may have changed.
        """
        if "_twin" in self.__dict__:
            self._twin.update(first_stage)

    def exact_cut(self, wanted: int) -> int:
        """Return the last cut, up to the one wanted, at which running two parts changes no feature.

        Args:
            wanted: Number of stages before the cut, up to all.
        """
        if wanted in (0, self.stages):
            return wanted
        with self._device.autocast():
            return self._twin.backbone.exact_cut(wanted)

    def run(self, tensor: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Run some of the stages on any number of images, a chunk at a time.

        Args:
            tensor: What goes into the first of them, on the device: `(N, 3, S, S)`, normalised, if
                that is stage 0, else what this function returned for it.
            start: Index of the first stage.
            stop: Index after the last stage.

        Returns:
            What the last of the stages returns, `(N, …)`, without gaps in memory; the tensor itself
            if there are none.
        """
        if start == stop:
            return tensor
        size, even = self._way
        with EvenRounding() if even else nullcontext():
            return self._run(tensor, start, stop, size)

    @torch.no_grad()
    def _run(self, tensor: torch.Tensor, start: int, stop: int, size: int) -> torch.Tensor:
        twin = self._twin.backbone

        def part(chunk: torch.Tensor) -> torch.Tensor:
            with self._device.autocast():
                return twin.run(chunk, start, stop)

        return in_chunks(part, tensor, size)


class Twin:
    """A copy of a backbone that computes the same in evaluation mode, faster.

    Args:
        source: The network.
        precision: What it is computed in.

    Attributes:
        backbone: The copy.
    """

    def __init__(self, source: Backbone, precision: Precision) -> None:
        self.backbone = copy.deepcopy(source)
        # Cuts that are exact in the network's own precision need not be so in this one.
        self.backbone.forget_cuts()
        self._source = source
        for parameter in self.backbone.module.parameters():
            parameter.requires_grad_(False)
        for stage in self.backbone.stages:
            stage.eval()
        self._modules = dict(self.backbone.module.named_modules())
        # A folded weight may be too large for float16, which ends at 65504.
        self._norm_of = {} if precision == "float16" else self._find_folds()
        for path, norm in self._norm_of.items():
            self._make_room(path, norm)
        self._lower(_LOWER.get(precision))
        self.update(0)

    def _find_folds(self) -> dict[str, str]:
        """Return the paths of convolutions, each with that of the norm that folds into it."""
        stage_of = {
            name: index
            for index, stage in enumerate(self.backbone.stages)
            for group in stage.groups.values()
            for name in (*group.parameters, *group.buffers)
        }
        return {
            fold.convolution: fold.norm
            for fold in self.backbone.folds
            # Other kinds may keep their weights in another order.
            if isinstance(self._modules[fold.convolution], nn.Conv2d)
            and isinstance(self._modules[fold.norm], nn.BatchNorm2d)
            # What crosses between two stages must be what the network has there.
            and stage_of[f"{fold.convolution}.weight"] == stage_of[f"{fold.norm}.running_mean"]
        }

    def _make_room(self, path: str, norm_path: str) -> None:
        convolution, norm = self._modules[path], self._modules[norm_path]
        assert isinstance(convolution, nn.Conv2d)
        if convolution.bias is None:
            bias = convolution.weight.new_zeros(convolution.out_channels)
            convolution.bias = nn.Parameter(bias, requires_grad=False)
        norm.__dict__["forward"] = _without_normalising(norm)

    def _lower(self, dtype: torch.dtype | None) -> None:
        """Bring what is only ever multiplied to the precision of the device."""
        if dtype is not None:
            for name in {*self.backbone.lowered, *(f"{path}.bias" for path in self._norm_of)}:
                tensor = self.backbone.module.get_parameter(name)
                tensor.data = tensor.data.to(dtype)

    @torch.no_grad()
    def update(self, first_stage: int) -> None:
        """Take the weights of the network as they are now.

        Args:
            first_stage: Index of the first stage whose weights may have changed.
        """
        source, mine = _tensors_of(self._source.module), _tensors_of(self.backbone.module)
        folded = set()
        for stage in self._source.stages[first_stage:]:
            for group in stage.groups.values():
                for name in (*group.parameters, *group.buffers):
                    path, _, leaf = name.rpartition(".")
                    if path in self._norm_of and leaf in ("weight", "bias"):
                        folded.add(path)
                    else:
                        mine[name].copy_(source[name])
        for path in folded:
            self._fold(path)

    def _fold(self, path: str) -> None:
        convolution = self._source.module.get_submodule(path)
        norm = self._source.module.get_submodule(self._norm_of[path])
        weight, bias = fuse_conv_bn_weights(
            convolution.weight,  # type: ignore[arg-type]
            convolution.bias,  # type: ignore[arg-type]
            norm.running_mean,  # type: ignore[arg-type]
            norm.running_var,  # type: ignore[arg-type]
            norm.eps,  # type: ignore[arg-type]
            norm.weight,  # type: ignore[arg-type]
            norm.bias,  # type: ignore[arg-type]
        )
        self._modules[path].weight.copy_(weight)
        self._modules[path].bias.copy_(bias)


def in_chunks(
    function: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, size: int
) -> torch.Tensor:
    """Return what a function makes of rows, computed so many at a time, the last ones filled up.

    Args:
        function: Makes `(size, …)` of `(size, …)`, each row of its own.
        rows: `(N, …)`, N at least 1.
        size: Of a chunk.

    Returns:
        `(N, …)`, without gaps in memory, in the memory order of what the function returns.
    """
    result: torch.Tensor | None = None
    for begin in range(0, len(rows), size):
        part = rows[begin : begin + size]
        valid = len(part)
        done = function(_filled_up(part, size))[:valid]
        if result is None:
            result = empty_rows(done, len(rows))
        result[begin : begin + valid] = done
    assert result is not None
    return result


def empty_rows(like: torch.Tensor, count: int) -> torch.Tensor:
    """Return room for some rows, in the memory order of others and without gaps.

    Args:
        like: `(N, …)`, N at least 1.
        count: How many rows.
    """
    steps = like.stride()
    inner = sorted(range(1, like.ndim), key=lambda dim: (-steps[dim], dim))
    strides = [1] * like.ndim
    step = 1
    for dim in reversed([0, *inner]):
        strides[dim] = step
        step *= count if dim == 0 else like.shape[dim]
    shape = (count, *like.shape[1:])
    return torch.empty_strided(shape, strides, dtype=like.dtype, device=like.device)


def _filled_up(part: torch.Tensor, size: int) -> torch.Tensor:
    """Return a chunk of full size: the last row again and again behind the others.

    It lies in memory as any new tensor does. Products of matrices may be rounded in another way where
    their rows lie otherwise.
    """
    if len(part) == size and part.data_ptr() % ALIGNMENT == 0:
        return part
    whole = empty_rows(part, size)
    whole[: len(part)] = part
    whole[len(part) :] = part[-1:]
    return whole


def _tensors_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _without_normalising(norm: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what a normalisation does beside normalising: nothing, or an activation, say."""
    if type(norm) in (nn.BatchNorm2d, nn.SyncBatchNorm):
        return lambda tensor: tensor
    forward = norm.forward

    def rest(tensor: torch.Tensor) -> torch.Tensor:
        with _Unnormalised():
            return forward(tensor)  # type: ignore[no-any-return]

    return rest


class _Unnormalised(TorchFunctionMode):
    """Inside it, batch normalisation returns what it gets."""

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if func in (nn.functional.batch_norm, torch.batch_norm):
            return args[0] if args else (kwargs or {})["input"]
        return func(*args, **(kwargs or {}))
