"""How fast each step is alone, against pandas, scikit-learn and imbalanced-learn doing the same in memory.

python -m tests.bench.steps [--rows 1000000] [--only cleaning balancing transform]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from components.engine.examples import encode_examples
from tests.bench import balancing_cases, cleaning_cases, transform_cases
from tests.bench.data import trips
from tests.bench.timing import DIFFERENT, Case, lines

BATCH_ROWS = 16_384


def records_of(frame: pd.DataFrame) -> list[pa.BinaryArray]:
    """Return the rows as serialized tf.Examples, in batches as the Cleaner reads them."""
    batches = pa.Table.from_pandas(frame, preserve_index=False).combine_chunks().to_batches(BATCH_ROWS)
    return [encode_examples(batch) for batch in batches]


def cases(section: str, frame: pd.DataFrame) -> Iterator[Case]:
    """Yield the cases of a section."""
    if section == "cleaning":
        yield from cleaning_cases.cases(frame, records_of(frame))
    if section == "balancing":
        yield from balancing_cases.cases(frame)
    if section == "transform":
        yield from transform_cases.cases(frame)


SECTIONS = ("cleaning", "balancing", "transform")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    arguments = parser.parse_args()
    frame, different = trips(arguments.rows), False
    for section in arguments.only:
        print(f"\n**{section}, {arguments.rows:,} rows**\n")
        for line in lines(cases(section, frame)):
            print(line, flush=True)
            different |= DIFFERENT in line
    sys.exit(different)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
