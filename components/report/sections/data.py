"""The data: what they look like, what was wrong with them, what was taken out."""

from __future__ import annotations

from typing import Any

from components.report.collect import Findings, Json

MOST_FEATURES = 300


def view(found: Findings) -> Json:
    """Return features by role and kind, anomalies, cleaning and quarantine."""
    statistics = found.data.get("statistics") or {}
    spec = (found.data["run"].get("spec") or {}).get("data") or {}
    used, label = set(spec.get("features") or {}), _label_columns(spec)
    features = [
        dict(feature, path=f"statistics.features.{index}", role=_role(feature["name"], used, label))
        for index, feature in enumerate(statistics.get("features") or [])
    ]
    shown = sorted(features, key=lambda feature: ("feature", "label", "unused").index(feature["role"]))[:MOST_FEATURES]
    return {
        "used": _by_kind(shown, used=True),
        "unused": _by_kind(shown, used=False),
        "left_out": len(features) - len(shown),
        "splits": [split for split in ("train", "eval") if split in (statistics.get("examples") or {})],
        "anomalies": found.data.get("anomalies"),
        "distances": _distances(found.data.get("anomalies") or {}),
        "cleaning": found.data.get("cleaning"),
        "ingest": found.data.get("ingest"),
        "transform": _facts(found.data.get("transform")),
    }


def _by_kind(features: list[Json], *, used: bool) -> dict[str, list[Json]]:
    chosen = [feature for feature in features if (feature["role"] != "unused") == used]
    return {kind: [feature for feature in chosen if feature["kind"] == kind] for kind in ("number", "text")}


def _label_columns(spec: Json) -> str:
    label = spec.get("label") or {}
    return str(label.get("expression", "")) if isinstance(label, dict) else str(label)


def _role(name: str, used: set[str], label: str) -> str:
    if name in used:
        return "feature"
    words = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in label).split()
    return "label" if name in words else "unused"


def _distances(anomalies: Json) -> list[Json]:
    rows = []
    for kind in ("drift", "skew"):
        for index, entry in enumerate(anomalies.get(kind) or []):
            over = (entry.get("distance") or 0) > (entry.get("threshold") or float("inf"))
            row = {"kind": kind, "feature": entry.get("feature"), "path": f"anomalies.{kind}.{index}", "over": over}
            rows.append(row | {"distance": entry.get("distance") or 0})
    return sorted(rows, key=lambda row: (not row["over"], -row["distance"]))


def _facts(summary: Json | None, path: str = "transform") -> list[tuple[str, str, Any]]:
    """Return (name, path, value) of each leaf of a summary whose shape we do not know."""
    if not summary:
        return []
    facts: list[tuple[str, str, Any]] = []
    for key, value in summary.items():
        here = f"{path}.{key}"
        if isinstance(value, dict):
            facts += [(f"{key} · {name}", where, inner) for name, where, inner in _facts(value, here)]
        elif isinstance(value, list):
            facts.append((str(key), here, ", ".join(map(str, value[:30])) + (" …" if len(value) > 30 else "")))
        else:
            facts.append((str(key), here, value))
    return facts
