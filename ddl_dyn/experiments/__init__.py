"""One run from configuration to result, and many: comparisons and sweeps on worker processes or a cluster."""
