"""Write the page on how the backbones are split: `make stages`. Takes about a minute.

No weight is allocated and nothing is downloaded: the networks are recorded on torch's meta device.
"""

from __future__ import annotations

from pathlib import Path

import torch

from tlf.plugin import Backbone, BackboneFamily
from tlf.registry import load_registry

PAGE = Path(__file__).with_name("stages.md")

HEADING = """\
# How the backbones are split into stages

Made by `make stages`. Every model of a family is recorded on torch's meta device and cut where one
single tensor crosses (see [plugin-hooks.md](plugin-hooks.md)). A split is **balanced** if it has at
least four stages, none of which holds more than 60% of the parameters, and at least one cut in each
third of the floating-point operations. `tlf plan` shows the stages of a backbone.

The tests compare every model in this table with the library's own, untouched network: features in
evaluation mode; features, gradients and running statistics in train mode; and the two parts at every
cut with the whole. All are equal bit for bit (`make test-all`).
"""


def page() -> str:
    """Return the page."""
    lines = [HEADING]
    for entry in load_registry().entries("backbone-family"):
        family = entry.create(entry.options(entry.declaration.examples[0]))
        assert isinstance(family, BackboneFamily)
        lines += [f"## {entry.declaration.name}", "", *_table(family), ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(family: BackboneFamily) -> list[str]:
    rows = []
    missed = few = 0
    for model in family.models():
        size = family.input_config(model).size
        with torch.device("meta"):
            backbone = family.build(model, size)
        missed += bool(backbone.imbalances)
        few += len(backbone.stages) < 4
        rows.append(_row(model, size, backbone))
    total = len(rows)
    enough, balanced = total - few, total - missed
    tried = f"{total} models tried: {enough} have four stages or more ({enough / total:.0%})"
    return [
        f"{tried}, {balanced} are balanced ({balanced / total:.0%}).",
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
    PAGE.write_text(page(), encoding="utf-8")
