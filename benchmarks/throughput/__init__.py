"""Updates × replicas per second: this suite beside a plain loop, JAX, per-sample stepping and the bare products."""
