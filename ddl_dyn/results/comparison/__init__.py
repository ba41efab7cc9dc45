"""Comparisons of finished runs: groups, records, tables for a terminal."""
