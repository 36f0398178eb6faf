"""Backbones and how they are split into stages.

Cuts are found, not listed: a network's own forward pass is recorded on the meta device
(`recording`), the places where one single tensor crosses are kept (`cuts`), and a part is run by
replaying the same forward pass with the finished prefix stubbed out (`replay`).
"""

from __future__ import annotations

from tlf.plugin.stages.backbone import Backbone, SplitMemory, Stage, build_backbone, splits_kept_in
from tlf.plugin.stages.split import Group, Split, split_network

__all__ = [
    "Backbone",
    "Group",
    "Split",
    "SplitMemory",
    "Stage",
    "build_backbone",
    "split_network",
    "splits_kept_in",
]
