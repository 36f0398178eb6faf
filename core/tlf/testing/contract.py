"""Which checks a plugin must pass, and how pytest is told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tlf.errors import did_you_mean
from tlf.testing.promises import ContractError, require

if TYPE_CHECKING:
    from tlf.registry import Entry, Registry

__tracebackhide__ = True


@dataclass(frozen=True)
class BoundCheck:
    """One check of one thing that a plugin provides.

    Attributes:
        kind: The kind of thing: `strategy`.
        thing: What the plugin calls it: `acme/half`.
        case: The model and the options that it is tried with, or empty.
        promise: What must hold, in words: `head learns`.
        run: Raises `ContractError` if the promise is broken.
    """

    kind: str
    thing: str
    case: str
    promise: str
    run: Callable[[], None]

    @property
    def name(self) -> str:
        """All of it: `strategy acme/half {'rate': 0.5}: head learns`."""
        return f"{self.kind} {self.thing}{self.case}: {self.promise}"


def checks_of(plugin: str, registry: Registry | None = None) -> list[BoundCheck]:
    """Return every check that applies to a plugin.

    Args:
        plugin: Name of its entry point.
        registry: The installed plugins; looked up by default.

    Raises:
        ContractError: The plugin is not installed, broken, or declares nothing.
    """
    from tlf.registry import load_registry

    registry = registry or load_registry()
    record = next((record for record in registry.plugins if record.name == plugin), None)
    if record is None:
        raise ContractError(f"no installed plugin is called `{plugin}`")
    if record.state != "ok":
        raise ContractError(f"the plugin `{plugin}` is {record.state}: {record.reason}")
    entries = [entry for entry in registry.entries() if entry.plugin.name == plugin]
    if not entries:
        raise ContractError(f"the plugin `{plugin}` declares nothing")
    return [bound for entry in entries for bound in checks_of_entry(entry)]


def checks_of_entry(entry: Entry) -> Iterator[BoundCheck]:
    """Yield every check that applies to one thing.

    Args:
        entry: What a plugin provides.
    """
    for check, case, arguments in _cases(entry):
        yield BoundCheck(
            kind=entry.kind,
            thing=entry.declaration.name,
            case=case,
            promise=check.__name__.removeprefix("check_").replace("_", " "),
            run=_call(check, entry, arguments),
        )


def _call(
    check: Callable[..., None], entry: Entry, arguments: tuple[object, ...]
) -> Callable[[], None]:
    return lambda: check(entry, *arguments)


def _cases(entry: Entry) -> Iterator[tuple[Callable[..., None], str, tuple[object, ...]]]:
    from tlf.plugin import BackboneFamilyDeclaration
    from tlf.testing import (
        backbones,
        data_sources,
        declarations,
        devices,
        observers,
        strategies,
        transforms,
    )

    by_kind: Mapping[str, tuple[Callable[..., None], ...]] = {
        "backbone-family": backbones.CHECKS,
        "data-source": data_sources.CHECKS,
        "device": devices.CHECKS,
        "observer": observers.CHECKS,
        "strategy": strategies.CHECKS,
        "transform": transforms.CHECKS,
    }
    for check in declarations.CHECKS:
        yield check, "", ()
    declaration = entry.declaration
    cases: list[tuple[str, tuple[object, ...]]]
    if isinstance(declaration, BackboneFamilyDeclaration):
        cases = [
            (f"/{model}{_shown(example)}", (model, example))
            for model in declaration.example_models
            for example in declaration.examples
        ]
    elif entry.kind == "data-source":
        cases = [("", ())]
    else:
        cases = [(_shown(example), (example,)) for example in declaration.examples]
    # All checks of a case one after the other: some look at the same run.
    for case, arguments in cases:
        for check in by_kind[entry.kind]:
            yield check, case, arguments


def _shown(example: Mapping[str, object]) -> str:
    return f" {dict(example)}" if example else ""


class PluginContract:
    """Base class of a test class that runs every check on one plugin.

    Attributes:
        plugin: Name of the plugin's entry point.
        expected_failures: Why a check fails for now, by the promise (`head learns`: in every case) or
            by the whole name of a check. Strict: one that passes all the same is a failure.
    """

    plugin: ClassVar[str]
    expected_failures: ClassVar[Mapping[str, str]] = {}

    def pytest_generate_tests(self, metafunc: Any) -> None:  # noqa: ANN401 - no pytest here
        """Make one test of each check."""
        if "check" not in metafunc.fixturenames:
            return
        plugin = getattr(self, "plugin", None)
        require(plugin, f'`{type(self).__name__}` must say whose contract it is: `plugin = "acme"`')
        checks = checks_of(self.plugin)
        names = {name for check in checks for name in (check.promise, check.name)}
        for name in self.expected_failures:
            require(
                name in names,
                f"`expected_failures` names `{name}`, which is no check of `{plugin}`; "
                f"{did_you_mean(name, names)}",
            )
        metafunc.parametrize("check", checks, ids=[check.name for check in checks])

    def test_contract(self, check: BoundCheck) -> None:
        """Run one check."""
        __tracebackhide__ = True
        expected = self.expected_failures
        reason = expected.get(check.name, expected.get(check.promise))
        if reason is None:
            check.run()
            return
        try:
            check.run()
        except ContractError as error:
            import pytest

            pytest.xfail(f"{reason}: {error}")
        raise ContractError(
            f"`{check.name}` is expected to fail ({reason}), and passes: take it out of "
            "`expected_failures`"
        )
