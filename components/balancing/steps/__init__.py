"""Balancing steps: the file name is the name of the step in the spec."""
