"""Which tasks of a compiled pipeline run, by the rules of KFP's compiler and of Argo: nothing runs here.

* a task runs when all it waits for has succeeded, else it is Omitted;
* its driver evaluates its condition, and if that is false it is Skipped;
* a group fails when a task in it has, and what is Skipped or Omitted does not fail it;
* an exit handler is a hook of what it waits for, and runs when that has Succeeded or Failed, not when it was left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Decide = Callable[[str, dict[str, Any]], bool]
LEFT_OUT = ("Skipped", "Omitted")


@dataclass
class Schedule:
    """One run.

    Args:
        pipeline: the pipeline spec.
        outputs: the output parameters of tasks, as `task.key`.
        failing: tasks that fail.
        decide: evaluates a condition on parameter values.
    """

    pipeline: Mapping[str, Any]
    outputs: Mapping[str, Any]
    failing: frozenset[str]
    decide: Decide
    phases: dict[str, str] = field(default_factory=dict)

    def run(self) -> dict[str, str]:
        """Return the phase of every task and group."""
        definitions = self.pipeline["root"]["inputDefinitions"]["parameters"]
        self._dag(self.pipeline["root"]["dag"], {name: given["defaultValue"] for name, given in definitions.items()})
        return self.phases

    def _dag(self, dag: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
        waiting = dict(dag["tasks"])
        phases: dict[str, str] = {}
        while waiting:
            name = next(name for name, task in waiting.items() if self._before(task) <= set(phases))
            task = waiting.pop(name)
            before = [phases[other] for other in self._before(task)]
            is_exit = task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            free = all(phase not in LEFT_OUT for phase in before) if is_exit else set(before) <= {"Succeeded"}
            self.phases[name] = self._task(name, task, inputs) if free else "Omitted"
            phases[name] = self.phases[name]
        return "Failed" if "Failed" in phases.values() else "Succeeded"

    def _task(self, name: str, task: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
        values = {key: self._value(given, inputs) for key, given in task["inputs"].get("parameters", {}).items()}
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition and not self.decide(condition, values):
            return "Skipped"
        component = self.pipeline["components"][task["componentRef"]["name"]]
        if "dag" in component:
            return self._dag(component["dag"], values)
        return "Failed" if name in self.failing else "Succeeded"

    def _value(self, given: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        if "componentInputParameter" in given:
            return inputs[given["componentInputParameter"]]
        if "taskOutputParameter" in given:
            source = given["taskOutputParameter"]
            return self.outputs.get(f"{source['producerTask']}.{source['outputParameterKey']}", "")
        return given.get("runtimeValue", {}).get("constant", "")

    @staticmethod
    def _before(task: Mapping[str, Any]) -> set[str]:
        inputs = task.get("inputs", {})
        made = [given.get("taskOutputParameter") for given in inputs.get("parameters", {}).values()]
        made += [given.get("taskOutputArtifact") for given in inputs.get("artifacts", {}).values()]
        return {*task.get("dependentTasks", ()), *(source["producerTask"] for source in made if source)}
