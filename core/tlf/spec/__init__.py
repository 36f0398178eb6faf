"""The run spec: its models, how it is read, and what is wrong with it in words. No torch."""

from tlf.spec.model import PartSpec, RunSpec
from tlf.spec.reading import RawSpec, load_raw
from tlf.spec.validation import validate, validate_values

__all__ = ["PartSpec", "RawSpec", "RunSpec", "load_raw", "validate", "validate_values"]
