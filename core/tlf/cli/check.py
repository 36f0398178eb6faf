"""`tlf plugins check`: the contract tests, on whatever is installed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tlf.cli.arguments import Json

if TYPE_CHECKING:
    from tlf.registry import Entry
    from tlf.testing.checking import CheckResult


def check_command(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Plugins, or things that they provide."),
    ],
    as_json: Json = False,
) -> None:
    """Check that plugins keep the contract.

    Every promise is tried on everything that they provide and on each of its examples. The exit code is
    1 if one is broken.
    """
    from tlf.cli.output import write_json
    from tlf.cli.plugins import find_entries
    from tlf.errors import RunError
    from tlf.registry import load_registry

    registry = load_registry()
    found = [entry for name in names for entry in find_entries(registry, name)]
    results = _results(list({id(entry): entry for entry in found}.values()), quiet=as_json)
    if as_json:
        write_json([_as_json(result) for result in results])
    failed = sum(not result.passed for result in results)
    if failed:
        count = f"{failed} of {len(results)} checks"
        raise RunError(f"{count} {'fails' if failed == 1 else 'fail'}")


def show_results(entry: Entry, results: Sequence[CheckResult]) -> None:
    """Print what the checks of one thing came to, and what to change.

    Args:
        entry: The thing.
        results: Of its checks.
    """
    from tlf.cli.output import results as console_of_results
    from tlf.cli.tables import seconds, table

    console = console_of_results()
    by_promise: dict[str, list[CheckResult]] = {}
    for result in results:
        by_promise.setdefault(result.check.promise, []).append(result)
    rows = []
    for promise, group in by_promise.items():
        failed = sum(not result.passed for result in group)
        verdict = "ok" if not failed else "failed" if failed == len(group) else f"{failed} failed"
        rows.append([promise, str(len(group)), seconds(sum(r.seconds for r in group)), verdict])
    title = f"{entry.kind} {entry.declaration.name}"
    console.print(table([title, ">cases", ">time", "result"], rows))
    for result in results:
        if not result.passed:
            console.print(f"\n{result.check.name}\n  {result.message}", soft_wrap=True)
    console.print()


def _results(entries: Sequence[Entry], *, quiet: bool) -> list[CheckResult]:
    """Run every check; show those of each thing as soon as they are done."""
    from tlf.testing.checking import run_checks
    from tlf.testing.contract import checks_of_entry

    everything: list[CheckResult] = []
    for entry in entries:
        checks = list(checks_of_entry(entry))
        results = []
        with _waiting(f"{entry.kind} {entry.declaration.name}") as tell, _undisturbed():
            for result in run_checks(checks):
                results.append(result)
                tell(f"{len(results)} of {len(checks)} checks")
        if not quiet:
            show_results(entry, results)
        everything += results
    return everything


@contextmanager
def _waiting(title: str) -> Iterator[Any]:
    """Show on a terminal what is being checked."""
    from tlf.cli.output import messages

    console = messages()
    if not console.is_interactive:
        yield lambda _: None
        return
    with console.status(title) as status:
        yield lambda facts: status.update(f"{title}: {facts}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep what a plugin prints out of the results, and the warnings of libraries away."""
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _as_json(result: CheckResult) -> dict[str, Any]:
    check = result.check
    return {
        "kind": check.kind,
        "name": check.thing,
        "case": check.case.strip(),
        "check": check.promise,
        "passed": result.passed,
        "message": result.message,
        "seconds": round(result.seconds, 3),
    }
