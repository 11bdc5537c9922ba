"""Rules on what runs in a container, and on the text that reaches it through Argo, Kubernetes and the launcher."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from components.errors import Problem
from pipelines.ir.document import Call, Document, input_definitions, output_definitions
from pipelines.ir.trigger_rules import OF_THE_RUN

LONGEST_ARGUMENT = 128 * 1024
"""What Linux takes as one argument or one environment variable, MAX_ARG_STRLEN."""

ROOM_FOR_AN_ARTIFACT = 1500
"""Bytes that one artifact takes in an executor's input: its URI, its metadata, and the store that it is in."""

STAND_INS = frozenset({"argostub/createpvc", "argostub/deletepvc"})

_COMPILER = "This is a fault of Sluice's compiler: please report it with the spec."
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{\{", re.DOTALL)
_DOLLAR = re.compile(r"\$\$|\$\([-._a-zA-Z][-._a-zA-Z0-9]*\)")
_EXPANDED = re.compile(r"\{\{|" + _DOLLAR.pattern)


def executors_run_a_container(document: Document) -> Iterator[Problem]:
    """The compiler takes containers and importers: "resolver executors not implemented", custom jobs are Google's.

    The launcher wants a command. `lifecycle.preCacheCheck`, in which TFX puts its drivers, is read by nobody, so what
    they would have found out is missing. Two images stand for operations of the backend itself.
    """
    for label, executor in document.executors.items():
        where = f"deploymentSpec.executors.{label}"
        container = executor.get("container")
        if container is None:
            if "importer" not in executor:
                yield Problem(where, ", ".join(executor) or "nothing", "a container or an importer", _COMPILER)
            continue
        image = container.get("image", "")
        if not image or "{{" in image or image in STAND_INS:
            yield Problem(f"{where}.container.image", repr(image), "the image of the step", _COMPILER)
        if not [*container.get("command", ()), *container.get("args", ())]:
            yield Problem(f"{where}.container", "neither command nor args", "what to run", _COMPILER)
        if "lifecycle" in container:
            yield Problem(f"{where}.container.lifecycle", "a lifecycle hook", "none: the backend ignores it", _COMPILER)


def equal_containers_have_equal_interfaces(document: Document) -> Iterator[Problem]:
    """The compiler keeps component specs under the hash of their container.

    Of two components with equal containers it keeps the first, and gives the second one's tasks its inputs and outputs.
    """
    first: dict[str, tuple[str, str]] = {}
    for name, component in document.components.items():
        container = document.executors.get(component.get("executorLabel", ""), {}).get("container")
        if container is None:
            continue
        interface = json.dumps([component.get("inputDefinitions"), component.get("outputDefinitions")], sort_keys=True)
        other, known = first.setdefault(json.dumps(container, sort_keys=True), (name, interface))
        if known != interface:
            received = f"the same container as components.{other}, with other inputs or outputs"
            yield Problem(f"components.{name}", received, "a container that differs in a word", _COMPILER)


def placeholders_are_known(document: Document) -> Iterator[Problem]:
    """The launcher replaces the placeholders of declared inputs and outputs, in command and args but not in env.

    What it does not know stays as it is and reaches the step as text. Kubernetes changes `$(NAME)` and `$$`.
    """
    for name, component in document.components.items():
        label = component.get("executorLabel", "")
        container = document.executors.get(label, {}).get("container", {})
        where = f"deploymentSpec.executors.{label}.container"
        known = _placeholders(component)
        for word in [*container.get("command", ()), *container.get("args", ())]:
            for template in _TEMPLATE.findall(word):
                if template not in known:
                    yield Problem(where, template, f"a placeholder of {name}, such as {{{{$}}}}", _COMPILER)
            if found := _DOLLAR.search(word):
                yield Problem(where, f"{found[0]} in {word!r}", "no $(NAME) and no $$", _COMPILER)
        for variable in container.get("env", ()):
            if _EXPANDED.search(variable.get("value", "")):
                received = f"{variable.get('name')}={variable.get('value')}"
                remedy = "Write the value itself into resources.*.env."
                yield Problem(f"{where}.env", received, "a value without {{, $(NAME) and $$", remedy)


def constants_hold_no_template(document: Document) -> Iterator[Problem]:
    """On its way to the step a constant is read by Argo, by the launcher and by Kubernetes.

    Argo evaluates `{{=...}}` and replaces or refuses `{{workflow...}}`, `{{inputs...}}`, `{{item}}`; the launcher
    replaces its own placeholders in what `{{$}}` has just put in; Kubernetes expands `$(NAME)` and makes `$` of `$$`.
    Only a constant that is one of the driver's placeholders as a whole is meant to be replaced.
    """
    constants = [
        (f"{call.where}.inputs.parameters.{name}", value["runtimeValue"].get("constant"))
        for call in document.calls()
        for name, value in call.inputs("parameters").items()
        if "runtimeValue" in value
    ]
    constants += [
        (f"root.inputDefinitions.parameters.{name}", definition.get("defaultValue"))
        for name, definition in input_definitions(document.pipeline.get("root", {}), "parameters").items()
    ]
    for where, constant in constants:
        text = constant if isinstance(constant, str) else json.dumps(constant)
        found = _EXPANDED.search(text)
        if found and not OF_THE_RUN.fullmatch(text):
            near = text[max(0, found.start() - 30) : found.end() + 30]
            remedy = "In JSON, write \\u007b for the second brace and \\u0024 for the dollar."
            yield Problem(where, repr(near), "a text without {{, $(NAME) and $$", remedy)


def inputs_fit_into_one_argument(document: Document) -> Iterator[Problem]:
    """The input of a step is one argument of its container, and part of a template that Argo puts into its environment.

    There it is JSON in JSON in JSON, so quotes count fourfold. The kernel takes 128 KiB for each, and the pod does not
    start with more; an Argo that moves larger templates into a config map needs a right that the stock install lacks.
    """
    for call in document.calls():
        if "executorLabel" not in call.component:
            continue
        size = _template_size(call)
        if size > LONGEST_ARGUMENT:
            remedy = "Make the spec smaller: long lists of values belong into a file in the image or in the bucket."
            expected = f"at most {LONGEST_ARGUMENT:,}"
            yield Problem(f"{call.where}.inputs", f"{size:,} bytes as Argo passes them", expected, remedy)


def _template_size(call: Call) -> int:
    values = {
        name: value.get("runtimeValue", {}).get("constant", "") for name, value in call.inputs("parameters").items()
    }
    text = json.dumps({"inputs": {"parameterValues": values}, "component": call.component})
    for _ in range(2):
        text = json.dumps(text)
    artifacts = [*call.definitions("artifacts"), *output_definitions(call.component, "artifacts")]
    return len(text.encode()) + ROOM_FOR_AN_ARTIFACT * len(artifacts)


def _placeholders(component: Mapping[str, Any]) -> set[str]:
    """Return what the launcher replaces in the command line of a component."""
    known = {"{{$}}"}
    known |= {f"{{{{$.inputs.parameters['{name}']}}}}" for name in input_definitions(component, "parameters")}
    known |= {
        f"{{{{$.outputs.parameters['{name}'].output_file}}}}" for name in output_definitions(component, "parameters")
    }
    for side, definitions in (("inputs", input_definitions), ("outputs", output_definitions)):
        for name in definitions(component, "artifacts"):
            known |= {f"{{{{$.{side}.artifacts['{name}'].{what}}}}}" for what in ("uri", "path")}
    return known
