"""`make ablation`: what each option for missing values and for rare classes does to the score, over several seeds.

    python -m tests.bench.ablation [--seeds 5] [--only imputation|imbalance]

Each row is one option, each number the mean over the seeds with its standard deviation; the options that hurt are
printed too. Everything before Transform is made once per study and then taken from the cache.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.bench.data import taxi_file

HERE = Path(__file__).parent.parent.parent
METRICS = ("auc_pr", "accuracy", "log_loss", "calibration")
NUMBERS = ("age", "rest_sbp", "cholesterol", "max_hr", "st_by_exercise")
CATEGORIES = ("gender", "chest_pain", "rest_ecg", "exerc_ind_ang", "slope_peak_exc_st", "thal")
REMOVED = 0.4
"""Share of the numbers that the imputation study removes."""
RARE = 0.03
"""Share of the rare class in the imbalance study."""
TRIP_NUMBERS = ("fare", "trip_miles", "trip_seconds", "trip_start_hour", "pickup_latitude", "dropoff_latitude")


@dataclass(frozen=True)
class Study:
    """Options that are compared on the same rows.

    Args:
        title: what is compared, on what.
        spec: the pipeline, without what the options say.
        options: name to overrides of the spec.
    """

    title: str
    spec: dict[str, Any]
    options: dict[str, dict[str, Any]]


def imputation(folder: Path) -> Study:
    """Numbers of the heart data removed at random, more often where they are large."""
    rows = pd.read_csv(HERE / "data" / "heart.csv")
    random = np.random.default_rng(1)
    for name in NUMBERS:
        rank = rows[name].rank(pct=True)
        rows.loc[random.random(len(rows)) < 2 * REMOVED * rank, name] = np.nan
    rows.to_csv(folder / "heart.csv", index=False)

    def chains(fill: Any, *, indicators: bool = False) -> dict[str, Any]:
        made: dict[str, Any] = {name: [*([fill(name)] if fill else []), "z_score"] for name in NUMBERS}
        if indicators:
            made |= {f"no_{name}": [{"missing_indicator": name}] for name in NUMBERS}
        return made | {name: [{"fill_missing": "mode"}, {"one_hot": 4}] for name in CATEGORIES}

    def knn(name: str) -> dict[str, Any]:
        others = [each for each in NUMBERS if each != name]
        return {"fill_knn": {"columns": others, "k": 10}}

    fills: dict[str, dict[str, Any]] = {
        "mean": chains(lambda _: {"fill_missing": "mean"}),
        "median": chains(lambda _: {"fill_missing": "median"}),
        "constant 0": chains(lambda _: {"fill_missing": {"constant": 0}}),
        "mean per gender": chains(lambda _: {"fill_missing": {"strategy": "mean", "by": "gender"}}),
        "10 nearest neighbours": chains(knn),
        "median and indicators": chains(lambda _: {"fill_missing": "median"}, indicators=True),
    }
    spec = {
        "name": "imputation",
        "task": "binary_classification",
        "data": {
            "path": str(folder / "heart.csv"),
            "split": {"by": "hash", "train": 1, "eval": 1},
            "label": "diameter_narrowing",
            "features": dict.fromkeys(NUMBERS, "numeric") | dict.fromkeys(CATEGORIES, "categorical"),
        },
        "model": {"family": "mlp", "hidden_units": [16], "dropout": 0.3},
        "training": {"epochs": 40, "batch_size": 16, "optimizer": {"adam": {"learning_rate": 0.003}}},
    }
    missing = rows[list(NUMBERS)].isna().mean().mean()
    title = f"Missing values: heart, {len(rows)} rows, {missing:.0%} of five numbers removed, large ones more often"
    return Study(title, spec, {name: {"transform": chain} for name, chain in fills.items()})


def imbalance(folder: Path) -> Study:
    """Taxi trips of which few have a large tip."""
    rows = pd.read_csv(taxi_file()).dropna(subset=["fare", "tips"])
    rows["big_tip"] = (rows.tips > 0.2 * rows.fare).astype(int)
    common, rare = rows[rows.big_tip == 0], rows[rows.big_tip == 1]
    rare = rare.sample(int(len(common) * RARE / (1 - RARE)), random_state=1)
    kept = pd.concat([common, rare]).sample(frac=1, random_state=1)[["big_tip", "payment_type", *TRIP_NUMBERS]]
    kept.to_csv(folder / "trips.csv", index=False)
    spec = {
        "name": "imbalance",
        "task": "binary_classification",
        "data": {
            "path": str(folder / "trips.csv"),
            "split": {"by": "hash", "train": 1, "eval": 1},
            "label": "big_tip",
            "features": {"payment_type": "categorical", **dict.fromkeys(TRIP_NUMBERS, "numeric")},
        },
        "transform": {"payment_type": [{"one_hot": 4}]}
        | {name: [{"fill_missing": "median"}, "quantile_normal"] for name in TRIP_NUMBERS},
        "model": {"family": "mlp", "hidden_units": [32, 16]},
        "training": {"epochs": 8, "batch_size": 128, "optimizer": {"adam": {"learning_rate": 0.003}}},
    }
    options: dict[str, dict[str, Any]] = {"nothing": {}}
    for name in ("random_undersample", "random_oversample", "smote_nc"):
        for corrected in (True, False):
            balancing = {"steps": [{name: {"ratio": 1.0}}], "correct_probabilities": corrected}
            options[name + ("" if corrected else ", uncorrected")] = {"balancing": balancing}
    options["class_weights: balanced"] = {"training": {"class_weights": "balanced"}}
    options["loss: focal"] = {"training": {"loss": {"focal": {"gamma": 2.0}}}}
    return Study(f"Rare class: taxi trips, {len(kept):,} rows, {RARE:.0%} with a large tip", spec, options)


def scores(study: Study, option: dict[str, Any], seeds: int, folder: Path) -> Iterator[dict[str, float]]:
    """Run the pipeline once per seed; yield the metrics of the eval split."""
    from pipelines.api import Pipeline

    for seed in range(seeds):
        spec = {**study.spec, "evaluation": {"bootstrap_samples": 0, "gate": ["accuracy >= 0.01"]}, **option}
        spec["training"] = {**study.spec["training"], **option.get("training", {}), "seed": seed, "tensorboard": False}
        if "balancing" in option:
            spec["balancing"] = {**option["balancing"], "seed": seed}
        file = folder / "pipeline.yaml"
        file.write_text(json.dumps(spec), encoding="utf-8")  # JSON is YAML
        run = Pipeline.load(str(file), root=str(folder / "root")).run()
        yield {name: float(run.metrics[name]) for name in METRICS}


def report(study: Study, seeds: int, folder: Path) -> None:
    """Print the table of a study, line by line as it is made."""
    print(f"\n{study.title}, {seeds} seeds\n", flush=True)
    print("| | " + " | ".join(METRICS) + " |\n|---|" + "--:|" * len(METRICS), flush=True)
    for name, option in study.options.items():
        found = pd.DataFrame(scores(study, option, seeds, folder))
        cells = [f"{found[each].mean():.3f} ± {found[each].std():.3f}" for each in METRICS]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("imputation", "imbalance"))
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for make in (imputation, imbalance):
        if given.only in (None, make.__name__):
            with tempfile.TemporaryDirectory() as folder:
                report(make(Path(folder)), given.seeds, Path(folder))


if __name__ == "__main__":
    main()
