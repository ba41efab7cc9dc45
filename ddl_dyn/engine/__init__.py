"""R replicas as one computation: free runs, losses, normalisation, compiled and fused code."""
