"""What a TFX user would write for the taxi spec: the same features, transforms, model and steps, in TFX's own terms."""

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio

SCALED = ["trip_miles", "fare", "trip_seconds"]
BUCKETS = ["pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude"]
HASHED = ["pickup_census_tract", "dropoff_census_tract"]
CATEGORICAL = ["trip_start_month", "pickup_community_area", "dropoff_community_area"]
LABEL = "tips_xf"
IDS = {
    **dict.fromkeys(BUCKETS, 10),
    **dict.fromkeys(HASHED, 100),
    "company": 1010,
    "hour_and_day": 100,
    **dict.fromkeys([*CATEGORICAL, "trip_start_hour", "trip_start_day"], 1010),
}


def _dense(x, default):
    if not isinstance(x, tf.SparseTensor):
        return x
    return tf.sparse.to_dense(tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1]), default)


def _as_text(x):
    values = x.values if x.values.dtype == tf.string else tf.strings.as_string(x.values)
    return _dense(tf.SparseTensor(x.indices, values, x.dense_shape), "unknown")


def preprocessing_fn(inputs):
    outputs = {}
    for key in SCALED:
        values = tf.cast(inputs[key].values, tf.float32)
        low, median, high = tf.unstack(tft.quantiles(values, 4, 0.01)[0])
        spread = 1.5 * (high - low)
        present = tf.SparseTensor(inputs[key].indices, values, inputs[key].dense_shape)
        clipped = tf.clip_by_value(_dense(present, median), low - spread, high + spread)
        outputs[key] = tft.scale_to_0_1(clipped) if key == "trip_seconds" else tft.scale_to_z_score(clipped)
    for key in BUCKETS:
        values = tf.cast(inputs[key].values, tf.float32)
        present = tf.SparseTensor(inputs[key].indices, values, inputs[key].dense_shape)
        outputs[key] = tft.bucketize(_dense(present, tft.mean(values)), 10)
    for key in HASHED:
        outputs[key] = tft.hash_strings(_as_text(inputs[key]), 100)
    outputs["company"] = tft.compute_and_apply_vocabulary(
        _as_text(inputs["company"]), top_k=1000, num_oov_buckets=10, vocab_filename="company"
    )
    payment = tft.compute_and_apply_vocabulary(
        _as_text(inputs["payment_type"]), top_k=20, num_oov_buckets=1, vocab_filename="payment_type"
    )
    outputs["payment_type"] = tf.ensure_shape(tf.one_hot(tf.squeeze(payment, 1), 21), [None, 21])
    for key in [*CATEGORICAL, "trip_start_hour", "trip_start_day"]:
        outputs[key] = tft.compute_and_apply_vocabulary(
            _as_text(inputs[key]), top_k=1000, num_oov_buckets=10, vocab_filename=key
        )
    crossed = tf.strings.join([_as_text(inputs["trip_start_hour"]), _as_text(inputs["trip_start_day"])], "_")
    outputs["hour_and_day"] = tft.hash_strings(crossed, 100)
    fare = _dense(inputs["fare"], 0.0)
    tips = _dense(inputs["tips"], 0.0)
    outputs[LABEL] = tf.cast(tf.cast(tips, tf.float32) > 0.2 * tf.cast(fare, tf.float32), tf.int64)
    return outputs


def _model():
    inputs, deep, wide = {}, [], []
    for key in SCALED:
        inputs[key] = keras.Input((1,), name=key)
        deep.append(inputs[key])
    inputs["payment_type"] = keras.Input((21,), name="payment_type")
    deep.append(inputs["payment_type"])
    wide.append(keras.layers.Dense(1, use_bias=False)(inputs["payment_type"]))
    for key, size in IDS.items():
        inputs[key] = keras.Input((1,), name=key, dtype="int64")
        width = min(50, round(6 * size**0.25))
        deep.append(keras.layers.Flatten()(keras.layers.Embedding(size, width)(inputs[key])))
        wide.append(keras.layers.Flatten()(keras.layers.Embedding(size, 1)(inputs[key])))
    hidden = keras.layers.Concatenate()(deep)
    for units in (128, 64):
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
        hidden = keras.layers.Dropout(0.1)(hidden)
    logits = keras.layers.Add()([keras.layers.Dense(1)(hidden), *wide])
    model = keras.Model(inputs, keras.layers.Activation("sigmoid")(logits))
    model.compile(keras.optimizers.Adam(0.001), "binary_crossentropy", metrics=["accuracy", keras.metrics.AUC()])
    return model


def _dataset(patterns, accessor, output, batch_size):
    options = tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=LABEL)
    return accessor.tf_dataset_factory(patterns, options, output.transformed_metadata.schema).repeat()


def run_fn(fn_args):
    output = tft.TFTransformOutput(fn_args.transform_output)
    batch_size = fn_args.custom_config["batch_size"]
    train = _dataset(fn_args.train_files, fn_args.data_accessor, output, batch_size)
    evaluation = _dataset(fn_args.eval_files, fn_args.data_accessor, output, batch_size)
    with tf.distribute.MirroredStrategy().scope():
        model = _model()
    model.fit(
        train,
        steps_per_epoch=fn_args.train_steps // fn_args.custom_config["epochs"],
        epochs=fn_args.custom_config["epochs"],
        validation_data=evaluation,
        validation_steps=fn_args.eval_steps,
        callbacks=[keras.callbacks.TensorBoard(fn_args.model_run_dir, update_freq="epoch")],
        verbose=0,
    )
    model.tft_layer = output.transform_features_layer()
    raw = output.raw_feature_spec()
    without_label = {key: value for key, value in raw.items() if key != "tips"}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        features = model.tft_layer(tf.io.parse_example(examples, without_label))
        return {"outputs": model({key: features[key] for key in model.input}, training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform(examples):
        return model.tft_layer(tf.io.parse_example(examples, raw))

    signatures = {"serving_default": serve, "transform_features": transform}
    tf.saved_model.save(model, fn_args.serving_model_dir, signatures=signatures)
