"""Learn principal components: a TFT combiner of means and covariances, for both engines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers


class Learned(NamedTuple):
    """What projects a row.

    Args:
        mean: of each column, float64 `[columns]`.
        scale: what each column is divided by, `[columns]`.
        projection: one column per component, `[columns, components]`.
        explained: share of the variance that each component holds, `[components]`.
    """

    mean: tf.Tensor
    scale: tf.Tensor
    projection: tf.Tensor
    explained: tf.Tensor


def principal_components(rows: tf.Tensor, components: int, *, standardize: bool, whiten: bool) -> Learned:
    """Return what projects rows on their principal components; nothing but zeros when there is no row.

    Each component's sign is such that its largest weight is positive, so that every run finds the same. `tft.pca`
    leaves the sign to chance, does not centre and computes in float32.

    Args:
        rows: float32 `[n, columns]`, complete.
        components: how many; at most `columns`.
        standardize: divide each column by its standard deviation first.
        whiten: give each component variance 1.
    """
    # TFT names an analyzer after its scope
    with tf.compat.v1.name_scope(None, "principal_components"):
        combiner = PrincipalComponents(rows.shape[1], components, standardize=standardize, whiten=whiten)
        return Learned(*analyzers._apply_cacheable_combiner(combiner, rows))


class Moments(NamedTuple):
    """Number of rows, mean `[columns]`, and summed products of differences from the mean `[columns, columns]`."""

    rows: int
    mean: np.ndarray
    products: np.ndarray


class PrincipalComponents(analyzer_nodes.Combiner):
    """Adds up means and products, then finds the directions of the largest variance.

    Args:
        columns, components, standardize, whiten: as in `principal_components`.
    """

    def __init__(self, columns: int, components: int, *, standardize: bool, whiten: bool) -> None:
        self._columns = columns
        self._components = components
        self._standardize = standardize
        self._whiten = whiten

    def create_accumulator(self) -> Moments:
        """Return the moments of no rows."""
        return Moments(0, np.zeros(self._columns), np.zeros((self._columns, self._columns)))

    def add_input(self, accumulator: Moments, batch_values: Sequence[np.ndarray]) -> Moments:
        """Add the rows of one batch."""
        rows = np.asarray(batch_values[0], np.float64)
        if not len(rows):
            return accumulator
        mean = rows.mean(0)
        return self.merge_accumulators([accumulator, Moments(len(rows), mean, (rows - mean).T @ (rows - mean))])

    def merge_accumulators(self, accumulators: Iterable[Moments]) -> Moments:
        """Add moments up, as Chan, Golub and LeVeque do."""
        total = self.create_accumulator()
        for each in accumulators:
            if each.rows:
                count = total.rows + each.rows
                step = each.mean - total.mean
                products = each.products + np.outer(step, step) * total.rows * each.rows / count
                total = Moments(count, total.mean + step * each.rows / count, total.products + products)
        return total

    def extract_output(self, accumulator: Moments) -> list[np.ndarray]:
        """Return the four parts of `Learned`."""
        covariance = accumulator.products / max(accumulator.rows - 1, 1)
        scale = np.ones(self._columns)
        if self._standardize:
            # scikit-learn's StandardScaler divides by all rows, its PCA by one less
            deviation = np.sqrt(np.diag(accumulator.products) / max(accumulator.rows, 1))
            scale = np.where(deviation > 0, deviation, 1.0)
            covariance = covariance / np.outer(scale, scale)
        ascending, vectors = np.linalg.eigh(covariance)
        variances = np.maximum(ascending[::-1][: self._components], 0)
        projection = vectors[:, ::-1][:, : self._components]
        largest = np.abs(projection).argmax(0)
        projection = projection * np.sign(projection[largest, np.arange(self._components)])
        # below rounding error there is no direction, only noise
        real = variances > max(ascending[-1], 0) * self._columns * np.finfo(np.float64).eps
        projection = np.where(real, projection, 0)
        if self._whiten:
            projection = projection / np.sqrt(np.where(real, variances, 1))
        explained = variances / (np.trace(covariance) or 1)
        return [accumulator.mean, scale, projection, np.where(real, explained, 0)]

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the types of the outputs."""
        shapes = [[self._columns], [self._columns], [self._columns, self._components], [self._components]]
        return [analyzer_nodes.TensorInfo(tf.float64, shape, None) for shape in shapes]
