"""The engine: carries out runs, compares them, and predicts with what they left."""
