"""Section `data`: read raw files into examples, describe them, refuse bad ones."""
