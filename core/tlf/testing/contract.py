"""Which checks a plugin must pass, and how pytest is told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tlf.testing.promises import ContractError, require

if TYPE_CHECKING:
    from tlf.registry import Entry, Registry


@dataclass(frozen=True)
class BoundCheck:
    """One check of one thing that a plugin provides.

    Attributes:
        name: `strategy acme/lp-ft: spends the budget`, say.
        run: Raises `ContractError` if the promise is broken.
    """

    name: str
    run: Callable[[], None]


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
    return [bound for entry in entries for bound in _bind(entry)]


def _bind(entry: Entry) -> Iterator[BoundCheck]:
    for check, case, arguments in _cases(entry):
        promise = check.__name__.removeprefix("check_").replace("_", " ")
        subject = f"{entry.kind} {entry.declaration.name}{case}"
        yield BoundCheck(f"{subject}: {promise}", _call(check, entry, arguments))


def _call(
    check: Callable[..., None], entry: Entry, arguments: tuple[object, ...]
) -> Callable[[], None]:
    return lambda: check(entry, *arguments)


def _cases(entry: Entry) -> Iterator[tuple[Callable[..., None], str, tuple[object, ...]]]:
    from tlf.plugin import BackboneFamilyDeclaration
    from tlf.testing import backbones, data_sources, declarations, devices, strategies, transforms

    by_kind: Mapping[str, tuple[Callable[..., None], ...]] = {
        "backbone-family": backbones.CHECKS,
        "data-source": data_sources.CHECKS,
        "device": devices.CHECKS,
        "strategy": strategies.CHECKS,
        "transform": transforms.CHECKS,
    }
    for check in declarations.CHECKS:
        yield check, "", ()
    declaration = entry.declaration
    for check in by_kind[entry.kind]:
        if isinstance(declaration, BackboneFamilyDeclaration):
            for model in declaration.example_models:
                for example in declaration.examples:
                    yield check, f"/{model}{_shown(example)}", (model, example)
        elif entry.kind == "data-source":
            yield check, "", ()
        else:
            for example in declaration.examples:
                yield check, _shown(example), (example,)


def _shown(example: Mapping[str, object]) -> str:
    return f" {dict(example)}" if example else ""


class PluginContract:
    """Base class of a test class that runs every check on one plugin.

    Attributes:
        plugin: Name of the plugin's entry point.
    """

    plugin: ClassVar[str]

    def pytest_generate_tests(self, metafunc: Any) -> None:  # noqa: ANN401 - no pytest here
        """Make one test of each check."""
        if "check" not in metafunc.fixturenames:
            return
        plugin = getattr(self, "plugin", None)
        require(plugin, f'`{type(self).__name__}` must say whose contract it is: `plugin = "acme"`')
        checks = checks_of(self.plugin)
        metafunc.parametrize("check", checks, ids=[check.name for check in checks])

    def test_contract(self, check: BoundCheck) -> None:
        """Run one check."""
        check.run()
