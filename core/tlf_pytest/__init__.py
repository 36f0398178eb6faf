"""pytest's side of tlf's contract kit. pytest finds it by itself wherever tlf is installed.

- `pytest --tlf-plugin acme` runs the contract of an installed plugin, without a test file.
- The fixture `tlf_toy_run` carries out a run on a toy network, which takes a fraction of a second.

Nothing of tlf is imported before one of them is used: other projects' tests pay nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

_OPTION = "--tlf-plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names plugins."""
    parser.getgroup("tlf", "plugins of tlf").addoption(
        _OPTION,
        action="append",
        default=[],
        metavar="NAME",
        help="run the contract of this installed plugin of tlf too; may be given again",
    )


@pytest.hookimpl(tryfirst=True)  # before what `-k` and `-m` leave out is left out
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the checks of the plugins that the option names."""
    for plugin in config.getoption(_OPTION):
        items.extend(_checks(session, plugin))


def _checks(session: pytest.Session, plugin: str) -> Iterator[pytest.Item]:
    """Yield a test for each check of a plugin."""
    from tlf.testing import ContractError, checks_of

    try:
        checks = checks_of(plugin)
    except ContractError as error:
        raise pytest.UsageError(str(error)) from error
    for check in checks:
        yield _Check.from_parent(session, name=check.name, check=check.run)


class _Check(pytest.Item):
    """One check as a test."""

    def __init__(self, *, check: Callable[[], None], **more: Any) -> None:  # noqa: ANN401
        super().__init__(**more)
        self._check = check

    def runtest(self) -> None:
        """Run it."""
        self._check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401
        """Return what to change; how the kit has found that out helps nobody."""
        from tlf.testing import ContractError

        if isinstance(excinfo.value, ContractError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return where it is: nowhere in a file, and its name."""
        return self.path, None, self.name


@pytest.fixture
def tlf_toy_run() -> Callable[..., Any]:
    """Return `tlf.testing.toy_run`: carries out a run on the toy network.

    `tlf_toy_run(strategy="acme/half").report["metrics"]["loss"]`, say.
    """
    from tlf.testing import toy_run

    return toy_run
