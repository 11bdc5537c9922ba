"""Runs inside LatestBlessed: hands out the newest blessed model and its statistics, for others to compare with."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.engine.linking import link_folder
from components.engine.storage import RemoteFolder, is_remote, join
from components.engine.whole_folder import download_folder
from components.errors import ComponentError
from components.registry import BELOW_ROOT, BlessedModel, Registry, located, shared_root


class Executor(base_executor.BaseExecutor):
    """Copies the baseline into the outputs; without one they stay empty."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict) -> None:  # noqa: N802, ARG002
        runtime = json.loads(exec_properties["runtime"])
        baseline = baseline_of(runtime)
        model = artifact_utils.get_single_instance(output_dict["model"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        statistics.split_names = artifact_utils.encode_split_names(["train", "eval"])
        for artifact, source in (
            (model, baseline.model_uri if baseline else None),
            (statistics, baseline.statistics_uri if baseline else None),
        ):
            Path(artifact.uri).mkdir(parents=True, exist_ok=True)
            if source is not None:
                copy_baseline(source, artifact.uri, runtime)
        write_summary(model.uri, baseline)


def baseline_of(runtime: dict[str, Any]) -> BlessedModel | None:
    """Return the model that the runner chose as the baseline, or else the newest blessed one."""
    if "baseline" in runtime:
        chosen = runtime["baseline"]
        return None if chosen is None else BlessedModel(**chosen)
    return Registry(join(shared_root(runtime), "registry")).latest_blessed()


def copy_baseline(uri: str, target: str, runtime: dict[str, Any]) -> None:
    """Copy a folder that the registry names: from this machine where it is here, else from the remote root.

    Raises:
        ComponentError: the folder is gone.
    """
    here, there = located(uri, runtime["root"]), located(uri, shared_root(runtime))
    if is_remote(there) and (is_remote(here) or not Path(here).is_dir()):
        with tempfile.TemporaryDirectory(dir=Path(target).parent, prefix=".baseline-") as folder:
            download_folder(RemoteFolder(shared_root(runtime)), uri.removeprefix(BELOW_ROOT), Path(folder, "whole"))
            copy_folder(str(Path(folder, "whole")), target)
    else:
        copy_folder(here, target)


def copy_folder(source: str, target: str) -> None:
    """Copy a folder by hard links, which take no time and no space, or by bytes where links cannot be made.

    Raises:
        ComponentError: the folder is gone.
    """
    if not Path(source).is_dir():
        raise ComponentError(
            f"The baseline's folder {source} is gone.",
            spec_path="evaluation.gate",
            remedy="Restore it, or delete its entry from the pipeline's registry to do without that baseline.",
        )
    link_folder(source, target)


def write_summary(folder: str, baseline: BlessedModel | None) -> None:
    """Write summary.json as a new file: the one that was copied may be a link to the original's."""
    target = Path(folder, "summary.json")
    partial = target.with_suffix(".partial")
    text = json.dumps({"baseline": asdict(baseline) if baseline else None}, indent=1)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, target)
