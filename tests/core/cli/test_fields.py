from typing import Literal

import pytest
from pydantic import BaseModel, Field

from tlf.cli.fields import describe_fields


class Inner(BaseModel):
    """How deep it goes."""

    depth: int = 1


class Outer(BaseModel):
    name: str = Field(description="What it\nis called.")
    rate: float = Field(default=0.1, gt=0.0, le=1.0)
    seed: int = Field(default=0, lt=2**31)
    mode: Literal["fast", "slow"] | None = None
    sizes: tuple[int, int] = (1, 2)
    names: tuple[str, ...] = ()
    inner: Inner = Inner()
    options: dict[str, int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("name", ("string", None, "What it is called.")),
        ("rate", ("number > 0, ≤ 1", "0.1", "")),
        ("seed", ("integer < 2147483648", "0", "")),
        ("mode", ('`"fast"`, `"slow"` or null', "null", "")),
        ("sizes", ("list of integer", "[1, 2]", "")),
        ("names", ("list of string", "[]", "")),
        ("inner", ("object", None, "How deep it goes.")),
        ("options", ("object", "{}", "")),
    ],
)
def test_a_field_is_put_in_words(name, expected):
    field = next(field for field in describe_fields(Outer) if field.name == name)
    assert (field.type, field.default, field.meaning) == expected


def test_only_a_field_without_a_default_is_required():
    assert [field.name for field in describe_fields(Outer) if field.required] == ["name"]
