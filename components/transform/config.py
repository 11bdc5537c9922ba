"""Section `transform`: a chain of steps per model input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, ConfigDict, RootModel, SerializeAsAny

from components import catalog
from components.features import LABEL, WEIGHT, FeatureKind, ModelInput, out_of_fold_name
from components.transform.step import Kind, SourceStep, TransformStep, source_of

STEPS = "components.transform.steps"
KINDS: dict[FeatureKind, Kind] = {
    FeatureKind.NUMERIC: "number",
    FeatureKind.CATEGORICAL: "text",
    FeatureKind.IMAGE: "encoded",
    FeatureKind.TEXT: "text",
}
"""What a chain starts with; whole numbers in a categorical column become text too."""

DEFAULT_CHAINS: dict[FeatureKind, tuple[Any, ...]] = {
    FeatureKind.NUMERIC: ({"fill_missing": "median"}, "z_score"),
    FeatureKind.CATEGORICAL: ({"fill_missing": "mode"}, {"vocabulary": {"top_k": 1000, "oov_buckets": 10}}),
    FeatureKind.IMAGE: ({"decode_image": {"size": 64}}, "rescale"),
    FeatureKind.TEXT: ("normalize_text", "tokenize", {"tf_idf": {"top_k": 1000}}),
}
"""What a feature gets that `data.features` names and `transform` does not."""

_KIND_NAMES: dict[Kind, str] = {
    "number": "numbers",
    "text": "categories (text)",
    "tokens": "tokens (the words of a text)",
    "sequence": "a sequence of ids",
    "ids": "ids",
    "vector": "a vector",
    "encoded": "the bytes of image files",
    "image": "images",
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


class TransformConfig(RootModel[dict[str, Chain | None]]):
    """Name of the model input to its chain of steps.

    The name is a feature's, or a new one when the chain starts with a step that names its columns itself (`cross`).
    `FEATURE: null` makes no model input of a feature that only other chains read.

    Example:
        >>> TransformConfig.model_validate({"fare": ["z_score"]}).chains["fare"][0].plugin_name()
        'z_score'
    """

    model_config = ConfigDict(frozen=True)
    root: dict[str, Chain | None] = {}

    @property
    def chains(self) -> dict[str, Chain]:
        """The chains by name of model input."""
        return {name: chain for name, chain in self.root.items() if chain is not None}

    @property
    def no_inputs(self) -> tuple[str, ...]:
        """The features that are no model inputs themselves (`FEATURE: null`)."""
        return tuple(name for name, chain in self.root.items() if chain is None)

    def with_defaults(self, features: Mapping[str, FeatureKind]) -> TransformConfig:
        """Return the config in which every feature has a chain, or none on purpose."""
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
        reserved |= {out_of_fold_name(name) for name, chain in self.chains.items() if _learns_from_label(chain)}
        found = []
        for name, chain in self.chains.items():
            if name in reserved:
                expected = f"another name than {', '.join(sorted(reserved))}"
                found.append(ChainProblem(("transform", name), f"a chain named {name!r}", expected, "Rename it."))
            if _is_known(name, chain, features):
                found.extend(_problems_of(name, chain, features))
        return found

    def expected_inputs(self, features: Mapping[str, FeatureKind]) -> list[ModelInput]:
        """Return what a model will about receive, as far as it is known before the data are seen.

        Sizes that only the data tell are guessed: a few ids, vectors a few numbers wide.

        Args:
            features: what the raw features mean; the chains have no problems. Those of undeclared features are left
                out.
        """
        known = {name: chain for name, chain in self.chains.items() if _is_known(name, chain, features)}
        return [_expected(name, chain, features) for name, chain in known.items()]


GUESSED_SIZE = 8


def _origin(name: str, chain: Chain) -> str:
    """Return the feature that a chain starts with; the chain's own name where a step makes its first column."""
    source = source_of(chain)
    return source.source_columns()[0] if source and not source.makes else name


def _is_known(name: str, chain: Chain, features: Mapping[str, FeatureKind]) -> bool:
    """Return whether it can be told which kind of column a chain starts with."""
    source = source_of(chain)
    return bool(source and source.makes) or _origin(name, chain) in features


def _first_kind(name: str, chain: Chain, features: Mapping[str, FeatureKind]) -> Kind:
    """Return the kind of column that a chain, one that is known, starts with."""
    source = source_of(chain)
    made = source.gives("text") if source and source.makes else None
    return made or KINDS[FeatureKind(features[_origin(name, chain)])]


def _expected(name: str, chain: Chain, features: Mapping[str, FeatureKind]) -> ModelInput:
    source, kind = source_of(chain), _first_kind(name, chain, features)
    shape = None
    for step in chain[1:] if source else chain:
        kind, shape = step.gives(kind), step.gives_shape(shape)
    if kind in ("ids", "sequence"):
        return ModelInput(name, "int64", shape or (1,), GUESSED_SIZE)
    if shape is not None:
        return ModelInput(name, "float32", shape)
    return ModelInput(name, "float32", (GUESSED_SIZE if kind == "vector" else 1,))


def _problems_of(name: str, chain: Chain, features: Mapping[str, FeatureKind]) -> Iterator[ChainProblem]:
    """Follow the kind of the column from step to step, up to the first thing that is wrong."""
    source = source_of(chain)
    if source and (wrong := list(_wrong_sources(name, source, features))):
        yield from wrong
        return
    kind = _first_kind(name, chain, features)
    complete, shape = False, None
    for index, step in enumerate(chain[1:] if source else chain, start=1 if source else 0):
        if wrong := list(_wrong_step(name, chain, index, kind, features)):
            yield from wrong
            return
        at, received = ("transform", name, index), f"{step.plugin_name()} {_parameters(step)}"
        try:
            shape = step.gives_shape(shape)
        except ValueError as error:
            remedy = "Change its parameters or the step before it, or remove it."
            yield ChainProblem(at, received, str(error), remedy)
            return
        if step.completes and complete:
            expected = "nothing, since no value is missing any more"
            yield ChainProblem(at, f"{step.plugin_name()} a second time", expected, "Remove it.")
            return
        complete = step.completes or (complete and not step.makes_missing)
        kind = step.gives(kind)
    yield from _wrong_end(name, kind, features.get(_origin(name, chain)))


def _wrong_step(
    name: str, chain: Chain, index: int, kind: Kind, features: Mapping[str, FeatureKind]
) -> Iterator[ChainProblem]:
    """Find why a step cannot stand where it does, on a column of its kind."""
    at, step = ("transform", name, index), chain[index]
    if step.source_columns():
        expected = f"{step.plugin_name()} as the first step of a chain"
        remedy = f"Give it a chain of its own: transform: NAME: [{step.plugin_name()}: …, hash: 1000]."
        yield ChainProblem(at, f"{step.plugin_name()} as step {index + 1}", expected, remedy)
    elif kind not in step.accepts:
        received = f"{step.plugin_name()} on {_KIND_NAMES[kind]}"
        yield ChainProblem(at, received, _takers(kind), _remedy(_origin(name, chain), step, kind))
    elif wrong := list(_wrong_reads(at, _origin(name, chain), step, features)):
        yield from wrong
    elif refusal := step.refuses(kind):
        yield ChainProblem(at, f"{step.plugin_name()} {_parameters(step)}", *refusal)
    elif step.ends_chain and index + 1 < len(chain):
        expected = f"{step.plugin_name()} as the last step of its chain"
        remedy = "Remove the steps after it; what they learn would differ between training and serving."
        yield ChainProblem(("transform", name, index + 1), chain[index + 1].plugin_name(), expected, remedy)


def _wrong_end(name: str, kind: Kind, origin: FeatureKind | None) -> Iterator[ChainProblem]:
    """Find why a model cannot take what the last step makes; `origin` is what the first column means."""
    if kind == "text":
        expected = "a last step that makes numbers or ids of it: vocabulary, hash or one_hot"
        remedy = "Add vocabulary: 1000 to it."
        if origin == FeatureKind.TEXT:
            expected, remedy = "steps that make numbers or ids of it", "Add tokenize, tf_idf: 1000 to it."
        yield ChainProblem(("transform", name), "a chain that ends in text", expected, remedy)
    if kind == "tokens":
        expected = "a last step that makes numbers or ids of them: tf_idf, bag_of_words or token_ids"
        yield ChainProblem(("transform", name), "a chain that ends in tokens", expected, "Add tf_idf: 1000 to it.")
    if kind == "encoded":
        expected, remedy = "decode_image as its first step", "Add decode_image: 64, rescale to it."
        yield ChainProblem(("transform", name), "a chain without a step", expected, remedy)


def _wrong_sources(name: str, step: SourceStep, features: Mapping[str, FeatureKind]) -> Iterator[ChainProblem]:
    """Find the columns of a kind that the step cannot read; undeclared ones are somebody else's rule."""
    for column in step.source_columns():
        wanted = step.source_kinds(column)
        if column in features and KINDS[FeatureKind(features[column])] not in wanted:
            received = f"{step.plugin_name()} of {column!r}, which holds {_KIND_NAMES[KINDS[features[column]]]}"
            expected = f"a column of {' or '.join(_KIND_NAMES[kind] for kind in sorted(wanted))}"
            declared = " or ".join(kind.value for kind in FeatureKind if KINDS.get(kind) in wanted)
            remedy = f"If that is what it means, declare it: data.features.{column}: {declared}. Else name another."
            yield ChainProblem(("transform", name, 0), received, expected, remedy)


def _wrong_reads(
    at: tuple[str | int, ...], own: str, step: TransformStep, features: Mapping[str, FeatureKind]
) -> Iterator[ChainProblem]:
    """Find the columns that a step cannot read besides its own; undeclared ones are somebody else's rule."""
    for column in step.read_columns():
        if column == own:
            expected = "the names of other features than its own"
            yield ChainProblem(at, f"{step.plugin_name()} that reads {column!r}", expected, "Remove the name there.")
        elif column in features and KINDS[FeatureKind(features[column])] not in step.read_kinds:
            kind = KINDS[FeatureKind(features[column])]
            received = f"{step.plugin_name()} that reads {column!r}, which holds {_KIND_NAMES[kind]}"
            expected = f"a column of {' or '.join(_KIND_NAMES[each] for each in sorted(step.read_kinds))}"
            declared = " or ".join(each.value for each in FeatureKind if KINDS.get(each) in step.read_kinds)
            remedy = f"If that is what it means, declare it: data.features.{column}: {declared}. Else name another."
            yield ChainProblem(at, received, expected, remedy)


def _learns_from_label(chain: Chain) -> bool:
    return any(step.reads_label for step in chain)


def _parameters(step: TransformStep) -> str:
    ((_, parameters),) = step.model_dump(mode="json", exclude_none=True).items()
    return ", ".join(f"{key}: {value}" for key, value in parameters.items()) or "without parameters"


def _takers(kind: Kind) -> str:
    names = [name for name in catalog.names(STEPS) if kind in catalog.load(STEPS, name, TransformStep).accepts]
    return f"a step for {_KIND_NAMES[kind]}: {', '.join(names)}" if names else f"nothing after {_KIND_NAMES[kind]}"


def _remedy(name: str, step: TransformStep, kind: Kind) -> str:
    """Say what to do about a step that does not take this kind of column."""
    if kind == "text" and "tokens" in step.accepts:
        return f"Put tokenize before {step.plugin_name()}."
    if kind == "text":
        return f"If {name!r} holds numbers, declare it: data.features.{name}: numeric. Else choose one of these steps."
    if kind == "encoded":
        return "Begin the chain with decode_image, which makes pixels of them."
    if kind == "number":
        return (
            f"If its numbers name categories, declare it: data.features.{name}: categorical. Else bucketize it first."
        )
    if kind == "ids" and step.completes:
        return "Put it before the step that makes ids; without it, missing values get an id of their own."
    return f"Put {step.plugin_name()} before the step that makes {_KIND_NAMES[kind]}, or leave it out."
