"""Checks for backbone families, on the small models that the declaration names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlf.plugin import WeightsInfo
from tlf.testing.network_use import network_use
from tlf.testing.networks import (
    build_backbone,
    built,
    create_network,
    family_of,
    input_config_of,
    untouched,
)
from tlf.testing.promises import ContractError, are_numbers, is_list, must_work, require

if TYPE_CHECKING:
    import torch

    from tlf.plugin import Backbone
    from tlf.plugin.stages import Stage
    from tlf.registry import Entry

__tracebackhide__ = True


def check_model_is_listed(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """`models` is sorted, without doubles, and has the example."""
    family = family_of(entry, example)
    with must_work("`models`"):
        models = family.models()
    require(
        is_list(models) and all(isinstance(name, str) for name in models),
        f"`models` must return a list of names, not {models!r}",
    )
    require(list(models) == sorted(set(models)), "`models` must be sorted and without doubles")
    require(model in models, f"the example model `{model}` is not in `models`")


def check_input_is_described(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """Size, resize, interpolation, mean and std are there and sane."""
    config = input_config_of(family_of(entry, example), model)
    require(
        config.size <= config.resize,
        f"`resize` ({config.resize}) must not be smaller than `size` ({config.size}), which is cropped "
        "from it",
    )
    known = ("bilinear", "bicubic")
    require(
        config.interpolation in known,
        f"`interpolation` must be one of {', '.join(known)}, not {config.interpolation!r}",
    )
    for name, values, least in (("mean", config.mean, -10.0), ("std", config.std, 0.0)):
        require(
            are_numbers(values) and len(values) == 3 and all(least < v < 10 for v in values),
            f"`{name}` must be three numbers on the scale of 0 to 1, not {values!r}"
            + (", and above 0" if name == "std" else ""),
        )


def check_weights_are_found_without_the_network(
    entry: Entry, model: str, example: Mapping[str, Any]
) -> None:
    """`weights` and `local_weights` agree, and `fetch` gives a file that is here already."""
    family = family_of(entry, example)
    with network_use() as used:
        with must_work("`weights`"):
            info = family.weights(model)
        with must_work("`local_weights`"):
            here = family.local_weights(model)
        require(not used, f"`weights` and `local_weights` must not use the network: {used}")
    _check_info(info)
    if here is None:
        return
    require(info is not None, "`local_weights` returns a file, and `weights` says there is none")
    require(
        isinstance(here, Path) and here.is_file(),
        f"`local_weights` must return the path of a file that is here, or None, not {here!r}",
    )
    with network_use() as used:
        with must_work("`fetch` of weights that `local_weights` finds"):
            path = family.fetch(model)
        require(not used, f"`fetch` must not use the network for a file that is here: {used}")
    require(
        isinstance(path, Path) and path.is_file() and path.samefile(here),
        f"`fetch` must return the file that `local_weights` finds, {str(here)!r}, not {path!r}",
    )


def _check_info(info: object) -> None:
    if info is None:
        return
    require(
        isinstance(info, WeightsInfo),
        f"`weights` must return a `WeightsInfo` or None, not {info!r}",
    )
    source, digest, licence, size = (
        getattr(info, name) for name in ("source", "digest", "licence", "size_bytes")
    )
    require(
        isinstance(source, str) and source,
        f"`source` of the weights must be a text, not {source!r}",
    )
    require(
        digest is None or (isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{4,64}", digest)),
        f"`digest` of the weights must be the start of a sha256, in hexadecimal, not {digest!r}",
    )
    require(
        licence is None or (isinstance(licence, str) and licence),
        f"`licence` of the weights must be a text or None, not {licence!r}",
    )
    require(
        size is None or (type(size) is int and size > 0),
        f"`size_bytes` of the weights must be a number of bytes or None, not {size!r}",
    )


def check_features_are_flat(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """The backbone gives `(N, output_width)`, finite and different for different images."""
    import torch

    with built(entry, model, example) as (backbone, images), torch.no_grad():
        features = backbone(images)
        require(
            tuple(features.shape) == (2, backbone.output_width),
            f"features must be (2, {backbone.output_width}), not {tuple(features.shape)}",
        )
        require(bool(features.isfinite().all()), "features are not finite")
        require(not features[0].equal(features[1]), "two different images give equal features")


def check_state_has_the_librarys_names(
    entry: Entry, model: str, example: Mapping[str, Any]
) -> None:
    """The backbone's tensors and those of its classifier are the library's, under its names."""
    with built(entry, model, example) as (backbone, _):
        library = create_network(family_of(entry, example), model, backbone.image_size).state_dict()
        own = backbone.module.state_dict()
        differing = (own.keys() | backbone.classifier) ^ library.keys()
        differing |= {
            name for name in own.keys() & library if own[name].shape != library[name].shape
        }
        require(
            not differing,
            f"`create` and the backbone differ in the tensors {sorted(differing)[:5]}: "
            "`create` must build the same network each time, and `build` must not change it",
        )


def check_features_are_the_librarys(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """In evaluation mode: what the library's untouched network gives its last layer, bit for bit."""
    import torch

    with built(entry, model, example) as (backbone, images), torch.no_grad():
        library = untouched(entry, model, example, backbone)
        wanted = library.eval().features(images)
        require(
            _agree(backbone(images), wanted),
            "in evaluation mode the features are not what the library's network gives the layer "
            "that `classifier` names: is that the last layer?",
        )


def check_training_is_the_librarys(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """In train mode, with one seed: the library's features, gradients and buffers, bit for bit."""
    import torch

    with built(entry, model, example) as (backbone, images):
        library = untouched(entry, model, example, backbone)
        library.train()
        for stage in backbone.stages:
            stage.train()
        features = []
        for run in (library.features, backbone):
            torch.manual_seed(1)
            features.append(run(images))
        require(
            _agree(features[1], features[0]),
            "in train mode the features differ from the library's: a dropout, drop path or norm is "
            "in another mode, or draws in another order",
        )
        for result in features:
            if result.requires_grad:
                torch.autograd.backward(result.square().mean())
        # Pooled features are compared roughly, and so their gradients are not to be equal.
        if features[0].ndim == 2:
            _check_gradients(backbone.module, library.network)
        buffers = dict(library.network.named_buffers())
        moved = [n for n, b in backbone.module.named_buffers() if not b.equal(buffers[n])]
        require(not moved, f"after a training pass buffers differ from the library's: {moved[:5]}")


def _check_gradients(module: torch.nn.Module, library: torch.nn.Module) -> None:
    wanted = dict(library.named_parameters())
    differing = [
        name
        for name, parameter in module.named_parameters()
        if not _equal(parameter.grad, wanted[name].grad)
    ]
    require(not differing, f"gradients differ from the library's: {differing[:5]}")


def _equal(first: torch.Tensor | None, second: torch.Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    return first.equal(second)


def _agree(features: torch.Tensor, wanted: torch.Tensor) -> bool:
    import torch

    if wanted.ndim == 2:
        return features.equal(wanted)
    # A last layer that is a convolution is pooled behind it, and its input is not: SqueezeNet.
    pooled = wanted.flatten(2).mean(2) if wanted.ndim > 2 else wanted
    return features.shape == pooled.shape and torch.allclose(features, pooled, rtol=1e-4, atol=1e-5)


def check_parts_make_the_whole(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """Stage by stage, and cut in two anywhere, the network gives what the whole gives, bit for bit."""
    import torch

    with built(entry, model, example) as (backbone, images), torch.no_grad():
        tensor = images
        for index, stage in enumerate(backbone.stages):
            # The other way to cut there: everything before in one part, everything after in another.
            require(
                index == 0 or backbone.exact_cut(index) == index,
                f"cut before stage `{stage.name}`, the parts give other features: something else than "
                "the one tensor that crosses goes from one to the other, such as a Python number",
            )
            tensor = backbone.run(tensor, index, index + 1)
        require(tensor.equal(backbone(images)), "stage by stage, the network gives other features")


def check_groups_are_a_partition(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """Every parameter and buffer is in exactly one group."""
    with built(entry, model, example) as (backbone, _):
        grouped = [
            name
            for stage in backbone.stages
            for group in stage.groups.values()
            for name in (*group.parameters, *group.buffers)
        ]
        module = backbone.module
        owned = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
        require(len(grouped) == len(set(grouped)), "a tensor is in two groups")
        require(
            set(grouped) == owned,
            f"groups and network differ in {sorted(set(grouped) ^ owned)[:5]}",
        )


def check_modes_switch_by_stage(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """In evaluation mode nothing is random or moves; `train` and `eval` reach their stage only."""
    import torch

    with built(entry, model, example) as (backbone, images), torch.no_grad():
        kept = _buffers(backbone.module)
        is_random = not backbone(images).equal(backbone(images))
        require(not is_random, "in evaluation mode the features are random")
        moved = _moved(backbone.module, kept)
        require(not moved, f"in evaluation mode {moved[:5]} move: something ignores `training`")
        for stage in backbone.stages:
            _check_one_in_train_mode(backbone, stage, images)
        left = [name for name, module in backbone.module.named_modules() if module.training]
        require(not left, f"after `stage.eval()` of all stages, {left[:5]} are in train mode")


def _check_one_in_train_mode(backbone: Backbone, stage: Stage, images: torch.Tensor) -> None:
    kept = _buffers(backbone.module)
    stage.train()
    reached = [other.name for other in backbone.stages if other.training and other is not stage]
    require(not reached, f"`train` of stage `{stage.name}` reaches the stages {reached[:5]}")
    backbone(images)
    stage.eval()
    own = {name for group in stage.groups.values() for name in group.buffers}
    moved = [name for name in _moved(backbone.module, kept) if name not in own]
    require(not moved, f"with only stage `{stage.name}` in train mode, {moved[:5]} have moved")


def _buffers(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.named_buffers()}


def _moved(module: torch.nn.Module, kept: Mapping[str, torch.Tensor]) -> list[str]:
    return [name for name, tensor in module.named_buffers() if not tensor.equal(kept[name])]


def check_frozen_prefix_stays(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """After a training step of the rest, every byte of a frozen prefix is as it was."""
    import torch

    with built(entry, model, example) as (backbone, images):
        count = len(backbone.stages)
        cut = count // 2
        module = backbone.module
        owned = dict((*module.named_parameters(), *module.named_buffers()))
        frozen = {
            name: owned[name].clone()
            for stage in backbone.stages[:cut]
            for group in stage.groups.values()
            for name in (*group.parameters, *group.buffers)
        }
        for stage in backbone.stages[cut:]:
            stage.train()
        with torch.no_grad():
            crossing = backbone.run(images, 0, cut)
        learning = [p for name, p in module.named_parameters() if name not in frozen]
        features = backbone.run(crossing, cut, count)
        if learning:
            require(
                features.requires_grad,
                "no gradient reaches the stages that learn: something detaches the features",
            )
            torch.autograd.backward(features.square().mean())
            torch.optim.SGD(learning, lr=0.1).step()
        moved = [name for name, tensor in frozen.items() if not owned[name].equal(tensor)]
        require(not moved, f"frozen tensors moved while the rest was trained: {moved[:5]}")


def check_state_makes_a_round_trip(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """Written to safetensors and read into a new network, the state gives the same features."""
    import torch
    from safetensors.torch import load, save

    from tlf.plugin.stages.state import load_state

    with built(entry, model, example) as (backbone, images), torch.no_grad():
        state = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
        again = build_backbone(family_of(entry, example), model, backbone.image_size)
        load_state(again.module, load(save(state)), strict=True)
        for stage in again.stages:
            stage.eval()
        require(
            again(images).equal(backbone(images)),
            "a saved and loaded network gives other features: what they depend on must be parameters "
            "or persistent buffers",
        )


def check_items_do_not_depend_on_their_batch(
    entry: Entry, model: str, example: Mapping[str, Any]
) -> None:
    """In evaluation mode an image's features are the same alone and in a batch, within rounding."""
    import torch

    with built(entry, model, example) as (backbone, images), torch.no_grad():
        together = backbone(images)
        alone = torch.cat([backbone(image.unsqueeze(0)) for image in images])
        require(
            _are_close(alone, together, 1e-4),
            "in evaluation mode an image's features depend on what else is in the batch",
        )


def check_gradients_reach_what_can_learn(
    entry: Entry, model: str, example: Mapping[str, Any]
) -> None:
    """In train mode every parameter of the backbone gets a gradient: thawed, it would learn."""
    import torch

    with built(entry, model, example) as (backbone, images):
        for stage in backbone.stages:
            stage.train()
        torch.autograd.backward(backbone(images).square().mean())
        parameters = backbone.module.named_parameters()
        left = [name for name, parameter in parameters if parameter.grad is None]
        require(
            not left,
            f"no gradient reaches {left[:5]}: the features do not depend on them, or something "
            "detaches them; `create` must leave out what the features do not need",
        )


def check_channels_last_changes_nothing(
    entry: Entry, model: str, example: Mapping[str, Any]
) -> None:
    """With the channels innermost the features are the same, within rounding, or the family says no."""
    import torch

    if not family_of(entry, example).channels_last:
        return
    with built(entry, model, example) as (backbone, images), torch.no_grad():
        usual = backbone(images)
        with _or_the_family_says("channels_last"):
            backbone.module.to(memory_format=torch.channels_last)
            other = backbone(images.contiguous(memory_format=torch.channels_last))
            require(_are_close(other, usual, 1e-3), "the features are other ones")


def check_autocast_is_near_enough(entry: Entry, model: str, example: Mapping[str, Any]) -> None:
    """In bfloat16 the features are nearly those of float32, or the family says that it cannot."""
    import torch

    if not family_of(entry, example).autocast:
        return
    with built(entry, model, example) as (backbone, images), torch.no_grad():
        usual = backbone(images)
        with _or_the_family_says("autocast"):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                rough = backbone(images)
            # Deep networks of random weights lose more digits than trained ones.
            require(_are_close(rough, usual, 0.5), "the features are far from those of float32")


@contextmanager
def _or_the_family_says(flag: str) -> Iterator[None]:
    """Say of whatever goes wrong inside that a family may do without."""
    what = {"channels_last": "with the channels innermost", "autocast": "under autocast"}[flag]
    try:
        with must_work(f"running the network {what}"):
            yield
    except ContractError as error:
        message = f"{what}: {error}; a family whose networks cannot do that says `{flag} = False`"
        raise ContractError(message) from error


def _are_close(one: torch.Tensor, other: torch.Tensor, tolerance: float) -> bool:
    """Say whether features differ by no more than a share of their size, and are numbers."""
    difference = (one.float() - other.float()).norm()
    return bool(difference <= tolerance * other.float().norm())


def check_nothing_but_fetch_uses_the_network(
    entry: Entry, model: str, example: Mapping[str, Any]
) -> None:
    """Listing, describing and building a model reach no other machine."""
    family = family_of(entry, example)
    with network_use() as used:
        with must_work("`models`, `input_config`, `create` and `build`, without a network,"):
            family.models()
            size = family.input_config(model).size
            family.input_config(model, default_weights=False)
            build_backbone(family, model, size)
        require(not used, f"only `fetch` may use the network, and {used} were to be reached")


CHECKS = (
    check_model_is_listed,
    check_input_is_described,
    check_weights_are_found_without_the_network,
    check_nothing_but_fetch_uses_the_network,
    check_features_are_flat,
    check_state_has_the_librarys_names,
    check_features_are_the_librarys,
    check_training_is_the_librarys,
    check_parts_make_the_whole,
    check_groups_are_a_partition,
    check_modes_switch_by_stage,
    check_frozen_prefix_stays,
    check_state_makes_a_round_trip,
    check_items_do_not_depend_on_their_batch,
    check_gradients_reach_what_can_learn,
    check_channels_last_changes_nothing,
    check_autocast_is_near_enough,
)
