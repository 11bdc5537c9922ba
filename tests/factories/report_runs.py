"""Run folders as a runner leaves them behind, filled from real data, real models and real TFDV statistics."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Json = dict[str, Any]
HOSTILE = "<script>alert(1)</script>"
NODES = {
    "ExampleGen": ("data", 1.9, 412, ("examples",)),
    "Cleaner": ("cleaning", 0.9, 430, ("examples",)),
    "StatisticsGen": ("data", 2.4, 655, ("statistics",)),
    "SchemaGen": ("data", 0.06, 655, ("schema",)),
    "LatestBlessed": ("evaluation", 0.02, 655, ("model", "statistics")),
    "ExampleValidator": ("data", 0.11, 658, ("anomalies",)),
    "Transform": ("transform", 7.3, 1180, ("transform_graph", "transformed_examples")),
    "Trainer": ("training", 21.8, 1630, ("model", "model_run")),
    "Evaluator": ("evaluation", 6.2, 1710, ("evaluation", "blessing")),
    "Pusher": ("serving", 0.2, 1710, ("pushed_model",)),
}
NUMERIC = ["trip_miles", "trip_seconds", "fare", "trip_start_hour", "trip_start_day", "trip_start_month"]
SPEC_TEXT = """# sluice run taxi · about 40 s on 2 cores · expects auc >= 0.85
name: taxi
task: binary_classification
data:
  path: package:tfx/examples/chicago_taxi_pipeline/data/simple/data.csv
  split: {by: hash, train: 8, eval: 2}
  label: {big_tip: tips > 0.2 * fare}
  features: {trip_miles: numeric, payment_type: categorical, company: categorical}
cleaning:
  - drop_missing: [fare, tips]
  - keep_range: {column: fare, min: 0, max: 500}
training: {epochs: 8, batch_size: 512}
evaluation:
  slices: [trip_start_hour, company]
  gate:
    - auc >= 0.80
    - {metric: auc, drop_at_most: 0.005, against: latest_blessed}
    - {metric: auc, at_least: 0.70, slice: trip_start_hour, min_examples: 100}
serving: {push_to: serving}
"""


def taxi() -> pd.DataFrame:
    """Return the taxi trips of the tfx package, with `split` and the label `big_tip`."""
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    assert spec.submodule_search_locations
    root = Path(spec.submodule_search_locations[0])
    frame = pd.read_csv(root / "examples/chicago_taxi_pipeline/data/simple/data.csv")
    frame["split"] = np.where(pd.util.hash_pandas_object(frame, index=False) % 5 == 0, "eval", "train")
    frame["big_tip"] = (frame["tips"] > 0.2 * frame["fare"]).astype(int)
    return frame


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the area under the ROC curve from ranks."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    ranks = pd.Series(scores).rank().to_numpy()
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _log_loss(labels: np.ndarray, scores: np.ndarray) -> float:
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(-np.mean(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped)))


def _precision(labels: np.ndarray, scores: np.ndarray) -> float | None:
    chosen = scores > 0.5
    return float(labels[chosen].mean()) if chosen.any() else None


BINARY: dict[str, Callable[[np.ndarray, np.ndarray], float | None]] = {
    "auc": auc,
    "accuracy": lambda y, p: float(((p > 0.5) == y).mean()),
    "precision": _precision,
    "recall": lambda y, p: float((p[y == 1] > 0.5).mean()) if y.any() else None,
    "log_loss": _log_loss,
    "calibration": lambda y, p: float(p.mean() / y.mean()) if y.any() else None,
}


def measured(metrics: dict[str, Any], labels: np.ndarray, scores: np.ndarray, resamples: int = 40) -> Json:
    """Return each metric with its bootstrap interval, as metrics.json has them."""
    random = np.random.default_rng(0)
    draws = [random.integers(0, len(labels), len(labels)) for _ in range(resamples)]
    result: Json = {}
    for name, metric in metrics.items():
        value = metric(labels, scores)
        again = [one for draw in draws if (one := metric(labels[draw], scores[draw])) is not None]
        interval = [float(edge) for edge in np.quantile(again, [0.025, 0.975])] if again and value is not None else None
        result[name] = {"value": value, "interval": interval}
    return result


def write_json(file: Path, content: Json) -> None:
    """Write a JSON file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


class RunFactory:
    """Makes run folders below one root; artifacts are computed once.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.frame = taxi()
        self.kept = self.frame[self.frame["fare"].between(0, 500) & self.frame["tips"].notna()]
        self._statistics()
        self._small_summaries()
        self.metrics = self._evaluate()

    def artifact(self, node: str, key: str) -> Path:
        return self.root / "artifacts" / node / key / "1"

    def run(self, name: str, *, status: str, nodes: Json | None = None, **changes: Any) -> Path:
        """Write `run.json` and return the run's folder.

        Args:
            name: run id.
            status: of the run.
            nodes: component to what differs in its record.
            changes: other keys of run.json.
        """
        folder = self.root / "runs" / name
        write_json(folder / "run.json", self._record(name, status, nodes or {}) | changes)
        return folder

    def _record(self, name: str, status: str, nodes: Json) -> Json:
        return {
            "run_id": name,
            "pipeline": "taxi",
            "spec_file": "pipelines/specs/taxi.yaml",
            "overrides": {"training.epochs": "8"},
            "spec": self._spec(),
            "spec_text": SPEC_TEXT,
            "status": status,
            "started": "2026-11-24T04:09:12+00:00",
            "seconds": 41.3,
            "versions": {
                "sluice": "0.1.0",
                "tfx": "1.21.0",
                "tensorflow": "2.21.0",
                "keras": "3.15.1",
                "pyarrow": "18.1.0",
            },
            "python": "3.11.7",
            "data": {"path": "data.csv", "files": [{"path": "data.csv", "bytes": 1922812, "sha256": "9c" * 32}]},
            "nodes": [self._node(node) | nodes.get(node, {}) for node in NODES],
            "verdict": self.verdict(),
            "pushed": {"version": 4, "destination": "serving/taxi/4"} if status == "pushed" else None,
            "failure": None,
            "report": "report.html",
        }

    def _node(self, name: str) -> Json:
        section, seconds, memory, keys = NODES[name]
        first = self.artifact(name, keys[0]) / "summary.json"
        return {
            "name": name,
            "section": section,
            "status": "done",
            "why": "the code changed",
            "seconds": seconds,
            "peak_memory_mb": memory,
            "key": f"{abs(hash(name)):x}".ljust(16, "0") * 4,
            "outputs": {key: str(self.artifact(name, key)) for key in keys},
            "summary": json.loads(first.read_text()) if first.is_file() else None,
        }

    def _spec(self) -> Json:
        return {
            "name": "taxi",
            "task": "binary_classification",
            "data": {
                "label": {"name": "big_tip", "expression": "tips > 0.2 * fare"},
                "features": {
                    **dict.fromkeys(NUMERIC, "numeric"),
                    "payment_type": "categorical",
                    "company": "categorical",
                },
            },
            "training": {"epochs": 8, "early_stopping": {"monitor": "val_loss", "patience": 3}},
        }

    def _statistics(self) -> None:
        import tensorflow_data_validation as tfdv

        frame = self.kept.drop(columns=["split", "big_tip"]).assign(**{HOSTILE: "<b>&\"'"}).reset_index(drop=True)
        for split in ("train", "eval"):
            rows = frame[(self.kept["split"] == split).to_numpy()].reset_index(drop=True)
            found = tfdv.generate_statistics_from_dataframe(rows, n_jobs=1)
            file = self.artifact("StatisticsGen", "statistics") / f"Split-{split}" / "FeatureStats.pb"
            file.parent.mkdir(parents=True)
            file.write_bytes(found.SerializeToString())

    def _small_summaries(self) -> None:
        rows = self.frame["split"].value_counts().to_dict()
        kept = self.kept["split"].value_counts().to_dict()
        lost = {split: rows[split] - kept[split] for split in rows}
        ingest = {"rows": len(self.frame), "splits": rows, "bytes": 1922812, "files": ["data.csv"]}
        ingest |= {"quarantined": 3, "quarantine_file": "state/quarantine.csv"}
        write_json(self.artifact("ExampleGen", "examples") / "summary.json", ingest)
        steps = [
            {"step": "drop_missing: [fare, tips]", "dropped": {"train": 0, "eval": 0}},
            {"step": "keep_range: {column: fare, min: 0, max: 500}", "dropped": lost},
        ]
        cleaning = {"rows_in": rows, "rows_out": kept, "steps": steps}
        write_json(self.artifact("Cleaner", "examples") / "summary.json", cleaning)
        anomalies: Json = {
            "anomalies": [
                {
                    "split": "eval",
                    "feature": "company",
                    "kind": "unexpected values",
                    "description": "Values that the schema does not know: 3201 - C&D Cab Co Inc (1 %).",
                    "remedy": "Add them to the schema, or remove the rows.",
                }
            ],
            "drift": [{"feature": "payment_type", "distance": 0.0121, "threshold": 0.01}],
            "skew": [{"feature": "trip_miles", "distance": 0.0043, "threshold": 0.02}],
        }
        write_json(self.artifact("ExampleValidator", "anomalies") / "summary.json", anomalies)
        transform = {"seconds": 6.9, "vocabularies": {"company": 121, "payment_type": 6}, "trip_miles": {"mean": 2.83}}
        write_json(self.artifact("Transform", "transform_graph") / "summary.json", transform)
        write_json(self.artifact("Pusher", "pushed_model") / "summary.json", {"pushed": True, "version": 4})

    def _features(self, columns: list[str]) -> np.ndarray:
        numeric = self.kept[columns].fillna(0).clip(upper=self.kept[columns].quantile(0.99), axis=1)
        scaled = (numeric - numeric.mean()) / numeric.std()
        return np.hstack([scaled, pd.get_dummies(self.kept["payment_type"])]).astype("float64")

    def _evaluate(self) -> Json:
        """Train a model and a weaker baseline, and write what Trainer and Evaluator would."""
        from sklearn.linear_model import SGDClassifier

        inputs, labels = self._features(NUMERIC), self.kept["big_tip"].to_numpy()
        is_eval = (self.kept["split"] == "eval").to_numpy()
        model = SGDClassifier(loss="log_loss", alpha=1e-4, learning_rate="constant", eta0=0.001, random_state=0)
        epochs = []
        for epoch in range(1, 9):
            model.partial_fit(inputs[~is_eval], labels[~is_eval], classes=[0, 1])
            entry: Json = {"epoch": epoch}
            for prefix, rows in (("", ~is_eval), ("val_", is_eval)):
                scores = model.predict_proba(inputs[rows])[:, 1]
                entry[f"{prefix}loss"] = _log_loss(labels[rows], scores)
                entry[f"{prefix}auc"] = auc(labels[rows], scores)
            entry["learning_rate"] = 0.001 if epoch < 5 else 0.0005
            epochs.append(entry)
        history = {"epochs": epochs, "resumed_from_epoch": 0, "seconds": 20.4, "steps_per_second": 61.2}
        write_json(self.artifact("Trainer", "model_run") / "history.json", history | {"parameters": 24833})
        weak = SGDClassifier(loss="log_loss", random_state=0).fit(inputs[~is_eval][:, 3:8], labels[~is_eval])
        other = weak.predict_proba(inputs[is_eval][:, 3:8])[:, 1]
        return self._write_evaluation(self.kept[is_eval], model.predict_proba(inputs[is_eval])[:, 1], other)

    def _write_evaluation(self, frame: pd.DataFrame, scores: np.ndarray, other: np.ndarray) -> Json:
        from sklearn.metrics import confusion_matrix, roc_curve

        labels = frame["big_tip"].to_numpy()
        slices = []
        for column in ("trip_start_hour", "company"):
            for value, rows in frame.reset_index(drop=True).groupby(column).groups.items():
                where = np.asarray(rows)
                entry = {"slice": {column: str(value)}, "examples": len(where)}
                slices.append(entry | {"metrics": measured(BINARY, labels[where], scores[where], 20)})
        bins = pd.qcut(scores, 10, duplicates="drop")
        grouped = pd.DataFrame({"p": scores, "y": labels}).groupby(bins, observed=True)
        calibration = [
            {"predicted": float(group["p"].mean()), "observed": float(group["y"].mean()), "count": len(group)}
            for _, group in grouped
        ]
        false_rate, true_rate, _ = roc_curve(labels, scores)
        step = max(1, len(false_rate) // 100)
        metrics = {
            "task": "binary_classification",
            "examples": len(labels),
            "label": "big_tip",
            "overall": measured(BINARY, labels, scores),
            "baseline": measured(BINARY, labels, other),
            "slices": slices,
            "calibration": calibration,
            "confusion": {
                "threshold": 0.5,
                "matrix": confusion_matrix(labels, scores > 0.5).tolist(),
                "labels": ["no", "yes"],
            },
            "roc": [[float(x), float(y)] for x, y in zip(false_rate[::step], true_rate[::step], strict=True)],
        }
        folder = self.artifact("Evaluator", "evaluation")
        write_json(folder / "metrics.json", metrics)
        columns = {"label": labels, "probability": scores, "trip_start_hour": frame["trip_start_hour"].to_numpy()}
        pd.DataFrame(columns).to_parquet(folder / "predictions.parquet")
        return metrics

    def verdict(self, floor: float = 0.7, *, first_model: bool = False) -> Json:
        """Return the verdict of the spec's gate on the real metrics; a higher floor fails more slices."""
        metrics = self.metrics
        overall, baseline = metrics["overall"]["auc"], metrics["baseline"]["auc"]
        rules = [
            self._rule("auc >= 0.8", None, overall, 0.8, metrics["examples"]),
            self._rule("auc drop <= 0.005 against the latest blessed model", None, overall, 0.005, metrics["examples"])
            | ({"verdict": "no_baseline"} if first_model else {"baseline_value": baseline["value"], "verdict": "pass"}),
        ]
        for entry in metrics["slices"]:
            if "trip_start_hour" in entry["slice"]:
                name = f"auc >= {floor} on every trip_start_hour"
                rules.append(self._rule(name, entry["slice"], entry["metrics"]["auc"], floor, entry["examples"]))
        failed = [rule["reason"] for rule in rules if rule["verdict"] == "fail"]
        servability = {"checked": True, "ok": True, "max_abs_difference": 1.2e-7, "requests": 200, "reason": ""}
        return {
            "passed": not failed,
            "reasons": failed,
            "first_model": first_model,
            "baseline": None if first_model else {"model_uri": "artifacts/Trainer/model/0", "version": 3},
            "rules": rules,
            "servability": servability,
        }

    @staticmethod
    def _rule(name: str, where: Json | None, entry: Json, bound: float, examples: int) -> Json:
        value = entry["value"]
        told = "all rows" if where is None else ", ".join(f"{key} = {inner}" for key, inner in where.items())
        if examples < 100:
            verdict, reason = "not_enough_data", f"{told} has {examples} rows; at least 100 are needed."
        elif value is not None and value >= bound:
            verdict, reason = "pass", f"auc on {told} is {value:.4f}, at least {bound}."
        else:
            verdict, reason = "fail", f"auc on {told} is {value:.4f}, below {bound}."
        return {
            "rule": name,
            "slice": where,
            "metric": "auc",
            "value": value,
            "interval": entry["interval"],
            "baseline_value": None,
            "bound": bound,
            "examples": examples,
            "verdict": verdict,
            "reason": reason,
        }


def evaluation_only(folder: Path, task: str, metrics: Json, predictions: pd.DataFrame, name: str) -> Path:
    """Write a run of which only the Evaluator left something behind."""
    write_json(folder / "evaluation" / "metrics.json", metrics)
    predictions.to_parquet(folder / "evaluation" / "predictions.parquet")
    evaluator = {
        "name": "Evaluator",
        "status": "done",
        "seconds": 2.0,
        "outputs": {"evaluation": str(folder / "evaluation")},
    }
    verdict = {"passed": True, "reasons": [], "first_model": True, "baseline": None, "rules": []}
    record = {"run_id": "20261124-041500-a1b2", "pipeline": name, "status": "pushed", "spec": {"task": task}}
    record |= {"nodes": [evaluator], "verdict": verdict, "pushed": {"version": 1, "destination": f"serving/{name}/1"}}
    write_json(folder / "run.json", record)
    return folder


def regression_run(folder: Path) -> Path:
    """Return a run that predicts fares with a linear model."""
    from sklearn.linear_model import LinearRegression

    frame = taxi().dropna(subset=["trip_seconds"])
    frame = frame[frame["fare"].between(0, 100)]
    inputs = frame[["trip_miles", "trip_seconds"]]
    rows = (frame["split"] == "eval").to_numpy()
    model = LinearRegression().fit(inputs[~rows], frame["fare"][~rows])
    labels, values = frame["fare"][rows].to_numpy(), model.predict(inputs[rows])
    metrics = {
        "rmse": lambda y, p: float(np.sqrt(np.mean((y - p) ** 2))),
        "mae": lambda y, p: float(np.mean(np.abs(y - p))),
        "r_squared": lambda y, p: float(1 - np.mean((y - p) ** 2) / np.var(y)),
    }
    written = {"task": "regression", "examples": len(labels), "label": "fare", "baseline": None, "slices": []}
    written["overall"] = measured(metrics, labels, values)
    return evaluation_only(
        folder, "regression", written, pd.DataFrame({"label": labels, "prediction": values}), "fares"
    )


def multiclass_run(folder: Path) -> Path:
    """Return a run that tells handwritten digits apart."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import confusion_matrix

    inputs, labels = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=200, C=0.001).fit(inputs[::2], labels[::2])
    scores, labels = model.predict_proba(inputs[1::2]), labels[1::2]
    metrics = {
        "accuracy": lambda y, p: float((p.argmax(axis=1) == y).mean()),
        "log_loss": lambda y, p: float(-np.log(p[np.arange(len(y)), y]).mean()),
    }
    written = {"task": "multiclass_classification", "examples": len(labels), "label": "digit", "baseline": None}
    written |= {"overall": measured(metrics, labels, scores), "slices": []}
    matrix = confusion_matrix(labels, scores.argmax(axis=1)).tolist()
    written["confusion"] = {"threshold": None, "matrix": matrix, "labels": [str(digit) for digit in range(10)]}
    columns = pd.DataFrame({"label": labels, "probabilities": list(scores)})
    return evaluation_only(folder, "multiclass_classification", written, columns, "digits")
