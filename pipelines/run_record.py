"""What a run says about itself afterwards: `run.json`, read by the report, `sluice runs` and `sluice diff`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.data.source import spans_of
from pipelines.plan import run_facts
from pipelines.runners.runner import Job, NodeResult
from pipelines.spec import LoadedSpec
from pipelines.state import read_json, write_json

EXIT_CODES = {"pushed": 0, "cached": 0, "partial": 0, "skipped": 0, "blocked": 3, "failed": 4}


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Args:
        run_id: of the run.
        status: `pushed`; `blocked` by the gate; `failed`; `cached`, nothing was to be done; `skipped`, it decided not
            to train; `partial`, it was not asked to reach the Pusher.
        record: the content of `run.json`.
        folder: the run's folder, with `run.json`, `spec.yaml`, `log.txt` and `report.html`.
    """

    run_id: str
    status: str
    record: dict[str, Any]
    folder: Path

    @property
    def exit_code(self) -> int:
        """What the command line returns: 0 pushed or nothing to do, 3 gate blocked, 4 a component failed."""
        if self.status == "cached" and self.verdict and not self.verdict["passed"] and not self.pushed:
            return EXIT_CODES["blocked"]
        return EXIT_CODES[self.status]

    @property
    def verdict(self) -> dict[str, Any] | None:
        """What the gate decided and why; None when the run did not come to it."""
        return self.record["verdict"]

    @property
    def metrics(self) -> dict[str, float | None]:
        """Metric name to its value on the whole eval split; empty when the run did not come to it."""
        evaluation = output_folder(self.record, "Evaluator", "evaluation")
        measured = read_json(evaluation / "metrics.json") if evaluation else None
        return {name: metric["value"] for name, metric in measured["overall"].items()} if measured else {}

    @property
    def decision(self) -> dict[str, Any] | None:
        """Whether to train and why; None when the spec does not ask for a decision or the run did not come to it."""
        return self.record.get("decision")

    @property
    def pushed(self) -> dict[str, Any] | None:
        """Version and destination of the pushed model, or None."""
        return self.record["pushed"]

    @property
    def report(self) -> Path:
        """The page of this run."""
        return self.folder / "report.html"


class RunRecorder:
    """Keeps `run.json` true while a run goes on, so that a killed run tells how far it came.

    Args:
        loaded: the spec.
        job: the run.
        results: one per component; read again at every write.
    """

    def __init__(self, loaded: LoadedSpec, job: Job, results: list[NodeResult]) -> None:
        self.job = job
        self.results = results
        self.started = datetime.now(UTC)
        facts = run_facts(job.plan)
        self.record: dict[str, Any] = {
            "run_id": job.run_id,
            "pipeline": job.name,
            "spec_file": str(loaded.path),
            "overrides": loaded.overrides,
            "spec": loaded.spec.model_dump(mode="json"),
            "spec_text": loaded.path.read_text(encoding="utf-8"),
            "status": "running",
            "started": self.started.isoformat(timespec="seconds"),
            "now": job.runtime["now"],
            "versions": facts["versions"],
            "data": {
                "path": job.runtime["data_path"],
                "files": facts["files"],
                "fingerprint": job.plan.fingerprint,
                "spans": spans_of(job.plan.files),
            },
            "baseline": asdict(job.plan.baseline) if job.plan.baseline else None,
            "decision": None,
            "verdict": None,
            "pushed": None,
            "failure": None,
            "log": str(job.run_dir / "log.txt"),
        }
        (job.run_dir / "spec.yaml").write_text(self.record["spec_text"], encoding="utf-8")

    def write(self, status: str, failure: dict[str, Any] | None = None) -> RunResult:
        """Write `run.json` as things stand now."""
        record = self.record
        record["status"], record["failure"] = status, failure
        record["seconds"] = round((datetime.now(UTC) - self.started).total_seconds(), 2)
        record["nodes"] = [asdict(result) for result in self.results]
        evaluation = output_folder(record, "Evaluator", "evaluation")
        record["verdict"] = read_json(evaluation / "verdict.json") if evaluation else None
        decider = next((result for result in self.results if result.name == "Decider"), None)
        record["decision"] = decider.summary if decider and decider.summary else None
        pusher = next((result for result in self.results if result.name == "Pusher"), None)
        if pusher and (pusher.summary.get("pushed") or pusher.summary.get("already_served")):
            record["pushed"] = {key: pusher.summary[key] for key in ("version", "destination")}
        result = RunResult(self.job.run_id, status, record, self.job.run_dir)
        record["metrics"] = result.metrics  # so that a list of runs needs no artifacts, which may be on another machine
        write_json(self.job.run_dir / "run.json", record)
        return result


def output_folder(record: dict[str, Any], node: str, key: str) -> Path | None:
    """Return the folder of one output of a run, or None when the run did not make it."""
    for result in record["nodes"]:
        if result["name"] == node and key in result["outputs"]:
            return Path(result["outputs"][key])
    return None
