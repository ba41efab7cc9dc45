"""Evaluation of a trained run: metrics, phase space, probes, signal propagation."""
