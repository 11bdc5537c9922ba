"""Where a pipeline runs: one file per runner."""
