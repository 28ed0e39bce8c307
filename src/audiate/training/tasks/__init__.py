"""Tasks: the networks, losses and data of each training, by the settings of a recipe."""
