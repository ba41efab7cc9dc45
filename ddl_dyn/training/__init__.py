"""Training of replicas: windows, schedule, optimiser, tuning, budgets, cost."""
