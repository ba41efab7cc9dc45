"""Sacred around a run, and copies of runs in MongoDB."""
