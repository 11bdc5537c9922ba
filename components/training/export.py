"""Export the fitted model with the transform graph: raw rows in, predictions out, as they were trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ComponentError
from components.features import PREDICTION_KEYS, RAW_SIGNATURE, SERVING_SIGNATURE, TRANSFORM_SIGNATURE, Task
from components.training.calibration import Correction

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Served:
    """What a served model is made of, besides its weights.

    Args:
        transform_graph: folder of the TransformGraph artifact.
        features: the raw columns that a request gives.
        other_columns: raw columns that only the label and the weight are computed from.
        inputs: names of the transformed features that the model receives.
        task: decides names and shapes of the outputs.
        classes: names of the classes, by id, where the label is text.
        correction: what puts the model's probabilities right; None when nothing has moved them.
    """

    transform_graph: str
    features: tuple[str, ...]
    other_columns: tuple[str, ...]
    inputs: tuple[str, ...]
    task: Task
    classes: tuple[str, ...] | None = None
    correction: Correction | None = None


class Predictor:
    """Raw rows to predictions, for the signatures and, eagerly, for the sample that checks them.

    Args:
        model: the fitted model.
        served: what else it is made of.
    """

    def __init__(self, model: keras.Model, served: Served) -> None:
        import tensorflow_transform as tft
        from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader

        self.model = model
        self.served = served
        graph = tft.TFTransformOutput(served.transform_graph)
        spec = graph.raw_feature_spec()
        wanted = (*served.features, *served.other_columns)
        unknown = [name for name in wanted if name not in spec]
        if unknown:
            raise ComponentError(
                f"The transform graph knows no raw column {', '.join(map(repr, unknown))}.", spec_path="data.features"
            )
        self.spec = {name: spec[name] for name in wanted}
        self.request_spec = {name: spec[name] for name in served.features}
        # What transform_features_layer wraps into a Keras 2 layer, whose export alone takes two seconds. One for all
        # signatures: it holds the vocabulary tables. Given no label columns, it leaves the label out.
        self.loader = SavedModelLoader(graph.transform_savedmodel_dir)

    def from_examples(self, examples: Any) -> dict[str, Any]:
        """Return predictions for serialized tf.Examples `[batch]`."""
        import tensorflow as tf

        return self._predict(tf.io.parse_example(examples, self.request_spec))

    def from_columns(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return predictions for one tensor `[batch]` per raw feature; NaN and "" are missing values."""
        return self._predict({name: _as_parsed(columns[name], spec) for name, spec in self.request_spec.items()})

    def transformed(self, examples: Any) -> dict[str, Any]:
        """Return all outputs of the transform graph for serialized tf.Examples that have the label's columns too."""
        import tensorflow as tf

        return dict(self.loader.apply_transform_model(tf.io.parse_example(examples, self.spec)))

    def _predict(self, raw: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        transformed = self.loader.apply_transform_model(raw)
        output = self.model({name: transformed[name] for name in self.served.inputs}, training=False)
        if self.served.correction is not None:
            output = self.served.correction.apply(output)
        key = PREDICTION_KEYS[self.served.task]
        if self.served.task != "multiclass_classification":
            return {key: tf.reshape(output, [-1])}
        class_id = tf.argmax(output, axis=-1)
        found = {key: output, "class_id": class_id}
        if self.served.classes is not None:
            found["class"] = tf.gather(tf.constant(self.served.classes), class_id)
        return found


def _as_parsed(values: Any, spec: Any) -> Any:
    """Return a request's column as parsing a tf.Example would: without the missing values."""
    import tensorflow as tf

    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.reshape(tf.cast(values, spec.dtype), [-1, *spec.shape])
    present = tf.not_equal(values, "") if values.dtype == tf.string else tf.logical_not(tf.math.is_nan(values))
    rows = tf.where(present)
    found = tf.cast(tf.boolean_mask(values, present), spec.dtype)
    shape = tf.stack([tf.shape(values, out_type=tf.int64)[0], tf.constant(1, tf.int64)])
    return tf.SparseTensor(tf.concat([rows, tf.zeros_like(rows)], axis=1), found, shape)


def save(predictor: Predictor, folder: str) -> None:
    """Write the SavedModel with its three signatures.

    It holds weights, tables and graphs only, not the Keras object: that takes a third of the time.
    """
    import tensorflow as tf

    model = predictor.model
    module = tf.Module()
    module.transform = predictor.loader.__dict__
    module.weights = [variable.value for variable in model.variables]
    examples = tf.TensorSpec([None], tf.string, name="examples")
    columns = {
        # int64 cannot say "missing"; float64 is exact up to 2^53, which census tracts and other long ids need
        name: tf.TensorSpec([None], tf.float64 if spec.dtype.is_integer else spec.dtype, name=name)
        for name, spec in predictor.request_spec.items()
    }
    signatures = {
        SERVING_SIGNATURE: _signature(predictor.from_examples, examples),
        RAW_SIGNATURE: _signature(lambda **values: predictor.from_columns(values), **columns),
        TRANSFORM_SIGNATURE: _signature(predictor.transformed, examples),
    }
    try:
        tf.saved_model.save(module, folder, signatures=signatures)
    except (AssertionError, ValueError) as error:
        if "untracked" not in str(error):
            raise
        # A custom model may hold tables or constants of its own, which only the whole model tracks.
        module.model = model
        tf.saved_model.save(module, folder, signatures=signatures)


def _signature(function: Any, *specs: Any, **named_specs: Any) -> Any:
    import tensorflow as tf

    # do_not_convert: autograph has nothing to convert here, and its look at every function takes a second
    traced = tf.function(tf.autograph.experimental.do_not_convert(function))
    return traced.get_concrete_function(*specs, **named_specs)


def save_keras(model: keras.Model, path: Path) -> None:
    """Write the bare Keras model, which takes transformed features, for export and further training.

    Its probabilities are those that training has led to; `Correction` is part of the SavedModel only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)


def outputs_as_lists(outputs: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """Return predictions as JSON can hold them."""
    found: dict[str, Sequence[Any]] = {}
    for name, tensor in outputs.items():
        values = tensor.numpy()
        if values.dtype == object:
            found[name] = [value.decode("utf-8", "replace") for value in values.tolist()]
        else:
            found[name] = values.tolist()
    return found
