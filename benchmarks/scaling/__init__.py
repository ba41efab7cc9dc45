"""Memory and time of one update against steps, replicas and batch."""
