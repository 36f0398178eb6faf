"""Recording what a network does in one forward pass: which operation reads what, inside which module.

The network's own code runs, on the meta device, where tensors have shapes and no numbers. What is
written down is enough to see where the network can be cut in two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves
from torch.utils.flop_counter import flop_registry

#: A tensor as one operation sees it: storage, offset, shape, strides, type. Two views are two keys.
Key = tuple[int, int, tuple[int, ...], tuple[int, ...], torch.dtype]

#: The time of values that were there before the first operation.
BEFORE = -1


@dataclass(frozen=True)
class Event:
    """A moment at which a module begins or ends.

    Attributes:
        time: How many operations came before.
        kind: `in` where the module begins, `out` where it ends.
        module: Its path.
        tensor: The one tensor that depends on the image and goes in or comes out; None if there are
            several or none, or if what comes out is no plain tensor.
    """

    time: int
    kind: Literal["in", "out"]
    module: str
    tensor: Key | None


@dataclass
class Span:
    """The life of a module during the pass, from its first call to the end of its last.

    Attributes:
        start: Index of the event at which it begins.
        end: Index of the event at which it ends.
        calls: How often it was called.
        leaves: What its last call returned, flattened; keys in the place of tensors.
        tree: How the leaves belong together.
        derived: Whether there is a tensor among them and all of them depend on the image.
    """

    start: int
    end: int
    calls: int
    leaves: list[Any]
    tree: TreeSpec
    derived: bool


@dataclass
class Recording:
    """One forward pass.

    Attributes:
        operations: Name of each operation, in order.
        flops: Floating-point operations of each, two to a multiply-add.
        events: Where modules begin and end, in order.
        spans: The life of each module that was called, by path.
        last_read: When each value that depends on the image is read last, by its key and the time at
            which it was made.
        first_read: When it is read first.
        first_use: When each parameter and buffer is used first.
        last_use: When it is used last.
        writes: When something is written into each storage last.
        own: The operations that each module carries out itself, not in a module inside it: times,
            and signatures that tell train mode from evaluation mode.
        owners: The module that carries out each operation itself.
        uses: Names of the parameters and buffers that each operation reads.
        operands: How many tensors each operation reads.
        made: The storage of what each operation returns, if that depends on the image.
        readers: When each storage that depends on the image is read, in order.
        parameters: Names of the network's parameters.
        output: What the network returned.
    """

    operations: list[str] = field(default_factory=list)
    flops: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    spans: dict[str, Span] = field(default_factory=dict)
    last_read: dict[tuple[Key, int], int] = field(default_factory=dict)
    first_read: dict[tuple[Key, int], int] = field(default_factory=dict)
    first_use: dict[str, int] = field(default_factory=dict)
    last_use: dict[str, int] = field(default_factory=dict)
    writes: dict[int, int] = field(default_factory=dict)
    own: dict[str, list[tuple[int, tuple[Any, ...]]]] = field(default_factory=dict)
    owners: list[str] = field(default_factory=list)
    uses: list[tuple[str, ...]] = field(default_factory=list)
    operands: list[int] = field(default_factory=list)
    made: list[int | None] = field(default_factory=list)
    readers: dict[int, list[int]] = field(default_factory=dict)
    parameters: frozenset[str] = frozenset()
    output: object = None


def record(network: nn.Module, images: torch.Tensor) -> Recording:
    """Run a network once and return what it did.

    Args:
        network: On the device of the images, best the meta device. Its mode is left as it is.
        images: `(N, 3, S, S)`.
    """
    flow = _Flow(network, images)
    with torch.no_grad(), _hooks(network, flow), flow:
        output = network(images)
    recording = flow.recording
    recording.output = output
    recording.parameters = frozenset(name for name, _ in network.named_parameters())
    if isinstance(output, torch.Tensor) and flow.is_derived(output):
        # Whoever called the network reads what it returned.
        flow.note_read(key_of(output), len(recording.operations))
    return recording


def key_of(tensor: torch.Tensor) -> Key:
    """Return the key of a tensor.

    Args:
        tensor: Any tensor.
    """
    return (
        storage_of(tensor),
        int(tensor.storage_offset()),
        tuple(tensor.shape),
        tuple(tensor.stride()),
        tensor.dtype,
    )


def storage_of(tensor: torch.Tensor) -> int:
    """Return the identity of a tensor's storage, as long as that lives.

    Args:
        tensor: Any tensor, on the meta device too.
    """
    # A storage on the meta device has no address; this is the identity that torch itself uses.
    return int(tensor.untyped_storage()._cdata)


def tensors_in(value: object) -> list[torch.Tensor]:
    """Return the tensors in a nest of lists, tuples and mappings.

    Args:
        value: The nest.
    """
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


class _Flow(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation below autograd, and follows what depends on the image."""

    def __init__(self, network: nn.Module, images: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recording = Recording()
        self.inside: list[str] = [""]
        # Storages must live as long as the recording: a recycled one would be taken for another.
        self._alive: list[object] = [images]
        self._derived = {storage_of(images)}
        self._made: dict[Key, int] = {key_of(images): BEFORE}
        self._names: dict[int, list[str]] = {}
        for name, tensor in (*network.named_parameters(), *network.named_buffers()):
            self._names.setdefault(storage_of(tensor), []).append(name)

    def is_derived(self, tensor: torch.Tensor) -> bool:
        """Say whether a tensor depends on the image."""
        return storage_of(tensor) in self._derived

    def note_read(self, key: Key, time: int) -> None:
        """Write down that a value that depends on the image is read."""
        # A view that no recorded operation made counts as made before everything: no cut forgets it.
        value = (key, self._made.get(key, BEFORE - 1))
        self.recording.readers.setdefault(key[0], []).append(time)
        self.recording.first_read.setdefault(value, time)
        self.recording.last_read[value] = time

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Carry out one operation and write down what it does."""
        kwargs = kwargs or {}
        time = len(self.recording.operations)
        inputs = tensors_in((args, kwargs))
        derived = self._note_inputs(inputs, time)
        output = func(*args, **kwargs)
        self._alive.append((inputs, output))
        made = tensors_in(output) if derived else []
        for tensor in made:
            self._made[key_of(tensor)] = time
            self._derived.add(storage_of(tensor))
        self.recording.made.append(storage_of(made[0]) if made else None)
        if func._schema.is_mutable and inputs:
            self.recording.writes[storage_of(inputs[0])] = time
            if derived:
                self._derived.add(storage_of(inputs[0]))
        self._note_operation(func, args, kwargs, output)
        return output

    def _note_inputs(self, inputs: list[torch.Tensor], time: int) -> bool:
        derived = False
        names = tuple(name for tensor in inputs for name in self._names.get(storage_of(tensor), ()))
        self.recording.uses.append(names)
        self.recording.operands.append(len(inputs))
        for name in names:
            self.recording.first_use.setdefault(name, time)
            self.recording.last_use[name] = time
        for tensor in inputs:
            storage = storage_of(tensor)
            if storage in self._derived:
                derived = True
                self.note_read(key_of(tensor), time)
        return derived

    def _note_operation(
        self,
        func: Any,  # noqa: ANN401
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        output: object,
    ) -> None:
        recording = self.recording
        signature = (str(func), *(leaf for leaf in tree_leaves((args, kwargs)) if _is_plain(leaf)))
        recording.own.setdefault(self.inside[-1], []).append((len(recording.operations), signature))
        recording.owners.append(self.inside[-1])
        recording.operations.append(str(func))
        count = flop_registry.get(func._overloadpacket)
        recording.flops.append(int(count(*args, **kwargs, out_val=output)) if count else 0)


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | float | str)


@contextmanager
def _hooks(network: nn.Module, flow: _Flow) -> Iterator[None]:
    """Tell the flow where modules begin and end, for as long as the block lasts."""
    handles = []
    starts: list[int] = []
    for name, module in network.named_modules():
        if name:
            before = module.register_forward_pre_hook(_begin(name, flow, starts), with_kwargs=True)
            handles += [before, module.register_forward_hook(_end(name, flow, starts))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _begin(name: str, flow: _Flow, starts: list[int]) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:  # noqa: ARG001
        recording = flow.recording
        derived = [tensor for tensor in tensors_in((args, kwargs)) if flow.is_derived(tensor)]
        first = args[0] if args else None
        alone = len(derived) == 1 and first is derived[0]
        starts.append(len(recording.events))
        flow.inside.append(name)
        tensor = key_of(derived[0]) if alone else None
        recording.events.append(Event(len(recording.operations), "in", name, tensor))

    return hook


def _end(name: str, flow: _Flow, starts: list[int]) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Any, ...], output: object) -> None:  # noqa: ARG001
        recording = flow.recording
        start, end = starts.pop(), len(recording.events)
        flow.inside.pop()
        plain = isinstance(output, torch.Tensor) and flow.is_derived(output)
        tensor = key_of(output) if plain else None  # type: ignore[arg-type]
        recording.events.append(Event(len(recording.operations), "out", name, tensor))
        leaves, tree = tree_flatten(output)
        tensors = tensors_in(output)
        derived = bool(tensors) and all(flow.is_derived(tensor) for tensor in tensors)
        keys = [key_of(leaf) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        known = recording.spans.get(name)
        if known is not None:
            start = known.start
        calls = 1 if known is None else known.calls + 1
        recording.spans[name] = Span(start, end, calls, keys, tree, derived)

    return hook
