"""Measure how far two places are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, StrictFloat, StrictInt, field_validator, model_validator

from components.transform.step import NUMBER, Kind, SourceStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column

EARTH_RADIUS_KM = 6371.0088
"""Mean radius, as the International Union of Geodesy and Geophysics defines it."""

Place = tuple[str, str] | tuple[StrictFloat | StrictInt, StrictFloat | StrictInt]
"""Latitude and longitude: names of two features, or two numbers in degrees."""


class GeoDistance(SourceStep):
    """Computes the great-circle distance between two places, in kilometres.

    Use it in a chain of a new name for pickup and drop-off, or for the distance from a fixed place such as the centre
    of a town. It follows the sphere, not the roads, and is up to 0.5 % off the earth's real shape. A row in which a
    coordinate is missing or outside ±90° and ±180° has a missing value.

    Args:
        origin: `[latitude, longitude]`, two numeric features or two numbers; degrees.
        destination: likewise. At least one of the two names features.

    Shapes:
        raw features `[batch, 1]` each, to number `[batch, 1]`. Learns nothing from the data.

    Raises:
        ValueError: both places are fixed, or a fixed one is not on earth.

    Reference:
        Sinnott, Virtues of the Haversine, 1984.

    Example:
        >>> GeoDistance(origin=["latitude", "longitude"], destination=[41.88, -87.63]).source_columns()
        ('latitude', 'longitude')
    """

    makes: ClassVar[Kind | None] = "number"

    origin: Place = Field(union_mode="left_to_right")
    destination: Place = Field(union_mode="left_to_right")

    @field_validator("origin", "destination")
    @classmethod
    def _on_earth(cls, place: Place) -> Place:
        for degrees, limit in zip(place, (90, 180), strict=True):
            if not isinstance(degrees, str) and abs(degrees) > limit:
                raise ValueError(f"latitude within ±90 and longitude within ±180 degrees, got {list(place)}")
        return place

    @model_validator(mode="after")
    def _one_varies(self) -> GeoDistance:
        if not self.source_columns():
            raise ValueError("at least one place of two features, got two fixed places, which are always as far apart")
        return self

    def source_columns(self) -> tuple[str, ...]:
        """Return the features, each once."""
        return tuple(dict.fromkeys(part for part in (*self.origin, *self.destination) if isinstance(part, str)))

    def source_kinds(self, column: str) -> frozenset[Kind]:
        """Return numbers, for every column."""
        del column
        return NUMBER

    def combine(self, name: str, columns: Sequence[Column]) -> Column:
        """Return the distances."""
        import math

        import tensorflow as tf

        from components.transform.column import Column

        by_name = dict(zip(self.source_columns(), columns, strict=True))
        present = tf.ones_like(columns[0].present)
        for column in columns:
            present = present & column.present
        degrees = [_degrees(part, by_name) for part in (*self.origin, *self.destination)]
        for value, limit in zip(degrees, (90, 180, 90, 180), strict=True):
            present = present & (tf.abs(value) <= limit)
        # what lies outside the earth may be too large for a sine
        degrees = [tf.where(present, value, tf.zeros_like(value)) for value in degrees]
        latitude, longitude, latitude_2, longitude_2 = (value * (math.pi / 180) for value in degrees)
        haversine = (
            tf.sin((latitude_2 - latitude) / 2) ** 2
            + tf.cos(latitude) * tf.cos(latitude_2) * tf.sin((longitude_2 - longitude) / 2) ** 2
        )
        distance = 2 * EARTH_RADIUS_KM * tf.asin(tf.sqrt(tf.minimum(haversine, 1)))
        return Column(name, "number", tf.cast(distance, tf.float32), present)


def _degrees(part: str | float, columns: dict[str, Column]) -> tf.Tensor:
    import tensorflow as tf

    # seven digits are a metre at best: the difference of two near places is computed with more
    if isinstance(part, str):
        return tf.cast(columns[part].values, tf.float64)
    return tf.constant([[part]], tf.float64)
