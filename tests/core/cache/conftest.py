"""Caches in a folder of the test's own."""

import pytest

from tlf.cache import Cache

from .rows import DESCRIPTION


@pytest.fixture
def place(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def said():
    """What the cache has warned of."""
    return []


@pytest.fixture
def open_cache(place, said):
    def open_cache(max_bytes=10**9):
        return Cache(place, max_bytes, said.append)

    return open_cache


@pytest.fixture
def open_entry(open_cache):
    """Open the entry as a process does that knows nothing from before."""

    def open_entry():
        return open_cache().entry(DESCRIPTION)

    return open_entry
