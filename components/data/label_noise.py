"""Labels that look wrong: those that a model of the other rows confidently contradicts."""

from __future__ import annotations

import collections
import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.data import out_of_fold
from components.data.columns import Codes, numbers
from components.data.leakage import FEW_ROWS, Finding, class_name
from components.features import Task

FEWEST = 10
"""Rows of a class, below which nothing is said of it."""

CLASSES = 200
"""Classes, above which nothing is said."""

MARGIN = 0.5
"""By so much must the suggested class be more probable than the given one."""

TOLERANCE = 0.02
"""A probability that is less than this below the mean is not told from it."""

OVERCONFIDENT = 0.25
"""Share of the rows a model is sure of, above which their labels show that the model is wrong, not they."""

DEVIATIONS = 5.0
"""Robust standard deviations of the residuals, beyond which a label of a regression looks wrong."""

R_SQUARED = 0.05
"""Out-of-fold R² up to which a regression says nothing of its labels."""

SUSPECT = 0.10
"""Share of labels from which on they are a suspect; classes that overlap look the same, so fewer are a note."""

SHOWN = 5


@dataclass(frozen=True)
class Doubt:
    """A label that looks wrong.

    Args:
        row: number of the row in the raw data, from 1; a header and rows in quarantine do not count.
        given: the label that it has.
        suggested: the label that the other rows speak for.
        margin: how far the given label is off: its probability less that of the suggested one, from -1 to -0.5; in
            regression the residual, in robust standard deviations.
    """

    row: int
    given: str
    suggested: str
    margin: float

    def __str__(self) -> str:
        return f"row {self.row}: {self.given} → {self.suggested}"


@dataclass(frozen=True)
class LabelNoise:
    """What was found out about the labels of a sample.

    Args:
        rows: how many labels were looked at.
        doubts: those that look wrong, the least probable first.
        quality: how good the model is that contradicts them, on rows that it was not fitted to.
        untold: why nothing can be said; then there are no doubts.
    """

    rows: int
    doubts: tuple[Doubt, ...] = ()
    quality: str = ""
    untold: str | None = None

    def __str__(self) -> str:
        if self.untold:
            return f"wrong labels: cannot tell, {self.untold}"
        share = f" ({len(self.doubts) / self.rows:.1%})" if self.doubts else ""
        return (
            f"wrong labels: {len(self.doubts):,} of {self.rows:,}{share} look wrong to a linear model: {self.quality}"
        )


def look(inputs: Mapping[str, np.ndarray], label: pa.Array, rows: np.ndarray, task: Task) -> LabelNoise:
    """Look for labels that look wrong.

    For classes this is confident learning: five logistic regressions, each fitted to four fifths of the rows, give
    the out-of-fold probabilities of the others. A class is confident in a row whose probability of it is at least the
    mean among the rows that have this label. A label is in doubt when the most probable confident class is another
    one, by a margin of at least 0.5. For numbers, a label is in doubt when its residual from a robust (Huber) ridge
    regression is more than 5 robust standard deviations (1.4826 times the median absolute deviation) from the median.

    Args:
        inputs: what the model receives, name to the values of all rows, batch first; integers are ids.
        label: the label of each row; rows without one are left out.
        rows: number of each row in the raw data, from 1.
        task: what kind of prediction it is.

    Reference:
        Northcutt, Jiang and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70.

    Example:
        >>> x = np.repeat([-1.0, 1.0], 50)
        >>> given = [0] * 50 + [1] * 50
        >>> given[3] = 1
        >>> str(look({"x": x}, pa.array(given), np.arange(1, 101), "binary_classification").doubts[0])
        'row 4: 1 → 0'
    """
    if task == "regression":
        return _numbers_in_doubt(inputs, label, rows)
    codes = Codes.of(label)
    counts = np.bincount(codes.codes[codes.codes >= 0], minlength=codes.distinct)
    large = np.flatnonzero(counts >= FEWEST)
    known = np.isin(codes.codes, large)
    total = int(known.sum())
    if len(large) < 2 or total < FEW_ROWS:
        return LabelNoise(total, untold=f"two classes of {FEWEST} rows, and {FEW_ROWS} rows in all, are the least")
    if len(large) > CLASSES:
        return LabelNoise(total, untold=f"{len(large):,} classes are more than {CLASSES}")
    classes = np.searchsorted(large, codes.codes[known])
    names = [class_name(label[int(np.flatnonzero(codes.codes == code)[0])].as_py()) for code in large]
    found = out_of_fold.probabilities(out_of_fold.design(_only(inputs, known)), classes, len(large))
    return contradicted(found, classes, names, rows[known])


def finding(noise: LabelNoise, label_name: str) -> Finding | None:
    """Return what is to be reported of the labels, or None when none is in doubt."""
    if not noise.doubts:
        return None
    pairs = collections.Counter((doubt.given, doubt.suggested) for doubt in noise.doubts)
    counted = ", ".join(f"{given} → {suggested} {count:,}" for (given, suggested), count in pairs.most_common(SHOWN))
    shown = ", ".join(map(str, noise.doubts[:SHOWN]))
    share = len(noise.doubts) / noise.rows
    # numbers are seldom given twice, so that pairs of them say nothing
    by_pair = f" ({counted}{', …' if len(pairs) > SHOWN else ''})" if len(pairs) < len(noise.doubts) else ""
    return Finding(
        "suspect" if share >= SUSPECT else "note",
        label_name,
        "data.label",
        f"{len(noise.doubts):,} of {noise.rows:,} labels ({share:.1%}) look wrong{by_pair}; first {shown}",
        "Look at these rows (--label-noise FILE.csv writes all): correct or drop wrong labels; if they are right, the "
        "inputs do not tell the classes apart." if by_pair else
        "Look at these rows (--label-noise FILE.csv writes all): correct or drop wrong labels, or keep what is right.",
    )  # fmt: skip


def write(noise: LabelNoise, path: Path) -> None:
    """Write all labels in doubt as CSV: row, given, suggested, margin."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "given", "suggested", "margin"))
        writer.writerows((each.row, each.given, each.suggested, f"{each.margin:.4f}") for each in noise.doubts)


def _only(inputs: Mapping[str, np.ndarray], known: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[known] for name, values in inputs.items()}


def contradicted(found: np.ndarray, classes: np.ndarray, names: list[str], rows: np.ndarray) -> LabelNoise:
    """Return the labels that out-of-fold probabilities contradict.

    Args:
        found: probabilities, shape (rows, classes).
        classes: class of each row, from 0.
        names: of the classes.
        rows: number of each row in the raw data, from 1.
    """
    total, every = len(classes), np.arange(len(classes))
    accuracy = float((found.argmax(axis=1) == classes).mean())
    constant = float(np.bincount(classes).max() / total)
    quality = (
        f"accuracy {accuracy:.3f} on rows that it was not fitted to, always the most frequent class {constant:.3f}"
    )
    # by three standard errors, since a model of labels that are all noise is a little better by chance, now and then
    if accuracy <= constant + 3 * np.sqrt(constant * (1 - constant) / total):
        return LabelNoise(total, quality=quality, untold=f"a linear model is not better than no model: {quality}")
    thresholds = np.array([found[classes == each, each].mean() for each in range(len(names))])
    # where inputs have few values, the probabilities of a class differ by the fold alone: they all are its mean
    confident = np.where(found >= thresholds - TOLERANCE, found, -1.0)
    suggested = confident.argmax(axis=1)
    margins = found[every, classes] - found[every, suggested]
    wrong = np.flatnonzero((confident.max(axis=1) >= 0) & (suggested != classes) & (margins <= -MARGIN))
    two = np.sort(found, axis=1)[:, -2:]
    right = (two[:, 1] - two[:, 0] >= MARGIN) & (found.argmax(axis=1) == classes)
    # of two classes, one that leads by 0.5 has at least 0.75: no more than a quarter may contradict an honest model
    sure = len(wrong) + int(right.sum())
    if len(wrong) > OVERCONFIDENT * sure:
        told = f"a linear model is too sure, {len(wrong):,} of {sure:,} labels contradict it: {quality}"
        return LabelNoise(total, quality=quality, untold=told)
    wrong = wrong[np.argsort(margins[wrong], kind="stable")]
    doubts = (
        Doubt(int(rows[each]), names[classes[each]], names[suggested[each]], float(margins[each])) for each in wrong
    )
    return LabelNoise(total, tuple(doubts), quality)


def _numbers_in_doubt(inputs: Mapping[str, np.ndarray], label: pa.Array, rows: np.ndarray) -> LabelNoise:
    values = numbers(label)
    known = np.isfinite(values) if values is not None else np.zeros(len(label), bool)
    total = int(known.sum())
    if values is None or total < FEW_ROWS:
        return LabelNoise(total, untold=f"{FEW_ROWS} rows are the least")
    values, rows = values[known], rows[known]
    found = out_of_fold.predictions(out_of_fold.design(_only(inputs, known)), values)
    residuals = values - found
    centred = residuals - np.median(residuals)
    deviation = 1.4826 * float(np.median(np.abs(centred)))
    # of the rows within the bound: a few wrong labels are large, and must not hide that the model is good
    usual = np.abs(centred) <= DEVIATIONS * deviation
    spread = float(((values[usual] - values[usual].mean()) ** 2).sum())
    explained = 1 - float((residuals[usual] ** 2).sum()) / spread if spread else 0.0
    quality = f"R² {explained:.3f} on rows it was not fitted to"
    if not deviation or explained <= R_SQUARED:
        return LabelNoise(total, quality=quality, untold=f"a linear model is not better than no model: {quality}")
    wrong = np.flatnonzero(~usual)
    wrong = wrong[np.argsort(-np.abs(centred[wrong]), kind="stable")]
    doubts = (
        Doubt(int(rows[each]), f"{values[each]:g}", f"{found[each]:.4g}", float(centred[each] / deviation))
        for each in wrong
    )
    return LabelNoise(total, tuple(doubts), quality)
