"""A model of one's own, as a stack of layers: the first one joins the inputs, which come as a dictionary."""

import keras


@keras.saving.register_keras_serializable(package="own_sequential")
class Join(keras.layers.Layer):
    """Numbers as they are, ids as one 1 among zeros."""

    def __init__(self, cardinalities, **options):
        super().__init__(**options)
        self.cardinalities = dict(cardinalities)

    def call(self, rows):
        hot = [keras.ops.one_hot(rows[name][:, 0], size) for name, size in self.cardinalities.items()]
        numbers = [rows[name] for name in sorted(rows) if name not in self.cardinalities]
        return keras.ops.concatenate([*numbers, *hot], axis=-1)

    def get_config(self):
        return {**super().get_config(), "cardinalities": self.cardinalities}


def build(inputs, task, num_classes, units=16):
    return keras.Sequential(
        [
            Join({each.name: each.cardinality for each in inputs if each.is_ids}),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
