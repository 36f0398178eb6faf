"""The data source `digits`: handwritten digits that need no download."""

from __future__ import annotations

from tlf.plugin import DataSourceDeclaration, hookimpl


@hookimpl
def tlf_data_sources() -> list[DataSourceDeclaration]:
    """Declare the data source."""
    return [
        DataSourceDeclaration(
            name="digits",
            summary="1,797 handwritten digits of 8×8 pixels, which scikit-learn brings along",
            target="tlf_builtin.digits.source:Digits",
            options="tlf_builtin.digits.options:DigitsOptions",
            requires=("scikit-learn",),
            examples=({"shots": 5}, {"shots": 3, "seed": 1}, {}),
            example_files="tlf_builtin.digits.source:write_example",
        )
    ]
