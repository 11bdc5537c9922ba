"""How each section of a pipeline spec is done: one folder per key of the spec."""
