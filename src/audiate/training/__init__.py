"""Training: recipes (settings), tasks (networks and losses), and the one loop that runs them."""
