"""Benchmarks: ratios against a peer and a floor in the same run; `make bench`."""
