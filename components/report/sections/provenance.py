"""Where the model comes from: spec, versions, files, artifacts, time and memory."""

from __future__ import annotations

from typing import Any

from components.report.collect import Findings, Json
from components.report.formats import megabytes, seconds
from components.report.plots.resources import bars_plot

LEADING_PACKAGES = ("sluice", "tfx", "tensorflow", "keras", "apache-beam", "tensorflow-data-validation")


def view(found: Findings) -> Json:
    """Return the nodes, the plots of time and memory, the spec and the versions."""
    run = found.data["run"]
    nodes = [dict(node, path=f"run.nodes.{index}") for index, node in enumerate(run.get("nodes") or [])]
    versions = run.get("versions") or {}
    return {
        "nodes": nodes,
        "plots": _plots(nodes),
        "spec_text": run.get("spec_text"),
        "overrides": run.get("overrides") or {},
        "versions": sorted(versions.items(), key=lambda pair: (pair[0] not in LEADING_PACKAGES, pair[0])),
        "files": ((run.get("data") or {}).get("files")) or [],
    }


def _plots(nodes: list[Json]) -> list[Json]:
    plots = []
    ran = [node for node in nodes if node.get("status") != "skipped"]
    timed = [(str(node.get("name")), _amount(node, "seconds"), str(node.get("status"))) for node in ran]
    timed = [(name, 0.0 if status == "cached" else amount, status) for name, amount, status in timed]
    if any(status != "cached" for _, _, status in timed):
        told = ", ".join(f"{name} {seconds(amount)}" for name, amount, _ in timed)
        plots.append({"title": "Time", "svg": bars_plot(timed, seconds, f"Time per component: {told}")})
    heavy = [(str(node.get("name")), _amount(node, "peak_memory_mb"), str(node.get("status"))) for node in ran]
    heavy = [row for row in heavy if row[1] and row[2] != "cached"]
    if heavy:
        told = ", ".join(f"{name} {megabytes(amount)}" for name, amount, _ in heavy)
        plots.append({"title": "Peak memory", "svg": bars_plot(heavy, megabytes, f"Peak memory per component: {told}")})
    return plots


def _amount(node: Json, key: str) -> float:
    value: Any = node.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
