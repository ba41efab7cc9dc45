"""Systems with jumps: billiards and impacts."""
