"""What the columns of a data file are probably for: kinds of features, and which one is to be predicted."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import Problem, SpecError
from components.features import FeatureKind

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 200_000
SAMPLE = 1_000
"""Values of which the words are counted."""

FEW = 20
"""Whole numbers with at most this many different values name categories."""

MANY_CATEGORIES = 0.5
"""Text whose different values are more than this share of the rows names the row, not a category."""

TEXT_WORDS = 5
"""From this many words a value on average, such text is for a chain of text steps."""

LABEL_NAMES = (
    "label",
    "target",
    "class",
    "y",
    "outcome",
    "response",
    "diagnosis",
    "species",
    "churn",
    "survived",
    "sentiment",
)
_DATE = re.compile(r"^\d{4}-\d\d-\d\d|^\d{1,2}[/.]\d{1,2}[/.]\d{2,4}")
_NAMES_SOMETHING = re.compile(r"(^|_)(name|address|street|e?mail|url|link|path|file|filename|phone)$", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]{2,}")
_IDENTIFIER = re.compile(r"(^|_)(id|uuid|guid|key|index)$", re.IGNORECASE)


@dataclass(frozen=True)
class ColumnFacts:
    """What was seen in one column.

    Args:
        name: the column.
        kind: what a feature of it would be; None when it should not be one.
        reason: why it should not be a feature.
        distinct: different values that exist.
        missing: rows without one.
        rows: rows looked at.
        is_text: the values are text, not numbers.
        examples: the most frequent values, as text.
        words: how many a value has on average; 0 for what is no text.
    """

    name: str
    kind: FeatureKind | None
    reason: str
    distinct: int
    missing: int
    rows: int
    is_text: bool
    examples: tuple[str, ...]
    words: float = 0


def inspect(path: str | Path) -> list[ColumnFacts]:
    """Look at the first 200,000 rows of a CSV or Parquet file.

    Raises:
        SpecError: the file cannot be read, or has no rows.
    """
    table = _read(str(path))
    if not table.num_rows:
        raise SpecError([Problem("data", f"{path}, which has no rows", "rows", "Give a file with data.")])
    return [_facts(name, table.column(name)) for name in table.column_names]


def guess_label(facts: Sequence[ColumnFacts]) -> ColumnFacts:
    """Return the column that is probably to be predicted: one with a label's name, else the last that can be."""
    named = {column.name.lower(): column for column in facts}
    for name in LABEL_NAMES:
        if name in named:
            return named[name]
    possible = [column for column in facts if column.kind in (FeatureKind.NUMERIC, FeatureKind.CATEGORICAL)]
    return (possible or facts)[-1]


def _read(path: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.endswith(".parquet"):
            return pyarrow.parquet.ParquetFile(path).read().slice(0, ROWS)
        options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=True)
        parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
        with pyarrow.csv.open_csv(path, convert_options=options, parse_options=parse, read_options=_blocks()) as reader:
            batches, rows = [], 0
            for batch in reader:
                batches.append(batch)
                rows += batch.num_rows
                if rows >= ROWS:
                    break
            return pa.Table.from_batches(batches, reader.schema).slice(0, ROWS)
    except (OSError, pa.ArrowException) as error:
        problem = Problem("data", f"{path}: {error}", "a readable CSV or Parquet file", "Check the path and the file.")
        raise SpecError([problem]) from error


def _blocks() -> Any:
    import pyarrow.csv

    # types come from the first block, so it is large
    return pyarrow.csv.ReadOptions(block_size=64 << 20)


def _facts(name: str, column: pa.ChunkedArray) -> ColumnFacts:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    counted = pc.value_counts(column.drop_null()).to_pylist() if column.null_count < len(column) else []
    counted.sort(key=lambda entry: -entry["counts"])
    texts = [str(entry["values"]) for entry in counted[:5]]
    is_text = not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type))
    present = len(column) - column.null_count
    kind, reason = _kind(name, column.type, len(counted), present, texts)
    words = 0.0
    if _is_string(column.type) and kind is None and len(counted) > max(FEW, MANY_CATEGORIES * present):
        words = _words([str(entry["values"]) for entry in counted[:SAMPLE]])
        if words >= TEXT_WORDS and not _NAMES_SOMETHING.search(name):
            kind, reason = FeatureKind.TEXT, ""
    return ColumnFacts(name, kind, reason, len(counted), column.null_count, len(column), is_text, tuple(texts), words)


def _is_string(dtype: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_string(dtype) or pa.types.is_large_string(dtype)


def _words(texts: Sequence[str]) -> float:
    """Return how many words a text has on average; numbers and single letters are none."""
    return sum(len(_WORD.findall(text)) for text in texts) / max(len(texts), 1)


def _kind(
    name: str, dtype: pa.DataType, distinct: int, present: int, texts: Sequence[str]
) -> tuple[FeatureKind | None, str]:
    import pyarrow as pa

    if distinct == 0:
        return None, "it has no values"
    if distinct == 1:
        return None, f"every value is {texts[0]}"
    if pa.types.is_temporal(dtype) or all(_DATE.match(text) for text in texts):
        return None, "it holds dates or times"
    if pa.types.is_floating(dtype):
        return FeatureKind.NUMERIC, ""
    is_number = pa.types.is_integer(dtype)
    if distinct == present and (is_number or _IDENTIFIER.search(name)) and _IDENTIFIER.search(name):
        return None, "it names the row: every value is different"
    if is_number:
        return (FeatureKind.CATEGORICAL if distinct <= FEW else FeatureKind.NUMERIC), ""
    if distinct > FEW and distinct > MANY_CATEGORIES * present:
        return None, f"it is free text or names the row: {distinct:,} different values in {present:,} rows"
    return FeatureKind.CATEGORICAL, ""


def relative_to(path: Path, folder: Path) -> str:
    """Return a path as a spec in `folder` writes it: relative where that is shorter."""
    relative = os.path.relpath(path.resolve(), folder.resolve())
    return relative if len(relative) < len(str(path.resolve())) else str(path.resolve())
