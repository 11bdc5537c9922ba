"""Section `training`: fit the model and export it."""

import os

# One Keras in the process. Left unset, TensorFlow Transform asks for Keras 2, and `tf.keras` in a user's model file
# would be another Keras than the one that fits the model. It counts only before TensorFlow is imported.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
