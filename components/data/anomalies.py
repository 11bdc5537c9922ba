"""What is wrong with data, in words: TFDV's findings with the feature, the kind and what to do about it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

DATASET = "(all rows)"
"""Stands where a feature's name would, for what concerns the data as a whole."""

_TYPES = schema_pb2.FeatureType
_PREVIOUS, _SERVING = "current and previous", "training and serving"  # TFDV's words for drift and for skew


@dataclass(frozen=True)
class Anomaly:
    """One thing that TFDV found.

    Args:
        split: the split it is in.
        feature: the column.
        kind: `drift`, `skew`, or TFMD's name of it in small letters, such as `schema_missing_column`.
        description: what was found, one sentence.
        remedy: what to do, one sentence.
    """

    split: str
    feature: str
    kind: str
    description: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.feature} ({self.split}): {self.description} {self.remedy}"


def read_anomalies(split: str, found: anomalies_pb2.Anomalies) -> list[Anomaly]:
    """Return every reason of every anomaly, sorted by feature."""
    anomalies = [
        _anomaly(split, ".".join(info.path.step) or name, reason)
        for name, info in found.anomaly_info.items()
        for reason in info.reason
    ]
    anomalies += [_anomaly(split, DATASET, reason) for reason in found.dataset_anomaly_info.reason]
    return sorted(anomalies, key=lambda anomaly: (anomaly.feature, anomaly.kind))


def distances(found: anomalies_pb2.Anomalies, which: str) -> list[dict[str, float | str]]:
    """Return the measured distances, largest first.

    Args:
        found: what TFDV returned.
        which: `drift` or `skew`.
    """
    measured = [
        {"feature": ".".join(info.path.step), "distance": measurement.value, "threshold": measurement.threshold}
        for info in found.drift_skew_info
        for measurement in getattr(info, f"{which}_measurements")
    ]
    return sorted(measured, key=lambda entry: -entry["distance"])


def with_comparators(
    schema: schema_pb2.Schema, features: Iterable[str], thresholds: Mapping[str, float | None]
) -> schema_pb2.Schema:
    """Return a copy of the schema that also compares distributions.

    Text is compared by the largest difference of a value's share (L-infinity), numbers by the approximate
    Jensen-Shannon divergence of their quantiles. (TFDV's default, ten buckets of equal width, calls two halves of the
    same data different as soon as one of them holds an outlier.) A comparator that stands in the schema stays.

    Args:
        schema: the schema.
        features: the columns to compare.
        thresholds: largest distance for `drift` and for `skew`; None does not compare.
    """
    compared = copy.deepcopy(schema)
    wanted = set(features)
    for feature in compared.feature:
        if feature.name not in wanted:
            continue
        for which, threshold in thresholds.items():
            comparator = getattr(feature, f"{which}_comparator")
            if threshold is None or feature.HasField(f"{which}_comparator"):
                continue
            if feature.type == _TYPES.Value("BYTES"):
                comparator.infinity_norm.threshold = threshold
            elif feature.type in (_TYPES.Value("INT"), _TYPES.Value("FLOAT")):
                comparator.jensen_shannon_divergence.threshold = threshold
                comparator.jensen_shannon_divergence.source.type = schema_pb2.HistogramSelection.QUANTILES
    return compared


def _anomaly(split: str, feature: str, reason: anomalies_pb2.AnomalyInfo.Reason) -> Anomaly:
    kind = anomalies_pb2.AnomalyInfo.Type.Name(reason.type).lower()
    description = reason.description.strip().rstrip(".") + "."
    if kind.startswith("comparator_") and kind.endswith("_high"):
        kind = "drift" if _PREVIOUS in description else "skew" if _SERVING in description else kind
        description = description.replace(_PREVIOUS, "this data and the last blessed run's")
        description = description.replace(_SERVING, "the train split and the eval split")
        description = description.replace(" (up to six significant digits)", "")
    return Anomaly(split, feature, kind, description, _remedy(kind).format(feature=feature))


def _remedy(kind: str) -> str:
    for names, remedy in _REMEDIES.items():
        if any(kind == name or (name.endswith("_") and kind.startswith(name)) for name in names.split()):
            return remedy
    return "Correct the data, or change {feature} in the schema file (data.schema_file)."


_REMEDIES = {
    "drift": "Retrain on purpose by raising data.drift, or find out why the data changed.",
    "skew": "Check how data.split divides the rows, or raise data.skew.",
    "enum_type_unexpected_string_values": "Add the new values to the domain of {feature} in the schema file, "
    "loosen it with distribution_constraints {{ min_domain_mass: 0.9 }}, or drop the rows with keep_values in "
    "cleaning.",
    "schema_missing_column feature_type_not_present": "Bring the column back into the data, or delete {feature} from "
    "the schema file or mark it lifecycle_stage: DEPRECATED.",
    "schema_new_column": "Add {feature} to the schema file, or take the column out of the data.",
    "unexpected_data_type": "Look for cells that are not of that type (one bad cell changes a column's type; "
    "data.on_bad_row: quarantine sets such rows aside), or change the type of {feature} in the schema file.",
    "int_type_big_int int_type_small_int float_type_big_float float_type_small_float": "Drop the rows with keep_range "
    "in cleaning, or widen the domain of {feature} in the schema file.",
    "float_type_has_nan float_type_has_inf": "Drop the rows in cleaning, or set disallow_nan and disallow_inf of "
    "{feature} to false in the schema file.",
    "feature_type_low_fraction_present feature_type_low_number_present": "Find out why values are missing, drop the "
    "rows with drop_missing in cleaning, or lower presence of {feature} in the schema file.",
    "feature_type_low_number_values feature_type_no_values": "Find out why values are missing, drop the rows with "
    "drop_missing in cleaning, or lower value_count.min of {feature} in the schema file.",
    "feature_type_high_number_values feature_type_unexpected_repeated invalid_feature_shape": "Correct the number of "
    "values in a row, or change value_count or shape of {feature} in the schema file.",
    "feature_type_high_unique feature_type_low_unique": "Correct the data, or change unique_constraints of {feature} "
    "in the schema file.",
    "comparator_control_data_missing": "The other data have no values of {feature}: compare it again after the next "
    "blessed run, or take data.drift and data.skew out.",
    "comparator_treatment_data_missing": "The data have no values of {feature}: bring them back, or take data.drift "
    "and data.skew out.",
    "dataset_ comparator_ no_data_in_span": "Check that all of the data arrived, or change dataset_constraints in the "
    "schema file.",
}
"""What to do, by kind; a name that ends in an underscore stands for all that start with it."""
