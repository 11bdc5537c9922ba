"""The component Decider: whether what follows it runs at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components.engine.storage import join
from components.engine.wiring import WiredSpec
from components.registry import Registry, shared_root
from components.retraining import drift, history
from components.retraining.config import RetrainingConfig
from components.retraining.decision import Decision, Facts, decide


class Executor(base_executor.BaseExecutor):
    """Writes `decision.json` and `summary.json`; a decision not to train is a result, not a failure."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config = json.loads(exec_properties["config"])
        runtime = json.loads(exec_properties["runtime"])
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        moved = _drift(statistics.uri, input_dict.get("baseline_statistics") or [], config["columns"])
        facts = _facts(config, runtime, moved)
        decision = decide(facts, RetrainingConfig.model_validate(config["retraining"]))
        output = artifact_utils.get_single_instance(output_dict["decision"])
        output.set_int_custom_property("go", int(decision.go))
        _write(Path(output.uri), decision, facts, moved)


def _drift(uri: str, baselines: list[types.Artifact], columns: list[str]) -> dict[str, drift.Drift] | None:
    now = drift.read_statistics(uri)
    before = drift.read_statistics(baselines[0].uri) if baselines else None
    return None if now is None or before is None else drift.drift_of(now, before, columns)


def _facts(config: Mapping[str, Any], runtime: Mapping[str, Any], moved: dict[str, drift.Drift] | None) -> Facts:
    now, root = runtime.get("now"), shared_root(runtime)
    model = runtime["baseline"] if "baseline" in runtime else _latest_blessed(runtime)
    return Facts(
        now=datetime.fromisoformat(now) if now else datetime.now(UTC),
        last=history.last_training(history.newest_first(root)),
        blessed=history.blessed_model(root, model),
        fingerprint=runtime.get("fingerprint") or "",
        settings=config["settings"],
        drift=None if moved is None else {name: one.beyond_chance for name, one in moved.items()},
        span=int(runtime["span"]) if runtime.get("span") not in (None, "") else None,
    )


def _latest_blessed(runtime: Mapping[str, Any]) -> dict[str, Any] | None:
    model = Registry(join(shared_root(runtime), "registry")).latest_blessed()
    return None if model is None else {"version": model.version, "run_id": model.run_id, "at": model.at}


def _write(folder: Path, decision: Decision, facts: Facts, moved: dict[str, drift.Drift] | None) -> None:
    summary = {
        "go": decision.go,
        "rule": decision.rule,
        "reasons": list(decision.reasons),
        "text": f"{'train' if decision.go else 'do not train'}: {decision.reasons[0]}",
        "fingerprint": facts.fingerprint,
        "settings": dict(facts.settings),
        "drift": [
            {"feature": name, "drift": round(one.beyond_chance, 4), "distance": round(one.distance, 4)}
            for name, one in (moved or {}).items()
        ],
    }
    known = {
        "now": facts.now.isoformat(),
        "span": facts.span,
        "last_training": facts.last and {"run_id": facts.last.run_id, "at": facts.last.at.isoformat()},
        "blessed": facts.blessed and {"version": facts.blessed.version, "at": facts.blessed.at.isoformat()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decision.json").write_text(json.dumps({**summary, **known}, indent=1), encoding="utf-8")
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")


class DeciderSpec(WiredSpec):
    """What Decider takes and makes."""

    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "baseline_statistics": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics, optional=True, allow_empty=True
        ),
    }
    OUTPUTS = {"decision": component_spec.ChannelParameter(type=standard_artifacts.Config)}


class DeciderComponent(base_component.BaseComponent):
    """Decides whether to train, from new data, drift and time."""

    SPEC_CLASS = DeciderSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def Decider(  # noqa: N802 - named as the node is
    config: dict[str, Any],
    runtime: dict[str, Any],
    *,
    statistics: types.BaseChannel,
    baseline_statistics: types.BaseChannel | None = None,
) -> DeciderComponent:
    """Return the TFX component.

    Args:
        config: `retraining`, the section; `columns` whose drift counts; `settings`, a hash of each component's config.
        runtime: where and how it runs; `now`, `fingerprint` and `span` of the data, `baseline`, and `root`, whose runs
            tell of the last training.
        statistics: channel of the statistics of the data that would be trained on.
        baseline_statistics: channel of the statistics of the last blessed model's data; its folder may be empty.
    """
    return DeciderComponent(
        spec=DeciderSpec.wired(config, runtime, statistics=statistics, baseline_statistics=baseline_statistics)
    )
