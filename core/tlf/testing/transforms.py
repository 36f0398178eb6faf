"""Checks for transforms, on tiny images."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tlf.plugin import InputConfig, Transform
from tlf.testing.promises import ContractError, are_numbers, create, must_work, require

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from tlf.registry import Entry

__tracebackhide__ = True

_CONFIG = InputConfig(size=32, resize=40)
_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16")
_SIZES = ((50, 31), (31, 50), (40, 40), (7, 90), (64, 64), (45, 60))


def _create(entry: Entry, example: Mapping[str, Any]) -> Transform[Any]:
    transform: Transform[Any] = create(entry, example, _CONFIG)
    return transform


def _photograph(width: int, height: int) -> Image.Image:
    from PIL import Image

    red = Image.linear_gradient("L").resize((width, height))
    green = Image.radial_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, red.rotate(180)))


def _load(transform: Transform[Any], image: Image.Image) -> torch.Tensor:
    mode = image.mode
    with must_work(f"`load` of an image of mode `{mode}` (`tlf.plugin.to_rgb` takes any)"):
        loaded = transform.load(image)
    _check_pixels("load", loaded, "(3, H, W)", _is_image(loaded))
    return loaded


def _is_image(loaded: object) -> bool:
    shape = tuple(getattr(loaded, "shape", ()))
    return len(shape) == 3 and shape[0] == 3


def _check_pixels(name: str, pixels: object, wanted: str, fits: object) -> None:
    """Check that what a method returned is a uint8 tensor of the shape that is wanted."""
    import torch

    if not isinstance(pixels, torch.Tensor):
        found = type(pixels).__name__
        raise ContractError(f"`{name}` must return a uint8 tensor {wanted}, not a {found}")
    require(
        pixels.dtype == torch.uint8 and fits,
        f"`{name}` must return a uint8 tensor {wanted}, not {pixels.dtype} {tuple(pixels.shape)}",
    )


def _batch(transform: Transform[Any]) -> torch.Tensor:
    import torch

    images = [_load(transform, _photograph(*size)) for size in _SIZES]
    _check_one_shape(images)
    return torch.stack(images)


def _check_one_shape(images: Sequence[torch.Tensor]) -> None:
    shapes = {tuple(image.shape) for image in images}
    require(
        len(shapes) == 1,
        f"`load` must return the same shape for every image, not {sorted(shapes)}",
    )


def _generators(count: int, first: int = 0) -> list[torch.Generator]:
    import torch

    return [torch.Generator().manual_seed(first + number) for number in range(count)]


def _evaluate(transform: Transform[Any], batch: torch.Tensor) -> torch.Tensor:
    with must_work("`evaluate`"):
        view = transform.evaluate(batch)
    return _checked_view("evaluate", view, transform, len(batch))


def _augment(transform: Transform[Any], batch: torch.Tensor, first: int = 0) -> torch.Tensor:
    with must_work("`augment`"):
        view = transform.augment(batch, _generators(len(batch), first))
    return _checked_view("augment", view, transform, len(batch))


def _checked_view(
    name: str, view: torch.Tensor, transform: Transform[Any], count: int
) -> torch.Tensor:
    wanted = (count, 3, transform.size, transform.size)
    _check_pixels(name, view, str(wanted), tuple(getattr(view, "shape", ())) == wanted)
    return view


def check_load_takes_every_mode(entry: Entry, example: Mapping[str, Any]) -> None:
    """Whatever PIL opens becomes uint8 `(3, H, W)`, all of one size."""
    from PIL import Image

    transform = _create(entry, example)
    images = [Image.new(mode, size) for mode in _MODES for size in _SIZES[:4]]
    _check_one_shape([_load(transform, image) for image in images])


def check_load_is_deterministic(entry: Entry, example: Mapping[str, Any]) -> None:
    """The same image gives the same bytes, another gives others: what is loaded may be stored."""
    transform = _create(entry, example)
    first, again, other = _batch(transform), _batch(transform), _batch(_create(entry, example))
    require(
        first.equal(again) and first.equal(other),
        "`load` returned different pixels for the same image",
    )
    require(not first[0].equal(first[2]), "`load` returned the same pixels for different images")


def check_views_have_the_promised_form(entry: Entry, example: Mapping[str, Any]) -> None:
    """`evaluate` and `augment` return uint8 `(N, 3, size, size)`, and leave the batch as it is."""
    transform = _create(entry, example)
    batch = _batch(transform)
    kept = batch.clone()
    _evaluate(transform, batch)
    require(batch.equal(kept), "`evaluate` writes into the batch, which may be stored: copy it")
    _augment(transform, batch)
    require(batch.equal(kept), "`augment` writes into the batch, which may be stored: copy it")


def check_views_depend_on_their_generator_only(entry: Entry, example: Mapping[str, Any]) -> None:
    """An item's view is the same alone and in a batch, and no global generator is used."""
    transform = _create(entry, example)
    batch = _batch(transform)
    before = _global_states()
    together, evaluated = _augment(transform, batch.clone()), _evaluate(transform, batch.clone())
    for name, state in _global_states().items():
        require(
            state == before[name],
            f"`augment` or `evaluate` draws from {name}'s global generator: use the generators that "
            "`augment` is given",
        )
    for index in range(len(batch)):
        alone = batch[index : index + 1]
        require(
            _augment(transform, alone.clone(), index)[0].equal(together[index]),
            "`augment` gives an item another view alone than in a batch: draw everything for an "
            "item from its own generator",
        )
        require(
            _evaluate(transform, alone.clone())[0].equal(evaluated[index]),
            "`evaluate` gives an item another view alone than in a batch: it must not look at the "
            "others, nor draw anything",
        )


def _global_states() -> dict[str, object]:
    import numpy as np
    import torch

    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state(legacy=False)),
        "Python": random.getstate(),
    }


def check_normalisation_is_data(entry: Entry, example: Mapping[str, Any]) -> None:
    """`mean` and `std` are three finite numbers each, `std` above 0."""
    transform = _create(entry, example)
    mean, std = transform.mean, transform.std
    require(
        are_numbers(mean) and len(mean) == 3 and all(-10 < value < 10 for value in mean),
        f"`mean` must be three numbers on the scale of 0 to 1, not {mean!r}",
    )
    require(
        are_numbers(std) and len(std) == 3 and all(0 < value < 10 for value in std),
        f"`std` must be three numbers above 0 on the scale of 0 to 1, not {std!r}",
    )


CHECKS = (
    check_load_takes_every_mode,
    check_load_is_deterministic,
    check_views_have_the_promised_form,
    check_views_depend_on_their_generator_only,
    check_normalisation_is_data,
)
