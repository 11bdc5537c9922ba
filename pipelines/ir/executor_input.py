"""What KFP tells a step (the executor input) and what the step tells KFP (the executor output).

The open-source launcher puts artifacts of object stores under local folders; the file that it reads afterwards names
them by their URIs again. Reference: ExecutorInput and ExecutorOutput in KFP's pipeline_spec.proto.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOUNTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}
"""Where the launcher puts the objects of each kind of store."""

LAUNCHERS_LOG = "executor-logs"
"""An output that the launcher adds for itself and fills itself."""

TFX_PROPERTIES = "tfx"
"""Key of an artifact's metadata that holds the properties TFX gave it, as JSON."""


@dataclass
class StepArtifact:
    """One artifact of a step.

    Args:
        name: as KFP knows it.
        uri: where it is kept.
        metadata: what KFP keeps with it; for the types that KFP's UI draws, what it draws.
    """

    name: str
    uri: str
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The folder or file that the step reads or writes."""
        for scheme, mount in MOUNTS.items():
            if self.uri.startswith(scheme):
                return Path(mount, self.uri.removeprefix(scheme))
        return Path(self.uri.removeprefix("file://"))


@dataclass
class StepCall:
    """One call of a step, with a place for its results.

    Args:
        parameters: name to value.
        inputs: input artifacts by name; those that were optional and not given are missing.
        outputs: output artifacts by name.
        output_file: where KFP looks for the executor output.
        returned: values of output parameters; filled by the step.
    """

    parameters: dict[str, Any]
    inputs: dict[str, StepArtifact]
    outputs: dict[str, StepArtifact]
    output_file: Path
    returned: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> StepCall:
        """Return the call in the JSON that KFP puts in place of `{{$}}`."""
        given = json.loads(text)
        inputs, outputs = given.get("inputs", {}), given.get("outputs", {})
        return cls(
            _values(inputs),
            _artifacts(inputs),
            _artifacts(outputs),
            Path(outputs["outputFile"]),
        )

    def config(self) -> dict[str, Any]:
        """Return the step's part of the spec."""
        config: dict[str, Any] = json.loads(self.parameters["config"])
        return config

    def write(self) -> None:
        """Write the executor output; whoever reads sees all of it or none."""
        content = {
            "parameterValues": self.returned,
            "artifacts": {
                key: {"artifacts": [{"name": one.name, "uri": one.uri, "metadata": one.metadata}]}
                for key, one in self.outputs.items()
                if key != LAUNCHERS_LOG
            },
        }
        self.output_file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.output_file.with_name(f".{self.output_file.name}.partial")
        partial.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
        os.replace(partial, self.output_file)


def _values(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return parameter values; launchers of KFP 2.0 wrote them as `{"stringValue": …}` under `parameters`."""
    found = dict(inputs.get("parameterValues", {}))
    for name, wrapped in inputs.get("parameters", {}).items():
        found.setdefault(name, next(iter(wrapped.values())) if isinstance(wrapped, dict) else wrapped)
    return found


def _artifacts(side: dict[str, Any]) -> dict[str, StepArtifact]:
    found = {}
    for key, given in side.get("artifacts", {}).items():
        if given.get("artifacts"):
            first = given["artifacts"][0]
            found[key] = StepArtifact(first.get("name", key), first["uri"], dict(first.get("metadata") or {}))
    return found
