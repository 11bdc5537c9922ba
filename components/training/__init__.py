"""Section `training`: fit the model and export it."""
