"""Figures of stored arrays alone, by subject."""
