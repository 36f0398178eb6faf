"""The data source `huggingface`: data sets of the library `datasets`, from local files."""

from __future__ import annotations

from tlf.plugin import DataSourceDeclaration, hookimpl


@hookimpl
def tlf_data_sources() -> list[DataSourceDeclaration]:
    """Declare the data source."""
    return [
        DataSourceDeclaration(
            name="huggingface",
            summary="local data sets of Hugging Face's `datasets`: saved, Parquet, or an imagefolder",
            target="tlf_builtin.huggingface.source:HuggingFace",
            options="tlf_builtin.huggingface.options:HuggingFaceOptions",
            requires=("datasets",),
            examples=(
                {"path": "beans"},
                {"path": "beans.parquet", "image": "picture", "label": "species"},
                {"path": "beans", "train": "full", "test_share": 0.1},
            ),
            example_files="tlf_builtin.huggingface.example:write_example",
        )
    ]
