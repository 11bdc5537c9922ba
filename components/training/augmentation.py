"""From the Trainer's config to the function that changes training batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from components.augmentation.augmenter import Augmenter
from components.augmentation.config import AugmentationConfig
from components.augmentation.step import Facts
from components.engine.progress import report
from components.errors import ComponentError
from components.features import ModelInput, Task
from components.training.config import TrainingConfig
from components.training.job import Job

if TYPE_CHECKING:
    from components.training.input_fn import Split

CHECKED_ROWS = 256
"""Rows of the train split whose values are looked at before the training begins."""

PREPARED_ROWS = 4096
"""Rows that a step is given at a time when it looks at the whole train split."""


def augmenter_of(job: Job, inputs: Sequence[ModelInput], num_classes: int) -> Augmenter | None:
    """Return what training batches pass through, or None when the spec has no section `augmentation`.

    Raises:
        ComponentError: a step does not fit the model's inputs.
    """
    if "augmentation" not in job.config:
        return None
    facts = Facts(
        tuple(inputs),
        cast(Task, job.config["task"]),
        num_classes,
        lambda name: words_of(job.transform_graph, next(each for each in inputs if each.name == name)),
        job.config.get("augmentation_files") or {},
        job.runtime.get("base_dir"),
    )
    seed = TrainingConfig.model_validate(job.config["training"]).seed
    return Augmenter(AugmentationConfig.model_validate(job.config["augmentation"]), facts, seed)


def words_of(transform_graph: str, sequence: ModelInput) -> list[str | None]:
    """Return the word of each id of a sequence, None for padding and for ids that several words share.

    Raises:
        ComponentError: the chain keeps no list of its words.
    """
    import tensorflow_transform as tft

    output = tft.TFTransformOutput(transform_graph)
    if output.vocabulary_file_by_name(sequence.name) is None:
        raise ComponentError(
            f"The chain of {sequence.name!r} keeps no list of its words, so that other words have no ids.",
            spec_path=f"transform.{sequence.name}",
            remedy="End it with token_ids, or leave the thesaurus or the translator out.",
        )
    words = [word.decode("utf-8", "replace") for word in output.vocabulary_by_name(sequence.name)]
    shared = max(0, (sequence.cardinality or 0) - 1 - len(words))
    return [None, *words, *[None] * shared]


def prepare_augmentation(train: Split, runtime: Mapping[str, Any]) -> None:
    """Let steps look at the train split, once, before the first batch.

    Raises:
        ComponentError: says which step, and what it could not do.
    """
    from components.training.input_fn import evaluation_dataset

    if train.augment is None:
        return

    def rows() -> Iterator[dict[str, Any]]:
        for features, *_ in evaluation_dataset(train, PREPARED_ROWS):
            yield {name: values.numpy() for name, values in features.items()}

    train.augment.prepare(
        rows, lambda done, total: report(runtime, "Trainer", "preparing augmentation", done=done, total=total)
    )


def check_augmentation(train: Split) -> None:
    """Refuse values that a step cannot work on, such as images that leave `value_range`, and try all steps once.

    Raises:
        ComponentError: says which step and which input.
    """
    from components.training.input_fn import evaluation_dataset

    if train.augment is None:
        return
    batch = next(iter(evaluation_dataset(train, CHECKED_ROWS)))
    train.augment.check({name: values.numpy() for name, values in batch[0].items()})
    train.augment(batch, 0, 0)
