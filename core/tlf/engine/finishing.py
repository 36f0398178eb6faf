"""The end of a run whose strategy has added to the network: what was added is merged into it.

What the run reports and leaves behind is the library's network. So it is looked at, on real images,
whether that computes what was trained, and by digests, whether nothing else of it has changed.
"""

from __future__ import annotations

from contextlib import nullcontext
from math import inf, isfinite
from typing import TYPE_CHECKING

import torch

from tlf.engine.clock import timed
from tlf.engine.features import Feed
from tlf.engine.model import BACKBONE_PREFIX

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tlf.engine.adapting import Adapted
    from tlf.engine.stepping import Stepper
    from tlf.plugin import Backbone

#: How far the features of two networks that are one in exact numbers may be apart, as a share of the
#: largest. Float32 holds seven digits, and sums in another order lose two or three of them on their way
#: through a deep network; a merge that forgets a factor changes the first digits.
TOLERANCE = 1e-3


def merge(run: Stepper, adapted: Adapted) -> Feed:
    """Merge what was added to the network of a run, and return what feeds the network then.

    Args:
        run: Has carried out its steps.
        adapted: What was added.

    Raises:
        PluginError: The merged network computes something else, or is not the library's, or differs
            from it where nothing was added.
    """
    model, seconds = run.model, run.progress.seconds
    feed = _everything(run)
    split = run.loaded.splits["validation"]
    count = min(len(split), run.inference.chunk_size)
    with timed(seconds, "evaluate"):
        images = feed.crossing(feed.fetch(split, range(count), [None] * count))
        model.eval()
        before = _features(model.backbone, images)
    prepared = adapted.prepared
    kept = {
        BACKBONE_PREFIX + now: BACKBONE_PREFIX + own
        for now, own in prepared.origins.items()
        if now not in prepared.hosted
    }
    digests = run.contract.digests(kept)
    model.replace_backbone(adapted.off(model.backbone))
    run.contract.forget([*digests, *model.tensors()])
    model.eval()
    after = run.contract.digests(kept.values())
    changed = [own for now, own in kept.items() if digests[now] != after[own]]
    for name in changed[:1]:
        raise adapted.strategy.entry.broken(
            f"`finish` changes `{name.removeprefix(BACKBONE_PREFIX)}`, to whose module `prepare` has "
            "added nothing"
        )
    with timed(seconds, "evaluate"):
        apart = _apart(before, _features(model.backbone, images))
    run.progress.images_through_backbone += 2 * count
    adapted.strategy.require(
        apart <= TOLERANCE,
        f"after `finish`, the network gives features of {count} validation images that differ by "
        f"{apart:.2g} of the largest from those before; up to {TOLERANCE:.0e} is rounding",
    )
    run.inference.take(model.backbone)
    run.progress.adapters = {**adapted.as_json(), "difference_merged": apart}
    run.log(
        f"merged what was added to {len(prepared.hosts)} modules: features differ by {apart:.2g}"
    )
    return feed


def _everything(run: Stepper) -> Feed:
    """Return what feeds the network from its first stage on: what is stored is of another one."""
    run.boundary.features.entries = {}
    return Feed(run.boundary.features, 0, 0)


@torch.no_grad()
def _features(backbone: Backbone, images: torch.Tensor) -> torch.Tensor:
    # In float32, whatever the device prefers: rounding to less would hide what is to be seen.
    with torch.autocast(images.device.type, enabled=False), _all_digits(images.device):
        return backbone(images).double().cpu()


def _all_digits(device: torch.device) -> AbstractContextManager[None]:
    """Return a context in which convolutions on CUDA use all digits of float32, and not ten bits."""
    if device.type != "cuda":
        return nullcontext()
    now = torch.backends.cudnn
    return now.flags(
        enabled=now.enabled,
        benchmark=now.benchmark,
        deterministic=now.deterministic,
        allow_tf32=False,
    )


def _apart(before: torch.Tensor, after: torch.Tensor) -> float:
    """Return the largest difference between features, as a share of the largest of them."""
    if after.equal(before):
        return 0.0
    apart = float((after - before).abs().max() / before.abs().max())
    # What is no number is as far apart as can be.
    return apart if isfinite(apart) else inf
