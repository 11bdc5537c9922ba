"""Augmentation step `back_translation`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from components.augmentation.input_step import InputStep
from components.augmentation.model_folders import Ctranslate2
from components.augmentation.sequences import SEQUENCE
from components.augmentation.step import Facts, Kind, Refusal
from components.augmentation.translations import Translate
from components.errors import ComponentError
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class BackTranslation(InputStep):
    """Replaces texts by what a translator makes of them on the way to another language and back.

    Use it with few training texts, where what a text says decides and not how it says it. Do not use it where single
    words decide, as with names and spelling, or with pieces of words or characters: the translator is given the words
    of the text's vocabulary with blanks between them, and words of its answer that the vocabulary does not hold are
    left out. Each text of the train split is translated once, before the training, so the translator's speed counts
    and not that of the training. Write it before other steps that change the same text: it knows texts as they were.

    Args:
        translator: a Python file, relative to the spec, that defines `translate(texts: list[str]) -> list[str]`: there
            and back again, as many texts as it is given. Or `{ctranslate2: {forward: FOLDER, backward: FOLDER}}`: two
            models of the library CTranslate2 (extra `back-translation`) whose tokens are words; for a model with pieces
            of words write a file that cuts them. No default: Sluice brings no translation models.
        inputs: names of the texts; default: all.
        fraction: share of rows that get their translation in an epoch, over 0 to 1.

    Shapes:
        ids `[batch, length]` to the same, 0 behind the last word; a longer translation is cut.

    Raises:
        ComponentError: the translator fails, returns something else than as many texts, or changes no text.

    Reference:
        Sennrich, Haddow, Birch (2016): Improving neural machine translation models with monolingual data; Edunov, Ott,
        Auli, Grangier (2018): Understanding back-translation at scale.

    Example:
        >>> BackTranslation(translator="by_way_of_german.py").files()
        ('by_way_of_german.py',)
    """

    shorthand: ClassVar[str | None] = "translator"
    accepts: ClassVar[frozenset[Kind]] = SEQUENCE
    knows_values: ClassVar[bool] = True
    translator: Annotated[str, Field(min_length=1)] | Ctranslate2
    fraction: float = Field(default=0.5, gt=0, le=1)

    def files(self) -> tuple[str, ...]:
        return (self.translator,) if isinstance(self.translator, str) else ()

    def folders(self) -> tuple[str, ...]:
        if isinstance(self.translator, str):
            return ()
        folders = self.translator.ctranslate2
        return tuple(dict.fromkeys([folders.forward, folders.backward]))

    def check_file(self, file: str, text: str) -> Refusal | None:
        from components.augmentation.translator import refusal_of

        return refusal_of(text, file)

    def prepare(
        self, rows: Callable[[], Iterator[Mapping[str, np.ndarray]]], facts: Facts, said: Callable[[int, int], None]
    ) -> Any:
        from components.augmentation.translations import distinct, translations_of

        translate = self._loaded(facts)
        found = {}
        for each in self.chosen(facts.inputs):
            texts = distinct(batch[each.name] for batch in rows())
            found[each.name] = translations_of(texts, facts.words(each.name), translate, said)
            if found[each.name] is None:
                raise ComponentError(
                    f"The translator changed none of the {len(texts)} texts of {each.name!r} in words of its list.",
                    spec_path="augmentation",
                    remedy="Let it return words that are in the vocabulary, as transform leaves them.",
                )
        return found

    def _loaded(self, facts: Facts) -> Translate:
        from components.augmentation import translation_models, translator

        if isinstance(self.translator, str):
            return translator.load(self.translator, facts)
        return translation_models.load(self.translator.ctranslate2, facts.base_dir)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        return facts.prepared[self][model_input.name].other(values)
