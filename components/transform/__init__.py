"""Section `transform`: columns to model inputs, in one graph for training and serving."""
