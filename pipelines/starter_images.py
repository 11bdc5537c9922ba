"""The spec for a folder of images per class."""

from __future__ import annotations

import math
from pathlib import Path

from components.data.inspect import ColumnFacts, relative_to
from components.data.inspect_images import ImageFacts, inspect_images
from components.errors import Problem, SpecError
from components.features import FeatureKind
from pipelines.starter_parts import head, label_of, remark, scalar, shortened, tail, task_of

LABEL = "label"


def image_spec(folder: Path, data: Path, label: str | None) -> tuple[str, list[str]]:
    """Return a spec for a folder of images, and what was guessed.

    Args:
        folder: of the spec.
        data: the images, as `CLASS/FILE.png`.
        label: only `label`, the class, can be predicted.

    Raises:
        SpecError: the folder holds no images of two classes, or another label is wanted.
    """
    if label not in (None, LABEL):
        remedy = "Leave --label out; for other labels, name the images in a column of a table."
        raise SpecError([Problem("--label", repr(label), f"{LABEL!r}, the folder that an image lies in", remedy)])
    facts = inspect_images(data)
    classes = tuple(facts.classes)
    column = ColumnFacts(LABEL, FeatureKind.CATEGORICAL, "", len(classes), 0, facts.rows, True, classes)
    task = task_of(column)
    named = shortened([f"{name} ({count:,})" for name, count in facts.classes.items()])
    lines = [
        *head(folder, data, f"{facts.rows:,} images", task),
        "data:",
        remark(f"  path: {scalar(relative_to(data, folder))}", f"CLASS/FILE; {named}"),
        remark("  split: {by: hash, train: 4, eval: 1, columns: [path]}", "the same files always in the same split"),
        f"  label: {label_of(column, task)}",
        "  features: {image: image}",
        "",
        *_transform(facts),
        "",
        *_augmentation(facts),
        "",
        *tail(_model(facts), column, task),
    ]
    seen = f"{facts.height} x {facts.width}{'' if facts.one_size else ' at the median'}"
    colours = "colours" if facts.channels == 3 else "shades of grey"
    notes = [
        f"{facts.rows:,} images of {len(classes)} classes; predicts the class ({task.replace('_', ' ')})",
        f"read as {facts.size[0]} x {facts.size[1]} pixels in {colours}; they are {seen}",
    ]
    return "\n".join(lines), notes


def _transform(facts: ImageFacts) -> list[str]:
    height, width = facts.size
    size = str(height) if height == width else f"[{height}, {width}]"
    fit = "" if facts.one_size else ", fit: pad"
    why = f"the files have {facts.height} x {facts.width}" + ("" if facts.one_size else " at the median")
    return [
        "transform:",
        remark(f"  image: [decode_image: {{size: {size}, channels: {facts.channels}{fit}}}, rescale]", why),
    ]


def _augmentation(facts: ImageFacts) -> list[str]:
    """Return steps in comments: which ones keep the class, only who knows the images can say."""
    lines = [
        "# augmentation:                            # of the train split only; take what leaves the class as it is",
        remark("#   - {random_shift: 0.08}", "of the side"),
        remark("#   - {random_rotation: 0.03}", "of a full turn, so at most 11 degrees"),
        remark("#   - {random_zoom: 0.1}", "larger or smaller by at most a tenth"),
        remark("#   - random_flip", "left and right; not for digits and letters"),
    ]
    return lines + ([remark("#   - {random_hue: 0.05}", "of the colour circle")] if facts.channels == 3 else [])


def _model(facts: ImageFacts) -> str:
    """Return a network whose last block has at most 8 x 8 pixels."""
    blocks = max(2, math.ceil(math.log2(max(facts.size) / 8)))
    filters = ", ".join(str(min(128, 16 << block)) for block in range(blocks))
    return f"{{family: cnn, filters: [{filters}], pooling: flatten, hidden_units: [64], dropout: 0.2}}"
