"""`tlf predict`: classify images with the network of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tlf.cli.arguments import Json


def predict_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a finished run.")],
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Images, or folders of images.")
    ],
    top: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="How many classes to show for each image: by default the likeliest, or all that are "
            "named where an image may be of several.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Classify images with the network that RUN trained. A file that is no image is passed over."""
    from tlf.cli.interrupt import prompt_interrupt
    from tlf.cli.output import messages, results, write_json
    from tlf.cli.tables import percent, table
    from tlf.errors import DataError

    with prompt_interrupt():
        from tlf.data import list_images
        from tlf.engine.predictor import Prediction, load

        predictor = load(run, warn=_warn)
        several = predictor.task == "multi-label"
        shown = top if several else top or 1
        outcomes = list(predictor.stream(list_images(images), top=shown))
    predictions = [outcome for outcome in outcomes if isinstance(outcome, Prediction)]
    if as_json:
        write_json([vars(prediction) for prediction in predictions])
    else:
        rows = [
            [
                prediction.source,
                ", ".join(
                    f"{name} {percent(prediction.probabilities[name])}"
                    for name in (
                        prediction.labels if several and top is None else prediction.probabilities
                    )
                )
                or "none",
            ]
            for prediction in predictions
        ]
        results().print(table(["image", "prediction"], rows))
    unreadable = [outcome for outcome in outcomes if not isinstance(outcome, Prediction)]
    for outcome in unreadable:
        messages().print(
            f"warning: `{outcome.source}` cannot be read: {outcome.reason}", soft_wrap=True
        )
    if unreadable:
        raise DataError(f"{len(unreadable)} of {len(outcomes)} files could not be read")


def _warn(message: str) -> None:
    from tlf.cli.output import messages

    messages().print(f"warning: {message}", soft_wrap=True)
