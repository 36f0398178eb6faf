"""LoRA: one step, in which low-rank additions to the backbone's layers learn, and the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from tlf.errors import nearest
from tlf.plugin import Backbone, Budget, Outline, PlanError, Step, Strategy

# peft takes seconds to import, which belong to the import of this module and not to a run.
from tlf_builtin.lora.layers import Layer, add, layers_in, merge
from tlf_builtin.lora.options import KINDS, LoraOptions


class Lora(Strategy[LoraOptions]):
    """Train what is added to the weights of layers, as a product of two thin matrices; and the head.

    After Hu et al., 2021 (https://arxiv.org/abs/2106.09685), who tried it on the attention of language
    models. The weights themselves stay as they are until the end, when the products are added to them.
    The layers are those of peft (https://github.com/huggingface/peft).
    """

    def prepare(self, backbone: Backbone, outline: Outline) -> None:
        """Put the additions on. They begin with adding nothing: one of the two matrices is zero.

        Args:
            backbone: The network.
            outline: The same as a planner sees it.

        Raises:
            PlanError: A stage or a target means nothing here, or nothing that can be added to.
        """
        chosen = outline.select(self.options.stages, option="stages")
        layers = layers_in(backbone, {stage.name for stage in chosen})
        wanted: set[str] = set()
        wrong: list[PlanError] = []
        for index, target in enumerate(self.options.targets):
            try:
                wanted.update(_meant(target, layers, f"targets[{index}]"))
            except PlanError as error:
                wrong.append(error)
        if wrong:
            raise PlanError.together(wrong)
        add(backbone.module, [path for path in layers if path in wanted], self.options)

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:
        """Return the one step."""
        body = [
            [group for group in stage.groups if group.endswith(":adapter")]
            for stage in outline.stages[:-1]
        ]
        return (self.options.train("adapters", outline, body, budget.epochs),)

    def finish(self, backbone: Backbone) -> None:
        """Merge the additions into the weights.

        Args:
            backbone: The network with its additions.
        """
        merge(backbone.module)


def _meant(target: str, layers: Mapping[str, Layer], option: str) -> list[str]:
    """Return the paths of the layers that a target means."""
    if target in KINDS:
        meant = {path: one for path, one in layers.items() if target in ("all", one.kind)}
        what = "layers" if target == "all" else f"`{target}` layers"
        if not meant:
            kinds = " and ".join(f"`{kind}`" for kind in sorted({o.kind for o in layers.values()}))
            raise PlanError(
                f"the stages that `stages` names have no {what}",
                option=option,
                hint=f"they have {kinds} layers" if kinds else "name other stages",
            )
    else:
        meant = {path: one for path, one in layers.items() if fnmatchcase(path, target)}
        what = f"`{target}`"
        if not meant:
            near = nearest(target, [*KINDS, *layers])
            raise PlanError(
                f"`{target}` is no layer of the stages that `stages` names",
                option=option,
                hint=f"did you mean `{near}`?" if near else _some(layers),
            )
    able = [path for path, one in meant.items() if one.obstacle is None]
    if not able:
        path, one = next(iter(meant.items()))
        more = f"; {len(meant) - 1} more cannot be added to either" if len(meant) > 1 else ""
        raise PlanError(
            f"nothing can be added to {what}: `{path}` {one.obstacle}{more}",
            option=option,
            hint=_some({p: o for p, o in layers.items() if o.obstacle is None}),
        )
    return able


def _some(layers: Mapping[str, Layer]) -> str:
    """Return a hint with some of the layers that there are."""
    names = list(layers)
    if not names:
        return "name other stages, or take another strategy"
    shown = ", ".join(f"`{name}`" for name in names[:4])
    return f"there are {shown}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")
