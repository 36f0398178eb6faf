"""`tlf backbones`: which pretrained networks there are, and what one of them is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tlf.cli.arguments import Json

if TYPE_CHECKING:
    from tlf.engine.backbones import BackboneFacts, ListedBackbone
    from tlf.plugin import WeightsInfo

#: Length of a whole sha256 in hexadecimal; libraries often state its start only.
FULL_DIGEST = 64

backbones_app = typer.Typer(
    help="List the backbones of all families, or show one.", rich_markup_mode=None
)


@backbones_app.command("list")
def list_command(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]", help="A part of the name, or a shell pattern: `'resnet*'`."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the backbones that a spec can name.

    Behind each: the licence of its weights, as far as the library states one, or `yes` if it has
    weights and `none` if not.
    """
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import messages, write_json

    with prompt_interrupt():
        from tlf.engine.backbones import list_backbones
        from tlf.registry import load_registry

        found = list_backbones(load_registry(), pattern)
    for warning in found.warnings:
        messages().print(f"warning: {warning}", soft_wrap=True)
    if as_json:
        write_json([backbone.as_json() for backbone in found.backbones])
    else:
        show_list(found.backbones)


@backbones_app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The backbone: `family/model`.")],
    size: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Pixels a side of the image; by default what its weights saw."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a backbone: its input, its weights and its stages. Downloads nothing."""
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import write_json

    with prompt_interrupt():
        from tlf.engine.backbones import describe_backbone
        from tlf.registry import load_registry

        facts = describe_backbone(load_registry(), name, size)
    if as_json:
        write_json(facts.as_json())
    else:
        show_backbone(facts)


def show_list(backbones: tuple[ListedBackbone, ...]) -> None:
    """Print backbones, one a line. There may be thousands, so nothing is laid out but two columns.

    Args:
        backbones: What to print.
    """
    from tlf.cli.output import write_line

    rows = [("backbone", "weights"), *((one.name, _in_a_word(one.weights)) for one in backbones)]
    width = max(len(name) for name, _ in rows)
    # A long licence moves to the left, as far as its name lets it, rather than past the edge.
    lines = (f"{name:{min(width, 78 - len(word))}}  {word}" for name, word in rows)
    write_line("\n".join(lines))


def show_backbone(facts: BackboneFacts) -> None:
    """Print what is known of a backbone.

    Args:
        facts: What is known.
    """
    from tlf.cli.output import results
    from tlf.cli.tables import table

    config = facts.input_config
    rows = [
        ["parameters", f"{facts.parameters:,} in {len(facts.stages)} stages"],
        ["work", f"{facts.flops / 1e9:.3g} GFLOPs an image of {facts.image_size} pixels"],
        ["features", f"{facts.output_width} an image"],
        [
            "input",
            f"{config.size} pixels square, cut out of {config.resize}, {config.interpolation}",
        ],
        ["mean", " ".join(map(str, config.mean))],
        ["std", " ".join(map(str, config.std))],
        *_weights(facts),
        *(["stages lack", lack] for lack in facts.imbalances),
    ]
    console = results()
    console.print(table(["backbone", facts.name], rows))
    console.print()
    stages = [
        [
            stage.name,
            "×".join(map(str, stage.output_shape)),
            f"{stage.parameter_count:,}",
            f"{stage.flops / max(facts.flops, 1):.1%}",
        ]
        for stage in facts.stages
    ]
    console.print(table(["stage", ">output", ">parameters", ">FLOPs"], stages))


def _weights(facts: BackboneFacts) -> list[list[str]]:
    info = facts.weights
    if info is None:
        return [["weights", "none of the library's own: name a file, or `none` for random values"]]
    size = "" if info.size_bytes is None else f", {info.size_bytes / 1e6:,.1f} MB"
    here = facts.local_weights
    return [
        ["weights", info.source],
        ["digest", _digest(info.digest)],
        ["licence", info.licence or "not stated by the library"],
        ["here", str(here) if here is not None else f"no: `tlf run` downloads them{size}"],
    ]


def _digest(digest: str | None) -> str:
    if digest is None:
        return "not stated by the library"
    return f"sha256 {digest}" + ("" if len(digest) == FULL_DIGEST else " …")


def _in_a_word(info: WeightsInfo | None) -> str:
    if info is None:
        return "none"
    # Some libraries give the address of a licence of the weights' own, which `show` gives in full.
    is_address = info.licence is not None and "://" in info.licence
    return "own licence" if is_address else info.licence or "yes"
