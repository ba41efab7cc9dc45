"""What the trained map of a finished run does, beside the true one: the run made whole again, numbers, a table."""
