"""The transform steps done by pandas, numpy and scikit-learn in memory, and whether both results are equal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tests.bench.data import CATEGORIES, NUMBERS

Columns = dict[str, np.ndarray]
PAIRS = {"pair_0": ("payment_type", "weather"), "pair_1": ("pickup_area", "dropoff_area")}
KNN = list(NUMBERS[1:3])
WORDS = r"\w+"
SAMPLE = 1000
FEATURES = [*NUMBERS, *CATEGORIES, "started"]


def per_column(names: list[str], work: Callable[[pd.Series, pd.DataFrame], np.ndarray], frame: pd.DataFrame) -> Columns:
    """Call `work` on each column."""
    return {name: work(frame[name], frame) for name in names}


def fill_mean(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`fillna(mean())`."""
    return values.fillna(values.astype("f8").mean()).to_numpy()


def fill_median(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`fillna(median())`."""
    return values.fillna(values.median()).to_numpy()


def fill_mode(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`fillna` with the largest mode."""
    return values.fillna(values.mode().iloc[-1]).to_numpy()


def fill_by(names: list[str], strategy: str, frame: pd.DataFrame) -> Columns:
    """Fill by group of company."""
    groups = frame.groupby("company", sort=False)
    made = {}
    for name in names:
        values = frame[name].astype("f8")
        if strategy == "mean":
            known, overall = values.groupby(frame["company"], sort=False).mean(), values.mean()
        else:
            known = groups[name].quantile(0.5, interpolation="lower")
            overall = values.quantile(0.5, interpolation="lower")
        made[name] = values.fillna(frame["company"].map(known)).fillna(overall).to_numpy("f4")
    return made


def z_score_by(names: list[str], frame: pd.DataFrame) -> Columns:
    """Standardise by group of company."""
    made = {}
    for name in names:
        values = frame[name].astype("f8")
        groups = values.groupby(frame["company"], sort=False)
        mean = frame["company"].map(groups.mean()).fillna(values.mean())
        deviation = frame["company"].map(groups.std(ddof=0)).fillna(values.std(ddof=0))
        made[name] = ((values - mean) / deviation.where(deviation > 0, values.std(ddof=0))).fillna(0).to_numpy("f4")
    return made


_SAMPLES: dict[int, np.ndarray] = {}


def _hashes(frame: pd.DataFrame) -> np.ndarray:
    import tensorflow as tf

    from components.transform.column import raw_column, row_hash

    columns = []
    for name in sorted(FEATURES):
        values = frame[name] if name in NUMBERS else frame[name].fillna("")
        columns.append(raw_column(name, tf.constant(values.to_numpy()), "number" if name in NUMBERS else "text"))
    return np.asarray(row_hash(columns).numpy())


def knn_rows(frame: pd.DataFrame) -> np.ndarray:
    """Return the rows of the sample that Sluice takes, by the same hash, so that both can give the same neighbours."""
    if id(frame) not in _SAMPLES:
        hashes = _hashes(frame)
        usable = np.flatnonzero(frame["fare"].notna() & frame[KNN].notna().any(axis=1))
        kept = np.unique(hashes[usable])[:SAMPLE]
        _SAMPLES[id(frame)] = usable[np.isin(hashes[usable], kept)]
    return _SAMPLES[id(frame)]


def fill_knn(frame: pd.DataFrame) -> Columns:
    """`KNNImputer`, fitted to the sample, on the rows without a fare; of equally far rows it may take another."""
    from sklearn.impute import KNNImputer
    from sklearn.preprocessing import StandardScaler

    sample = frame.iloc[knn_rows(frame)]
    scaler = StandardScaler().fit(sample[KNN].to_numpy("f8"))
    pack = lambda rows: np.column_stack([rows["fare"].to_numpy("f8"), scaler.transform(rows[KNN].to_numpy("f8"))])  # noqa: E731
    gaps = frame["fare"].isna().to_numpy()
    fares = frame["fare"].to_numpy(copy=True)
    fares[gaps] = KNNImputer(n_neighbors=5).fit(pack(sample)).transform(pack(frame[gaps]))[:, 0]
    return {"fare": fares}


def clip_iqr(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """Clip to Tukey's fences."""
    first, last = values.quantile([0.25, 0.75])
    return values.clip(first - 1.5 * (last - first), last + 1.5 * (last - first)).fillna(0).to_numpy()


def clip_deviations(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """Clip to three deviations."""
    wide = values.astype("f8")
    mean, margin = wide.mean(), 3 * wide.std(ddof=0)
    return values.clip(mean - margin, mean + margin).fillna(0).to_numpy()


def clip_quantiles(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """Clip to 1 % and 99 %."""
    return values.clip(*values.quantile([0.01, 0.99])).fillna(0).to_numpy()


def _scikit(transformer: Any, values: pd.Series) -> np.ndarray:
    return np.nan_to_num(transformer.fit_transform(values.to_numpy()[:, None])[:, 0])


def z_score(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`StandardScaler`."""
    from sklearn.preprocessing import StandardScaler

    return _scikit(StandardScaler(), values)


def min_max(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`MinMaxScaler`."""
    from sklearn.preprocessing import MinMaxScaler

    return _scikit(MinMaxScaler(), values)


def robust_scale(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`RobustScaler`."""
    from sklearn.preprocessing import RobustScaler

    return _scikit(RobustScaler(), values)


def log1p(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`np.log1p`."""
    return np.nan_to_num(np.log1p(values.to_numpy()))


def yeo_johnson(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`PowerTransformer`."""
    from sklearn.preprocessing import PowerTransformer

    return _scikit(PowerTransformer(standardize=False), values.astype("f8"))


def quantile_normal(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`QuantileTransformer`."""
    from sklearn.preprocessing import QuantileTransformer

    return _scikit(QuantileTransformer(output_distribution="normal", subsample=None), values)


def bucketize(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """Ids by ten quantile ranges."""
    edges = values.quantile(np.arange(1, 10) / 10).to_numpy()
    ids = np.searchsorted(edges, values.to_numpy(), side="right")
    return np.where(values.isna(), 10, ids)


def missing(names: list[str], frame: pd.DataFrame) -> Columns:
    """`isna()`."""
    return {f"no_{name}": frame[name].isna().to_numpy("f4") for name in names}


def pca(names: list[str], frame: pd.DataFrame) -> Columns:
    """`StandardScaler`, `PCA` on the complete rows."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    rows = frame[names].to_numpy("f8")
    whole = rows[~np.isnan(rows).any(axis=1)]
    scaler = StandardScaler().fit(whole)
    found = PCA(4).fit(scaler.transform(whole))
    largest = found.components_[np.arange(4), np.abs(found.components_).argmax(axis=1)]
    made = np.nan_to_num(scaler.transform(rows)) @ (found.components_ * np.sign(largest)[:, None]).T
    return {"pca": made.astype("f4")}


def speed(frame: pd.DataFrame) -> Columns:
    """The expression."""
    return {"speed": (frame["trip_miles"] / (frame["trip_seconds"] / 3600 + 1)).fillna(0).to_numpy("f4")}


def distance(frame: pd.DataFrame) -> Columns:
    """The haversine."""
    north, west, north_2, west_2 = (np.radians(frame[name].to_numpy("f8")) for name in NUMBERS[6:])
    part = np.sin((north_2 - north) / 2) ** 2 + np.cos(north) * np.cos(north_2) * np.sin((west_2 - west) / 2) ** 2
    return {"apart": (2 * 6371.0088 * np.arcsin(np.sqrt(part))).astype("f4")}


def date_parts(frame: pd.DataFrame) -> Columns:
    """Month, weekday and hour as angles."""
    times = pd.to_datetime(frame["started"], format="ISO8601").dt
    hours = times.hour + times.minute / 60 + times.second / 3600
    angles = [(times.month - 1) / 12, times.weekday / 7, hours / 24]
    made = [part for angle in angles for part in (np.sin(2 * np.pi * angle), np.cos(2 * np.pi * angle))]
    return {"when": np.column_stack(made).astype("f4")}


def _by_frequency(values: pd.Series) -> pd.Index:
    counted = values.value_counts()
    order = np.lexsort((counted.index.to_numpy(str), counted.to_numpy()))[::-1]
    return counted.index[order]


def vocabulary(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`value_counts`, `get_indexer`: ids by frequency."""
    known = _by_frequency(values)[:1000]
    ids = known.get_indexer(values)
    return np.where(values.isna(), len(known) + 1, np.where(ids < 0, len(known), ids))


def one_hot(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """Ten places."""
    ids = _by_frequency(values)[:10].get_indexer(values)
    made = np.zeros((len(values), 10), np.float32)
    known = np.flatnonzero(ids >= 0)
    made[known, ids[known]] = 1
    return made


def hashed(values: pd.Series, _: pd.DataFrame) -> np.ndarray:
    """`pd.util.hash_array`; another hash than TensorFlow's."""
    ids = (pd.util.hash_pandas_object(values, index=False) % 100).to_numpy("i8")
    return np.where(values.isna(), 100, ids)


def crossed(pairs: list[tuple[str, str]], frame: pd.DataFrame) -> Columns:
    """Joined text, hashed."""
    made = {}
    for at, (first, second) in enumerate(pairs):
        joined = frame[first] + "\x1f" + frame[second]
        ids = (pd.util.hash_pandas_object(joined, index=False) % 10_000).to_numpy("i8")
        made[f"pair_{at}"] = np.where(joined.isna(), 10_000, ids)
    return made


def target_encode(names: list[str], frame: pd.DataFrame) -> Columns:
    """`TargetEncoder`: out of fold for training, and over all rows for serving, which is what can be compared."""
    from sklearn.preprocessing import TargetEncoder

    encoder = TargetEncoder(smooth=10.0, target_type="binary", random_state=0)
    rows, label = frame[names].fillna("").to_numpy(object), frame["big_tip"].to_numpy()
    encoder.fit_transform(rows, label)
    made = encoder.transform(rows)
    return {name: made[:, at].astype("f4") for at, name in enumerate(names)}


def _vectors(vectorizer: Any, frame: pd.DataFrame, width: int) -> Columns:
    found = vectorizer.fit_transform(frame["vehicle"].fillna(""))
    names = vectorizer.get_feature_names_out()
    # places by frequency, as Sluice has them; the weights of tf-idf count how often each word occurs as well
    counts = np.bincount(found.indices, minlength=len(names))
    order = np.lexsort((names.astype(str), counts))[::-1]
    made = np.zeros((len(frame), width), np.float32)
    made[:, : len(order)] = found[:, order].toarray()
    return {"vehicle": made}


def tf_idf(frame: pd.DataFrame) -> Columns:
    """`TfidfVectorizer`."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return _vectors(TfidfVectorizer(token_pattern=WORDS, max_features=64, dtype=np.float32), frame, 64)


def bag_of_pairs(frame: pd.DataFrame) -> Columns:
    """`CountVectorizer` of words and pairs."""
    from sklearn.feature_extraction.text import CountVectorizer

    return _vectors(
        CountVectorizer(token_pattern=WORDS, ngram_range=(1, 2), max_features=64, dtype=np.float32), frame, 64
    )


def token_ids(frame: pd.DataFrame) -> Columns:
    """Words by `str.findall`, ids by frequency, padded."""
    words = frame["vehicle"].fillna("").str.lower().str.findall(WORDS)
    tokens = words.explode().dropna()
    ids = _by_frequency(tokens).get_indexer(tokens) + 1
    place = tokens.groupby(level=0).cumcount().to_numpy()
    made = np.zeros((len(frame), 6), np.int64)
    made[tokens.index.to_numpy()[place < 6], place[place < 6]] = ids[place < 6]
    return {"vehicle": made}
