"""The hooks of tlf: what a plugin may say about itself.

Each hook returns declarations, which are plain data: the host reads them, and nothing of the plugin
runs until a spec asks for it. Hooks are called once per plugin, at discovery, by every command that
needs to know what is installed, so they must be quick and must not import torch. If a hook raises,
the plugin contributes nothing, is listed as broken with its reason, and everything else works.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from tlf.plugin.declarations import (
    BackboneFamilyDeclaration,
    DataSourceDeclaration,
    Declaration,
)

PROJECT = "tlf"
#: The entry-point group. Its name carries the version of the plugin API.
ENTRY_POINT_GROUP = "tlf.v1"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def tlf_backbone_families() -> Sequence[BackboneFamilyDeclaration]:  # type: ignore[empty-body]
    """Declare families of pretrained networks.

    Called once per plugin, at discovery. A family named `acme` serves every spec whose backbone is
    `acme/<model>`. Targets are subclasses of `tlf.plugin.BackboneFamily`.

    .. versionadded:: 0.1
    """


@hookspec
def tlf_strategies() -> Sequence[Declaration]:  # type: ignore[empty-body]
    """Declare transfer strategies.

    Called once per plugin, at discovery. Targets are subclasses of `tlf.plugin.Strategy`.

    .. versionadded:: 0.1
    """


@hookspec
def tlf_transforms() -> Sequence[Declaration]:  # type: ignore[empty-body]
    """Declare ways to make network inputs of images, for training and for evaluation.

    Called once per plugin, at discovery. Targets are subclasses of `tlf.plugin.Transform`.

    .. versionadded:: 0.1
    """


@hookspec
def tlf_devices() -> Sequence[Declaration]:  # type: ignore[empty-body]
    """Declare devices that networks can run on.

    Called once per plugin, at discovery. Targets are subclasses of `tlf.plugin.DeviceBackend`.

    .. versionadded:: 0.1
    """


@hookspec
def tlf_data_sources() -> Sequence[DataSourceDeclaration]:  # type: ignore[empty-body]
    """Declare places that labelled images come from.

    Called once per plugin, at discovery. Targets are subclasses of `tlf.plugin.DataSource`.

    .. versionadded:: 0.1
    """


@hookspec
def tlf_observers() -> Sequence[Declaration]:  # type: ignore[empty-body]
    """Declare observers: what hears of a run, and writes or sends it somewhere.

    Called once per plugin, at discovery. Targets are subclasses of `tlf.plugin.Observer`.

    .. versionadded:: 0.1
    """
