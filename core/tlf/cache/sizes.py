"""Sizes in words."""

from __future__ import annotations


def in_words(size: int) -> str:
    """Return a size as people read it: `1.2 GB`.

    Args:
        size: In bytes.
    """
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        # 999.96 kB would be written as `1000.0 kB`.
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"
