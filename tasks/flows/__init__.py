"""Flows: systems with a vector field."""
