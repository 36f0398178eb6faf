"""The data source `image-folder`: a folder for each class, images inside."""

from __future__ import annotations

from tlf.plugin import DataSourceDeclaration, hookimpl


@hookimpl
def tlf_data_sources() -> list[DataSourceDeclaration]:
    """Declare the data source."""
    return [
        DataSourceDeclaration(
            name="image-folder",
            summary="a folder for each class, split already or by a fraction",
            target="tlf_builtin.image_folder.source:ImageFolder",
            options="tlf_builtin.image_folder.options:ImageFolderOptions",
            examples=(
                {"train": "train", "validation": "val"},
                {"folder": "photographs", "validation_fraction": 0.25},
                {"train": "train", "validation": "val", "shots": 2},
            ),
            example_files="tlf_builtin.image_folder.example:write_example",
        )
    ]
