"""What the report draws: the curves meet their definitions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn

from components.evaluation.curves import calibration, curves, roc
from components.evaluation.measures import Scored


@pytest.fixture
def binary():
    random = np.random.default_rng(0)
    score = random.random(5000).astype(np.float32)
    return Scored("binary_classification", (random.random(5000) < score).astype(float), score, np.ones(5000))


def test_a_calibrated_models_parts_lie_on_the_diagonal(binary):
    parts = calibration(binary.label, binary.prediction, binary.weight)
    assert len(parts) == 10
    assert sum(part["count"] for part in parts) == 5000
    assert all(abs(part["predicted"] - part["observed"]) < 0.07 for part in parts)


def test_a_constant_model_has_one_part():
    (part,) = calibration(np.array([0, 1, 1, 1]), np.full(4, 0.3), np.ones(4))
    assert part == {"predicted": pytest.approx(0.3), "observed": 0.75, "count": 4}


def test_the_roc_curve_encloses_the_area(binary):
    points = np.array(roc(binary)[0])
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]
    assert len(points) <= 202
    assert (np.diff(points, axis=0) >= 0).all()
    exact = sklearn.roc_auc_score(binary.label, binary.prediction)
    assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(exact, abs=1e-3)


def test_without_both_classes_there_is_no_roc_curve():
    assert roc(Scored("binary_classification", np.zeros(3), np.arange(3.0), np.ones(3))) == ([], [])


def test_the_confusion_matrix_has_true_labels_in_rows(binary):
    drawn = curves(binary)
    expected = sklearn.confusion_matrix(binary.label, binary.prediction > 0.5)
    assert drawn["confusion"] == {"threshold": 0.5, "matrix": expected.tolist(), "labels": ["0", "1"]}


def test_classes_without_a_name_get_their_number():
    scored = Scored("multiclass_classification", np.array([0, 2, 2]), np.eye(3)[[0, 2, 1]], np.ones(3))
    assert curves(scored, ["cash"])["confusion"] == {
        "matrix": [[1, 0, 0], [0, 0, 0], [0, 1, 1]],
        "labels": ["cash", "1", "2"],
    }


def test_residuals_are_predictions_minus_labels():
    scored = Scored("regression", np.zeros(1000), np.linspace(-1, 3, 1000), np.ones(1000))
    drawn = curves(scored)
    assert drawn["residuals"]["mean"] == pytest.approx(1)
    assert drawn["residuals"]["quantiles"]["0.5"] == pytest.approx(1)
    assert sum(drawn["residuals"]["histogram"]["counts"]) == 1000
    assert len(drawn["residuals"]["sample"]) == 500
    json.dumps(drawn, allow_nan=False)
