"""The user's own Keras callbacks: from their file, with their lines in every error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.engine import user_file
from components.engine.user_file import failure_of, line_of
from components.errors import ComponentError
from components.training.callback_config import CALLBACKS, CallbacksConfig

if TYPE_CHECKING:
    import keras


class UserCallbacks:
    """The callbacks that the user's function returns.

    Args:
        config: names the file and the function.
        source: content of the file.
        base_dir: folder of the spec, for imports of files beside it.

    Raises:
        ComponentError: the function fails, or returns something else.
    """

    def __init__(self, config: CallbacksConfig, source: str, base_dir: str | Path | None = None) -> None:
        self.file = config.module
        function = user_file.load_function(source, CALLBACKS, config.function, config.module, base_dir)
        try:
            made = function(**config.parameters)
        except Exception as error:
            raise failure_of(
                error, self.file, f"{config.function} in {self.file} failed", CALLBACKS.function
            ) from error
        self.callbacks = self._checked(made, config.function)

    def _checked(self, made: Any, function: str) -> list[keras.callbacks.Callback]:
        import keras

        found = list(made) if isinstance(made, list | tuple) else [made]
        for each in found:
            if not isinstance(each, keras.callbacks.Callback):
                raise ComponentError(
                    f"{function} in {self.file} returned {each!r}, not a keras.callbacks.Callback.",
                    spec_path=CALLBACKS.function,
                    remedy="Return a list of callbacks of the package `keras` (Keras 3).",
                )
        return found

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Name the line of the user's file that an error within came from."""
        try:
            yield
        except ComponentError:
            raise
        except Exception as error:
            if line_of(error, self.file) is None:
                raise
            raise failure_of(error, self.file, f"A callback of {self.file} failed", CALLBACKS.module) from error
