"""Section `cleaning`: drop rows before anything is learned from them."""
