"""The first step: look at the raw data and at what is served, and say both in a few strings.

KFP's cache knows the parameters of a task, not the content of the files it reads. Everything behind this step is fed
with the fingerprint it returns, so that the same data are not read twice and changed data always are.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from components.data import preflight, source
from components.data.raw_files import raw_files
from components.engine.storage import join
from components.errors import SpecError
from components.registry import Registry
from pipelines.ir.executor_input import StepCall
from pipelines.spec import PipelineSpec


def run(call: StepCall) -> None:
    """Check the data as a run does before its first component, and return what identifies them.

    Raises:
        SpecError: with every problem of the data.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    spec = PipelineSpec.model_validate(call.config())
    data_path = source.resolve(call.parameters["data_path"], Path.cwd())
    data = spec.data.at_span(call.parameters.get("span", ""))
    found = preflight.check(
        data, data_path, spec.cleaning, spec.transform.chains, spec.evaluation.all_slices, spec.task
    )
    if found.problems:
        raise SpecError(found.problems)
    files = raw_files(data, data_path)
    spans = source.spans_of(files)
    baseline = Registry(join(call.parameters["root"], "registry")).latest_blessed()
    call.returned.update(
        data_path=data_path,
        fingerprint=source.fingerprint(files),
        span=str(spans[-1]["span"]) if spans else "",
        baseline_version=str(baseline.version) if baseline else "",
        started=started,
    )
