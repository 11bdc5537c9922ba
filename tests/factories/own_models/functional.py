"""A model of one's own, as a graph of layers, one of them written here."""

import keras


@keras.saving.register_keras_serializable(package="own_functional")
class Scaled(keras.layers.Layer):
    """Multiplies each column with a factor that is learned."""

    def build(self, input_shape):
        self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")

    def call(self, values):
        return values * self.factor


def build(inputs, task, num_classes, units=16):
    given = {each.name: keras.Input(each.shape, name=each.name, dtype=each.dtype) for each in inputs}
    numbers = keras.layers.Concatenate()([given[each.name] for each in inputs if not each.is_ids])
    ids = [
        keras.layers.Flatten()(keras.layers.Embedding(each.cardinality, 4)(given[each.name]))
        for each in inputs
        if each.is_ids
    ]
    joined = keras.layers.Concatenate()([Scaled()(numbers), *ids])
    hidden = keras.layers.Dense(units, activation="relu")(joined)
    return keras.Model(given, keras.layers.Dense(1, activation="sigmoid")(hidden))
