"""Lets one write of a run fail, each in turn, and looks at what is left."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tlf
from tests.faults.kills import SAME
from tests.faults.processes import Ended, in_child
from tlf.cli import main

#: `once`: one write fails, those after it do not. `full`: nothing new can be written from there on.
#: `size`: no file can grow beyond so many bytes, so that files end in the middle.
Kind = Literal["once", "full", "size"]


@dataclass
class Findings:
    """What came of writes that failed.

    Attributes:
        stopped: How many runs have stopped, and gone on later.
        nothing: How many have left nothing at all.
        carried_on: How many have ended well all the same: the cache, the page or the log failed.
        failures: What was wrong.
    """

    stopped: int = 0
    nothing: int = 0
    carried_on: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.stopped} stopped and went on, {self.nothing} left nothing, "
            f"{self.carried_on} ended well all the same, {len(self.failures)} failures"
        )


class Writes:
    """Carries out one run again and again, each time with another write that fails.

    Args:
        spec: Of a small run.
        folder: Where to work.
    """

    def __init__(self, spec: Mapping[str, Any], folder: Path) -> None:
        self._spec = spec
        self._folder = folder
        self.findings = Findings()
        self.count = self._run_whole()

    def fail(self, kind: Kind, number: int) -> None:
        """Let a write fail, then let the run go on, and note what is wrong.

        Args:
            kind: How it fails.
            number: Which write, from 1; or how many bytes.
        """
        for path in self._folder.iterdir():
            if path.name not in ("whole", "log"):
                shutil.rmtree(path)
        with_fault = {
            "once": lambda: self._watch(number, lasting=False),
            "full": lambda: self._watch(number, lasting=True),
            "size": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (number, number)),
        }[kind]
        ended = self._carry_out(with_fault)
        where = f"{kind} {number}"
        try:
            self._look(ended)
        except AssertionError as error:
            self.findings.failures.append(f"{where}: {error}\n{ended.said[-2000:]}")

    def _look(self, ended: Ended) -> None:
        run, output = self._folder / "output" / "small", self._folder / "output"
        said = ended.said
        assert "Traceback" not in said, "a traceback"
        assert ended.code in (0, 1, 2), f"exit code {ended.code}"
        if ended.code == 0:
            self.findings.carried_on += 1
        else:
            assert "error: " in said, "no error"
            assert "hint: " in said, "no hint"
        if not run.exists():
            assert ended.code != 0, "no run directory"
            left = list(output.iterdir()) if output.exists() else []
            assert left == [], f"left: {left}"
            self.findings.nothing += 1
            return
        if ended.code:
            self.findings.stopped += 1
        again = in_child(lambda: tlf.resume(run), self._folder / "log")
        assert again.code == 0, f"it does not go on:\n{again.said}"
        for name in SAME:
            whole = (self._folder / "whole" / "small" / name).read_bytes()
            assert (run / name).read_bytes() == whole, f"{name} differs"
        left = [path.name for path in run.glob(".*")]
        assert left == [], f"left: {left}"

    def _run_whole(self) -> int:
        """Carry out the run that nothing happens to, and return how often it writes."""
        counted = self._folder / "count"

        def work() -> None:
            writes = self._watch(0, lasting=False)
            code = main(["run", self._written("whole")])
            counted.write_text(str(writes()))
            assert code == 0

        ended = in_child(work, self._folder / "log")
        assert ended.code == 0, ended.said
        number = int(counted.read_text())
        counted.unlink()
        return number

    def _carry_out(self, begin: Callable[[], object]) -> Ended:
        spec = self._written("output")

        def work() -> None:
            begin()
            os._exit(main(["run", spec]))

        return in_child(work, self._folder / "log")

    def _written(self, output: str) -> str:
        folder = self._folder / "specs"
        folder.mkdir(exist_ok=True)
        path = folder / f"{output}.json"
        cache = {"directory": str(self._folder / "cache" / output)}
        spec = {**self._spec, "output": str(self._folder / output), "cache": cache}
        path.write_text(json.dumps(spec))
        return str(path)

    def _watch(self, number: int, *, lasting: bool) -> Callable[[], int]:
        """Let the nth change of a file in the folder fail; return what tells how many there were."""
        seen = 0
        folder = str(self._folder)

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if event == "open":
                path, _, flags = arguments
                if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                    return
            elif event == "os.mkdir" or (event == "os.rename" and not lasting):
                path = arguments[0]
            else:
                return
            if not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(folder):
                return
            if os.fspath(path) == f"{folder}/log":
                return
            seen += 1
            if seen == number or (lasting and seen > number > 0):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))

        sys.addaudithook(hear)
        return lambda: seen
