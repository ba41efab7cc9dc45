"""Figures of the trained map itself, by subject."""
