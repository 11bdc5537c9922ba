"""Section `tuning`: hyperparameters by trial."""
