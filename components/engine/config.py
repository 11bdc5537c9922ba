"""Section `engine`: how components compute. Never part of a cache key, since both engines give the same result."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from components.config import Section

LOCAL_BEAM_RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
"""Named in full: Beam's default local runner first tries to download a binary, and translates each pipeline twice."""


class EngineConfig(Section):
    """In process on Arrow while the data fit, on Beam beyond.

    Args:
        name: `arrow` (in process), `beam`, or `auto`: arrow while a split fits in `memory_fraction` of the free
            memory and no Beam runner of your own is named, else beam.
        memory_fraction: part of the free memory that `auto` lets one split take.
        beam_pipeline_args: flags for Apache Beam, for example `--runner=FlinkRunner`.
    """

    name: Literal["auto", "arrow", "beam"] = "auto"
    memory_fraction: float = Field(default=0.25, gt=0, le=1)
    beam_pipeline_args: tuple[str, ...] = (LOCAL_BEAM_RUNNER,)

    @property
    def has_own_beam_runner(self) -> bool:
        """True when the spec names a Beam runner other than the local one."""
        return self.beam_pipeline_args != (LOCAL_BEAM_RUNNER,) and any(
            argument.startswith("--runner") and argument != LOCAL_BEAM_RUNNER for argument in self.beam_pipeline_args
        )
