"""What both engines share, Arrow in process and Beam: leaf functions on record batches."""
