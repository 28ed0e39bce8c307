"""One task for each thing that is trained; `audiate.training.recipes` has their settings."""
