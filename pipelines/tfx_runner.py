"""What the `tfx` command line loads: `tfx pipeline create --engine local --pipeline_path pipelines/tfx_runner.py`.

The spec is `taxi`, or what the environment variable SLUICE_SPEC names; SLUICE_ROOT moves the pipeline's folder.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from pipelines import screen
from pipelines.api import Pipeline
from pipelines.plan import Choices


class SluiceDagRunner(LocalDagRunner):
    """TFX's local runner with Sluice's plan, cache and log.

    `run` compiles the pipeline, as every TFX runner does, then arrives in `run_with_ir`; there the pipeline is
    compiled again, with the id of the run that now begins.

    Args:
        pipeline: the spec and its folder.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.pipeline = pipeline

    def run_with_ir(self, pipeline: Any, run_options: Any = None) -> None:
        """Run the pipeline; exits with Sluice's exit codes."""
        del pipeline
        options = run_options.partial_run if run_options is not None else None
        choices = Choices(
            from_node=next(iter(options.from_nodes), None) if options else None,
            to_node=next(iter(options.to_nodes), None) if options else None,
        )
        result = self.pipeline.run(choices, watch=screen.watching)
        screen.print_result(Console(highlight=False), result)
        if result.exit_code:
            sys.exit(result.exit_code)


def main() -> None:
    """Build the pipeline and hand it to TFX."""
    root = os.environ.get("SLUICE_ROOT")
    pipeline = Pipeline.load(os.environ.get("SLUICE_SPEC", "taxi"), root=root or None)
    SluiceDagRunner(pipeline).run(pipeline.tfx_pipeline())


if __name__ == "__main__":
    main()
