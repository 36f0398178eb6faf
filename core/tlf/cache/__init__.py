"""The boundary cache: rows that were computed once, kept on disk for the runs that come after.

A row is one tensor that belongs to a key of 32 bytes. Rows that were made in the same way make an
entry, which is found by the description of that way:

    <folder>/digests.sqlite                              what is known of the contents of files
    <folder>/notes/<digest>.txt                          what is known of architectures
    <folder>/entries/<key[:2]>/<key>/entry.json          the description; `key` is its sha256
    <folder>/entries/<key[:2]>/<key>/used                its time of change: when it was last used
    <folder>/entries/<key[:2]>/<key>/<digest>.safetensors    some rows, never changed once written

A file is written beside its place and renamed, so nobody meets half of one, and no locks are needed:
processes that use a cache at once see each other's files or do not. Nothing waits for the disk
(fsync): what a power failure leaves is found by its checksums, and computed again. Whatever is wrong
with a cache is said once and never stops a run.
"""

from __future__ import annotations

from tlf.cache.digests import FileDigests, FileStamp
from tlf.cache.entry import Entry
from tlf.cache.index import KEY_BYTES, Keys
from tlf.cache.notes import Notes
from tlf.cache.place import default_directory
from tlf.cache.sizes import in_words
from tlf.cache.store import Cache, EntryInfo, Problem

__all__ = [
    "KEY_BYTES",
    "Cache",
    "Entry",
    "EntryInfo",
    "FileDigests",
    "FileStamp",
    "Keys",
    "Notes",
    "Problem",
    "default_directory",
    "in_words",
]
