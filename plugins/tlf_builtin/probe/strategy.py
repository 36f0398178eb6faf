"""A linear probe: one step, in which the head is solved for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from tlf.plugin import Budget, Options, Outline, Solve, Step, Strategy


class ProbeOptions(Options):
    """Options of `probe`."""

    strengths: tuple[Annotated[float, Field(gt=0.0, le=1e6)], ...] = Field(
        default=(),
        max_length=100,
        description="Strengths of the L2 penalty to choose from on selection data. One is taken as it "
        "is; none for the engine's own grid.",
    )


class Probe(Strategy[ProbeOptions]):
    """Fit multinomial logistic regression to the features of the frozen backbone.

    The measure of pretrained features that Chen et al., 2020 (https://arxiv.org/abs/2002.05709,
    section 2.2) and Radford et al., 2021 (https://arxiv.org/abs/2103.00020, appendix A.3) report. It
    has one answer, so it spends no epochs, and there is no learning rate to choose.
    """

    def steps(self, outline: Outline, budget: Budget) -> Sequence[Step]:  # noqa: ARG002
        """Return the one step."""
        return (Solve(name="probe", method="lbfgs", grid=self.options.strengths),)
