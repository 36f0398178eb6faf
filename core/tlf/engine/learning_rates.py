"""What `tlf tune-lr` finds: a learning rate for each step, how sure it is, and one for the spec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp, log
from statistics import median
from typing import Any, Literal

from tlf.engine.rate_rules import MARGIN, WILD, Curve, Reading, pick_rate, read

#: What a test came to: a rate; no fall to choose by; or repeats that contradict each other.
Verdict = Literal["rate", "flat", "disagree"]


@dataclass(frozen=True)
class Repeat:
    """One range test.

    Attributes:
        seed: What drew the head, the order and dropout.
        curve: The losses.
        reading: What the curve says.
        rate: The rate that the rule picks; None if the curve is flat.
    """

    seed: int
    curve: Curve
    reading: Reading
    rate: float | None

    @classmethod
    def of(cls, seed: int, curve: Curve) -> Repeat:
        """Return what a curve comes to.

        Args:
            seed: What drew the head and the order.
            curve: Of at least one rate.
        """
        reading = read(curve)
        return cls(seed, curve, reading, pick_rate(reading))


@dataclass(frozen=True)
class MeasuredRate:
    """A learning rate that was tested several times.

    Attributes:
        groups: The groups whose peak rate was tried alone, `stage:kind`; empty for all that learn, and
            then the rates are those of `training.learning_rate`.
        planned: What the spec plans: `training.learning_rate`, or the peak rate of these groups.
        repeats: The tests.
    """

    groups: tuple[str, ...]
    planned: float
    repeats: tuple[Repeat, ...]

    @property
    def rates(self) -> list[float]:
        """What the repeats came to, where they came to anything."""
        return [one.rate for one in self.repeats if one.rate is not None]

    @property
    def verdict(self) -> Verdict:
        """What the tests came to together."""
        if 2 * len(self.rates) <= len(self.repeats):
            return "flat"
        low, high = min(self.rates), max(self.rates)
        return "disagree" if high >= WILD * low * (1 - 1e-9) else "rate"

    @property
    def rate(self) -> float | None:
        """The median of the repeats' rates, of two digits; None if most curves are flat."""
        return None if self.verdict == "flat" else two_digits(exp(median(map(log, self.rates))))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The lowest and the highest of the repeats' rates; None if most curves are flat."""
        return None if self.verdict == "flat" else (min(self.rates), max(self.rates))

    @property
    def limit(self) -> float | None:
        """The lowest rate at which any repeat had lost all that it gained; None if none had."""
        limits = [one.reading.limit for one in self.repeats if one.reading.limit is not None]
        return min(limits, default=None)

    @property
    def note(self) -> str:
        """What has to be said of it, in words; empty if the numbers say it."""
        if self.verdict == "flat":
            below = "" if self.limit is None else f"; it is lost above {self.limit:.1e}"
            return (
                f"flat: the loss falls no more than by chance, so there is nothing to choose{below}"
            )
        if self.verdict == "disagree":
            low, high = min(self.rates), max(self.rates)
            return f"the repeats disagree by a factor of {high / low:.0f}: this is no measurement"
        flat = len(self.repeats) - len(self.rates)
        return f"{flat} of {len(self.repeats)} repeats were flat" if flat else ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, curves included."""
        return {
            "groups": list(self.groups),
            "planned": self.planned,
            "rate": self.rate,
            "interval": None if self.interval is None else list(self.interval),
            "limit": self.limit,
            "verdict": self.verdict,
            "note": self.note,
            "repeats": [asdict(one) for one in self.repeats],
        }


@dataclass(frozen=True)
class StepRates:
    """What was found for a step of the plan.

    Attributes:
        name: The step's name.
        kind: The step's kind: `train`, `lbfgs`, `knn` or `combine`.
        epochs: Epochs that the run spends in it.
        together: The test of all that learns in it; None if nothing is tuned.
        groups: Tests of each group of parameters with a rate of its own, if they were asked for.
    """

    name: str
    kind: str
    epochs: int
    together: MeasuredRate | None = None
    groups: tuple[MeasuredRate, ...] = ()

    @property
    def note(self) -> str:
        """What has to be said of it, in words; empty if the numbers say it."""
        if self.together is not None:
            return self.together.note
        if self.kind == "combine":
            return "nothing to tune: weights are averaged"
        return "nothing to tune: the head is solved for"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, curves included."""
        together = None if self.together is None else self.together.as_json()
        return {
            "name": self.name,
            "kind": self.kind,
            "epochs": self.epochs,
            "note": self.note,
            "together": together,
            "groups": [one.as_json() for one in self.groups],
        }


@dataclass(frozen=True)
class LearningRates:
    """What range tests of a run's steps came to.

    Attributes:
        name: The run's name.
        planned: The spec's `training.learning_rate`.
        steps: Of each step of the plan, in order.
    """

    name: str
    planned: float
    steps: tuple[StepRates, ...]

    @property
    def tested(self) -> tuple[StepRates, ...]:
        """The steps that were tested."""
        return tuple(step for step in self.steps if step.together is not None)

    @property
    def learning_rate(self) -> float | None:
        """What `training.learning_rate` should be, of two digits; None if the tests do not tell.

        The steps share this one number. It is the mean of their rates, each weighted by its epochs, on
        a logarithmic scale: the one that is wrong by the least over the run. But a rate that is too
        high does more harm than one that is too low, so no step gets more than a tenth of the rate at
        which it lost all that it had gained. A step whose repeats disagree has no rate, and then
        nor have they together.
        """
        if any(self._of(step).verdict == "disagree" for step in self.tested):
            return None
        known = [(self._of(step).rate, step.epochs) for step in self.tested]
        rates = [(rate, epochs) for rate, epochs in known if rate is not None]
        if not rates:
            return None
        epochs = sum(weight for _, weight in rates)
        mean = exp(sum(weight * log(rate) for rate, weight in rates) / epochs)
        if len(self.tested) > 1:
            limits = [self._of(step).limit for step in self.tested]
            mean = min([mean, *(limit / MARGIN for limit in limits if limit is not None)])
        return two_digits(mean)

    @property
    def why(self) -> str:
        """Where `learning_rate` comes from, or why there is none, in words."""
        if not self.tested:
            return "nothing to tune: no step of this plan trains by gradient descent"
        wild = [step.name for step in self.tested if self._of(step).verdict == "disagree"]
        if wild:
            named = ", ".join(wild)
            return f"none: the repeats of step {named} disagree by a factor of {WILD:g} or more"
        if self.learning_rate is None:
            return "none: every curve is flat"
        if len(self.tested) == 1:
            return f"of step {self.tested[0].name}, the only one that trains"
        return (
            "the mean of the steps' rates, weighted by their epochs, on a logarithmic scale; at most a "
            "tenth of where any of them diverges"
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, curves included."""
        return {
            "name": self.name,
            "planned": self.planned,
            "learning_rate": self.learning_rate,
            "why": self.why,
            "steps": [step.as_json() for step in self.steps],
        }

    @staticmethod
    def _of(step: StepRates) -> MeasuredRate:
        assert step.together is not None
        return step.together


def two_digits(rate: float) -> float:
    """Return a rate rounded to two digits: no test knows more of it.

    Args:
        rate: Above 0.
    """
    return float(f"{rate:.1e}")


def distinct_rates(rates: Sequence[tuple[str, float]]) -> dict[float, tuple[str, ...]]:
    """Return the groups of each rate, in the order of the network.

    Args:
        rates: Each group with its rate.
    """
    found: dict[float, tuple[str, ...]] = {}
    for group, rate in rates:
        found[rate] = (*found.get(rate, ()), group)
    return found
