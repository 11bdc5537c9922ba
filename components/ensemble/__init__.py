"""Section `ensemble`: several models that are trained, exported and gated as one."""
