"""What makes evaluation faster.

Normalisations that fold into the convolution before them, and weights that are only ever multiplied in
the precision of the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tlf.plugin.stages.recording import Recording

#: Operations that autocast carries out in the lower precision, whatever their operands are.
_MULTIPLICATIONS = frozenset(
    {"convolution", "addmm", "mm", "bmm", "baddbmm", "addbmm", "linear", "matmul"}
)

#: Operations that only look at a tensor in another way.
_VIEWS = frozenset(
    {
        "t",
        "transpose",
        "view",
        "_unsafe_view",
        "reshape",
        "permute",
        "expand",
        "unsqueeze",
        "squeeze",
        "select",
        "slice",
        "split",
        "chunk",
        "unbind",
        "detach",
        "alias",
    }
)


@dataclass(frozen=True)
class Fold:
    """A convolution whose output nobody reads but one batch normalisation.

    Attributes:
        convolution: The module's path.
        norm: The path of the normalisation.
    """

    convolution: str
    norm: str


def find_folds(recording: Recording) -> Iterator[Fold]:
    """Yield each convolution that takes the batch normalisation of its output alone.

    Args:
        recording: Of the network in evaluation mode.
    """
    times = _times_of_use(recording)
    for time, operation in enumerate(recording.operations):
        convolution, storage = recording.owners[time], recording.made[time]
        if _name(operation) != "convolution" or storage is None:
            continue
        own = {f"{convolution}.weight", f"{convolution}.bias"}
        used = recording.uses[time]
        # A weight that is computed first, or used twice, is not the module's alone to change.
        if (
            f"{convolution}.weight" not in used
            or any(name not in own or len(times[name]) > 1 for name in used)
            or recording.operands[time] != 1 + len(used)
        ):
            continue
        readers = recording.readers.get(storage, [])
        if len(readers) != 1 or readers[0] >= len(recording.operations):
            continue
        norm = recording.owners[readers[0]]
        statistics = (f"{norm}.running_mean", f"{norm}.running_var")
        # Each module once: what is folded in would otherwise be missing elsewhere.
        if "batch_norm" in recording.operations[readers[0]] and all(
            times.get(name) == [readers[0]] for name in statistics
        ):
            yield Fold(convolution, norm)


def find_lowered(recording: Recording) -> Iterator[str]:
    """Yield the names of the parameters that are only read by multiplications.

    Autocast rounds them to the precision of the device each time; rounding them once gives the same.

    Args:
        recording: Of the network in evaluation mode.
    """
    for name, times in _times_of_use(recording).items():
        names = {_name(recording.operations[time]) for time in times}
        multiplied = names <= _MULTIPLICATIONS | _VIEWS and names & _MULTIPLICATIONS
        if multiplied and name in recording.parameters:
            yield name


def _times_of_use(recording: Recording) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {}
    for time, names in enumerate(recording.uses):
        for name in dict.fromkeys(names):
            times.setdefault(name, []).append(time)
    return times


def _name(operation: str) -> str:
    """Return `convolution` of `aten.convolution.default`."""
    return operation.split(".")[1]
