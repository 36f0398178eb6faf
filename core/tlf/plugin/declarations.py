"""What a plugin returns from its hooks: plain data that says what it provides and where that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One thing that a plugin provides.

    Attributes:
        name: What a spec calls it: lower case words joined by `-`. Bare names belong to tlf itself;
            everybody else writes `plugin/name`, where `plugin` is the name of the entry point. The
            name of a backbone family is one word without a slash.
        summary: One line for `tlf plugins list`.
        target: Where the class is, as `module:attribute`. Imported when a spec first needs it.
        options: Where the pydantic model of its options is, as `module:attribute`, or None if it
            takes no options. The model must refuse unknown keys (`tlf.plugin.Options` does).
        requires: Distributions that must be installed for it to work.
        examples: Valid options. The contract tests run each of them.
    """

    name: str
    summary: str
    target: str
    options: str | None = None
    requires: tuple[str, ...] = ()
    examples: tuple[Mapping[str, object], ...] = ({},)


@dataclass(frozen=True, kw_only=True)
class BackboneFamilyDeclaration(Declaration):
    """A family of backbones.

    Attributes:
        example_models: Models of the family, small ones, that the contract tests build.
    """

    example_models: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DataSourceDeclaration(Declaration):
    """A data source.

    Attributes:
        example_files: Where a function `(folder: Path) -> Mapping[str, object]` is, as
            `module:attribute`: it writes a small data set into an empty folder and returns the
            options that read it. The contract tests read it.
    """

    example_files: str


#: The kinds of things that plugins provide, each with the hook that declares it.
KINDS: Mapping[str, str] = {
    "backbone-family": "tlf_backbone_families",
    "data-source": "tlf_data_sources",
    "device": "tlf_devices",
    "observer": "tlf_observers",
    "strategy": "tlf_strategies",
    "transform": "tlf_transforms",
}
