"""What `augmentation` may not ask for: inputs that are not there, files that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.augmentation.step import AugmentationStep
from components.augmentation.thesaurus import parsed
from components.errors import Problem

if TYPE_CHECKING:
    from components.features import ModelInput
    from components.transform.step import TransformStep
    from pipelines.spec import LoadedSpec

MAX_FILE_BYTES = 512 * 1024
"""Size of a thesaurus that travels with the pipeline to where it is trained."""

Found = tuple[tuple[str | int, ...], str, str, str]
"""Where in the spec, what was received, what was expected, what to do."""


def augmentation_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Each step names inputs of a kind that it takes, and files that are there."""
    spec = loaded.spec
    wrong_chains = bool(spec.transform.problems(spec.data.features, spec.data.weight))
    inputs = [] if wrong_chains else spec.transform.expected_inputs(spec.data.features)
    for at, step in enumerate(spec.augmentation.steps):
        place = ("augmentation", at)
        for where, received, expected, remedy in (*_files(loaded, place, step), *_inputs(loaded, place, step, inputs)):
            dotted = ".".join(map(str, where))
            yield Problem(dotted, received, expected, remedy, loaded.source.file, loaded.source.line(where))


def _files(loaded: LoadedSpec, place: tuple[str | int, ...], step: AugmentationStep) -> Iterator[Found]:
    for file in step.files():
        path = loaded.base_dir / file
        if not path.is_file():
            yield place, f"{file!r}, which is not there", f"a file, relative to {loaded.base_dir}", "Check it."
        elif path.stat().st_size > MAX_FILE_BYTES:
            received = f"{file!r} of {path.stat().st_size // 1024} KiB"
            yield place, received, f"at most {MAX_FILE_BYTES // 1024} KiB", "Keep the words that the texts hold."
        else:
            try:
                parsed(path.read_text(encoding="utf-8"))
            except UnicodeDecodeError as error:
                yield place, f"{file!r} ({error.reason})", "UTF-8 text", "Save it so."
            except ValueError as error:
                received, _, expected = str(error).partition("; expected ")
                yield place, f"{file!r}, whose {received}", expected, "Correct that line."


def _inputs(
    loaded: LoadedSpec, place: tuple[str | int, ...], step: AugmentationStep, inputs: list[ModelInput]
) -> Iterator[Found]:
    if not inputs:
        return  # that a chain is wrong is another rule
    if refusal := step.refuses(inputs):
        yield (place, *refusal)
    elif step.hides:
        chains = loaded.spec.transform.chains
        chosen = [each for each in step.chosen(inputs) if each.is_ids]
        full = [each.name for each in chosen if not _has_an_id_for_nothing(chains[each.name])]
        if full:
            others = [each.name for each in step.chosen(inputs) if each.name not in full]
            received = f"{step.plugin_name()} on {', '.join(map(repr, full))}, where no id stands for a missing value"
            expected = "chains without fill_missing, or with a vocabulary, whose last id is that of unknown words"
            remedy = f"Write inputs: [{', '.join(others)}]." if others else "Remove the step."
            yield place, received, expected, remedy


def _has_an_id_for_nothing(chain: tuple[TransformStep, ...]) -> bool:
    return not any(step.completes for step in chain) or any(step.plugin_name() == "vocabulary" for step in chain)
