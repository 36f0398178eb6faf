"""Keys, and rows that are easy to tell apart."""

import hashlib

import torch

DESCRIPTION = {
    "what": "features of acme/net at pool",
    "prefix": "ab" * 32,
    "transform": {"size": 8},
}


def keys(count, start=0):
    return [hashlib.sha256(str(number).encode()).digest() for number in range(start, start + count)]


def rows(count, start=0, width=6):
    numbers = torch.arange(start * width, (start + count) * width, dtype=torch.float32)
    return numbers.reshape(count, width).to(torch.bfloat16)


def fill(entry, count, start=0):
    entry.add(keys(count, start), rows(count, start))
    entry.flush()
    return entry


def names(entry):
    return sorted(path.name for path in entry.folder.iterdir())


def segments(entry):
    return sorted(entry.folder.glob("*.safetensors"))


def is_whole(entry, count, start=0):
    """Say whether all rows are there and right."""
    found, stored = entry.read(keys(count, start))
    return bool(found.all()) and torch.equal(stored, rows(count, start))
