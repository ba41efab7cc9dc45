"""What a card is asked for (equality, waits, kernels, throughput, memory), and what is predicted of it."""
