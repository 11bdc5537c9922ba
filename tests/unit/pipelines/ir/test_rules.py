"""All rules together, on a compiled pipeline that keeps them."""

from __future__ import annotations

from pipelines.ir.rules import check
from tests.factories.compiled_pipelines import good


def test_a_good_pipeline_has_no_problem():
    assert check(*good()) == []


def test_a_pipeline_needs_no_platform_document():
    assert check(good()[0], {}) == []


def test_all_problems_are_told_at_once():
    pipeline, platform = good()
    pipeline["pipelineInfo"]["name"] = "my_taxi"
    pipeline["deploymentSpec"]["executors"]["exec-train"]["container"]["image"] = ""
    assert [problem.where for problem in check(pipeline, platform)] == [
        "pipelineInfo.name",
        "deploymentSpec.executors.exec-train.container.image",
    ]
