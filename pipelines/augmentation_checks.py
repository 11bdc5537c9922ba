"""What `augmentation` may not ask for: inputs that are not there, files that cannot be read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.augmentation.model_folders import MODEL_FILE
from components.augmentation.step import AugmentationStep
from components.errors import Problem

if TYPE_CHECKING:
    from components.features import ModelInput
    from components.transform.step import TransformStep
    from pipelines.spec import LoadedSpec

MAX_FILE_BYTES = 512 * 1024
"""Size of a file that travels with the pipeline to where it is trained."""

Found = tuple[tuple[str | int, ...], str, str, str]
"""Where in the spec, what was received, what was expected, what to do."""


def augmentation_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Each step names inputs of a kind that it takes, and files that are there."""
    spec = loaded.spec
    wrong_chains = bool(spec.transform.problems(spec.data.features, spec.data.weight))
    inputs = [] if wrong_chains else spec.transform.expected_inputs(spec.data.features)
    for at, step in enumerate(spec.augmentation.steps):
        place = ("augmentation", at)
        found = (
            *_files(loaded, place, step),
            *_folders(loaded, place, step),
            *_inputs(loaded, place, step, inputs),
            *_order(loaded, at, step, inputs),
        )
        for where, received, expected, remedy in found:
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
                refusal = step.check_file(file, path.read_text(encoding="utf-8"))
            except UnicodeDecodeError as error:
                yield place, f"{file!r} ({error.reason})", "UTF-8 text", "Save it so."
            else:
                if refusal:
                    yield (place, *refusal)


def _folders(loaded: LoadedSpec, place: tuple[str | int, ...], step: AugmentationStep) -> Iterator[Found]:
    for folder in step.folders():
        if not (loaded.base_dir / folder / MODEL_FILE).is_file():
            received = f"{folder!r}, where there is no {MODEL_FILE}"
            yield place, received, f"a folder with a translation model, relative to {loaded.base_dir}", "Check it."


def folders_in_containers(loaded: LoadedSpec, mounts: Collection[str]) -> Iterator[Problem]:
    """The container of the Trainer has the models of a step only on a volume.

    Args:
        loaded: the spec.
        mounts: where that container has its volumes.
    """
    for at, step in enumerate(loaded.spec.augmentation.steps):
        for folder in step.folders():
            if not any(Path(folder).is_relative_to(mount) for mount in mounts):
                received = f"{folder!r}, which the Trainer's container does not have"
                known = ", ".join(mounts) or "there is none yet"
                expected = f"a folder in a volume of resources.trainer ({known})"
                remedy = "Put the models on a volume, mount it at the same path here and there, and name that path."
                line = loaded.source.line(("augmentation", at))
                yield Problem(f"augmentation.{at}", received, expected, remedy, loaded.source.file, line)


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


def _order(loaded: LoadedSpec, at: int, step: AugmentationStep, inputs: list[ModelInput]) -> Iterator[Found]:
    """A step that knows whole values of the train split must get them as they are there."""
    if not step.knows_values:
        return
    chosen = {each.name for each in step.chosen(inputs)}
    for number, earlier in enumerate(loaded.spec.augmentation.steps[:at]):
        changed = sorted(chosen & {each.name for each in earlier.chosen(inputs)})
        if changed:
            name, before = step.plugin_name(), earlier.plugin_name()
            received = f"{name} behind {before}, which changes {', '.join(map(repr, changed))}"
            expected = f"{name} before the steps that change the same input, since it knows values as they were"
            yield ("augmentation", at), received, expected, f"Move it up, to place {number + 1} of the list."
            return


def _has_an_id_for_nothing(chain: tuple[TransformStep, ...]) -> bool:
    return not any(step.completes for step in chain) or any(step.plugin_name() == "vocabulary" for step in chain)
