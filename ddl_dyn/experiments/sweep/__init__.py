"""A grid of runs: written down, each cell done once, on this machine or on a Ray cluster."""
