"""Data sets of the example specs: `table.py` says where each comes from, `NAME.py` makes its file from the wheel."""
