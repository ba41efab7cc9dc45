"""Metrics as pure functions on float64 arrays, one exact definition each."""
