"""Section `model`: the Keras model and its hyperparameters."""
