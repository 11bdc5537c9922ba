"""Section `retraining`: whether a run trains at all, decided from new data, drift and time."""
