"""Options of `mlflow`. They are shown and checked where MLflow is not installed, too."""

from __future__ import annotations

from pydantic import Field, field_validator

from tlf.plugin import Options

#: What an address may begin with; anything without `://` is a file.
SQLITE = "sqlite:///"
_SERVERS = ("http://", "https://")


class MlflowOptions(Options):
    """Options of `mlflow`."""

    tracking_uri: str = Field(
        default="mlflow.db",
        min_length=1,
        description="Where to log: a file (relative to the spec file), which may also be written "
        "`sqlite:///FILE`, or a server's `http://…` or `https://…`.",
    )
    experiment: str = Field(
        default="tlf", min_length=1, max_length=500, description="Name of the experiment."
    )
    run_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=250,
        description="What MLflow calls the run; `null` for the name of the run directory.",
    )
    artifacts: bool = Field(
        default=True,
        description="Whether the spec, the plan, the report and the log are kept there too.",
    )

    @field_validator("tracking_uri")
    @classmethod
    def _is_known(cls, value: str) -> str:
        """Refuse an address of another kind: a server's with a typo would become a file's name."""
        if "://" in value and not value.startswith((SQLITE, *_SERVERS)):
            raise ValueError("give a file, `sqlite:///FILE`, `http://…` or `https://…`")
        return value


def is_file(tracking_uri: str) -> bool:
    """Say whether an address is a file's, and no server's.

    Args:
        tracking_uri: The address.
    """
    return not tracking_uri.startswith(_SERVERS)
