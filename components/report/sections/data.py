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
        "decision": found.data["run"].get("decision"),
        "distances": _distances(found.data.get("anomalies") or {}),
        "cleaning": found.data.get("cleaning"),
        "ingest": found.data.get("ingest"),
        "transform": _chains(found.data.get("transform")),
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


def _chains(summary: Json | None) -> list[Json]:
    """Return one row per model input: its steps, what comes out, and what was learned from the training rows."""
    rows = []
    for name, chain in ((summary or {}).get("chains") or {}).items():
        output = chain.get("output") or {}
        learned = {key: _short(value) for key, value in (chain.get("learned") or {}).items()}
        rows.append(
            {
                "name": name,
                "steps": " → ".join(_step(step) for step in chain.get("steps") or []),
                "output": _OUTPUTS.get(str(output.get("kind")), "{kind}").format_map(output),
                "learned": ", ".join(f"{key.replace('_', ' ')} {text}" for key, text in learned.items()) or "nothing",
            }
        )
    return rows


_OUTPUTS = {
    "ids": "ids 0 to {cardinality}, exclusive",
    "sequence": "{width} ids 0 to {cardinality}, exclusive",
    "number": "one number",
    "vector": "{width} numbers",
}


def _step(step: Json) -> str:
    ((name, parameters),) = step.items()
    values = ", ".join(f"{key} {_short(value)}" for key, value in parameters.items())
    return f"{name} ({values})" if values else str(name)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "[" + ", ".join(_short(inner) for inner in value[:5]) + (", …]" if len(value) > 5 else "]")
    return str(value)
