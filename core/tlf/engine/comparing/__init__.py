"""The parts of a comparison: its grid, its runs, and what can be said of them."""
