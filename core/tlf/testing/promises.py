"""How a check says that a promise is broken, whatever a plugin does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tlf.discovery import describe
from tlf.errors import TlfError
from tlf.plugin.interfaces import INTERFACES

if TYPE_CHECKING:
    from tlf.registry import Entry

__tracebackhide__ = True


class ContractError(AssertionError):
    """A plugin breaks a promise; the message says what to change."""


def require(condition: object, message: str) -> None:
    """Raise `ContractError` unless a condition holds.

    Args:
        condition: What must hold.
        message: What to change if it does not.
    """
    if not condition:
        raise ContractError(message)


@contextmanager
def must_work(what: str) -> Iterator[None]:
    """Make whatever is raised inside a `ContractError` that says what failed and how.

    Args:
        what: What is done inside, in words: the first ones of the message.
    """
    try:
        yield
    except ContractError:
        raise
    except TlfError as error:
        raise ContractError(f"{what} must not fail: {' '.join(str(error).split())}") from error
    except (Exception, SystemExit) as error:
        raise ContractError(f"{what} must not fail, and fails with {describe(error)}") from error


def is_list(value: object) -> bool:
    """Say whether a value is a sequence, and no text.

    Args:
        value: Whatever a plugin returned.
    """
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def are_numbers(values: object) -> bool:
    """Say whether a value is a sequence of plain numbers.

    Args:
        values: Whatever a plugin returned.
    """
    return (
        is_list(values)
        and isinstance(values, Sequence)
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    )


def target_of(entry: Entry) -> type:
    """Return an entry's class.

    Args:
        entry: What the plugin provides.

    Raises:
        ContractError: It cannot be imported, or is no class of the kind.
    """
    with must_work("importing the target"):
        target = entry.target()
    wanted = INTERFACES[entry.kind]
    require(
        isinstance(target, type) and issubclass(target, wanted),
        f"the target `{entry.declaration.target}` must be a subclass of "
        f"`tlf.plugin.{wanted.__name__}`, and it is {target!r}",
    )
    return target  # type: ignore[no-any-return]


def create(entry: Entry, example: Mapping[str, Any], *more: object) -> Any:  # noqa: ANN401
    """Return a new object of an entry's class.

    Args:
        entry: What the plugin provides.
        example: Its options.
        more: What else the class takes.

    Raises:
        ContractError: It cannot be created.
    """
    target_of(entry)
    with must_work(f"creating an object with the options {dict(example)}"):
        return entry.create(entry.options(example), *more)
