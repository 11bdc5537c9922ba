"""Cleaning step `match_pattern`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import field_validator

from components.cleaning.step import CleaningStep

if TYPE_CHECKING:
    import pyarrow as pa


class MatchPattern(CleaningStep):
    """Drops a row when a text does not match a regular expression from its first letter to its last.

    Use it for values that cannot be true, such as a postcode of letters. Do not use it to bring spellings together:
    a live request is not dropped, so its spelling must be dealt with in `transform`.

    Args:
        column: a column of text. No default.
        pattern: a regular expression in RE2's syntax (no look-around, no back references). No default.

    Shapes:
        text `[rows]` → booleans `[rows]`. Missing values stay; `drop_missing` is for those. Bytes that are not UTF-8
        match nothing.

    Raises:
        ValueError: the pattern is none that RE2 reads.

    Reference:
        https://github.com/google/re2/wiki/Syntax

    Example:
        >>> import pyarrow as pa
        >>> step = MatchPattern(column="plate", pattern="[A-Z]{1,3}-[0-9]+")
        >>> step.keep(pa.record_batch({"plate": pa.array([b"AB-17", b"see AB-17", None])})).to_pylist()
        [True, False, True]
    """

    column: str
    pattern: str

    @field_validator("pattern")
    @classmethod
    def _is_one(cls, pattern: str) -> str:
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except pa.ArrowInvalid as error:
            reason = str(error).removeprefix("Invalid regular expression: ")
            raise ValueError(f"{pattern!r} is not a regular expression of RE2: {reason}") from error
        return pattern

    def needed_columns(self) -> tuple[str, ...]:
        return (self.column,)

    def accepts(self) -> frozenset[str]:
        return frozenset({"text"})

    def keep(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        import pyarrow as pa
        import pyarrow.compute as pc

        column = batch.column(self.column)
        if pa.types.is_null(column.type):
            return pa.array([True] * len(column), pa.bool_())
        different = column.cast(pa.binary()).dictionary_encode()
        texts = pa.array([_text(value) for value in different.dictionary.to_pylist()], pa.string())
        # Arrow looks for a match anywhere; RE2 tells the ends of the text by \A and \z.
        matches = pc.fill_null(pc.match_substring_regex(texts, rf"\A(?:{self.pattern})\z"), False)
        return pc.fill_null(matches.take(different.indices), True)


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
