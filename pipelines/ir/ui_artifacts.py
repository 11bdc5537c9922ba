"""What KFP's run page can draw: metrics, the ROC curve, the verdict as Markdown, pages of HTML.

Reference: https://www.kubeflow.org/docs/components/pipelines/user-guides/data-handling/artifacts/ (system.Metrics,
system.ClassificationMetrics, system.Markdown, system.HTML).
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.ir.executor_input import StepArtifact, StepCall

MOST_RULES = 40
"""Rows of the verdict's table; a rule for every slice can be hundreds."""


def fill(node: str, call: StepCall) -> None:
    """Fill the artifacts that a component has for KFP's page alone; see `pipelines.ir.tasks.EXTRA_OUTPUTS`."""
    if node == "Evaluator":
        folder = call.outputs["evaluation"].path
        metrics = _read(folder / "metrics.json")
        verdict = _read(folder / "verdict.json")
        call.outputs["metrics"].metadata = metric_values(metrics, verdict)
        call.outputs["roc"].metadata = roc_curve(metrics)
        _write(call.outputs["verdict"], verdict_markdown(verdict))
    if node == "StatisticsGen":
        statistics = {"name": node, "section": "data", "outputs": {"statistics": str(call.outputs["statistics"].path)}}
        _write(call.outputs["statistics_report"], page({"nodes": [statistics], "pipeline": "Statistics"}))


def metric_values(metrics: Mapping[str, Any], verdict: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of the whole eval split, the baseline's beside them, and 1 or 0 for the gate."""
    values: dict[str, float] = {"gate_passed": float(bool(verdict["passed"]))}
    for name, measured in metrics["overall"].items():
        for key, label in (("value", name), ("baseline", f"{name}_baseline")):
            if measured.get(key) is not None and math.isfinite(measured[key]):
                values[label] = float(measured[key])
    return values


def roc_curve(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a ClassificationMetrics artifact; empty for tasks that have no ROC curve."""
    found: dict[str, Any] = {}
    if points := metrics.get("roc"):
        found["confidenceMetrics"] = [
            {"confidenceThreshold": threshold, "falsePositiveRate": false_positives, "recall": true_positives}
            for (false_positives, true_positives), threshold in zip(points, metrics["roc_thresholds"], strict=True)
        ]
    if confusion := metrics.get("confusion"):
        found["confusionMatrix"] = {
            "annotationSpecs": [{"displayName": str(name)} for name in confusion["labels"]],
            "rows": [{"row": [float(count) for count in row]} for row in confusion["matrix"]],
        }
    return found


def verdict_markdown(verdict: Mapping[str, Any]) -> str:
    """Return the verdict for people: what was decided, why, and every rule, those that failed first."""
    title = "The gate passed" if verdict["passed"] else "The gate blocked this model"
    lines = [f"# {title}", "", *(f"- {_cell(reason)}" for reason in verdict["reasons"]), ""]
    order = {"fail": 0, "not_enough_data": 1, "pass": 2}
    rules = sorted(verdict["rules"], key=lambda rule: order.get(rule["verdict"], 3))
    if rules:
        lines += ["| rule | where | value | baseline | bound | verdict |", "|---|---|--:|--:|--:|---|"]
    for rule in rules[:MOST_RULES]:
        where = ", ".join(f"{key}={value}" for key, value in (rule.get("slice") or {}).items()) or "all rows"
        numbers = [_number(rule.get(key)) for key in ("value", "baseline_value", "bound")]
        cells = [rule["rule"], where, *numbers, rule["verdict"].replace("_", " ")]
        lines.append("| " + " | ".join(_cell(str(cell)) for cell in cells) + " |")
    if len(rules) > MOST_RULES:
        lines += ["", f"{len(rules) - MOST_RULES} more rules are in verdict.json."]
    return "\n".join(lines) + "\n"


def page(record: Mapping[str, Any]) -> str:
    """Return the run's page for a record that may hold as little as one component."""
    from components.report.page import write_report

    with tempfile.TemporaryDirectory() as folder:
        run_dir = Path(folder, "runs", "run")
        run_dir.mkdir(parents=True)
        (run_dir / "run.json").write_text(json.dumps(record), encoding="utf-8")
        return write_report(run_dir).read_text(encoding="utf-8")


def _write(artifact: StepArtifact, text: str) -> None:
    artifact.path.parent.mkdir(parents=True, exist_ok=True)
    artifact.path.write_text(text, encoding="utf-8")


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
