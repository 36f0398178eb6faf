"""Everything that a run imports, so that forks of this process need not."""

from __future__ import annotations

import torch


def get_ready() -> None:
    """Import what runs need, and compute nothing: a fork has none of its parent's threads."""
    import tlf.engine.boundary
    import tlf.engine.run
    import tlf.report
    from tlf.engine.costs import assumed_costs
    from tlf.registry import load_registry

    assert torch.get_num_threads() == 1, "set OMP_NUM_THREADS=1 before torch is imported"
    for kind in ("strategy", "transform", "device", "data-source", "backbone-family"):
        for entry in load_registry().entries(kind):
            heavy = entry.declaration.name in ("timm", "torchvision")
            if not heavy and not entry.missing_requirements():
                entry.target()
    # What is measured decides what is kept, and no number; here it is the same in every process.
    tlf.engine.boundary.measured_costs = lambda job, _: assumed_costs(job)
