"""Section `serving`: publish the model and answer requests."""
