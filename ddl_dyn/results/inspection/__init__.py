"""Analysis of a finished run's trained map beside the true one: the run restored, numbers, a table."""
