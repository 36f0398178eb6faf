"""The data source `csv`: a table with a row for each image."""

from __future__ import annotations

from tlf.plugin import DataSourceDeclaration, hookimpl


@hookimpl
def tlf_data_sources() -> list[DataSourceDeclaration]:
    """Declare the data source."""
    return [
        DataSourceDeclaration(
            name="csv",
            summary="a table of images: path, label or labels, split, group",
            target="tlf_builtin.csv_images.source:CsvImages",
            options="tlf_builtin.csv_images.options:CsvOptions",
            examples=(
                {"file": "labels.csv"},
                {"file": "labels.csv", "images": "photographs", "path": "file", "label": "species"},
                {"file": "labels.csv", "labels": "tags", "separator": "|", "test_share": 0.1},
            ),
            example_files="tlf_builtin.csv_images.example:write_example",
        )
    ]
