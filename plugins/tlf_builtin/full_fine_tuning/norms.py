"""What becomes of the backbone's normalisations while the layers around them learn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tlf.plugin import Options, StageOutline


class NormsOptions(Options):
    """The option `norms`, of every strategy that trains the backbone."""

    norms: Literal["frozen", "learn"] = Field(
        default="frozen",
        description="Whether the backbone's normalisations keep their pretrained statistics and "
        "parameters, or learn. Batches of a few images are a poor estimate of either.",
    )

    def learning(self, stage: StageOutline) -> tuple[str, ...]:
        """Return the groups of a stage that learn when the stage does.

        Args:
            stage: A stage of the backbone.
        """
        return tuple(
            group for group in stage.groups if self.norms == "learn" or not group.endswith(":norm")
        )
