"""What a folder of images holds: its classes, how large the images are, and whether they have colours."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.data.source import SourceFile, data_format, list_files
from components.errors import Problem, SpecError

SAMPLE = 200
"""Images that are opened; the others are only counted."""

LARGEST = 96
"""Pixels of a side that a starter asks for at most: what a processor trains in minutes."""


@dataclass(frozen=True)
class ImageFacts:
    """What was seen in a folder of images.

    Args:
        classes: images of each class; the most frequent class comes first.
        height, width: medians in pixels.
        one_size: all images that were opened are of one size.
        channels: 1 for shades of grey, 3 for colours.
    """

    classes: dict[str, int]
    height: int
    width: int
    one_size: bool
    channels: int

    @property
    def rows(self) -> int:
        """How many images there are."""
        return sum(self.classes.values())

    @property
    def size(self) -> tuple[int, int]:
        """Height and width for a small network: those of the images, at most 96 pixels on the longer side."""
        scale = min(1.0, LARGEST / max(self.height, self.width))
        return max(1, round(self.height * scale)), max(1, round(self.width * scale))


def inspect_images(folder: Path) -> ImageFacts:
    """Look at a folder with images of each class in a folder of its own: `CLASS/FILE.png`.

    Raises:
        SpecError: the folder holds something else, one class only, or no image that can be read.
    """
    files = list_files(str(folder.resolve()))
    found = data_format(files, "auto")
    if found != "images":
        remedy = f"Name one of its files: --from {files[0].path}."
        raise _problem(f"{folder}, a folder of {found} files", "a file of rows, or a folder of images", remedy)
    names = Counter(os.path.basename(os.path.dirname(file.path)) for file in files)
    if len(names) < 2:
        received = f"{folder}, in which all images are of class {next(iter(names))!r}"
        raise _problem(received, "a folder for each of two classes or more", "Add images of another class.")
    opened = _opened(files)
    if not opened:
        remedy = "Check the files, such as " + files[0].path + "."
        raise _problem(f"{folder}, without an image that can be read", "PNG, JPEG, GIF or BMP", remedy)
    heights, widths = [image.shape[0] for image in opened], [image.shape[1] for image in opened]
    return ImageFacts(
        dict(names.most_common()),
        round(statistics.median(heights)),
        round(statistics.median(widths)),
        len(set(zip(heights, widths, strict=True))) == 1,
        1 if all(_is_grey(image) for image in opened) else 3,
    )


def _opened(files: Sequence[SourceFile]) -> list[Any]:
    """Return the pixels of some images, from all parts of the list."""
    import tensorflow as tf

    from components.data.image_reader import read

    opened = []
    for file in files[:: -(-len(files) // SAMPLE)]:
        try:
            with tf.device("CPU"):
                opened.append(tf.io.decode_image(read(file.path), expand_animations=False).numpy())
        except tf.errors.OpError:
            continue  # the run itself says which files are bad
    return opened


def _is_grey(image: Any) -> bool:
    """True where red, green and blue are equal, or there is one shade; opacity does not count."""
    colours = image[..., :3] if image.shape[-1] >= 3 else image[..., :1]
    return bool((colours == colours[..., :1]).all())


def _problem(received: str, expected: str, remedy: str) -> SpecError:
    return SpecError([Problem("--from", received, expected, remedy)])
