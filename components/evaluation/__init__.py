"""Section `evaluation`: measure the model and decide whether it may be served."""
