"""Turn a category into the mean label of its training rows, without telling a row its own label."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.features import Task
from components.transform.step import TEXT, Kind, TransformStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column, OtherColumns
    from components.transform.folded_means import Encodings


class TargetEncode(TransformStep):
    """Gives each category the mean of the label over its training rows, drawn towards the overall mean.

    Use it for categories too many to embed or to give a place each: cities, shops, models of a product. Do not use it
    for a handful (`one_hot`), nor where categories are almost all different, as ids are: nothing is left but the
    overall mean. It ends its chain.

    A row's own label is part of its category's mean; a model that trains on that mean reads the answer. So training
    reads another column, NAME__out_of_fold: the mean over the category's rows of the other folds. Evaluation and
    serving read the mean over all rows. A row's fold is a hash of its declared features, so rows that are alike in
    all of them share one, and never see each other's label either; where this leaves most categories in one fold, the
    run stops and says so. Missing is a category of its own; one that training never saw gets the overall mean.

    Args:
        smoothing: how many rows of the overall mean are added to a category's own rows; from 0 (none), default 10.
        folds: into how many parts the training rows are cut; from 2 to 100, default 5.
        max_categories: how many categories have a mean of their own, the most frequent ones; from 1 to 1,000,000,
            default 1000.
        standardize: give `(mean - overall mean) / standard deviation of the label` instead, as networks like it where
            the label of a regression is far from 0 or 1; default false.

    Shapes:
        text or ids `[batch, 1]` to number `[batch, 1]`.

    Raises:
        ComponentError: in training, when the rows of most categories cannot be told apart by their features.

    Reference:
        Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes in classification and
        prediction problems, SIGKDD Explorations 3 (1), 2001. Folds as in scikit-learn's `TargetEncoder`.

    Example:
        >>> TargetEncode(smoothing=20).model_dump()["target_encode"]["folds"]
        5
    """

    shorthand: ClassVar[str | None] = "smoothing"
    accepts: ClassVar[frozenset[Kind]] = TEXT | {"ids"}
    makes: ClassVar[Kind | None] = "number"
    reads_label: ClassVar[bool] = True
    ends_chain: ClassVar[bool] = True

    smoothing: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    folds: int = Field(default=5, ge=2, le=100)
    max_categories: int = Field(default=1000, ge=1, le=1_000_000)
    standardize: bool = False

    def refuses_task(self, task: Task) -> tuple[str, str] | None:
        """Refuse labels that are one of several classes."""
        if task != "multiclass_classification":
            return None
        expected = "binary_classification or regression, since the mean of the numbers of classes means nothing"
        return expected, "Use vocabulary, which the model embeds, or one_hot."

    def apply(self, column: Column) -> Column:
        """Raise: it needs the label, so it is called through `apply_with`."""
        raise TypeError(f"{self.plugin_name()} of {column.name!r} reads the label")

    def apply_with(self, column: Column, others: OtherColumns) -> Column:
        """Return the means, and what training reads in place of them."""
        import tensorflow as tf

        from components.transform.combiners import combined
        from components.transform.folded_means import Encodings, FoldedMeans
        from components.transform.group_values import find_keys, known_groups

        keys, label, fold = self._keys(column), others.label(), others.row()[:, tf.newaxis] % self.folds
        having = tf.where(label.present)
        combiner = FoldedMeans(self.folds, self.smoothing, self.max_categories)
        rows = (tf.gather_nd(each, having) for each in (keys, fold, label.values))
        learned = Encodings(*combined("target_means", combiner, *rows))

        places, found = find_keys(keys, learned.keys)
        values = tf.where(found, tf.gather(learned.means, places), learned.overall)
        without = tf.gather_nd(learned.means_without, tf.concat([places, fold], axis=1))[:, tf.newaxis]
        without = tf.where(found, without, tf.gather(learned.overall_without, fold))
        # a row without a label has no part in the means; and so serving, which has none, leaves this column out
        without = tf.where(label.present, without, values)
        report = {"overall": learned.overall, "categories": known_groups(learned.keys), "one_fold": learned.one_fold}
        return column.with_values(
            self._scaled(values, learned),
            kind="number",
            present=tf.ones_like(column.present),
            complete=True,
            cardinality=None,
            bound=None,
            out_of_fold=self._scaled(without, learned),
        ).learning(**report)

    def _keys(self, column: Column) -> tf.Tensor:
        """Return a number per category; missing is one too."""
        import tensorflow as tf

        from components.transform.column import LARGEST_HASH

        if column.kind == "text":
            return tf.strings.to_hash_bucket_fast(tf.where(column.present, column.values, ""), LARGEST_HASH)
        return tf.where(column.present, column.values, tf.constant(LARGEST_HASH, tf.int64))

    def _scaled(self, values: tf.Tensor, learned: Encodings) -> tf.Tensor:
        import tensorflow as tf

        if not self.standardize:
            return tf.identity(values)
        return (values - learned.overall) / tf.where(learned.deviation > 0, learned.deviation, 1.0)
