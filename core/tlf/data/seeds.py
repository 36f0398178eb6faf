"""Seeds made of what they stand for, the same in every process and version of Python."""

from __future__ import annotations

import hashlib
import json

import torch


def stable_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2**63) that is a fixed function of the parts.

    Python's own hash of a string changes with every process.

    Args:
        parts: Numbers and strings; their order and their types count.
    """
    text = json.dumps(parts, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stable_generator(*parts: int | str) -> torch.Generator:
    """Return a new generator on the CPU, seeded by `stable_seed`.

    Args:
        parts: Numbers and strings.
    """
    return torch.Generator().manual_seed(stable_seed(*parts))
