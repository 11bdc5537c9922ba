"""A training step of one's own: what Sluice's does, and the size of the gradient for the history."""

import tensorflow as tf


def train_step(model, optimizer, loss, batch, factor=1.0):
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        value = factor * loss(batch, model(batch["features"], training=True))
    gradients = tape.gradient(value, variables)
    optimizer.apply(gradients, variables)
    return {"gradient_norm": tf.linalg.global_norm(gradients)}
