"""Section `resources`: what each step asks of the cluster. The Beam runner, which has no cluster, ignores it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from components.config import Section
from pipelines.resources.names import (
    DataKey,
    LabelKey,
    LabelValue,
    MountPath,
    ObjectName,
    PlainName,
    VariableName,
)
from pipelines.resources.quantity import Cpu, Memory

STEPS: dict[str, str] = {
    "resolve": "Resolve",
    "example_gen": "ExampleGen",
    "cleaner": "Cleaner",
    "statistics_gen": "StatisticsGen",
    "schema_gen": "SchemaGen",
    "latest_blessed": "LatestBlessed",
    "example_validator": "ExampleValidator",
    "decider": "Decider",
    "transform": "Transform",
    "balancer": "Balancer",
    "tuner": "Tuner",
    "trainer": "Trainer",
    "evaluator": "Evaluator",
    "pusher": "Pusher",
    "report": "Report",
    "notify": "Notify",
}
"""Key of the section to the node that it is about."""


def _environment_value(written: Any) -> Any:
    if isinstance(written, bool):
        return str(written).lower()
    return str(written) if isinstance(written, int | float) else written


EnvironmentValue = Annotated[
    str, BeforeValidator(_environment_value), WithJsonSchema({"type": ["string", "number", "boolean"]})
]


class RetriesConfig(Section):
    """How often a step that failed is tried again. In YAML `2` or the long form.

    Args:
        count: attempts after the first.
        backoff_seconds: wait before the second attempt.
        factor: each further wait is this many times as long; Argo takes whole numbers only.
        max_seconds: for all attempts and waits together, counted from the start of the first; None is enough for each
            attempt to use its whole `timeout_seconds` (a week where there is none) and wait an hour for a machine.
    """

    count: int = Field(ge=0, le=20)
    backoff_seconds: int = Field(default=60, ge=1)
    factor: int = Field(default=2, ge=1)
    max_seconds: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, written: Any) -> Any:
        return {"count": written} if isinstance(written, int) else written


class FromObject(Section):
    """What a step takes of a Secret or a ConfigMap.

    Args:
        env: environment variable to the key that holds its value.
        mount: folder in which every key is a file.
        optional: True starts the step even when there is no such object.
    """

    env: dict[VariableName, DataKey] = {}
    mount: MountPath | None = None
    optional: bool = False

    @model_validator(mode="after")
    def _something(self) -> FromObject:
        if not self.env and self.mount is None:
            raise ValueError("takes nothing: give env (variable: key), mount (a folder) or both")
        return self


class ScratchConfig(Section):
    """A volume that is made for the step and deleted with it. In YAML its size, `50Gi`, or the long form.

    Args:
        size: of it.
        mount: folder where it is.
        storage_class: None is the cluster's default.
    """

    size: Memory
    mount: MountPath = "/scratch"
    storage_class: ObjectName | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, written: Any) -> Any:
        return {"size": written} if isinstance(written, str | int | float) else written


class SecurityContextConfig(Section):
    """As whom a step runs. Kubeflow drops all capabilities and forbids privilege escalation anyway.

    Args:
        run_as_user: numeric user; a default that the cluster's administrator gave Kubeflow goes before it.
        run_as_group: numeric group.
        run_as_non_root: refuse to start as root.
    """

    run_as_user: int | None = Field(default=None, ge=0)
    run_as_group: int | None = Field(default=None, ge=0)
    run_as_non_root: bool | None = None

    @model_validator(mode="after")
    def _no_contradiction(self) -> SecurityContextConfig:
        if self.run_as_non_root and not self.run_as_user:
            # Kubeflow's driver obeys user and group in every version, this flag not in all
            raise ValueError("run_as_non_root: true needs run_as_user, a number other than 0 (the step image has 1000)")
        return self


class StepConfig(Section):
    """What one step asks of the cluster. In YAML the name of a pool, or the long form.

    Args:
        pool: name of a node pool.
        count: accelerators; None is all of one machine for steps that compute on them (Trainer, Evaluator), else none.
        workers: pods that train together, each with `count` accelerators; needs `training.strategy: multi_worker`.
        worker_kind: what starts them: a plain indexed `job`, a `trainjob` of Kubeflow Trainer v2, a `tfjob` of the
            older operator; `auto` takes a trainjob where the runtime `sluice-tensorflow` is installed, else a job.
        cpu, memory: what is set aside for it; None is the pool's `requests`.
        cpu_limit, memory_limit: where it is slowed down, or stopped; None is no limit.
        shared_memory: size of `/dev/shm`; None is the pool's.
        timeout_seconds: after which an attempt is stopped; None is never.
        retries: None is no retry, or two on a spot pool.
        env: environment variables.
        secrets, config_maps: name of the object to what is taken of it.
        volumes: name of a PersistentVolumeClaim to the folder where it is mounted.
        scratch: a volume that is deleted with the step.
        labels, annotations: of its pod.
        image_pull_secrets: names of Secrets for the image's registry.
        security_context: as whom it runs.
        queue, priority_class: of Kueue; None is the pool's.
    """

    pool: str | None = None
    count: int | None = Field(default=None, ge=0)
    workers: int | None = Field(default=None, ge=1)
    worker_kind: Literal["auto", "job", "trainjob", "tfjob"] | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    cpu_limit: Cpu | None = None
    memory_limit: Memory | None = None
    shared_memory: Memory | None = None
    timeout_seconds: int | None = Field(default=None, ge=1)
    retries: RetriesConfig | None = None
    env: dict[VariableName, EnvironmentValue] = {}
    secrets: dict[ObjectName, FromObject] = {}
    config_maps: dict[ObjectName, FromObject] = {}
    volumes: dict[PlainName, MountPath] = {}
    scratch: ScratchConfig | None = None
    labels: dict[LabelKey, LabelValue] = {}
    annotations: dict[LabelKey, str] = {}
    image_pull_secrets: tuple[ObjectName, ...] = ()
    security_context: SecurityContextConfig | None = None
    queue: LabelValue | None = None
    priority_class: LabelValue | None = None

    @model_validator(mode="before")
    @classmethod
    def _forms(cls, written: Any) -> Any:
        if isinstance(written, str):
            return {"pool": written}
        return _refuse_elsewhere(written)

    @model_validator(mode="after")
    def _each_place_once(self) -> StepConfig:
        for what, places in (("environment variable", self._variables()), ("mount path", self._mounts())):
            twice = [place for place, times in Counter(places).items() if times > 1]
            if twice:
                raise ValueError(f"{what} {twice[0]} is given twice")
        if taken := [path for path in self._mounts() if path in TAKEN_PATHS]:
            raise ValueError(f"{taken[0]} has a volume already, of Kubeflow or for shared_memory; mount elsewhere")
        # Kubeflow names a pod's volume after the object
        mounted = [*self.volumes, *(name for name, taken in self._objects() if taken.mount)]
        if clash := [name for name, times in Counter([*mounted, *OWN_VOLUMES]).items() if times > 1]:
            raise ValueError(
                f"two volumes would be named {clash[0]}; a pod's volumes need different names, rename the object"
            )
        if dotted := [name for name in mounted if "." in name or len(name) > 63]:
            raise ValueError(
                f"{dotted[0]} cannot be mounted: its name has a dot or over 63 characters, as no volume may"
            )
        return self

    def _objects(self) -> list[tuple[str, FromObject]]:
        return [*self.secrets.items(), *self.config_maps.items()]

    def _variables(self) -> list[str]:
        return [*self.env, *(variable for _, taken in self._objects() for variable in taken.env)]

    def _mounts(self) -> list[str]:
        scratch = [self.scratch.mount] if self.scratch else []
        paths = [*self.volumes.values(), *(taken.mount for _, taken in self._objects() if taken.mount), *scratch]
        return [path.rstrip("/") for path in paths]


TAKEN_PATHS = ("/dev/shm", "/gcs", "/s3", "/minio", "/kfp-launcher", "/.local", "/.cache", "/.config")  # noqa: S108
"""Where a step has volumes anyway."""

OWN_VOLUMES = ("scratch", "shared-memory")
"""Names of the volumes that Sluice adds."""

ELSEWHERE = {
    "service_account": "Kubeflow has one for all steps of a run; give --service-account when you start or schedule it",
    "node_selector": "it belongs to a node pool; add a pool in a file of your own and name the file in resources.pools",
    "tolerations": "they belong to a node pool; add a pool in a file of your own and name the file in resources.pools",
    "image": "all steps run in one image; see `sluice image build`",
}
"""What a platform engineer may look for in this section, and where it is."""


def _refuse_elsewhere(written: Any) -> Any:
    for key in ELSEWHERE if isinstance(written, dict) else ():
        if key in written:
            raise ValueError(f"{key} is not set here: {ELSEWHERE[key]}")
    return written


class ResourcesConfig(Section):
    """What the steps ask of the cluster.

    A step has what `default` says, and its own key over it: single values replace, mappings are merged by their keys.
    A step that names another pool than `default` does not inherit what is measured for that pool (count, cpu, memory,
    their limits, shared_memory, queue, priority_class).

    Args:
        pools: a file of your own with node pools, relative to the spec.
        default: for every step.
    """

    pools: str | None = None
    default: StepConfig | None = None
    resolve: StepConfig | None = None
    example_gen: StepConfig | None = None
    cleaner: StepConfig | None = None
    statistics_gen: StepConfig | None = None
    schema_gen: StepConfig | None = None
    latest_blessed: StepConfig | None = None
    example_validator: StepConfig | None = None
    decider: StepConfig | None = None
    transform: StepConfig | None = None
    balancer: StepConfig | None = None
    tuner: StepConfig | None = None
    trainer: StepConfig | None = None
    evaluator: StepConfig | None = None
    pusher: StepConfig | None = None
    report: StepConfig | None = None
    notify: StepConfig | None = None

    @property
    def workers(self) -> int:
        """Pods, or processes on this machine, that train together."""
        return (self.trainer.workers if self.trainer else None) or 1

    @model_validator(mode="before")
    @classmethod
    def _not_elsewhere(cls, written: Any) -> Any:
        return _refuse_elsewhere(written)

    def written(self) -> dict[str, StepConfig]:
        """Return what the spec says, by key: `default` and the steps it names."""
        named = {key: getattr(self, key) for key in ("default", *STEPS)}
        return {key: config for key, config in named.items() if config is not None}
