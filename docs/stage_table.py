"""Write the page on how the backbones are split: `make stages`. Takes about three minutes.

No weight is allocated and nothing is downloaded: the networks are recorded on torch's meta device.
`python docs/stage_table.py --choose` also chooses the smallest models of timm anew, of about 1,400.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tlf.plugin import Backbone, BackboneFamily
from tlf.registry import load_registry

PAGE = Path(__file__).with_name("stages.md")
#: The smallest model of each of timm's modules, one a line.
SMALLEST = Path(__file__).with_name("timm_smallest.txt")

HEADING = """\
# How the backbones are split into stages

Made by `make stages`. Every model of a family (of timm, the smallest model of each of its modules) is
recorded on torch's meta device and cut where one single tensor crosses (see
[plugin-hooks.md](plugin-hooks.md)). A split is **balanced** if it has at least four stages, none of
which holds more than 60% of the parameters, and at least one cut in each third of the floating-point
operations. `tlf plan` and `tlf backbones show` show the stages of a backbone. A network that cannot be
cut works as one stage: it is frozen or it learns as a whole.

The tests compare every model in these tables with the library's own, untouched network: features in
evaluation mode; features, gradients and running statistics in train mode; and the two parts at every
cut with the whole. All are equal bit for bit (`make test-all`).
"""


def page() -> str:
    """Return the page."""
    lines = [HEADING]
    for entry in load_registry().entries("backbone-family"):
        family = entry.create(entry.options(entry.declaration.examples[0]))
        assert isinstance(family, BackboneFamily)
        models = smallest() if entry.declaration.name == "timm" else family.models()
        lines += [f"## {entry.declaration.name}", "", *_table(family, models), ""]
    return "\n".join(lines).rstrip() + "\n"


def smallest() -> list[str]:
    """Return the smallest model of each of timm's modules."""
    return SMALLEST.read_text(encoding="utf-8").split()


def choose_smallest() -> list[str]:
    """Find the smallest model of each of timm's modules anew: create them all, on the meta device."""
    from timm.models import model_entrypoint

    entry = load_registry().get("backbone-family", "timm")
    family = entry.create(entry.options({}))
    best: dict[str, tuple[int, str]] = {}
    for model in family.models():
        if "." in model:
            continue
        with torch.device("meta"):
            network = family.create(model, family.input_config(model).size)
        size = sum(parameter.numel() for parameter in network.parameters())
        module = model_entrypoint(model).__module__
        best[module] = min(best.get(module, (size, model)), (size, model))
    return sorted(model for _, model in best.values())


def _table(family: BackboneFamily, models: list[str]) -> list[str]:
    rows = []
    missed = few = 0
    for model in models:
        size = family.input_config(model).size
        with torch.device("meta"):
            backbone = family.build(model, size)
        missed += bool(backbone.imbalances)
        few += len(backbone.stages) < 4
        rows.append(_row(model, size, backbone))
    total = len(rows)
    enough, balanced = total - few, total - missed
    tried = f"{total} model{'' if total == 1 else 's'} tried: {enough} with four stages or more"
    return [
        f"{tried} ({enough / total:.0%}), {balanced} balanced ({balanced / total:.0%}).",
        "",
        "| model | pixels | parameters | stages | largest stage | balanced |",
        "|---|--:|--:|--:|--:|---|",
        *rows,
    ]


def _row(model: str, size: int, backbone: Backbone) -> str:
    counts = [stage.outline.parameter_count for stage in backbone.stages]
    verdict = "; ".join(backbone.imbalances)
    largest = backbone.stages[counts.index(max(counts))].name
    return (
        f"| `{model}` | {size} | {sum(counts) / 1e6:.1f} M | {len(counts)} "
        f"| `{largest}`, {max(counts) / sum(counts):.0%} "
        f"| {'no: ' + verdict if verdict else 'yes'} |"
    )


if __name__ == "__main__":
    if "--choose" in sys.argv:
        SMALLEST.write_text("".join(f"{model}\n" for model in choose_smallest()), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
