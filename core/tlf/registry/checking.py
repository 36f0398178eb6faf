"""A spec checked against what is installed, with all that is wrong at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tlf.errors import PluginError, Problem, SpecError, nearest
from tlf.registry.entries import SECTIONS, Entry
from tlf.registry.installed import Registry
from tlf.spec import RawSpec, RunSpec, validate
from tlf.spec.json_values import below

_BACKBONE = "backbone-family"


@dataclass(frozen=True)
class _Finding:
    """One problem, and whether a plugin has it rather than the spec."""

    problem: Problem
    is_plugin_problem: bool = False


@dataclass(frozen=True)
class _Part:
    """What a spec says of one part that a plugin provides.

    Attributes:
        kind: The kind of thing.
        section: Where it stands in the spec: `strategy`, `observers.0`.
        name: What it is called.
        path: Where the spec says that.
        values: Its object; empty if the spec has its name alone.
    """

    kind: str
    section: str
    name: str
    path: str
    values: Mapping[str, Any]

    @property
    def options(self) -> Mapping[str, Any] | None:
        """The options, or None if what stands in their place is no object."""
        options = self.values.get("options", {})
        return options if isinstance(options, Mapping) else None


def check(raw: RawSpec, registry: Registry) -> RunSpec:
    """Check a spec: its shape, the names in it, and the options of plugins.

    Args:
        raw: The spec.
        registry: The installed plugins.

    Raises:
        SpecError: Something is wrong; all of it is in the error.
        PluginError: The spec may be right, but a plugin that it needs is missing or broken.
    """
    spec, problems = validate(raw)
    findings = [_Finding(problem) for problem in problems]
    for part in _parts(raw.values):
        entry, found = _check_part(part, registry)
        findings += found
        if entry is not None:
            findings = [_with_home(finding, part, entry) for finding in findings]
    if spec is None or findings:
        raise _error(findings, raw.source)
    return spec


def _parts(values: Mapping[str, Any]) -> Iterator[_Part]:
    """Yield the parts whose names can be read, the defaults of those that are left out too."""
    for kind, section in SECTIONS.items():
        value = values.get(section)
        if isinstance(value, list | tuple):
            for number, item in enumerate(value):
                yield from _part(kind, below(section, number), item)
        else:
            if section not in values:
                value = getattr(RunSpec.model_fields[section].default, "name", None)
            yield from _part(kind, section, value)


def _part(kind: str, section: str, value: object) -> Iterator[_Part]:
    """Yield the part that a value means, if its name can be read."""
    if isinstance(value, str) and value:
        yield _Part(kind, section, value, section, {})
    elif isinstance(value, Mapping):
        name = value.get("name")
        if isinstance(name, str) and name:
            yield _Part(kind, section, name, f"{section}.name", value)


def _check_part(part: _Part, registry: Registry) -> tuple[Entry | None, list[_Finding]]:
    name = part.name
    names = [entry.declaration.name for entry in registry.entries(part.kind)]
    if part.kind == _BACKBONE:
        name, _, model = part.name.partition("/")
        if not name or not model:
            return None, [_Finding(_incomplete_backbone(part, names))]
    entry = registry.find(part.kind, name)
    if entry is not None:
        return entry, list(_check_entry(part, entry))
    missing = registry.missing(part.kind, name)
    hint = missing.hint
    if part.kind == _BACKBONE and not missing.is_plugin_problem:
        hint = f"did you mean `{nearest(name, names)}/{part.name.partition('/')[2]}`?"
    return None, [_Finding(Problem(part.path, missing.message, hint), missing.is_plugin_problem)]


def _check_entry(part: _Part, entry: Entry) -> Iterator[_Finding]:
    missing = entry.missing_requirements()
    if missing:
        error = entry.requirement_error(missing)
        yield _Finding(Problem(part.path, error.message, error.hint), is_plugin_problem=True)
    if part.options is None:
        return
    try:
        entry.options(part.options, path=f"{part.section}.options")
    except SpecError as error:
        yield from (_Finding(problem) for problem in error.problems)
    except PluginError as error:
        # If something that it requires is missing, that is the reason, and it is said already.
        if not missing:
            problem = Problem(part.path, error.message, error.hint)
            yield _Finding(problem, is_plugin_problem=True)


def _incomplete_backbone(part: _Part, families: list[str]) -> Problem:
    family, slash, model = part.name.partition("/")
    known = sorted(families)
    if slash:
        what = "names no family" if not family else "names no model"
    elif family in known:
        what = "is a family, and names no model"
    else:
        what = "names no family"
        model = family
    shown = [f"`{name}/{model or '<model>'}`" for name in known if name == family or model]
    hint = f"did you mean {' or '.join(shown)}?" if model and shown else None
    return Problem(
        part.path, f"`{part.name}` {what}", hint or "a backbone is written `family/model`"
    )


def _with_home(finding: _Finding, part: _Part, entry: Entry) -> _Finding:
    """Point an unknown key beside the options to the option of that name, if there is one."""
    beside, _, key = finding.problem.path.rpartition(".")
    if beside != part.section or key not in part.values or key in ("name", "options"):
        return finding
    try:
        is_option = key in entry.options_model().model_fields
    except PluginError:
        return finding
    if not is_option or not finding.problem.message.endswith("is no known key"):
        return finding
    hint = f"did you mean `{part.section}.options.{key}`?"
    return replace(finding, problem=replace(finding.problem, hint=hint))


def _error(findings: list[_Finding], source: str | None) -> SpecError | PluginError:
    order = list(RunSpec.model_fields)

    def place(finding: _Finding) -> tuple[int, int]:
        section, _, rest = finding.problem.path.partition(".")
        number = rest.partition(".")[0]
        return (
            order.index(section) if section in order else len(order),
            int(number) if number.isdecimal() else -1,
        )

    findings = sorted(findings, key=place)
    problems = [finding.problem for finding in findings]
    if not all(finding.is_plugin_problem for finding in findings):
        return SpecError(problems, source=source)
    if len(problems) == 1:
        problem = problems[0]
        return PluginError(f"{problem.path}: {problem.message}", hint=problem.hint)
    lines = [f"{len(problems)} plugins that the spec needs do not work"]
    for problem in problems:
        lines.append(f"  {problem.path}: {problem.message}")
        if problem.hint:
            lines.append(f"    hint: {problem.hint}")
    return PluginError("\n".join(lines))
