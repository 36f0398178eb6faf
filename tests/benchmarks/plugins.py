"""What plugins cost: listing twenty foreign ones, five of them broken, and checking each of tlf's own.

    .venv/bin/python -m tests.benchmarks plugins

The foreign plugins are real distributions, installed by pip into an environment of their own.
"""

import json
import tempfile
import time
from pathlib import Path

from tests.benchmarks import start_up
from tests.distributions import Environment, write_wheel

GOOD = 15
LIST = ("-c", "import sys; from tlf.cli import main; sys.exit(main())", "plugins", "list")
#: What takes long to import, and a list does not need.
HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "PIL",
    "scipy",
    "sklearn",
    "safetensors",
    "tlf.engine",
    "tlf.planning",
    "tlf.testing",
)

PLUGIN = """
from tlf.plugin import Declaration, Options, Strategy, Train, hookimpl


@hookimpl
def tlf_strategies():
    names = ("first", "second", "third")
    fields = {"summary": "one of three", "target": "MODULE.code:Half"}
    return [Declaration(name=f"PLUGIN/{name}", **fields) for name in names]
"""
BROKEN = (
    "import tlf_nowhere\n",
    "def tlf_strategies(:\n",
    PLUGIN.replace("tlf_strategies", "tlf_stratgies"),
    PLUGIN.replace("PLUGIN/", ""),
    "raise SystemExit(1)\n",
)


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, full = Environment(folder / "plain"), Environment(folder / "full")
        full.install(*_wheels(folder))
        start_up.in_turns(
            {
                "import typer, rich, pluggy": [str(plain.python), *start_up.FLOOR],
                "tlf plugins list, tlf's own": [str(plain.python), *LIST],
                "tlf plugins list, 20 more": [str(full.python), *LIST],
            }
        )
        print(f"not imported: {', '.join(_not_imported(full))}")
        _check_built_in(plain)


def _wheels(folder: Path) -> list[Path]:
    wheels = []
    for number in range(GOOD + len(BROKEN)):
        plugin = f"acme{number}"
        module = f"tlf_{plugin}"
        source = PLUGIN if number < GOOD else BROKEN[number - GOOD]
        source = source.replace("MODULE", module).replace("PLUGIN", plugin)
        files = {f"{module}/__init__.py": source, f"{module}/code.py": "import torch\n"}
        wheels.append(write_wheel(folder, f"tlf-{plugin}", files, {plugin: module}))
    return wheels


def _not_imported(environment: Environment) -> list[str]:
    script = (
        "import sys, io, contextlib; from tlf.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()): main(['plugins', 'list'])\n"
        f"print(*[name for name in {HEAVY!r} if name not in sys.modules])"
    )
    return environment.run("-c", script).stdout.split()


def _check_built_in(environment: Environment) -> None:
    rows = json.loads(environment.run(*LIST, "--json").stdout)
    print("\ntlf plugins check")
    total = 0
    for plugin in sorted(row["name"] for row in rows):
        words = [*LIST[:2], "plugins", "check", plugin, "--json"]
        started = time.perf_counter()
        results = json.loads(environment.run(*words).stdout)
        whole = time.perf_counter() - started
        total += len(results)
        failed = sum(not result["passed"] for result in results)
        checks = sum(result["seconds"] for result in results)
        print(
            f"{plugin:<20} {len(results):4} checks, {failed} failed, {checks:6.1f} s "
            f"({whole:6.1f} s with the start)",
            flush=True,
        )
    print(f"{total} checks in all")
