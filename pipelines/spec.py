"""PipelineSpec: the whole declaration of a pipeline, frozen and validated, with no heavy import."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from components import catalog
from components.augmentation.config import AugmentationConfig
from components.balancing.config import BalancingConfig
from components.cleaning.config import CleaningConfig
from components.config import Section
from components.data.config import DataConfig
from components.engine.config import EngineConfig
from components.ensemble.config import EnsembleConfig
from components.errors import Problem, SpecError
from components.evaluation.config import METRICS, EvaluationConfig
from components.features import Task
from components.model.config import ModelConfig
from components.model.custom import check_source
from components.retraining.config import RetrainingConfig
from components.serving.config import ServingConfig
from components.training.config import TrainingConfig
from components.transform.config import TransformConfig
from components.tuning.config import TuningConfig
from pipelines.augmentation_checks import augmentation_problems
from pipelines.balancing_checks import balancing_problems
from pipelines.ensemble_checks import ensemble_problems
from pipelines.metadata_store import MetadataConfig
from pipelines.model_checks import model_problems
from pipelines.notify import NotifyConfig
from pipelines.resources.checks import resource_problems
from pipelines.resources.config import ResourcesConfig
from pipelines.schedule.config import ScheduleConfig
from pipelines.spec_errors import problems_of
from pipelines.training_checks import training_problems
from pipelines.transform_checks import transform_problems
from pipelines.tuning_checks import tuning_problems
from pipelines.yaml_source import YamlSource, read_yaml

SPECS_FOLDER = Path(__file__).parent / "specs"


class PipelineSpec(Section):
    """One section per key; see each section's `config.py`.

    Args:
        name: of the pipeline and of the served model.
        task: what kind of prediction it is.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    task: Task
    data: DataConfig
    cleaning: CleaningConfig = CleaningConfig()
    transform: TransformConfig = TransformConfig()
    balancing: BalancingConfig | None = None
    augmentation: AugmentationConfig = AugmentationConfig()
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    tuning: TuningConfig | None = None
    ensemble: EnsembleConfig | None = None
    evaluation: EvaluationConfig = EvaluationConfig()
    serving: ServingConfig = ServingConfig()
    engine: EngineConfig = EngineConfig()
    resources: ResourcesConfig = ResourcesConfig()
    notify: NotifyConfig | None = None
    schedule: ScheduleConfig | None = None
    retraining: RetrainingConfig | None = None
    metadata: MetadataConfig = MetadataConfig()

    @model_validator(mode="after")
    def _default_chains(self) -> PipelineSpec:
        # object.__setattr__: the model is frozen for everybody else
        object.__setattr__(self, "transform", self.transform.with_defaults(self.data.features))
        return self


@dataclass(frozen=True)
class LoadedSpec:
    """A spec, with the file and the overrides it came from.

    Args:
        spec: the validated declaration.
        path: the YAML file.
        source: its text, lines and overrides.
    """

    spec: PipelineSpec
    path: Path
    source: YamlSource

    @property
    def base_dir(self) -> Path:
        """The folder that relative paths of the spec start from."""
        return self.path.resolve().parent

    @property
    def overrides(self) -> dict[str, str]:
        """Dotted path to the text given on the command line."""
        return dict(self.source.overrides)

    def model_source(self) -> str | None:
        """Return the text of the user's own model file, or None when a family is used."""
        custom = self.spec.model.custom
        return self._text(custom.module if custom else None)

    def callbacks_source(self) -> str | None:
        """Return the text of the user's own callbacks, or None when there are none."""
        callbacks = self.spec.training.callbacks
        return self._text(callbacks.module if callbacks else None)

    def loop_source(self) -> str | None:
        """Return the text of the user's own training step, or None when there is none."""
        loop = self.spec.training.loop
        return self._text(loop.module if loop else None)

    def schema_source(self) -> str | None:
        """Return the text of the curated schema, or None when it is inferred."""
        return self._text(self.spec.data.schema_file)

    def augmentation_files(self) -> dict[str, str]:
        """Return path, as written in the spec, to text of the files that augmentation reads."""
        files = self.spec.augmentation.files
        return {file: (self.base_dir / file).read_text(encoding="utf-8") for file in files}

    def _text(self, file: str | None) -> str | None:
        return None if file is None else (self.base_dir / file).read_text(encoding="utf-8")

    def where(self, dotted: str) -> str:
        """Return `file:line` of a dotted path, for messages."""
        location = tuple(int(part) if part.isdigit() else part for part in dotted.split("."))
        line = self.source.line(location)
        return f"{self.source.file}:{line}" if line else self.source.file


def find_spec(name_or_path: str) -> Path:
    """Return the file of a spec: a path, or the name of one that ships with Sluice.

    Raises:
        SpecError: there is none.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return path
    if path.is_dir() and (path / "pipeline.yaml").is_file():
        return path / "pipeline.yaml"
    shipped = SPECS_FOLDER / f"{name_or_path}.yaml"
    if shipped.is_file():
        return shipped
    known = sorted(file.stem for file in SPECS_FOLDER.glob("*.yaml"))
    guess = catalog.nearest(name_or_path, known)
    remedy = f"Did you mean {guess!r}?" if guess else "Give the path of a .yaml file, or start one with `sluice init`."
    raise SpecError([Problem("spec", repr(name_or_path), f"a .yaml file or one of {', '.join(known)}", remedy)])


def load_spec(name_or_path: str | Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """Read, override and validate a spec.

    Args:
        name_or_path: a YAML file, a folder with a `pipeline.yaml`, or the name of a spec that ships with Sluice.
        overrides: `training.epochs=3` and the like; values are YAML.

    Raises:
        SpecError: with every problem of the spec, each with file and line.

    Example:
        >>> load_spec("taxi", ["training.epochs=3"]).spec.training.epochs
        3
    """
    path = find_spec(str(name_or_path))
    source = read_yaml(path)
    source.override(list(overrides))
    try:
        spec = PipelineSpec.model_validate(source.content)
    except ValidationError as error:
        raise SpecError(problems_of(error, PipelineSpec, source)) from error
    loaded = LoadedSpec(spec, path, source)
    problems = [problem for rule in RULES for problem in rule(loaded)]
    if problems:
        raise SpecError(problems)
    return loaded


def _problem(loaded: LoadedSpec, location: tuple[str | int, ...], received: str, expected: str, remedy: str) -> Problem:
    dotted = ".".join(map(str, location))
    return Problem(dotted, received, expected, remedy, loaded.source.file, loaded.source.line(location))


def _label_is_no_feature(loaded: LoadedSpec) -> Iterator[Problem]:
    """A feature that is the label tells the model the answer."""
    data = loaded.spec.data
    if len(data.label.columns) == 1 and data.label.columns[0] in data.features:
        column = data.label.columns[0]
        yield _problem(
            loaded,
            ("data", "features", column),
            f"the label's column {column!r}",
            "features that are known when a prediction is asked for",
            "Remove it from data.features.",
        )


def _gate_metrics_fit_the_task(loaded: LoadedSpec) -> Iterator[Problem]:
    """A rule must name a metric that the task has, and intervals need resamples."""
    spec = loaded.spec
    known = METRICS[spec.task]
    for index, rule in enumerate(spec.evaluation.gate):
        at = ("evaluation", "gate", index)
        if rule.metric not in known:
            guess = catalog.nearest(rule.metric, list(known))
            remedy = f"Did you mean {guess!r}?" if guess else "Name one of these metrics."
            yield _problem(loaded, at, f"metric {rule.metric!r}", f"one of {', '.join(known)} for {spec.task}", remedy)
        if rule.confidence is not None and spec.evaluation.bootstrap_samples < 20:
            yield _problem(
                loaded,
                at,
                f"confidence: {rule.confidence} with {spec.evaluation.bootstrap_samples} resamples",
                "at least 20 resamples",
                "Set evaluation.bootstrap_samples to 200, or drop confidence.",
            )


def _files_exist(loaded: LoadedSpec) -> Iterator[Problem]:
    """Files that the spec names beside the raw data are there."""
    custom = loaded.spec.model.custom
    named: list[tuple[tuple[str, ...], str | None]] = [
        (("model", "module"), custom.module if custom else None),
        (("data", "schema_file"), loaded.spec.data.schema_file),
        (("resources", "pools"), loaded.spec.resources.pools),
    ]
    for location, file in named:
        if file is not None and not (loaded.base_dir / file).is_file():
            yield _problem(
                loaded, location, f"{file!r}, which is not there", f"a file, relative to {loaded.base_dir}", "Check it."
            )


def _model_module_is_usable(loaded: LoadedSpec) -> Iterator[Problem]:
    """The user's model file is Python and defines the builder that the spec names."""
    custom = loaded.spec.model.custom
    if custom is not None and (loaded.base_dir / custom.module).is_file():
        try:
            text = (loaded.base_dir / custom.module).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            yield _problem(
                loaded, ("model", "module"), f"{custom.module!r} ({error.reason})", "UTF-8 text", "Save it so."
            )
        else:
            yield from check_source(text, custom.builder, custom.parameters, custom.module)


RULES: tuple[Callable[[LoadedSpec], Iterator[Problem]], ...] = (
    _label_is_no_feature,
    transform_problems,
    _gate_metrics_fit_the_task,
    _files_exist,
    _model_module_is_usable,
    model_problems,
    balancing_problems,
    augmentation_problems,
    training_problems,
    ensemble_problems,
    resource_problems,
    tuning_problems,
)
"""What must hold across sections; each rule yields what is wrong."""
