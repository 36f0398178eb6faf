"""Running checks one after the other, whatever they raise."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tlf.discovery import describe
from tlf.testing.contract import BoundCheck
from tlf.testing.promises import ContractError


@dataclass(frozen=True)
class CheckResult:
    """What a check came to.

    Attributes:
        check: The check.
        message: What to change, or None if the promise is kept.
        seconds: How long it took.
    """

    check: BoundCheck
    message: str | None
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the promise is kept."""
        return self.message is None


def run_checks(checks: Iterable[BoundCheck]) -> Iterator[CheckResult]:
    """Run checks, and yield what each came to as soon as it is known.

    Args:
        checks: The checks.
    """
    for check in checks:
        started = time.perf_counter()
        message = None
        try:
            check.run()
        except ContractError as error:
            message = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises
            message = f"the check cannot go on: {describe(error)}"
        yield CheckResult(check, message, time.perf_counter() - started)
