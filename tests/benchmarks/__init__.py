"""Benchmarks: ratios measured in one run, never assertions about seconds. `make bench` runs them."""
