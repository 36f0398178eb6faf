"""Kills runs at every place, lets them go on, and compares every byte with a run left alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tlf
from tests.faults.places import CACHE, CHECKPOINT, EPOCH, PLACES, REPORT, Hit, Places
from tests.faults.processes import Ended, in_child

#: What must not depend on whether a run was killed.
SAME = ("metrics.jsonl", "model.safetensors", "model.json", "predictions.jsonl")

#: How often a run is killed at a random moment, besides, before it is left alone.
RANDOM = "random"


@dataclass
class Tally:
    """What came of the kills.

    Attributes:
        kills: How many there were, by strategy and place.
        possible: The places that there are, by strategy.
        runs: How many runs were killed until they ended, and compared.
        failures: What was wrong.
    """

    kills: dict[str, Counter[str]] = field(default_factory=dict)
    possible: dict[str, tuple[str, ...]] = field(default_factory=dict)
    runs: int = 0
    failures: list[str] = field(default_factory=list)

    def missing(self, least: int) -> list[str]:
        """Return what was killed less often than it should be, in words."""
        return [
            f"{strategy}: {place} {self.kills[strategy][place]} of {least}"
            for strategy, places in self.possible.items()
            for place in places
            if self.kills[strategy][place] < least
        ]

    def as_table(self) -> str:
        """Return a line for each strategy."""
        columns = (*PLACES, RANDOM)
        lines = [f"{'':22}" + "".join(f"{name:>18}" for name in columns)]
        for strategy, kills in self.kills.items():
            places = self.possible[strategy]
            numbers = [
                str(kills[name]) if name in places or name == RANDOM else "-" for name in columns
            ]
            lines.append(f"{strategy:22}" + "".join(f"{number:>18}" for number in numbers))
        total = sum(sum(kills.values()) for kills in self.kills.values())
        lines.append(f"{total} kills in {self.runs} runs, {len(self.failures)} failures")
        return "\n".join(lines)


class Killer:
    """Kills runs of one spec.

    Args:
        strategy: What it is called in the tally.
        spec: The spec, of a small run.
        folder: Where to work.
        tally: Takes note.
        seed: Draws when to kill.
    """

    def __init__(
        self, strategy: str, spec: Mapping[str, Any], folder: Path, tally: Tally, seed: int
    ) -> None:
        self._strategy = strategy
        self._spec = spec
        self._folder = folder
        self._tally = tally
        self._draw = random.Random(f"{seed} {strategy}")
        self._tally.kills[strategy] = Counter()
        self._counts = self._run_whole()
        self._trains = self._counts[EPOCH] > 0
        # A run without batches saves no state; it only removes what there might be.
        tally.possible[strategy] = tuple(
            place
            for place in PLACES
            if self._counts[place] and (self._trains or place != CHECKPOINT)
        )

    def _run_whole(self) -> Counter[str]:
        """Carry out the run that is never killed, and return how often it comes by each place."""
        counts = self._folder / "counts.json"

        def work() -> None:
            hit = Hit(None, 0)
            self._begin("whole", Places(hit))
            counts.write_text(json.dumps(hit.counts))

        ended = in_child(work, self._folder / "log")
        assert ended.code == 0, ended.said
        return Counter(json.loads(counts.read_text()))

    def _begin(self, name: str, listener: tlf.Listener) -> None:
        spec = {**self._spec, "cache": {"directory": str(self._folder / f"{name}-cache")}}
        tlf.run(spec, output_directory=self._folder / name, listener=listener)

    def kill_one(self, rounds: int = 1) -> None:
        """Kill a run at every place, one after the other, let it end, and compare it.

        Args:
            rounds: How often at each place between the first and the last.
        """
        name = "victim"
        for path in (self._folder / name, self._folder / f"{name}-cache"):
            shutil.rmtree(path, ignore_errors=True)
        for place in self._order(rounds):
            ended = self._go_on(name, place)
            if ended.killed:
                self._tally.kills[self._strategy][place] += 1
            elif ended.code != 0:
                self._tally.failures.append(f"{self._strategy}, {place}: {ended.said}")
                return
            else:
                # The run had too little left for it.
                break
        ended = self._finish(name)
        self._tally.runs += 1
        if ended.code != 0:
            self._tally.failures.append(f"{self._strategy}, at its end: {ended.said}")
            return
        self._compare(name)

    def _order(self, rounds: int) -> Iterator[str]:
        inner = [place for place in self._tally.possible[self._strategy] if place != REPORT]
        # Random moments are those after the first batch.
        inner = [place for place in inner if place != CACHE] + [RANDOM] * self._trains
        inner *= rounds
        self._draw.shuffle(inner)
        yield CACHE
        yield from inner
        yield REPORT

    def _go_on(self, name: str, place: str) -> Ended:
        # Early among what is there: a run that goes on comes by less often than a whole one.
        most = max(1, self._counts[place] // (1 if place in (CACHE, REPORT) else 4))
        hit = Hit(place, self._draw.randint(1, most))
        reader, writer = os.pipe()

        def work() -> None:
            os.close(reader)
            trained = (lambda: os.write(writer, b"x")) if place == RANDOM else (lambda: None)
            self._work(name, Places(hit, trained))

        def kill(child: int) -> None:
            os.close(writer)
            if place == RANDOM and os.read(reader, 1):
                time.sleep(self._draw.random() * 0.3)
                os.kill(child, signal.SIGKILL)
            os.close(reader)

        return in_child(work, self._folder / "log", kill)

    def _finish(self, name: str) -> Ended:
        return in_child(lambda: self._work(name, tlf.Listener()), self._folder / "log")

    def _work(self, name: str, listener: tlf.Listener) -> None:
        """Begin the run, or go on with it."""
        if (self._folder / name).exists():
            tlf.resume(self._folder / name, listener=listener)
        else:
            self._begin(name, listener)

    def _compare(self, name: str) -> None:
        whole, victim = self._folder / "whole", self._folder / name
        wrong = [
            file for file in SAME if (whole / file).read_bytes() != (victim / file).read_bytes()
        ]
        left = [path.name for path in victim.glob(".*")]
        pages = [] if (victim / "report.html").is_file() else ["report.html is not there"]
        for what in (*wrong, *left, *pages):
            self._tally.failures.append(f"{self._strategy}: {what} differs, or is left")


def kill_runs(
    specs: Mapping[str, Mapping[str, Any]],
    folder: Path,
    *,
    least: int,
    seed: int = 0,
    told: Callable[[str], object] = lambda _: None,
) -> Tally:
    """Kill runs of several specs until each was killed often enough at every place.

    Args:
        specs: By what they are called.
        folder: Where to work.
        least: How often at each place.
        seed: Draws when to kill.
        told: Hears how far it is.
    """
    tally = Tally()
    for strategy, spec in specs.items():
        place = folder / strategy
        place.mkdir(parents=True)
        killer = Killer(strategy, spec, place, tally, seed)
        for _ in range(4 * least):
            if not any(one.startswith(f"{strategy}: ") for one in tally.missing(least)):
                break
            killer.kill_one()
        told(f"{strategy}: {dict(tally.kills[strategy])}")
        for failure in tally.failures:
            if failure.startswith(strategy):
                told(failure)
        shutil.rmtree(place)
    return tally
