"""Running out of memory is said with a batch size to try, wherever the memory is."""

import pytest
import torch

from tlf.engine.memory import memory_explained
from tlf.errors import RunError


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=str,
)
def test_too_little_memory_names_half_the_batch_size(error):
    with (
        pytest.raises(RunError, match="memory of `cuda:0` with a batch of 8 images") as caught,
        memory_explained("step `all`", device="cuda:0", batch_size=8),
    ):
        raise error
    assert caught.value.hint == "try `--set training.batch_size=4`"
    assert caught.value.__cause__ is error


def test_any_other_error_stays_as_it_is():
    with (
        pytest.raises(RuntimeError, match=r"^no kernel image$"),
        memory_explained("step `all`", device="cuda:0", batch_size=8),
    ):
        raise RuntimeError("no kernel image")
