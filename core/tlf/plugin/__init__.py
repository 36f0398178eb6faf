"""The public plugin API: the one module that a plugin imports.

A plugin is a module (or any object) with functions marked `hookimpl`, named by an entry point of the
group `tlf.v1`. Importing this module does not import torch; the few names that need it are loaded
when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlf.plugin.declarations import BackboneFamilyDeclaration, DataSourceDeclaration, Declaration
from tlf.plugin.events import EpochFinished, RunFinished, RunStarted, StepFinished, StepStarted
from tlf.plugin.hooks import hookimpl
from tlf.plugin.interfaces import (
    Availability,
    BackboneFamily,
    Dataset,
    DataSource,
    Device,
    DeviceBackend,
    InputConfig,
    Item,
    Observer,
    Options,
    Precision,
    Strategy,
    Task,
    Transform,
    WeightsInfo,
)
from tlf.plugin.outline import HEAD, GroupKind, Outline, PlanError, StageOutline
from tlf.plugin.splitting import split_items
from tlf.plugin.steps import Budget, Choice, Combine, Plateau, Solve, Step, TopStages, Train

if TYPE_CHECKING:
    from tlf.plugin.images import to_rgb
    from tlf.plugin.stages import Backbone
    from tlf.spec.paths import resolve_path

__all__ = [
    "HEAD",
    "Availability",
    "Backbone",
    "BackboneFamily",
    "BackboneFamilyDeclaration",
    "Budget",
    "Choice",
    "Combine",
    "DataSource",
    "DataSourceDeclaration",
    "Dataset",
    "Declaration",
    "Device",
    "DeviceBackend",
    "EpochFinished",
    "GroupKind",
    "InputConfig",
    "Item",
    "Observer",
    "Options",
    "Outline",
    "PlanError",
    "Plateau",
    "Precision",
    "RunFinished",
    "RunStarted",
    "Solve",
    "StageOutline",
    "Step",
    "StepFinished",
    "StepStarted",
    "Strategy",
    "Task",
    "TopStages",
    "Train",
    "Transform",
    "WeightsInfo",
    "hookimpl",
    "resolve_path",
    "split_items",
    "to_rgb",
]


def __getattr__(name: str) -> object:
    """Load the names that need torch, PIL or the spec's models when they are first used."""
    if name == "Backbone":
        from tlf.plugin.stages import Backbone

        return Backbone
    if name == "to_rgb":
        from tlf.plugin.images import to_rgb

        return to_rgb
    if name == "resolve_path":
        from tlf.spec.paths import resolve_path

        return resolve_path
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
