"""Starting a plugin: a complete package of a kind, which passes the contract tests as it is written."""

from tlf.scaffold.packages import Package, write_package

__all__ = ["Package", "write_package"]
