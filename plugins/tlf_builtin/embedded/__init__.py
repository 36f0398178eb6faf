"""The backbone family `tlf`: a small network that comes with tlf, with weights in the wheel."""

from __future__ import annotations

from tlf.plugin import BackboneFamilyDeclaration, hookimpl


@hookimpl
def tlf_backbone_families() -> list[BackboneFamilyDeclaration]:
    """Declare the family."""
    return [
        BackboneFamilyDeclaration(
            name="tlf",
            summary="a small network that comes with tlf, pretrained on handwritten digits",
            target="tlf_builtin.embedded.family:Embedded",
            example_models=("resnet20",),
        )
    ]
