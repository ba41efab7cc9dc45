"""A search for good settings: trials that are ordinary runs, proposed by Optuna from their validation errors."""
