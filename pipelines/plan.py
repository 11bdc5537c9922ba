"""What a run would do and why, without doing it: cache keys, and what changed since they were last right."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from typing import Any

from components.data.source import SourceFile
from components.errors import Problem, SpecError
from components.registry import BlessedModel
from pipelines.code_used import code_hashes
from pipelines.node import Node
from pipelines.state import PipelineRoot, Record

LIBRARIES = (
    "tensorflow",
    "keras",
    "tfx",
    "tensorflow-transform",
    "tensorflow-data-validation",
    "tensorflow-model-analysis",
    "apache-beam",
    "pyarrow",
    "numpy",
)
"""Libraries whose version is part of every cache key."""


@dataclass(frozen=True)
class Choices:
    """What the user asked of one run.

    Args:
        from_node: run this component and all that follow it, cached or not.
        to_node: run nothing after this component.
        use_cache: False runs every component.
    """

    from_node: str | None = None
    to_node: str | None = None
    use_cache: bool = True


EVERYTHING = Choices()


@dataclass(frozen=True)
class Step:
    """What will happen to one component.

    Args:
        node: the component.
        action: `run`; `cached`, its result is there; `skip`, it lies behind `to_node`, or there is nothing to decide.
        why: the reason, in words.
        key: its cache key.
        facts: what the key was computed from.
        record: the finished execution that is used again, when cached.
    """

    node: Node
    action: str
    why: str
    key: str
    facts: dict[str, Any]
    record: Record | None = None


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Args:
        steps: one per component, in order.
        baseline: the model that the candidate is compared with.
        files: the raw data.
        fingerprint: hash of their content.
    """

    steps: tuple[Step, ...]
    baseline: BlessedModel | None
    files: tuple[SourceFile, ...] = ()
    by_name: dict[str, Step] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def all_cached(self) -> bool:
        """True when no component would run."""
        return all(step.action != "run" for step in self.steps)

    @property
    def span(self) -> int | None:
        """The newest span that is read; None when the data have no spans."""
        return max((file.span for file in self.files if file.span is not None), default=None)


def make_plan(
    nodes: tuple[Node, ...],
    root: PipelineRoot,
    *,
    files: tuple[SourceFile, ...],
    data_fingerprint: str,
    choices: Choices = EVERYTHING,
) -> Plan:
    """Decide for each component whether it runs.

    Args:
        nodes: the pipeline.
        root: its folder, with the records of what has finished.
        files: the raw data.
        data_fingerprint: hash of its content.
        choices: what the user asked for.

    Raises:
        SpecError: `from_node` or `to_node` is no component.
    """
    _check_names(nodes, choices)
    planner = _Planner({node.name: node for node in nodes}, root, data_fingerprint, choices)
    steps = _without_a_needless_decision(tuple(planner.step(node.name) for node in nodes))
    return Plan(steps, planner.baseline(), files, {step.node.name: step for step in steps}, data_fingerprint)


def _without_a_needless_decision(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Skip what is never cached when nothing else would run."""
    if any(step.action == "run" for step in steps if step.node.cached):
        return steps
    return tuple(
        replace(step, action="skip", why="nothing to decide: all results are there") if not step.node.cached else step
        for step in steps
    )


class _Planner:
    def __init__(self, nodes: dict[str, Node], root: PipelineRoot, fingerprint: str, choices: Choices) -> None:
        self.nodes, self.root, self.fingerprint, self.choices = nodes, root, fingerprint, choices
        self.steps: dict[str, Step] = {}
        self.usable = root.has_metadata

    def step(self, name: str) -> Step:
        if name not in self.steps:
            self.steps[name] = self._decide(self.nodes[name])
        return self.steps[name]

    @functools.cache  # noqa: B019 - lives as long as the planner
    def baseline(self) -> BlessedModel | None:
        """The model to compare with: the latest blessed one that is not the candidate itself."""
        trainer = self.step("Trainer") if "Trainer" in self.nodes else None
        own = trainer.record.output_uris["model"] if trainer and trainer.record else None
        return self.root.latest_blessed(own)

    def _decide(self, node: Node) -> Step:
        # only what a node reads counts: what merely comes before it would make the baseline depend on itself
        facts = self._facts(node)
        key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
        if self._behind_the_end(node.name):
            return Step(node, "skip", f"after {self.choices.to_node}", key, facts)
        if not node.cached and self.choices.from_node and not self._from_here_on(node.name):
            return Step(node, "skip", f"asked for: from {self.choices.from_node} on", key, facts)
        if not node.cached:
            return Step(node, "run", "it decides anew each time", key, facts)
        if not self.choices.use_cache:
            return Step(node, "run", "the cache is off", key, facts)
        if self._from_here_on(node.name):
            return Step(node, "run", f"asked for: from {self.choices.from_node} on", key, facts)
        record = self.root.record(node.name, key) if self.usable else None
        if record is None:
            return Step(node, "run", self._what_changed(node, facts), key, facts)
        moved = [source.node for source in node.inputs.values() if self.steps[source.node].action == "run"]
        if moved:
            return Step(node, "run", f"{moved[0]} runs again", key, facts)
        if why := self._stale(node, record):
            return Step(node, "run", why, key, facts)
        return Step(node, "cached", f"made in run {record.run_id}", key, facts, record)

    def _facts(self, node: Node) -> dict[str, Any]:
        outside: Any = None
        if node.reads == "data":
            outside = self.fingerprint
        elif node.reads == "baseline":
            baseline = self.baseline()
            outside = baseline.model_uri if baseline else None
        return {
            "node": node.name,
            "config": node.config,
            "code": code_hashes(node.section, node.name, node.plugins),
            "libraries": versions(),
            "inputs": {name: self.step(source.node).key for name, source in sorted(node.inputs.items())},
            "outside": outside,
        }

    def _stale(self, node: Node, record: Record) -> str | None:
        gone = [uri for uri in record.output_uris.values() if not self.root.holds(uri)]
        if gone:
            return f"its output {gone[0]} is gone"
        for name, source in node.inputs.items():
            made = self.steps[source.node].record
            if made is not None and made.output_uris[source.key] != record.inputs.get(name):
                return f"{source.node} was made again since"
        version = record.summary.get("version") if node.name == "Pusher" else None
        if version and self.root.registry.versions()[-1:] != [version]:
            return f"version {version} is not the newest one served"
        return None

    def _what_changed(self, node: Node, facts: dict[str, Any]) -> str:
        latest = self.root.latest_record(node.name) if self.usable else None
        if latest is not None and latest.store != self.root.store:
            return f"its record is in another metadata store, {latest.store}"
        return "it never ran here" if latest is None else explain(latest.facts, facts, self.nodes[node.name])

    def _from_here_on(self, name: str) -> bool:
        start = self.choices.from_node
        return start is not None and (name == start or start in self._ancestors(name))

    def _behind_the_end(self, name: str) -> bool:
        end = self.choices.to_node
        return end is not None and name != end and name not in self._ancestors(end)

    def _ancestors(self, name: str) -> set[str]:
        found: set[str] = set()
        pending = list(self.nodes[name].upstream)
        while pending:
            current = pending.pop()
            if current not in found:
                found.add(current)
                pending.extend(self.nodes[current].upstream)
        return found


def explain(before: Mapping[str, Any], now: Mapping[str, Any], node: Node) -> str:
    """Say what differs between the facts of two cache keys, most telling first."""
    changes = [f"{path} {old} → {new}" for path, old, new in differences(before["config"], now["config"])]
    if before["outside"] != now["outside"]:
        changes.append("the raw data changed" if node.reads == "data" else "the latest blessed model changed")
    inputs = [name for name in now["inputs"] if before["inputs"].get(name) != now["inputs"][name]]
    changes.extend(f"{node.inputs[name].node} changed" for name in inputs)
    code = {*before["code"].items()} ^ {*now["code"].items()}
    if code:
        changes.append("code changed: " + ", ".join(sorted({module for module, _ in code})[:3]))
    if before["libraries"] != now["libraries"]:
        changes.append("library versions changed")
    return "; ".join(dict.fromkeys(changes)) or "its record is gone"


def differences(before: Any, now: Any, path: str = "") -> list[tuple[str, str, str]]:
    """Return `(dotted path, before, now)` of every leaf that differs between two JSON values."""
    if isinstance(before, dict) and isinstance(now, dict):
        found = []
        for key in dict.fromkeys((*before, *now)):
            below = f"{path}.{key}" if path else str(key)
            found += differences(before.get(key), now.get(key), below)
        return found
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [
            difference
            for index, pair in enumerate(zip(before, now, strict=True))
            for difference in differences(*pair, f"{path}[{index}]")
        ]
    return [] if before == now else [(path, _short(before), _short(now))]


def run_facts(plan: Plan) -> dict[str, Any]:
    """Return what a run records about its surroundings: library versions and the raw files."""
    return {"versions": versions(), "files": [asdict(file) for file in plan.files]}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "…"


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    found = {name: metadata.version(name) for name in LIBRARIES if name != "tensorflow"}
    return {"tensorflow": _tensorflow_version(), **found, "python": platform.python_version()}


def _tensorflow_version() -> str:
    for build in ("tensorflow", "tensorflow-cpu", "tensorflow-tpu"):  # the images have builds of other names
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(build)
    raise metadata.PackageNotFoundError("tensorflow")


def _check_names(nodes: tuple[Node, ...], choices: Choices) -> None:
    known = [node.name for node in nodes]
    problems = [
        Problem(option, repr(name), f"one of {', '.join(known)}", "Name a component of the pipeline.")
        for option, name in (("--from", choices.from_node), ("--to", choices.to_node))
        if name is not None and name not in known
    ]
    if problems:
        raise SpecError(problems)
