"""Section `balancing`: resamples the train split so that rare classes count for more."""
