"""How many examples, how long one may take, and a run and a comparison to spoil."""

import signal
import time
import warnings
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import tlf
from tests.small import spec_of
from tlf.errors import TlfError

#: No example may take longer than this.
SECONDS = 10.0


class Fuzzer:
    """Tries a property on examples, always the same ones.

    Attributes:
        share: How many of the examples that a test asks for are tried.
    """

    def __init__(self, share):
        self.share = share
        self.tried = 0
        self.worst = 0.0
        self.outcomes = {}

    def __call__(self, examples, strategy, check):
        """Try a property.

        Args:
            examples: How many in the short version.
            strategy: Makes them.
            check: Raises an AssertionError if it does not hold; what it returns is counted.
        """

        @settings(
            max_examples=max(1, int(examples * self.share)),
            derandomize=True,
            database=None,
            deadline=None,
            print_blob=False,
            report_multiple_bugs=False,
            # Not shrunk: one example that takes long would be tried again and again.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def tried(example):
            started = time.perf_counter()
            with within(SECONDS):
                outcome = check(example)
            self.worst = max(self.worst, time.perf_counter() - started)
            self.tried += 1
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

        tried()
        print(f"{self.tried} examples, {self.outcomes}, the longest took {self.worst:.2f} s")
        # Something must have gone wrong at least once, or nothing was tested.
        assert set(self.outcomes) - {"fine"}


class TooLongError(BaseException):
    """Raised within whatever takes too long. Nobody catches it on the way."""


@contextmanager
def within(seconds):
    """Fail if the block takes longer."""

    def late(*_):
        raise TooLongError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except TooLongError as error:
        raise AssertionError(f"it takes longer than {seconds} s") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=[1, pytest.param(20, marks=pytest.mark.slow)], ids=["short", "long"])
def fuzz(request):
    """Try a property on few examples, or on many."""
    return Fuzzer(request.param)


@pytest.fixture
def in_words():
    """Say how a call ends: `fine`, or in words; anything but an error of tlf's own is raised."""

    def in_words(call, *arguments, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                call(*arguments, **options)
            except TlfError as error:
                if not error.message or not str(error).encode("utf-8", "surrogateescape"):
                    raise AssertionError("an error without words") from error
                return type(error).__name__
        return "fine"

    return in_words


def fuzzed_spec(photographs, output, **changes):
    return spec_of(
        photographs,
        backbone={"name": "tlf/resnet20", "weights": "default"},
        evaluation={"metrics": ["accuracy"]},
        seed=0,
        output=str(output),
        **changes,
    )


@pytest.fixture(scope="session", autouse=True)
def warm(photographs, tmp_path_factory):
    """Load all libraries, which takes longer than an example may."""
    tlf.plan(fuzzed_spec(photographs, tmp_path_factory.mktemp("nothing"), cache={"mode": "off"}))


@pytest.fixture(scope="session")
def make_spec(photographs):
    """Return a valid spec, changed."""

    def make_spec(output, **changes):
        return fuzzed_spec(photographs, output, **changes)

    return make_spec


@pytest.fixture(scope="session")
def finished(photographs, tmp_path_factory):
    """The directory of a finished run."""
    spec = fuzzed_spec(photographs, tmp_path_factory.mktemp("runs"), cache={"mode": "off"})
    return tlf.run(spec).directory


@pytest.fixture(scope="session")
def compared(photographs, tmp_path_factory):
    """The spec and the directory of a finished comparison."""
    spec = fuzzed_spec(photographs, tmp_path_factory.mktemp("comparisons"), cache={"mode": "off"})
    return spec, tlf.compare(spec, ["knn", "probe"]).directory
