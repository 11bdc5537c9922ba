"""A model of one's own, as a class that says itself how it is trained: with noise on its inputs, and add_loss."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="own_subclassed")
class Noisy(keras.Model):
    """Two layers on the numeric inputs."""

    def __init__(self, numbers, units=16, noise=0.1, **options):
        super().__init__(**options)
        self.numbers, self.units, self.noise = list(numbers), units, noise
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.head = keras.layers.Dense(1, activation="sigmoid")
        self.size = keras.metrics.Mean(name="gradient_norm")

    def call(self, rows):
        hidden = self.hidden(keras.ops.concatenate([rows[name] for name in self.numbers], axis=-1))
        self.add_loss(1e-4 * keras.ops.mean(keras.ops.square(hidden)))
        return self.head(hidden)

    def train_step(self, data):
        rows, label, weight = keras.utils.unpack_x_y_sample_weight(data)
        shaken = {name: rows[name] + tf.random.normal(tf.shape(rows[name]), stddev=self.noise) for name in self.numbers}
        with tf.GradientTape() as tape:
            predicted = self(shaken, training=True)
            loss = self.compute_loss(rows, label, predicted, weight)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        self.size.update_state(tf.linalg.global_norm(gradients))
        next(each for each in self.metrics if each.name == "loss").update_state(loss)
        return self.compute_metrics(rows, label, predicted, weight)

    def get_config(self):
        return {**super().get_config(), "numbers": self.numbers, "units": self.units, "noise": self.noise}


def build(inputs, task, num_classes, **parameters):
    return Noisy([each.name for each in inputs if not each.is_ids], **parameters)
