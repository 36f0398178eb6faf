"""Runs that are killed, and runs whose writes fail. `python -m tests.faults` kills them by hand."""
