"""Put predicted probabilities right that resampling, class weights or the focal loss have moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.balancing.class_counts import ClassCounts
from components.training.config import TrainingConfig

EPSILON = 1e-7


@dataclass(frozen=True)
class Correction:
    """From what the fitted model outputs to probabilities of the data as they were.

    A model that is fitted to rows of which class c is `w` times as frequent, or counts `w` times as much, finds
    `w p(c | x)`, scaled to a sum of 1: dividing by `w` gives `p` back. The focal loss has its smallest value not at `p`
    but at a known function of it, whose inverse is taken before.

    Args:
        odds: by class id, what its probability is multiplied by before all are scaled to a sum of 1.
        gamma: of the focal loss; 0 for cross-entropy.

    Shapes:
        `[batch, 1]` (the probability of class 1) or `[batch, classes]` to the same.

    Reference:
        Elkan (2001): The foundations of cost-sensitive learning; Saerens et al. (2002): Adjusting the outputs of a
        classifier to new a priori probabilities. Charoenphakdee et al. (2021): On focal loss for class-posterior
        probability estimation, theorem 11.

    Example:
        >>> import tensorflow as tf
        >>> Correction((1.8, 0.2)).apply(tf.constant([[0.5]])).numpy().round(3).tolist()
        [[0.10000000149011612]]
    """

    odds: tuple[float, ...]
    gamma: float = 0.0

    def apply(self, output: Any) -> Any:
        """Return the probabilities."""
        import tensorflow as tf

        binary = output.shape[-1] == 1
        found = tf.concat([1 - output, output], axis=-1) if binary else output
        if self.gamma:
            found = tf.clip_by_value(found, EPSILON, 1 - EPSILON)
            rest = 1 - found
            slope = rest**self.gamma - self.gamma * rest ** (self.gamma - 1) * found * tf.math.log(found)
            found = found / slope
        found = found * tf.constant(self.odds, found.dtype)
        found = found / tf.reduce_sum(found, axis=-1, keepdims=True)
        return found[:, 1:] if binary else found


def correction(config: TrainingConfig, counts: ClassCounts | None, classes: int) -> Correction | None:
    """Return what the exported model applies to its output; None when there is nothing to undo.

    Args:
        config: with class weights by id.
        counts: of the Balancer, when there was one.
        classes: how many.
    """
    odds, gamma = [1.0] * classes, 0.0
    if counts is not None and counts.correct:
        odds = list(counts.odds(classes))
    if config.correct_probabilities:
        gamma = config.focal.gamma if config.focal else 0.0
        odds = [each / weight for each, weight in zip(odds, loss_weights(config, classes), strict=True)]
    return Correction(tuple(odds), gamma) if gamma or len(set(odds)) > 1 else None


def loss_weights(config: TrainingConfig, classes: int) -> list[float]:
    """Return what each class counts in the loss, by class weights or by the focal loss's alpha."""
    alpha = config.focal.alpha if config.focal else None
    if alpha is not None:
        return [1 - alpha, alpha]
    weights = config.class_weights
    return [weights[str(at)] for at in range(classes)] if isinstance(weights, dict) else [1.0] * classes


def warnings(config: TrainingConfig, counts: ClassCounts | None, classes: int) -> list[str]:
    """Return what the user should know about probabilities that the spec says not to correct."""
    moved = []
    if counts is not None and not counts.correct and counts.before != counts.after:
        moved.append(("balancing", "balancing.correct_probabilities"))
    weighted = config.focal is not None or len(set(loss_weights(config, classes))) > 1
    if weighted and not config.correct_probabilities:
        moved.append(("class weights and loss", "training.correct_probabilities"))
    return [f"predicted probabilities are moved by {what} and not corrected ({where}: false)" for what, where in moved]
