"""Images of any number of classes: their loss, metrics, thresholds, and what is reported of them."""
