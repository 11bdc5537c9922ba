"""Section `transform`: a chain of steps per model input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, ConfigDict, RootModel, SerializeAsAny

from components import catalog
from components.features import LABEL, WEIGHT, FeatureKind, ModelInput
from components.transform.step import Kind, TransformStep

STEPS = "components.transform.steps"
KINDS: dict[FeatureKind, Kind] = {FeatureKind.NUMERIC: "number", FeatureKind.CATEGORICAL: "text"}
"""What a chain starts with; whole numbers in a categorical column become text too."""

DEFAULT_CHAINS: dict[FeatureKind, tuple[Any, ...]] = {
    FeatureKind.NUMERIC: ({"fill_missing": "median"}, "z_score"),
    FeatureKind.CATEGORICAL: ({"fill_missing": "mode"}, {"vocabulary": {"top_k": 1000, "oov_buckets": 10}}),
}
"""What a feature gets that `data.features` names and `transform` does not."""

_KIND_NAMES: dict[Kind, str] = {
    "number": "numbers",
    "text": "categories (text)",
    "ids": "ids",
    "vector": "a vector of zeros and ones",
}


class ChainProblem(NamedTuple):
    """One thing that is wrong in a chain; the parts of `components.errors.Problem`."""

    location: tuple[str | int, ...]
    received: str
    expected: str
    remedy: str


def _parse(written: Any) -> TransformStep:
    return catalog.parse(STEPS, written, TransformStep)


Chain = tuple[Annotated[SerializeAsAny[TransformStep], BeforeValidator(_parse)], ...]


class TransformConfig(RootModel[dict[str, Chain]]):
    """Name of the model input to its chain of steps.

    The name is a feature's, or a new one when the chain starts with a step that names its columns itself (`cross`).

    Example:
        >>> TransformConfig.model_validate({"fare": ["z_score"]}).chains["fare"][0].plugin_name()
        'z_score'
    """

    model_config = ConfigDict(frozen=True)
    root: dict[str, Chain] = {}

    @property
    def chains(self) -> dict[str, Chain]:
        """The chains by name of model input."""
        return self.root

    def with_defaults(self, features: Mapping[str, FeatureKind]) -> TransformConfig:
        """Return the config in which every feature has a chain."""
        missing = {name: DEFAULT_CHAINS[kind] for name, kind in features.items() if name not in self.root}
        return TransformConfig.model_validate({**missing, **self.root})

    def problems(self, features: Mapping[str, FeatureKind], weight: str | None = None) -> list[ChainProblem]:
        """Return what is wrong with the chains, without looking at data.

        Args:
            features: what the raw features mean. Chains of undeclared features are somebody else's rule.
            weight: the column of example weights, if there is one.

        Example:
            >>> config = TransformConfig.model_validate({"company": ["z_score"]})
            >>> config.problems({"company": FeatureKind.CATEGORICAL})[0].received
            'z_score on categories (text)'
        """
        reserved = {LABEL} | ({WEIGHT} if weight else set())
        found = []
        for name, chain in self.root.items():
            if name in reserved:
                expected = f"another name than {', '.join(sorted(reserved))}"
                found.append(ChainProblem(("transform", name), f"a chain named {name!r}", expected, "Rename it."))
            if name in features or (chain and chain[0].source_columns()):
                found.extend(_problems_of(name, chain, features))
        return found

    def expected_inputs(self, features: Mapping[str, FeatureKind]) -> list[ModelInput]:
        """Return what a model will about receive, as far as it is known before the data are seen.

        Sizes that only the data tell are guessed: a few ids, vectors a few numbers wide.

        Args:
            features: what the raw features mean; the chains have no problems.
        """
        return [_expected(name, chain, features) for name, chain in self.root.items()]


GUESSED_SIZE = 8


def _expected(name: str, chain: Chain, features: Mapping[str, FeatureKind]) -> ModelInput:
    is_source = bool(chain) and bool(chain[0].source_columns())
    kind = chain[0].gives("text") if is_source else KINDS[FeatureKind(features[name])]
    for step in chain[int(is_source) :]:
        kind = step.gives(kind)
    if kind == "ids":
        return ModelInput(name, "int64", (1,), GUESSED_SIZE)
    return ModelInput(name, "float32", (GUESSED_SIZE if kind == "vector" else 1,))


def _problems_of(name: str, chain: Chain, features: Mapping[str, FeatureKind]) -> Iterator[ChainProblem]:
    """Follow the kind of the column from step to step, up to the first thing that is wrong."""
    is_source = bool(chain) and bool(chain[0].source_columns())
    kind = chain[0].gives("text") if is_source else KINDS[FeatureKind(features[name])]
    complete = False
    for index, step in enumerate(chain[1:] if is_source else chain, start=int(is_source)):
        at = ("transform", name, index)
        if step.source_columns():
            expected = f"{step.plugin_name()} as the first step of a chain"
            remedy = f"Give it a chain of its own: transform: NAME: [{step.plugin_name()}: …, hash: 1000]."
            yield ChainProblem(at, f"{step.plugin_name()} as step {index + 1}", expected, remedy)
            return
        if kind not in step.accepts:
            received = f"{step.plugin_name()} on {_KIND_NAMES[kind]}"
            yield ChainProblem(at, received, _takers(kind), _remedy(name, step, kind))
            return
        if refusal := step.refuses(kind):
            yield ChainProblem(at, f"{step.plugin_name()} {_parameters(step)}", *refusal)
            return
        if step.completes and complete:
            expected = "nothing, since no value is missing any more"
            yield ChainProblem(at, f"{step.plugin_name()} a second time", expected, "Remove it.")
            return
        complete = complete or step.completes
        kind = step.gives(kind)
    if kind == "text":
        expected = "a last step that makes numbers or ids of it: vocabulary, hash or one_hot"
        yield ChainProblem(("transform", name), "a chain that ends in text", expected, "Add vocabulary: 1000 to it.")


def _parameters(step: TransformStep) -> str:
    ((_, parameters),) = step.model_dump(mode="json", exclude_none=True).items()
    return ", ".join(f"{key}: {value}" for key, value in parameters.items()) or "without parameters"


def _takers(kind: Kind) -> str:
    names = [name for name in catalog.names(STEPS) if kind in catalog.load(STEPS, name, TransformStep).accepts]
    return f"a step for {_KIND_NAMES[kind]}: {', '.join(names)}" if names else f"nothing after {_KIND_NAMES[kind]}"


def _remedy(name: str, step: TransformStep, kind: Kind) -> str:
    """Say what to do about a step that does not take this kind of column."""
    if kind == "text":
        return f"If {name!r} holds numbers, declare it: data.features.{name}: numeric. Else choose one of these steps."
    if kind == "number":
        return (
            f"If its numbers name categories, declare it: data.features.{name}: categorical. Else bucketize it first."
        )
    if kind == "ids" and step.completes:
        return "Put it before the step that makes ids; without it, missing values get an id of their own."
    return f"Put {step.plugin_name()} before the step that makes {_KIND_NAMES[kind]}, or leave it out."
