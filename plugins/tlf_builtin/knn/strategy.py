"""Nearest neighbours: one step, in which nothing learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tlf.plugin import Budget, Options, Outline, Solve, Step, Strategy


class KnnOptions(Options):
    """Options of `knn`."""

    neighbours: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = Field(
        default=(),
        max_length=100,
        description="Numbers of neighbours to choose from on selection data. One is taken as it is; "
        "none for the engine's own grid.",
    )


class Knn(Strategy[KnnOptions]):
    """Let the training images that are most alike, by cosine similarity of features, vote.

    The control of Wu et al., 2018 (https://arxiv.org/abs/1805.01978, section 3.4) and Caron et al.,
    2021 (https://arxiv.org/abs/2104.14294, section 4.1): it has no parameters, so what it knows is
    what the features know.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:  # noqa: ARG002
        """Return the one step."""
        return (Solve(name="knn", method="knn", grid=self.options.neighbours),)
