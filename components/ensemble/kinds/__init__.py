"""One file for each kind of ensemble; each has `made(config, given)`."""
