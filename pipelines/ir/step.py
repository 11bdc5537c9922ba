"""What runs in the container of a step: `python -m pipelines.ir.step --node Trainer --executor-input '{{$}}'`.

Makes TFX artifacts of what KFP hands over, runs the component's executor, and hands its outputs back. Only what the one
step needs is imported.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from components.engine.storage import is_remote
from components.errors import ComponentError, SluiceError, SpecError, causes
from pipelines.ir.executor_input import StepCall

RUNTIME_VARIABLE = "SLUICE_RUNTIME"
"""Environment variable with more of the runtime, JSON."""

OWN_STEPS = {"Resolve": "resolve", "Report": "report", "Notify": "notify"}
"""Steps that are no TFX components, and the modules of this package that do them."""


@dataclass(frozen=True)
class StepName:
    """Which step it is.

    Args:
        node: a component's name, or one of `OWN_STEPS`.
        section: the folder of the component.
        input_types: input name to the name of its TFX artifact type.
    """

    node: str
    section: str = ""
    input_types: Mapping[str, str] = field(default_factory=dict)


def run_step(name: StepName, call: StepCall) -> None:
    """Run one step and write its executor output.

    Args:
        name: which one.
        call: what KFP handed over.

    Raises:
        SluiceError: what the user can do something about.
    """
    if name.node in OWN_STEPS:
        importlib.import_module(f"pipelines.ir.{OWN_STEPS[name.node]}").run(call)
    else:
        run_component(name, call)
    call.write()


def run_component(name: StepName, call: StepCall) -> None:
    """Run the executor of a TFX component on the artifacts of a call."""
    from pipelines.ir import tfx_component, ui_artifacts

    began = time.perf_counter()
    config = _with_parameters(name.node, call)
    function = getattr(importlib.import_module(f"components.{name.section}.component"), name.node)
    runtime = _runtime(call, config)
    tfx_component.run(partial(function, config, runtime), name.input_types, call)
    folders = {key: artifact.path for key, artifact in call.outputs.items()}
    call.returned.update(output_parameters(name.node, folders, override=bool(call.parameters.get("override_gate"))))
    ui_artifacts.fill(name.node, call)
    used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    first = next(iter(call.outputs.values()))
    first.metadata |= {"seconds": round(time.perf_counter() - began, 2), "peak_memory_mb": round(max(used) / 1000, 1)}


def _with_parameters(node: str, call: StepCall) -> dict[str, Any]:
    """Return the node's config with the run's parameters in it."""
    config = call.config()
    parameters = call.parameters
    if node == "Trainer":
        config["training"]["epochs"] = int(parameters["epochs"])
    if node == "Pusher" and parameters.get("override_gate"):
        config["override_gate"] = {"reason": parameters["override_gate"], "by": f"run {parameters['run_id']}"}
    return config


def _runtime(call: StepCall, config: dict[str, Any]) -> dict[str, Any]:
    """Return what the component is told about where it runs; see `Pipeline._runtime`."""
    parameters = call.parameters
    runtime: dict[str, Any] = json.loads(parameters.get("runtime", "{}"))
    told = ("root", "data_path", "span", "fingerprint", "run_id")
    runtime |= {key: parameters[key] for key in told if key in parameters}
    if is_remote(runtime.get("root", "")):
        # the components work in a folder of this container, and publish to the root
        runtime |= {"remote": runtime["root"], "root": tempfile.mkdtemp(prefix="sluice-")}
    # What this step reads and what it does with it: the same after a retry, another after any change.
    identity = [config, sorted((name, artifact.uri) for name, artifact in call.inputs.items())]
    runtime["trainer_key"] = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
    runtime["progress"] = "-"
    # a runner on this machine knows more of the run than the compiled pipeline does
    return runtime | json.loads(os.environ.get(RUNTIME_VARIABLE, "{}"))


def output_parameters(node: str, folders: Mapping[str, Path], *, override: bool) -> dict[str, str]:
    """Return the output parameters of a component, as `pipelines.ir.tasks` declares them.

    Args:
        node: the component.
        folders: output name to the folder that it wrote.
        override: the user said to push whatever the gate says.
    """
    if node == "Evaluator":
        push = override or bool(_read(folders["evaluation"] / "verdict.json")["passed"])
        return {"push": _yes(push), "blocked": _yes(not push)}
    if node == "Decider":
        go = bool(_read(folders["decision"] / "summary.json")["go"])
        return {"go": _yes(go), "skipped": _yes(not go)}
    return {}


def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content


def _yes(value: bool) -> str:
    return "true" if value else "false"


def say(event: str, content: dict[str, Any]) -> None:
    """Tell the runner something: one line of JSON on standard output, which it finds in the container's log."""
    print(json.dumps({event: content}), flush=True)  # noqa: T201


def _failure(error: BaseException) -> dict[str, Any]:
    for each in causes(error):
        if isinstance(each, ComponentError):
            return {"message": each.message, "spec_path": each.spec_path, "remedy": each.remedy}
        if isinstance(each, SpecError):
            first = each.problems[0]
            message = f"{first.received}; expected {first.expected}"
            return {"message": message, "spec_path": first.where, "remedy": first.remedy}
    return {"message": f"{type(error).__name__}: {error}"[:2000], "spec_path": None, "remedy": ""}


def main(arguments: list[str] | None = None) -> int:
    """Run the step that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", required=True, help="the component to run, such as Trainer")
    parser.add_argument("--section", default="", help="the component's folder, such as training")
    parser.add_argument("--input-types", type=json.loads, default={}, help="input to TFX artifact type, JSON")
    parser.add_argument("--task", help="its name in the pipeline, when several tasks run the same step")
    parser.add_argument("--executor-input", required=True, help="KFP's executor input, JSON")
    given = parser.parse_args(arguments)
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    call = StepCall.parse(given.executor_input)
    call.output_file.unlink(missing_ok=True)  # a retried pod must not find what the one before it said
    try:
        run_step(StepName(given.node, given.section, given.input_types), call)
    except Exception as error:
        traceback.print_exc()
        say("failure", {"node": given.node, **_failure(error)})
        return 1 if not isinstance(error, SluiceError) else error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: the C++ libraries may abort while they shut down, after all the work is done.
    os._exit(code)
