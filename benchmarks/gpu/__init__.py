"""What a card is asked for: equality with the processor, waits, kernels, throughput, memory; and what is predicted of it."""
