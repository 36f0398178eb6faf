"""Where the cache lies on each system."""

import sys
from pathlib import Path

import pytest

from tlf.cache import default_directory, in_words
from tlf.errors import UsageError


@pytest.fixture(autouse=True)
def home(monkeypatch):
    for name in ("TLF_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("USERPROFILE", "/home/ada")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "/home/ada/.cache/tlf"),
        ("linux", {"XDG_CACHE_HOME": "/scratch"}, "/scratch/tlf"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/ada/.cache/tlf"),
        ("linux", {"XDG_CACHE_HOME": "/scratch", "TLF_CACHE_DIR": "/fast"}, "/fast"),
        ("linux", {"TLF_CACHE_DIR": "~/fast"}, "/home/ada/fast"),
        ("linux", {"TLF_CACHE_DIR": ""}, "/home/ada/.cache/tlf"),
        ("darwin", {"XDG_CACHE_HOME": "/scratch"}, "/home/ada/Library/Caches/tlf"),
        ("darwin", {"TLF_CACHE_DIR": "/fast"}, "/fast"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tlf/cache"),
        ("win32", {}, "/home/ada/AppData/Local/tlf/cache"),
    ],
)
def test_the_folder_is_where_the_system_or_the_user_wants_it(
    monkeypatch, platform, variables, expected
):
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_directory() == Path(expected)


def test_without_a_home_a_folder_is_asked_for(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(UsageError) as caught:
        default_directory()
    assert "TLF_CACHE_DIR" in caught.value.hint


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (32_000_000, "32.0 MB"),
        (1_250_000_000, "1.2 GB"),
        (5_000_000_000_000, "5.0 TB"),
    ],
)
def test_sizes_are_said_in_words(size, words):
    assert in_words(size) == words
