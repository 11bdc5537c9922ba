"""The components of section `data`."""

from components.data.example_gen import ExampleGen
from components.data.example_validator import ExampleValidator
from components.data.schema_gen import SchemaGen
from components.data.statistics_gen import StatisticsGen

__all__ = ["ExampleGen", "ExampleValidator", "SchemaGen", "StatisticsGen"]
