"""Rules on how tasks are wired: who comes before whom, what they are given, and of which type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from components.errors import Problem
from pipelines.ir.document import Call, Dag, Document, input_definitions, output_definitions

_COMPILER = "This is a fault of Sluice's compiler: please report it with the spec."
_NUMBERS = {"NUMBER_INTEGER", "NUMBER_DOUBLE"}
_OF_CONSTANTS: tuple[tuple[type, set[str]], ...] = (
    (bool, {"BOOLEAN"}),  # before int, since a bool is one
    (int, _NUMBERS),
    (float, _NUMBERS),
    (list, {"LIST"}),
    (dict, {"STRUCT"}),
    (str, {"STRING"}),
)


def producers_are_in_the_same_dag(document: Document) -> Iterator[Problem]:
    """The compiler knows only the tasks of the same DAG ("unknown producer task"), and Argo none that is a hook.

    An exit handler leaves the DAG for a hook, so nothing can wait for it.
    """
    for call in document.calls():
        wanted = [(f"{call.where}.dependentTasks", name) for name in call.task.get("dependentTasks", ())]
        for where, name in [*wanted, *call.producers()]:
            producer = document.call(call.dag, name)
            if producer is None:
                yield Problem(where, repr(name), f"a task of {call.dag.where}", _COMPILER)
            elif producer.is_exit:
                yield Problem(where, f"the exit handler {name!r}", "a task that runs in the DAG", _COMPILER)


def tasks_do_not_wait_for_each_other(document: Document) -> Iterator[Problem]:
    """Argo sorts the tasks of a DAG and refuses a cycle."""
    for dag in document.dags():
        waiting = {call.name: call.before() for call in document.calls() if call.dag.where == dag.where}
        while free := [name for name, before in waiting.items() if not before & set(waiting)]:
            for name in free:
                del waiting[name]
        if waiting:
            yield Problem(dag.where, f"a cycle among {', '.join(sorted(waiting))}", "no cycle", _COMPILER)


def outputs_that_are_read_exist(document: Document) -> Iterator[Problem]:
    """The driver does not check the key of a producer's output: it hands on nothing, or dies of a nil pointer."""
    for call in document.calls():
        for kind, source, key in (
            ("parameters", "taskOutputParameter", "outputParameterKey"),
            ("artifacts", "taskOutputArtifact", "outputArtifactKey"),
        ):
            for name, value in call.inputs(kind).items():
                reference = value.get(source)
                producer = document.call(call.dag, reference.get("producerTask", "")) if reference else None
                if producer and reference.get(key) not in output_definitions(producer.component, kind):
                    known = ", ".join(output_definitions(producer.component, kind)) or "none"
                    received = f"{producer.name}.{reference.get(key)}"
                    where = f"{call.where}.inputs.{kind}.{name}"
                    yield Problem(where, received, f"one of its outputs ({known})", _COMPILER)


def inputs_of_a_group_are_declared(document: Document) -> Iterator[Problem]:
    """A task reads its DAG's inputs by name; the driver ends with "parent DAG does not have input" on any other."""
    for call in document.calls():
        for kind, source in (("parameters", "componentInputParameter"), ("artifacts", "componentInputArtifact")):
            for name, value in call.inputs(kind).items():
                wanted = value.get(source)
                if wanted is not None and wanted not in input_definitions(call.dag.component, kind):
                    where = f"{call.where}.inputs.{kind}.{name}"
                    yield Problem(where, repr(wanted), f"an input of {call.dag.where}", _COMPILER)


def inputs_are_all_given_and_all_declared(document: Document) -> Iterator[Problem]:
    """The driver refuses a task that lacks an input without default, and never says that one is not declared."""
    for call in document.calls():
        if not call.component:
            continue
        for kind in ("parameters", "artifacts"):
            given, declared = call.inputs(kind), call.definitions(kind)
            for name, definition in declared.items():
                optional = definition.get("isOptional") or "defaultValue" in definition
                if name not in given and not optional:
                    yield Problem(f"{call.where}.inputs.{kind}.{name}", "nothing", "a value", _COMPILER)
            for name in given:
                if name not in declared:
                    expected = f"an input of {call.component_name}"
                    yield Problem(f"{call.where}.inputs.{kind}.{name}", repr(name), expected, _COMPILER)


def types_match(document: Document) -> Iterator[Problem]:
    """The driver turns anything into a string, and stops the run when any other type is not what is declared.

    A type that is missing, as in schema 2.0, is refused as "unspecified type".
    """
    for name, component in {**document.components, "root": document.pipeline.get("root", {})}.items():
        for side, definitions in (("input", input_definitions), ("output", output_definitions)):
            for key, definition in definitions(component, "parameters").items():
                where = f"components.{name}.{side}Definitions.parameters.{key}"
                yield from _defined(where, definition)
    for call in document.calls():
        for name, value in call.inputs("parameters").items():
            declared = call.definitions("parameters").get(name, {}).get("parameterType")
            given = _types(document, call, value)
            if declared and declared != "STRING" and given and declared not in given:
                where = f"{call.where}.inputs.parameters.{name}"
                yield Problem(where, " or ".join(sorted(given)), declared, _COMPILER)


def _defined(where: str, definition: Mapping[str, Any]) -> Iterator[Problem]:
    declared = definition.get("parameterType", "PARAMETER_TYPE_ENUM_UNSPECIFIED")
    if declared == "PARAMETER_TYPE_ENUM_UNSPECIFIED":
        yield Problem(f"{where}.parameterType", repr(definition.get("parameterType")), "a type", _COMPILER)
    elif "defaultValue" in definition and declared not in _constant_types(definition["defaultValue"]):
        yield Problem(f"{where}.defaultValue", repr(definition["defaultValue"]), f"a {declared}", _COMPILER)


def _types(document: Document, call: Call, value: Mapping[str, Any]) -> set[str]:
    """Return the types that an input can have; none when another rule has something to say on where it comes from."""
    if "runtimeValue" in value:
        return _constant_types(value["runtimeValue"].get("constant"))
    if "componentInputParameter" in value:
        return _declared(input_definitions(call.dag.component, "parameters"), value["componentInputParameter"])
    if "taskOutputParameter" in value:
        return _output_types(document, call.dag, value["taskOutputParameter"])
    return {"STRUCT", "TASK_FINAL_STATUS"} if "taskFinalStatus" in value else set()


def _output_types(document: Document, dag: Dag, reference: Mapping[str, Any]) -> set[str]:
    producer = document.call(dag, reference.get("producerTask", ""))
    definitions = output_definitions(producer.component, "parameters") if producer else {}
    return _declared(definitions, reference.get("outputParameterKey", ""))


def _declared(definitions: Mapping[str, Any], name: str) -> set[str]:
    declared = definitions.get(name, {}).get("parameterType")
    if declared in _NUMBERS:
        return set(_NUMBERS)  # the driver does not tell them apart
    return {declared} if declared else set()


def _constant_types(value: Any) -> set[str]:
    return next((kinds for kind, kinds in _OF_CONSTANTS if isinstance(value, kind)), {"nothing"})
