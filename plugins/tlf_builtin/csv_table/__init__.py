"""The observer `csv`: a table of metrics in the run directory, a row an epoch."""

from __future__ import annotations

from tlf.plugin import Declaration, hookimpl


@hookimpl
def tlf_observers() -> list[Declaration]:
    """Declare the observer."""
    return [
        Declaration(
            name="csv",
            summary="writes a table of metrics into the run directory, a row an epoch",
            target="tlf_builtin.csv_table.observer:CsvTable",
            options="tlf_builtin.csv_table.observer:CsvOptions",
            examples=({}, {"file": "table.csv", "delimiter": ";"}),
        )
    ]
