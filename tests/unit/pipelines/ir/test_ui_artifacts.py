"""What KFP's run page draws."""

from __future__ import annotations

import numpy as np

from components.evaluation.curves import roc
from components.evaluation.measures import Scored
from pipelines.ir import ui_artifacts

VERDICT = {
    "passed": False,
    "reasons": ["auc is 0.61 | below 0.8"],
    "rules": [
        {"rule": "auc >= 0.5", "slice": {"hour": "3"}, "value": 0.7, "bound": 0.5, "verdict": "pass"},
        {"rule": "auc >= 0.8", "slice": None, "value": 0.61234, "baseline_value": 0.9, "bound": 0.8, "verdict": "fail"},
    ],
}


def test_the_verdict_says_what_failed_first_and_its_table_is_whole():
    lines = ui_artifacts.verdict_markdown(VERDICT).splitlines()
    assert lines[0] == "# The gate blocked this model"
    assert lines[2] == "- auc is 0.61 \\| below 0.8"
    table = [line for line in lines if line.startswith("|")]
    assert table[2] == "| auc >= 0.8 | all rows | 0.6123 | 0.9 | 0.8 | fail |"
    assert table[3] == "| auc >= 0.5 | hour=3 | 0.7 | – | 0.5 | pass |"


def test_a_gate_with_hundreds_of_rules_says_how_many_it_leaves_out():
    many = {**VERDICT, "rules": VERDICT["rules"] * 100}
    text = ui_artifacts.verdict_markdown(many)
    assert text.count("\n|") == ui_artifacts.MOST_RULES + 2
    assert "160 more rules" in text


def test_metrics_are_numbers_that_protobuf_can_hold():
    overall = {"auc": {"value": 0.9, "baseline": 0.8}, "precision": {"value": None}, "loss": {"value": float("nan")}}
    values = ui_artifacts.metric_values({"overall": overall}, VERDICT)
    assert values == {"gate_passed": 0.0, "auc": 0.9, "auc_baseline": 0.8}


def test_each_point_of_the_roc_curve_is_what_its_threshold_gives():
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, 2000).astype(float)
    score = np.round(np.clip(generator.normal(0.4 + 0.2 * label, 0.2), 0, 1), 2)
    points, thresholds = roc(Scored("binary_classification", label, score, np.ones(2000)))
    drawn = ui_artifacts.roc_curve({"roc": points, "roc_thresholds": thresholds})["confidenceMetrics"]
    assert len(drawn) > 50
    for point in drawn:
        positive = score >= point["confidenceThreshold"]
        assert np.isclose(point["recall"], positive[label == 1].mean())
        assert np.isclose(point["falsePositiveRate"], positive[label == 0].mean())
