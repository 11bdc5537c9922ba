"""A translator of the library CTranslate2: a model there and a model back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from components.augmentation.model_folders import MODEL_FILE, ModelFolders
from components.augmentation.translations import Translate
from components.errors import ComponentError

if TYPE_CHECKING:
    import ctranslate2

INSTALL = "pip install 'sluice[back-translation]'"


def load(folders: ModelFolders, base_dir: str | None) -> Translate:
    """Return the way there and back again. The most likely translation is taken, so that each run gets the same.

    Args:
        folders: where the models are.
        base_dir: where relative folders start; None in a container, which has no such folder.

    Raises:
        ComponentError: the library, or a model, is not there or cannot be used.
    """
    try:
        import ctranslate2  # noqa: F401  its absence is told before that of the models
    except ImportError as error:
        message = "The translator ctranslate2 is not installed."
        raise ComponentError(message, spec_path="augmentation", remedy=f"{INSTALL}, or in the image.") from error
    there, back = (_model(folder, base_dir) for folder in (folders.forward, folders.backward))
    return lambda texts: _translated(back, _translated(there, texts))


def _model(written: str, base_dir: str | None) -> ctranslate2.Translator:
    import ctranslate2

    folder = Path(base_dir or "", written)
    remedy = f"Name a folder with {MODEL_FILE} that one of CTranslate2's converters wrote."
    if not (folder / MODEL_FILE).is_file() or not (base_dir or folder.is_absolute()):
        if base_dir is None:
            remedy = "Mount a volume with the models in the Trainer's container (resources), and name its path."
        message = f"There is no translation model in {written!r} where the Trainer runs."
        raise ComponentError(message, spec_path="augmentation", remedy=remedy)
    try:
        return ctranslate2.Translator(str(folder), device="cpu")
    except (RuntimeError, ValueError) as error:
        message = f"CTranslate2 cannot read the model in {written!r}: {error}"
        raise ComponentError(message, spec_path="augmentation", remedy=remedy) from error


def _translated(model: ctranslate2.Translator, texts: list[str]) -> list[str]:
    found = model.translate_batch([text.split() for text in texts], max_batch_size=64, replace_unknowns=True)
    return [" ".join(each.hypotheses[0]) for each in found]
