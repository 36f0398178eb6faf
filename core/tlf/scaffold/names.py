"""What a new plugin, and everything in it, is called."""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder

from tlf.discovery import PluginRecord
from tlf.errors import UsageError
from tlf.plugin.rules import RuleError, check_plugin_name

PREFIX = "tlf-"
#: With longer names, lines of the package would need other breaks to be well formatted.
LONGEST = 50

#: What follows the slash in the name of the thing; a backbone family has no slash.
_WORDS = {
    "data-source": "table",
    "device": "cpu",
    "observer": "lines",
    "strategy": "upper",
    "transform": "mirror",
}


@dataclass(frozen=True)
class Names:
    """The names of a new plugin.

    Attributes:
        distribution: `tlf-acme`: what pip calls it.
        kind: The kind of thing that it provides.
    """

    distribution: str
    kind: str

    @property
    def module(self) -> str:
        """`tlf_acme`: what Python calls it."""
        return self.distribution.replace("-", "_")

    @property
    def plugin(self) -> str:
        """`acme`: the name of its entry point."""
        return self.distribution.removeprefix(PREFIX)

    @property
    def thing(self) -> str:
        """`acme/upper`: what a spec calls the thing that it provides."""
        word = _WORDS.get(self.kind)
        return self.plugin.replace("-", "") if word is None else f"{self.plugin}/{word}"


def names_of(distribution: str, kind: str, installed: Sequence[PluginRecord]) -> Names:
    """Return the names of a new plugin, all of which are free.

    Args:
        distribution: What its distribution is to be called.
        kind: The kind of thing that it provides.
        installed: The installed plugins.

    Raises:
        UsageError: It cannot be called that.
    """
    names = Names(distribution, kind)
    problem = _problem(names, installed)
    if problem is None:
        return names
    candidates = (Names(name, kind) for name in _near(distribution))
    near = next((one.distribution for one in candidates if not _problem(one, installed)), None)
    if near is None:
        raise UsageError(problem)
    meant = f"did you mean `{near}`?" if _malformed(names) else f"`{near}` is free"
    raise UsageError(problem, hint=meant)


def _problem(names: Names, installed: Sequence[PluginRecord]) -> str | None:
    """Return what is wrong with the names, or None."""
    return _malformed(names) or _shadowing(names) or _taken(names, installed)


def _malformed(names: Names) -> str | None:
    name = names.distribution
    if not _is_valid(name):
        return (
            f"a plugin's distribution cannot be called `{name}`: that must be lower case words "
            "joined by `-`, and begin with a letter"
        )
    if not _is_valid(names.plugin):
        return (
            f"`{name}` makes a plugin called `{names.plugin}`, and a plugin's name must begin "
            "with a letter"
        )
    if len(name) > LONGEST:
        return f"`{name}` has {len(name)} characters, more than {LONGEST}"
    return None


def _is_valid(name: str) -> bool:
    try:
        check_plugin_name(name)
    except RuleError:
        return False
    return True


def _shadowing(names: Names) -> str | None:
    module = names.module
    if keyword.iskeyword(module):
        return f"`{module}` is a word of Python, and cannot be the name of a module"
    if module in sys.stdlib_module_names:
        return f"`{module}` is a module of Python's own, and another could not be imported"
    return None


def _taken(names: Names, installed: Sequence[PluginRecord]) -> str | None:
    # One without a distribution is only waited for: somebody wants to use it, and it may be this one.
    for record in (record for record in installed if record.distribution):
        if record.name == names.plugin:
            return f"a plugin called `{names.plugin}` is installed already, from {record.origin}"
        for kind, declared in record.declarations.items():
            for declaration in declared:
                # `tlf/resnet20` and a `tlf/upper` of somebody else would look like one family.
                if declaration.name in (names.plugin, names.thing):
                    return (
                        f"a {kind.replace('-', ' ')} called `{declaration.name}` is installed "
                        f"already, from {record.origin}"
                    )
    if _is_distribution(names.distribution):
        return f"a distribution called `{names.distribution}` is installed already"
    if PathFinder.find_spec(names.module) is not None:
        return f"a module called `{names.module}` is installed already"
    return None


def _is_distribution(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _near(name: str) -> Iterator[str]:
    """Yield names that are like one that will not do, the nearest first."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", plain).lower()
    cleaned = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
    plugin = cleaned.removeprefix(PREFIX) or "plugin"
    for near in (cleaned, f"{PREFIX}{plugin}", f"{PREFIX}my-{plugin}", f"{PREFIX}my-plugin"):
        yield near[:LONGEST].strip("-")
