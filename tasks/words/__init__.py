"""Word problems: a token picks the map of each step."""
