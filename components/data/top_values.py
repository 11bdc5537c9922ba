"""Most frequent values and number of distinct ones, counted exactly, for TFDV's statistics in process.

TFDV's own in-memory statistics estimate both by sketches; its Beam pipeline counts. This counts too, so that both
engines write the same statistics however many values a column has.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_data_validation import types
from tensorflow_data_validation.arrow import arrow_util
from tensorflow_data_validation.statistics import stats_options
from tensorflow_data_validation.statistics.generators import stats_generator
from tensorflow_data_validation.utils import stats_util, top_k_uniques_stats_util
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx_bsl.arrow import array_util

MERGE_AT = 1 << 18
"""Counted values of a column that may wait before they are summed up."""


class ValueCounts:
    """How often each value of one text column occurs."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []
        self._waiting = 0

    def add(self, values: pa.Array) -> None:
        """Count the values of one batch."""
        counted = values.cast(pa.large_binary()).value_counts()
        self._parts.append(pa.table({"value": counted.field("values"), "count": counted.field("counts")}))
        self._waiting += len(counted)
        if self._waiting > max(MERGE_AT, 2 * len(self._parts[0])):
            self.merged()

    def extend(self, other: ValueCounts) -> None:
        """Take over what another one counted."""
        self._parts += other._parts
        self._waiting += other._waiting

    def merged(self) -> pa.Table:
        """Return `value` and `count`, each value once."""
        table = pa.concat_tables(self._parts).group_by("value").aggregate([("count", "sum")])
        table = table.rename_columns({"value": "value", "count_sum": "count"})
        self._parts, self._waiting = [table], 0
        return table

    def most_frequent(self, number: int) -> tuple[int, list[tuple[bytes, int]]]:
        """Return how many distinct values there are, and the most frequent ones with their counts.

        Of equally frequent values the larger bytes come first, as in TFDV.
        """
        table = self.merged()
        order = [("count", "descending"), ("value", "descending")]
        top = table.take(pc.select_k_unstable(table, k=number, sort_keys=order))
        return len(table), list(zip(top["value"].to_pylist(), top["count"].to_pylist(), strict=True))


class TopValuesGenerator(stats_generator.CombinerStatsGenerator):
    """The twin of TFDV's `TopKUniquesStatsGenerator` outside Beam, for statistics without a schema or weights.

    Args:
        options: what TFDV is asked for; only the numbers of values are read.
        left_out: columns whose values are not counted.
    """

    def __init__(self, options: stats_options.StatsOptions, left_out: Sequence[str] = ()) -> None:
        super().__init__("TopValuesGenerator")
        self._options = options
        self._left_out = {types.FeaturePath([name]) for name in left_out}

    def create_accumulator(self) -> dict[types.FeaturePath, ValueCounts]:
        return {}

    def add_input(
        self, accumulator: dict[types.FeaturePath, ValueCounts], input_record_batch: pa.RecordBatch
    ) -> dict[types.FeaturePath, ValueCounts]:
        for path, column, _ in arrow_util.enumerate_arrays(
            input_record_batch, example_weight_map=None, enumerate_leaves_only=True
        ):
            kind = stats_util.get_feature_type_from_arrow_type(path, column.type)
            if kind == statistics_pb2.FeatureNameStatistics.STRING and path not in self._left_out:
                values, _ = array_util.flatten_nested(column)
                accumulator.setdefault(path, ValueCounts()).add(values)
        return accumulator

    def merge_accumulators(
        self, accumulators: list[dict[types.FeaturePath, ValueCounts]]
    ) -> dict[types.FeaturePath, ValueCounts]:
        first, *others = accumulators
        for other in others:
            for path, counts in other.items():
                first.setdefault(path, ValueCounts()).extend(counts)
        return first

    def extract_output(
        self, accumulator: dict[types.FeaturePath, ValueCounts]
    ) -> statistics_pb2.DatasetFeatureStatistics:
        result = statistics_pb2.DatasetFeatureStatistics()
        wanted = max(self._options.num_top_values, self._options.num_rank_histogram_buckets)
        for path, counts in accumulator.items():
            distinct, top = counts.most_frequent(wanted)
            if not distinct:
                continue
            proto = top_k_uniques_stats_util.make_feature_stats_proto_topk_uniques(
                feature_path=path,
                num_top_values=self._options.num_top_values,
                num_rank_histogram_buckets=self._options.num_rank_histogram_buckets,
                num_unique=distinct,
                value_count_list=[top_k_uniques_stats_util.FeatureValueCount(*pair) for pair in top],
                frequency_threshold=self._options.frequency_threshold,
            )
            result.features.add().CopyFrom(proto)
        return result
