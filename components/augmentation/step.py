"""What an augmentation step is: a training batch and random numbers in, a batch of the same shapes out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from components.config import Plugin
from components.features import ModelInput, Task

if TYPE_CHECKING:
    import numpy as np

    from components.augmentation.draws import Draws

Kind = Literal["number", "ids", "vector", "sequence", "image"]
"""What a model input holds:

- `number`: float32 `[batch, 1]`;
- `ids`: int64 `[batch, 1]`, one category per row;
- `vector`: float32 `[batch, width]` or `[batch, steps, features]`, a series for instance;
- `sequence`: int64 `[batch, length]`, the ids of a text's words, 0 where it has ended;
- `image`: float32 `[batch, height, width, channels]`.
"""

KIND_NAMES: dict[Kind, str] = {
    "number": "numbers",
    "ids": "ids of categories",
    "vector": "vectors or series",
    "sequence": "ids of words",
    "image": "images",
}

Refusal = tuple[str, str, str]
"""What was received, what was expected, what to do."""


def kind_of(model_input: ModelInput) -> Kind:
    """Return what a model input holds.

    Example:
        >>> kind_of(ModelInput("picture", "float32", (28, 28, 1))), kind_of(ModelInput("fare", "float32"))
        ('image', 'number')
    """
    single = model_input.shape == (1,)
    if model_input.is_ids:
        return "ids" if single else "sequence"
    return "image" if len(model_input.shape) == 3 else "number" if single else "vector"


@dataclass(frozen=True)
class Batch:
    """One batch of training rows as tensors.

    Args:
        features: name of the model input to `[batch, *shape]`.
        label: `[batch, 1]`; `[batch, classes]` after a step that mixes the rows of a multiclass task.
        weight: `[batch]`, or None when all rows weigh the same.
    """

    features: dict[str, Any]
    label: Any
    weight: Any | None = None


@dataclass(frozen=True)
class Facts:
    """What a step may know besides the batch.

    Args:
        inputs: the model's inputs.
        task: decides how labels are mixed.
        num_classes: classes of the label.
        words: returns the word of each id of a sequence, None where the id stands for no single word.
        files: path as written in the spec to the content of the file.
        base_dir: folder of the spec, for imports of the user's files and for models.
        prepared: step to what its `prepare` returned.
    """

    inputs: tuple[ModelInput, ...]
    task: Task
    num_classes: int
    words: Callable[[str], Sequence[str | None]]
    files: Mapping[str, str] = field(default_factory=dict)
    base_dir: str | None = None
    prepared: Mapping[AugmentationStep, Any] = field(default_factory=dict)


class AugmentationStep(Plugin):
    """Changes the rows of a training batch at random; rows for evaluation and requests never pass through it.

    A step is a pure function of batch and random numbers, and those follow from `training.seed`, the epoch, the batch
    and the step's place in the list.

    Args:
        fraction: share of the rows that it is tried on, over 0 to 1; drawn for each row by itself.
    """

    mixes: ClassVar[bool] = False
    """True when it mixes labels, so that a label is a share of each class."""

    hides: ClassVar[bool] = False
    """True when it puts the value in that stands for a missing one."""

    knows_values: ClassVar[bool] = False
    """True when it finds a row's values among those that `prepare` saw, so that no step may change them before."""

    fraction: float = Field(default=1.0, gt=0, le=1)

    def files(self) -> tuple[str, ...]:
        """Return the files it reads, as written in the spec."""
        return ()

    def folders(self) -> tuple[str, ...]:
        """Return the folders with models that it reads where the Trainer runs, as written in the spec."""
        return ()

    def check_file(self, file: str, text: str) -> Refusal | None:  # noqa: ARG002
        """Return why it cannot work with this content of a file that it reads."""
        return None

    def chosen(self, inputs: Sequence[ModelInput]) -> list[ModelInput]:
        """Return the inputs that it changes, in the model's order."""
        return list(inputs)

    @abstractmethod
    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        """Return why it cannot work on these model inputs.

        Args:
            inputs: before data are seen, cardinalities and widths of vectors are guesses.
        """

    def check(self, name: str, values: np.ndarray) -> Refusal | None:  # noqa: ARG002
        """Return why it cannot work on these values, some rows of a chosen input, as the model receives them."""
        return None

    def prepare(
        self,
        rows: Callable[[], Iterator[Mapping[str, np.ndarray]]],  # noqa: ARG002
        facts: Facts,  # noqa: ARG002
        said: Callable[[int, int], None],  # noqa: ARG002
    ) -> Any:
        """Return what `apply` finds under the step in `facts.prepared`; called once, before the training.

        Args:
            rows: returns the model inputs of all rows of the train split, a batch at a time.
            facts: what else it may know.
            said: called with how much is done, and how much there is in all.
        """
        return None

    @abstractmethod
    def apply(self, batch: Batch, draws: Draws, facts: Facts) -> Batch:
        """Return the changed batch.

        Args:
            batch: what the step before it returned.
            draws: the only source of chance.
            facts: what else it may know.
        """
