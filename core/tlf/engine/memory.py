"""Running out of memory, said with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tlf.errors import RunError


@contextmanager
def memory_explained(what: str, *, device: str, batch_size: int) -> Iterator[None]:
    """Turn running out of memory into an error that names a batch size to try.

    Args:
        what: What is done in the block: `step `all``, say.
        device: Where it is done.
        batch_size: Images a batch.

    Raises:
        RunError: The memory was not enough.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(
            f"{what} does not fit into the memory of `{device}` with a batch of {batch_size} images",
            hint=f"try `--set training.batch_size={max(1, batch_size // 2)}`",
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that there was not enough memory.

    Args:
        error: What was raised.
    """
    # The allocators of the CPU, of Metal, and of pinned memory raise a plain RuntimeError.
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error)
        for words in ("can't allocate memory", "not enough memory", "out of memory")
    )
