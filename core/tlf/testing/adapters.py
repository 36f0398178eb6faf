"""Checks for strategies that add to a network in `prepare`, and merge it in `finish`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tlf.testing.promises import create, must_work, require

if TYPE_CHECKING:
    import torch

    from tlf.engine.adapting import Adapted
    from tlf.plugin import Backbone
    from tlf.registry import Entry

__tracebackhide__ = True

#: How far features may be apart that are the same in exact numbers, as a share of the largest. Sums in
#: another order lose the last digits of float32; on a network of three layers, hardly more.
TOLERANCE = 1e-4

_SIZE = 8


def adapters_of(entry: Entry, example: Mapping[str, Any]) -> Adapted | None:
    """Return what a strategy adds to the toy network on the meta device; None if it adds nothing.

    Args:
        entry: The strategy.
        example: Its options.
    """
    import torch

    from tlf.engine.adapting import adapt
    from tlf.engine.model import LinearHead, outline_of
    from tlf.engine.parts import Made

    def backbone() -> Backbone:
        with torch.device("meta"):
            return _toy_backbone()

    made = Made(entry, create(entry, example))
    outlined = backbone()
    with torch.device("meta"):
        head = LinearHead(outlined.output_width, 2, 0.0)
    with must_work(f"`prepare` with the options {dict(example)} on a toy network"):
        return adapt(made, outline_of(outlined, head), backbone)


def _toy_backbone() -> Backbone:
    from tlf.plugin import Options
    from tlf.testing.toys import ToyFamily

    return ToyFamily(Options()).build("tiny", _SIZE)


@contextmanager
def _prepared(
    entry: Entry, example: Mapping[str, Any]
) -> Iterator[tuple[Adapted, Backbone, torch.Tensor, torch.Tensor]]:
    """Give what is added, the toy network with it, images, and its features of these without it."""
    import torch

    from tlf.testing.networks import one_thread

    adapted = adapters_of(entry, example)
    assert adapted is not None
    with torch.random.fork_rng(devices=[]), one_thread(), torch.no_grad():
        torch.manual_seed(0)
        backbone = _toy_backbone()
        for name, buffer in backbone.module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
        images = torch.randn(4, 3, _SIZE, _SIZE)
        features = backbone(images)
        with must_work("`prepare` on a toy network with weights"):
            yield adapted, adapted.on(backbone, seed=0), images, features


def check_prepare_is_the_same_each_time(entry: Entry, example: Mapping[str, Any]) -> None:
    """It adds the same to an outline each time, and with one seed the same numbers to a network."""
    first, second = adapters_of(entry, example), adapters_of(entry, example)
    require(
        (first is None) == (second is None)
        and (first is None or second is None or first.prepared == second.prepared),
        "`prepare` added something else to the same network the second time",
    )
    if first is None:
        return
    states = []
    for _ in range(2):
        with _prepared(entry, example) as (_, backbone, _, _):
            states.append({n: t.clone() for n, t in backbone.module.state_dict().items()})
    differing = [name for name, tensor in states[0].items() if not tensor.equal(states[1][name])]
    require(
        not differing,
        f"`prepare` began {differing[:5]} with other numbers the second time: draw them from torch's "
        "generator, which the run has seeded",
    )


def check_prepare_changes_no_output(entry: Entry, example: Mapping[str, Any]) -> None:
    """As long as nothing is trained, the network computes what it did before, up to rounding."""
    if adapters_of(entry, example) is None:
        return
    with _prepared(entry, example) as (_, backbone, images, before):
        apart = _apart(before, backbone(images))
    require(
        apart <= TOLERANCE,
        f"after `prepare` the features differ by {apart:.2g} of the largest from those before: what is "
        "added must begin with adding nothing",
    )


def check_finish_leaves_the_library_network(entry: Entry, example: Mapping[str, Any]) -> None:
    """Of whatever was learned, `finish` makes the library's network, which computes the same."""
    if adapters_of(entry, example) is None:
        return
    import torch

    with _prepared(entry, example) as (adapted, backbone, images, _):
        generator = torch.Generator().manual_seed(1)
        tensors = dict(backbone.module.named_parameters())
        for name in adapted.prepared.adapters:
            noise = torch.randn(tensors[name].shape, generator=generator)
            tensors[name].add_(0.3 * noise)
        kept = {
            own: tensors[now].clone()
            for now, own in adapted.prepared.origins.items()
            if now in tensors and now not in adapted.prepared.hosted
        }
        before = backbone(images)
        with must_work("`finish` on a toy network"):
            merged = adapted.off(backbone)
        apart = _apart(before, merged(images))
        left = dict(merged.module.named_parameters())
        changed = [name for name, tensor in kept.items() if not tensor.equal(left[name])]
    require(
        apart <= TOLERANCE,
        f"after `finish` the features differ by {apart:.2g} of the largest from those before: what was "
        "learned must go into the weights",
    )
    require(
        not changed, f"`finish` changed {changed[:5]}, to whose modules `prepare` has added nothing"
    )


def _apart(before: torch.Tensor, after: torch.Tensor) -> float:
    return float((after - before).abs().max() / before.abs().max())


CHECKS = (
    check_prepare_is_the_same_each_time,
    check_prepare_changes_no_output,
    check_finish_leaves_the_library_network,
)
