"""Training: one loop (`loop`), one task for each thing we train, and the recipes."""
