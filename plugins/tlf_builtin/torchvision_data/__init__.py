"""The data source `torchvision`: the data sets that torchvision reads."""

from __future__ import annotations

from tlf.plugin import DataSourceDeclaration, hookimpl


@hookimpl
def tlf_data_sources() -> list[DataSourceDeclaration]:
    """Declare the data source."""
    return [
        DataSourceDeclaration(
            name="torchvision",
            summary="torchvision's data sets for classification, from a local folder",
            target="tlf_builtin.torchvision_data.source:TorchvisionData",
            options="tlf_builtin.torchvision_data.options:TorchvisionOptions",
            requires=("torchvision",),
            examples=(
                {"dataset": "mnist", "root": "data"},
                {"dataset": "flowers102", "root": "data"},
                {"dataset": "eurosat", "root": "data", "test_share": 0.2},
            ),
            example_files="tlf_builtin.torchvision_data.example:write_example",
        )
    ]
