"""Test and measurement of a card (equality, waits, kernels, throughput, memory), and predictions for it."""
