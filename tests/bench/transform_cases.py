"""Each transform step on tables against pandas and scikit-learn: columns in memory in, fitted and transformed out.

Sluice's side takes the tensors of the raw rows, traces and analyses the graph, saves it, loads it and applies it; the
time that this takes on a thousand rows is the same for any number of them. The others' side is fit and transform.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tests.bench import transform_rivals as rivals
from tests.bench.data import CATEGORIES, NUMBERS, PLACES
from tests.bench.timing import Case
from tests.bench.transform_same import same as same_columns

Columns = dict[str, np.ndarray]
ALL = [*NUMBERS, *CATEGORIES, "started"]
SKEWED = ("fare", "trip_miles", "trip_seconds", "wait_seconds")
SPEED = "trip_miles / (trip_seconds / 3600 + 1)"
WHERE = list(PLACES)


class Raw:
    """The rows as the transform graph takes them.

    Args:
        frame: the rows.
        text: columns that are text and not categories.
    """

    def __init__(self, frame: pd.DataFrame, text: tuple[str, ...] = ()) -> None:
        from tensorflow_metadata.proto.v0 import schema_pb2

        from components.transform.arrow_engine import BATCH_ROWS, BATCH_TEXTS, RawTensors

        schema = schema_pb2.Schema()
        for name in (*NUMBERS, *CATEGORIES, "started"):
            schema.feature.add(name=name, type=schema_pb2.FLOAT if name in NUMBERS else schema_pb2.BYTES)
        schema.feature.add(name="big_tip", type=schema_pb2.INT)
        self.features = dict.fromkeys(NUMBERS, "numeric") | dict.fromkeys([*CATEGORIES, "started"], "categorical")
        self.features |= dict.fromkeys(text, "text")
        self._schema, self._size = schema, BATCH_TEXTS if text else BATCH_ROWS
        self._tensors = RawTensors
        table = pa.Table.from_pandas(frame.drop(columns="row"), preserve_index=False).combine_chunks()
        self._batches = table.to_batches(self._size)

    def fit_transform(self, chains: dict[str, Any], columns: list[str]) -> Columns:
        """Return what the graph makes of all rows, learned from them."""
        from tensorflow_transform.saved import saved_transform_io_v2

        from components.transform.arrow_analysis import analyze
        from components.transform.config import TransformConfig
        from components.transform.preprocessing_fn import preprocessing_fn

        raw = self._tensors(self._schema, sorted({*columns, "big_tip"}), self._size)
        batches = [raw.of(batch.select(raw.columns)) for batch in self._batches]
        described = {"features": self.features, "label": {"name": "l", "expression": "big_tip"}, "weight": None}
        parsed = TransformConfig.model_validate(chains).model_dump(mode="json")
        config = {"columns": described, "transform": parsed, "task": "binary_classification"}
        function = functools.partial(preprocessing_fn, custom_config={"config": json.dumps(config)})
        with tempfile.TemporaryDirectory() as folder:
            analyze(function, raw.specs, batches, Path(folder))
            loader = saved_transform_io_v2.SavedModelLoader(f"{folder}/transform_fn")
            loader.finalize(raw.columns, list(loader.structured_outputs))
            made = [loader.apply_transform_model(batch) for batch in batches]
            return {name: np.concatenate([each[name].numpy() for each in made]) for name in made[0]}


def _each(names: Any, *chain: Any) -> dict[str, Any]:
    return {name: list(chain) for name in names}


Row = tuple[str, str, dict[str, Any], list[str], str, Callable[[pd.DataFrame], Columns], dict[str, float]]


def _numbers() -> Iterator[Row]:
    ten, four = list(NUMBERS), list(SKEWED)

    def row(name: str, step: Any, theirs: Any, rival: str, names: list[str] = ten, **tolerance: float) -> Row:
        made = functools.partial(rivals.per_column, names, theirs)
        return name, f"{len(names)} numbers", _each(names, step), names, rival, made, tolerance

    yield row("fill_missing: mean", {"fill_missing": "mean"}, rivals.fill_mean, "pandas")
    yield row("fill_missing: median", {"fill_missing": "median"}, rivals.fill_median, "pandas", rank=0.001)
    yield row("fill_missing: mode", {"fill_missing": "mode"}, rivals.fill_mode, "pandas", ten[2:6])
    for strategy in ("mean", "median"):
        step = {"fill_missing": {"strategy": strategy, "by": "company"}}
        made = functools.partial(rivals.fill_by, ten, strategy)
        yield (
            f"fill_missing: {strategy} by",
            "10 numbers, 150 groups",
            _each(ten, step),
            [*ten, "company"],
            "pandas",
            made,
            {},
        )
    knn = {"fare": [{"fill_knn": {"columns": rivals.KNN}}]}
    yield "fill_knn", "1 number by 2", knn, ALL, "scikit-learn", rivals.fill_knn, {"ties": 0.002}
    yield row("clip_outliers: iqr", {"clip_outliers": "iqr"}, rivals.clip_iqr, "pandas", rank=0.002)
    yield row("clip_outliers: z_score", {"clip_outliers": "z_score"}, rivals.clip_deviations, "pandas")
    yield row("clip_outliers: quantile", {"clip_outliers": "quantile"}, rivals.clip_quantiles, "pandas", rank=0.0001)
    yield row("z_score", "z_score", rivals.z_score, "scikit-learn", absolute=0.001)
    by = functools.partial(rivals.z_score_by, ten)
    yield (
        "z_score by",
        "10 numbers, 150 groups",
        _each(ten, {"z_score": {"by": "company"}}),
        [*ten, "company"],
        "pandas",
        by,
        {"absolute": 0.001},
    )
    yield row("min_max", "min_max", rivals.min_max, "scikit-learn")
    yield row("robust_scale", "robust_scale", rivals.robust_scale, "scikit-learn", relative=0.001, absolute=0.001)
    yield row("log1p", "log1p", rivals.log1p, "numpy", four)
    yield row("yeo_johnson", "yeo_johnson", rivals.yeo_johnson, "scikit-learn", four, relative=0.01)
    yield row(
        "quantile_normal",
        "quantile_normal",
        rivals.quantile_normal,
        "scikit-learn",
        ten[:4] + ten[6:],
        ties=0.001,
        absolute=0.01,
    )
    yield row("bucketize: 10", {"bucketize": 10}, rivals.bucketize, "pandas", ten[:4] + ten[6:], ties=0.03)


def _new_columns() -> Iterator[Row]:
    ten = list(NUMBERS)
    missing = {f"no_{name}": [{"missing_indicator": name}] for name in ten}
    yield "missing_indicator", "10 numbers", missing, ten, "pandas", functools.partial(rivals.missing, ten), {}
    pca = {"pca": [{"pca": {"columns": ten, "components": 4}}]}
    yield "pca: 4", "10 numbers", pca, ten, "scikit-learn", functools.partial(rivals.pca, ten), {"absolute": 0.001}
    speed = {"speed": [{"compute": SPEED}]}
    yield "compute", "2 numbers", speed, rivals.KNN, "pandas", rivals.speed, {}
    apart = {"apart": [{"geo_distance": {"origin": WHERE[:2], "destination": WHERE[2:]}}]}
    yield "geo_distance", "4 numbers", apart, WHERE, "numpy", rivals.distance, {"absolute": 0.001}
    parts = {"when": [{"date_parts": "started"}]}
    yield "date_parts", "1 text", parts, ["started"], "pandas", rivals.date_parts, {"absolute": 1e-5}


def _categories() -> Iterator[Row]:
    eight = list(CATEGORIES)

    def row(name: str, step: Any, theirs: Any, rival: str, **tolerance: float) -> Row:
        made = functools.partial(rivals.per_column, eight, theirs)
        return name, "8 categories", _each(eight, step), eight, rival, made, tolerance

    yield row("vocabulary", "vocabulary", rivals.vocabulary, "pandas")
    yield row("one_hot: 10", {"one_hot": 10}, rivals.one_hot, "pandas")
    yield row("hash: 100", {"hash": 100}, rivals.hashed, "pandas", partition=1)
    encode = _each(eight, {"target_encode": {"max_categories": 10_000}})
    encoded = functools.partial(rivals.target_encode, eight)
    yield "target_encode", "8 categories", encode, ALL, "scikit-learn", encoded, {}
    pairs = list(rivals.PAIRS.values())
    crossed = {f"pair_{at}": [{"cross": list(pair)}, {"hash": 10_000}] for at, pair in enumerate(pairs)}
    made = functools.partial(rivals.crossed, pairs)
    yield "cross, hash", "2 pairs", crossed, [name for pair in pairs for name in pair], "pandas", made, {"partition": 1}


def _texts() -> Iterator[Row]:
    words = ["normalize_text", "tokenize"]

    def row(name: str, chain: list[Any], theirs: Any) -> Row:
        return name, "1 text", {"vehicle": [*words, *chain]}, ["vehicle"], "scikit-learn", theirs, {"absolute": 1e-5}

    yield row("…, tf_idf: 64", [{"tf_idf": 64}], rivals.tf_idf)
    yield row("…, ngrams, bag_of_words: 64", ["ngrams", {"bag_of_words": 64}], rivals.bag_of_pairs)
    yield row("…, token_ids: 6", [{"token_ids": {"length": 6, "top_k": 500}}], rivals.token_ids)


def cases(frame: pd.DataFrame, names: tuple[str, ...] = ()) -> Iterator[Case]:
    """Yield the cases; of those in `names` alone if there are any."""
    table, text = Raw(frame), Raw(frame, text=("vehicle",))
    for rows, raw in ((_numbers(), table), (_new_columns(), table), (_categories(), table), (_texts(), text)):
        for name, columns, chains, read, rival, theirs, tolerance in rows:
            if names and not any(each in name for each in names):
                continue
            if name == "fill_knn":
                rivals.knn_rows(frame)  # the sample, which is not timed
            ours = functools.partial(raw.fit_transform, chains, read)
            same = functools.partial(same_columns, frame, tolerance)
            yield Case(name, columns, rival, functools.partial(theirs, frame), ours, same)
